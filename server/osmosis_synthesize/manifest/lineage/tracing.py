"""One model's SQL in, its lineage out. The only module that parses."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from osmosis_synthesize.manifest.lineage.relations import Relations
from osmosis_synthesize.manifest.lineage.resolver import Ctes, Resolver, Scope, TooLong
from osmosis_synthesize.manifest.lineage.values import Output, Relation, Value
from osmosis_synthesize.manifest.lineage.wording import Wording
from osmosis_synthesize.manifest.model import UNRESOLVED, ColumnLineage, Kind, Node, NodeLineage, Schema
from osmosis_synthesize.names import fold

MAX_SQL: Final = 500_000
"""Characters. sqlglot parses about 500 a millisecond, so this is a second of work, which nothing could interrupt."""

_RECURSION_LIMIT: Final = 5_000
"""Frames. sqlglot takes about ten for each level of nesting; Python's own 1,000 is too few for real models."""

_TOKEN: Final = re.compile(r"<Token token_type: [^,]*, text: (.*?), line: [^>]*>")

# sqlglot logs each statement it does not understand; what we could not read is said in `NodeLineage.problem`.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())


def trace_sql(
    node: Node,
    sql: str,
    *,
    dialect: str,
    parents: Iterable[Node],
    schema: Schema,
    declared: Schema,
    time_limit: float,
    whole: bool = False,
) -> NodeLineage:
    """The lineage of ``node``, whose SQL is ``sql``. Never raises: what went wrong is the lineage's ``problem``."""
    if len(sql) > MAX_SQL:
        return _failed(node, f"its SQL has more than {MAX_SQL:,} characters")
    deadline = time.monotonic() + time_limit
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSION_LIMIT))
    try:
        query = _parse(sql, dialect)
        if query is None:
            return _failed(node, "its SQL is not one query")
        resolver = Resolver(
            dialect=dialect,
            own_id=node.unique_id,
            relations=Relations([node, *parents]),
            schema=schema,
            declared=declared,
            deadline=deadline,
        )
        wording = Wording(dialect, whole=whole)
        lineage = _describe(node, query, resolver, wording)
        return msgspec.structs.replace(lineage, rows=wording.rows(query)) if whole else lineage
    except TooLong:
        return _failed(node, f"reading its SQL took longer than {time_limit:g} s")
    except RecursionError:
        return _failed(node, "its SQL is nested too deeply")
    except SqlglotError as error:
        return _failed(node, f"its SQL does not parse: {_first_line(error)}")
    except Exception as error:  # noqa: BLE001  (sqlglot meets odd SQL with ValueError, KeyError, AttributeError, …)
        return _failed(node, f"its SQL cannot be read: {type(error).__name__}: {_first_line(error)}")
    finally:
        sys.setrecursionlimit(limit)


def _failed(node: Node, problem: str) -> NodeLineage:
    return NodeLineage(node.unique_id, complete=False, problem=problem)


def _first_line(error: Exception) -> str:
    """The message, without the SQL that sqlglot quotes and the way it writes a token."""
    lines = _TOKEN.sub(r"`\1`", str(error)).splitlines()
    return lines[0][:200] if lines else ""


def _parse(sql: str, dialect: str) -> Any:
    """The one query of ``sql``; ``None`` where there is none, or more than one."""
    statements: list[Any] = [one for one in sqlglot.parse(sql, read=dialect or None) if one is not None]
    queries = [one for one in statements if isinstance(one, (exp.Query, exp.Values, exp.Table, exp.Pivot))]
    return queries[0] if len(queries) == 1 == len(statements) else None


def _describe(node: Node, query: Any, resolver: Resolver, wording: Wording) -> NodeLineage:
    relation = resolver.query(query)
    filters, group_by, distinct = _shape(query, resolver, wording)
    columns: dict[str, ColumnLineage] = {}
    for output in relation.columns:
        if not output.name or UNRESOLVED in output.name:
            continue
        column = _column(node, output, wording)
        other = columns.get(output.key)
        if other is None:
            columns[output.key] = column
        elif (other.kind, other.sources) != (column.kind, column.sources):
            columns[output.key] = ColumnLineage(other.name, "unknown", note="ambiguous")
    named = all(output.name and UNRESOLVED not in output.name for output in relation.columns)
    return NodeLineage(
        node.unique_id,
        tuple(columns.values()),
        complete=named and not relation.is_open,
        filters=filters,
        group_by=group_by,
        distinct=distinct,
    )


def _column(node: Node, output: Output, wording: Wording) -> ColumnLineage:
    value = output.value
    sources = tuple(source for source in value.sources if source[0] != node.unique_id)
    return ColumnLineage(output.name, _kind(output.name, value, sources), sources, wording.of(value), value.note)


