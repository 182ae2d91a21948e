"""What a column holds, and how columns combine. Pure values: nothing here knows SQL's syntax.

A :class:`Value` says what one column is made of, seen from the model's parents. A :class:`Relation` is anything that
stands in a ``from``: a parent, a CTE, a subquery, an unnested array. Where its columns are not all known it is *open*:
a name it does not list may still be one of its columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from osmosis_synthesize.names import fold

Source = tuple[str, str]
"""``unique_id`` of a parent, and its column."""

Touch = Literal["copy", "cast", "derived", "unknown"]
"""How far a value is from its sources; ``copy`` is an untouched column under whatever name."""


class Formula(NamedTuple):
    """An expression, and what each column it names holds: enough to write it down in terms of the parents."""

    expression: Any
    """A sqlglot expression."""
    columns: tuple[tuple[Any, Value], ...]
    """(sqlglot ``Column`` node, its value) for each column reference in the expression."""


class Value(NamedTuple):
    """What one column is made of."""

    touch: Touch
    sources: tuple[Source, ...] = ()
    note: str | None = None
    formulas: tuple[Formula, ...] = ()
    """How it is computed: none for a plain column of a parent, several for a union's branches."""
    is_null: bool = False
    """A literal ``null``, cast or not: what fills up the columns that a union's branch lacks."""


UNKNOWN: Final = Value("unknown")
AMBIGUOUS: Final = Value("unknown", note="ambiguous")
FROM_JINJA: Final = Value("unknown", note="unresolved")
"""What Jinja makes that nobody could resolve."""


class Output(NamedTuple):
    """One column of a relation. ``key`` is what references are compared by: see :meth:`Relation.known`."""

    name: str
    key: str
    value: Value


class Behind(NamedTuple):
    """An open relation that stands behind a star: the columns nobody could list still come through it."""

    relation: Relation
    excluded: frozenset[str]


class Relation:
    """The columns of one thing in a ``from``. Not changed once it is built."""

    __slots__ = ("_by_fold", "_by_key", "behind", "beyond_value", "columns", "open_at", "unique_id")

    def __init__(
        self,
        columns: Iterable[Output],
        *,
        open_at: int | None = None,
        unique_id: str | None = None,
        beyond_value: Value | None = None,
        behind: tuple[Behind, ...] = (),
    ) -> None:
        self.columns: Final = tuple(columns)
        self.open_at: Final = open_at
        """Before which of ``columns`` the first ones that could not be listed stand; ``None``: all are listed."""
        self.unique_id: Final = unique_id
        """The parent it is; columns that are not listed are taken to be this parent's own."""
        self.beyond_value: Final = beyond_value
        """What every column that is not listed holds: an unnested array makes them all."""
        self.behind: Final = behind
        self._by_key: dict[str, Value] | None = None
        self._by_fold: dict[str, Value] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may have columns that are not listed."""
        return self.open_at is not None

    def known(self, key: str) -> Value | None:
        """A listed column. Exactly as quoted if there is one, else without case if that leaves one."""
        if self._by_key is None:
            self._by_key = _unique((output.key, output.value) for output in self.columns)
        value = self._by_key.get(key)
        if value is not None:
            return value
        if self._by_fold is None:
            self._by_fold = _unique((fold(output.name), output.value) for output in self.columns)
        return self._by_fold.get(fold(key.strip('"')))

    def beyond(self, key: str, name: str) -> Value:
        """What a column holds that is not listed, given that it exists."""
        if self.beyond_value is not None:
            return self.beyond_value
        if self.unique_id is not None:
            return Value("copy", ((self.unique_id, name),))
        candidates = [behind.relation for behind in self.behind if key not in behind.excluded]
        return candidates[0].beyond(key, name) if len(candidates) == 1 else UNKNOWN

    def find(self, key: str, name: str) -> Value | None:
        """A column, listed or not; ``None`` where there cannot be one of this name."""
        found = self.known(key)
        return self.beyond(key, name) if found is None and self.is_open else found

    def renamed(self, names: Sequence[tuple[str, str]]) -> Relation:
        """The same relation under a column alias list of (name, key): ``t (a, b)``."""
        if not names:
            return self
        safe = len(self.columns) if self.open_at is None else self.open_at
        outputs = [
            Output(name, key, self.columns[at].value if at < safe else self.beyond_value or UNKNOWN)
            for at, (name, key) in enumerate(names)
        ]
        if self.is_open:
            return Relation(outputs, open_at=len(outputs), beyond_value=self.beyond_value or UNKNOWN)
        return Relation([*outputs, *self.columns[len(outputs) :]])


def _unique(pairs: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """A lookup in which a name that two columns share stands for neither, unless they hold the same."""
    found: dict[str, Value] = {}
    for key, value in pairs:
        other = found.setdefault(key, value)
        if other is not value and not _same(other, value):
            found[key] = AMBIGUOUS
    return found


def _same(one: Value, other: Value) -> bool:
    return one.touch == other.touch == "copy" and one.sources == other.sources


def merge_sources(values: Iterable[Value]) -> tuple[Source, ...]:
    """All sources of ``values`` in order, each once (columns compared without case)."""
    merged: dict[Source, Source] = {}
    for value in values:
        for source in value.sources:
            merged.setdefault((source[0], fold(source[1])), source)
    return tuple(merged.values())


def combine_branches(values: Sequence[Value], *, own_id: str) -> Value:
    """What a column of a union holds, given what it holds in each branch.

    Branches agree when each is an untouched column, or a cast one. A branch that is ``null`` adds no meaning, nor
    does one that reads the model's own earlier rows; both are left out, unless nothing else is there.
    """
    if len(values) == 1:
        return values[0]
    telling = [value for value in values if not value.is_null and not _is_own(value, own_id)] or [values[0]]
    if len(telling) == 1:
        return telling[0]._replace(note=telling[0].note or "union", is_null=False)
    touches = {value.touch for value in telling}
    sources = merge_sources(telling)
    if "unknown" in touches:
        return Value("unknown", sources, "union")
    formulas = tuple(formula for value in telling for formula in value.formulas)
    if touches <= {"copy", "cast"}:
        return Value("cast" if "cast" in touches else "copy", sources, "union", telling[0].formulas)
    # A branch without a formula (a plain column) cannot have the expression that another one has.
    return Value("derived", sources, "mixed union", formulas if all(value.formulas for value in telling) else ())


def _is_own(value: Value, own_id: str) -> bool:
    return bool(value.sources) and all(unique_id == own_id for unique_id, _ in value.sources)
