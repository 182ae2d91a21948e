"""From a parsed query to what each of its columns holds: scopes, stars, joins, CTEs and set operations.

One pass over sqlglot's tree, each CTE and subquery resolved once. sqlglot's own ``qualify`` and ``lineage`` rewrite
and copy the tree for each column asked for, which is what made them too slow here.

Where SQL leaves it open which table a name belongs to, because some table's columns are not known, the answer is
"unknown": a wrong source is worse than none.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from sqlglot import exp

from osmosis_synthesize.manifest.lineage.relations import EPHEMERAL_PREFIX, Relations
from osmosis_synthesize.manifest.lineage.values import (
    AMBIGUOUS,
    FROM_JINJA,
    UNKNOWN,
    Behind,
    Formula,
    Output,
    Relation,
    Value,
    combine_branches,
    merge_sources,
)
from osmosis_synthesize.manifest.model import UNRESOLVED, Schema

_CASE_BLIND: Final = frozenset(
    {"bigquery", "databricks", "spark", "duckdb", "hive", "mysql", "tsql", "sqlite", "redshift"}
)
"""Dialects in which quoting a column's name does not make its case matter."""

_NO_EARLIER_ALIASES: Final = frozenset({"postgres", "bigquery", "tsql", "trino", "athena", "mysql", "oracle"})
"""Dialects in which a select item cannot name an earlier one's alias."""

_USING_IN_PLACE: Final = frozenset({"duckdb"})
"""Dialects whose ``*`` leaves the columns of ``using`` where the left table has them, rather than first."""

_RECURSIVE_UNSAID: Final = frozenset({"snowflake", "tsql", "oracle", "teradata"})
"""Dialects in which a CTE may read itself without the word ``recursive``."""

_KEYWORD_VALUES: Final = frozenset({"current_user", "session_user", "sysdate", "systimestamp", "user", "rownum"})
"""Names that parse as a column and are a function where no table has such a column."""

_MAX_ROUNDS: Final = 8
"""How often a recursive CTE is gone through before what still changes is called unknown."""

_FLATTENED: Final = ("SEQ", "KEY", "PATH", "INDEX", "VALUE", "THIS")
"""The columns of Snowflake's ``flatten``."""


class TooLong(Exception):
    """The time limit for one model passed."""


@dataclass(slots=True)
class Scope:
    """What the expressions of one ``select`` can see."""

    outer: Scope | None
    named: dict[str, Relation] = field(default_factory=dict[str, Relation])
    """By alias; the last of a name wins, as the query would not run otherwise."""
    visible: list[Relation] = field(default_factory=list[Relation])
    """Those whose columns may be named without a qualifier and belong to ``*``."""
    merged: dict[str, tuple[str, Value]] = field(default_factory=dict[str, "tuple[str, Value]"])
    """Columns of ``using``: key → (name, value), in order."""
    aliases: dict[str, Value] = field(default_factory=dict[str, Value])
    """Select items already seen, where the dialect lets later ones name them."""
    natural_open: bool = False
    """A natural join with an open relation: nobody knows which columns it merged."""


@dataclass(frozen=True, slots=True)
class Ctes:
    """The CTEs that can be seen from some place: a chain from the innermost outwards."""

    key: str
    cte: exp.CTE
    before: Ctes | None
    recursive: bool


