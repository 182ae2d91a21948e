"""What a schema file holds, as far as descriptions are concerned: entries, columns, slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from osmosis_synthesize.names import EntryKey, fold
from osmosis_synthesize.text import Span, TextEdit

SlotState = Literal["absent", "empty", "text", "blocked"]
"""``absent``: no ``description`` key. ``empty``: a key whose value is null, blank or no text of its own.
``text``: a value is there (it may still be a placeholder: see :func:`osmosis_synthesize.document.is_gap`).
``blocked``: a text may not be written here, and :attr:`Slot.blocked_by` says why."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place where one description stands or would stand."""

    key: EntryKey
    column: str | None
    """The column's name as the file spells it; ``None`` for the entry's own description."""
    state: SlotState
    text: str | None
    """The description as YAML reads it, not rendered: ``{{ doc('x') }}`` stays. ``None`` unless ``state`` is text."""
    span: Span
    """The value's own span, quotes and block indicator included. Empty, where it would stand, if it is absent."""
    name_span: Span
    """Where the name of the column or entry stands: what an editor underlines."""
    quoted: bool = False
    """``quote: true``: the column's name is compared with its case."""
    blocked_by: str | None = None
    """Why no text may be written here: shared by an anchor with other entries, a misspelt key that holds a text, …"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model (or one of its versions), seed, snapshot or source table, in the order of the file."""

    key: EntryKey
    slot: Slot | None
    """The entry's own description; ``None`` for the items of ``versions:``, whose model has it."""
    columns: tuple[Slot, ...]
    span: Span
    """The whole entry."""
    name_span: Span
    data: Mapping[str, Any]
    """The entry as plain data (aliases and merge keys resolved): tests, ``data_type``, ``meta``, ``config``, …"""

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
