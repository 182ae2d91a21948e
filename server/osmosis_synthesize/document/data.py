"""Nodes as plain data, with the types that dbt's reader (PyYAML, YAML 1.1) gives them."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from osmosis_synthesize.document.nodes import Map, Node, Scalar, Seq, resolved

# https://yaml.org/type/ (bool, int, float, null), as PyYAML reads them.
_BOOLS: Final = {
    spelling: value
    for value, words in ((True, ("yes", "true", "on")), (False, ("no", "false", "off")))
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
}
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_INT: Final = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+][0-9]+)?\Z")


def plain_mapping(node: Map) -> dict[str, Any]:
    """A mapping as a dict; a key that is no text becomes the text it is written as, merge keys are resolved."""
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key, value in node.pairs:
        name = key_text(key)
        if name == "<<":
            for source in merge_sources(value):
                merged = {**plain_mapping(source), **merged}
        else:
            own[name] = plain(value)
    return {**merged, **own}


def plain(node: Node) -> Any:
    """A node as dict, list, text, number, boolean or ``None``; dates stay texts."""
    target = resolved(node)
    if isinstance(target, Scalar):
        return _plain_scalar(target)
    if isinstance(target, Seq):
        return [plain(item) for item in target.items]
    return plain_mapping(target)


def merge_sources(value: Node) -> list[Map]:
    """The mappings that a ``<<`` key merges, the one that wins first."""
    target = resolved(value)
    if isinstance(target, Map):
        return [target]
    if isinstance(target, Seq):
        return [source for source in map(resolved, target.items) if isinstance(source, Map)]
    return []


class Fields(NamedTuple):
    """A mapping's own pairs by key, and what a reader must know besides."""

    pairs: dict[str, tuple[Node, Node]]
    """Of several pairs of one key the last, which is the one PyYAML keeps."""
    repeated: tuple[tuple[Node, Node], ...]
    """Pairs that a later one of the same key overrides."""

    def value(self, key: str) -> Node | None:
        """The value of a key, its own or merged."""
        pair = self.pairs.get(key)
        if pair is not None:
            return pair[1]
        merge = self.pairs.get("<<")
        if merge is not None:
            for source in merge_sources(merge[1]):
                found = fields_of(source).value(key)
                if found is not None:
                    return found
        return None


def fields_of(mapping: Map) -> Fields:
    """Read a mapping's pairs once."""
    pairs: dict[str, tuple[Node, Node]] = {}
    repeated: tuple[tuple[Node, Node], ...] = ()
    for pair in mapping.pairs:
        key = pair[0]
        if type(key) is not Scalar:
            key = resolved(key)
        if isinstance(key, Scalar):
            name = key.value
            if name in pairs:
                repeated += (pairs[name],)
            pairs[name] = pair
    return Fields(pairs, repeated)


def key_text(key: Node) -> str:
    """A key as text; one that is a mapping or a list (unquoted Jinja) has none."""
    target = resolved(key)
    return target.value if isinstance(target, Scalar) else ""


def is_true(node: Node | None) -> bool:
    """Whether a value is the boolean true, in any of YAML 1.1's spellings."""
    return node is not None and plain(node) is True


def _plain_scalar(node: Scalar) -> Any:
    value = node.value
    if node.style or node.tag is not None:
        return value
    if value in _NULLS:
        return None
    if value in _BOOLS:
        return _BOOLS[value]
    if value[0] in "0123456789+-." and any(character.isdigit() for character in value):
        digits = value.replace("_", "")
        if _INT.match(value):
            sign, bare = (-1 if value[0] == "-" else 1), digits.lstrip("+-")
            if bare == "0":
                return 0
            if bare[:2] in ("0b", "0x"):
                return sign * int(bare, 0) if len(bare) > 2 else value
            return sign * int(bare, 8 if bare[0] == "0" else 10)
        if _FLOAT.match(value):
            return float(digits)
    return value
