"""An open schema file at one version, and what was found in it.

What was found in an entry is kept as long as the entry is: after a keystroke only what was typed in is looked at again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

from osmosis_synthesize.document import Document
from osmosis_synthesize.document.model import Entry, Problem
from osmosis_synthesize.engine.gaps import EntrySurvey, Naming, gap_at, relative, survey_entry
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.lsp.texts import OpenText
from osmosis_synthesize.lsp.workspace import GapId, Member, Ready, Way
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.project import Project

_NONE_YET: Final = MappingProxyType[GapId, Way]({})


@dataclass(frozen=True)
class Reading:
    """An open schema file at one version, and what was found in it."""

    text: OpenText
    member: Member
    ready: Ready
    project: Project
    """With the open texts as they were then."""
    document: Document
    problems: tuple[Problem, ...]
    """Of the text itself; one that is no YAML shows what is left of its last slots."""
    entries: tuple[tuple[EntrySurvey, int], ...]
    """The gaps of each entry, in the order of the file, and how far the entry has moved since it was read."""

    @property
    def ways(self) -> Mapping[GapId, Way]:
        """How the gaps would be filled, as far as that has been worked out."""
        return self.member.ways.get(self.text.path, _NONE_YET)

    @cached_property
    def path(self) -> str:
        """The file as the manifest writes it."""
        return relative(self.text.path, self.project.root)

    @cached_property
    def ids(self) -> Sequence[GapId]:
        """Which gaps there are, in the order of the file."""
        return [gap for survey, _ in self.entries for gap in survey.ids]

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """All of them, in the order of the file. In a large one that takes a while."""
        return tuple(gap for number in range(len(self.entries)) for gap in self._gaps_in(number))

    def ids_of(self, key: EntryKey) -> Sequence[GapId]:
        """Which gaps one entry has; a model's own are not those of its versions."""
        return [gap for number in self._by_key.get(key, ()) for gap in self.entries[number][0].ids]

    def gap(self, key: EntryKey, column: str | None) -> Gap | None:
        """The gap of an entry or of one of its columns, by name."""
        for number in self._by_key.get(key, ()):
            survey, moved = self.entries[number]
            for unique_id, slot in survey.missing:
                if slot.column == column:
                    return gap_at(slot.shifted(moved), key, unique_id, self.document, self.text.path)
        return None

    def gaps_on(self, first: int, last: int) -> Sequence[Gap]:
        """The gaps whose names stand on the lines from ``first`` to ``last``, counted from 0."""
        lines = self.document.lines
        start, end = lines.line_span(first).start, lines.line_span(last).end
        return [
            gap_at(slot.shifted(moved), survey.entry.key, unique_id, self.document, self.text.path)
            for survey, moved in self._entries_on(start, end)
            for unique_id, slot in survey.missing
            if start <= slot.name_span.start + moved <= end
        ]

    def _entries_on(self, start: int, end: int) -> Sequence[tuple[EntrySurvey, int]]:
        """The entries that reach into a stretch of the text."""
        found: list[tuple[EntrySurvey, int]] = []
        for number in reversed(range(bisect_right(self._starts, end))):
            survey, moved = self.entries[number]
            if survey.entry.span.end + moved >= start:
                found.append((survey, moved))
            elif survey.entry.key.version is None:
                break  # entries other than versions do not overlap
        return found[::-1]

    def ways_of(self, survey: EntrySurvey) -> Sequence[Way | None]:
        """How the gaps of one entry would be filled."""
        ways = self.ways
        return [ways.get(gap) for gap in survey.ids]

    def _gaps_in(self, number: int) -> Sequence[Gap]:
        survey, moved = self.entries[number]
        return survey.gaps(self.document, self.text.path, moved=moved)

    @cached_property
    def _starts(self) -> Sequence[int]:
        """Where each entry begins."""
        return [survey.entry.span.start + moved for survey, moved in self.entries]

    @cached_property
    def _by_key(self) -> Mapping[EntryKey, Sequence[int]]:
        numbers: dict[EntryKey, list[int]] = {}
        for number, (survey, _) in enumerate(self.entries):
            numbers.setdefault(survey.entry.key, []).append(number)
        return numbers


class Surveyor:
    """Looks for the gaps of an open schema file, but for those of entries that are as they were."""

    def __init__(self, ready: Ready, text: OpenText, before: Reading | None) -> None:
        """``before`` is an earlier reading of the same file in the same project."""
        project = ready.project
        index = project.index if ready.has_manifest else None
        name = index.metadata.project_name if index is not None else project.layout.name
        self._naming = Naming(name, project.root, index)
        self._path = relative(text.path, project.root)
        self._placeholders = project.placeholders
        self._known = {id(survey.entry): survey for survey, _ in before.entries} if before is not None else {}

    def survey(self, document: Document, *, most: int | None = None) -> tuple[tuple[EntrySurvey, int], ...] | None:
        """The gaps of each entry, and how far it has moved; ``None`` if more than ``most`` entries have to be looked at."""
        known = self._known
        found = [(known.get(id(entry)), entry, moved) for entry, moved in document.entries_as_read()]
        if most is not None and sum(survey is None for survey, _, _ in found) > most:
            return None
        return tuple([(survey or self._look_at(entry), moved) for survey, entry, moved in found])

    def _look_at(self, entry: Entry) -> EntrySurvey:
        return survey_entry(entry, self._path, naming=self._naming, placeholders=self._placeholders)
