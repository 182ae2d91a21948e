"""How dbt writes its manifest and catalog as JSON, and what we make of it. The only place that knows.

Each node is decoded twice: at once into a :class:`Card`, which holds what finding nodes and walking the graph needs,
and, when somebody asks for it, into a whole :class:`~osmosis_synthesize.manifest.model.Node`. A large manifest is
thereby read several times faster than a decode of everything, and most of it is never needed.

Facts about dbt's side come from manifests written by dbt 1.5 to 1.12 and 2.x, and from ``dbt.artifacts``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec

from osmosis_synthesize.manifest.model import Column, DocBlock, Macro, Node, Test
from osmosis_synthesize.names import RESOURCE_TYPES, ResourceType

T = TypeVar("T")

Body = msgspec.Raw | memoryview
"""The JSON of one node, test, … as a slice of a larger buffer."""


class Bodies(Protocol):
    """Several bodies, by position."""

    def __getitem__(self, at: int, /) -> Body:
        """One of them."""
        ...


class Card(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is needed of a node to find it and to walk the graph."""

    unique_id: str
    resource_type: ResourceType
    name: str
    package_name: str
    path: str
    schema_path: str | None
    schema_package: str
    source_name: str | None
    version: str | None
    parents: tuple[str, ...]
    """Sorted, for dbt's versions disagree on the order; of the nodes that the manifest has."""


