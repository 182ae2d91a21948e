"""Finds projects, their layout, and the schema files that may be edited."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from osmosis_synthesize.errors import ProjectError, ProjectNotFound
from osmosis_synthesize.settings.env_var import RenderError, render
from osmosis_synthesize.settings.yaml_file import Value, YamlError, parse_yaml, read_text, to_plain

PROJECT_FILE: Final = "dbt_project.yml"
VARS_FILE: Final = "vars.yml"
SCHEMA_SUFFIXES: Final = frozenset({".yml", ".yaml"})
NODE_SUFFIXES: Final = frozenset({".sql", ".py", ".csv"})


@dataclass(frozen=True)
class Project:
    """A dbt project's layout. Paths are absolute; symbolic links in them are kept as they are."""

    root: Path
    name: str
    model_paths: tuple[Path, ...]
    seed_paths: tuple[Path, ...]
    snapshot_paths: tuple[Path, ...]
    analysis_paths: tuple[Path, ...]
    macro_paths: tuple[Path, ...]
    test_paths: tuple[Path, ...]
    docs_paths: tuple[Path, ...]
    """Where ``{% docs %}`` blocks are looked for."""
    target_path: Path
    packages_install_path: Path
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The ``vars`` of ``dbt_project.yml`` and ``vars.yml``. Jinja in them stays, as dbt does not render it."""
    problems: tuple[str, ...] = ()
    """Paths and variables that could not be understood; dbt's default is taken instead."""

    @property
    def manifest_path(self) -> Path:
        """Where dbt writes the manifest."""
        return self.target_path / "manifest.json"

    @property
    def catalog_path(self) -> Path:
        """Where dbt writes the catalog, if it is asked for."""
        return self.target_path / "catalog.json"

    @property
    def source_paths(self) -> tuple[Path, ...]:
        """The folders in which dbt looks for schema files, each once."""
        paths = (
            *self.model_paths,
            *self.seed_paths,
            *self.snapshot_paths,
            *self.analysis_paths,
            *self.macro_paths,
            *self.test_paths,
        )
        return tuple(dict.fromkeys(paths))

    def why_not_editable(self, path: Path) -> str | None:
        """Why the file at ``path`` must not be written, or ``None`` if it may be.

        The file that is meant is the one that symbolic links lead to. It may be edited if it lies in the project or
        below one of its source paths (which may lead out of the project), and is no build product or package.
        """
        real = Path(os.path.realpath(path))
        forbidden, allowed = self._borders
        for folder, reason in forbidden:
            if is_below(real, folder):
                return reason
        if any(is_below(real, folder) for folder in allowed):
            return None
        return f"it lies outside the project {self.root}"

    def is_editable_path(self, path: Path) -> bool:
        """Whether the file at ``path`` may be written."""
        return self.why_not_editable(path) is None

    def is_read(self, path: Path) -> bool:
        """Whether dbt reads the file at ``path`` as a schema file, a model, a seed or a snapshot, and it may be edited."""
        suffix = path.suffix.lower()
        if suffix in SCHEMA_SUFFIXES:
            folders = self.source_paths
        elif suffix in NODE_SUFFIXES:
            folders = (*self.model_paths, *self.seed_paths, *self.snapshot_paths)
        else:
            return False
        # A link below a source path is read there, wherever it leads; so is a file that is reached by a link to a folder.
        places = {Path(os.path.abspath(path)), Path(os.path.realpath(path))}  # noqa: PTH100 - links stay
        roots = {root for folder in folders for root in (folder, Path(os.path.realpath(folder)))}
        return any(is_below(place, root) for place in places for root in roots) and self.is_editable_path(path)

    @cached_property
    def _borders(self) -> tuple[tuple[tuple[Path, str], ...], tuple[Path, ...]]:
        """Real folders that may not be written to, with the reason, and those that may."""
        forbidden = (
            (self.packages_install_path, "it belongs to an installed package"),
            (self.root / "dbt_packages", "it belongs to an installed package"),
            (self.target_path, "it lies in the target folder, which dbt overwrites"),
            (self.root / "target", "it lies in the target folder, which dbt overwrites"),
            (self.root / ".git", "it lies in git's own folder"),
        )
        real = {Path(os.path.realpath(folder)): reason for folder, reason in reversed(forbidden)}
        allowed = dict.fromkeys(Path(os.path.realpath(folder)) for folder in (self.root, *self.source_paths))
        return tuple(real.items()), tuple(allowed)


