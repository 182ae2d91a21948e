"""What a request is about: its schema files, its nodes, and the gaps that these have."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from osmosis_synthesize.discovery import SCHEMA_SUFFIXES
from osmosis_synthesize.discovery import Project as Layout
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.gaps import (
    Naming,
    Selection,
    Survey,
    gap_of_undocumented,
    latest,
    relative,
    survey,
)
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.files import shown
from osmosis_synthesize.homes import Homes, Mentions
from osmosis_synthesize.names import EntryKey

if TYPE_CHECKING:
    from osmosis_synthesize.document import Document, Entry
    from osmosis_synthesize.manifest.decode import Card
    from osmosis_synthesize.manifest.index import Index
    from osmosis_synthesize.manifest.lineage import Lineages
    from osmosis_synthesize.manifest.model import Node

_NODE_SUFFIXES: Final = frozenset({".sql", ".py", ".csv"})


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be filled or checked: some files, or the whole project; perhaps only some nodes of it."""

    files: tuple[Path, ...] = ()
    """Schema files, or files of nodes, which stand for their schema files; absolute."""
    whole_project: bool = False
    select: tuple[str, ...] = ()
    """Names of nodes, or dbt's selectors; empty for all."""
    add_columns: bool = False
    """Whether columns that the schema files lack are to be added."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the manifest tells of a project."""

    index: Index
    homes: Homes
    lineage: Lineages | None = None
    """Which columns nodes have; not needed where none are to be added."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where gaps are looked for."""

    layout: Layout
    root: Path
    """The project's folder, without symbolic links."""
    drafts: Drafts
    mentions: Mentions
    placeholders: Collection[str]
    known: Known | None
    """Without it only what the schema files themselves list is seen."""
    selection: Selection
    """Which entries are meant."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request means."""

    nodes: tuple[Node | Card, ...]
    """Those that may lack an entry."""
    files: tuple[Path, ...]
    """The schema files, without symbolic links, each once."""
    notes: tuple[str, ...]
    """What the user should know."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a survey has found."""

    survey: Survey
    notes: tuple[str, ...]
    """What the user should know."""
    unreadable: bool
    """Whether a schema file that was asked for could not be read, or is no YAML."""


def scope_of(request: Request, ground: Ground) -> Scope:
    """The nodes and schema files that a request means."""
    known = ground.known
    if request.whole_project:
        own = (card for card in known.index.cards if known.index.is_editable(card)) if known else ()
        return Scope(tuple(own), tuple(ground.mentions.files), ())
    nodes: list[Node | Card] = []
    files: list[Path] = []
    notes: list[str] = []
    for given in request.files:
        path = Path(os.path.realpath(given))
        if path.suffix.lower() in SCHEMA_SUFFIXES:
            files.append(path)
        elif path.suffix.lower() in _NODE_SUFFIXES and known is not None:
            found = known.index.nodes_in_file(relative(path, ground.root), ground.layout.name)
            nodes += found
            files += [file for node in found if (file := known.homes.of(node)) is not None]
    editable = tuple(path for path in dict.fromkeys(files) if _may_edit(path, ground.layout, notes))
    return Scope(tuple(nodes), editable, tuple(notes))


def survey_of(request: Request, ground: Ground) -> Found:
    """The gaps of a request, in the order of files and lines.

    Raises:
        UsageError: a name is selected that nothing in the whole project bears.
    """
    scope = scope_of(request, ground)
    known = ground.known
    if request.add_columns and request.whole_project and not ground.selection and known and known.lineage:
        known.lineage.trace(node.unique_id for node in scope.nodes)  # of each it will be asked which columns it has
    looked = _Looked(list(scope.notes))
    for path in scope.files:
        _look_at(path, request, ground, looked)
    missing = _undocumented(scope.nodes, ground, known, looked.notes) if known is not None else []
    for gap in missing:
        named_by = ground.selection.by(gap.key, gap.unique_id)
        if not ground.selection or named_by:
            looked.add(Survey((gap,), 1, frozenset(named_by)))
            if request.add_columns and known is not None:
                nodes = known.index.find(gap.key, package=ground.layout.name)
                looked.add_columns(_columns_of(nodes, gap.key, gap.file, known))
    unknown = [name for name in ground.selection.names if name not in looked.selected]
    if unknown:
        message = f"Nothing here is called {' or '.join(unknown)}."
        if request.whole_project and looked.sound:
            raise UsageError(message, hint="Name a model, seed, snapshot, source table or unique_id.")
        looked.notes.append(message)
    return Found(looked.survey(), tuple(looked.notes), looked.unreadable)