class Resolver:
    """Resolves the query of one model."""

    def __init__(
        self,
        *,
        dialect: str,
        own_id: str,
        relations: Relations,
        schema: Schema,
        declared: Schema,
        deadline: float,
    ) -> None:
        self._dialect: Final = dialect
        self._case_blind: Final = dialect in _CASE_BLIND
        self._own_id: Final = own_id
        self._relations: Final = relations
        self._schema: Final = schema
        self._declared: Final = declared
        self._deadline: Final = deadline
        self._parents: Final = dict[str, Relation]()
        self._done: Final = dict[int, Relation]()
        self._scopes: Final = dict[int, tuple[Scope, Relation]]()

    # --- queries -------------------------------------------------------------------------------------------------

    def query(self, node: Any, ctes: Ctes | None = None, outer: Scope | None = None) -> Relation:
        """The columns of a query.

        Raises:
            TooLong: the deadline passed.
        """
        if time.monotonic() > self._deadline:
            raise TooLong
        ctes = self.with_ctes(node, ctes)
        if isinstance(node, exp.Select):
            return self._select(node, ctes, outer)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, ctes, outer)
        if isinstance(node, exp.Subquery):
            scope = Scope(outer)
            relation = self._pivoted(node, self.query(node.this, ctes, outer), scope)
            return relation.renamed(self._alias_columns(node))
        if isinstance(node, exp.Values):
            return self._values(node)
        if isinstance(node, exp.Table):
            scope = Scope(outer)
            self._add_source(node, ctes, scope)
            return self._whole(scope)
        return Relation((), open_at=0)

    def with_ctes(self, node: Any, ctes: Ctes | None) -> Ctes | None:
        """``ctes`` and those that ``node``'s own ``with`` adds."""
        with_ = node.args.get("with_")
        if with_ is None:
            return ctes
        recursive = bool(with_.args.get("recursive")) or self._dialect in _RECURSIVE_UNSAID
        for cte in with_.expressions:
            alias = cte.args["alias"].this
            ctes = Ctes(self._table_key(alias), cte, ctes, recursive)
        return ctes

    def scope_of(self, select: Any) -> tuple[Scope, Relation] | None:
        """The scope and the columns of a ``select`` that was resolved; ``None`` for anything else."""
        return self._scopes.get(id(select))

    def find_cte(self, table: exp.Table, ctes: Ctes | None) -> Ctes | None:
        """The CTE a table's name stands for, if it does. dbt's CTEs of ephemeral models count as their node."""
        if table.args.get("db") or not isinstance(table.this, exp.Identifier):
            return None
        key = self._table_key(table.this)
        while ctes is not None:
            if ctes.key == key:
                return ctes
            ctes = ctes.before
        return None

    def reads_itself(self, node: Any) -> bool:
        """Whether a subquery inside ``node`` reads the model's own earlier rows."""
        tables: Iterator[exp.Table] = node.find_all(exp.Table)
        return any(self._relations.find(_table_parts(table)) == self._own_id for table in tables)

    def _cte(self, found: Ctes) -> Relation:
        done = self._done.get(id(found.cte))
        if done is not None:
            return done
        names = self._alias_columns(found.cte)
        body = found.cte.this
        relation = self._recursive(found, body, names) if found.recursive and self._reads(body, found.key) else None
        if relation is None:
            relation = self.query(body, found.before).renamed(names)
        self._done[id(found.cte)] = relation
        return relation

    def _reads(self, body: Any, key: str) -> bool:
        if not isinstance(body, exp.SetOperation):
            return False
        tables: Iterator[exp.Table] = body.find_all(exp.Table)
        return any(
            isinstance(table.this, exp.Identifier) and not table.args.get("db") and self._table_key(table.this) == key
            for table in tables
        )

    def _recursive(self, found: Ctes, body: Any, names: Sequence[tuple[str, str]]) -> Relation:
        """A recursive CTE: its first branch starts it, and the whole is gone through until nothing changes."""
        branches = list(_branches(body))
        within = self.with_ctes(body, found)
        current = self.query(branches[0][1], within).renamed(names)
        for _ in range(_MAX_ROUNDS):
            self._done[id(found.cte)] = current
            following = self._set_operation(body, within, None).renamed(names)
            if _alike(current, following):
                return following
            current = following
        columns = (column._replace(value=UNKNOWN) for column in current.columns)
        return Relation(columns, open_at=current.open_at)

    # --- select --------------------------------------------------------------------------------------------------

    def _select(self, select: exp.Select, ctes: Ctes | None, outer: Scope | None) -> Relation:
        scope = Scope(outer)
        from_ = select.args.get("from_")
        if from_ is not None:
            self._add_source(from_.this, ctes, scope)
        for join in select.args.get("joins") or ():
            self._join(join, ctes, scope)
        for lateral in select.args.get("laterals") or ():
            self._add_source(lateral, ctes, scope)
        relation = self._project(select, ctes, scope)
        self._scopes[id(select)] = (scope, relation)
        return relation

    def _project(self, select: exp.Select, ctes: Ctes | None, scope: Scope) -> Relation:
        outputs: list[Output] = []
        behind: list[Behind] = []
        made: list[Value] = []
        open_at: int | None = None
        earlier = self._dialect not in _NO_EARLIER_ALIASES
        for item in select.expressions:
            expanded = self._star(item, ctes, scope)
            if expanded is not None:
                if expanded.is_open and open_at is None:
                    open_at = len(outputs) + (expanded.open_at or 0)
                outputs.extend(expanded.columns)
                behind.extend(expanded.behind)
                if expanded.beyond_value is not None:
                    made.append(expanded.beyond_value)
                continue
            value = self.value(item, ctes, scope)
            name, key = self._item_name(item)
            outputs.append(Output(name, key, value))
            if earlier and isinstance(item, exp.Alias):
                scope.aliases[key] = value
        if select.args.get("kind"):  # BigQuery's `select as struct`, `select as value`: one column, or a struct's own
            return Relation((), open_at=0, beyond_value=UNKNOWN)
        if made or (open_at is not None and not behind):
            return Relation(outputs, open_at=open_at, beyond_value=UNKNOWN)
        return Relation(outputs, open_at=open_at, behind=tuple(behind))

    def _star(self, item: Any, ctes: Ctes | None, scope: Scope) -> Relation | None:
        """The columns a select item stands for if it stands for several; ``None`` if it is one column."""
        if isinstance(item, exp.Star):
            return self._without(item, self._whole(scope), ctes, scope)
        if isinstance(item, exp.Column):
            if isinstance(item.this, exp.Star):
                return self._qualified_star(item, ctes, scope)
            if UNRESOLVED in item.name:
                return Relation((), open_at=0, beyond_value=UNKNOWN)
            return None
        if isinstance(item, exp.Aliases):
            value = self.value(item.this, ctes, scope)
            derived = Value("derived", value.sources, value.note)
            return Relation(Output(name.name, self._key(name), derived) for name in item.expressions)
        if isinstance(item, exp.Alias):
            return None
        if isinstance(item, exp.Columns):
            return Relation((), open_at=0, behind=tuple(Behind(seen, frozenset()) for seen in scope.visible))
        if isinstance(item, (exp.Explode, exp.Posexplode, exp.Inline, exp.Stack)):
            return Relation(
                (), open_at=0, beyond_value=Value("derived", self.value(item, ctes, scope).sources, "unnest")
            )
        if isinstance(item, exp.Dot) and isinstance(item.expression, exp.Star):
            value = self.value(item.this, ctes, scope)
            return Relation((), open_at=0, beyond_value=Value("derived", value.sources, "field"))
        return None

    def _qualified_star(self, item: exp.Column, ctes: Ctes | None, scope: Scope) -> Relation:
        qualifier = item.args["table"]
        relation = self._named(qualifier, scope)
        if relation is None:  # the fields of a struct: `address.*`
            parts = [part for part in item.parts if isinstance(part, exp.Identifier)]
            value = self._column(parts, scope)
            return Relation((), open_at=0, beyond_value=Value("derived", value.sources, "field"))
        return self._without(item.this, _through(relation), ctes, scope)

    def _whole(self, scope: Scope) -> Relation:
        """The columns of ``*``."""
        if len(scope.visible) == 1 and not scope.merged:
            return _through(scope.visible[0])
        outputs: list[Output] = []
        behind: list[Behind] = []
        open_at: int | None = None
        if self._dialect not in _USING_IN_PLACE:
            outputs += [Output(name, key, value) for key, (name, value) in scope.merged.items()]
        taken = set(scope.merged) if self._dialect not in _USING_IN_PLACE else set[str]()
        for relation in scope.visible:
            if relation.is_open and open_at is None:
                open_at = len(outputs) + (relation.open_at or 0)
            for output in relation.columns:
                if output.key not in scope.merged:
                    outputs.append(output)
                elif output.key not in taken:
                    taken.add(output.key)
                    outputs.append(Output(output.name, output.key, scope.merged[output.key][1]))
            if relation.is_open:
                behind.append(Behind(relation, frozenset(scope.merged)))
        if scope.natural_open:
            return Relation((), open_at=0, beyond_value=UNKNOWN)
        return Relation(outputs, open_at=open_at, behind=tuple(behind))

    def _without(self, star: Any, relation: Relation, ctes: Ctes | None, scope: Scope) -> Relation:
        """A star's ``except``/``exclude``, ``replace``, ``rename`` and ``ilike``."""
        if not any(star.args.values()):
            return relation
        excluded = {self._key(name) for name in star.args.get("except_") or ()}
        replaced = {self._key(item): self.value(item.this, ctes, scope) for item in star.args.get("replace") or ()}
        renamed = {self._key(item.this): item.args["alias"] for item in star.args.get("rename") or ()}
        pattern = star.args.get("ilike")
        like = _like(pattern.name) if pattern is not None else None
        outputs: list[Output] = []
        seen: set[str] = set()
        open_at: int | None = None
        for at, output in enumerate(relation.columns):
            if at == relation.open_at:
                open_at = len(outputs)
            seen.add(output.key)
            if output.key in excluded or (like is not None and not like.fullmatch(output.name)):
                continue
            value = replaced.get(output.key, output.value)
            alias = renamed.get(output.key)
            outputs.append(
                Output(output.name, output.key, value)
                if alias is None
                else Output(alias.name, self._key(alias), value)
            )
        if not relation.is_open:
            return Relation(outputs)
        if open_at is None:
            open_at = len(outputs)
        # What is replaced or renamed comes out of the part that could not be listed, at an unknown position.
        for key, value in replaced.items():
            if key not in seen:
                outputs.append(Output(key, key, value))
        for key, alias in renamed.items():
            if key not in seen:
                found = relation.find(key, key) or UNKNOWN
                outputs.append(Output(alias.name, self._key(alias), found))
        hidden = frozenset(excluded) | frozenset(renamed)
        behind = tuple(Behind(part.relation, part.excluded | hidden) for part in relation.behind)
        return Relation(outputs, open_at=open_at, beyond_value=relation.beyond_value, behind=behind)

    def _item_name(self, item: Any) -> tuple[str, str]:
        """A select item's name and key; empty where the warehouse makes a name up."""
        if isinstance(item, exp.Alias):
            alias = item.args["alias"]
            return alias.name, self._key(alias)
        inner = item
        while isinstance(inner, (exp.Paren, exp.Cast)) and (
            isinstance(inner, exp.Paren) or self._dialect in {"postgres", "redshift", "snowflake"}
        ):
            if isinstance(inner, exp.Cast) and self._dialect == "snowflake":
                return "", ""
            inner = inner.this
        if isinstance(inner, exp.Column) and isinstance(inner.this, exp.Identifier):
            return inner.name, self._key(inner.this)
        if isinstance(inner, exp.Dot) and isinstance(inner.expression, exp.Identifier):
            return inner.expression.name, self._key(inner.expression)
        return "", ""

    # --- from and join -------------------------------------------------------------------------------------------

    def _add_source(self, node: Any, ctes: Ctes | None, scope: Scope, *, hidden: bool = False) -> list[Relation]:
        """Add one item of ``from`` to the scope, and give what was added."""
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table) and not node.alias:
            return self._add_source(node.this, ctes, scope, hidden=hidden)  # `(a join b …) join c`
        alias = node.args.get("alias")
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            relation = self._pivoted(node, self._table(node, ctes), scope).renamed(self._alias_columns(node))
            name: Any = alias.this if alias is not None and alias.this is not None else node.this
        elif isinstance(node, (exp.Subquery, exp.Select, exp.SetOperation)):
            relation = self.query(node, ctes, scope.outer)
            name = alias.this if alias is not None else None
        elif isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            relation = self.query(node.this, ctes, scope).renamed(self._alias_columns(node))
            name = alias.this if alias is not None else None
        elif isinstance(node, exp.Values):
            relation = self._values(node)
            name = alias.this if alias is not None else None
        else:
            relation = self._made(node, ctes, scope)
            name = alias.this if alias is not None else None
            if name is None and alias is not None and isinstance(node, exp.Unnest) and alias.columns:
                name = alias.columns[0]  # BigQuery: the alias of an unnested array is its column, and its table
        if name is not None:
            scope.named[self._table_key(name)] = relation
        added = [relation]
        if not hidden:
            scope.visible.append(relation)
        for join in node.args.get("joins") or ():
            added += self._join(join, ctes, scope)
        for lateral in node.args.get("laterals") or ():
            added += self._add_source(lateral, ctes, scope)
        return added

    def _table(self, table: exp.Table, ctes: Ctes | None) -> Relation:
        parts = _table_parts(table)
        ephemeral = len(parts) == 1 and parts[0].startswith(EPHEMERAL_PREFIX)
        cte = None if ephemeral else self.find_cte(table, ctes)
        if cte is not None:
            return self._cte(cte)
        unique_id = self._relations.find(parts)
        if unique_id is None:
            return Relation((), open_at=0, beyond_value=UNKNOWN)
        return self._parent(unique_id)

    def _parent(self, unique_id: str) -> Relation:
        parent = self._parents.get(unique_id)
        if parent is None:
            names = self._schema.get(unique_id)
            listed = self._declared.get(unique_id, ()) if names is None else names
            outputs = [Output(name, name.lower(), Value("copy", ((unique_id, name),))) for name in listed]
            open_at = len(outputs) if names is None else None
            parent = Relation(outputs, open_at=open_at, unique_id=unique_id)
            self._parents[unique_id] = parent
        return parent

    def _join(self, join: Any, ctes: Ctes | None, scope: Scope) -> list[Relation]:
        left = list(scope.visible)
        hidden = str(join.args.get("kind") or "").upper() in {"SEMI", "ANTI", "LEFT SEMI", "LEFT ANTI"}
        added = self._add_source(join.this, ctes, scope, hidden=hidden)
        if hidden:
            return added
        side = str(join.args.get("side") or "").upper()
        natural = str(join.args.get("method") or "").upper() == "NATURAL"
        shared: list[tuple[str, str]] = [(name.name, self._key(name)) for name in join.args.get("using") or ()]
        if natural:
            if any(relation.is_open for relation in [*left, *added]):
                scope.natural_open = True
                return added
            theirs = {output.key for relation in added for output in relation.columns}
            mine = {output.key: output.name for relation in left for output in relation.columns}
            shared = [(name, key) for key, name in mine.items() if key in theirs]
        for name, key in shared:
            before = scope.merged[key][1] if key in scope.merged else _one_of(left, key, name)
            after = _one_of(added, key, name)
            if side == "RIGHT":
                value = after
            elif side == "FULL":
                value = Value("derived", merge_sources((before, after)), "coalesce")
            else:
                value = before
            scope.merged[key] = (name, value)
        return added

    def _made(self, node: Any, ctes: Ctes | None, scope: Scope) -> Relation:
        """What a table function, an unnested array or a flattened variant gives: all made of its arguments."""
        sources = merge_sources(value for _, value in self._references(node, ctes, scope))
        made = Value("derived", sources, "unnest")
        names = self._alias_columns(node)
        offset = node.args.get("offset")
        if isinstance(offset, exp.Identifier):
            names = [*names, (offset.name, self._key(offset))]
        outputs = [Output(name, key, made) for name, key in names]
        if not names and self._dialect == "snowflake" and node.find(exp.Explode):
            return Relation(Output(name, name.lower(), made) for name in _FLATTENED)
        # BigQuery's unnested structs give their fields as columns too; elsewhere a column list is the whole list.
        closed = bool(names) and self._dialect != "bigquery"
        return Relation(outputs, open_at=None if closed else len(outputs), beyond_value=None if closed else made)

    def _values(self, node: exp.Values) -> Relation:
        rows = node.expressions
        width = len(rows[0].expressions) if rows and isinstance(rows[0], exp.Tuple) else 1
        names = self._alias_columns(node)
        stem = "col" if self._dialect in {"duckdb", "databricks", "spark"} else "column"
        first = 0 if self._dialect == "duckdb" else 1
        made = Value("derived", (), "literal")
        outputs = [
            Output(name, key, made)
            for name, key in [*names, *((f"{stem}{at + first}",) * 2 for at in range(len(names), width))]
        ]
        return Relation(outputs)

    def _pivoted(self, node: Any, relation: Relation, scope: Scope) -> Relation:
        """A pivot's groups and an unpivot's other columns come through; what either makes has made-up names."""
        pivots: Sequence[Any] = node.args.get("pivots") or ()
        for pivot in pivots:
            alias = pivot.args.get("alias")
            if alias is not None and alias.this is not None:
                scope.named[self._table_key(alias.this)] = relation
            used = {self._key(column) for column in pivot.find_all(exp.Column)}
            kept = [output for output in relation.columns if output.key not in used]
            if pivot.args.get("unpivot"):
                made = Value("derived", merge_sources(o.value for o in relation.columns if o.key in used), "unpivot")
                names = [name for name in pivot.find_all(exp.Identifier) if not isinstance(name.parent, exp.Column)]
                kept += [Output(name.name, self._key(name), made) for name in names]
            relation = Relation(kept, open_at=len(kept), beyond_value=UNKNOWN)
        return relation

    # --- set operations ------------------------------------------------------------------------------------------

    def _set_operation(self, node: exp.SetOperation, ctes: Ctes | None, outer: Scope | None) -> Relation:
        branches = [
            (operation, self.query(branch, ctes, outer))
            for operation, branch in _branches(node)
            if not isinstance(operation, exp.Except)  # what `except` takes away adds nothing
        ]
        relations = [relation for _, relation in branches]
        if any(operation is not None and operation.args.get("by_name") for operation, _ in branches):
            return self._by_name(relations)
        return self._by_position(relations)

    def _by_position(self, relations: list[Relation]) -> Relation:
        first = relations[0]
        safe = min(len(relation.columns) if relation.open_at is None else relation.open_at for relation in relations)
        outputs: list[Output] = []
        for at, output in enumerate(first.columns):
            if at < safe:
                value = combine_branches([relation.columns[at].value for relation in relations], own_id=self._own_id)
            else:
                value = Value("unknown", output.value.sources, "union")
            outputs.append(Output(output.name, output.key, value))
        if first.is_open:
            return Relation(outputs, open_at=first.open_at, beyond_value=Value("unknown", (), "union"))
        return Relation(outputs)

    def _by_name(self, relations: list[Relation]) -> Relation:
        names: dict[str, str] = {}
        for relation in relations:
            for output in relation.columns:
                names.setdefault(output.key, output.name)
        outputs: list[Output] = []
        for key, name in names.items():
            found = [relation.find(key, name) for relation in relations]
            held = [value for value in found if value is not None]
            value = combine_branches(held, own_id=self._own_id)
            outputs.append(Output(name, key, value if len(held) == len(found) else value._replace(note="union")))
        is_open = any(relation.is_open for relation in relations)
        return Relation(outputs, open_at=0 if is_open else None, beyond_value=UNKNOWN if is_open else None)

    # --- expressions ---------------------------------------------------------------------------------------------

    def value(self, node: Any, ctes: Ctes | None, scope: Scope) -> Value:
        """What an expression holds."""
        while isinstance(node, (exp.Paren, exp.Alias)):
            node = node.this
        if isinstance(node, exp.Column):
            return self._reference(node, scope)
        if isinstance(node, exp.Cast) and not node.args.get("format"):
            return self._cast(node, ctes, scope)
        if isinstance(node, exp.Null):
            return Value("derived", (), "literal", (Formula(node, ()),), is_null=True)
        if isinstance(node, (exp.Literal, exp.Boolean)):
            return Value("derived", (), "literal", (Formula(node, ()),))
        columns = tuple(self._references(node, ctes, scope))
        formula = Formula(node, tuple((column, value) for column, value in columns if column is not None))
        values = [value for _, value in columns]
        return Value("derived", merge_sources(values), _note(node, values), (formula,))

    def _cast(self, node: exp.Cast, ctes: Ctes | None, scope: Scope) -> Value:
        operand = node.this
        while isinstance(operand, exp.Paren):
            operand = operand.this
        inner = self.value(operand, ctes, scope)
        if isinstance(operand, exp.Column):
            columns: tuple[tuple[Any, Value], ...] = ((operand, inner),)
        else:
            columns = inner.formulas[0].columns if inner.formulas else ()
        formulas = (Formula(node, columns),)
        if inner.touch == "copy":
            return inner._replace(touch="cast", formulas=formulas)
        note = None if inner.note == "coalesce" else inner.note
        return inner._replace(note=note, formulas=formulas if inner.touch != "unknown" else ())

    def references(self, node: Any, ctes: Ctes | None, scope: Scope) -> tuple[tuple[Any, Value], ...]:
        """Each column that an expression names, with what it holds."""
        return tuple((column, value) for column, value in self._references(node, ctes, scope) if column is not None)

    def _references(self, node: Any, ctes: Ctes | None, scope: Scope) -> Iterator[tuple[Any, Value]]:
        """Each column an expression names, in order, with what it holds; a subquery's columns come without a node."""
        stack: list[Any] = [node]
        while stack:
            part = stack.pop()
            if isinstance(part, exp.Column):
                if isinstance(part.this, exp.Star):
                    continue
                yield part, self._reference(part, scope)
            elif isinstance(part, (exp.Select, exp.SetOperation, exp.Subquery)):
                for output in self.query(part, ctes, scope).columns:
                    yield None, output.value
            else:
                children: list[Any] = []
                for argument in part.args.values():
                    if isinstance(argument, exp.Expr):
                        children.append(argument)
                    elif isinstance(argument, list):
                        children += [child for child in cast("list[Any]", argument) if isinstance(child, exp.Expr)]
                stack.extend(reversed(children))

    def _reference(self, column: exp.Column, scope: Scope) -> Value:
        args = column.args
        table, name = args.get("table"), args["this"]
        if table is None:
            return self._unqualified(name, scope) if isinstance(name, exp.Identifier) else UNKNOWN
        relation = scope.named.get(self._table_key(table)) if args.get("db") is None else None
        if relation is not None:  # by far the most: `alias.column`
            return relation.find(self._key(name), name.name) or UNKNOWN
        return self._column([part for part in column.parts if isinstance(part, exp.Identifier)], scope)

    def _column(self, parts: Sequence[exp.Identifier], scope: Scope) -> Value:
        """A name of one or more parts: `column`, `table.column`, `schema.table.column`, `table.struct.field`, …"""
        if len(parts) > 1:
            for at in (0, len(parts) - 2):
                relation = self._named(parts[at], scope)
                if relation is not None:
                    return self._field(relation, parts[at + 1 :])
        if len(parts) == 1:
            return self._unqualified(parts[0], scope)
        relation = self._owner(parts[0], scope)
        if relation is not None:
            return self._field(relation, parts)
        value = self._unqualified(parts[0], scope)
        return Value("derived" if value.sources else "unknown", value.sources, "field")

    def _field(self, relation: Relation, parts: Sequence[exp.Identifier]) -> Value:
        """A column, or a field of a struct; one that the parent documents as ``a.b`` is a column of its own."""
        name = ".".join(part.name for part in parts)
        if len(parts) > 1:
            known = relation.known(name.lower())
            if known is not None:
                return known
        value = relation.find(self._key(parts[0]), parts[0].name)
        if value is None or len(parts) == 1:
            return value or UNKNOWN
        return Value("derived" if value.sources else "unknown", value.sources, "field")

    def _named(self, name: Any, scope: Scope | None) -> Relation | None:
        key = self._table_key(name)
        while scope is not None:
            if key in scope.named:
                return scope.named[key]
            scope = scope.outer
        return None

    def _owner(self, name: exp.Identifier, scope: Scope) -> Relation | None:
        key = self._key(name)
        owners = [relation for relation in scope.visible if relation.known(key) is not None]
        return owners[0] if len(owners) == 1 else None

    def _unqualified(self, identifier: exp.Identifier, scope: Scope) -> Value:
        name = identifier.name
        if UNRESOLVED in name:
            return FROM_JINJA
        key = self._key(identifier)
        if key in scope.merged:
            return scope.merged[key][1]
        known = [value for value in (relation.known(key) for relation in scope.visible) if value is not None]
        if scope.natural_open:
            return UNKNOWN
        if known:
            return known[0] if len(known) == 1 else AMBIGUOUS
        alias = scope.aliases.get(key)
        further = self._unqualified(identifier, scope.outer) if scope.outer is not None else None
        possible = [relation for relation in scope.visible if relation.is_open]
        whole_row = scope.named.get(self._table_key(identifier))
        if whole_row is not None and (not possible or _is_made(whole_row)):
            return whole_row.beyond_value or Value("derived", (), "row")
        if not possible:
            return alias or further or UNKNOWN
        if len(possible) > 1 or alias is not None or (further is not None and further.touch != "unknown"):
            return AMBIGUOUS
        if name.lower() in _KEYWORD_VALUES:
            return UNKNOWN
        return possible[0].beyond(key, name)

    # --- names ---------------------------------------------------------------------------------------------------

    def _key(self, name: Any) -> str:
        """What a column's name is compared by: without case, unless it is quoted and the dialect minds."""
        identifier = name
        while not isinstance(identifier, exp.Identifier):
            following = identifier.args.get("alias") or identifier.this
            if not isinstance(following, exp.Expr):
                return str(following).lower()
            identifier = following
        text: str = identifier.args["this"]
        if self._case_blind or not identifier.args.get("quoted"):
            return text.lower()
        plain = text.upper() if self._dialect == "snowflake" else text.lower()
        return text.lower() if text == plain else f'"{text}"'

    def _table_key(self, name: Any) -> str:
        text: str = name.name
        return text.lower()

    def _alias_columns(self, node: Any) -> list[tuple[str, str]]:
        alias = node.args.get("alias")
        if not isinstance(alias, exp.TableAlias):
            return []
        return [(column.name, self._key(column)) for column in alias.columns]


