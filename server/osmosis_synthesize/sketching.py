"""Makes nodes from files: from SQL, YAML and ``dbt_project.yml`` to what a manifest says, but for what refs mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from osmosis_synthesize.code_texts import CodeTexts
from osmosis_synthesize.files import shown
from osmosis_synthesize.manifest import code_files, properties
from osmosis_synthesize.manifest.decode import is_kept
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import Calls, Column, Macro, Node, Ref
from osmosis_synthesize.manifest.properties import Data, DataTest
from osmosis_synthesize.manifest.staleness import is_same
from osmosis_synthesize.names import EntryKey, ResourceType, fold
from osmosis_synthesize.packages import Described, Package, SourceTable, add_config, fqn_of, variables_of

if TYPE_CHECKING:
    from osmosis_synthesize.manifest.jinja import Renderer

_MATERIALIZED: Final = {"model": "view", "seed": "seed", "snapshot": "snapshot"}


@dataclass(frozen=True, slots=True)
class Sketch:
    """A node that was read, before it is known what its refs mean."""

    node: Node
    package: Package
    refs: tuple[Ref, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    tests: tuple[DataTest, ...] = ()
    keeps_parents: bool = False
    """Its code is as the manifest saw it; only its entry, or its place, is not."""


class Disabled(NamedTuple):
    """A node that dbt leaves out, because it is not enabled."""

    unique_id: str


class Sketcher:
    """Makes sketches of the nodes of one project and its packages."""

    def __init__(
        self, index: Index, own: Package, packages: Sequence[Package], texts: CodeTexts, macros: Iterable[Macro]
    ) -> None:
        """Nothing is read yet.

        Args:
            index: what the manifest knows. A node that is in it keeps what files do not tell: where it is in the warehouse.
            own: the project.
            packages: those whose files are read too.
            texts: of all files.
            macros: those that were read; they stand before the manifest's.
        """
        self._index: Final = index
        self._own: Final = own
        self._packages: Final = packages
        self._texts: Final = texts
        self._macros: Final = macros
        self._rendered: Final = dict[tuple[str, str], str | None]()
        self._notes: Final = dict[str, None]()

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be told, and why."""
        return tuple(self._notes)

    def code(self, path: Path, kind: ResourceType, name: str, code: str, package: Package) -> Sketch | Disabled:
        """A model, by its file's name, or a snapshot, by its block's; ``code`` is the whole file or the inside of the block."""
        described = package.versioned(name, path.parent) if kind == "model" else None
        if described is None:
            described = package.described(EntryKey(kind, name), folder=path.parent)
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
            return Disabled(unique_id)
        before = self._index.nodes.get(unique_id)
        if before is not None and before.path != node.path and is_same(before, code):  # it has but moved
            kept = {name: getattr(before, name) for name in ("compiled_code", "checksum", "depends_on", "macros")}
            return Sketch(_replace(node, **kept), package, tests=_tests_of(described), keeps_parents=True)
        return Sketch(node, package, calls.refs, calls.sources, _tests_of(described))

    def _calls(self, node: Node, path: Path) -> Calls:
        if node.language == "python":
            return code_files.named_in(node.raw_code)._replace(config={"materialized": "table"})
        calls = code_files.plain_calls(node.raw_code) or self._renderer.calls(node)
        if calls.problem is None:
            return calls
        self._notes[f"{shown(path)}: {calls.problem}. Of its refs, those in plain words are known."] = None
        named = code_files.named_in(node.raw_code)
        refs = dict.fromkeys((*calls.refs, *named.refs))
        return Calls(tuple(refs), tuple(dict.fromkeys((*calls.sources, *named.sources))), calls.config)

    def seed(self, path: Path, package: Package) -> Sketch | Disabled:
        """A seed: its columns are those of its entry, then the others of its header."""
        described = package.described(EntryKey("seed", path.stem), folder=path.parent)
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
            return Disabled(blank.unique_id)
        known = {fold(column.name) for column in node.columns}
        delimiter = str(self._configs(blank, described, package, path, {}).get("delimiter") or ",")
        header = code_files.header_of(self._texts.head(path), delimiter=delimiter)
        more = tuple(Column(name) for name in header if fold(name) not in known)
        return Sketch(_replace(node, columns=(*node.columns, *more)), package, tests=_tests_of(described))

    def yaml_snapshot(self, described: Described, package: Package) -> Sketch | Disabled:
        """A snapshot that is all YAML."""
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
            return Disabled(blank.unique_id)
        named = code_files.named_in(str(data.get("relation")))
        return Sketch(node, package, named.refs, named.sources, _tests_of(described))

    def source(self, found: SourceTable, package: Package) -> Sketch | Disabled:
        """A source table."""
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
            return Disabled(unique_id)
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
        return Sketch(node, package, tests=properties.data_tests_of(table))

    def entry(self, node: Node, described: Described | None) -> Sketch:
        """A node whose code is as it was, and whose entry is not: it may have none by now."""
        data = described.entry.data if described is not None else properties.mapping(None)
        version = described.version.data if described is not None and described.version is not None else None
        changed = _replace(
            node,
            schema_path=self._own.relative(described.file) if described is not None else None,
            columns=columns_of(described),
            description=properties.text(data.get("description")),
            meta={**node.meta, **properties.meta_of(data)},
            tags=tuple(dict.fromkeys((*node.tags, *properties.tags_of(data)))),
            constraints=properties.constraints_of(data, version),
        )
        return Sketch(changed, self._own, tests=_tests_of(described), keeps_parents=True)

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
        unresolved = {key: value for key, value in base.config.items() if key in configs and configs[key] is None}
        stem = f"{node.name}_v{node.version}".replace(".", "_") if node.version is not None else node.name
        alias = str(configs.get("alias") or (before.alias if before is not None and before.alias else stem))
        described_by = version if version is not None and version.get("description") else data
        return _replace(
            node,
            schema_path=package.relative(described.file) if described is not None else None,
            latest_version=properties.latest_version_of(data) if node.version is not None else None,
            description=properties.text(described_by.get("description")),
            columns=columns_of(described),
            tags=tuple(dict.fromkeys(properties.strings(configs.get("tags")))),
            meta=properties.mapping(configs.get("meta")),
            config={"materialized": _MATERIALIZED.get(node.resource_type), **unresolved, **_kept(configs)},
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

        known = {macro.unique_id: macro for macro in (*self._index.macros.values(), *self._macros)}
        return Renderer(
            known.values(),
            adapter_type=self._index.metadata.adapter_type,
            project_name=self._own.name,
            variables=variables_of(self._own.layout, self._packages),
        )


def columns_of(described: Described | None) -> tuple[Column, ...]:
    """The columns that an entry lists; none where there is no entry."""
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
