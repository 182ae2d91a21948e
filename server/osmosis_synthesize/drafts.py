"""The project's schema files as they are being edited: read once, changed in memory, written when told to."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from osmosis_synthesize.document import Document, edit, packed, parse, parse_edited
from osmosis_synthesize.document.model import Change, Clear, Fill, NewColumn, NewEntry, SetMeta
from osmosis_synthesize.engine.model import Addition, Gap
from osmosis_synthesize.errors import DocumentError
from osmosis_synthesize.files import Source, read_source, write_source
from osmosis_synthesize.names import EntryKey

_WHOLE: Final = 500_000
"""Characters of schema files that need not be packed, together. What was read of them takes some thirty times as many bytes."""


@dataclass(slots=True)
class _Draft:
    """One file: as it is on disk (``None`` for a new one), and as it will be."""

    source: Source | None
    document: Document

    @property
    def changed(self) -> bool:
        return self.document.text != (self.source.text if self.source is not None else "")


class Drafts:
    """Every schema file that was looked at, by absolute path. ``buffers`` are texts that stand for their files.

    ``read`` parses the text of a file; a program that runs for long brings one that remembers what it has parsed.
    ``forbidden`` says why a file must not be edited, if it must not: whatever a manifest says, nothing is written there.
    """

    def __init__(
        self,
        buffers: Mapping[Path, str] | None = None,
        *,
        read: Callable[[Path, str], Document] | None = None,
        forbidden: Callable[[Path], str | None] | None = None,
    ) -> None:
        self._buffers = buffers or {}
        self._read = read
        self._forbidden = forbidden
        self._drafts: dict[Path, _Draft] = {}
        self._whole: dict[Path, int] = {}
        """The length of those files that are not packed, the one that was read or edited last at the end."""
        self._room = _WHOLE
        self._sources: dict[Path, Source] = {}
        self._unreadable: dict[Path, str] = {}
        self._before: dict[Path, bytes | None] = {}
        """The old text of each file that was written, packed: it is seldom asked for."""

    @property
    def unreadable(self) -> Mapping[Path, str]:
        """The files that could not be read, and why."""
        return self._unreadable

    def get(self, path: Path) -> Document | None:
        """The file as it stands now, edits included; ``None`` where there is none or it cannot be read."""
        draft = self._draft(path)
        return draft.document if draft is not None else None

    def text(self, path: Path) -> str | None:
        """The file's text as it stands now, without parsing it; ``None`` where it cannot be read."""
        if path in self._drafts:
            return self._drafts[path].document.text
        source = self._source(path)
        return self._buffers.get(path, source.text if source is not None else None)

    def buffer(self, path: Path) -> str | None:
        """The text that stands for a file of any kind, where there is one."""
        return self._buffers.get(path)

    def fill(
        self, texts: Sequence[tuple[Gap, str | None]], order: Mapping[Path, Sequence[EntryKey]] | None = None
    ) -> list[str | None]:
        """Edit texts into their files, in memory; without a text, a column is added that the file lacks.

        Gives, for each, why it could not be done; ``None`` where it was.

        Args:
            texts: each with the gap that it is for.
            order: the entries that files lacked at first, as they are to come, whichever is filled first.
        """
        by_file: dict[Path, list[int]] = {}
        for number, (gap, _) in enumerate(texts):
            by_file.setdefault(gap.file, []).append(number)
        reasons: list[str | None] = [None] * len(texts)
        for path, numbers in by_file.items():
            new = order.get(path, ()) if order is not None else ()
            filled = self._fill_file(path, [texts[at] for at in numbers], new)
            for number, reason in zip(numbers, filled, strict=True):
                reasons[number] = reason
        return reasons

    def set_meta(self, key: str, values: Sequence[tuple[Path, EntryKey, str | None, str]]) -> list[str | None]:
        """Put texts under ``config: meta:`` of entries and columns that are there, in memory.

        Gives, for each, why it could not be done; ``None`` where it was.

        Args:
            key: under which the texts are to stand.
            values: file, entry, column (``None`` for the entry itself) and text.
        """
        reasons: list[str | None] = [None] * len(values)
        for path in dict.fromkeys(path for path, *_ in values):
            draft = self._draft(path)
            changes: dict[int, SetMeta] = {}
            for number, (file, entry_key, column, text) in enumerate(values):
                entry = draft.document.entry(entry_key) if draft is not None and file == path else None
                slot = (entry.slot if column is None else entry.column(column)) if entry is not None else None
                if slot is not None:
                    changes[number] = SetMeta(slot, key, text)
                elif file == path:
                    reasons[number] = f"{entry_key} is not in the file any more"
            if draft is not None and changes:
                edited = edit(draft.document, list(changes.values()))
                rejected = {id(item.change): item.reason for item in edited.rejected}
                self._take(path, draft, parse_edited(edited))
                for number, change in changes.items():
                    reasons[number] = rejected.get(id(change))
        return reasons

    def flush(self) -> Iterator[Path]:
        """Write every changed file, atomically; yields each that was written.

        Raises:
            WriteError: a file could not be written, or has changed since it was read. It is given up; calling again
                writes the others.
        """
        for path, draft in list(self._drafts.items()):
            if not draft.changed:
                continue
            try:
                if draft.source is None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                write_source(path, draft.document.text, expected=draft.source)
            except BaseException:
                del self._drafts[path]
                self._sources.pop(path, None)
                raise
            if path not in self._before:
                self._before[path] = _packed(draft.source.text) if draft.source is not None else None
            written = read_source(path)
            if written.text == draft.document.text:  # one of them is enough in memory
                written = replace(written, text=draft.document.text)
            draft.source = self._sources[path] = written
            yield path

    @property
    def written(self) -> tuple[Path, ...]:
        """The files that were written so far."""
        return tuple(sorted(self._before))

    def changes(self) -> dict[Path, tuple[str | None, str]]:
        """Old and new text of every file that was changed, written or not, by path; ``None`` for a file that is new."""
        changes: dict[Path, tuple[str | None, str]] = {}
        for path, draft in self._drafts.items():
            if path in self._before:
                old = self._before[path]
                changes[path] = zlib.decompress(old).decode("utf-8") if old is not None else None, draft.document.text
            elif draft.changed:
                changes[path] = draft.source.text if draft.source is not None else None, draft.document.text
        return dict(sorted(changes.items()))

    def stands(self, gap: Gap, text: str) -> bool:
        """Whether a gap has this text by now."""
        document = self.get(gap.file)
        entry = document.entry(gap.key) if document is not None else None
        slot = (entry.slot if gap.column is None else entry.column(gap.column)) if entry is not None else None
        return slot is not None and slot.text == text

    def line_of(self, gap: Gap) -> int:
        """The line, from 1, where a gap's description stands now; while it has none, where its name does."""
        document = self.get(gap.file)
        entry = document.entry(gap.key) if document is not None else None
        if document is None or entry is None:
            return gap.line
        slot = entry.slot if gap.column is None else entry.column(gap.column)
        if slot is None:
            return gap.line
        place = slot.span if slot.state == "text" else slot.name_span
        return document.lines.line_of(place.start) + 1

    def _draft(self, path: Path) -> _Draft | None:
        if path not in self._drafts:
            text = self.text(path)
            if text is None:
                return None
            if self._read is not None:
                self._drafts[path] = _Draft(self._source(path), self._read(path, text))
            else:
                document = parse(text)
                self._drafts[path] = _Draft(self._source(path), document)
                self._take(path, self._drafts[path], document)
        return self._drafts[path]

    def _take(self, path: Path, draft: _Draft, document: Document) -> None:
        """Take what a file is now. A project has thousands of them: what was read or edited long ago is packed."""
        draft.document = document
        self._room += self._whole.pop(path, 0) - len(document.text)
        self._whole[path] = len(document.text)
        while self._room < 0:
            oldest = next(iter(self._whole))
            self._room += self._whole.pop(oldest)
            if oldest in self._drafts:
                self._drafts[oldest].document = packed(self._drafts[oldest].document)

    def _source(self, path: Path) -> Source | None:
        # A file that is not there can still be made: nothing is wrong with it.
        if path not in self._sources and path not in self._unreadable and path.exists():
            try:
                self._sources[path] = read_source(path)
            except DocumentError as error:
                self._unreadable[path] = str(error)
        return self._sources.get(path)

    def _fill_file(
        self, path: Path, texts: Sequence[tuple[Gap, str | None]], order: Sequence[EntryKey]
    ) -> list[str | None]:
        draft = self._draft(path)
        if draft is None:
            if path in self._unreadable:
                return [self._unreadable[path]] * len(texts)
            draft = self._drafts[path] = _Draft(None, parse(""))
        changes = changes_for(draft.document, texts, order)
        made = {id(change): change for change in changes if not isinstance(change, str)}
        edited = edit(draft.document, list(made.values()))
        rejected = {id(item.change): item.reason for item in edited.rejected}
        self._take(path, draft, parse_edited(edited))
        return [change if isinstance(change, str) else rejected.get(id(change)) for change in changes]


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8"), 1)


