"""The dbt projects that open documents belong to, each as far as it could be loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from osmosis_synthesize.discovery import PROJECT_FILE, SCHEMA_SUFFIXES, find_project, is_below
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.model import Gap, PlannedCall, Proposal, Unfilled, Waiting
from osmosis_synthesize.errors import ProjectError, ProjectNotFound
from osmosis_synthesize.files import stamp_of
from osmosis_synthesize.lsp.configuration import Configuration
from osmosis_synthesize.lsp.documents import Documents
from osmosis_synthesize.manifest.loader import Loader
from osmosis_synthesize.project import Project
from osmosis_synthesize.store import default_folder

Way = Proposal | Waiting | PlannedCall | Unfilled
"""How one gap would be filled."""

GapId = tuple[str, str | None]

NODE_SUFFIXES: Final = frozenset({".sql", ".py", ".csv"})
"""Of the files that define nodes, where schema files only describe them."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Nothing has been read yet."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The project can be worked on. Without a manifest, only what its schema files list is seen."""

    project: Project
    has_manifest: bool
    problem: ProjectError | None = None
    """Why the manifest is absent, or why it or the settings are older than the files that are there now."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The project itself cannot be read."""

    error: ProjectError


State = Unread | Ready | Broken


@dataclass(slots=True)
class Member:
    """One project of the workspace."""

    root: Path
    state: State = field(default_factory=Unread)
    ways: dict[Path, Mapping[GapId, Way]] = field(default_factory=dict[Path, Mapping[GapId, Way]])
    """How the gaps of a schema file would be filled, by its path; as of the last time that was worked out."""
    stale: dict[Path, tuple[str, ...]] = field(default_factory=dict[Path, tuple[str, ...]])
    """The nodes of a schema file that the manifest knows in an older form."""
    models: dict[Path, tuple[Gap, ...]] = field(default_factory=dict[Path, tuple[Gap, ...]])
    """The gaps of the entries of the nodes that an open .sql, .py or .csv file defines, by its path."""
    loader: Loader | None = None
    parsing: bool = False
    """Whether `dbt parse` is running in it."""
    artifacts: tuple[Path, Path | None] | None = None
    """The manifest and catalog that the loader reads."""

    def load(self, configuration: Configuration) -> State:
        """Read everything anew that has changed. Takes up to seconds, so it is for the worker; touches only the loader.

        A manifest that cannot be loaded leaves the last good one in use.
        """
        try:
            project = Project(self.root, configuration.settings(self.root))
        except ProjectError as error:
            return Broken(error)
        catalog = project.catalog_path if project.catalog_path.exists() else None
        if self.loader is None or self.artifacts != (project.manifest_path, catalog):
            self.artifacts = project.manifest_path, catalog
            last = self.loader.index if self.loader is not None else None
            self.loader = Loader(project.manifest_path, catalog=catalog, snapshots=default_folder() / "manifests")
            self.loader.index = last
        self.loader.refresh()
        if self.loader.index is not None:
            project.index = project.completed(self.loader.index)
            before = self.state.project if isinstance(self.state, Ready) and self.state.has_manifest else None
            # Set now, so that all views of the project share what is traced.
            project.lineage = before.lineage if before is not None and _is_alike(before, project) else project.lineage
        return Ready(project, self.loader.index is not None, self.loader.error)

    def stamps(self, others: Iterable[Path]) -> Mapping[Path, object]:
        """What tells whether settings, manifest, catalog or any of ``others`` have changed. For the worker."""
        settings = (self.root / PROJECT_FILE, self.root / "vars.yml")
        return {file: stamp_of(file) for file in (*settings, *filter(None, self.artifacts or ()), *others)}

    def forget(self, path: Path) -> None:
        """A file was closed: what was worked out for its gaps is not kept."""
        for known in (self.ways, self.stale, self.models):
            known.pop(path, None)


def _is_alike(before: Project, now: Project) -> bool:
    """Whether what was traced in the one holds in the other."""
    return before.index is now.index and before.layout.variables == now.layout.variables


class Workspace:
    """Finds the project of a file. Nothing is read before it is asked for."""

    def __init__(self) -> None:
        self._members: Final = dict[Path, Member]()
        self._roots: Final = dict[str, Path | None]()
        """By folder, as a string: this is asked with each request, and paths are slow to compare."""

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def member_of(self, path: Path) -> Member | None:
        """The project that a file belongs to, loaded or not; ``None`` if there is none."""
        folder = os.path.dirname(path)  # noqa: PTH120 - see above
        if folder not in self._roots:
            try:
                self._roots[folder] = Path(os.path.realpath(find_project(Path(folder))))
            except ProjectNotFound:
                self._roots[folder] = None
        root = self._roots[folder]
        if root is None:
            return None
        return self._members.get(root) or self._members.setdefault(root, Member(root))

    def forget(self, member: Member) -> None:
        """Let a project go, with all that was read of it."""
        self._members.pop(member.root, None)

    def forget_folders(self) -> None:
        """A ``dbt_project.yml`` has come or gone: look for projects anew."""
        self._roots.clear()
        for root in list(self._members):
            if not (root / PROJECT_FILE).is_file():
                del self._members[root]


def view(project: Project, buffers: Mapping[Path, str], documents: Documents) -> Project:
    """The project with the open texts in place of their files, as it is now; edits to it touch nothing else."""
    return project.with_drafts(Drafts(buffers, read=documents.reader()))


def is_schema_file(project: Project, path: Path) -> bool:
    """Whether dbt looks for properties in the file at ``path``, and they may be edited."""
    layout = project.layout
    return (
        path.suffix.lower() in SCHEMA_SUFFIXES
        and path.name != PROJECT_FILE
        and layout.is_editable_path(path)
        and any(is_below(path, Path(os.path.realpath(folder))) for folder in layout.source_paths)
    )


def label_of(gap: Gap) -> str:
    """What a gap is called in the editor: the column's own name, or the node's."""
    return gap.column if gap.column is not None else str(gap.key)
