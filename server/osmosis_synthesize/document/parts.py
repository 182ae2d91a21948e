"""Which stretches of a schema file can be read without the rest of it, and what was found in each.

An item of a list in lines begins with a dash that is indented like those of its neighbours. Whatever stands before that
dash is closed by it, be it a plain text over several lines or a block; and whatever the item holds is closed by the
next dash, or by a key that is indented less. So such an item means the same wherever it stands, if no alias, no
directive and no open quote or brace reaches across its borders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from osmosis_synthesize.document.compose import NotAlone
from osmosis_synthesize.document.model import (
    Change,
    Document,
    Entry,
    Frame,
    Layout,
    NewColumn,
    NewEntry,
    Part,
    Problem,
)
from osmosis_synthesize.document.nodes import Map, Node, Scalar, Seq, Target, is_null, resolved, value_of
from osmosis_synthesize.names import EntryKey, ResourceType
from osmosis_synthesize.text import Span

TOP_LEVEL: Final[dict[str, ResourceType]] = {"models": "model", "seeds": "seed", "snapshots": "snapshot"}
"""The top-level keys whose items are entries; ``sources`` has them one level deeper, under ``tables``."""

SECTIONS: Final[dict[ResourceType, str]] = {resource_type: key for key, resource_type in TOP_LEVEL.items()}

_DIRECTIVE: Final = re.compile(r"^\ufeff?%", re.MULTILINE)
_MARKER: Final = re.compile(r"^(?:---|\.\.\.)", re.MULTILINE)
"""What begins or ends a document, wherever it stands."""


class Stretch(NamedTuple):
    """Some whole lines, and what they are; without a ``frame`` they can be read with the rest of the text only."""

    span: Span
    frame: Frame | None


def stretches(text: str, root: Map) -> list[Stretch] | None:
    """The items of all lists of a file, in its order; ``None`` for a file whose items cannot be told apart.

    The text has no alias, and the parser in C reads it.
    """
    keys = [key for key, _ in root.pairs]
    names = {key.value for key in keys if isinstance(key, Scalar)}
    if root.flow or root.anchor is not None or root.tag is not None or len(names) < len(keys):
        return None
    if _DIRECTIVE.search(text, 0, root.start) or not all(_begins_line(text, key) for key in keys):
        return None
    ends = [*(key.start for key in keys[1:]), len(text)]
    found: list[Stretch] = []
    for (key, value), end in zip(root.pairs, ends, strict=True):
        assert isinstance(key, Scalar)
        if key.value == "sources":
            stretched = _tables(text, value, end)
        else:
            resource_type = TOP_LEVEL.get(key.value)
            stretched = _items(text, value, end, resource_type, None, f"{key.value}:\n" if resource_type else "x:\n")
        found += [Stretch(Span(key.start, end), None)] if stretched is None else stretched
    return found


def _begins_line(text: str, key: Node) -> bool:
    return (
        isinstance(key, Scalar)
        and key.end > key.start
        and text[max(key.start - 1, 0) : key.start] in ("", "\n", "\ufeff")
    )


def _items(
    text: str, value: Node, end: int, resource_type: ResourceType | None, source: str | None, before: str
) -> list[Stretch] | None:
    """The items of one list that reaches to ``end``."""
    if isinstance(value, Scalar):
        return []
    if not isinstance(value, Seq):
        return None
    line = text.rfind("\n", 0, value.start) + 1
    return items_of(text, value, Frame(resource_type, source, before, value.start - line), end)


def items_of(text: str, items: Seq, frame: Frame, end: int) -> list[Stretch] | None:
    """The items of a list that reaches to ``end``; ``None`` where they do not begin with their dashes, each on its line."""
    if not items.items or items.flow or items.anchor is not None or items.tag is not None:
        return None
    dash = " " * frame.dash + "-"
    first = items.start - frame.dash
    if not text.startswith(dash, first) or text[max(first - 1, 0) : first] not in ("", "\n"):
        return None
    starts = [first]
    for item in items.items[1:]:
        # Between an item's dash and its first node stand nothing but blanks and comments.
        start = text.rfind("\n" + dash, starts[-1], item.start) + 1
        if start <= starts[-1]:
            return None
        starts.append(start)
    return [Stretch(Span(one, other), frame) for one, other in zip(starts, [*starts[1:], end], strict=True)]


def _tables(text: str, value: Node, end: int) -> list[Stretch] | None:
    """The tables of all sources. What else stands in a source is read with the whole text only."""
    sources = _items(text, value, end, None, None, "")
    if not sources or not isinstance(value, Seq):
        return sources
    found: list[Stretch] = []
    for item, (span, frame) in zip(value.items, sources, strict=True):
        assert frame is not None
        tables = _tables_of(text, item, span.end, frame.dash)
        if tables is None:
            return None
        found += tables
    return found


def _tables_of(text: str, source: Node, end: int, dash: int) -> list[Stretch] | None:
    if not isinstance(source, Map):
        return []
    names = [key.value for key, _ in source.pairs if isinstance(key, Scalar)]
    if source.flow or len(set(names)) < len(source.pairs) or "<<" in names:
        return None
    name = value_of(source, "name")
    named = resolved(name) if name is not None else None
    if "tables" not in names or not isinstance(named, Scalar) or is_null(named):
        return []
    index = names.index("tables")
    key, value = source.pairs[index]
    line = text.rfind("\n", 0, key.start) + 1
    if text[line : key.start].strip(" ") not in ("", "-"):
        return None
    if index + 1 < len(source.pairs):
        end = text.rfind("\n", 0, source.pairs[index + 1][0].start) + 1
    before = f"sources:\n{' ' * dash}-\n{' ' * (key.start - line)}tables:\n"
    return _items(text, value, end, "source", named.value, before)


def list_in(root: Target | None, frame: Frame, text: str, lines: Span) -> Seq:
    """The list that ``lines``, read inside of ``frame``, hold.

    Raises:
        NotAlone: they hold something else, or something more.
    """
    value = _only_value(root)
    if frame.source is not None and isinstance(value, Seq) and len(value.items) == 1:
        value = _only_value(value.items[0])
    if (
        not isinstance(value, Seq)
        or value.start != lines.start + frame.dash
        or _MARKER.search(text, lines.start, lines.end)
    ):
        raise NotAlone
    return value


def _only_value(node: Node | None) -> Node | None:
    return node.pairs[0][1] if isinstance(node, Map) and len(node.pairs) == 1 else None


def begins_with_item(text: str, start: int, frame: Frame) -> bool:
    """Whether an item of the frame's list begins at ``start``."""
    dash = start + frame.dash + 1
    return text.startswith(" " * frame.dash + "-", start) and text[dash : dash + 1] in ("", " ", "\n", "\r", "\t")


