"""Brings an index up to date with a project's files: with those that a request is about, or with all.

What the manifest knows in an older form, or not at all, is read from the SQL, the YAML and their refs; what is as the
manifest saw it is left alone. Without a manifest, everything comes from the files. The result is an index like any other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from osmosis_synthesize.discovery import Project as Layout
from osmosis_synthesize.discovery import files_below, is_below
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.docs import DocBlocks
from osmosis_synthesize.errors import DocumentError
from osmosis_synthesize.files import read_source, shown, stamp_of
from osmosis_synthesize.homes import Mentions
from osmosis_synthesize.manifest import code_files, properties
from osmosis_synthesize.manifest.decode import is_kept
from osmosis_synthesize.manifest.index import Index, Made
from osmosis_synthesize.manifest.model import Calls, Column, DocBlock, Macro, Node, Ref, Test
from osmosis_synthesize.manifest.overlay import overlaid
from osmosis_synthesize.manifest.properties import Data, DataTest
from osmosis_synthesize.manifest.staleness import is_same
from osmosis_synthesize.names import EntryKey, ResourceType, fold, short_name
from osmosis_synthesize.packages import (
    Described,
    Package,
    SourceTable,
    add_config,
    fqn_of,
    installed,
    source_tables,
    variables_of,
)

if TYPE_CHECKING:
    from osmosis_synthesize.manifest.jinja import Renderer

LARGEST: Final = 1_000_000
"""Bytes of a file of code or prose from which on it is not read; of a seed only so much is."""

_YAML: Final = frozenset({".yml", ".yaml"})
_PROSE: Final = frozenset({".md"})
_MATERIALIZED: Final = {"model": "view", "seed": "seed", "snapshot": "snapshot"}
_MOST_NAMED: Final = 3
"""How many nodes a note names."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be brought up to date."""

    files: tuple[Path, ...] = ()
    """Without symbolic links."""
    everything: bool = False
    upstream: bool = True
    """Whether also what these nodes are built from matters."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The index as the files have it now."""

    index: Index
    """The very one that was there before, if nothing has changed."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


@dataclass(frozen=True, slots=True)
class _Sketch:
    """A node that was read, before it is known what its refs mean."""

    node: Node
    package: Package
    refs: tuple[Ref, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    tests: tuple[DataTest, ...] = ()
    keeps_parents: bool = False
    """Its code is as the manifest saw it; only its entry is not."""


def catch_up(
    index: Index, wanted: Wanted, *, layout: Layout, drafts: Drafts, mentions: Mentions, has_manifest: bool
) -> CaughtUp:
    """Read what has changed since the manifest was written.

    Args:
        index: the manifest's, or an empty one.
        wanted: which files matter. Others are looked at only where these lead to them.
        layout: the project's.
        drafts: its schema files, and texts that stand for files.
        mentions: which schema files there are.
        has_manifest: whether the index has one behind it. Without one, all doc blocks and macros are read, and with the
            files of nodes their neighbours, whose entries show where new ones belong.
    """
    reading = _Reading(index, Package(layout, drafts, mentions), drafts, wanted, has_manifest=has_manifest)
    if wanted.everything:
        reading.visit_everything()
    for path in wanted.files:
        reading.visit_file(path)
    reading.follow()
    return reading.result()


class _Reading:
    """One reading of some files: what was found, and what is still to be looked at."""

    def __init__(self, index: Index, own: Package, drafts: Drafts, wanted: Wanted, *, has_manifest: bool) -> None:
        self._index: Final = index
        self._own: Final = own
        self._drafts: Final = drafts
        self._wanted: Final = wanted
        self._has_manifest: Final = has_manifest
        stamp = stamp_of(index.path) if has_manifest else None
        self._written: Final = stamp.mtime_ns if stamp is not None else 0
        self._sketches: Final = dict[str, _Sketch]()
        self._by_name: Final = dict[str, dict[str, _Sketch]]()
        self._gone: Final = set[str]()
        self._checked: Final = set[str]()
        self._read: Final = set[Path]()
        self._ids = list[str]()
        self._refs = list[tuple[Package, Ref]]()
        self._sources = list[tuple[Package, tuple[str, str]]]()
        self._docs: Final = dict[tuple[str, str], DocBlock]()
        self._doc_files: Final = set[tuple[str, str]]()
        self._macros: Final = dict[str, Macro]()
        self._notes: Final = dict[str, None]()
        self._rendered: Final = dict[tuple[str, str], str | None]()
        if not has_manifest:
            for package in (own, *self._packages):
                self._read_docs(package, files_below(package.layout, package.layout.docs_paths, _PROSE))
                self._read_macros(package, files_below(package.layout, package.layout.macro_paths, {".sql"}))

    @cached_property
    def _packages(self) -> Sequence[Package]:
        return installed(self._own.layout, self._drafts)

    # --- what is looked at ---

    def visit_everything(self) -> None:
        """All files of the project, and all that the manifest knows of it."""
        if self._has_manifest:
            layout = self._own.layout
            newer = [path for path in files_below(layout, layout.docs_paths, _PROSE) if self._is_newer(path)]
            self._read_docs(self._own, newer)
        for path in self._own.files:
            self._visit_code(path)
        for path in self._own.mentions.files:
            self._visit_schema(path)
        self._ids += [unique_id for unique_id, node in self._index.nodes.items() if self._index.is_editable(node)]

    def visit_file(self, path: Path) -> None:
        """A file that was asked for, of whatever kind."""
        layout, suffix = self._own.layout, path.suffix.lower()
        if suffix in _YAML:
            self._visit_schema(path)
        elif suffix in _PROSE:
            self._read_docs(self._own, [path])
        elif self._own.kind_of(path) is not None or self._index.nodes_in_file(
            self._own.relative(path), self._own.name
        ):
            self._visit_code(path)
            if not self._has_manifest:
                for neighbour in self._own.files_in(path.parent):
                    self._visit_code(neighbour)
        elif any(is_below(path, Path(os.path.realpath(folder))) for folder in layout.macro_paths):
            self._read_macros(self._own, [path])

    def follow(self) -> None:
        """Look at all that was found to matter, until nothing new does."""
        while self._ids or self._refs or self._sources:
            while self._ids:
                self._visit_node(self._ids.pop())
            if self._refs:
                self._visit_ref(*self._refs.pop())
            elif self._sources:
                self._visit_source(*self._sources.pop())

    def _visit_code(self, path: Path) -> None:
        """A file that defines nodes, or did so."""
        known = self._nodes_of(path, self._own)
        self._ids += known
        kind = self._own.kind_of(path)
        if kind is None or not self._exists(path):
            return
        if not known:
            self._read_code(path, kind, self._own)
        elif kind == "snapshot":
            text = self._text(path)
            if text is not None and len(code_files.snapshots_in(text)) != len(known):
                self._read_code(path, kind, self._own)

    def _visit_schema(self, path: Path) -> None:
        """A schema file: the nodes that it describes, and those that it did."""
        document = self._drafts.get(path)
        if document is not None and (document.broken or not self._own.layout.is_editable_path(path)):
            return
        here = self._own.relative(path)
        for entry in document.entries if document is not None else ():
            key = entry.key
            if entry.slot is None or key.resource_type == "source":
                continue
            known = self._index.find(key, package=self._own.name, path=here)
            self._ids += [node.unique_id for node in known]
            stems = (
                [version.stem for version in properties.versions_of(entry.data)] if "versions" in entry.data else []
            )
            if not known or stems:
                for found in self._files_called(key.name, stems, self._own):
                    self._visit_code(found)
            for node in known:
                self._check_entry(node)
            if not known and key.resource_type == "snapshot" and "relation" in entry.data:
                self._sketch_yaml_snapshot(Described(path, entry), self._own)
        for found in source_tables(path, document) if document is not None else ():
            node = self._index.nodes.get(f"source.{self._own.name}.{found.source['name']}.{found.table['name']}")
            if node is None or self._is_changed_source(node, found):
                self._sketch_source(found, self._own)
            self._checked.add(f"source.{self._own.name}.{found.source['name']}.{found.table['name']}")
        for node in self._index.nodes_in_file(here, self._own.name):
            if node.schema_path == here:
                self._ids.append(node.unique_id)
                self._check_entry(node)

    def _visit_node(self, unique_id: str) -> None:
        """A node that the manifest knows: whether it is as it was."""
        if unique_id in self._checked:
            return
        self._checked.add(unique_id)
        node = self._index.nodes[unique_id]
        if node.package_name != self._own.name:
            return  # packages are installed as a whole; `dbt deps` and `dbt parse` go together
        path = Path(os.path.realpath(self._own.root / node.path))
        if node.resource_type == "source" or path.suffix.lower() in _YAML:
            if not self._has_manifest or self._is_newer(path):
                self._visit_yaml_node(node, path)
        elif not self._exists(path):
            self._gone.add(unique_id)
            for found in self._files_called(node.name, [path.stem], self._own):
                self._visit_code(found)
            self._visit_snapshots(node.name)
        else:
            text = self._text(path)
            if text is not None and is_same(node, text) is False:
                self._read_code(path, node.resource_type, self._own)
            else:
                self._check_entry(node)
        if self._wanted.upstream and unique_id not in self._sketches and unique_id not in self._gone:
            self._ids += node.depends_on

    def _visit_yaml_node(self, node: Node, path: Path) -> None:
        """A source table, or a snapshot that is all YAML, whose file is newer than the manifest."""
        if node.resource_type == "source":
            found = self._own.source(node.source_name or "", node.name)
            if found is None:
                self._gone.add(node.unique_id)
            elif self._is_changed_source(node, found):
                self._sketch_source(found, self._own)
            return
        described = self._own.described(
            EntryKey("snapshot", node.name), first=node.schema_path or node.path, folder=path.parent
        )
        if described is None or "relation" not in described.entry.data:
            self._gone.add(node.unique_id)
            self._visit_snapshots(node.name)
        else:
            self._sketch_yaml_snapshot(described, self._own)

    def _visit_snapshots(self, name: str) -> None:
        """The files that may define a snapshot of this name."""
        for path in self._own.snapshot_files:
            if path not in self._read and name in (self._text(path) or ""):
                self._visit_code(path)

    def _visit_ref(self, package: Package, ref: Ref) -> None:
        """What a ref means, if the manifest does not know."""
        known = [node for node in self._index.called(ref.name) if ref.package in {None, node.package_name}]
        self._ids += [node.unique_id for node in known if node.unique_id not in self._checked]
        while self._ids:
            self._visit_node(self._ids.pop())
        if self._resolve(ref, package) is not None:
            return
        for place in (self._own, *self._packages):
            if ref.package in {None, place.name}:
                self._find_by_name(ref.name, place)
                if self._resolve(ref, package) is not None:
                    return

    def _find_by_name(self, name: str, package: Package) -> None:
        described = package.described(EntryKey("model", name), first=None, folder=package.root)
        stems = [version.stem for version in properties.versions_of(described.entry.data)] if described else []
        for path in self._files_called(name, stems, package):
            kind = package.kind_of(path)
            if kind is not None:
                self._read_code(path, kind, package)
        for path in package.snapshot_files:
            if path not in self._read and name in (self._text(path) or ""):
                self._read_code(path, "snapshot", package)
        snapshot = package.described(EntryKey("snapshot", name), first=None, folder=package.root)
        if snapshot is not None and "relation" in snapshot.entry.data:
            self._sketch_yaml_snapshot(snapshot, package)

    def _visit_source(self, package: Package, source: tuple[str, str]) -> None:
        """A source table that something reads."""
        known = self._resolve_source(source, package)
        if known is not None:
            if known in self._index.nodes:
                self._ids.append(known)
            return
        for place in dict.fromkeys((package, self._own)):
            found = place.source(*source)
            if found is not None:
                self._sketch_source(found, place)
                return

    # --- reading ---

    def _read_code(self, path: Path, kind: ResourceType, package: Package) -> None:
        """The nodes of a file, as the file has them."""
        if path in self._read:
            return
        self._read.add(path)
        before = set(self._nodes_of(path, package))
        self._gone.update(before)
        if kind == "seed":
            self._sketch_seed(path, package)
        else:
            text = self._text(path) or ""
            if kind == "snapshot":
                for block in code_files.snapshots_in(text):
                    self._sketch_code(path, kind, block.name, block.inside, package)
            else:
                self._sketch_code(path, kind, path.stem, text.strip(), package)
        self._checked.update(before)

    def _sketch_code(self, path: Path, kind: ResourceType, name: str, code: str, package: Package) -> None:
        described = package.versioned(name, path.parent) if kind == "model" else None
        if described is None:
            described = package.described(EntryKey(kind, name), first=None, folder=path.parent)
            if described is not None and properties.versions_of(described.entry.data):
                described = None  # of a model with versions, no version's file has just the model's name
        else:
            name = described.entry.key.name
        version = described.version.name if described is not None and described.version is not None else None
        unique_id = f"{kind}.{package.name}.{name}" + (f".v{version}" if version is not None else "")
        node = Node(
            unique_id=unique_id,
            resource_type=kind,
            name=name,
            package_name=package.name,
            path=package.relative(path),
            schema_path=None,
            schema_package=package.name,
            version=version,
            raw_code=code,
            language="python" if path.suffix.lower() == ".py" else "sql",
        )
        calls = self._calls(node, path)
        node = self._configured(node, described, package, path, calls.config)
        if node is None:
            self._gone.add(unique_id)
            return
        self._keep(_Sketch(node, package, calls.refs, calls.sources, _tests_of(described)))

    def _calls(self, node: Node, path: Path) -> Calls:
        if node.language == "python":
            return code_files.named_in(node.raw_code)._replace(config={"materialized": "table"})
        calls = code_files.plain_calls(node.raw_code) or self._renderer.calls(node)
        if calls.problem is None:
            return calls
        self._note(f"{shown(path)}: {calls.problem}. Of its refs, those in plain words are known.")
        named = code_files.named_in(node.raw_code)
        refs = dict.fromkeys((*calls.refs, *named.refs))
        return Calls(tuple(refs), tuple(dict.fromkeys((*calls.sources, *named.sources))), calls.config)

    def _sketch_seed(self, path: Path, package: Package) -> None:
        described = package.described(EntryKey("seed", path.stem), first=None, folder=path.parent)
        blank = Node(
            unique_id=f"seed.{package.name}.{path.stem}",
            resource_type="seed",
            name=path.stem,
            package_name=package.name,
            path=package.relative(path),
            schema_path=None,
            schema_package=package.name,
        )
        node = self._configured(blank, described, package, path, {})
        if node is None:
            self._gone.add(blank.unique_id)
            return
        known = {fold(column.name) for column in node.columns}
        delimiter = str(self._configs(blank, described, package, path, {}).get("delimiter") or ",")
        header = code_files.header_of(self._head(path), delimiter=delimiter)
        more = tuple(Column(name) for name in header if fold(name) not in known)
        self._keep(_Sketch(_replace(node, columns=(*node.columns, *more)), package, tests=_tests_of(described)))

    def _sketch_yaml_snapshot(self, described: Described, package: Package) -> None:
        data, name = described.entry.data, described.entry.key.name
        blank = Node(
            unique_id=f"snapshot.{package.name}.{name}",
            resource_type="snapshot",
            name=name,
            package_name=package.name,
            path=package.relative(described.file),
            schema_path=None,
            schema_package=package.name,
            raw_code="".join(("select * from {{ ", str(data.get("relation")), " }}")),
        )
        node = self._configured(blank, described, package, described.file, {})
        if node is None:
            self._gone.add(blank.unique_id)
            return
        named = code_files.named_in(str(data.get("relation")))
        self._keep(_Sketch(node, package, named.refs, named.sources, _tests_of(described)))

    def _sketch_source(self, found: SourceTable, package: Package) -> None:
        source, table = found.source, found.table
        source_name, name = str(source["name"]), str(table["name"])
        unique_id = f"source.{package.name}.{source_name}.{name}"
        configs: dict[str, Any] = {}
        fqn = fqn_of(package, found.file, "source", source_name, name)
        for place in self._configs_in_project(package, "source", fqn):
            _add(configs, place)
        _add(configs, _config_of(source))
        _add(configs, _config_of(table))
        if not self._is_enabled(configs, package):
            self._gone.add(unique_id)
            return
        path = package.relative(found.file)
        before = self._index.nodes.get(unique_id)
        schema = source.get("schema") or source_name
        node = Node(
            unique_id=unique_id,
            resource_type="source",
            name=name,
            package_name=package.name,
            path=path,
            schema_path=path,
            schema_package=package.name,
            source_name=source_name,
            description=properties.text(table.get("description")),
            columns=properties.columns_of(table),
            tags=tuple(dict.fromkeys(properties.strings(configs.get("tags")))),
            meta=properties.mapping(configs.get("meta")),
            config=_kept(configs),
            database=before.database if before is not None else self._plain(source.get("database"), package),
            schema=before.schema if before is not None else self._plain(schema, package),
            alias=self._plain(table.get("identifier"), package) or name,
            relation_name=before.relation_name if before is not None else None,
        )
        self._keep(_Sketch(node, package, tests=properties.data_tests_of(table)))

    def _check_entry(self, node: Node) -> None:
        """Whether a node is described as the manifest has it, where the file may say otherwise by now."""
        if node.resource_type == "source" or node.unique_id in self._sketches or node.unique_id in self._gone:
            return
        file = Path(os.path.realpath(self._own.root / node.schema_path)) if node.schema_path is not None else None
        asked = self._wanted.everything or file in self._wanted.files
        if file is not None and not asked and not self._is_newer(file) and self._exists(file):
            return
        folder = Path(os.path.realpath(self._own.root / node.path)).parent
        described = self._described(node, folder)
        where = self._own.relative(described.file) if described is not None else None
        columns = _columns_of(described)
        if where == node.schema_path and _is_alike(columns, node.columns, node.resource_type):
            return
        data = described.entry.data if described is not None else properties.mapping(None)
        version = described.version.data if described is not None and described.version is not None else None
        changed = _replace(
            node,
            schema_path=where,
            columns=columns,
            description=properties.text(data.get("description")),
            meta={**node.meta, **properties.meta_of(data)},
            tags=tuple(dict.fromkeys((*node.tags, *properties.tags_of(data)))),
            constraints=properties.constraints_of(data, version),
        )
        self._keep(_Sketch(changed, self._own, tests=_tests_of(described), keeps_parents=True))

    def _described(self, node: Node, folder: Path) -> Described | None:
        key = EntryKey(node.resource_type, node.name)
        described = self._own.described(key, first=node.schema_path, folder=folder)
        if described is None or node.version is None:
            return described
        for version in properties.versions_of(described.entry.data):
            if version.name == node.version:
                return Described(described.file, described.entry, version)
        return None

    def _is_changed_source(self, node: Node, found: SourceTable) -> bool:
        columns = properties.columns_of(found.table)
        return self._own.relative(found.file) != node.schema_path or not _is_alike(columns, node.columns, "source")

    # --- from files to values ---

    def _configured(
        self, node: Node, described: Described | None, package: Package, path: Path, own: Data
    ) -> Node | None:
        """A node with what its entry and ``dbt_project.yml`` say; ``None`` if they say that it is not enabled."""
        configs = self._configs(node, described, package, path, own)
        if not self._is_enabled(configs, package):
            return None
        data = described.entry.data if described is not None else properties.mapping(None)
        version = described.version.data if described is not None and described.version is not None else None
        before = self._index.nodes.get(node.unique_id)
        base = before if before is not None else node
        stem = f"{node.name}_v{node.version}".replace(".", "_") if node.version is not None else node.name
        alias = str(configs.get("alias") or (before.alias if before is not None and before.alias else stem))
        kept = _kept(configs)
        described_by = version if version is not None and version.get("description") else data
        return _replace(
            node,
            schema_path=package.relative(described.file) if described is not None else None,
            latest_version=properties.latest_version_of(data) if node.version is not None else None,
            description=properties.text(described_by.get("description")),
            columns=_columns_of(described),
            tags=tuple(dict.fromkeys((*base.tags, *properties.strings(configs.get("tags"))))),
            meta={**base.meta, **properties.mapping(configs.get("meta"))},
            config={"materialized": _MATERIALIZED.get(node.resource_type), **base.config, **kept},
            database=base.database,
            schema=base.schema,
            alias=alias,
            relation_name=base.relation_name if base.alias == alias else None,
            constraints=properties.constraints_of(data, version),
        )

    def _configs(
        self, node: Node, described: Described | None, package: Package, path: Path, own: Data
    ) -> Mapping[str, Any]:
        """The config of a node, as ``dbt_project.yml``, its entry and its own code set it, the last one winning."""
        configs: dict[str, Any] = {}
        fqn = fqn_of(package, path, node.resource_type, node.name, *([f"v{node.version}"] if node.version else []))
        for place in self._configs_in_project(package, node.resource_type, fqn):
            _add(configs, place)
        if described is not None:
            _add(configs, _config_of(described.entry.data))
            if described.version is not None:
                _add(configs, _config_of(described.version.data))
        _add(configs, own)
        return configs

    def _configs_in_project(self, package: Package, kind: ResourceType, fqn: Sequence[str]) -> list[Data]:
        places = [package] if package.name == self._own.name else [package, self._own]
        found = [place.configs(kind, fqn) for place in places]
        return [{key: self._value(value, package) for key, value in one.items()} for one in found]

    def _is_enabled(self, configs: Mapping[str, Any], package: Package) -> bool:
        value = self._value(configs.get("enabled", True), package)
        return str(value).strip().lower() not in {"false", "no", "0"}

    def _value(self, value: Any, package: Package) -> Any:
        """A value with its Jinja resolved, where that is a text with Jinja; ``None`` where it cannot be."""
        return self._plain(value, package) if isinstance(value, str) else value

    def _plain(self, value: Any, package: Package) -> str | None:
        if value is None or "{" not in str(value):
            return None if value is None else str(value)
        key = package.name, str(value)
        if key not in self._rendered:
            self._rendered[key] = self._render(*key)
        return self._rendered[key]

    def _render(self, package: str, text: str) -> str | None:
        node = Node(
            unique_id="",
            resource_type="model",
            name="",
            package_name=package,
            path="",
            schema_path=None,
            schema_package=package,
            raw_code=text,
        )
        rendered = self._renderer.render(node, {})
        return None if rendered.problem is not None or rendered.is_partial else rendered.sql.strip()

    @cached_property
    def _renderer(self) -> Renderer:
        from osmosis_synthesize.manifest.jinja import Renderer

        metadata = self._index.metadata
        macros = {**self._index.macros, **self._macros}
        packages = () if self._has_manifest else self._packages
        return Renderer(
            macros.values(),
            adapter_type=metadata.adapter_type,
            project_name=self._own.name,
            variables=variables_of(self._own.layout, packages),
        )

    def _keep(self, sketch: _Sketch) -> None:
        unique_id = sketch.node.unique_id
        self._sketches[unique_id] = sketch
        if sketch.node.resource_type != "source":
            self._by_name.setdefault(sketch.node.name, {})[unique_id] = sketch
        self._gone.discard(unique_id)
        self._checked.add(unique_id)
        if self._wanted.upstream:
            if sketch.keeps_parents:
                self._ids += sketch.node.depends_on
            self._refs += [(sketch.package, ref) for ref in sketch.refs]
            self._sources += [(sketch.package, source) for source in sketch.sources]

    def _read_docs(self, package: Package, paths: Iterable[Path]) -> None:
        for path in paths:
            where = package.relative(path)
            self._doc_files.add((package.name, where))
            text = self._text(path) if self._exists(path) else None
            blocks = code_files.docs_in(text, package=package.name, path=where) if text and "docs" in text else []
            self._docs.update({(package.name, block.name): block for block in blocks})

    def _read_macros(self, package: Package, paths: Iterable[Path]) -> None:
        for path in paths:
            text = self._text(path) if self._exists(path) else None
            if text and "macro" in text:
                macros = code_files.macros_in(text, package=package.name)
                self._macros.update({macro.unique_id: macro for macro in macros})

    def _text(self, path: Path) -> str | None:
        """The text of a file; ``None``, and a note, where it cannot be read or is no text."""
        buffer = self._drafts.buffer(path)
        if buffer is not None:
            return buffer
        stamp = stamp_of(path)
        if stamp is not None and stamp.size > LARGEST and path.suffix.lower() != ".csv":
            self._note(f"{shown(path)} is not read: it is larger than {LARGEST // 1_000_000} MB.")
            return None
        try:
            text = self._head(path) if path.suffix.lower() == ".csv" else read_source(path).text
        except DocumentError as error:
            self._note(str(error))
            return None
        if "\0" in text:
            self._note(f"{shown(path)} is not read: it is no text.")
            return None
        return text

    def _head(self, path: Path) -> str:
        """The first part of a seed; what is no UTF-8 in it is no hindrance."""
        buffer = self._drafts.buffer(path)
        if buffer is not None:
            return buffer
        try:
            with path.open("rb") as file:
                return file.read(LARGEST + 1).decode("utf-8", "replace")
        except OSError:
            return ""

    def _note(self, note: str) -> None:
        self._notes[note] = None

    # --- what is known ---

    def _exists(self, path: Path) -> bool:
        return self._drafts.buffer(path) is not None or path.is_file()

    def _is_newer(self, path: Path) -> bool:
        """Whether a file may have changed since the manifest was written."""
        if self._drafts.buffer(path) is not None:
            return True
        stamp = stamp_of(path)
        return stamp is not None and stamp.mtime_ns > self._written

    def _nodes_of(self, path: Path, package: Package) -> list[str]:
        """The nodes that the manifest says this file of code defines."""
        where = package.relative(path)
        return [node.unique_id for node in self._index.nodes_in_file(where, package.name) if node.path == where]

    def _files_called(self, name: str, stems: Iterable[str], package: Package) -> list[Path]:
        return [path for stem in dict.fromkeys((name, *stems)) for path in package.files_called(stem)]

    def _resolve(self, ref: Ref, package: Package) -> str | None:
        """The node that a ref means; as for dbt, the project's own come first, then those of the package that asks."""
        made = [one.node for one in self._by_name.get(ref.name, {}).values()]
        known = [
            node
            for node in self._index.called(ref.name)
            if node.unique_id not in self._gone and node.unique_id not in self._sketches
        ]
        found = [
            node
            for node in (*made, *known)
            if ref.package in {None, node.package_name}
            and (node.version in {ref.version, node.latest_version if ref.version is None else ref.version})
        ]
        order = (self._own.name, package.name)
        found.sort(key=lambda node: order.index(node.package_name) if node.package_name in order else len(order))
        return found[0].unique_id if found else None

    def _resolve_source(self, source: tuple[str, str], package: Package) -> str | None:
        for place in (package.name, self._own.name):
            unique_id = f"source.{place}.{source[0]}.{source[1]}"
            if unique_id in self._sketches or (unique_id in self._index.nodes and unique_id not in self._gone):
                return unique_id
        return None

    # --- the result ---

    def result(self) -> CaughtUp:
        """The index with all that was read."""
        if not (self._sketches or self._gone or self._docs or self._doc_files or self._macros):
            return CaughtUp(self._index, tuple(self._notes))
        docs = DocBlocks(overlaid(self._index, Made(docs=self._docs, doc_files=frozenset(self._doc_files))))
        nodes = {unique_id: _with_docs(self._finished(sketch), docs) for unique_id, sketch in self._sketches.items()}
        tests = {unique_id: self._tests(sketch) for unique_id, sketch in self._sketches.items()}
        made = Made(nodes, tests, self._docs, frozenset(self._doc_files), self._macros)
        gone = [unique_id for unique_id in self._gone if unique_id in self._index.nodes]
        if self._has_manifest:
            self._note_changes(gone)
        return CaughtUp(overlaid(self._index, made, gone=gone), tuple(self._notes))

    def _finished(self, sketch: _Sketch) -> Node:
        if sketch.keeps_parents:
            return sketch.node
        parents = [self._resolve(ref, sketch.package) for ref in sketch.refs]
        parents += [self._resolve_source(source, sketch.package) for source in sketch.sources]
        own = sketch.node.unique_id
        return _replace(sketch.node, depends_on=tuple(sorted({one for one in parents if one is not None} - {own})))

    def _tests(self, sketch: _Sketch) -> tuple[Test, ...]:
        node = sketch.node
        found: list[Test] = []
        for number, test in enumerate(sketch.tests):
            reads = [self._resolve(ref, sketch.package) for ref in test.reads.refs]
            reads += [self._resolve_source(source, sketch.package) for source in test.reads.sources]
            found.append(
                Test(
                    unique_id=f"test.{node.package_name}.{test.name}_{short_name(node.unique_id)}.{number:04}",
                    node=node.unique_id,
                    column=test.column,
                    name=test.name,
                    namespace=test.namespace,
                    arguments=test.arguments,
                    refers_to=tuple(one for one in reads if one is not None),
                    where=test.where,
                    warns=test.warns,
                )
            )
        return tuple(found)

    def _note_changes(self, gone: Sequence[str]) -> None:
        """Say once which nodes the manifest knows in an older form."""
        changed = [unique_id for unique_id, sketch in self._sketches.items() if not sketch.keeps_parents]
        names = [short_name(unique_id) for unique_id in dict.fromkeys((*changed, *gone))]
        if names:
            some = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
            self._note(
                f"{shown(self._index.path)} is older than {len(names)} of the nodes ({some}): these are read from their "
                "files. Run `dbt parse`, or `dbt compile` where compiled SQL matters."
            )


