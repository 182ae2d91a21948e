"""The project's schema files as they are being edited: read once, changed in memory, written when told to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osmosis_synthesize.document import Document, edit, new_schema_file, parse
from osmosis_synthesize.document.model import Change, Fill, NewEntry
from osmosis_synthesize.engine.model import Gap, Proposal, Unfilled
from osmosis_synthesize.errors import DocumentError
from osmosis_synthesize.files import Source, read_source, write_source


@dataclass(slots=True)
class _Draft:
    """One file: as it is on disk (``None`` for a new one), and as it will be."""

    source: Source | None
    document: Document

    @property
    def changed(self) -> bool:
        return self.document.text != (self.source.text if self.source is not None else "")


class Drafts:
    """Every schema file that was looked at, by absolute path. ``buffers`` are texts that stand for their files."""

    def __init__(self, buffers: Mapping[Path, str] | None = None) -> None:
        self._buffers = buffers or {}
        self._drafts: dict[Path, _Draft] = {}
        self._sources: dict[Path, Source] = {}
        self._unreadable: dict[Path, str] = {}
        self._before: dict[Path, str] = {}

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
        return self._buffers.get(path, source.text) if source is not None else None

    def fill(self, proposals: Sequence[Proposal]) -> tuple[list[Proposal], list[Unfilled]]:
        """Edit the proposals into their files, in memory. Gives those that were, and why the others were not."""
        done: list[Proposal] = []
        failed: list[Unfilled] = []
        by_file: dict[Path, list[Proposal]] = {}
        for proposal in proposals:
            by_file.setdefault(proposal.gap.file, []).append(proposal)
        for path, group in by_file.items():
            for proposal, reason in zip(group, self._fill_file(path, group), strict=True):
                if reason is None:
                    done.append(proposal)
                else:
                    failed.append(Unfilled(proposal.gap, reason))
        return done, failed

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
                raise
            self._before.setdefault(path, draft.source.text if draft.source is not None else "")
            draft.source = self._sources[path] = read_source(path)
            yield path

    @property
    def written(self) -> tuple[Path, ...]:
        """The files that were written so far."""
        return tuple(sorted(self._before))

    def changes(self) -> dict[Path, tuple[str, str]]:
        """Old and new text of every file that was changed, written or not, by path."""
        changes: dict[Path, tuple[str, str]] = {}
        for path, draft in self._drafts.items():
            if draft.changed or path in self._before:
                on_disk = draft.source.text if draft.source is not None else ""
                changes[path] = self._before.get(path, on_disk), draft.document.text
        return dict(sorted(changes.items()))

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
            self._drafts[path] = _Draft(self._source(path), parse(text))
        return self._drafts[path]

    def _source(self, path: Path) -> Source | None:
        if path not in self._sources and path not in self._unreadable:
            try:
                self._sources[path] = read_source(path)
            except DocumentError as error:
                self._unreadable[path] = str(error)
        return self._sources.get(path)

    def _fill_file(self, path: Path, proposals: Sequence[Proposal]) -> list[str | None]:
        """For each proposal, why it could not be edited in; ``None`` where it was."""
        if not path.exists() and path not in self._drafts:
            self._drafts[path] = _Draft(None, parse(_new_file(proposals)))
            return [None] * len(proposals)
        draft = self._draft(path)
        if draft is None:
            return [self._unreadable[path]] * len(proposals)
        # Slots are looked up now: earlier edits have moved what the gaps remember.
        found = [_change(draft.document, proposal) for proposal in proposals]
        edited = edit(draft.document, [change for change in found if not isinstance(change, str)])
        rejected = {id(item.change): item.reason for item in edited.rejected}
        draft.document = parse(edited.text)
        return [change if isinstance(change, str) else rejected.get(id(change)) for change in found]


def _change(document: Document, proposal: Proposal) -> Change | str:
    """The change that a proposal asks for, or why it cannot be made any more."""
    gap = proposal.gap
    entry = document.entry(gap.key)
    if gap.slot is None:
        return NewEntry(gap.key, proposal.text) if entry is None else f"{gap.label} has an entry by now"
    slot = None
    if entry is not None:
        slot = entry.slot if gap.column is None else entry.column(gap.column)
    return Fill(slot, proposal.text) if slot is not None else f"{gap.label} is not in the file any more"


def _new_file(proposals: Iterable[Proposal]) -> str:
    entries = [NewEntry(proposal.gap.key, proposal.text) for proposal in proposals]
    return new_schema_file(entries[0].key.resource_type, entries)