class _Looked:
    """What has been found so far."""

    def __init__(self, notes: list[str]) -> None:
        self.notes: Final = notes
        self.unreadable = False
        self.sound = True
        """Whether every schema file could be read without a problem."""
        self.selected: Final = set[str]()
        self._gaps: Final[list[Gap]] = []
        self._slots = 0

    def add(self, found: Survey) -> None:
        self._gaps.extend(found.gaps)
        self._slots += found.slots
        self.selected.update(found.selected)

    def add_columns(self, missing: Sequence[Gap]) -> None:
        self._gaps.extend(missing)
        self._slots += len(missing)

    def survey(self) -> Survey:
        return Survey(tuple(self._gaps), self._slots, frozenset(self.selected))


def _look_at(path: Path, request: Request, ground: Ground, looked: _Looked) -> None:
    """Add what one schema file lacks."""
    document = ground.drafts.get(path)
    if document is None:
        reason = ground.drafts.unreadable.get(path)
        if reason is not None:  # otherwise it is gone since the manifest was written
            looked.notes.append(reason)
            looked.unreadable = True
            looked.sound = False
        return
    looked.unreadable = looked.unreadable or document.broken
    looked.sound = looked.sound and not document.problems
    for problem in document.problems:
        line = document.lines.line_of(problem.span.start) + 1
        looked.notes.append(f"{shown(path)}:{line}: {problem.message}")
    known = ground.known
    index = known.index if known is not None else None
    naming = Naming(index.metadata.project_name if index else ground.layout.name, ground.root, index)
    looked.add(survey(document, path, naming=naming, placeholders=ground.placeholders, select=ground.selection))
    if request.add_columns and known is not None:
        looked.add_columns(_missing_columns(document, path, ground, known))


def _undocumented(nodes: Sequence[Node | Card], ground: Ground, known: Known, notes: list[str]) -> list[Gap]:
    """The gaps of those nodes that no schema file of the project has an entry for, be the manifest stale or not."""
    gaps: dict[EntryKey, Gap] = {}
    for node in nodes:
        key = EntryKey(node.resource_type, node.name)
        if node.resource_type == "source" or not known.index.is_editable(node) or key in gaps:
            continue
        home = known.homes.of(node)
        source = ground.root / node.path
        if home is not None:
            _may_edit(home, ground.layout, notes)  # notes it if not
        elif source.is_file() and _may_edit(source, ground.layout, notes):  # otherwise gone, or not the project's own
            file = known.homes.of_new(posixpath.dirname(node.path), node.name)
            if _may_edit(file, ground.layout, notes):
                gaps[key] = gap_of_undocumented(node, key, file)
    return list(gaps.values())


def _missing_columns(document: Document, path: Path, ground: Ground, known: Known) -> list[Gap]:
    """The columns that the entries of a schema file lack. What all versions of a model have goes to its own entry."""
    gaps: list[Gap] = []
    for entry in document.entries:
        nodes = _described_by(entry, path, ground, known)
        if nodes and ground.selection.has(entry.key, latest(nodes).unique_id):
            gaps += _columns_of(nodes, entry.key, path, known, document, entry)
    return gaps


def missing_columns_of(key: EntryKey, path: Path, ground: Ground, document: Document | None = None) -> Sequence[Gap]:
    """The columns that one entry of a schema file lacks; none where there is no such entry, or nobody knows its columns.

    Without a ``document`` the file is read.
    """
    document, known = document or ground.drafts.get(path), ground.known
    entry = document.entry(key) if document is not None else None
    if entry is None or known is None:
        return ()
    nodes = _described_by(entry, path, ground, known)
    return _columns_of(nodes, key, path, known, document, entry) if nodes else ()


def _described_by(entry: Entry, path: Path, ground: Ground, known: Known) -> Sequence[Node]:
    """The nodes that an entry describes, all versions of a model; none for an item of ``versions:``."""
    if entry.slot is None:
        return ()
    return known.index.find(entry.key, package=ground.layout.name, path=relative(path, ground.root))


def _columns_of(
    nodes: Sequence[Node],
    key: EntryKey,
    path: Path,
    known: Known,
    document: Document | None = None,
    entry: Entry | None = None,
) -> Sequence[Gap]:
    from osmosis_synthesize.engine.columns import Place, missing_columns

    place = Place(key, path, document, entry)
    return missing_columns(nodes, place, index=known.index, lineage=known.lineage or {})


def _may_edit(path: Path, layout: Layout, notes: list[str]) -> bool:
    """Whether a file may be edited; notes it if not."""
    reason = layout.why_not_editable(path)
    if reason is not None and (note := f"{shown(path)} is passed over: {reason}.") not in notes:
        notes.append(note)
    return reason is None
