"""``osmosis-synthesize spend``: what the ledger says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.cost.ledger import Entry, Ledger
from osmosis_synthesize.providers.base import Usage
from osmosis_synthesize.store import FILE_NAME, Store, default_folder

Call = Callable[..., Any]
DAY = 86400.0


@pytest.fixture
def _spent() -> None:
    now = time.time()
    usage = Usage(1000, 20, cached_input_tokens=500)
    with Store.open() as store:
        for entry in (
            Entry("openai", "m", usage, Decimal("0.375"), "shop", "model.shop.orders", time=now),
            Entry("openai", "m", usage, Decimal("0.125"), "shop", "model.shop.items", time=now - 3 * DAY),
            Entry("openai", "m", Usage(), Decimal(0), "shop", "model.shop.orders", cache_hit=True, time=now),
            Entry("anthropic", "c", usage, None, "crm", "model.crm.people", time=now - 400 * DAY),
        ):
            Ledger(store).record(entry)


@pytest.mark.usefixtures("_spent")
def test_by_model_and_the_sum(call: Call) -> None:
    assert call("spend").out.splitlines() == [
        "    $0.500  openai m: 2 calls, 2,000 tokens in, 40 out, 1 from the cache",
        "unknown cost  anthropic c: 1 call, 1,000 tokens in, 20 out, 0 from the cache, 1 call of unknown price",
        "$0.500 and an unknown sum in 3 calls, 1 more answered from the cache.",
    ]


@pytest.mark.usefixtures("_spent")
@pytest.mark.parametrize(
    ("by", "labels"),
    [
        ("project", ["shop", "crm"]),
        ("node", ["model.shop.orders", "model.shop.items", "model.crm.people"]),
        ("model", ["openai m", "anthropic c"]),
    ],
)
def test_by_what_is_asked_for(call: Call, by: str, labels: list[str]) -> None:
    report = json.loads(call("spend", "--by", by, "--json", "-").out)
    assert (report["version"], report["by"]) == (1, by)
    assert [row["label"] for row in report["spend"]] == labels
    assert sum(row["cost"] or 0 for row in report["spend"]) == 0.5
    assert [row["label"] for row in report["spend"] if row["cost"] is None] == labels[-1:]
    assert sum(row["unpriced_calls"] for row in report["spend"]) == 1


@pytest.mark.usefixtures("_spent")
@pytest.mark.parametrize(
    ("since", "calls"),
    [
        ("0d", 0),
        ("1d", 1),
        ("7d", 2),
        ("4000d", 3),
        ("2000-01-31", 3),
        ("2999-01-31", 0),
        ("2000-01-31T12:00:00+02:00", 3),
    ],
)
def test_since(call: Call, since: str, calls: int) -> None:
    said = call("spend", "--since", since).out.splitlines()[-1]
    assert f" in {calls} call" in said


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "d", "1.5d", "99999999999999d", "-d", "7 days", "nan"])
def test_a_moment_that_is_none(call: Call, since: str) -> None:
    result = call("spend", f"--since={since}")
    assert (result.code, result.out) == (2, "")
    assert f"{since} is no date like 2026-01-31" in result.err


@pytest.mark.parametrize("arguments", [["--by", "colour"], ["extra"]])
def test_bad_usage(call: Call, arguments: list[str]) -> None:
    assert call("spend", *arguments).code == 2


def test_nothing_was_spent(call: Call) -> None:
    assert call("spend").out == "$0.00 in 0 calls, 0 more answered from the cache.\n"


def test_a_report_that_cannot_be_written(call: Call, tmp_path: Path) -> None:
    result = call("spend", "--json", tmp_path / "no" / "report.json")
    assert result.code == 2
    assert "was not written: No such file or directory." in result.err


def test_a_damaged_ledger_is_said_and_stops_nothing(call: Call) -> None:
    default_folder().mkdir(exist_ok=True)
    (default_folder() / FILE_NAME).write_bytes(b"no database" * 100)
    result = call("spend")
    assert result.code == 0
    assert "was damaged. It was set aside as cache.sqlite3.damaged" in result.err
