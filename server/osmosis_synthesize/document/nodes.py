"""A YAML text as a tree of nodes that know where they stand.

Offsets count code points of the text, from 0. A tree is made once, by :mod:`.compose`, and never changed.
"""

from __future__ import annotations

import re
from typing import TypeAlias


class Scalar:
    """A scalar; ``[start, end)`` covers its anchor, tag, quotes or block indicator.

    ``style`` is ``""`` (plain), ``"'"``, ``'"'``, ``"|"`` or ``">"``. A block scalar's ``end`` lies behind the blank
    lines that follow it: :func:`content_end` gives the end of its text. An empty value stands right behind its colon.
    """

    __slots__ = ("anchor", "end", "start", "style", "tag", "value")

    def __init__(self, start: int, end: int, value: str, style: str, tag: str | None, anchor: str | None) -> None:
        self.start = start
        self.end = end
        self.value = value
        self.style = style
        self.tag = tag
        self.anchor = anchor


class Seq:
    """A sequence; ``flow`` says that it is written in brackets."""

    __slots__ = ("anchor", "end", "flow", "items", "start", "tag")

    def __init__(self, start: int, tag: str | None, anchor: str | None, *, flow: bool) -> None:
        self.start = start
        self.end = start
        self.tag = tag
        self.anchor = anchor
        self.flow = flow
        self.items: list[Node] = []


class Map:
    """A mapping: its pairs in the order of the text; keys may repeat. ``flow`` says that it is written in braces."""

    __slots__ = ("anchor", "end", "flow", "pairs", "start", "tag")

    def __init__(self, start: int, tag: str | None, anchor: str | None, *, flow: bool) -> None:
        self.start = start
        self.end = start
        self.tag = tag
        self.anchor = anchor
        self.flow = flow
        self.pairs: list[tuple[Node, Node]] = []


class Alias:
    """A ``*name``: where it stands, and the node it stands for."""

    __slots__ = ("end", "start", "target")

    def __init__(self, start: int, end: int, target: Target) -> None:
        self.start = start
        self.end = end
        self.target = target


Target: TypeAlias = Scalar | Seq | Map
Node: TypeAlias = Scalar | Seq | Map | Alias


def resolved(node: Node) -> Target:
    """The node itself, or what it is an alias of."""
    return node.target if isinstance(node, Alias) else node


def is_aliased(root: Node) -> bool:
    """Whether an alias stands in a tree."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Alias):
            return True
        if isinstance(node, Map):
            for pair in node.pairs:
                waiting.extend(pair)
        elif isinstance(node, Seq):
            waiting.extend(node.items)
    return False


def mapping_at(root: Node | None, start: int) -> Map:
    """The mapping of a tree that begins at ``start``. There is one: the tree is of the text in which it was seen."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Map):
            if node.start == start:
                return node
            for pair in node.pairs:
                waiting.extend(pair)
        elif isinstance(node, Seq):
            waiting.extend(node.items)
    raise LookupError(f"no mapping begins at {start}")


def value_of(mapping: Map, key: str) -> Node | None:
    """The value of one of the mapping's own keys (merge keys aside); of several the last, as PyYAML has it."""
    found = None
    for name, value in mapping.pairs:
        if isinstance(name, Scalar) and name.value == key:
            found = value
    return found


def is_null(node: Node) -> bool:
    """Whether a node is a plain null: nothing at all, ``~`` or ``null``."""
    return isinstance(node, Scalar) and not node.style and node.tag is None and node.value in _NULLS


_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


_BLANKS = re.compile(r"[ \t]*")


def content_end(node: Node, text: str) -> int:
    """Where a node's own text ends, before the blank lines and comments that follow it."""
    while not isinstance(node, (Scalar, Alias)) and not node.flow:
        node = node.pairs[-1][1] if isinstance(node, Map) else node.items[-1]
    if isinstance(node, Scalar) and node.style in ("|", ">"):
        lines = text[node.start : node.end]
        last = len(lines.rstrip(" \t\r\n"))
        # Blanks behind the last line's text are a part of the scalar, too.
        return node.start + last + len(_BLANKS.match(lines, last)[0])  # type: ignore[index] - it matches nothing at least
    return node.end
