"""An index in which what was read in the project's files stands before what the manifest says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from msgspec import Raw
from msgspec.structs import replace as replace_fields

from osmosis_synthesize.manifest.catalog import Catalog
from osmosis_synthesize.manifest.decode import Bodies, Body, Card
from osmosis_synthesize.manifest.index import Contents, Index, Made
from osmosis_synthesize.manifest.model import Metadata, Node

_NOTHING: Final = Raw(b"{}")


def empty(path: Path, *, project_name: str, adapter_type: str, catalog: Catalog | None = None) -> Index:
    """The index of a project that has no manifest: nothing is in it yet.

    Args:
        path: where the manifest would be.
        project_name: of ``dbt_project.yml``.
        adapter_type: empty if nobody knows.
        catalog: of the warehouse, which is there without a manifest too.
    """
    metadata = Metadata(
        schema_version=0, dbt_version="", adapter_type=adapter_type, project_name=project_name, generated_at=""
    )
    return Index(
        Contents(
            path=path,
            metadata=metadata,
            warnings=(),
            nodes=(),
            node_bodies=(),
            tests=(),
            test_bodies=(),
            docs=_NOTHING,
            macros=_NOTHING,
            catalog=catalog,
        )
    )


def with_metadata(index: Index, *, project_name: str, adapter_type: str) -> Index:
    """The same index of a project of another name, or of another kind of warehouse."""
    metadata = replace_fields(index.metadata, project_name=project_name, adapter_type=adapter_type)
    return Index(replace(index.contents, metadata=metadata))


def overlaid(index: Index, made: Made, *, gone: Collection[str] = ()) -> Index:
    """An index like any other, of the same manifest.

    Args:
        index: what was known before; it stays as it is.
        made: what was read since.
        gone: the nodes that are no more, by ``unique_id``.
    """
    old = index.contents
    kept = {card.unique_id: at for at, card in enumerate(old.nodes) if card.unique_id not in gone}
    added = {unique_id: card_of(node) for unique_id, node in made.nodes.items()}
    cards = {unique_id: old.nodes[at] for unique_id, at in kept.items()} | added
    order = sorted(cards)
    lost = frozenset(gone).difference(added)
    nodes = tuple(
        card if lost.isdisjoint(card.parents) else replace_fields(card, parents=_without(card.parents, lost))
        for card in (cards[unique_id] for unique_id in order)
    )
    before = {
        unique_id: replace_fields(node, depends_on=_without(node.depends_on, lost))
        for unique_id, node in old.made.nodes.items()
        if unique_id not in lost
    }
    return Index(
        replace(
            old,
            nodes=nodes,
            node_bodies=_Picked(old.node_bodies, [kept.get(unique_id, -1) for unique_id in order]),
            made=Made(
                {**before, **made.nodes},
                {**old.made.tests, **made.tests},
                {
                    **{
                        key: block
                        for key, block in old.made.docs.items()
                        if (block.package_name, block.path) not in made.doc_files
                    },
                    **made.docs,
                },
                old.made.doc_files | made.doc_files,
                {**old.made.macros, **made.macros},
                old.made.disabled.difference(made.nodes) | made.disabled,
            ),
        )
    )


def card_of(node: Node) -> Card:
    """What is needed of a node to find it and to walk the graph."""
    return Card(
        node.unique_id,
        node.resource_type,
        node.name,
        node.package_name,
        node.path,
        node.schema_path,
        node.schema_package,
        node.source_name,
        node.version,
        node.depends_on,
    )


def _without(parents: tuple[str, ...], gone: frozenset[str]) -> tuple[str, ...]:
    """The parents that are still there."""
    return parents if gone.isdisjoint(parents) else tuple(parent for parent in parents if parent not in gone)


class _Picked:
    """Some of the bodies of another index, in another order. What was made here has none (-1)."""

    def __init__(self, bodies: Bodies, at: list[int]) -> None:
        self._bodies = bodies
        self._at = at

    def __getitem__(self, at: int, /) -> Body:
        return self._bodies[self._at[at]]
