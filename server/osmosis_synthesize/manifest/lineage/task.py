"""The lineage of one node from plain values: a pure step, which may be taken here, elsewhere or never again.

A :class:`Task` holds all that the lineage of one node hangs on, and a :class:`Setting` what the nodes of a project
share. Whoever is given both needs no manifest, and the same values always give the same lineage.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec

from osmosis_synthesize.manifest.lineage.relations import dialect_of
from osmosis_synthesize.manifest.model import ColumnLineage, Macro, Node, NodeLineage, Schema
from osmosis_synthesize.names import fold

if TYPE_CHECKING:
    from osmosis_synthesize.manifest.jinja import Rendered, Renderer

TIME_LIMIT: Final = 2.0
"""Seconds for one node."""

_SLOW: Final = 0.4
"""The part of the time limit after which a failure may be a slow machine's fault; the limit for Jinja is half of it."""

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
    whole: bool = False,
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
        whole: as :class:`Setting` has it.
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
        node,
        sql,
        dialect=dialect,
        parents=parents,
        schema=schema,
        declared=declared,
        time_limit=time_limit,
        whole=whole,
    )
    return _with_snapshot_columns(node, lineage) if node.resource_type == "snapshot" else lineage


class Task(msgspec.Struct, frozen=True, array_like=True):
    """A node, its parents, and the columns that are known of them. Nodes hold no more than lineage looks at."""

    node: Node
    parents: tuple[Node, ...]
    schema: dict[str, tuple[str, ...]]
    declared: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, node: Node, parents: Iterable[Node], schema: Schema, declared: Schema) -> Task:
        """Of these nodes in full, and what is known of any nodes' columns, as :func:`trace` wants it."""
        parents = tuple(_bare(parent, _materialized(parent)) for parent in parents)
        near = [node.unique_id, *(parent.unique_id for parent in parents)]
        return cls(
            _bare(
                node,
                node.config,
                language=node.language,
                raw_code="" if node.compiled_code else node.raw_code,
                compiled_code=node.compiled_code,
            ),
            parents,
            {unique_id: tuple(schema[unique_id]) for unique_id in near if unique_id in schema},
            {unique_id: tuple(declared[unique_id]) for unique_id in near if unique_id in declared},
        )


def has_sql(node: Node) -> bool:
    """Whether there is anything to read."""
    return bool(node.code) and node.language == "sql" and node.resource_type not in {"seed", "source"}


def has_jinja(node: Node) -> bool:
    """Whether that has to be rendered first, because dbt has not compiled it."""
    return has_sql(node) and not node.compiled_code


class Setting(msgspec.Struct, frozen=True, array_like=True):
    """What the nodes of one project share. Variables and macros matter for Jinja alone."""

    adapter_type: str
    project_name: str = ""
    variables: dict[str, Any] = {}
    macros: tuple[Macro, ...] = ()
    time_limit: float = TIME_LIMIT
    """Seconds for one node."""
    whole: bool = False
    """Expressions are to be compared, not read: nothing of them is left out, and names are as they are in any warehouse."""


class Solved(NamedTuple):
    """The answer to a task."""

    lineage: NodeLineage
    is_lasting: bool
    """False for a failure that another try, on a machine with more time, might not meet."""


class Solver:
    """Answers the tasks of one project. Macros are compiled once."""

    def __init__(self, setting: Setting) -> None:
        self._setting: Final = setting
        self._dialect: Final = dialect_of(setting.adapter_type)
        self._renderer: Renderer | None = None

    def solve(self, task: Task) -> Solved:
        """The lineage that a task asks for. Never raises."""
        if has_sql(task.node):
            self._load(task)  # which takes longer than most tasks, and is nobody's fault
        started = time.monotonic()
        lineage = self._lineage(task)
        seconds = time.monotonic() - started
        return Solved(lineage, lineage.problem is None or seconds < _SLOW * self._setting.time_limit)

    def _lineage(self, task: Task) -> NodeLineage:
        node = task.node
        rendered = self._rendered(task)
        if rendered is not None and rendered.problem is not None:
            return NodeLineage(node.unique_id, complete=False, problem=rendered.problem)
        lineage = trace(
            node,
            rendered.sql if rendered is not None else None,
            dialect=self._dialect,
            parents=task.parents,
            schema=task.schema,
            declared=task.declared,
            time_limit=self._setting.time_limit,
            whole=self._setting.whole,
        )
        if rendered is not None and not rendered.complete:
            lineage = msgspec.structs.replace(lineage, complete=False)
        if rendered is not None and rendered.is_partial and lineage.problem is not None:
            problem = f"{lineage.problem} (dbt has not compiled it, and not all of its Jinja could be resolved)"
            lineage = msgspec.structs.replace(lineage, problem=problem)
        return lineage

    def _load(self, task: Task) -> None:
        """Import what the task needs, if that has not happened yet. A compiled project never needs jinja2."""
        import_module("osmosis_synthesize.manifest.lineage.tracing")
        if has_jinja(task.node) and self._renderer is None:
            from osmosis_synthesize.manifest.jinja import Renderer

            self._renderer = Renderer(
                self._setting.macros,
                adapter_type=self._setting.adapter_type,
                project_name=self._setting.project_name,
                variables=self._setting.variables,
            )

    def _rendered(self, task: Task) -> Rendered | None:
        if self._renderer is None or not has_jinja(task.node):
            return None
        return self._renderer.render(task.node, {parent.unique_id: parent for parent in task.parents})


def _bare(
    node: Node,
    config: Mapping[str, Any],
    *,
    language: str = "sql",
    raw_code: str = "",
    compiled_code: str | None = None,
) -> Node:
    """A node without what does not matter here: texts, columns, tags, files."""
    return Node(
        unique_id=node.unique_id,
        resource_type=node.resource_type,
        name=node.name,
        package_name=node.package_name,
        path="",
        schema_path=None,
        schema_package="",
        source_name=node.source_name,
        version=node.version,
        latest_version=node.latest_version,
        raw_code=raw_code,
        compiled_code=compiled_code,
        language=language,
        config=config,
        database=node.database,
        schema=node.schema,
        alias=node.alias,
        relation_name=node.relation_name,
    )


def _materialized(parent: Node) -> Mapping[str, Any]:
    """Of a parent's config, whether it is ephemeral: such a one is named otherwise."""
    return {key: value for key, value in parent.config.items() if key == "materialized"}


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
