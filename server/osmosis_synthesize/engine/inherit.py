"""What can be known of a column without asking anyone: the text of the column it is made of.

Lineage decides where it is known; the graph and the column's name decide where it is not. A text is inherited only if
there is no doubt which one; otherwise the candidates are handed on as alternatives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from osmosis_synthesize.engine.compare import plain
from osmosis_synthesize.engine.model import Alternative, How, Upstream
from osmosis_synthesize.engine.osmosis_options import NOTHING_SET, ColumnOptions
from osmosis_synthesize.manifest.model import ColumnLineage, NodeLineage
from osmosis_synthesize.names import fold


class Graph(Protocol):
    """The part of the index that inheritance walks."""

    def parents(self, unique_id: str, /) -> Sequence[str]:
        """The nodes a node is built from."""
        ...

    def primary_key(self, unique_id: str, /) -> Sequence[str]:
        """The columns that tell a node's rows apart, as far as the project says so."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A description that stands somewhere; ``text=None`` means that this run is going to generate it."""

    text: str | None


class Texts(Protocol):
    """The descriptions there are now: the project's own, and those this run has filled so far."""

    def known(self, unique_id: str, column: str, /) -> Known | None:
        """The description of a column; ``None`` where it has a gap or no such column."""
        ...


class Options(Protocol):
    """What the project's people have set for inheritance."""

    def of(self, unique_id: str, column: str, /) -> ColumnOptions:
        """For one column."""
        ...


@dataclass(frozen=True, slots=True)
class Inheritable:
    """One text, without doubt. ``text=None``: it will be inherited once it is generated."""

    text: str | None
    upstream: Upstream
    depth: int
    """How many steps upstream it stands; a parent's column is one step away."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Several texts, or one that need not hold for this column."""

    reason: str
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Nothing:
    """No text upstream."""

    reason: str


Inheritance = Inheritable | Doubtful | Nothing

# From the surest to the least sure; a path is as sure as its weakest step.
_SURENESS: Final[tuple[How, ...]] = ("pass-through", "renamed", "cast", "union", "same name", "doc block")

# Words by which a text speaks of how a value is stored. After a cast it may be wrong.
_STORAGE: Final = re.compile(
    r"\b(?:var)?char\b|\bstrings?\b|\bas text\b|\btext (?:field|column|value)\b|\bint(?:eger)?s?\b|\bbigint\b|\bnumeric\b"
    r"|\bdecimals?\b|\bfloat(?:ing)?\b|\bbool(?:ean)?\b|\btrue\b|\bfalse\b|\btimestamp(?:tz|_ntz|_ltz)?\b|\bdate ?time\b|\bepoch\b|\bunix\b"
    r"|\bjson\b|\biso[- ]?8601\b|\bformat(?:ted|s)?\b|\bencoded\b|\bseriali[sz]ed\b|\bdata type\b|\btyped\b|\bstored as\b"
    r"|\b[yY]{2,4}[-/.]?[mM]{2}\b|\b(?:nano|micro|milli)?seconds since\b|\btime ?zone\b|\butc\b",
    re.IGNORECASE,
)

# Casts that drop a part of the value, and words by which a text speaks of that part.
_LOSSY: Final = (
    (
        re.compile(r"\bas date\b|:: ?date\b|\b(?:to_|try_to_)?date\(", re.IGNORECASE),
        re.compile(r"\btimes?\b|\bmoment\b|\bhours?\b|\bminutes?\b|\bseconds?\b", re.IGNORECASE),
    ),
    (
        re.compile(r"(?:\bas|::) ?(?:big|small|tiny)?int(?:eger|\d+)?\b", re.IGNORECASE),
        re.compile(r"\bcents?\b|\bdecimals?\b|\bfractions?\b|\bpercent\w*|\bratio\b|%", re.IGNORECASE),
    ),
)

