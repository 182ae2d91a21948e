"""Expressions as text: in the model's dialect, in terms of the parents' columns, without comments, short."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final

from sqlglot import ErrorLevel, exp
from sqlglot.dialects.dialect import Dialect

from osmosis_synthesize.manifest.lineage.values import Formula, Value
from osmosis_synthesize.manifest.model import UNRESOLVED
from osmosis_synthesize.names import fold

MAX_INSERTED: Final = 100
"""Characters up to which a CTE's expression is put in place of the column that it makes."""

MAX_LENGTH: Final = 400
"""Characters after which an expression is cut."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_BACKTICKS: Final = frozenset({"bigquery", "databricks", "spark", "hive", "mysql", "clickhouse"})


class Wording:
    """Writes the expressions of one model. Each is written once, after all were resolved: writing changes the tree."""

    def __init__(self, dialect: str, *, whole: bool = False) -> None:
        """``whole``: nothing is cut, and what is too long to be inserted is stood for by its hash; see :class:`Setting`."""
        self._dialect: Final = dialect
        self._whole: Final = whole
        self._generator: Final[Any] = Dialect.get_or_raise(dialect or None).generator(
            comments=False, unsupported_level=ErrorLevel.IGNORE
        )
        self._written: Final = dict[tuple[int, bool], str | None]()
        self._keep: Final = list[Value]()

    def of(self, value: Value) -> str | None:
        """The expression a value is computed with, or its column's name; ``None`` where it is not known."""
        if value.touch == "unknown":
            return None
        if not value.formulas:
            return self._text(value, qualified=self._whole)
        parents = {unique_id for unique_id, _ in value.sources}
        qualified = self._whole or (len(parents) > 1 and value.note != "union")
        text = self._text(value, qualified=qualified)
        return None if text is None or UNRESOLVED in text else self._cut(text)

    def condition(self, node: Any, columns: tuple[tuple[Any, Value], ...]) -> str:
        """A condition or a group, written like an expression."""
        parents = {unique_id for _, value in columns for unique_id, _ in value.sources}
        return self._cut(self._write(Formula(node, columns), qualified=len(parents) > 1))

    def rows(self, query: Any) -> str | None:
        """All of a query but what it selects: which rows there are. ``None`` where that is not known."""
        bare = query.copy()
        for select in bare.find_all(exp.Select):
            select.set("expressions", [exp.Star()])
        text: str = self._generator.sql(bare)
        return None if UNRESOLVED in text else text

    def _text(self, value: Value, *, qualified: bool) -> str | None:
        key = (id(value), qualified)
        if key not in self._written:
            self._keep.append(value)  # an id stands for its object only as long as that lives
            self._written[key] = self._fresh_text(value, qualified=qualified)
        return self._written[key]

    def _fresh_text(self, value: Value, *, qualified: bool) -> str | None:
        if value.formulas:
            texts = {self._write(formula, qualified=qualified) for formula in value.formulas}
            return texts.pop() if len(texts) == 1 else " | ".join(sorted(texts)) if self._whole else None
        if value.touch == "copy" and value.sources:
            if self._whole:
                return " | ".join(sorted({self._column(source, qualified=True) for source in value.sources}))
            return self._column(value.sources[0], qualified=qualified)
        return None

    def _column(self, source: tuple[str, str], *, qualified: bool) -> str:
        unique_id, name = source
        name = fold(name) if self._whole else name
        if not _PLAIN_NAME.fullmatch(name):
            name = f"`{name}`" if self._dialect in _BACKTICKS else f'"{name}"'
        return f"{_table_name(unique_id)}.{name}" if qualified else name

    def _write(self, formula: Formula, *, qualified: bool) -> str:
        texts: list[tuple[Any, str]] = []
        for column, value in formula.columns:
            text = self._text(value, qualified=qualified)
            if self._whole and (text is None or len(text) > MAX_INSERTED):
                texts.append((column, self._standing_for(text, column)))
            elif text is not None and len(text) <= MAX_INSERTED:
                inserted = value.formulas[0].expression if value.formulas else None
                outermost = formula.expression is column
                texts.append((column, f"({text})" if _needs_parentheses(inserted) and not outermost else text))
        # A column node is given its text for as long as the writing takes: cheaper than a copy of the tree, and
        # sqlglot's generators cannot be taught otherwise where they are compiled.
        own = [column.args for column, _ in texts]
        for column, text in texts:
            column.args = {"this": exp.Var(this=text)}
        try:
            written: str = self._generator.sql(formula.expression)
        finally:
            for (column, _), args in zip(texts, own, strict=True):
                column.args = args
        return written

    def _standing_for(self, text: str | None, column: Any) -> str:
        """A name for an expression that is too long to be inserted, or unknown, whatever aliases the SQL uses."""
        if text is None:
            return f"unknown.{fold(column.name)}"
        if UNRESOLVED in text:
            return UNRESOLVED
        return f"hash_{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"

    def _cut(self, text: str) -> str:
        text = " ".join(text.split()) if "\n" in text else text
        return text if self._whole or len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1].rstrip() + "…"


def _needs_parentheses(expression: Any) -> bool:
    return isinstance(expression, (exp.Binary, exp.Unary, exp.Between, exp.In)) and not isinstance(
        expression, (exp.Paren, exp.Dot, exp.Func)
    )


def _table_name(unique_id: str) -> str:
    """What a query would call a node: ``stg_orders``, ``raw_orders`` of a source, ``orders_v2`` of a version."""
    parts = unique_id.split(".")
    if parts[0] == "source":
        return parts[-1]
    return "_".join(parts[2:])