def _table_parts(table: exp.Table) -> tuple[str, ...]:
    return tuple(part.name.lower() for part in table.parts)


def _through(relation: Relation) -> Relation:
    """``t.*``: the same columns, with ``t`` behind them for those that could not be listed."""
    if not relation.is_open:
        return relation
    return Relation(relation.columns, open_at=relation.open_at, behind=(Behind(relation, frozenset()),))


def _branches(node: exp.SetOperation) -> Iterator[tuple[exp.SetOperation | None, Any]]:
    """Each branch of a chain of set operations, leftmost first, with the operation that adds it."""
    chain: list[exp.SetOperation] = []
    left: Any = node
    while isinstance(left, exp.SetOperation) and (left is node or not left.args.get("with_")):
        chain.append(left)
        left = left.this
    yield None, left
    for operation in reversed(chain):
        yield operation, operation.expression


def _is_made(relation: Relation) -> bool:
    return relation.beyond_value is not None and relation.beyond_value.touch != "unknown"


def _one_of(relations: Sequence[Relation], key: str, name: str) -> Value:
    """The column of this name in one of several joined relations."""
    known = [value for value in (relation.known(key) for relation in relations) if value is not None]
    if known:
        return known[0] if len(known) == 1 else AMBIGUOUS
    possible = [relation for relation in relations if relation.is_open]
    return possible[0].beyond(key, name) if len(possible) == 1 else UNKNOWN


