"""What we keep of a manifest: typed, immutable, and nothing that is not used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from osmosis_synthesize.names import ResourceType, fold


class Column(msgspec.Struct, frozen=True):
    """A column as the manifest has it. ``description`` is rendered text and may be stale: the YAML wins."""

    name: str
    description: str = ""
    data_type: str | None = None
    quote: bool = False
    tags: tuple[str, ...] = ()
    meta: Mapping[str, Any] = {}
    """``meta`` and ``config.meta`` merged, the latter winning."""


class Node(msgspec.Struct, frozen=True):
    """A model (each version), seed, snapshot or source table."""

    unique_id: str
    resource_type: ResourceType
    name: str
    package_name: str
    path: str
    """``original_file_path``: the .sql, .py or .csv file (for a source: its YAML), POSIX, relative to its package."""
    schema_path: str | None
    """The YAML file of its properties, relative to ``schema_package``'s root; ``None`` where it has none."""
    schema_package: str
    """The package whose file that is (``patch_path`` names it); ``package_name`` where nothing says otherwise."""
    source_name: str | None = None
    version: str | None = None
    latest_version: str | None = None
    description: str = ""
    columns: tuple[Column, ...] = ()
    depends_on: tuple[str, ...] = ()
    """``unique_id`` of the nodes it is built from, models, seeds, snapshots and sources only; sorted."""
    macros: tuple[str, ...] = ()
    """``unique_id`` of the macros it calls."""
    raw_code: str = ""
    compiled_code: str | None = None
    language: str = "sql"
    checksum: str | None = None
    """SHA-256 of the file as the manifest saw it (dbt's own ``checksum.checksum``); ``None`` where dbt made none:
    sources, and seeds of more than 1 MB."""
    tags: tuple[str, ...] = ()
    meta: Mapping[str, Any] = {}
    config: Mapping[str, Any] = {}
    """The resolved config, as far as we read it: ``materialized``, ``unique_key``, ``enabled``, …, and dbt-osmosis's options."""
    database: str | None = None
    schema: str | None = None
    alias: str | None = None
    """The name in the warehouse: ``alias`` of a model, ``identifier`` of a source."""
    relation_name: str | None = None
    constraints: tuple[Mapping[str, Any], ...] = ()
    """The model's own, then those of its columns; all name their ``columns`` that apply to columns."""

    def column(self, name: str) -> Column | None:
        """A column by name, compared without case unless quoted."""
        folded = fold(name)
        for column in self.columns:
            if column.name == name or (not column.quote and fold(column.name) == folded):
                return column
        return None

    @property
    def code(self) -> str:
        """The SQL to show and to read lineage from: compiled where dbt compiled it, else as written."""
        return self.compiled_code or self.raw_code


class Test(msgspec.Struct, frozen=True):
    """A data test that is attached to one node, or to one of its columns."""

    unique_id: str
    node: str
    """``unique_id`` of the node it tests."""
    column: str | None
    name: str
    """``unique``, ``not_null``, ``accepted_values``, ``relationships``, or a custom test's own name."""
    namespace: str | None = None
    """The package of a custom test, e.g. ``dbt_utils``."""
    arguments: Mapping[str, Any] = {}
    """As written: ``values``, ``to``, ``field``, …"""
    refers_to: tuple[str, ...] = ()
    """``unique_id`` of the other nodes it reads: the target of ``relationships``, which may be ``node`` itself."""
    where: str | None = None
    """Its ``where`` config: such a test proves nothing about the other rows."""
    warns: bool = False
    """``severity: warn``: its failure stops nobody."""

    @property
    def proves(self) -> bool:
        """Whether what it says holds for every row of a project that builds."""
        return self.where is None and not self.warns


class DocBlock(msgspec.Struct, frozen=True):
    """A ``{% docs name %}`` block."""

    name: str
    package_name: str
    path: str
    text: str


class Macro(msgspec.Struct, frozen=True):
    """A macro, for resolving Jinja where nothing was compiled."""

    unique_id: str
    name: str
    package_name: str
    code: str


class Ref(NamedTuple):
    """A call of ``ref``."""

    name: str
    package: str | None = None
    version: str | None = None


class Calls(NamedTuple):
    """What a model asks dbt for while it is parsed."""

    refs: tuple[Ref, ...] = ()
    """Each once, in the order of the calls, as are the sources."""
    sources: tuple[tuple[str, str], ...] = ()
    config: Mapping[str, Any] = {}
    """What it sets itself. Values that only a warehouse or a run can tell are left out."""
    problem: str | None = None
    """Why this may not be all."""


class Metadata(msgspec.Struct, frozen=True):
    """Of the manifest itself."""

    schema_version: int
    """9 to 12 are known."""
    dbt_version: str
    adapter_type: str
    project_name: str
    generated_at: str


UNRESOLVED: Final = "__unresolved__"
"""The identifier that stands in SQL for Jinja nobody could resolve; lineage takes no name that holds it for known."""

Kind = Literal["pass-through", "renamed", "cast", "derived", "unknown"]


class ColumnLineage(msgspec.Struct, frozen=True):
    """What one output column of a node is made of."""

    name: str
    kind: Kind
    sources: tuple[tuple[str, str], ...] = ()
    """(``unique_id``, column) pairs one step up, in the order the expression names them, each once."""
    expression: str | None = None
    """The SQL expression it is computed from, resolved through CTEs to the parents' columns, in the model's dialect;
    ``None`` where it is unknown."""
    note: str | None = None
    """What a reader should know. ``union``: made of several branches' columns that agree in kind. ``mixed union``: they
    do not agree, so that even one text for all would be wrong. ``coalesce``: the first of several plain columns.
    ``default``: one column, or a constant where it is null. ``aggregate``, ``window``, ``subquery``, ``literal``,
    ``unnest``, ``unpivot``, ``field`` (of a struct), ``row`` (a whole one), ``snapshot`` (dbt adds it).
    ``ambiguous``: several tables could own it, so it is unknown. ``unresolved``: Jinja makes it that nobody could resolve."""


class NodeLineage(msgspec.Struct, frozen=True):
    """Column lineage of one node."""

    unique_id: str
    columns: tuple[ColumnLineage, ...] = ()
    """In the order of the final select."""
    complete: bool = True
    """False where a star could not be expanded: the node may have columns that are not listed."""
    problem: str | None = None
    """Why there is no lineage: it did not parse, it is Python, it took too long. ``None`` where there is one, and for
    seeds and sources, which need none."""
    filters: tuple[str, ...] = ()
    """Conditions of the final query's ``where``, each as SQL."""
    group_by: tuple[str, ...] = ()
    """Output names or expressions of the final query's ``group by``."""
    distinct: bool = False
    rows: str | None = None
    """All of its query but what it selects, as SQL; only where expressions are written whole, to be compared."""

    def column(self, name: str) -> ColumnLineage | None:
        """A column by name, without case."""
        folded = fold(name)
        for column in self.columns:
            if fold(column.name) == folded:
                return column
        return None


Schema = Mapping[str, Sequence[str]]
"""``unique_id`` → names of its columns in order, where they are known."""