# Words by which a text says that a column tells its own table's rows apart, without a name for what they are: not "primary
# key of the customers" but "primary key", "ID in this table".
_OWN_KEY: Final = re.compile(
    r"\b(?:primary|surrogate|unique) key\b(?! (?:of|for|to|in|from|representing|identifying|that|which) (?!this\b|the table))"
    r"|\b(?:keys?|ids?|identif\w+|unique\w*)\b[^.]*\bthis (?:\w+ ){0,2}(?:table|model|row|record|view|dataset)\b",
    re.IGNORECASE,
)

# What dbt compiles a helper macro to that finds no table in the warehouse: nothing is known of such a column.
_NULL: Final = re.compile(r"(?:\w+\()?null(?: as [^()]+(?:\([\d, ]+\))?\)|\)?::[\w ]+)?", re.IGNORECASE)


def inherit(
    unique_id: str,
    column: str,
    *,
    graph: Graph,
    lineage: Mapping[str, NodeLineage],
    texts: Texts,
    options: Options | None = None,
) -> Inheritance:
    """Find the text that a column inherits.

    The column's own text is not looked at: whoever asks has found a gap there.

    Args:
        unique_id: the node with the gap.
        column: the column's name, as the schema file spells it.
        graph: who is built from whom.
        lineage: what is known of it, by ``unique_id``; nodes that are not in it are matched by name.
        texts: the descriptions there are.
        options: what the project's people have set; nothing if not given.
    """
    own = options.of(unique_id, column) if options is not None else NOTHING_SET
    if own.skip_inherit:
        return Nothing("skip-inherit-descriptions is set for it")
    search = _Search(graph, lineage, texts, options)
    found = search.of(unique_id, column)
    if own.progenitor is not None:
        found = search.of_progenitor(unique_id, column, own.progenitor) or found
    if own.force_inherit and isinstance(found, Doubtful) and len(found.alternatives) == 1:
        (only,) = found.alternatives
        return Inheritable(only.text, only.upstream, 1)
    return found