def _alike(one: Relation, other: Relation) -> bool:
    return [(o.key, o.value.touch, o.value.sources) for o in one.columns] == [
        (o.key, o.value.touch, o.value.sources) for o in other.columns
    ]


def _note(node: Any, values: Sequence[Value]) -> str | None:
    """What a reader should know of an expression's outermost operation, or of what it is made from."""
    if isinstance(node, (exp.Select, exp.SetOperation, exp.Subquery)):
        return "subquery"
    if isinstance(node, exp.Coalesce):
        if all(_is_column(one) for one in (node.this, *node.expressions)):
            return "coalesce" if all(value.touch in {"copy", "cast"} for value in values) else None
        if _is_column(node.this) and all(isinstance(one, exp.Literal) for one in node.expressions):
            return "default"
    found = node.find(exp.Window, exp.AggFunc)
    if found is not None:
        return "window" if isinstance(found, exp.Window) else "aggregate"
    inherited = [value.note for value in values if value.note in {"aggregate", "window", "unnest"}]
    if inherited:
        return inherited[0]
    return "literal" if not values and isinstance(node, (exp.Neg, exp.Interval)) else None


def _is_column(node: Any) -> bool:
    while isinstance(node, (exp.Paren, exp.Cast)):
        node = node.this
    return isinstance(node, exp.Column)


def _like(pattern: str) -> re.Pattern[str]:
    parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
