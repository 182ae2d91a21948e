"""The facade: the one place that puts concrete parts together.

The command line, the hooks and the language server speak to this module; none of them knows how a manifest is read or
a reply is kept.
"""

from __future__ import annotations

import os
import posixpath
import re
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from osmosis_synthesize.discovery import SCHEMA_SUFFIXES, is_below, load_project, schema_files
from osmosis_synthesize.discovery import Project as Layout
from osmosis_synthesize.document import DEFAULT_PLACEHOLDERS
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.gaps import (
    Naming,
    Survey,
    gap_of_undocumented,
    latest,
    relative,
    selected_by,
    survey,
)
from osmosis_synthesize.errors import UsageError, WriteError
from osmosis_synthesize.names import EntryKey, ResourceType, short_name

if TYPE_CHECKING:
    from osmosis_synthesize.document import Document, Entry
    from osmosis_synthesize.engine.call import Caller, Mode
    from osmosis_synthesize.engine.consistency import Difference
    from osmosis_synthesize.engine.model import Gap, NodeOutcome, Plan
    from osmosis_synthesize.engine.osmosis_options import Options
    from osmosis_synthesize.engine.prepare import Work
    from osmosis_synthesize.engine.upstream import Shared
    from osmosis_synthesize.manifest.index import Index
    from osmosis_synthesize.manifest.lineage import Lineages
    from osmosis_synthesize.manifest.model import Node
    from osmosis_synthesize.settings import Settings
    from osmosis_synthesize.store import Store

_NODE_SUFFIXES: Final = frozenset({".sql", ".py", ".csv"})

_WORD: Final = re.compile(r"[\w.$-]+")
"""What a name in a schema file consists of; dbt takes no others for models, seeds and snapshots."""

_MOST_NAMED: Final = 3
"""How many nodes a note names."""

_PAUSE_SECONDS: Final = 0.3
"""How long finished texts may wait for others before they are written; what was paid for is in the cache meanwhile."""

_PAUSE_FOR_WORK: Final = 9
"""How many times as long as the last writing took; so it takes a tenth of the time at most."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be filled or checked: some files, or the whole project; perhaps only some nodes of it."""

    files: tuple[Path, ...] = ()
    """Schema files, or files of nodes, which stand for their schema files; absolute."""
    whole_project: bool = False
    select: tuple[str, ...] = ()
    """Names of nodes; empty for all."""
    add_columns: bool = False
    """Whether columns that the schema files lack are to be added."""