class _Search:
    """One question. Holds what it has found, so that diamonds in the graph are walked once."""

    def __init__(
        self, graph: Graph, lineage: Mapping[str, NodeLineage], texts: Texts, options: Options | None
    ) -> None:
        self.graph = graph
        self.lineage = lineage
        self.texts = texts
        self.options = options
        self.found: dict[tuple[str, str], Inheritance] = {}

    def of(self, unique_id: str, column: str) -> Inheritance:
        """What a column inherits; its sources are answered first, without recursion, for a graph may be deep."""
        stack = [(unique_id, column)]
        entered: set[tuple[str, str]] = set()
        while stack:
            place = _place(*stack[-1])
            if place in self.found:
                stack.pop()
            elif place not in entered:
                entered.add(place)
                stack += [source for source in self._sources(*stack[-1]) if _place(*source) not in entered]
            else:
                self.found[place] = self._search(*stack.pop())
        return self.found[_place(unique_id, column)]

    def _sources(self, unique_id: str, column: str) -> list[tuple[str, str]]:
        """The columns that have no text of their own, and whose inheritance decides on this one's."""
        traced = self._traced(unique_id, column)
        if isinstance(traced, Nothing):
            return []
        if traced is None:
            names = self._names(unique_id, column)
            sources = [(parent, name) for parent in self.graph.parents(unique_id) for name in names]
        else:
            sources = list(traced.sources) if _passes_on(traced) else []
        return [source for source in sources if self.texts.known(*source) is None]

    def _search(self, unique_id: str, column: str) -> Inheritance:
        traced = self._traced(unique_id, column)
        if isinstance(traced, Nothing):
            return traced
        found = self._by_lineage(traced) if traced is not None else self._by_name(unique_id, column)
        if isinstance(found, Inheritable) and self._is_of_another_key(unique_id, column, found.text):
            reason = f"the text of {found.upstream.label} speaks of its own table's key, and this may be another one"
            assert found.text is not None
            return Doubtful(reason, (Alternative(found.text, found.upstream),))
        return found

    def _is_of_another_key(self, unique_id: str, column: str, text: str | None) -> bool:
        """Whether a text speaks of a key, and nothing says that this column is the key of the result.

        That is so where tables are joined: several of them, or one with itself, which then gives one column twice.
        """
        if not text or not _OWN_KEY.search(text) or fold(column) in map(fold, self.graph.primary_key(unique_id)):
            return False
        parents = [parent for parent in self.graph.parents(unique_id) if parent != unique_id]
        return len(parents) > 1 or self._is_taken_twice(unique_id, column)

    def _is_taken_twice(self, unique_id: str, column: str) -> bool:
        """Whether another column of the node is a copy of the very same one."""
        node = self.lineage.get(unique_id)
        own = node.column(column) if node is not None else None
        if node is None or own is None or not own.sources:
            return False
        return any(other is not own and other.sources == own.sources and _passes_on(other) for other in node.columns)

    def _traced(self, unique_id: str, column: str) -> ColumnLineage | Nothing | None:
        """The column's lineage; ``None`` where only its name is known."""
        node = self.lineage.get(unique_id)
        known = node.column(column) if node is not None else None
        if known is not None and not _is_unknown(known):
            return known
        if known is not None and known.note == "unresolved":
            return Nothing("it is made by Jinja that could not be resolved; `dbt compile` would tell")
        if node is not None and node.problem is None and node.complete and known is None:
            return Nothing("its SQL does not return this column")
        return None

    def _by_lineage(self, column: ColumnLineage) -> Inheritance:
        if not column.sources:
            return Nothing("it is not made of any upstream column")
        if not _passes_on(column):
            return Nothing(f"it is computed: {column.expression}" if column.expression else "it is computed")
        steps = [self._step(source, name, _how(column)) for source, name in column.sources]
        merged = _agreeing(steps, "union" if len(steps) > 1 else _how(column))
        if (
            isinstance(merged, Inheritable)
            and column.kind == "cast"
            and _speaks_of_type(merged.text, column.expression)
        ):
            assert merged.text is not None
            return Doubtful(
                f"it is a cast of {merged.upstream.label}, whose text speaks of its type or format",
                (Alternative(merged.text, merged.upstream),),
            )
        return merged

    def _step(self, unique_id: str, name: str, how: How) -> Inheritance:
        """What one upstream column offers: its own text, or what it inherits itself."""
        known = self.texts.known(unique_id, name)
        if known is not None:
            return Inheritable(known.text, Upstream(unique_id, name, how), 1)
        # A source that is not answered by now is made of this very column.
        return _through(self.found.get(_place(unique_id, name), Nothing("it is made of itself")), how)

    def _by_name(self, unique_id: str, column: str) -> Inheritance:
        """All that is known is that a parent has a column of that name: the nearest documented ones must agree."""
        hits: list[Inheritable] = []
        doubts: list[Doubtful] = []
        names = self._names(unique_id, column)
        for parent in self.graph.parents(unique_id):
            steps = [self._step(parent, name, "same name") for name in names]
            hits += [step for step in steps if isinstance(step, Inheritable)][:1]
            doubts += [step for step in steps if isinstance(step, Doubtful)]
        if not hits:
            return doubts[0] if doubts else Nothing("no upstream column of that name has a description")
        nearest = min(hit.depth for hit in hits)
        return _agreeing([hit for hit in hits if hit.depth == nearest], "same name")

    def _names(self, unique_id: str, column: str) -> tuple[str, ...]:
        """What a parent may call a column that is known by name only, likeliest first.

        Case never matters. Quotes around a name do not, nor does ``orderId`` against ``order_id``, nor the prefix that
        the node is said to put before its parents' names.
        """
        bare = column.strip('"`[]')
        prefix = self.options.of(unique_id, column).prefix if self.options is not None else ""
        without = bare[len(prefix) :] if prefix and fold(bare).startswith(fold(prefix)) else bare
        names: dict[str, str] = {}
        for name in (column, bare, without, bare.replace("_", "")):
            if name:
                names.setdefault(fold(name), name)
        return tuple(names.values())

    def of_progenitor(self, unique_id: str, column: str, ancestor: str) -> Inheritable | None:
        """What a column inherits from one ancestor that was chosen for it, if it comes from there by lineage or name."""
        ends: dict[str, tuple[str, How]] = {}
        stack = [_Reached(unique_id, column, "pass-through")]
        seen: set[tuple[str, str]] = set()
        while stack:
            node, name, how = stack.pop()
            if _place(node, name) in seen:
                continue
            seen.add(_place(node, name))
            if node == ancestor:
                ends.setdefault(fold(name), (name, how))
                continue
            traced = self._traced(node, name)
            if traced is None:
                for parent in self.graph.parents(node):
                    stack += [_Reached(parent, other, "same name") for other in self._names(node, name)]
            elif not isinstance(traced, Nothing) and _passes_on(traced):
                stack += [_Reached(source, other, _weaker(how, _how(traced))) for source, other in traced.sources]
        found: list[Inheritable] = []
        for name, how in ends.values():
            self.of(ancestor, name)
            step = self._step(ancestor, name, how)
            found += [step] if isinstance(step, Inheritable) else []
        return found[0] if len(found) == 1 else None


