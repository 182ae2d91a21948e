"""What a schema file holds, as far as descriptions are concerned: entries, columns, slots."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from osmosis_synthesize.document.data import plain_mapping
from osmosis_synthesize.document.nodes import Map
from osmosis_synthesize.names import EntryKey, ResourceType, fold
from osmosis_synthesize.text import LineIndex, Span, TextEdit

if TYPE_CHECKING:
    from osmosis_synthesize.document.compose import Composed
    from osmosis_synthesize.document.packed import Unread

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

    def shifted(self, by: int) -> Slot:
        """The same slot, ``by`` characters further on."""
        return Slot(
            self.key,
            self.column,
            self.state,
            self.text,
            self.span.shifted(by),
            self.name_span.shifted(by),
            self.quoted,
            self.blocked_by,
        )


@dataclass(frozen=True)
class Entry:
    """One model (or one of its versions), seed, snapshot or source table, in the order of the file."""

    key: EntryKey
    slot: Slot | None
    """The entry's own description; ``None`` for the items of ``versions:``, whose model has it."""
    columns: Sequence[Slot]
    span: Span
    """The whole entry."""
    name_span: Span
    mapping: Map | Unread = field(repr=False, compare=False)
    """The entry's mapping, as it stood when the entry was read; for this package's own use, as is ``node``."""
    column_spans: Sequence[Span] = field(default=(), repr=False, compare=False)
    """The whole of each of the columns."""

    @property
    def node(self) -> Map:
        """The mapping; read again where it was let go."""
        assert isinstance(self.mapping, Map), "whoever lets it go knows how to read it again"
        return self.mapping

    @property
    def data(self) -> Mapping[str, Any]:
        """The entry as plain data, as dbt reads it (aliases and merge keys resolved): tests, ``meta``, ``config``, …"""
        return self._data

    @cached_property
    def _data(self) -> Mapping[str, Any]:
        return plain_mapping(self.node)

    def shifted(self, by: int) -> Entry:
        """The same entry, ``by`` characters further on."""
        return Entry(
            self.key,
            self.slot.shifted(by) if self.slot is not None else None,
            tuple(slot.shifted(by) for slot in self.columns),
            self.span.shifted(by),
            self.name_span.shifted(by),
            self.mapping,
            tuple(span.shifted(by) for span in self.column_spans),
        )

    def column(self, name: str) -> Slot | None:
        """The slot of a column by name, compared without case unless quoted; the last one wins, as in dbt."""
        folded = fold(name)
        for slot in reversed(self.columns):
            own = slot.column
            if own == name or (own is not None and not slot.quoted and fold(own) == folded):
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


HABITS: Final = "habits"
"""Where a document remembers how it is written: see :mod:`.style`."""


class Frame(NamedTuple):
    """What stands around the items of one list: enough to read some of them without the rest of the text."""

    resource_type: ResourceType | None
    """What the items are; ``None`` for those that are no entries."""
    source: str | None
    """The source whose tables they are."""
    before: str
    """Lines that may stand before the items instead of all that does."""
    dash: int
    """How far the items' dashes are indented."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the text, and what was read in it. All offsets are those of the text in which it was read."""

    span: Span
    """Whole lines."""
    entries: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    frame: Frame | None = None
    """``None``: it can be read with the rest of the text only."""
    readable: bool = True
    """Otherwise its text was no YAML when it was last looked at, and the entries are what is left of older ones."""


class Layout(NamedTuple):
    """The parts of a text in its order, and where each begins in it. Between them other things may stand."""

    parts: tuple[Part, ...] = ()
    starts: tuple[int, ...] = ()
    others: tuple[Problem, ...] = ()
    """The problems outside of all parts, where they stand now."""

    def moved(self, index: int) -> int:
        """How far a part has moved since it was read."""
        return self.starts[index] - self.parts[index].span.start

    def end(self, index: int) -> int:
        """Where a part ends."""
        return self.starts[index] + len(self.parts[index].span)