def key_of(change: Change) -> EntryKey:
    """The entry that a change is about."""
    return change.key if isinstance(change, NewColumn | NewEntry) else change.slot.key


def part_of(document: Document, change: Change) -> int | None:
    """The number of the part in which alone a change is made; ``None`` where more than one part has a say in it."""
    if document.broken or isinstance(change, NewEntry):
        return None
    key = key_of(change)
    number = document.part_of(key)
    part = document.layout.parts[number] if number is not None else None
    return number if part is not None and part.frame is not None and part.readable else None


def named_lines(frame: Frame) -> str:
    """The lines that may stand before a frame's items, with the name of their source."""
    if frame.source is None:
        return frame.before
    first, _, tables = frame.before.partition("-\n")
    indent = tables[: len(tables) - len(tables.lstrip(" "))]
    return f"{first}-\n{indent}name: {json.dumps(frame.source)}\n{tables}"


def layout_of(found: Sequence[Stretch], entries: Sequence[Entry], problems: Sequence[Problem]) -> Layout:
    """Each entry and problem in the part of the text where it stands."""
    waiting = sorted(entries, key=lambda entry: entry.span.start)
    ordered = sorted(problems, key=lambda problem: problem.span.start)
    others: list[Problem] = []
    parts: list[Part] = []
    entry = problem = 0
    for span, frame in found:
        first = entry
        while entry < len(waiting) and waiting[entry].span.start < span.end:
            entry += 1
        while problem < len(ordered) and ordered[problem].span.start < span.start:
            others.append(ordered[problem])
            problem += 1
        first_problem = problem
        while problem < len(ordered) and ordered[problem].span.start <= span.end:  # an empty item may end the text
            problem += 1
        parts.append(Part(span, tuple(waiting[first:entry]), tuple(ordered[first_problem:problem]), frame))
    others += ordered[problem:]
    return Layout(tuple(parts), tuple(part.span.start for part in parts), tuple(others))
