"""The facade: the one place that puts concrete parts together.

The command line, the hooks and the language server speak to this module; none of them knows how a manifest is read or
a reply is kept. What a request is about is found in :mod:`.surveying`, where an entry belongs in :mod:`.homes`; what a
run does to the schema files is in :mod:`.filling`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from osmosis_synthesize.discovery import Project as Layout
from osmosis_synthesize.discovery import load_project
from osmosis_synthesize.document import DEFAULT_PLACEHOLDERS
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.gaps import EVERYTHING, Naming, Selection, Survey, latest, relative
from osmosis_synthesize.errors import ManifestError, WriteError
from osmosis_synthesize.files import shown
from osmosis_synthesize.homes import Homes, Mentions
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.surveying import Ground, Known, Request, missing_columns_of, scope_of, survey_of

if TYPE_CHECKING:
    from osmosis_synthesize.document import Document
    from osmosis_synthesize.engine.call import Caller, Mode
    from osmosis_synthesize.engine.consistency import Difference
    from osmosis_synthesize.engine.descriptions import Descriptions
    from osmosis_synthesize.engine.lengths import TooLong
    from osmosis_synthesize.engine.made_from import MadeFrom
    from osmosis_synthesize.engine.model import Gap, NodeOutcome, Plan, Proposal
    from osmosis_synthesize.engine.osmosis_options import Options
    from osmosis_synthesize.engine.prepare import Work
    from osmosis_synthesize.engine.provenance import Record
    from osmosis_synthesize.engine.upstream import Shared
    from osmosis_synthesize.manifest.index import Index
    from osmosis_synthesize.manifest.lineage import Lineages
    from osmosis_synthesize.recording import Drifted, Recorded, Recorder
    from osmosis_synthesize.records import RecordFile
    from osmosis_synthesize.settings import Settings
    from osmosis_synthesize.store import Store

__all__ = ["Project", "Request", "shown"]


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
        self._manifest_given = manifest is not None
        self._caught_up = set[tuple[Request, bool]]()
        self._catalog_given = catalog is not None
        self.unreadable = False
        """Whether a schema file that was asked for could not be read, or is no YAML."""
        self.seen = 0
        """Places for a description that were looked at."""
        self.unwritten: list[WriteError] = []
        """The files that could not be written, and why."""

    def with_drafts(self, drafts: Drafts) -> Project:
        """The same project with other texts of its schema files, and nothing noted yet.

        What was read of the manifest, and what was traced, is shared.
        """
        _ = self.records  # read once for all
        other = copy.copy(self)
        for kept in ("mentions", "homes"):  # these have read the texts
            other.__dict__.pop(kept, None)
        other.drafts = drafts
        other.notes = []
        other.unwritten = []
        return other

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
        return self.completed(index)

    def completed(self, index: Index) -> Index:
        """The index, with the project's name and the kind of warehouse where the manifest lacks them.

        So do the manifests that dbt writes after dbt-osmosis has: dbt takes their metadata for its own (seen with dbt 1.11
        and dbt-osmosis 1.5).
        """
        metadata = index.metadata
        if metadata.project_name and metadata.adapter_type:
            return index
        from osmosis_synthesize.manifest.overlay import with_metadata
        from osmosis_synthesize.packages import Package, adapter_type

        return with_metadata(
            index,
            project_name=metadata.project_name or self.layout.name,
            adapter_type=metadata.adapter_type or adapter_type(Package(self.layout, self.drafts, self.mentions)),
        )

    def catch_up(self, request: Request, *, upstream: bool = True) -> None:
        """Bring the index up to date with the files of a request; without a manifest, make it from files alone.

        What is upstream of them is brought up to date too, unless that does not matter.

        Raises:
            ManifestError: the manifest cannot be read, or was named and is absent.
        """
        from osmosis_synthesize.catching_up import Wanted, catch_up

        if (request, upstream) in self._caught_up:
            return
        self._caught_up.add((request, upstream))
        has_manifest = self._manifest_given or self.manifest_path.exists()
        if not has_manifest and "index" not in self.__dict__:
            self._begin_without_manifest()
        found = catch_up(
            self.index,
            Wanted(
                tuple(dict.fromkeys(Path(os.path.realpath(path)) for path in request.files)),
                everything=request.whole_project,
                upstream=upstream,
            ),
            layout=self.layout,
            drafts=self.drafts,
            mentions=self.mentions,
            has_manifest=has_manifest,
        )
        self.notes += [note for note in found.notes if note not in self.notes]
        if found.index is not self.index:
            self.index = found.index
            for made_from_it in ("homes", "lineage", "options"):
                self.__dict__.pop(made_from_it, None)

    def _begin_without_manifest(self) -> None:
        from osmosis_synthesize.manifest.catalog import load_catalog
        from osmosis_synthesize.manifest.overlay import empty
        from osmosis_synthesize.packages import Package, adapter_type

        kind = adapter_type(Package(self.layout, self.drafts, self.mentions))
        catalog = load_catalog(self.catalog_path) if self._catalog_given or self.catalog_path.exists() else None
        self.index = empty(self.manifest_path, project_name=self.layout.name, adapter_type=kind, catalog=catalog)
        unknown = "" if kind else " The kind of warehouse is not known, so its SQL is read as plain SQL."
        self.notes.append(
            f"There is no manifest at {shown(self.manifest_path)}, so nodes, columns and refs are read from the YAML and "
            f"the SQL. Nothing is compiled, and dbt's own macros are not resolved.{unknown} `dbt parse` writes a manifest."
        )

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
            UsageError: a name is selected that nothing in the whole project bears.
        """
        found = survey_of(request, self._ground(request, with_manifest=with_manifest))
        self.notes += [note for note in found.notes if note not in self.notes]
        self.unreadable = self.unreadable or found.unreadable
        self.seen += found.survey.slots
        return found.survey

    def missing_columns(self, path: Path, key: EntryKey, document: Document | None = None) -> Sequence[Gap]:
        """The columns that the entry ``key`` of the schema file ``path`` lacks, as gaps that bring their own entries.

        The file is read, unless it is given as the ``document`` that it is now.
        """
        ground = self._ground(Request(add_columns=True), with_manifest=True)
        return missing_columns_of(key, path, ground, document)

    def _ground(self, request: Request, *, with_manifest: bool) -> Ground:
        lineage = self.lineage if request.add_columns and with_manifest else None
        known = Known(self.index, self.homes, lineage) if with_manifest else None
        selection = self._selection(request.select, with_manifest=with_manifest)
        return Ground(self.layout, self.root, self.drafts, self.mentions, self.placeholders, known, selection)

    def _selection(self, selectors: Sequence[str], *, with_manifest: bool) -> Selection:
        """What is meant by names and selectors. For plain names the manifest is not read where nothing else needs it."""
        from osmosis_synthesize.engine.selection import is_name, select

        if not selectors:
            return EVERYTHING
        if not with_manifest and all(map(is_name, selectors)):
            return Selection(tuple(selectors))
        self.catch_up(Request(whole_project=True))
        index = self.index
        meant: dict[str, frozenset[str]] = {}
        for selector in selectors:
            found = select(selector, index, self.root)
            versioned = (node for unique_id in found if (node := index.nodes[unique_id]).version is not None)
            # The entry of a versioned model goes by the name of its latest version.
            own = (index.find(EntryKey("model", node.name), package=node.package_name) for node in versioned)
            meant[selector] = found.union(latest(nodes).unique_id for nodes in own if nodes)
        return Selection(tuple(selectors), meant)

    @cached_property
    def mentions(self) -> Mentions:
        """The schema files, and which words stand in them."""
        return Mentions(self.layout, self.drafts)

    @cached_property
    def homes(self) -> Homes:
        """Where entries stand, or are to be made."""
        return Homes(
            self.index,
            self.layout,
            self.drafts,
            self.mentions,
            root=self.root,
            schema_file=self.settings.schema_file,
        )

    @property
    def _descriptions(self) -> Descriptions:
        """What is described now."""
        from osmosis_synthesize.engine.descriptions import Descriptions

        return Descriptions(self.index, self.drafts, self.root, self.placeholders, self.mentions)

    def too_long(self, request: Request, *, with_manifest: bool = True) -> tuple[TooLong, ...]:
        """The descriptions of a request that are longer than the warehouse takes; none where its kind is not known.

        Raises:
            ManifestError: the manifest is needed and cannot be read.
        """
        from osmosis_synthesize.engine.lengths import is_suspect, limits_of, too_long
        from osmosis_synthesize.manifest.head import adapter_type

        ground = self._ground(request, with_manifest=with_manifest)
        files = scope_of(request, ground).files
        documents = {path: document for path in files if (document := self.drafts.get(path)) is not None}
        suspect = {path: document for path, document in documents.items() if is_suspect(document)}
        adapter = adapter_type(self.manifest_path) if suspect else None
        if adapter is None:
            return ()
        naming = Naming(self.layout.name, self.root, self.index if with_manifest else None)
        limits = limits_of(adapter)
        return tuple(
            found
            for path, document in suspect.items()
            for found in too_long(document, path, naming=naming, limits=limits, select=ground.selection)
        )

    def differences(self, request: Request) -> tuple[Difference, ...]:
        """Described columns that are copies of others, and whose texts differ; in the order of files and lines.

        Raises:
            ManifestError: the manifest cannot be read.
        """
        from osmosis_synthesize.engine.consistency import differences
        from osmosis_synthesize.engine.descriptions import entry_key

        self.survey(request)  # notes what cannot be read, and names that nothing bears
        ground = self._ground(request, with_manifest=True)
        files = scope_of(request, ground).files
        nodes = [
            node for path in files for node in self.index.nodes_in_file(relative(path, self.root), self.layout.name)
        ]
        chosen = {
            node.unique_id: None
            for node in nodes
            if self.index.is_editable(node) and ground.selection.has(entry_key(node), node.unique_id)
        }
        found = differences(chosen, descriptions=self._descriptions, lineage=self.lineage)
        return tuple(
            sorted(found, key=lambda one: (one.column.file or Path(), one.column.line, one.column.character))
        )

    def shared_upstream(self, gaps: Sequence[Gap]) -> tuple[Shared, ...]:
        """Columns upstream that are worth being described first, because several of these gaps would inherit from them."""
        from osmosis_synthesize.engine.descriptions import Progress
        from osmosis_synthesize.engine.upstream import shared_upstream

        descriptions = self._descriptions
        editable = {card.unique_id for card in self.index.cards if self.index.is_editable(card)}
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
        from osmosis_synthesize.engine.prepare import Privacy, Work
        from osmosis_synthesize.engine.prompts import Style
        from osmosis_synthesize.engine.review import ADAPTER_LIMITS

        settings = self.settings
        by_node: dict[str, tuple[Gap, ...]] = {}
        for gap in gaps:
            by_node[gap.unique_id] = (*by_node.get(gap.unique_id, ()), gap)
        return Work(
            self.index,
            self._descriptions,
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

    def prover(self, store: Store) -> Caller:
        """The way to ``facts``, whatever provider the settings name."""
        from osmosis_synthesize.calling import make_caller

        settings = replace(self.settings, provider="facts", model=None, base_url=None)
        return make_caller(settings, store, project=self.layout.name)

    async def plan(self, gaps: Sequence[Gap], caller: Caller) -> Plan:
        """How these gaps would be filled; calls nobody."""
        from osmosis_synthesize.engine.plan import plan

        return await plan(self.work(gaps), caller)

    def run(
        self, gaps: Sequence[Gap], caller: Caller, *, write: bool, until: float | None = None
    ) -> AsyncGenerator[NodeOutcome, None]:
        """Fill these gaps; yields the outcome of each node once its texts are edited in.

        Files are written as the run goes on, and in any case before it ends, be it by an error or a cancellation. What is
        not finished ``until`` a moment by the event loop's clock is given up.
        """
        import asyncio

        from osmosis_synthesize.engine.run import run
        from osmosis_synthesize.filling import fill
        from osmosis_synthesize.gathering import alongside, before

        work = self.work(gaps)
        recorder = self.recorder() if write else None

        async def trace_ahead() -> None:
            nodes = [unique_id for unique_id in work.order if unique_id in self.index.nodes]
            tracing = [self.lineage.trace_ahead(nodes)]
            if recorder is not None:
                tracing.append(recorder.look_ahead(nodes))
            await asyncio.gather(*tracing)

        outcomes = before(until, run(work, caller))
        return fill(
            alongside(outcomes, trace_ahead) if caller.declines() is None else outcomes,
            gaps,
            self.drafts,
            unwritten=self.unwritten if write else None,
            recorder=recorder,
        )

    def settled(self, outcome: NodeOutcome) -> NodeOutcome:
        """The outcome after the run: what did not reach its file, because that could not be written, is a gap again."""
        from osmosis_synthesize.filling import settled

        return settled(outcome, self.drafts, self.unwritten)

    # Where texts come from

    @cached_property
    def records(self) -> RecordFile:
        """The project's file of records."""
        from osmosis_synthesize.records import RecordFile

        return RecordFile(self.root, forbidden=self.layout.why_not_editable)

    def record_of(self, key: EntryKey, column: str | None, text: str, *, file: Path | None = None) -> Record | None:
        """How a description came about that has ``text`` now; ``None`` where that is not recorded.

        Of several records, as a merge may leave them, the one about ``text``. Cheap: the file of records is read when it has
        changed. Where records stand beside their texts, naming the schema ``file`` saves looking for it in all of them.
        """
        from osmosis_synthesize.engine.provenance import place_of
        from osmosis_synthesize.recording import better

        found = self.records.read().of(place_of(key, column, self.layout.name), text)
        path = (file or self.mentions.entry_of(key)) if self.settings.provenance == "meta" else None
        document = self.drafts.get(path) if path is not None else None
        entry = document.entry(key) if document is not None else None
        return better(found, text, entry, column, self.layout.name)

    def record(self, proposals: Iterable[Proposal]) -> None:
        """Record where texts come from that an editor has put in place; a run does so itself.

        Only generated and cached ones are recorded, in the file, and nothing with ``provenance: none``. To be called once the
        editor has made the edit: a record does no harm if its text is undone, never saved, or changed; the next text takes
        its place.

        Raises:
            WriteError: the records could not be written.
        """
        if self.settings.provenance != "none":
            self._recorder().record(proposals)

    def recorded(self, request: Request, *, with_manifest: bool = True) -> tuple[Recorded, ...]:
        """The descriptions of a request whose origin is recorded, in the order of files and lines.

        The manifest is needed only for files that are no schema files, and to name one of several versions of a model.

        Raises:
            ManifestError: it is needed and cannot be read.
        """
        from osmosis_synthesize.recording import recorded

        records = self.records.read()
        if self.may_have_records:
            # notes what cannot be read, and names that nothing bears
            self.survey(request, with_manifest=with_manifest)
        found = tuple(recorded(request, self._ground(request, with_manifest=with_manifest), records))
        if self.records.problem is not None and self.records.problem not in self.notes:
            self.notes.append(self.records.problem)
        return found

    def drifted(self, texts: Sequence[Recorded]) -> tuple[Drifted, ...]:
        """Those of some recorded texts that somebody has edited, or of whose origins something has changed since.

        Without a manifest, or :meth:`catch_up`, only the former can be told.
        """
        from osmosis_synthesize.recording import drifted

        made_from, lineage = self._made_from_if_known() if texts else (None, None)
        return tuple(drifted(texts, made_from, lineage))

    def accept(self, texts: Sequence[Recorded]) -> int:
        """Mark recorded texts as reviewed by a human: as they stand, and with what they would be made from now.

        Gives how many records that changed. A schema file that is open in an editor is not written.

        Raises:
            WriteError: the records could not be written.
        """
        accepted = self._recorder().accept(texts)
        if any(one.in_meta for one in texts):
            for _ in self.drafts.flush():
                pass
        return accepted

    def forget_gone(self) -> None:
        """Remove the records of what no schema file of the project lists any more, unless one of them cannot be read.

        Raises:
            WriteError: the records could not be written.
        """
        from osmosis_synthesize.recording import gone

        ground = self._ground(Request(whole_project=True), with_manifest=False)
        self.records.remove(gone(ground, self.records.read()))

    @property
    def may_have_records(self) -> bool:
        """Whether it is worth looking for records."""
        return self.settings.provenance == "meta" or len(self.records.read()) > 0

    def recorder(self) -> Recorder | None:
        """What records the texts of a run; ``None`` where the settings say that nothing is to be recorded."""
        where = self.settings.provenance
        return self._recorder(beside=where == "meta") if where != "none" else None

    def _recorder(self, *, beside: bool = False) -> Recorder:
        from osmosis_synthesize.recording import Homes, Recorder

        homes = Homes(self.records, self.drafts)
        return Recorder(homes, self.layout.name, *self._made_from_if_known(), beside=beside)

    def _made_from_if_known(self) -> tuple[MadeFrom, Lineages] | tuple[None, None]:
        try:
            return self._made_from()
        except ManifestError:
            return None, None

    def _made_from(self) -> tuple[MadeFrom, Lineages]:
        """What texts would be made from now, and the lineage in which that is read."""
        from osmosis_synthesize.engine.made_from import MadeFrom
        from osmosis_synthesize.manifest.as_written import AsWritten
        from osmosis_synthesize.manifest.lineage import Lineages
        from osmosis_synthesize.store import default_folder

        index = AsWritten(self.index, self.root)
        cache = default_folder() / "lineage.sqlite3"
        lineage = Lineages(index, variables=self.layout.variables, cache=cache, whole=True)
        return MadeFrom(index, lineage, self._descriptions), lineage
