"""Documents for whoever keeps many: with what takes most of the memory packed, or left out and read again when needed.

What was read of a file takes some thirty times as many bytes as its text: the tree of its nodes, and for each column a slot
with two spans. Here the tree goes, and of the slots there is one array of numbers an entry.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from osmosis_synthesize.document.data import plain_mapping
from osmosis_synthesize.document.model import HABITS, Document, Entry, Part, Slot, SlotState
from osmosis_synthesize.names import fold
from osmosis_synthesize.text import Span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osmosis_synthesize.document.nodes import Map
    from osmosis_synthesize.names import EntryKey

Item = TypeVar("Item")

_STATES: Final[tuple[SlotState, ...]] = ("absent", "empty", "text", "blocked")
_QUOTED: Final = len(_STATES)
"""What is added to a state's number where the column's name is quoted."""


class _Packed(Sequence[Item]):
    """Items of which each is made when it is asked for."""

    __slots__ = ()

    @abstractmethod
    def _made(self, at: int) -> Item:
        """The item at a place, counted from the front."""

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | Sequence[Item]:
        places = range(len(self))[at]
        return self._made(places) if isinstance(places, int) else [self._made(each) for each in places]


class PackedSpans(_Packed[Span]):
    """Spans, as an array of their offsets."""

    __slots__ = ("_offsets",)

    def __init__(self, spans: Iterable[Span]) -> None:
        self._offsets: Final = array("I", [offset for span in spans for offset in (span.start, span.end)])

    def _made(self, at: int) -> Span:
        return Span(self._offsets[2 * at], self._offsets[2 * at + 1])

    def __len__(self) -> int:
        return len(self._offsets) // 2


class PackedSlots(_Packed[Slot]):
    """The slots of one entry's columns, as arrays of what they are made of."""

    __slots__ = ("_blocked", "_key", "_kinds", "_name_spans", "_names", "_spans", "_texts")

    def __init__(self, key: EntryKey, slots: Sequence[Slot]) -> None:
        self._key: Final = key
        self._names: Final = tuple(slot.column for slot in slots)
        self._texts: Final = tuple(slot.text for slot in slots)
        self._kinds: Final = bytes(_STATES.index(slot.state) + _QUOTED * slot.quoted for slot in slots)
        self._spans: Final = PackedSpans(slot.span for slot in slots)
        self._name_spans: Final = PackedSpans(slot.name_span for slot in slots)
        reasons = {at: slot.blocked_by for at, slot in enumerate(slots) if slot.blocked_by is not None}
        self._blocked: Final = reasons or None

    def _made(self, at: int) -> Slot:
        kind = self._kinds[at]
        return Slot(
            self._key,
            self._names[at],
            _STATES[kind % _QUOTED],
            self._texts[at],
            self._spans[at],
            self._name_spans[at],
            kind >= _QUOTED,
            self._blocked.get(at) if self._blocked is not None else None,
        )

    def __len__(self) -> int:
        return len(self._names)

    def called(self, name: str) -> Slot | None:
        """The last slot of that name, compared without case unless quoted."""
        folded = fold(name)
        for at in range(len(self._names) - 1, -1, -1):
            own = self._names[at]
            if own == name or (own is not None and self._kinds[at] < _QUOTED and fold(own) == folded):
                return self[at]
        return None


@dataclass(frozen=True, slots=True)
class Unread:
    """A mapping whose nodes were let go, and what it takes to read it again."""

    text: str
    lines: Span
    """Whole lines of ``text`` that can be read alone."""
    before: str
    """What has to stand before them: see :attr:`osmosis_synthesize.document.model.Frame.before`."""
    start: int
    """Where in ``text`` the mapping begins."""

    def read(self) -> Map:
        """The mapping, once more."""
        from osmosis_synthesize.document.compose import compose_lines
        from osmosis_synthesize.document.nodes import mapping_at

        return mapping_at(compose_lines(self.text, self.lines, self.before), self.start)


class PackedEntry(Entry):
    """An entry that takes little memory. What it is made from is read anew each time."""

    columns: PackedSlots

    @property
    def node(self) -> Map:
        """See :attr:`Entry.node`."""
        return self.mapping.read() if isinstance(self.mapping, Unread) else self.mapping

    @property
    def data(self) -> Mapping[str, Any]:
        """See :attr:`Entry.data`."""
        return plain_mapping(self.node)

    def column(self, name: str) -> Slot | None:
        """See :meth:`Entry.column`."""
        return self.columns.called(name)

    def shifted(self, by: int) -> PackedEntry:
        """See :meth:`Entry.shifted`."""
        moved = super().shifted(by)
        return PackedEntry(
            moved.key,
            moved.slot,
            PackedSlots(moved.key, moved.columns),
            moved.span,
            moved.name_span,
            moved.mapping,
            PackedSpans(moved.column_spans),
        )


class PackedDocument(Document):
    """A document that takes little memory, with the very entries, problems and lines of the one that it was made from.

    For an edit its text is read again, as is that of every document which is not :attr:`whole`.
    """

    @property
    def data(self) -> Mapping[str, Any]:
        """See :attr:`Document.data`."""
        return _data_of(self.text)


def packed(document: Document) -> Document:
    """The same document in little memory. Where single entries cannot be read alone, their nodes stay."""
    layout = document.layout
    parts = tuple(_packed(part, document.text, layout.moved(number)) for number, part in enumerate(layout.parts))
    lean = PackedDocument(
        document.text,
        layout._replace(parts=parts),
        whole=False,
        broken=document.broken,
        remains=document.remains,
    )
    if HABITS in document.__dict__:
        lean.__dict__[HABITS] = document.__dict__[HABITS]
    return lean


def _packed(part: Part, text: str, moved: int) -> Part:
    entries = tuple(_packed_entry(entry, part, text, moved) for entry in part.entries)
    return replace(part, entries=entries) if entries else part


def _packed_entry(entry: Entry, part: Part, text: str, moved: int) -> Entry:
    mapping = entry.mapping
    if part.frame is not None:
        mapping = Unread(text, part.span.shifted(moved), part.frame.before, entry.span.start + moved)
    return PackedEntry(
        entry.key,
        entry.slot,
        PackedSlots(entry.key, entry.columns),
        entry.span,
        entry.name_span,
        mapping,
        PackedSpans(entry.column_spans),
    )


@lru_cache(maxsize=2)
def _data_of(text: str) -> Mapping[str, Any]:
    from osmosis_synthesize.document.reader import parse

    return parse(text).data
