"""What a schema file holds, as far as descriptions are concerned: entries, columns, slots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from osmosis_synthesize.document.data import plain_mapping
from osmosis_synthesize.document.nodes import Map, content_end
from osmosis_synthesize.names import EntryKey, fold
from osmosis_synthesize.text import LineIndex, Span, TextEdit

SlotState = Literal["absent", "empty", "text", "blocked"]
"""``absent``: no ``description`` key. ``empty``: a key whose value is null, blank or no text of its own.
``text``: a value is there (it may still be a placeholder: see :func:`osmosis_synthesize.document.is_gap`).
``blocked``: there is none, and none may be written here: :attr:`Slot.blocked_by` says why."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place where one description stands or would stand."""

    key: EntryKey
    column: str | None
    """The column's name as the file spells it; ``None`` for the entry's own description."""
    state: SlotState
    text: str | None
    """The description as YAML reads it, not rendered: ``{{ doc('x') }}`` stays, even where somebody forgot to quote it.
    ``None`` unless ``state`` is text."""
    span: Span
    """The value's own span, quotes and block indicator included. Empty, where it would stand, if it is absent."""
    name_span: Span
    """Where the name of the column or entry stands: what an editor underlines."""
    quoted: bool = False
    """``quote: true``: the column's name is compared with its case."""
    blocked_by: str | None = None
    """Why no text may be written here: shared by an anchor with other entries, a misspelt key that holds a text, …

    Always set where ``state`` is ``blocked``. Where it is ``text``, it says that the text may be read, not replaced."""


@dataclass(frozen=True)
class Entry:
    """One model (or one of its versions), seed, snapshot or source table, in the order of the file."""

    key: EntryKey
    slot: Slot | None
    """The entry's own description; ``None`` for the items of ``versions:``, whose model has it."""
    columns: tuple[Slot, ...]
    span: Span
    """The whole entry."""
    name_span: Span
    node: Map = field(repr=False, compare=False)
    """The entry's mapping, for this package's own use."""

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """The entry as plain data, as dbt reads it (aliases and merge keys resolved): tests, ``meta``, ``config``, …"""
        return plain_mapping(self.node)

    def column(self, name: str) -> Slot | None:
        """The slot of a column by name, compared without case unless quoted; the last one wins, as in dbt."""
        for slot in reversed(self.columns):
            if slot.column is not None and fold(slot.column, quoted=slot.quoted) == fold(name, quoted=slot.quoted):
                return slot
        return None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the file that keeps us from reading or editing a part of it; the rest works."""

    span: Span
    message: str


class Place(NamedTuple):
    """Which mapping a slot belongs to; for this package's own use."""

    slot: Slot
    node: Map


@dataclass(frozen=True)
class Document:
    """One schema file's text and what was found in it."""

    text: str
    entries: tuple[Entry, ...]
    """In the order of the file. A versioned model comes before its versions."""
    problems: tuple[Problem, ...]
    root: Map | None = field(repr=False, compare=False)
    """The top-level mapping; ``None`` where there is none. For this package's own use, as is ``places``."""
    places: Mapping[int, Place] = field(repr=False, compare=False)
    """The place of each slot that is not blocked, by the start of its ``name_span``."""

    @cached_property
    def lines(self) -> LineIndex:
        """Lines and positions of the text."""
        return LineIndex(self.text)

    @cached_property
    def _by_key(self) -> Mapping[EntryKey, Entry]:
        return {entry.key: entry for entry in self.entries}

    def entry(self, key: EntryKey) -> Entry | None:
        """The entry of that key; of several the last."""
        return self._by_key.get(key)

    def slots(self) -> Iterator[Slot]:
        """All slots, each entry's own before those of its columns."""
        for entry in self.entries:
            if entry.slot is not None:
                yield entry.slot
            yield from entry.columns

    def slot_at(self, offset: int) -> Slot | None:
        """The slot of the column, else of the entry, on whose lines ``offset`` lies."""
        found = None
        for entry in self.entries:
            if self._on_lines_of(entry.span, offset):
                found = entry.slot or found
                for slot in entry.columns:
                    place = self.places.get(slot.name_span.start)
                    span = slot.name_span
                    if place is not None:
                        span = Span(place.node.start, content_end(place.node, self.text))
                    if self._on_lines_of(span, offset):
                        found = slot
        return found

    def _on_lines_of(self, span: Span, offset: int) -> bool:
        lines = self.lines
        return lines.line_of(span.start) <= lines.line_of(offset) <= lines.line_of(span.end)


@dataclass(frozen=True, slots=True)
class Fill:
    """Put ``text`` into ``slot``."""

    slot: Slot
    text: str


@dataclass(frozen=True, slots=True)
class NewColumn:
    """Add a column that the entry ``key`` lacks, after the column named ``after`` (``None``: as its last)."""

    key: EntryKey
    name: str
    description: str | None = None
    data_type: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Add an entry that the file lacks. Its columns are ``NewColumn`` values with the same key."""

    key: EntryKey
    description: str | None = None
    columns: tuple[NewColumn, ...] = ()


Change = Fill | NewColumn | NewEntry


@dataclass(frozen=True, slots=True)
class Rejected:
    """A change that was not made, and why; the others were."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Edited:
    """The outcome of an edit: minimal ``edits`` that turn the old text into ``text``, proven to change nothing else."""

    text: str
    edits: tuple[TextEdit, ...]
    rejected: tuple[Rejected, ...] = ()