def _kind(name: str, value: Value, sources: Sequence[tuple[str, str]]) -> Kind:
    if value.touch in {"copy", "cast"} and not sources:
        return "derived"  # from the model's own earlier rows alone
    if value.touch == "copy":
        return "pass-through" if all(fold(column) == fold(name) for _, column in sources) else "renamed"
    return value.touch


# --- the shape of the rows: filters, groups, distinct -----------------------------------------------------------


def _shape(query: Any, resolver: Resolver, wording: Wording) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Filters, groups and distinctness of the final query, seen through wrappers like ``select * from final``."""
    filters: list[str] = []
    ctes: Ctes | None = None
    while True:
        ctes = resolver.with_ctes(query, ctes)
        if isinstance(query, exp.Subquery) and not query.args.get("pivots"):
            query = query.this
            continue
        if isinstance(query, exp.SetOperation):
            return tuple(filters), (), bool(query.args.get("distinct")) and isinstance(query, exp.Union)
        found = resolver.scope_of(query)
        if found is None:
            return tuple(filters), (), False
        scope, own = found
        where = query.args.get("where")
        if where is not None:
            filters += [
                wording.condition(condition, resolver.references(condition, ctes, scope))
                for condition in _conjuncts(where.this)
                if not resolver.reads_itself(condition)  # which rows an incremental run adds says nothing of them all
            ]
        group = query.args.get("group")
        distinct = query.args.get("distinct")
        if group is not None:
            return tuple(filters), _groups(group, query, own, resolver, wording, ctes), distinct is not None
        if distinct is not None:
            return tuple(filters), (), distinct.args.get("on") is None
        inner = _wrapped(query, resolver, ctes)
        if inner is None:
            return tuple(filters), (), False
        query, ctes = inner


def _wrapped(select: Any, resolver: Resolver, ctes: Ctes | None) -> tuple[Any, Ctes | None] | None:
    """The query inside ``select * from it``, whatever ``where`` and ``order by`` it has; ``None`` if it does more."""
    item = select.expressions[0] if len(select.expressions) == 1 else None
    plain = isinstance(item, exp.Star) and not any(item.args.values())
    from_ = select.args.get("from_")
    if not plain or from_ is None or select.args.get("joins") or select.args.get("laterals"):
        return None
    source = from_.this
    if source.args.get("pivots") or source.args.get("joins"):
        return None
    if isinstance(source, exp.Subquery):
        return source.this, resolver.with_ctes(source, ctes)
    if isinstance(source, exp.Table):
        cte = resolver.find_cte(source, ctes)
        if cte is not None:
            return cte.cte.this, cte.before
    return None


def _conjuncts(condition: Any) -> list[Any]:
    found: list[Any] = []
    stack = [condition]
    while stack:
        part = stack.pop()
        while isinstance(part, exp.Paren):
            part = part.this
        if isinstance(part, exp.And):
            stack += [part.expression, part.this]
        else:
            found.append(part)
    return found


def _groups(
    group: exp.Group, select: Any, relation: Relation, resolver: Resolver, wording: Wording, ctes: Ctes | None
) -> tuple[str, ...]:
    """The groups by output name where there is one; none at all where they are not plainly stated."""
    if any(group.args.get(kind) for kind in ("grouping_sets", "cube", "rollup", "totals")):
        return ()
    if group.args.get("all"):
        if relation.is_open:
            return ()
        return tuple(o.name for o in relation.columns if o.name and o.value.note != "aggregate")
    names: list[str] = []
    found = resolver.scope_of(select)
    for item in group.expressions:
        if isinstance(item, (exp.GroupingSets, exp.Cube, exp.Rollup)) or found is None:
            return ()
        if isinstance(item, exp.Literal) and not item.is_string:
            at = int(item.name) - 1
            if (
                not 0
                <= at
                < len(relation.columns if relation.open_at is None else relation.columns[: relation.open_at])
            ):
                return ()
            names.append(relation.columns[at].name)
            continue
        names.append(_group_name(item, relation, found[0], resolver, wording, ctes))
    return tuple(names)


def _group_name(
    item: Any, relation: Relation, scope: Scope, resolver: Resolver, wording: Wording, ctes: Ctes | None
) -> str:
    columns = resolver.references(item, ctes, scope)
    if isinstance(item, exp.Column) and columns:
        value = columns[0][1]
        for output in relation.columns:
            same = output.value is value or (value.touch == "copy" and output.value[:2] == value[:2])
            if same and value.touch != "unknown":
                return output.name
        for output in relation.columns:
            if fold(output.name) == fold(item.name):
                return output.name
    text = wording.condition(item, columns)
    return next((output.name for output in relation.columns if wording.of(output.value) == text), text)