def _with_docs(node: Node, docs: DocBlocks) -> Node:
    """The node with its descriptions rendered, as a manifest has them."""
    texts = (node.description, *(column.description for column in node.columns))
    if not any("{{" in text for text in texts):
        return node
    package = node.package_name
    columns = tuple(
        msgspec.structs.replace(column, description=docs.rendered(column.description, of=package))
        for column in node.columns
    )
    return _replace(node, description=docs.rendered(node.description, of=package), columns=columns)


def _columns_of(described: Described | None) -> tuple[Column, ...]:
    if described is None:
        return ()
    return properties.columns_of(
        described.entry.data, described.version.data if described.version is not None else None
    )


def _tests_of(described: Described | None) -> tuple[DataTest, ...]:
    if described is None:
        return ()
    return properties.data_tests_of(
        described.entry.data, described.version.data if described.version is not None else None
    )


def _is_alike(now: Sequence[Column], before: Sequence[Column], kind: ResourceType) -> bool:
    """Whether two lists of columns say the same, but for descriptions, which are read from the files anyway."""

    def facts(column: Column) -> tuple[object, ...]:
        return column.name, column.data_type, column.quote, sorted(column.tags), dict(column.meta)

    if kind == "seed":  # of a seed that was read here, the header's columns follow
        before = before[: len(now)]
    return [facts(column) for column in now] == [facts(column) for column in before]


def _config_of(data: Data) -> Data:
    """What an entry sets: ``config:``, and what may stand beside it."""
    config = dict(properties.mapping(data.get("config")))
    if tags := properties.tags_of(data):
        config["tags"] = list(tags)
    if meta := properties.meta_of(data):
        config["meta"] = meta
    return config


def _kept(configs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a node's config what an index keeps."""
    return {key: value for key, value in configs.items() if value is not None and is_kept(key)} | {"enabled": True}


def _add(configs: dict[str, Any], place: Data) -> None:
    for key, value in place.items():
        add_config(configs, key, value)


def _replace(node: Node, **fields: Any) -> Node:
    return msgspec.structs.replace(node, **fields)
