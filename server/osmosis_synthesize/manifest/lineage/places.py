"""Where in a model's own file, Jinja and all, its output columns are computed.

Lineage is read from compiled SQL, whose places are nobody's: what a user edits is the file. So this looks at the file's
words alone. It finds what is written there; a column that only Jinja brings about has no place of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

from osmosis_synthesize.manifest.lineage.relations import dialect_of
from osmosis_synthesize.names import fold
from osmosis_synthesize.text import Span

_JINJA: Final = re.compile(
    r"""(?P<text>\{\{(?:'[^']*'|"[^"]*"|[^'"])*?\}\})|\{%(?:'[^']*'|"[^"]*"|[^'"])*?%\}|\{\#.*?\#\}""", re.DOTALL
)
_SILENT: Final = re.compile(r"\{\{-?\s*config\s*\(")
_UNKNOWN: Final = "\ue000"
"""Stands for each character of Jinja that becomes text: a letter to every SQL parser, and in nobody's SQL."""

_MOST_SQL: Final = 100_000
"""Characters; splitting longer ones into words would take a second and more."""

_SET_OPERATIONS: Final = {"UNION", "INTERSECT", "EXCEPT", "SEMICOLON"}
_BEHIND_SOURCES: Final = {"WHERE", "GROUP_BY", "HAVING", "QUALIFY", "WINDOW", "ORDER_BY", "LIMIT", "FETCH"}
_BEHIND_ITEMS: Final = _SET_OPERATIONS | _BEHIND_SOURCES | {"FROM", "INTO"}
_OPENING: Final = {"L_PAREN", "L_BRACKET", "L_BRACE"}
_CLOSING: Final = {"R_PAREN", "R_BRACKET", "R_BRACE"}
_NAMES: Final = {"VAR", "IDENTIFIER"}
_CONSTANTS: Final = {"STRING", "NULL", "TRUE", "FALSE"}
_VALUES: Final = _NAMES | _CLOSING | {"END", "NUMBER", "STRING"}
"""Kinds of words, as sqlglot calls them: what ends a query's first branch, its sources, its expressions; and so on."""


@dataclass(frozen=True, slots=True)
class Places:
    """The output columns of one file, in their order; empty where its SQL is not understood."""

    columns: Mapping[str, Span] = field(default_factory=dict[str, Span])
    """The expression of each, its name included, by folded name."""
    patterns: tuple[tuple[re.Pattern[str], Span], ...] = ()
    """Expressions whose names are made by Jinja, and what these may become."""
    query: Span | None = None
    """The word ``select`` of the query whose result the model is."""

    def find(self, column: str) -> Span | None:
        """Where a column is computed, else the query that has it; ``None`` where not even that is known."""
        exact = self.columns.get(fold(column))
        if exact is not None:
            return exact
        matching = [span for pattern, span in self.patterns if pattern.fullmatch(fold(column))]
        return matching[0] if len(matching) == 1 else self.query

    def at(self, offset: int) -> str | None:
        """The folded name of the output column in whose expression ``offset`` lies."""
        around = [(len(span), name) for name, span in self.columns.items() if span.contains(offset)]
        return min(around)[1] if around else None

    def between(self, start: int, end: int) -> list[str]:
        """The folded names of the output columns whose expressions have a part in a selection."""
        return [name for name, span in self.columns.items() if span.start < end and start < span.end]


def places_in(sql: str, adapter_type: str) -> Places:
    """The places of the output columns in a model's file. Never raises.

    Args:
        sql: the file's text.
        adapter_type: the project's, which tells the dialect.
    """
    if len(sql) > _MOST_SQL:
        return Places()
    from sqlglot.errors import SqlglotError

    try:
        query = _Query(_tokens(_without_jinja(sql), dialect_of(adapter_type)), {}, frozenset())
        outputs = query.outputs
    except (SqlglotError, RecursionError):
        return Places()
    if query.select is None:
        return Places()
    columns: dict[str, Span] = {}
    patterns: list[tuple[re.Pattern[str], Span]] = []
    for name, output in outputs.items():
        if _UNKNOWN not in name:
            columns[name] = output.span
        elif (pattern := re.sub(f"{_UNKNOWN}+", ".+", re.escape(name))) != ".+":
            patterns.append((re.compile(pattern), output.span))
    return Places(columns, tuple(patterns), query.tokens[query.select].span)


def _without_jinja(sql: str) -> str:
    """The text with every character of Jinja replaced: by a name where it becomes text, by a blank where it does not."""

    def instead(match: re.Match[str]) -> str:
        says_something = match["text"] is not None and _SILENT.match(match["text"]) is None
        return (_UNKNOWN if says_something else " ") * len(match[0])

    return _JINJA.sub(instead, sql)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """sqlglot's name for it."""
    text: str
    """Without quotes."""
    span: Span
    depth: int
    """How many brackets it lies in; an opening bracket lies outside of itself, and so does a closing one."""


def _tokens(sql: str, dialect: str) -> list[_Token]:
    from sqlglot.dialects.dialect import Dialect

    found: list[_Token] = []
    depth = 0
    words: list[Any] = Dialect.get_or_raise(dialect).tokenize(sql)
    for word in words:
        kind = str(word.token_type.name)
        if kind in _CLOSING:
            depth -= 1
        found.append(_Token(kind, str(word.text), Span(word.start, word.end + 1), depth))
        if kind in _OPENING:
            depth += 1
    return found


@dataclass(frozen=True, slots=True)
class _Output:
    """One expression of a select list."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class _Star:
    """``*`` or ``table.*``."""

    table: str | None
    but: frozenset[str]
    """Folded names of what it leaves out."""


class _Query:
    """One query: the words between two brackets, or all of a file."""

    def __init__(self, tokens: list[_Token], outer: Mapping[str, _Query], above: frozenset[str]) -> None:
        """``outer`` are the CTEs that it sees; ``above`` are the names of those that it is part of."""
        while len(tokens) > 1 and tokens[0].kind == "L_PAREN" and _closing(tokens, 0) == len(tokens) - 1:
            tokens = tokens[1:-1]
        self.tokens: Final = tokens
        self.depth: Final = tokens[0].depth if tokens else 0
        self.above: Final = above
        self.ctes: Final = dict(outer)
        first = next((at for at in self._own() if tokens[at].kind in {"WITH", "SELECT"}), None)
        if first is not None and tokens[first].kind == "WITH":
            first = self._read_ctes(first + 1)
        self.select: Final = first

    @cached_property
    def outputs(self) -> Mapping[str, _Output]:
        """The expressions that its columns are computed by, by folded name; those behind a star where they stand."""
        found: dict[str, _Output] = {}
        for item in self._items:
            if isinstance(item, _Output):
                found.setdefault(fold(item.name), item)
                continue
            for name, source in self._sources:
                if item.table is None or fold(item.table) == name:
                    for column, output in source.outputs.items():
                        if column not in item.but:
                            found.setdefault(column, output)
        return found

    def _own(self, start: int = 0) -> Iterator[int]:
        """The positions of the words that are in no brackets."""
        return (at for at in range(start, len(self.tokens)) if self.tokens[at].depth == self.depth)

    def _read_ctes(self, start: int) -> int | None:
        """Note the CTEs, whose list begins at ``start``; gives where the query behind them does."""
        name = None
        for at in self._own(start):
            token = self.tokens[at]
            if token.kind == "SELECT":
                return at
            if token.kind == "L_PAREN" and name is not None and self.tokens[at - 1].kind not in _NAMES:
                inside = self.tokens[at + 1 : _closing(self.tokens, at)]
                self.ctes[fold(name)] = _Query(inside, self.ctes, self.above | {fold(name)})
                name = None
            elif (name is None or fold(name) == "recursive") and token.kind not in {"COMMA", "R_PAREN"}:
                name = token.text
        return None

    @cached_property
    def _end(self) -> int:
        """Where the first branch of the query ends: its columns are named there."""
        ends = (at for at in self._own(self.select or 0) if self.tokens[at].kind in _SET_OPERATIONS)
        return next((at for at in ends if not self._is_star_clause(at)), len(self.tokens))

    @cached_property
    def _items(self) -> list[_Output | _Star]:
        if self.select is None:
            return []
        bounds = [self._behind_distinct(self.select + 1)]
        for at in self._own(bounds[0]):
            kind = self.tokens[at].kind
            if at >= self._end or (
                kind in _BEHIND_ITEMS and not self._is_star_clause(at) and not self._is_comparison(at)
            ):
                bounds.append(at)
                break
            if kind == "COMMA":
                bounds.append(at)
        else:
            bounds.append(len(self.tokens))
        found = (self._item(start + (number > 0), end) for number, (start, end) in enumerate(pairwise(bounds)))
        return [item for item in found if item is not None]

    def _behind_distinct(self, at: int) -> int:
        """Past ``distinct`` and ``distinct on (…)``."""
        if at < len(self.tokens) and self.tokens[at].kind in {"DISTINCT", "ALL"}:
            at += 1
            if at + 1 < len(self.tokens) and self.tokens[at].kind == "ON" and self.tokens[at + 1].kind == "L_PAREN":
                at = _closing(self.tokens, at + 1) + 1
        return at

    def _is_star_clause(self, at: int) -> bool:
        """Whether this is the ``except`` of ``* except (…)``."""
        return self.tokens[at].kind == "EXCEPT" and at > 0 and self.tokens[at - 1].kind == "STAR"

    def _is_comparison(self, at: int) -> bool:
        """Whether this is the ``from`` of ``is distinct from``."""
        return self.tokens[at].kind == "FROM" and self.tokens[at - 1].kind == "DISTINCT"

    def _item(self, start: int, end: int) -> _Output | _Star | None:
        """What stands between two commas; ``None`` where it has no name."""
        words = [self.tokens[at] for at in range(start, end) if self.tokens[at].depth == self.depth]
        if not words:
            return None
        if words[0].kind == "STAR":
            return _Star(None, self._left_out(start, end))
        if len(words) > 2 and words[1].kind == "DOT" and words[2].kind == "STAR":
            return _Star(words[0].text, self._left_out(start, end))
        name = _name(words)
        return None if name is None else _Output(name, Span(words[0].span.start, words[-1].span.end))

    def _left_out(self, start: int, end: int) -> frozenset[str]:
        """The columns in ``* except (…)`` or ``* exclude …``."""
        left: set[str] = set()
        leaves = False
        for token in self.tokens[start:end]:
            if token.depth == self.depth and token.kind not in {"L_PAREN", "R_PAREN"}:
                leaves = token.text.lower() in {"except", "exclude"}
            elif leaves:
                left.add(fold(token.text))
        return frozenset(left)

    @cached_property
    def _sources(self) -> list[tuple[str, _Query]]:
        """The queries in its ``from``, by folded alias, as far as they stand in this file."""
        found: list[tuple[str, _Query]] = []
        for at in self._own(self.select or 0):
            if at >= self._end or self.tokens[at].kind in _BEHIND_SOURCES:
                break
            if self.tokens[at].kind in {"FROM", "JOIN"} and not self._is_comparison(at):
                source = self._source(at + 1)
                if source is not None:
                    found.append(source)
        return found

    def _source(self, at: int) -> tuple[str, _Query] | None:
        """The query that is read at a place, and how it is called."""
        if at >= len(self.tokens):
            return None
        token = self.tokens[at]
        if token.kind == "L_PAREN":
            close = _closing(self.tokens, at)
            query, name, at = _Query(self.tokens[at + 1 : close], self.ctes, self.above), "", close + 1
        else:
            name = fold(token.text)
            known = self.ctes.get(name)
            if known is None or name in self.above:  # a table, or the CTE itself, again
                return None
            query, at = known, at + 1
        if at < len(self.tokens) and self.tokens[at].kind == "ALIAS":
            at += 1
        if at < len(self.tokens) and self.tokens[at].kind in _NAMES:
            name = fold(self.tokens[at].text)
        return name, query


def _closing(tokens: list[_Token], at: int) -> int:
    """Where the bracket that opens at ``at`` is closed; the end where it is not."""
    depth = tokens[at].depth
    closing = (other for other in range(at + 1, len(tokens)) if tokens[other].depth <= depth)
    return next(closing, len(tokens))


def _name(words: list[_Token]) -> str | None:
    """How a column is called that is computed by these words, of which none is in brackets."""
    for at in range(len(words) - 2, 0, -1):
        if words[at].kind == "ALIAS":
            return words[at + 1].text
    dotted = 1  # a column, perhaps with its table's name, perhaps cast: `t.a::int`
    while dotted + 1 < len(words) and words[dotted].kind == "DOT":
        dotted += 2
    if dotted == len(words) or words[dotted].kind == "DCOLON":
        word = words[dotted - 1]
        is_name = word.kind in _NAMES or (word.kind not in _CONSTANTS and re.fullmatch(r"[^\W\d]\w*", word.text))
        return word.text if is_name else None
    last, before = words[-1], words[-2]
    return last.text if last.kind in _NAMES and before.kind in _VALUES else None
