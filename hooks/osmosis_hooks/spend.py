"""``osmosis-synthesize spend``: what calls cost, by model, project, node or day."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from osmosis_hooks.output import count, usd, write_json
from osmosis_synthesize.cost.ledger import Ledger, Spend
from osmosis_synthesize.store import Store


def main(options: argparse.Namespace) -> int:
    """Exit code 0."""
    since: dt.datetime | None = options.since
    with Store.open() as store:
        rows = Ledger(store).spend(since.timestamp() if since is not None else None, options.by)
        for warning in store.warnings:
            print(warning, file=sys.stderr)
    if options.json is not None:
        write_json(options.json, {"version": 1, "by": options.by, "spend": [_plain(row) for row in rows]})
        return 0
    for row in rows:
        print(_line(row))
    calls = count(sum(row.calls for row in rows), "call")
    print(f"{_cost(rows)} in {calls}, {sum(row.cached_calls for row in rows):,} more answered from the cache.")
    return 0


def _cost(rows: Sequence[Spend]) -> str:
    """What some rows cost, and how much of that is unknown."""
    total = sum((row.cost for row in rows), Decimal(0))
    unpriced = sum(row.unpriced_calls for row in rows)
    if not unpriced:
        return usd(total)
    return f"{usd(total)} and an unknown sum" if total else usd(None)


def _line(row: Spend) -> str:
    unpriced = f", {count(row.unpriced_calls, 'call')} of unknown price" if row.unpriced_calls else ""
    return (
        f"{_cost([row]):>10}  {row.label}: {count(row.calls, 'call')}, {row.usage.input_tokens:,} tokens in, "
        f"{row.usage.output_tokens:,} out, {row.cached_calls:,} from the cache{unpriced}"
    )


def _plain(row: Spend) -> dict[str, Any]:
    return {
        "label": row.label,
        "calls": row.calls,
        "cached_calls": row.cached_calls,
        "input_tokens": row.usage.input_tokens,
        "cached_input_tokens": row.usage.cached_input_tokens,
        "output_tokens": row.usage.output_tokens,
        "cost": float(row.cost) if row.cost or not row.unpriced_calls else None,
        "unpriced_calls": row.unpriced_calls,
    }
