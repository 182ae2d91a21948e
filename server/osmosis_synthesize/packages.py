"""A dbt project, or an installed package, as a folder of files: which nodes they define, and where each is described."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from osmosis_synthesize.discovery import PROJECT_FILE, files_below, is_below, load_project
from osmosis_synthesize.discovery import Project as Layout
from osmosis_synthesize.document.model import Document, Entry
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.gaps import relative
from osmosis_synthesize.errors import ProjectError
from osmosis_synthesize.homes import Mentions
from osmosis_synthesize.manifest.properties import Data, Version, mapping, mappings, strings, versions_of
from osmosis_synthesize.names import EntryKey, ResourceType
from osmosis_synthesize.settings.yaml_file import YamlError, parse_yaml, read_text, to_plain

_CODE: Final = frozenset({".sql", ".py"})
_VERSIONED: Final = re.compile(r"(?P<name>.+)[._]v[^._]+")
_PROFILES: Final = "profiles.yml"


@dataclass(frozen=True, slots=True)
class Described:
    """The entry of a node, and for one version of a model the item of ``versions:``."""

    file: Path
    entry: Entry
    version: Version | None = None


class SourceTable(NamedTuple):
    """A table of a source, as plain data."""

    file: Path
    source: Data
    table: Data


class Package:
    """The project itself, or one of its packages. Files are listed and read when they are first asked for."""

    def __init__(self, layout: Layout, drafts: Drafts, mentions: Mentions | None = None) -> None:
        self.layout: Final = layout
        self.name: Final = layout.name
        self.root: Final = Path(os.path.realpath(layout.root))
        """Without symbolic links, as are all paths here."""
        self.mentions: Final = mentions or Mentions(layout, drafts)
        self._drafts: Final = drafts
        self._kinds: Final = dict[Path, ResourceType]()
        self._absolute: Final = dict[str, Path]()

    def relative(self, path: Path) -> str:
        """A file as the manifest writes it."""
        return relative(path, self.root)

    def absolute(self, path: str) -> Path:
        """The file that the manifest means."""
        found = self._absolute.get(path)
        if found is None:
            found = self._absolute[path] = Path(os.path.realpath(self.root / path))
        return found

    def kind_of(self, path: Path) -> ResourceType | None:
        """What dbt makes of a file, by its folder and ending; ``None`` if that is no node of ours."""
        if path in self._kinds:
            return self._kinds[path]
        suffix = path.suffix.lower()
        for kind, folders, suffixes in self._folders:
            if suffix in suffixes and any(is_below(path, folder) for folder in folders):
                return kind if self.layout.is_editable_path(path) else None
        return None

    def is_macro(self, path: Path) -> bool:
        """Whether dbt looks for macros in a file."""
        return path.suffix.lower() == ".sql" and self._is_in(path, self.layout.macro_paths)

    def is_prose(self, path: Path) -> bool:
        """Whether dbt looks for doc blocks in a file."""
        return path.suffix.lower() == ".md" and self._is_in(path, self.layout.docs_paths)

    def _is_in(self, path: Path, folders: Sequence[Path]) -> bool:
        return any(is_below(path, folder) for folder in _real(folders)) and self.layout.is_editable_path(path)

    @cached_property
    def files(self) -> Sequence[Path]:
        """All files that define nodes, in a stable order."""
        for kind, folders, suffixes in self._folders:
            for path in files_below(self.layout, folders, suffixes):
                self._kinds.setdefault(Path(os.path.realpath(path)), kind)
        return list(self._kinds)

    @cached_property
    def _folders(self) -> tuple[tuple[ResourceType, Sequence[Path], frozenset[str]], ...]:
        """Where which files define nodes."""
        layout = self.layout
        return (
            ("model", _real(layout.model_paths), _CODE),
            ("seed", _real(layout.seed_paths), frozenset({".csv"})),
            ("snapshot", _real(layout.snapshot_paths), frozenset({".sql"})),
        )

    def files_in(self, folder: Path) -> Sequence[Path]:
        """Those that lie in one folder."""
        return self._code_in.get(folder, ())

    @cached_property
    def _code_in(self) -> Mapping[Path, Sequence[Path]]:
        found: dict[Path, list[Path]] = {}
        for path in self.files:
            found.setdefault(path.parent, []).append(path)
        return found

    def files_called(self, name: str) -> Sequence[Path]:
        """The models and seeds whose files have this name."""
        return self._by_stem.get(name, ())

    @cached_property
    def _by_stem(self) -> Mapping[str, Sequence[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self.files:
            found.setdefault(path.stem, []).append(path)
        return found

    @cached_property
    def snapshot_files(self) -> Sequence[Path]:
        """The files that may define snapshots."""
        return [path for path in self.files if self._kinds[path] == "snapshot"]

    # --- entries ---

    def described(self, key: EntryKey, *, first: str | None = None, folder: Path) -> Described | None:
        """The entry of a node: where it is said to be (``first``), in the folder of its own file, or anywhere."""
        named = [self.absolute(first)] if first is not None else []
        for path in (*named, *self._schema_files_in(folder)):
            entry = self._entry(path, key)
            if entry is not None:
                return Described(path, entry)
        path = self.mentions.entry_of(key)
        entry = self._entry(path, key) if path is not None else None
        return Described(path, entry) if path is not None and entry is not None else None

    def versioned(self, stem: str, folder: Path) -> Described | None:
        """The version of a model whose file is called ``stem``."""
        match = _VERSIONED.fullmatch(stem)
        words = (match["name"], stem) if match is not None else (stem,)
        mentioned = (path for word in words for path in self.mentions.get(word))
        for path in dict.fromkeys((*self._schema_files_in(folder), *mentioned)):
            for entry, versions in self._versions_in(path):
                for version in versions:
                    if stem in {version.stem, f"{entry.key.name}.v{version.name}"}:
                        return Described(path, entry, version)
        return None

    def _versions_in(self, path: Path) -> Sequence[tuple[Entry, tuple[Version, ...]]]:
        if path not in self._versions:
            document = self._drafts.get(path) if "versions" in (self._drafts.text(path) or "") else None
            self._versions[path] = [
                (entry, versions_of(entry.data))
                for entry in (document.entries if document is not None else ())
                if entry.key.resource_type == "model" and entry.slot is not None and "versions" in entry.data
            ]
        return self._versions[path]

    @cached_property
    def _versions(self) -> dict[Path, Sequence[tuple[Entry, tuple[Version, ...]]]]:
        return {}

    def _entry(self, path: Path, key: EntryKey) -> Entry | None:
        document = self._drafts.get(path)
        return document.entry(key) if document is not None else None

    def _schema_files_in(self, folder: Path) -> Sequence[Path]:
        return self._by_folder.get(folder, ())

    @cached_property
    def _by_folder(self) -> Mapping[Path, Sequence[Path]]:
        found: dict[Path, list[Path]] = {}
        for path in self.mentions.files:
            found.setdefault(path.parent, []).append(path)
        return found

    def source(self, name: str, table: str) -> SourceTable | None:
        """A table of a source, wherever it is declared."""
        for path in self.mentions.get(table):
            document = self._drafts.get(path)
            if document is not None and document.entry(EntryKey("source", table, name)) is not None:
                for found in source_tables(path, document):
                    if (found.source.get("name"), found.table.get("name")) == (name, table):
                        return found
        return None

    # --- dbt_project.yml ---

    @cached_property
    def project_data(self) -> Data:
        """``dbt_project.yml`` as plain data; Jinja in it stays."""
        try:
            data = read_text(self.root / PROJECT_FILE)
            return mapping(to_plain(parse_yaml(data))) if data is not None else {}
        except YamlError:
            return {}  # the layout's own problem, and told there

    def configs(self, kind: ResourceType, fqn: Sequence[str]) -> dict[str, Any]:
        """What ``dbt_project.yml`` sets for a node, outer folders first: ``meta`` and ``tags`` add up, all else is replaced.

        Args:
            kind: of the node.
            fqn: its package, folders and name, as dbt has them.
        """
        found: dict[str, Any] = {}
        level: Data = mapping(self.project_data.get(f"{kind}s"))
        for part in (None, *fqn):
            level = level if part is None else mapping(level.get(part))
            for key, value in level.items():
                if key.startswith("+") or not isinstance(value, Mapping):
                    add_config(found, key.removeprefix("+"), value)
        return found

    def folders_of(self, path: Path, kind: ResourceType) -> tuple[str, ...]:
        """The folders between a file and the source path that it lies in: the middle of an ``fqn``."""
        layout = self.layout
        roots = {"seed": layout.seed_paths, "snapshot": layout.snapshot_paths}.get(kind, layout.model_paths)
        for root in (Path(os.path.realpath(folder)) for folder in (*roots, *layout.source_paths)):
            if path.is_relative_to(root):
                return path.relative_to(root).parts[:-1]
        return ()


def _real(folders: Sequence[Path]) -> Sequence[Path]:
    return [Path(os.path.realpath(folder)) for folder in folders]


def add_config(configs: dict[str, Any], key: str, value: Any) -> None:
    """Add what a place nearer to the node sets."""
    if key == "meta":
        value = {**mapping(configs.get(key)), **mapping(value)}
    elif key == "tags":
        value = [*strings(configs.get(key)), *strings(value)]
    configs[key] = value


def source_tables(path: Path, document: Document) -> Iterator[SourceTable]:
    """The tables of all sources of a schema file."""
    for source in mappings(document.data.get("sources")):
        for table in mappings(source.get("tables")):
            if isinstance(source.get("name"), str) and isinstance(table.get("name"), str):
                yield SourceTable(path, source, table)


def installed(layout: Layout, drafts: Drafts) -> list[Package]:
    """The packages that are installed in a project. Links that lead out of the project are not followed."""
    root = Path(os.path.realpath(layout.root))
    found: list[Package] = []
    try:
        folders = sorted(Path(os.path.realpath(layout.packages_install_path)).iterdir())
    except OSError:
        return []
    for folder in folders:
        real = Path(os.path.realpath(folder))
        if real.is_relative_to(root) and (real / PROJECT_FILE).is_file():
            try:
                package = Package(load_project(real), drafts)
            except ProjectError:
                continue  # dbt would not start with it; nothing of it is needed here
            if all(Path(os.path.realpath(path)).is_relative_to(real) for path in package.layout.source_paths):
                found.append(package)
    return found


def adapter_type(package: Package) -> str:
    """The kind of warehouse, by a ``profiles.yml`` in the project's own folder; empty if that does not tell.

    Of that file nothing but the types is used. It tells where all targets of the profile are of one type, or the default
    target is named in plain words.
    """
    try:
        data = read_text(package.root / _PROFILES)
        profiles = mapping(to_plain(parse_yaml(data)) if data is not None else None)
    except YamlError:
        return ""
    profile = mapping(profiles.get(str(package.project_data.get("profile"))))
    outputs = mapping(profile.get("outputs"))
    types = {name: str(mapping(output).get("type") or "") for name, output in outputs.items()}
    kinds = set(types.values())
    kind = kinds.pop() if len(kinds) == 1 else types.get(str(profile.get("target", "default")), "")
    return kind if kind.isidentifier() else ""


def variables_of(own: Layout, packages: Sequence[Package]) -> Mapping[str, Any]:
    """The project's ``vars``, and below the name of each package its own, as far as the project does not set them."""
    found = dict(own.variables)
    for package in packages:
        theirs = {**package.layout.variables, **mapping(package.layout.variables.get(package.name))}
        defaults = {name: value for name, value in theirs.items() if name not in own.variables}
        found[package.name] = {**defaults, **mapping(own.variables.get(package.name))}
    return found


def fqn_of(package: Package, path: Path, kind: ResourceType, *names: str) -> tuple[str, ...]:
    """What ``dbt_project.yml`` finds a node by."""
    return (package.name, *package.folders_of(path, kind), *(names or (posixpath.splitext(path.name)[0],)))