def is_below(path: Path, folder: Path) -> bool:
    """Whether ``path`` is ``folder`` or lies below it; both without symbolic links.

    Names that differ in case only are the same where the file system says so.
    """
    if path.is_relative_to(folder):
        return True
    if folder.name.casefold() not in (part.casefold() for part in path.parts):
        return False
    try:
        wanted = folder.stat()
    except OSError:
        return False
    return any(_is_same(parent, wanted) for parent in (path, *path.parents))


def _is_same(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False


# Finding projects


def find_project(start: Path) -> Path:
    """The root of the project that ``start`` (a file or folder, which need not exist) belongs to.

    The nearest folder upward with a ``dbt_project.yml``, except that an installed package belongs to the project
    that installed it.

    Raises:
        ProjectNotFound: no folder upward has one.
    """
    root = _nearest_project(Path(os.path.abspath(start)))  # noqa: PTH100 - `..` goes away, symbolic links stay
    if root is None:
        root = _nearest_project(Path(os.path.realpath(start)))
    if root is None:
        raise ProjectNotFound(
            f"There is no {PROJECT_FILE} in {start} or any folder above it.",
            hint="Start in a dbt project, or name its folder with --project-dir.",
        )
    return root


def _nearest_project(start: Path) -> Path | None:
    roots = [folder for folder in (start, *start.parents) if (folder / PROJECT_FILE).is_file()]
    if not roots:
        return None
    root = roots[0]
    for outer in roots[1:]:
        if _has_installed(outer, root):
            root = outer
    return root


def _has_installed(outer: Path, inner: Path) -> bool:
    """Whether the project ``inner`` lies in the folder where the project ``outer`` installs packages."""
    try:
        folder = load_project(outer).packages_install_path
    except ProjectError:  # the outer project is not the one that was asked for
        folder = outer / "dbt_packages"
    return inner.is_relative_to(folder)


class Grouped(NamedTuple):
    """Files by the project they belong to, both in the order in which they came."""

    projects: Mapping[Path, tuple[Path, ...]]
    """By the project's root."""
    outside: tuple[Path, ...]
    """Files that belong to no project."""


def projects_of(files: Iterable[Path]) -> Grouped:
    """Sort ``files`` by project; a repository may hold several."""
    roots: dict[Path, Path | None] = {}
    projects: dict[Path, list[Path]] = {}
    outside: list[Path] = []
    for file in files:
        folder = file.parent
        if folder not in roots:
            try:
                roots[folder] = find_project(folder)
            except ProjectNotFound:
                roots[folder] = None
        root = roots[folder]
        (outside if root is None else projects.setdefault(root, [])).append(file)
    return Grouped({root: tuple(group) for root, group in projects.items()}, tuple(outside))


# The layout


def load_project(root: Path, *, environ: Mapping[str, str] | None = None) -> Project:
    """Read the layout of the project in ``root``, with dbt's defaults for what it does not say.

    Raises:
        ProjectError: ``dbt_project.yml`` is absent or no YAML mapping.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100 - `..` goes away, symbolic links stay
    file = root / PROJECT_FILE
    try:
        text = read_text(file)
        if text is None:
            raise ProjectNotFound(f"{file} does not exist.", hint="A dbt project is the folder with that file.")
        data = parse_yaml(text)
    except YamlError as error:
        raise ProjectError(f"{file} {error}.") from error
    if not isinstance(data.data, Mapping):
        raise ProjectError(f"{file} is no mapping of settings, as dbt wants it.")
    return _Layout(root, data, os.environ if environ is None else environ).project()


class _Layout:
    """Reads paths from one ``dbt_project.yml`` and notes what it does not understand."""

    def __init__(self, root: Path, data: Value, environ: Mapping[str, str]) -> None:
        self._root = root
        self._data = data
        self._environ = environ
        self._problems: list[str] = []

    def project(self) -> Project:
        models = self._paths("model-paths", "models", old_key="source-paths")
        seeds = self._paths("seed-paths", "seeds", old_key="data-paths")
        snapshots = self._paths("snapshot-paths", "snapshots")
        analyses = self._paths("analysis-paths", "analyses")
        macros = self._paths("macro-paths", "macros")
        tests = self._paths("test-paths", "tests")
        everywhere = tuple(dict.fromkeys((*models, *seeds, *snapshots, *analyses, *macros, *tests)))
        target = self._environ.get("DBT_TARGET_PATH", "").strip()
        return Project(
            root=self._root,
            name=self._text(self._data.get("name")) or "",
            model_paths=models,
            seed_paths=seeds,
            snapshot_paths=snapshots,
            analysis_paths=analyses,
            macro_paths=macros,
            test_paths=tests,
            docs_paths=self._paths("docs-paths") or everywhere,
            target_path=self._join(target) if target else self._paths("target-path", "target")[0],
            packages_install_path=self._paths("packages-install-path", "dbt_packages")[0],
            variables=self._variables(),
            problems=tuple(self._problems),
        )

    def _variables(self) -> Mapping[str, Any]:
        """The ``vars``: by dbt's rules they stand in one of the two files."""
        variables: dict[str, Any] = {}
        for file in (self._root / PROJECT_FILE, self._root / VARS_FILE):
            try:
                text = read_text(file)
                data = parse_yaml(text) if text is not None else None
                found = data.get("vars") if data is not None else None
                if found is None and file.name == VARS_FILE:
                    found = data  # that file may also hold the variables themselves
                if found is not None and isinstance(found.data, Mapping):
                    variables |= to_plain(found)
            except YamlError as error:
                self._problems.append(f"{file}: these variables are not used: it {error}")
        return variables

    def _paths(self, key: str, *default: str, old_key: str | None = None) -> tuple[Path, ...]:
        value = self._data.get(key) or (self._data.get(old_key) if old_key else None)
        items = () if value is None else value.data if isinstance(value.data, tuple) else (value,)
        texts = [text for item in items if (text := self._text(item))]
        return tuple(dict.fromkeys(map(self._join, texts or default)))

    def _text(self, value: Value | None) -> str | None:
        if value is None or value.data is None:
            return None
        try:
            if isinstance(value.data, str):
                return render(value.data, self._environ).strip()
            reason = "it must be text"
        except RenderError as error:
            reason = str(error)
        self._problems.append(f"{self._root / PROJECT_FILE}:{value.line}: this path is not understood: {reason}")
        return None

    def _join(self, path: str) -> Path:
        joined = self._root / path
        # `..` after a symbolic link leads where the link leads, as it does for dbt.
        return Path(os.path.realpath(joined)) if ".." in joined.parts else joined


# Files


def schema_files(project: Project) -> list[Path]:
    """Every YAML file below the project's source paths that may be edited, each once, in a stable order.

    Left out are hidden folders, installed packages, the target folder and projects inside the project.
    """
    return [path for path in files_below(project, project.source_paths, SCHEMA_SUFFIXES) if path.name != PROJECT_FILE]


def files_below(project: Project, folders: Iterable[Path], suffixes: Collection[str]) -> list[Path]:
    """The files of these endings below some of the project's folders that may be edited, as :func:`schema_files` has it."""
    found: dict[Path, Path] = {}
    for source in folders:
        real_source = Path(os.path.realpath(source))
        for real in _files(real_source, project, suffixes):
            target = Path(os.path.realpath(real)) if real.is_symlink() else real
            if target is real or (target.is_file() and project.is_editable_path(target)):
                found.setdefault(target, source / real.relative_to(real_source))
    return list(found.values())


def _files(top: Path, project: Project, suffixes: Collection[str]) -> Iterator[Path]:
    for folder, folders, files in os.walk(top):  # links to folders are not followed
        here = Path(folder)
        if (here != top and PROJECT_FILE in files) or project.why_not_editable(here) is not None:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122 - per file
                yield here / name
