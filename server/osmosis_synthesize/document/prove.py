"""The proof that an edit changed what it was meant to change, and nothing else.

Two trees are walked side by side, once: it takes time in proportion to the text, however many changes there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from osmosis_synthesize.document.nodes import Alias, Map, Node, Scalar, Seq, is_null
from osmosis_synthesize.document.render import Data
from osmosis_synthesize.document.scalar import is_plain_safe

NodeId: TypeAlias = int
"""``id()`` of a node of the old tree."""


@dataclass(slots=True)
class Expected:
    """How the new tree shall differ from the old one."""

    texts: dict[NodeId, str] = field(default_factory=dict[NodeId, str])
    """The description that a mapping shall have."""
    cleared: set[NodeId] = field(default_factory=set[NodeId])
    """Mappings that shall have no description, or a null one."""
    items: dict[NodeId, dict[int, list[Data]]] = field(default_factory=dict[NodeId, dict[int, list[Data]]])
    """What a sequence shall have besides its items: before which of them (their number: behind the last)."""
    pairs: dict[NodeId, list[tuple[str, Data]]] = field(default_factory=dict[NodeId, list[tuple[str, Data]]])
    """What a mapping shall have behind its last pair."""
    values: dict[NodeId, Data] = field(default_factory=dict[NodeId, Data])
    """What a null or an empty list shall have become."""


def is_as_expected(old: Node, new: Node | None, expected: Expected) -> bool:
    """Whether the tree ``new`` differs from ``old`` exactly as ``expected``."""
    return new is not None and _Comparison(expected).same(old, new)


def reads_as(node: Node, data: Data) -> bool:
    """Whether a node is read as ``data`` by every reader: its texts are quoted where versions of YAML disagree."""
    if isinstance(data, str):
        return (
            isinstance(node, Scalar)
            and node.value == data
            and node.tag is None
            and node.anchor is None
            and (node.style != "" or is_plain_safe(data))
        )
    if isinstance(data, Mapping):
        return (
            isinstance(node, Map)
            and len(node.pairs) == len(data)
            and all(
                reads_as(key, name) and reads_as(value, item)
                for (key, value), (name, item) in zip(node.pairs, data.items(), strict=True)
            )
        )
    return (
        isinstance(node, Seq)
        and len(node.items) == len(data)
        and all(reads_as(item, part) for item, part in zip(node.items, data, strict=True))
    )


class _Comparison:
    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self.values = expected.values
        self.twins: dict[NodeId, Node] = {}
        """What an anchored node of the old tree is in the new one: an alias must still mean the same."""

    def same(self, old: Node, new: Node) -> bool:
        if (
            type(old) is Scalar and type(new) is Scalar and old.anchor is None and not self.values
        ):  # as most nodes are
            return old.value == new.value and old.style == new.style and old.tag == new.tag and new.anchor is None
        if isinstance(old, Alias):
            return isinstance(new, Alias) and self.twins.get(id(old.target)) is new.target
        if self.values and id(old) in self.values:
            return reads_as(new, self.values[id(old)])
        if isinstance(new, Alias) or old.tag != new.tag or old.anchor != new.anchor:
            return False
        if old.anchor is not None:
            self.twins[id(old)] = new
        if isinstance(old, Scalar):
            return isinstance(new, Scalar) and old.value == new.value and old.style == new.style
        if isinstance(old, Map):
            return isinstance(new, Map) and self.same_pairs(old, new)
        return isinstance(new, Seq) and self.same_items(old, new)

    def same_items(self, old: Seq, new: Seq) -> bool:
        added = self.expected.items.get(id(old))
        if added is None:
            return len(old.items) == len(new.items) and all(map(self.same, old.items, new.items))
        rest = iter(new.items)
        for index in range(len(old.items) + 1):
            for data in added.get(index, ()):
                item = next(rest, None)
                if item is None or not reads_as(item, data):
                    return False
            if index < len(old.items):
                item = next(rest, None)
                if item is None or not self.same(old.items[index], item):
                    return False
        return next(rest, None) is None

    def same_pairs(self, old: Map, new: Map) -> bool:
        pairs = new.pairs
        added = self.expected.pairs.get(id(old))
        if added is not None:
            pairs, tail = pairs[: -len(added)], pairs[-len(added) :]
            if len(tail) < len(added):
                return False
            for (key, value), (name, data) in zip(tail, added, strict=True):
                if not (reads_as(key, name) and reads_as(value, data)):
                    return False
        if id(old) in self.expected.cleared:
            own = _last_description(old.pairs)
            left = _last_description(pairs)
            if own is None or (left == own and not is_null(pairs[own][1])):
                return False
            kept = old.pairs[:own] + old.pairs[own + 1 :]
            return self.all_same(kept, pairs if left != own else pairs[:own] + pairs[own + 1 :])
        text = self.expected.texts.get(id(old))
        if text is not None:
            own = _last_description(old.pairs)
            index = _last_description(pairs) if own is None else own
            if index is None or index >= len(pairs) or not reads_as(pairs[index][1], text):
                return False
            kept = pairs[:index] + pairs[index + 1 :]
            if own is None:
                pairs = kept
                return self.all_same(old.pairs, pairs)
            return self.same(old.pairs[own][0], pairs[own][0]) and self.all_same(
                old.pairs[:own] + old.pairs[own + 1 :], kept
            )
        return self.all_same(old.pairs, pairs)

    def all_same(self, old: list[tuple[Node, Node]], new: list[tuple[Node, Node]]) -> bool:
        if len(old) != len(new):
            return False
        same = self.same
        for (old_key, old_value), (new_key, new_value) in zip(old, new, strict=True):
            if not (same(old_key, new_key) and same(old_value, new_value)):
                return False
        return True


def _last_description(pairs: list[tuple[Node, Node]]) -> int | None:
    for index in range(len(pairs) - 1, -1, -1):
        key = pairs[index][0]
        if isinstance(key, Scalar) and key.value == "description":
            return index
    return None
