"""Lineage node by node: which SQL to read, and which columns the parents have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, cast

import msgspec

from osmosis_synthesize.manifest.lineage.relations import dialect_of
from osmosis_synthesize.manifest.model import ColumnLineage, Node, NodeLineage, Schema
from osmosis_synthesize.names import fold

if TYPE_CHECKING:
    from osmosis_synthesize.manifest.index import Index
    from osmosis_synthesize.manifest.jinja import Rendered, Renderer

TIME_LIMIT: Final = 2.0
"""Seconds for one node."""

_NOTHING: Schema = {}


def trace(
    node: Node,
    sql: str | None = None,
    *,
    dialect: str,
    parents: Iterable[Node],
    schema: Schema = _NOTHING,
    declared: Schema = _NOTHING,
    time_limit: float = TIME_LIMIT,
) -> NodeLineage:
    """The lineage of one node. Never raises: where there is none, ``problem`` says why.

    Args:
        node: a model or snapshot; seeds and sources have no lineage, and no problem either.
        sql: its query without Jinja; ``compiled_code`` if not given.
        dialect: sqlglot's name for its SQL: see :func:`~osmosis_synthesize.manifest.lineage.relations.dialect_of`.
        parents: the nodes it depends on.
        schema: their columns, for those of which all are known.
        declared: their columns, for those that may have more: what a schema file lists.
        time_limit: seconds.
    """
    if node.resource_type in {"seed", "source"}:
        return NodeLineage(node.unique_id, complete=False)
    if node.language != "sql":
        return NodeLineage(node.unique_id, complete=False, problem=f"it is written in {node.language.title()}")
    sql = node.compiled_code if sql is None else sql
    if not sql:
        return NodeLineage(node.unique_id, complete=False, problem="dbt has not compiled it")
    from osmosis_synthesize.manifest.lineage.tracing import trace_sql  # it imports sqlglot: a tenth of a second

    lineage = trace_sql(
        node, sql, dialect=dialect, parents=parents, schema=schema, declared=declared, time_limit=time_limit
    )
    return _with_snapshot_columns(node, lineage) if node.resource_type == "snapshot" else lineage


class Lineages(Mapping[str, NodeLineage]):
    """The lineage of an index's nodes by ``unique_id``, each computed when it is first asked for, and kept.

    A parent's columns come from the catalog, else from its own lineage where that is complete, else from that and its
    schema file, which may lack some. So a question about one node reads the SQL of those of its ancestors that the
    catalog lacks, nearest last.
    """

    def __init__(
        self, index: Index, *, variables: Mapping[str, object] | None = None, time_limit: float = TIME_LIMIT
    ) -> None:
        """``variables`` are the project's ``vars``, which the manifest does not hold; ``time_limit`` is in seconds."""
        self._index: Final = index
        self._variables: Final = variables or {}
        self._renderer: Renderer | None = None
        self._time_limit: Final = time_limit
        self._dialect: Final = dialect_of(index.metadata.adapter_type)
        self._traced: Final = dict[str, NodeLineage]()
        self._schema: Final = dict[str, tuple[str, ...]]()
        self._declared: Final = dict[str, tuple[str, ...]]()

    def __getitem__(self, unique_id: str) -> NodeLineage:
        if unique_id not in self._traced:
            entered = set[str]()  # a cycle, which dbt would not have, is cut where it is met
            stack = [unique_id]
            while stack:
                last = stack[-1]
                if last not in entered:
                    entered.add(last)
                    stack += [parent for parent in self._parents(last) if self._is_missing(parent, entered)]
                elif stack.pop() not in self._traced:
                    self._trace(last)
        return self._traced[unique_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.nodes)

    def __len__(self) -> int:
        return len(self._index.nodes)

    def _parents(self, unique_id: str) -> list[str]:
        return [parent for parent in self._index.nodes[unique_id].depends_on if parent in self._index.nodes]

    def _is_missing(self, unique_id: str, entered: set[str]) -> bool:
        """Whether a node has to be traced before its children, because nothing else knows its columns."""
        if unique_id in self._traced or unique_id in entered or unique_id in self._schema:
            return False
        catalog = self._index.contents.catalog
        columns = catalog.columns(unique_id) if catalog is not None else ()
        if columns:
            self._schema[unique_id] = tuple(column.name for column in columns)
        return not columns

    def _trace(self, unique_id: str) -> None:
        node = self._index.nodes[unique_id]
        parents = {parent: self._index.nodes[parent] for parent in self._parents(unique_id)}
        rendered = self._rendered(node, parents)
        if rendered is not None and rendered.problem is not None:
            lineage = NodeLineage(unique_id, complete=False, problem=rendered.problem)
        else:
            lineage = trace(
                node,
                rendered.sql if rendered is not None else None,
                dialect=self._dialect,
                parents=parents.values(),
                schema=self._schema,
                declared=self._declared,
                time_limit=self._time_limit,
            )
            if rendered is not None and not rendered.complete:
                lineage = msgspec.structs.replace(lineage, complete=False)
            if rendered is not None and rendered.is_partial and lineage.problem is not None:
                problem = f"{lineage.problem} (dbt has not compiled it, and not all of its Jinja could be resolved)"
                lineage = msgspec.structs.replace(lineage, problem=problem)
        self._traced[unique_id] = lineage
        if unique_id not in self._schema:
            names = tuple(column.name for column in lineage.columns)
            if lineage.complete:
                self._schema[unique_id] = names
            else:
                known = {fold(name) for name in names}
                more = (column.name for column in node.columns if fold(column.name) not in known)
                self._declared[unique_id] = (*names, *more)

    def _rendered(self, node: Node, parents: Mapping[str, Node]) -> Rendered | None:
        """The SQL of a node that dbt has not compiled; ``None`` for one that needs no rendering."""
        if node.compiled_code or not node.raw_code or node.language != "sql" or node.resource_type == "source":
            return None
        if self._renderer is None:
            from osmosis_synthesize.manifest.jinja import Renderer  # a compiled project never needs jinja2

            self._renderer = Renderer(
                self._index.macros.values(),
                adapter_type=self._index.metadata.adapter_type,
                project_name=self._index.metadata.project_name,
                variables=self._variables,
            )
        return self._renderer.render(node, parents)


_SNAPSHOT_COLUMNS: Final = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_is_deleted")
"""What dbt adds to a snapshot; the last only where deleted rows are recorded as new ones."""


def _with_snapshot_columns(node: Node, lineage: NodeLineage) -> NodeLineage:
    """A snapshot's own columns follow those of its query; its config may rename them, or ask for one more."""
    if lineage.problem is not None:
        return lineage
    named = node.config.get("snapshot_meta_column_names")
    names: Mapping[str, str | None] = cast("Mapping[str, str | None]", named) if isinstance(named, Mapping) else {}
    added = [
        ColumnLineage(names.get(name) or name, "derived", note="snapshot")
        for name in _SNAPSHOT_COLUMNS
        if name != "dbt_is_deleted" or node.config.get("hard_deletes") == "new_record"
    ]
    known = {fold(column.name) for column in lineage.columns}
    own = (column for column in added if fold(column.name) not in known)
    return msgspec.structs.replace(lineage, columns=(*lineage.columns, *own))
