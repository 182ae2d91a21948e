"""How nodes, entries and columns are called in every layer.

The lowest module of all: it imports nothing of ours, so that the manifest (dbt's side) and the documents
(YAML's side) can speak of the same thing without knowing each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

ResourceType = Literal["model", "seed", "snapshot", "source"]
"""The resource types whose descriptions we fill. A source here is one *table* of a dbt source."""

RESOURCE_TYPES: Final[tuple[ResourceType, ...]] = get_args(ResourceType)


@dataclass(frozen=True, slots=True)
class EntryKey:
    """Names one entry of a schema file: what a human would call it, before any manifest is consulted.

    ``source_name`` is set for source tables only. ``version`` is set only for what stands below one item
    of a model's ``versions:`` list; the model's own entry, which serves all versions, has ``version=None``.
    """

    resource_type: ResourceType
    name: str
    source_name: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        """As dbt users write it: ``orders``, ``orders.v2``, ``shop.raw_orders``."""
        stem = f"{self.source_name}.{self.name}" if self.source_name is not None else self.name
        return f"{stem}.v{self.version}" if self.version is not None else stem


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """One column of one node, by the manifest's ``unique_id`` and the column's name as its node spells it."""

    unique_id: str
    column: str

    def __str__(self) -> str:
        """Short form for people: ``stg_orders.order_id``, ``shop.raw_orders.id``, ``orders.v2.id``."""
        return f"{short_name(self.unique_id)}.{self.column}"


def short_name(unique_id: str) -> str:
    """The name people use for a node: ``model.jaffle.stg_orders`` gives ``stg_orders``.

    Sources keep the source's name (``source.jaffle.shop.raw_orders`` gives ``shop.raw_orders``) and versioned
    models keep the version (``model.jaffle.orders.v2`` gives ``orders.v2``).
    """
    parts = unique_id.split(".", 2)
    return parts[2] if len(parts) == 3 else unique_id


def fold(column: str, *, quoted: bool = False) -> str:
    """The form in which two column names are compared.

    Warehouses, YAML and catalogs disagree on case, so names are compared without it, except where the schema
    file says ``quote: true``.
    """
    return column if quoted else column.lower()