@dataclass(frozen=True, eq=False)
class Document:
    """One schema file's text and what was found in it.

    Two are equal if they have the same text, entries and problems.
    """

    text: str
    layout: Layout = field(repr=False)
    """What was found, as it is kept: for this package's own use, as are ``root``, ``places``, ``whole`` and ``remains``."""
    root: Map | None = field(default=None, repr=False)
    """The top-level mapping; ``None`` where there is none, or the document is not :attr:`whole`."""
    places: Mapping[int, Place] = field(default_factory=dict[int, Place], repr=False)
    """The place of each slot that is not blocked, by the start of its ``name_span``, if the document is ``whole``."""
    whole: bool = field(default=True, repr=False)
    """It was read in one go. Otherwise only parts of it were, and its nodes stand elsewhere than they say."""
    broken: bool = False
    """The text is no YAML: there is nothing but a problem. :func:`osmosis_synthesize.document.carried_over` tells what there
    was before; what comes from there is ``broken`` too."""
    remains: Layout | None = field(default=None, repr=False)
    """Of a broken document: what there was before."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Document):
            return NotImplemented
        return self.text == other.text and self.entries == other.entries and self.problems == other.problems

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """In the order of the file. A versioned model comes before its versions."""
        return tuple(entry for index in range(len(self.layout.parts)) for entry in self._entries_of(index))

    def entries_as_read(self) -> Iterator[tuple[Entry, int]]:
        """All entries, each as it was when it was read, and how far it has moved since.

        They are the same objects in a document and in what :func:`osmosis_synthesize.document.reparse` makes of it, but for
        those that were read again: what was made of an entry may be kept as long as the entry is there.
        """
        for part, start in zip(self.layout.parts, self.layout.starts, strict=True):
            by = start - part.span.start
            for entry in part.entries:
                yield entry, by

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """In the order of the file."""
        found = list(self.layout.others)
        for index, part in enumerate(self.layout.parts):
            if part.problems:
                by = self.layout.moved(index)
                found += [Problem(problem.span.shifted(by), problem.message) for problem in part.problems]
        return tuple(sorted(found, key=lambda problem: problem.span.start))

    @property
    def data(self) -> Mapping[str, Any]:
        """The whole file as plain data, as dbt reads it; empty where it was not read in one go."""
        return self._data

    @cached_property
    def _data(self) -> Mapping[str, Any]:
        return plain_mapping(self.root) if self.root is not None else {}

    @cached_property
    def lines(self) -> LineIndex:
        """Lines and positions of the text."""
        return LineIndex(self.text)

    @cached_property
    def _by_key(self) -> Mapping[EntryKey, _Found]:
        return {
            entry.key: _Found(part, index)
            for part, kept in enumerate(self.layout.parts)
            for index, entry in enumerate(kept.entries)
        }

    @cached_property
    def _part_by_key(self) -> Mapping[EntryKey, int | None]:
        """The part of each key's entry; ``None`` where several parts have one."""
        parts: dict[EntryKey, int | None] = {}
        for number, part in enumerate(self.layout.parts):
            for entry in part.entries:
                parts[entry.key] = number if parts.get(entry.key, number) == number else None
        return parts

    @cached_property
    def _moved(self) -> dict[int, tuple[Entry, ...]]:
        return {}

    def _entries_of(self, part: int) -> tuple[Entry, ...]:
        """The entries of a part, where they stand now."""
        by = self.layout.moved(part)
        kept = self.layout.parts[part].entries
        if by == 0:
            return kept
        if part not in self._moved:
            self._moved[part] = tuple(entry.shifted(by) for entry in kept)
        return self._moved[part]

    def entry(self, key: EntryKey) -> Entry | None:
        """The entry of that key; of several the last."""
        found = self._by_key.get(key)
        return None if found is None else self._entries_of(found.part)[found.entry]

    def part_of(self, key: EntryKey) -> int | None:
        """The number of the only part with an entry of that key; for this package's own use."""
        return self._part_by_key.get(key)

    def slots(self) -> Iterator[Slot]:
        """All slots, each entry's own before those of its columns."""
        for entry in self.entries:
            if entry.slot is not None:
                yield entry.slot
            yield from entry.columns

    def entry_at(self, offset: int) -> Entry | None:
        """The entry on whose lines ``offset`` lies; of a model and its version the version."""
        found = self._find(offset)
        return None if found is None else self._entries_of(found.part)[found.entry]

    def slot_at(self, offset: int) -> Slot | None:
        """The slot of the column, else of the entry, on whose lines ``offset`` lies."""
        found = self._find(offset)
        if found is None:
            return None
        entries = self._entries_of(found.part)
        entry = entries[found.entry]
        line = self._line(offset)
        column = bisect_right(entry.column_spans, line.end, key=_start) - 1
        if column >= 0 and entry.column_spans[column].end >= line.start:
            return entry.columns[column]
        owner = found.entry
        while entries[owner].key.version is not None and owner > 0:  # a version's model stands before it
            owner -= 1
        return entries[owner].slot

    def _find(self, offset: int) -> _Found | None:
        line = self._line(offset)
        part = bisect_right(self.layout.starts, line.end) - 1
        if part < 0:
            return None
        entries, by = self.layout.parts[part].entries, self.layout.moved(part)
        index = bisect_right(entries, line.end - by, key=_entry_start) - 1
        while index >= 0 and entries[index].span.end + by < line.start:
            if entries[index].key.version is None:
                return None  # entries other than versions do not overlap
            index -= 1
        return _Found(part, index) if index >= 0 else None

    def _line(self, offset: int) -> Span:
        return self.lines.line_span(self.lines.line_of(offset))


class _Found(NamedTuple):
    """An entry: the number of its part, and its own in there."""

    part: int
    entry: int


def _start(span: Span) -> int:
    return span.start


def _entry_start(entry: Entry) -> int:
    return entry.span.start


@dataclass(frozen=True, slots=True)
class Fill:
    """Put ``text`` into ``slot``."""

    slot: Slot
    text: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Take the text out of ``slot``, so that it has none: its key goes too, unless somebody's comment would go with it."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class NewColumn:
    """Add a column that the entry ``key`` lacks, after the column named ``after`` (``None``: as its last)."""

    key: EntryKey
    name: str
    description: str | None = None
    data_type: str | None = None
    after: str | None = None
    first: bool = False
    """Before all columns that are there; ``after`` then says nothing."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Add an entry that the file lacks. Its columns are ``NewColumn`` values with the same key."""

    key: EntryKey
    description: str | None = None
    columns: tuple[NewColumn, ...] = ()
    before: EntryKey | None = None
    """The entry of the same list in front of which it comes; behind all that are there without one, or if it is not there."""


@dataclass(frozen=True, slots=True)
class SetMeta:
    """Give the column or entry of ``slot`` a text under ``key`` of ``config: meta:``, in place of one that is there."""

    slot: Slot
    key: str
    value: str


Change = SetMeta | Fill | Clear | NewColumn | NewEntry


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
    composed: Composed | None = field(default=None, repr=False, compare=False)
    """What the whole text was read as for the proof, if it was: :func:`osmosis_synthesize.document.parse_edited` need not read it
    again."""