class TestCard(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which node a test is attached to."""

    unique_id: str
    node: str


class _Dependencies(msgspec.Struct, frozen=True, gc=False):
    nodes: tuple[str, ...] | None = ()
    macros: tuple[str, ...] | None = ()


class _TestMetadata(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    namespace: str | None = None
    kwargs: dict[str, Any] | None = None


class Head(msgspec.Struct, frozen=True, gc=False):
    """The fields of a node or test that a card is made of."""

    resource_type: str
    name: str
    package_name: str
    original_file_path: str
    patch_path: str | None = None
    source_name: str | None = None
    version: str | int | float | None = None
    depends_on: _Dependencies | None = None
    attached_node: str | None = None
    test_metadata: _TestMetadata | None = None


class _Checksum(msgspec.Struct):
    name: str | None = None
    checksum: str | None = None


class _ColumnConfig(msgspec.Struct):
    meta: Any = None
    tags: Any = None


class _Column(msgspec.Struct):
    name: str
    description: str | None = None
    data_type: str | None = None
    quote: bool | None = None
    tags: Any = None
    meta: Any = None
    config: _ColumnConfig | None = None
    constraints: Any = None


class _Node(msgspec.Struct):
    description: str | None = None
    columns: dict[str, _Column] | None = None
    depends_on: _Dependencies | None = None
    raw_code: str | None = None
    compiled_code: str | None = None
    language: str | None = None
    checksum: _Checksum | None = None
    tags: Any = None
    meta: Any = None
    config: dict[str, Any] | None = None
    database: str | None = None
    schema: str | None = None
    alias: str | None = None
    identifier: str | None = None
    relation_name: str | None = None
    constraints: Any = None
    latest_version: str | int | float | None = None


class _TestConfig(msgspec.Struct):
    where: str | None = None
    severity: str | None = None


class _Test(msgspec.Struct):
    column_name: str | None = None
    test_metadata: _TestMetadata | None = None
    depends_on: _Dependencies | None = None
    config: _TestConfig | None = None


class _Doc(msgspec.Struct):
    name: str
    package_name: str
    original_file_path: str = ""
    block_contents: str | None = None


class _Macro(msgspec.Struct):
    name: str
    package_name: str
    macro_sql: str | None = None


class _CatalogColumn(msgspec.Struct):
    name: str
    type: str | None = None
    index: int | None = None


class _CatalogNode(msgspec.Struct):
    columns: dict[str, _CatalogColumn] | None = None


_decode_head = msgspec.json.Decoder(Head).decode
_decode_node = msgspec.json.Decoder(_Node).decode
_decode_test = msgspec.json.Decoder(_Test).decode
_decode_docs = msgspec.json.Decoder(dict[str, _Doc]).decode
_decode_macros = msgspec.json.Decoder(dict[str, _Macro]).decode
_decode_catalog_node = msgspec.json.Decoder(_CatalogNode).decode

DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What is raised on bytes that are not what was expected."""


def read_file(data: bytes, kind: type[T]) -> T:
    """A whole file of dbt's as ``kind``.

    What is ``.nan`` or ``.inf`` in YAML, in ``meta`` say, dbt writes as ``NaN`` and ``Infinity``, which JSON does not
    have. Such a file is read more slowly, and these values as null.

    Raises:
        msgspec.ValidationError: it is JSON, but not of this kind.
        ValueError: it is no JSON.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"NaN" not in data and b"Infinity" not in data:
            raise
        import json

        plain = json.loads(data, parse_constant=lambda _: None)
        return msgspec.json.decode(msgspec.json.encode(plain), type=kind)


_CONFIG_KEYS: Final = frozenset({
    "check_cols",
    "enabled",
    "grain",
    "incremental_strategy",
    "materialized",
    "strategy",
    "unique_key",
    "updated_at",
})  # fmt: skip


def is_kept(key: str) -> bool:
    """Whether somebody reads this config; dbt-osmosis's users write its options with hyphens or underscores."""
    return key in _CONFIG_KEYS or key.startswith(("dbt-osmosis", "dbt_osmosis"))


def read_head(body: Body) -> Head:
    """The fields of a node or test that a card is made of."""
    return _decode_head(body)


def card_of(unique_id: str, head: Head, known: Mapping[str, object]) -> Card:
    """The card of a node (``head.resource_type`` is one of ours); ``known`` has the nodes its parents may be."""
    schema_package, schema_path = _schema_file(head)
    parents = {parent for parent in _nodes_of(head.depends_on) if parent in known and parent != unique_id}
    return Card(
        unique_id,
        cast("ResourceType", head.resource_type),
        head.name,
        head.package_name,
        _posix(head.original_file_path),
        schema_path,
        schema_package,
        head.source_name,
        _version(head.version),
        tuple(sorted(parents)),
    )


def is_node(head: Head) -> bool:
    """Whether it is of a resource type whose descriptions we fill."""
    return head.resource_type in RESOURCE_TYPES


def attached_to(head: Head, heads: Mapping[str, Head]) -> str | None:
    """The node that a test is attached to; ``None`` for a singular test.

    dbt 1.x writes no ``attached_node`` for tests of sources, so that it has to be read from the test's ``model``
    argument, which is ``{{ get_where_subquery(source('shop', 'orders')) }}`` or the like.
    """
    if head.attached_node is not None:
        return head.attached_node
    if head.test_metadata is None:
        return None
    candidates = [node for node in _nodes_of(head.depends_on) if node in heads]
    tested = _SOURCE_OR_REF.search(str((head.test_metadata.kwargs or {}).get("model", "")))
    if tested is not None:
        names = _QUOTED.findall(tested["arguments"])
        for node in candidates:
            if _is_called(heads[node], tested["function"], names):
                return node
    return candidates[0] if len(candidates) == 1 else None


_SOURCE_OR_REF: Final = re.compile(r"\b(?P<function>source|ref)\((?P<arguments>[^)]*)\)")
_QUOTED: Final = re.compile(r"""(?<![=\s])\s*["']([^"']*)["']""")


def _is_called(head: Head, function: str, names: list[str]) -> bool:
    if function == "source":
        return head.resource_type == "source" and [head.source_name, head.name] == names[:2]
    return head.resource_type != "source" and bool(names) and head.name in names


def read_node(card: Card, body: Body) -> Node:
    """The whole node."""
    raw = _decode_node(body)
    columns = tuple(_column(column) for column in (raw.columns or {}).values())
    config = raw.config or {}
    checksum = raw.checksum
    return Node(
        unique_id=card.unique_id,
        resource_type=card.resource_type,
        name=card.name,
        package_name=card.package_name,
        path=card.path,
        schema_path=card.schema_path,
        schema_package=card.schema_package,
        source_name=card.source_name,
        version=card.version,
        latest_version=_version(raw.latest_version),
        description=raw.description or "",
        columns=columns,
        depends_on=card.parents,
        macros=(raw.depends_on and raw.depends_on.macros) or (),
        raw_code=raw.raw_code or "",
        compiled_code=raw.compiled_code,
        language=raw.language or "sql",
        checksum=checksum.checksum if checksum is not None and checksum.name == "sha256" else None,
        tags=_union(_strings(raw.tags), _strings(config.get("tags"))),
        meta=_merged(raw.meta, config.get("meta")),
        config={key: value for key, value in config.items() if value is not None and is_kept(key)},
        database=raw.database,
        schema=raw.schema,
        alias=raw.identifier if card.resource_type == "source" else raw.alias,
        relation_name=raw.relation_name,
        constraints=_constraints(raw),
    )


def read_test(card: TestCard, body: Body) -> Test:
    """A test, as its node shows it."""
    raw = _decode_test(body)
    metadata = raw.test_metadata or _TestMetadata()
    arguments = {key: value for key, value in (metadata.kwargs or {}).items() if key not in {"model", "column_name"}}
    others = tuple(sorted(set(_nodes_of(raw.depends_on)) - {card.node}))
    if metadata.name == "relationships" and not others:
        others = (card.node,)  # a table that refers to itself
    return Test(
        unique_id=card.unique_id,
        node=card.node,
        column=_unquoted(raw.column_name) if raw.column_name else None,
        name=metadata.name,
        namespace=metadata.namespace,
        arguments=arguments,
        refers_to=others,
        where=raw.config.where if raw.config is not None else None,
        warns=raw.config is not None and (raw.config.severity or "").lower() == "warn",
    )


def read_docs(body: Body) -> dict[tuple[str, str], DocBlock]:
    """All doc blocks, by package and name."""
    return {
        (raw.package_name, raw.name): DocBlock(
            raw.name, raw.package_name, _posix(raw.original_file_path), raw.block_contents or ""
        )
        for raw in _decode_docs(body).values()
    }


def read_macros(body: Body) -> dict[str, Macro]:
    """All macros, by ``unique_id``."""
    return {
        unique_id: Macro(unique_id, raw.name, raw.package_name, raw.macro_sql or "")
        for unique_id, raw in _decode_macros(body).items()
    }


def read_catalog_columns(body: Body) -> tuple[Column, ...]:
    """The columns of a table as the warehouse has them, in its order."""
    columns = list((_decode_catalog_node(body).columns or {}).values())
    columns.sort(key=lambda column: column.index if column.index is not None else len(columns))
    return tuple(Column(column.name, data_type=column.type) for column in columns)


def _column(raw: _Column) -> Column:
    config = raw.config or _NO_CONFIG
    return Column(
        raw.name,
        raw.description or "",
        raw.data_type or None,
        bool(raw.quote),
        _union(_strings(raw.tags), _strings(config.tags)),
        _merged(raw.meta, config.meta),
    )


_NO_CONFIG: Final = _ColumnConfig()


def _constraints(raw: _Node) -> tuple[Mapping[str, Any], ...]:
    """The model's constraints and those of its columns; the latter get the ``columns`` that the former have."""
    found = _mappings(raw.constraints)
    for column in (raw.columns or {}).values():
        found += [{**constraint, "columns": [column.name]} for constraint in _mappings(column.constraints)]
    return tuple(found)


def _schema_file(head: Head) -> tuple[str, str | None]:
    """Package and path of the YAML file. dbt 1.x writes ``package://path``, 2.x a source's path alone."""
    if head.patch_path:
        package, separator, path = head.patch_path.partition("://")
        return (package, _posix(path)) if separator else (head.package_name, _posix(package))
    if head.resource_type == "source" or head.original_file_path.endswith((".yml", ".yaml")):
        return head.package_name, _posix(head.original_file_path)
    return head.package_name, None


def _nodes_of(dependencies: _Dependencies | None) -> tuple[str, ...]:
    return (dependencies and dependencies.nodes) or ()


def _posix(path: str) -> str:
    return path.replace("\\", "/")


def _version(value: str | float | None) -> str | None:
    """Versions are integers, floats or strings in YAML; as text they are what dbt's ``unique_id`` ends with."""
    return None if value is None else str(value)


def _unquoted(name: str) -> str:
    """The name alone: dbt quotes the column of a test with the warehouse's quotes where it has ``quote: true``."""
    pairs = {'"': '"', "`": "`", "[": "]"}
    return name[1:-1] if len(name) > 2 and pairs.get(name[0]) == name[-1] else name


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in cast("list[object]", value)) if isinstance(value, list) else ()


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second))) if second else first


def _merged(meta: object, config_meta: object) -> Mapping[str, Any]:
    return {**_mapping(meta), **_mapping(config_meta)}


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else _EMPTY


_EMPTY: Final[Mapping[str, Any]] = {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, Any]", item) for item in items if isinstance(item, dict)]
