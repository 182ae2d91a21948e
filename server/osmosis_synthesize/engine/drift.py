"""Which of what a text was made from has changed since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from osmosis_synthesize.engine.made_from import MadeFrom
from osmosis_synthesize.engine.provenance import Record
from osmosis_synthesize.names import short_name

Part = Literal["expression", "rows", "sql", "upstream"]
"""``expression``: what the column is computed with. ``rows``: which rows the node has. ``sql``: its SQL, where it cannot
be told which columns that changes. ``upstream``: the text of a column, or of a node, that it is made of."""


@dataclass(frozen=True, slots=True)
class Change:
    """One part that has changed."""

    part: Part
    upstream: str | None = None
    """Whose text it is, as people name it: ``stg_orders.amount``."""


def changes(record: Record, unique_id: str, now: MadeFrom) -> tuple[Change, ...]:
    """What has changed of what a text was made from; nothing where that is not known.

    SQL is read only if it is not what it was: what is the same cannot be read otherwise, by whatever version.
    """
    if not now.knows(unique_id):
        return ()
    made = record.made_from
    found: list[Change] = []
    if has_other_sql(record, unique_id, now):
        present = now.expression(unique_id, record.column) if made.expression is not None else None
        if present is None:
            found.append(Change("sql"))
        elif present != made.expression:
            found.append(Change("expression" if record.column is not None else "rows"))
    for name, digest in sorted(made.upstream.items()):
        text = now.text(name)
        if text is not None and text != digest:
            found.append(Change("upstream", short_name(name)))
    return tuple(found)


def has_other_sql(record: Record, unique_id: str, now: MadeFrom) -> bool:
    """Whether the node's SQL is not what it was, so that it has to be read."""
    sql = now.sql(unique_id) if now.knows(unique_id) else None
    return sql is not None and record.made_from.sql not in {None, sql}
