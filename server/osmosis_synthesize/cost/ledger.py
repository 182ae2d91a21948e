"""The ledger: one row for each question that was answered, or could not be, and what it cost."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from osmosis_synthesize.cost.money import from_picos, to_picos
from osmosis_synthesize.providers.base import Usage

if TYPE_CHECKING:
    import sqlite3

    from osmosis_synthesize.store import Store

Outcome = Literal["answered", "cut-off", "refused", "failed", "cancelled"]

Grouping = Literal["model", "project", "node", "day"]

_LABELS: Final[dict[Grouping, str]] = {
    "model": "provider || ' ' || model",
    "project": "project",
    "node": "node",
    "day": "date(time, 'unixepoch', 'localtime')",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger."""

    provider: str
    model: str
    """The model that was asked for, not the one that the server says answered."""
    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = None
    """US dollars; None where the price is unknown. Zero for what came from the cache."""
    project: str = ""
    node: str = ""
    columns: tuple[str, ...] = ()
    """The columns that were asked for; an empty name is the node's own description."""
    cache_hit: bool = False
    duration: float = 0.0
    """Seconds from asking to the reply, all tries included."""
    outcome: Outcome = "answered"
    estimated_input_tokens: int | None = None
    """What :func:`~osmosis_synthesize.cost.tokens.estimate_tokens` said, uncorrected, before the call."""
    time: float = field(default_factory=time.time)
    """When it was entered, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Spend:
    """The sum of some rows. ``calls`` are those that a provider was asked for, ``cached_calls`` those saved."""

    label: str
    """What the rows have in common: ``openai gpt-5``, a project, a node, or a day as ``2026-01-31``."""
    calls: int
    cached_calls: int
    usage: Usage
    cost: Decimal
    """US dollars of the calls whose price is known."""
    unpriced_calls: int
    """Calls that cost something unknown, so that ``cost`` is too low."""


class Ledger:
    """The ledger in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, entry: Entry) -> None:
        """Enter one row. A call that goes through a claim is entered by ``Claim.fulfil`` and not here."""
        self._store.write(lambda connection: insert(connection, entry))

    def spend(self, since: float | None = None, by: Grouping = "model") -> list[Spend]:
        """What was spent since a moment (seconds since 1970), most expensive first; by day: latest first."""
        order = "label DESC" if by == "day" else "sum(cost) DESC, sum(NOT cache_hit) DESC, label"
        # The label is one of four constants above, the order one of two.
        query = f"""
            SELECT {_LABELS[by]} AS label, sum(NOT cache_hit), sum(cache_hit),
                   sum(input_tokens * NOT cache_hit), sum(output_tokens * NOT cache_hit),
                   sum(cached_input_tokens * NOT cache_hit),
                   sum(cache_write_tokens * NOT cache_hit), coalesce(sum(cost), 0), sum(cost IS NULL)
            FROM ledger WHERE time >= ? GROUP BY label ORDER BY {order}
        """  # noqa: S608 - no part of it comes from outside
        rows = self._store.read(lambda connection: connection.execute(query, (since or 0.0,)).fetchall())
        return [
            Spend(label, calls, cached, Usage(input_, output, cached_input, written), from_picos(cost), unpriced)
            for label, calls, cached, input_, output, cached_input, written, cost, unpriced in rows
        ]

    def spent_today(self) -> Decimal:
        """US dollars of all calls since :func:`start_of_today`."""
        return from_picos(self._store.read(spent_today))

    def asked_alone(self, project: str) -> set[tuple[str, str | None]]:
        """The gaps of a project, as ``unique_id`` and column (``None`` for the node's own), that have had a call of their own."""
        rows = self._store.read(
            lambda connection: connection.execute(
                """SELECT DISTINCT node, json_extract(columns, '$[0]') FROM ledger
                   WHERE project = ? AND NOT cache_hit AND outcome = 'answered' AND json_array_length(columns) = 1""",
                (project,),
            ).fetchall()
        )
        return {(node, column or None) for node, column in rows}

    def input_token_ratios(self, provider: str, model: str, limit: int) -> list[float]:
        """Actual by estimated input tokens of the latest calls to a model, at most ``limit``."""
        rows = self._store.read(
            lambda connection: connection.execute(
                """SELECT input_tokens, estimated_input_tokens FROM ledger
                   WHERE provider = ? AND model = ? AND NOT cache_hit AND input_tokens > 0 AND estimated_input_tokens > 0
                   ORDER BY time DESC LIMIT ?""",
                (provider, model, limit),
            ).fetchall()
        )
        return [actual / estimated for actual, estimated in rows]


def insert(connection: sqlite3.Connection, entry: Entry) -> None:
    """Enter one row as part of a transaction that somebody else has begun."""
    connection.execute(
        """INSERT INTO ledger (time, project, node, columns, provider, model, input_tokens, output_tokens,
               cached_input_tokens, cache_write_tokens, estimated_input_tokens, cost, cache_hit, duration, outcome)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            entry.time,
            entry.project,
            entry.node,
            json.dumps(entry.columns, ensure_ascii=False),
            entry.provider,
            entry.model,
            entry.usage.input_tokens,
            entry.usage.output_tokens,
            entry.usage.cached_input_tokens,
            entry.usage.cache_write_tokens,
            entry.estimated_input_tokens,
            None if entry.cost is None else to_picos(entry.cost),
            entry.cache_hit,
            entry.duration,
            entry.outcome,
        ),
    )


def spent_today(connection: sqlite3.Connection) -> int:
    """Pico-dollars of all calls since :func:`start_of_today`."""
    row = connection.execute("SELECT coalesce(sum(cost), 0) FROM ledger WHERE time >= ?", (start_of_today(),))
    return row.fetchone()[0]


def start_of_today() -> float:
    """The last midnight by the user's own clock, in seconds since 1970.

    "A day" in a limit that somebody sets is the day they live in, not UTC's. Where the clock jumped at midnight,
    it is the first moment of the date.
    """
    now = time.localtime()
    return time.mktime((now.tm_year, now.tm_mon, now.tm_mday, 0, 0, 0, 0, 0, -1))
