"""Undocumented columns upstream that several gaps are copies of: described once there, all of them inherit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from osmosis_synthesize.engine.descriptions import Descriptions
from osmosis_synthesize.engine.gaps import gap_at
from osmosis_synthesize.engine.inherit import Nothing, Options, Texts, inherit
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.manifest.model import NodeLineage
from osmosis_synthesize.names import fold

MANY = 2
"""From how many gaps on a column upstream is worth a description of its own."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A gap upstream, and the gaps of a request that would inherit from it."""

    gap: Gap
    serves: tuple[Gap, ...]

    @property
    def saves(self) -> int:
        """How many descriptions fewer would have to be generated."""
        return len(self.serves) - 1


def shared_upstream(
    gaps: Sequence[Gap],
    *,
    descriptions: Descriptions,
    lineage: Mapping[str, NodeLineage],
    texts: Texts,
    editable: Collection[str],
    options: Options | None = None,
) -> tuple[Shared, ...]:
    """The columns upstream, not part of the request, that are worth being described first; most useful first.

    Args:
        gaps: the request.
        descriptions: where the columns upstream stand.
        lineage: by ``unique_id``.
        texts: what is described now; a gap that can inherit already needs no help.
        editable: the nodes whose schema files may be written.
        options: what is set for inheritance.
    """
    requested = {(gap.unique_id, fold(gap.column)) for gap in gaps if gap.column is not None}
    serves: dict[tuple[str, str], list[Gap]] = {}
    for gap in gaps:
        if gap.column is None:
            continue
        found = inherit(
            gap.unique_id, gap.column, graph=descriptions.index, lineage=lineage, texts=texts, options=options
        )
        if isinstance(found, Nothing) and (top := _top(gap.unique_id, gap.column, lineage, editable)) is not None:
            serves.setdefault(top, []).append(gap)
    shared: list[Shared] = []
    for (unique_id, column), served in serves.items():
        if len(served) < MANY or (unique_id, fold(column)) in requested:
            continue
        node = descriptions.index.nodes[unique_id]
        located = descriptions.locate(node)
        slot = located.slot(column) if located is not None else None
        if located is not None and slot is not None and slot.blocked_by is None:
            owner = located.item if located.item is not None and located.item.column(column) else located.entry
            shared.append(Shared(gap_at(slot, owner.key, unique_id, located.document, located.file), tuple(served)))
    return tuple(sorted(shared, key=lambda item: (-item.saves, item.gap.unique_id, item.gap.column or "")))


def _top(
    unique_id: str, column: str, lineage: Mapping[str, NodeLineage], editable: Collection[str]
) -> tuple[str, str] | None:
    """The farthest column in an editable file that this one is, unchanged but for its name; ``None`` if there is none."""
    top: tuple[str, str] | None = None
    seen: set[tuple[str, str]] = set()
    while (unique_id, fold(column)) not in seen:
        seen.add((unique_id, fold(column)))
        node = lineage.get(unique_id)
        traced = node.column(column) if node is not None else None
        if traced is None or traced.kind not in {"pass-through", "renamed"} or len(traced.sources) != 1:
            break
        unique_id, column = traced.sources[0]
        if unique_id in editable:
            top = unique_id, column
    return top
