"""Descriptions that are longer than the warehouse takes: a build that persists them would fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from osmosis_synthesize.document import Document, Entry
from osmosis_synthesize.document.model import Slot
from osmosis_synthesize.engine.gaps import EVERYTHING, Naming, Selection, relative
from osmosis_synthesize.engine.review import ADAPTER_LIMITS, TABLE_LIMITS

_SHORTEST_LIMIT: Final = min(*ADAPTER_LIMITS.values(), *TABLE_LIMITS.values())
"""Characters. No text up to this length is too long for anybody."""


class Limits(NamedTuple):
    """The longest descriptions, in characters, that an adapter's warehouse takes; ``None`` for no limit."""

    adapter: str
    column: int | None
    table: int | None


@dataclass(frozen=True, slots=True)
class TooLong:
    """A description that does not fit."""

    file: Path
    line: int
    """From 1."""
    character: int
    """From 1."""
    unique_id: str
    column: str | None
    length: int
    """In characters."""
    limit: int
    adapter: str


def limits_of(adapter: str) -> Limits:
    """The limits of an adapter, as the manifest names it."""
    return Limits(adapter, ADAPTER_LIMITS.get(adapter), TABLE_LIMITS.get(adapter))


def is_suspect(document: Document) -> bool:
    """Whether a schema file has a text that is too long for some warehouse."""
    return any(len(slot.text or "") > _SHORTEST_LIMIT for entry in document.entries for slot in _slots_of(entry))


def too_long(
    document: Document, file: Path, *, naming: Naming, limits: Limits, select: Selection = EVERYTHING
) -> Iterator[TooLong]:
    """The descriptions of one schema file that are too long, in its order.

    What refers to doc blocks is passed over: how long it is once dbt has rendered it is not known from the file.
    """
    path = relative(file, naming.project_dir)
    for entry in document.entries:
        for slot in _slots_of(entry):
            limit = limits.table if slot.column is None else limits.column
            text = (slot.text or "").strip()
            if limit is None or len(text) <= limit or "{{" in text:
                continue
            nodes = naming.nodes(entry.key, path)
            if not select.has(entry.key, naming.unique_id(entry.key, nodes, None)):
                continue
            place = document.lines.position(slot.span.start, "utf-32")
            yield TooLong(
                file,
                place.line + 1,
                place.character + 1,
                naming.unique_id(entry.key, nodes, slot.column),
                slot.column,
                len(text),
                limit,
                limits.adapter,
            )


def _slots_of(entry: Entry) -> tuple[Slot, ...]:
    return (*((entry.slot,) if entry.slot is not None else ()), *entry.columns)