class Project:
    """A dbt project on disk, its schema files as they are being edited, and what was found odd on the way."""

    def __init__(
        self,
        project_dir: Path,
        settings: Settings,
        *,
        manifest: Path | None = None,
        catalog: Path | None = None,
        buffers: Mapping[Path, str] | None = None,
    ) -> None:
        """Read the layout; manifest and schema files are read when they are first needed.

        Args:
            project_dir: the folder with ``dbt_project.yml``.
            settings: as :func:`osmosis_synthesize.settings.load_settings` gives them.
            manifest: another one than the target folder's.
            catalog: another one than the target folder's.
            buffers: texts, by absolute path, that stand for their files.

        Raises:
            ProjectError: ``dbt_project.yml`` cannot be read.
        """
        self.layout: Layout = load_project(project_dir)
        self.root = Path(os.path.realpath(self.layout.root))
        """The folder with ``dbt_project.yml``; all paths of schema files are without symbolic links, like this one."""
        self.settings = settings
        self.manifest_path = manifest or self.layout.manifest_path
        self.catalog_path = catalog or self.layout.catalog_path
        self.drafts = Drafts(buffers, forbidden=self.layout.why_not_editable)
        self.notes: list[str] = [*self.layout.problems, *settings.warnings]
        """What the user should know and what stopped nothing, each once."""
        self._catalog_given = catalog is not None
        self.unreadable = False
        """Whether a schema file that was asked for could not be read, or is no YAML."""
        self.seen = 0
        """Places for a description that were looked at."""

    @cached_property
    def index(self) -> Index:
        """The manifest's index.

        Raises:
            ManifestError: there is no manifest, or it cannot be read.
        """
        from osmosis_synthesize.manifest.snapshot import load
        from osmosis_synthesize.store import default_folder

        catalog = self.catalog_path if self._catalog_given or self.catalog_path.exists() else None
        index = load(self.manifest_path, catalog=catalog, folder=default_folder() / "manifests")
        self.notes += index.warnings
        return index

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """Texts that are no description: the known ones, and the settings'."""
        own = self.settings.placeholders
        return DEFAULT_PLACEHOLDERS.union(own) if own else DEFAULT_PLACEHOLDERS

    def survey(self, request: Request, *, with_manifest: bool = True) -> Survey:
        """The gaps of a request, in the order of files and lines.

        Without the manifest only what the schema files themselves list is seen.

        Raises:
            ManifestError: it is needed and cannot be read.
        """
        index = self.index if with_manifest else None
        naming = Naming(index.metadata.project_name if index else self.layout.name, self.root, index)
        nodes, files, strangers = self._expand(request, index)
        if request.add_columns and request.whole_project and not request.select:
            self.lineage.trace(node.unique_id for node in nodes)  # of each it will be asked which columns it has
        gaps: list[Gap] = []
        slots = 0
        selected: set[str] = set()
        sound = True
        for path in files:
            document = self.drafts.get(path)
            if document is None and path not in self.drafts.unreadable:
                continue  # it is gone since the manifest was written
            if document is None:
                self.notes.append(self.drafts.unreadable[path])
                self.unreadable = True
                sound = False
                continue
            if document.broken:
                self.unreadable = True
            sound = sound and not document.problems
            for problem in document.problems:
                line = document.lines.line_of(problem.span.start) + 1
                self.notes.append(f"{shown(path)}:{line}: {problem.message}")
            found = survey(document, path, naming=naming, placeholders=self.placeholders, select=request.select)
            gaps += found.gaps
            slots += found.slots
            selected |= found.selected
            if request.add_columns and index is not None:
                added = self._missing_columns(document, path, index, request.select)
                gaps += added
                slots += len(added)
        for gap in (*self._undocumented(nodes), *strangers):
            named_by = selected_by(gap.key, gap.unique_id, request.select)
            if not request.select or named_by:
                selected |= named_by
                gaps.append(gap)
                slots += 1
                if request.add_columns and index is not None:
                    added = self._columns_of(index.find(gap.key, package=self.layout.name), gap.key, gap.file)
                    gaps += added
                    slots += len(added)
        self.seen += slots
        self._require_names(request, selected, strictly=request.whole_project and sound)
        return Survey(tuple(gaps), slots, frozenset(selected))

    def _require_names(self, request: Request, selected: Collection[str], *, strictly: bool) -> None:
        """Complain of selected names that nothing bears: an error if nothing can bear them, else a note."""
        unknown = [name for name in request.select if name not in selected]
        if unknown:
            message = f"Nothing here is called {' or '.join(unknown)}."
            if strictly:
                raise UsageError(message, hint="Name a model, seed, snapshot, source table or unique_id.")
            self.notes.append(message)

    def differences(self, request: Request) -> tuple[Difference, ...]:
        """Described columns that are copies of others, and whose texts differ; in the order of files and lines.

        Raises:
            ManifestError: the manifest cannot be read.
        """
        from osmosis_synthesize.engine.consistency import differences
        from osmosis_synthesize.engine.descriptions import Descriptions, entry_key

        self.survey(request)  # notes what cannot be read, and names that nothing bears
        _, files, _ = self._expand(request, self.index)
        nodes = [
            node for path in files for node in self.index.nodes_in_file(relative(path, self.root), self.layout.name)
        ]
        chosen = {
            node.unique_id: None
            for node in nodes
            if self.index.is_editable(node)
            and (not request.select or selected_by(entry_key(node), node.unique_id, request.select))
        }
        descriptions = Descriptions(self.index, self.drafts, self.root, self.placeholders, _Mentions(self))
        found = differences(chosen, descriptions=descriptions, lineage=self.lineage)
        return tuple(
            sorted(found, key=lambda one: (one.column.file or Path(), one.column.line, one.column.character))
        )

    def shared_upstream(self, gaps: Sequence[Gap]) -> tuple[Shared, ...]:
        """Columns upstream that are worth being described first, because several of these gaps would inherit from them."""
        from osmosis_synthesize.engine.descriptions import Descriptions, Progress
        from osmosis_synthesize.engine.upstream import shared_upstream

        descriptions = Descriptions(self.index, self.drafts, self.root, self.placeholders, _Mentions(self))
        editable = {unique_id for unique_id, node in self.index.nodes.items() if self.index.is_editable(node)}
        return shared_upstream(
            gaps,
            descriptions=descriptions,
            lineage=self.lineage,
            texts=Progress(descriptions),
            editable=editable,
            options=self.options,
        )

    @cached_property
    def lineage(self) -> Lineages:
        """Column lineage by ``unique_id``, traced when it is first asked for, and kept on disk beside the replies."""
        from osmosis_synthesize.manifest.lineage import Lineages
        from osmosis_synthesize.store import default_folder

        return Lineages(self.index, variables=self.layout.variables, cache=default_folder() / "lineage.sqlite3")

    def trace(self, gaps: Sequence[Gap]) -> None:
        """Trace the lineage of all these gaps' columns now, on all cores if they are many."""
        unique_ids = dict.fromkeys(gap.unique_id for gap in gaps if gap.column is not None)
        self.lineage.trace(unique_id for unique_id in unique_ids if unique_id in self.index.nodes)

    @cached_property
    def options(self) -> Options:
        """What the project sets for dbt-osmosis, as far as it is about inheritance."""
        from osmosis_synthesize.engine.osmosis_options import Options

        return Options(self.index, self.layout.variables)

    def work(self, gaps: Sequence[Gap]) -> Work:
        """What the engine needs to fill these gaps."""
        from osmosis_synthesize.engine.descriptions import Descriptions
        from osmosis_synthesize.engine.prepare import Privacy, Work
        from osmosis_synthesize.engine.prompts import Style
        from osmosis_synthesize.engine.review import ADAPTER_LIMITS

        settings = self.settings
        by_node: dict[str, tuple[Gap, ...]] = {}
        for gap in gaps:
            by_node[gap.unique_id] = (*by_node.get(gap.unique_id, ()), gap)
        self._note_stale(by_node)
        return Work(
            self.index,
            Descriptions(self.index, self.drafts, self.root, self.placeholders, _Mentions(self)),
            self.lineage,
            by_node,
            Style(
                language=settings.language,
                guide=settings.style_guide,
                max_sql_chars=settings.max_sql_chars,
                limit=ADAPTER_LIMITS.get(self.index.metadata.adapter_type),
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
            ),
            Privacy(frozenset(settings.private), frozenset(settings.private)),
            self.placeholders,
            settings.bulk_threshold,
            self.options,
        )

    def caller(self, store: Store, *, mode: Mode = "call", prompts: Path | None = None) -> Caller:
        """The way to the provider that the settings name. It is made, and its SDK imported, at the first call.

        ``prompts`` is a folder to which each prompt and reply is written, for whoever wants to read them.
        """
        from osmosis_synthesize.calling import make_caller

        return make_caller(self.settings, store, project=self.layout.name, mode=mode, prompts=prompts)

    async def plan(self, gaps: Sequence[Gap], caller: Caller) -> Plan:
        """How these gaps would be filled; calls nobody."""
        from osmosis_synthesize.engine.plan import plan

        return await plan(self.work(gaps), caller)

    async def run(self, gaps: Sequence[Gap], caller: Caller, *, write: bool) -> AsyncGenerator[NodeOutcome, None]:
        """Fill these gaps; yields the outcome of each node once its texts are edited in.

        Files are written as the run goes on, and in any case before it ends, be it by an error or a cancellation.
        """
        from osmosis_synthesize.engine.run import run
        from osmosis_synthesize.gathering import Gathering

        # Editing a file costs the same for one text as for hundreds, so outcomes that come close together are edited in
        # together; and the longer that takes, the less often it is done.
        pause = _PAUSE_SECONDS
        gathering = Gathering(run(self.work(gaps), caller))
        order = {id(gap): number for number, gap in enumerate(gaps)}
        try:
            while heap := await gathering.next(pause):
                started = time.monotonic()
                edited = self._edit_in(heap, order)
                if write:
                    self._write()
                pause = max(_PAUSE_SECONDS, _PAUSE_FOR_WORK * (time.monotonic() - started))
                for outcome in edited:
                    yield outcome
        finally:
            self._edit_in(gathering.left, order)
            if write:
                self._write()
            await gathering.aclose()

    def _edit_in(self, outcomes: Sequence[NodeOutcome], order: Mapping[int, int]) -> list[NodeOutcome]:
        """The outcomes with what could be edited into the schema files; the rest stays a gap.

        ``order`` is the place of each gap, by its ``id()``, among those asked for: new columns are added in that order.
        """
        from osmosis_synthesize.engine.model import Unfilled

        # A column that was to be added is added, even if there is nothing to say about it yet.
        texts = [
            *((proposal.gap, proposal.text) for outcome in outcomes for proposal in outcome.proposals),
            *((item.gap, None) for outcome in outcomes for item in outcome.unfilled if item.gap.addition is not None),
        ]
        texts.sort(key=lambda text: order[id(text[0])])
        reasons = {id(gap): reason for (gap, _), reason in zip(texts, self.drafts.fill(texts), strict=True)}
        edited: list[NodeOutcome] = []
        for outcome in outcomes:
            done = tuple(proposal for proposal in outcome.proposals if reasons[id(proposal.gap)] is None)
            failed = tuple(
                Unfilled(proposal.gap, reason)
                for proposal in outcome.proposals
                if (reason := reasons[id(proposal.gap)]) is not None
            )
            edited.append(replace(outcome, proposals=done, unfilled=(*outcome.unfilled, *failed)))
        return edited

    def _note_stale(self, unique_ids: Iterable[str]) -> None:
        """Say once which of these nodes the manifest knows in an older form."""
        from osmosis_synthesize.manifest.staleness import staleness

        nodes = [self.index.nodes[unique_id] for unique_id in unique_ids if unique_id in self.index.nodes]
        stale = [
            short_name(node.unique_id)
            for node in nodes
            if node.resource_type != "source"  # nothing but YAML, and that is read from the file
            and node.package_name == self.index.metadata.project_name
            and staleness(node, self.root, manifest=self.manifest_path) in {"changed", "gone"}
        ]
        if stale:
            names = ", ".join(stale[:_MOST_NAMED]) + (", …" if len(stale) > _MOST_NAMED else "")
            self.notes.append(
                f"{shown(self.manifest_path)} is older than {len(stale)} of the nodes with gaps ({names}). "
                "Run `dbt parse`, or `dbt compile` where compiled SQL matters."
            )

    def _write(self) -> None:
        """Write what has changed. A file that cannot be written is noted, and keeps no other from being written."""
        while True:
            try:
                for _ in self.drafts.flush():
                    pass
                return
            except WriteError as error:
                self.unwritten.append(error)

    def settled(self, outcome: NodeOutcome) -> NodeOutcome:
        """The outcome after the run: what did not reach its file, because that could not be written, is a gap again."""
        from osmosis_synthesize.engine.model import Unfilled

        reasons = {error.path: str(error) for error in self.unwritten}
        lost = [
            proposal
            for proposal in outcome.proposals
            if proposal.gap.file in reasons and not self.drafts.stands(proposal.gap, proposal.text)
        ]
        if not lost:
            return outcome
        kept = tuple(proposal for proposal in outcome.proposals if proposal not in lost)
        failed = (Unfilled(proposal.gap, reasons[proposal.gap.file]) for proposal in lost)
        return replace(outcome, proposals=kept, unfilled=(*outcome.unfilled, *failed))

    @cached_property
    def unwritten(self) -> list[WriteError]:
        """The files that could not be written, and why."""
        return []

    def _expand(self, request: Request, index: Index | None) -> tuple[list[Node], list[Path], list[Gap]]:
        """What a request is about: nodes that may lack an entry, schema files, and the gaps of what nobody has parsed yet."""
        if request.whole_project:
            nodes = [node for node in index.nodes.values() if index.is_editable(node)] if index else []
            return nodes, self._schema_files, []
        nodes: list[Node] = []
        files: list[Path] = []
        strangers: list[Gap] = []
        for given in request.files:
            path = Path(os.path.realpath(given))
            if path.suffix.lower() in SCHEMA_SUFFIXES:
                files.append(path)
            elif path.suffix.lower() in _NODE_SUFFIXES and index is not None:
                found = index.nodes_in_file(relative(path, self.root), self.layout.name)
                kind = self._kind_of(path)
                if not found and kind is not None:
                    self.notes.append(
                        f"{shown(path)} is not in the manifest. Run `dbt parse` to bring that up to date."
                    )
                    key = EntryKey(kind, path.stem)
                    home = self._naming_entry(key)
                    files += [home] if home is not None else []
                    strangers += [self._gap_of_stranger(key, path)] if home is None else []
                nodes += found
                files += [file for node in found if (file := self._file_of(node)) is not None]
        return nodes, [path for path in dict.fromkeys(files) if self._may_edit(path)], strangers

    def _undocumented(self, nodes: Sequence[Node]) -> list[Gap]:
        """The gaps of those nodes that no schema file of the project has an entry for, be the manifest stale or not."""
        gaps: dict[EntryKey, Gap] = {}
        for node in nodes:
            key = EntryKey(node.resource_type, node.name)
            if node.resource_type == "source" or not self.index.is_editable(node) or key in gaps:
                continue
            home = self._file_of(node)
            source = self.root / node.path
            if home is not None:
                self._may_edit(home)  # notes it if not
            elif source.is_file() and self._may_edit(source):  # otherwise it is gone, or none of the project's own
                file = self._schema_file_in(posixpath.dirname(node.path), node.name)
                if self._may_edit(file):
                    gaps[key] = gap_of_undocumented(node, key, file)
        return list(gaps.values())

    def _gap_of_stranger(self, key: EntryKey, path: Path) -> Gap:
        """The gap of a node that neither the manifest nor a schema file knows; ``path`` is its own file."""
        from osmosis_synthesize.engine.model import Gap

        naming = Naming(self.layout.name, self.root)
        folder = posixpath.dirname(relative(path, self.root))
        return Gap(naming.unique_id(key, (), None), None, key, self._schema_file_in(folder, key.name), 1, 1, None)

    def _file_of(self, node: Node) -> Path | None:
        """The schema file with a node's entry: the one that the manifest names, or the one it has moved to since."""
        if not self.index.is_editable(node):
            return None
        key = EntryKey(node.resource_type, node.name, source_name=node.source_name)
        if node.schema_path is not None:
            named = Path(os.path.realpath(self.root / node.schema_path))
            if named.exists() and _has_entry(self.drafts.get(named), key):
                return named
        return self._naming_entry(key)

    def _naming_entry(self, key: EntryKey) -> Path | None:
        """The schema file that has an entry of this name."""
        return next((path for path in self.naming.get(key.name, ()) if _has_entry(self.drafts.get(path), key)), None)

    def _missing_columns(self, document: Document, path: Path, index: Index, select: Sequence[str]) -> list[Gap]:
        """The columns that the entries of a schema file lack. What all versions of a model have goes to its own entry."""
        gaps: list[Gap] = []
        for entry in document.entries:
            nodes = index.find(entry.key, package=self.layout.name, path=relative(path, self.root))
            if entry.slot is None or not nodes:
                continue
            if not select or selected_by(entry.key, latest(nodes).unique_id, select):
                gaps += self._columns_of(nodes, entry.key, path, document, entry)
        return gaps

    def _columns_of(
        self,
        nodes: Sequence[Node],
        key: EntryKey,
        path: Path,
        document: Document | None = None,
        entry: Entry | None = None,
    ) -> Sequence[Gap]:
        from osmosis_synthesize.engine.columns import Place, missing_columns

        return missing_columns(nodes, Place(key, path, document, entry), index=self.index, lineage=self.lineage)

    @cached_property
    def naming(self) -> Mapping[str, Sequence[Path]]:
        """The schema files in which a word stands that may be a node's name, by word. Reads them all, parses none."""
        naming: dict[str, list[Path]] = {}
        for path in self._schema_files:
            for word in set(_WORD.findall(self.drafts.text(path) or "")):
                naming.setdefault(word, []).append(path)
        return naming

    @cached_property
    def _schema_files(self) -> list[Path]:
        return [Path(os.path.realpath(path)) for path in schema_files(self.layout)]

    @cached_property
    def _described_in(self) -> Mapping[str, Mapping[str, Sequence[Node]]]:
        """By folder: the schema files that its nodes use, each with those nodes."""
        used: dict[str, dict[str, list[Node]]] = {}
        for node in self.index.nodes.values():
            if (
                node.resource_type != "source"
                and node.schema_path is not None
                and self.index.is_editable(node)
                and self.layout.is_editable_path(self.root / node.schema_path)
            ):
                used.setdefault(posixpath.dirname(node.path), {}).setdefault(node.schema_path, []).append(node)
        return used

    def _schema_file_in(self, folder: str, name: str) -> Path:
        """The file in which an entry is made: the one that its folder's nodes use, in the folder's own style."""
        used = self._described_in.get(folder)
        if not used:
            return self.root / folder / self.settings.schema_file
        path, described = max(used.items(), key=lambda item: (len(item[1]), item[0]))
        if len(used) > 1 and len(described) == 1 and all(_is_named_after(*item) for item in used.items()):
            return self.root / posixpath.dirname(path) / f"{name}{posixpath.splitext(path)[1]}"
        return Path(os.path.realpath(self.root / path))

    def _kind_of(self, path: Path) -> ResourceType | None:
        """What dbt would make of a file by its folder; a snapshot is named in its file, and so is not told by it."""
        layout = self.layout
        kinds: tuple[tuple[ResourceType, Sequence[Path]], ...] = (
            ("model", layout.model_paths),
            ("seed", layout.seed_paths),
        )
        for kind, folders in kinds:
            if any(is_below(path, Path(os.path.realpath(folder))) for folder in folders):
                return kind
        return None

    def _may_edit(self, path: Path) -> bool:
        reason = self.layout.why_not_editable(path)
        if reason is not None and (note := f"{shown(path)} is passed over: {reason}.") not in self.notes:
            self.notes.append(note)
        return reason is None


def shown(path: Path) -> str:
    """A path as messages and reports have it: relative to the working folder if it lies below, else absolute; POSIX."""
    here = Path(os.path.realpath(Path.cwd()))
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


class _Mentions:
    """The schema files in which a node's name stands. They are read when this is first asked."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def get(self, name: str, /) -> Sequence[Path]:
        return self._project.naming.get(name, ())


def _has_entry(document: Document | None, key: EntryKey) -> bool:
    return document is not None and document.entry(key) is not None


def _is_named_after(path: str, nodes: Sequence[Node]) -> bool:
    return posixpath.splitext(posixpath.basename(path))[0].lstrip("_") == nodes[0].name
