"""What the project proves about one node: from tests, constraints, lineage, catalog. No prose, no guesses."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import Node, NodeLineage, Test
from osmosis_synthesize.names import fold, short_name
from osmosis_synthesize.providers.base import ColumnFacts, Subject


def subject_of(node: Node, asked: Collection[str | None], *, index: Index, lineage: NodeLineage | None) -> Subject:
    """The facts about ``node`` and all its known columns.

    Args:
        node: what it is about.
        asked: the columns (and ``None`` for the node) whose descriptions are wanted.
        index: the project.
        lineage: the node's, where it is known.
    """
    tests = [test for test in index.tests_of(node.unique_id) if test.proves]
    key = tuple(index.primary_key(node.unique_id))
    wanted = {fold(column) for column in asked if column is not None}
    return Subject(
        name=short_name(node.unique_id),
        kind=node.resource_type,
        asked=None in asked,
        columns=tuple(
            _column(name, data_type, key, tests, lineage, asked=fold(name) in wanted)
            for name, data_type in _columns(node, asked, index, lineage)
        ),
        sources=tuple(short_name(parent) for parent in index.parents(node.unique_id)),
        grain=key or _grain(tests, lineage),
        materialization=_text(node.config.get("materialized")),
        filters=lineage.filters if lineage is not None else (),
        group_by=lineage.group_by if lineage is not None else (),
    )


def _columns(
    node: Node, asked: Collection[str | None], index: Index, lineage: NodeLineage | None
) -> list[tuple[str, str | None]]:
    """All columns that the project knows of, with their types where they are known, in the warehouse's order.

    A column keeps the spelling of whoever asks for it, so that answers find their way back to the schema file.
    """
    known: dict[str, tuple[str, str | None]] = {}
    for column in index.columns(node.unique_id):
        known[fold(column.name)] = column.name, column.data_type
    for traced in lineage.columns if lineage is not None else ():
        known.setdefault(fold(traced.name), (traced.name, None))
    for name in asked:
        if name is not None:
            data_type = known[fold(name)][1] if fold(name) in known else None
            known[fold(name)] = name, data_type
    return list(known.values())


def _column(
    name: str,
    data_type: str | None,
    key: Sequence[str],
    tests: Sequence[Test],
    lineage: NodeLineage | None,
    *,
    asked: bool,
) -> ColumnFacts:
    own = [test for test in tests if test.column is not None and fold(test.column) == fold(name)]
    builtin = {test.name for test in own if test.namespace is None}
    traced = lineage.column(name) if lineage is not None else None
    return ColumnFacts(
        name=name,
        asked=asked,
        data_type=data_type,
        kind=traced.kind if traced is not None else "unknown",
        sources=tuple((short_name(unique_id), column) for unique_id, column in traced.sources)
        if traced is not None
        else (),
        expression=traced.expression if traced is not None else None,
        unique="unique" in builtin,
        not_null="not_null" in builtin,
        primary_key=[fold(column) for column in key] == [fold(name)],
        references=_reference(own),
        accepted_values=_accepted(own),
    )


def _reference(tests: Sequence[Test]) -> tuple[str, str] | None:
    for test in tests:
        if test.name == "relationships" and test.namespace is None and test.refers_to:
            field = _text(test.arguments.get("field"))
            if field is not None:
                return short_name(test.refers_to[0]), field
    return None


def _accepted(tests: Sequence[Test]) -> tuple[str, ...]:
    for test in tests:
        values: object = test.arguments.get("values")
        if test.name == "accepted_values" and test.namespace is None and isinstance(values, (list, tuple)):
            return tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # JSON
    return ()


def _grain(tests: Sequence[Test], lineage: NodeLineage | None) -> tuple[str, ...]:
    """The columns that are unique together: by a test that says so, or because the query groups by them."""
    for test in tests:
        if test.name == "unique_combination_of_columns":
            columns: object = test.arguments.get("combination_of_columns")
            if isinstance(columns, (list, tuple)):
                return tuple(str(column) for column in columns)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # JSON
    if lineage is None or not lineage.group_by:
        return ()
    return lineage.group_by if all(_is_grouped_by(name, lineage) for name in lineage.group_by) else ()


def _is_grouped_by(name: str, lineage: NodeLineage) -> bool:
    """Whether ``group by name`` surely means the output column of that name.

    In ``select lower(status) as status … group by status`` it means the input column: several rows may end up with the
    same output.
    """
    output = lineage.column(name)
    if output is None:
        return False
    changed = output.kind not in {"pass-through", "renamed"}
    return not (changed and any(fold(column) == fold(name) for _, column in output.sources))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


MADE_OF: Final = 2
"""How much an upstream column matters that an asked column is made of."""


def upstream_relevance(asked: Collection[str | None], lineage: NodeLineage | None) -> Mapping[tuple[str, str], int]:
    """How much upstream columns matter for what is asked: 1 if only another column of the node is made of one."""
    relevance: dict[tuple[str, str], int] = {}
    wanted = {fold(column) for column in asked if column is not None}
    for traced in lineage.columns if lineage is not None else ():
        weight = MADE_OF if fold(traced.name) in wanted else 1
        for unique_id, column in traced.sources:
            place = unique_id, fold(column)
            relevance[place] = max(weight, relevance.get(place, 0))
    return relevance