def changes_for(
    document: Document, texts: Sequence[tuple[Gap, str | None]], order: Sequence[EntryKey] = ()
) -> list[Change | str]:
    """The change that each text asks for in a file as it is now, or why it cannot be made any more.

    Slots are looked up by entry and column: edits have moved what the gaps remember. Gaps in one new entry share one
    change; without a text, a column is added that the file lacks, or the text of one that it has is taken out. ``order``
    has all new entries of the file, those too that are there by now or come later.
    """
    entries = _new_entries([(gap, text) for gap, text in texts if document.entry(gap.key) is None])
    following: dict[tuple[str, str | None], EntryKey] = {}  # of each list
    for key in reversed(order) if entries else ():
        if key in entries:
            entries[key] = replace(entries[key], before=following.get((key.resource_type, key.source_name)))
        elif document.entry(key) is not None:
            following[key.resource_type, key.source_name] = key
    return [entries.get(gap.key) or _change(document, gap, text) for gap, text in texts]


def _new_entries(texts: Sequence[tuple[Gap, str | None]]) -> dict[EntryKey, NewEntry]:
    """The entries that a file lacks, each with its columns."""
    entries: dict[EntryKey, NewEntry] = {}
    for gap, text in texts:
        if gap.slot is None:
            entry = entries.get(gap.key, NewEntry(gap.key))
            if gap.addition is None:
                entries[gap.key] = replace(entry, description=text)
            else:
                column = _new_column(gap, gap.addition, text)
                entries[gap.key] = replace(entry, columns=(*entry.columns, column))
    return entries


def _change(document: Document, gap: Gap, text: str | None) -> Change | str:
    """The change to an entry that the file has, or why it cannot be made any more."""
    entry = document.entry(gap.key)
    if entry is None:
        return f"{gap.label} is not in the file any more"
    slot = entry.slot if gap.column is None else entry.column(gap.column)
    if gap.addition is not None:
        return _new_column(gap, gap.addition, text) if slot is None else f"{gap.label} has an entry by now"
    if gap.slot is None:
        return f"{gap.label} has an entry by now"
    if slot is None:
        return f"{gap.label} is not in the file any more"
    return Fill(slot, text) if text is not None else Clear(slot)


def _new_column(gap: Gap, addition: Addition, text: str | None) -> NewColumn:
    return NewColumn(
        gap.key, gap.column or "", text, addition.data_type, addition.after, first=addition.after is None
    )