class _Reached(NamedTuple):
    """A column upstream, and how it belongs to the one that was asked about."""

    unique_id: str
    column: str
    how: How


def _place(unique_id: str, column: str) -> tuple[str, str]:
    return unique_id, fold(column)


def _is_unknown(column: ColumnLineage) -> bool:
    """Whether lineage says nothing of what a column holds."""
    null = column.expression is not None and _NULL.fullmatch(column.expression)
    return column.kind == "unknown" or bool(null)


def _passes_on(column: ColumnLineage) -> bool:
    """Whether a column's values are those of its sources, so that their meaning may be its own."""
    return column.kind != "derived" or column.note in {"union", "coalesce"}


def _speaks_of_type(text: str | None, cast: str | None) -> bool:
    """Whether a text says something that need not hold after a cast."""
    if not text:
        return False
    return _STORAGE.search(text) is not None or any(
        cast is not None and lossy.search(cast) and words.search(text) for lossy, words in _LOSSY
    )


def _how(column: ColumnLineage) -> How:
    return column.kind if column.kind in ("pass-through", "renamed", "cast") else "union"


def _weaker(one: How, other: How) -> How:
    return _SURENESS[max(_SURENESS.index(one), _SURENESS.index(other))]


def _through(found: Inheritance, how: How) -> Inheritance:
    """The same finding, seen from one step further down."""
    if not isinstance(found, Inheritable):
        return found
    weakest = _weaker(found.upstream.how, how)
    return Inheritable(
        found.text, Upstream(found.upstream.unique_id, found.upstream.column, weakest), found.depth + 1
    )


def _agreeing(steps: Sequence[Inheritance], how: How) -> Inheritance:
    """One finding of several, if they all say the same; ``how`` is then how it was found if there were several."""
    hits = [step for step in steps if isinstance(step, Inheritable)]
    if len(steps) == 1:
        return steps[0]
    if len(hits) == len(steps) and _say_the_same(hits):
        first = min(hits, key=lambda hit: hit.depth)
        upstream = Upstream(first.upstream.unique_id, first.upstream.column, _weaker(first.upstream.how, how))
        return Inheritable(first.text, upstream, first.depth)
    alternatives = [Alternative(hit.text, hit.upstream) for hit in hits if hit.text is not None]
    alternatives += [other for step in steps if isinstance(step, Doubtful) for other in step.alternatives]
    if not alternatives:
        return Nothing("none of the columns it is made of has a description")
    reason = "it is made of several columns whose descriptions differ"
    if len({alternative.text for alternative in alternatives}) == 1:
        reason = "it is made of several columns, and not all of them are described"
    return Doubtful(reason, tuple(dict.fromkeys(alternatives)))


def _say_the_same(hits: Sequence[Inheritable]) -> bool:
    if any(hit.text is None for hit in hits):
        # Texts still to come are only sure to be the same if they are one and the same text.
        return len({(hit.upstream.unique_id, hit.upstream.column, hit.text) for hit in hits}) == 1
    return len({plain(hit.text or "") for hit in hits}) == 1
