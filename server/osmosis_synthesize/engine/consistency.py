"""Columns that are copies of one another, and whose descriptions nevertheless differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osmosis_synthesize.engine.compare import plain
from osmosis_synthesize.engine.descriptions import Descriptions, Owner
from osmosis_synthesize.manifest.model import NodeLineage
from osmosis_synthesize.names import ColumnRef, fold

_DOC: Final = re.compile(r"\{\{-?\s*doc\(.*?\)\s*-?\}\}", re.DOTALL)
_WORD_END: Final = re.compile(r"\W|\Z")


@dataclass(frozen=True, slots=True)
class Described:
    """A column with its description, and where that stands."""

    column: ColumnRef
    text: str
    file: Path | None
    """``None`` for a node whose schema file is not the project's."""
    line: int = 0
    """From 1."""
    character: int = 0
    """From 1, in code points."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two columns of one lineage chain that are said to be different things."""

    column: Described
    upstream: Described


def differences(
    unique_ids: Iterable[str], *, descriptions: Descriptions, lineage: Mapping[str, NodeLineage]
) -> Iterator[Difference]:
    """Compare each described column of some nodes with the nearest described column that it is a copy of.

    Only steps that pass a column on or rename it make a chain, each from one column: casts may say something of their
    own, and a union of several columns is more than each of them. Of a text that describes several versions of a model
    the first one that has an upstream text is compared.

    Args:
        unique_ids: the nodes to check.
        descriptions: of the project.
        lineage: by ``unique_id``.
    """
    compared: set[Owner] = set()
    for unique_id in unique_ids:
        node = descriptions.index.nodes[unique_id]
        for column in node.columns:
            owner = descriptions.owner(unique_id, column.name)
            text = descriptions.text(unique_id, column.name)
            if text is None or owner in compared:
                continue
            upstream = _nearest(ColumnRef(unique_id, column.name), descriptions, lineage)
            if upstream is None:
                continue
            compared.add(owner)
            if not agree(text, upstream[1], descriptions):
                own = _described(ColumnRef(unique_id, column.name), text, descriptions)
                yield Difference(own, _described(*upstream, descriptions))


def agree(text: str, upstream: str, descriptions: Descriptions) -> bool:
    """Whether a column's text says nothing else than that of the column it is a copy of.

    Case, white space and final punctuation make no difference. A text may go on where the upstream one ends; and where
    both refer to the same doc block, it is the block that says what the column is.
    """
    own = descriptions.index.metadata.project_name
    one, other = plain(descriptions.rendered(text, own)), plain(descriptions.rendered(upstream, own))
    if one.startswith(other) and _WORD_END.match(one, len(other)):
        return True
    return not _blocks(text).isdisjoint(_blocks(upstream))


def _blocks(text: str) -> frozenset[str]:
    return frozenset("".join(reference.split()).replace('"', "'") for reference in _DOC.findall(text))


def _nearest(
    column: ColumnRef, descriptions: Descriptions, lineage: Mapping[str, NodeLineage]
) -> tuple[ColumnRef, str] | None:
    """The nearest upstream column of the same chain that is described, and its text."""
    own = descriptions.owner(column.unique_id, column.column)
    seen = {(column.unique_id, fold(column.column))}
    while True:
        node = lineage.get(column.unique_id)
        traced = node.column(column.column) if node is not None else None
        if traced is None or traced.kind not in {"pass-through", "renamed"} or len(traced.sources) != 1:
            return None
        column = ColumnRef(*traced.sources[0])
        place = column.unique_id, fold(column.column)
        if place in seen or column.unique_id not in descriptions.index.nodes:
            return None
        seen.add(place)
        text = descriptions.text(column.unique_id, column.column)
        # Versions of a model may share a text.
        if text is not None and descriptions.owner(column.unique_id, column.column) != own:
            return column, text


def _described(column: ColumnRef, text: str, descriptions: Descriptions) -> Described:
    located = descriptions.locate(descriptions.index.nodes[column.unique_id])
    slot = located.slot(column.column) if located is not None else None
    if located is None or slot is None:
        return Described(column, text, None)
    place = located.document.lines.position(slot.span.start, "utf-32")
    return Described(column, text, located.file, place.line + 1, place.character + 1)
