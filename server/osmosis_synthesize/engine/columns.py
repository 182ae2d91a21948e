"""Columns that a node has and its entry lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osmosis_synthesize.document.model import Document, Entry
from osmosis_synthesize.engine.model import Addition, Gap
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import Node, NodeLineage
from osmosis_synthesize.names import EntryKey, fold


@dataclass(frozen=True, slots=True)
class Place:
    """Where the columns of a node would be added: an entry, or (``entry=None``) one that is still to be made."""

    key: EntryKey
    file: Path
    document: Document | None = None
    entry: Entry | None = None
    item: Entry | None = None
    """For one version of a model, its item of ``versions:``."""


def missing_columns(
    nodes: Sequence[Node], place: Place, *, index: Index, lineage: Mapping[str, NodeLineage]
) -> tuple[Gap, ...]:
    """The columns that the entry of ``nodes`` lacks, as gaps that bring their own entries, in the node's order.

    What columns a node has is known from the catalog, or from lineage where every star in its SQL could be expanded.
    Where several versions of a model share the entry, only what all of them have is added.

    Args:
        nodes: the node, or all versions of a model.
        place: their entry.
        index: the project.
        lineage: by ``unique_id``.
    """
    known = [_columns_of(node, index, lineage) for node in nodes]
    if not known or any(not columns for columns in known):
        return ()
    listed = place.entry.columns if place.entry is not None else ()
    if place.item is not None:
        listed = (*listed, *place.item.columns)
    if {slot.column for slot in listed}.issuperset([name for name, _ in known[-1]]):
        return ()  # the usual case, told at once
    everywhere = {fold(name) for name, _ in known[0]}
    for columns in known[1:]:
        everywhere &= {fold(name) for name, _ in columns}
    there = {fold(slot.column): slot.column for slot in listed if slot.column is not None}
    typed = place.entry is not None and _lists_types(place.entry)
    line = 1
    if place.entry is not None and place.document is not None:
        line = place.document.lines.line_of(place.entry.name_span.start) + 1
    gaps: list[Gap] = []
    after: str | None = None
    for name, data_type in known[-1]:
        if fold(name) in there:
            after = there[fold(name)]
        elif fold(name) in everywhere:
            addition = Addition(after, data_type if typed else None)
            gaps.append(Gap(nodes[-1].unique_id, name, place.key, place.file, line, 1, None, addition))
    return tuple(gaps)


def _columns_of(node: Node, index: Index, lineage: Mapping[str, NodeLineage]) -> list[tuple[str, str | None]]:
    """Names and types of all columns of a node, in its order; empty where they are not all known."""
    catalog = index.contents.catalog
    in_warehouse = catalog.columns(node.unique_id) if catalog is not None else ()
    if in_warehouse:
        return [(column.name, column.data_type) for column in in_warehouse]
    traced = lineage.get(node.unique_id)
    if traced is None or traced.problem is not None or not traced.complete:
        return []
    return [(column.name, None) for column in traced.columns]


def _lists_types(entry: Entry) -> bool:
    """Whether the entry's columns say their types, so that a new one should too."""
    columns: object = entry.data.get("columns")
    if not isinstance(columns, Sequence) or not columns:
        return False
    typed = [column for column in columns if isinstance(column, Mapping) and "data_type" in column]  # pyright: ignore[reportUnknownVariableType]  # YAML
    return 2 * len(typed) > len(columns)  # pyright: ignore[reportUnknownArgumentType]  # YAML
