from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osmosis_synthesize.cost.ledger import Entry, Ledger, Spend, start_of_today
from osmosis_synthesize.cost.money import from_picos, show, to_picos
from osmosis_synthesize.providers.base import Usage
from osmosis_synthesize.store import Store


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Store.open(tmp_path) as store:
        yield Ledger(store)


class TestMoney:
    @given(st.decimals(0, 9_000_000, places=12))
    def test_is_exact_to_the_pico_dollar(self, amount: Decimal) -> None:
        assert from_picos(to_picos(amount)) == amount

    @given(st.decimals(0, 1, places=20))
    def test_finer_amounts_are_rounded_up(self, amount: Decimal) -> None:
        assert amount <= from_picos(to_picos(amount)) < amount + Decimal("1e-12")

    @pytest.mark.parametrize("amount", ["-0.01", "NaN", "Infinity"])
    def test_nonsense_is_refused(self, amount: str) -> None:
        with pytest.raises(ValueError, match="not an amount"):
            to_picos(Decimal(amount))

    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            ("0", "$0.00"),
            ("1.25", "$1.25"),
            ("0.1", "$0.10"),
            ("0.0999", "$0.100"),
            ("0.0031", "$0.0031"),
            ("0.000000415", "$0.00000042"),
            ("1234567", "$1234567.00"),
        ],
    )
    def test_is_shown_with_as_many_decimals_as_it_needs(self, amount: str, text: str) -> None:
        assert show(Decimal(amount)) == text

    def test_the_unknown_is_not_shown_as_nothing(self) -> None:
        assert show(None) == "unknown"


def test_what_was_asked_alone_is_known(ledger: Ledger) -> None:
    def enter(columns: tuple[str, ...], project: str = "shop", **more: Any) -> None:
        ledger.record(Entry("openai", "gpt-5", project=project, node="model.shop.a", columns=columns, **more))

    enter(("id", "name"))
    enter(("amount",))
    enter(("",))
    enter(("elsewhere",), project="other")
    enter(("failed",), outcome="failed")
    enter(("cached",), cache_hit=True)

    assert ledger.asked_alone("shop") == {("model.shop.a", "amount"), ("model.shop.a", None)}


class TestSpend:
    def test_is_summed_by_what_one_asks_for(self, ledger: Ledger) -> None:
        def enter(model: str, cost: str | None, **more: object) -> None:
            price = None if cost is None else Decimal(cost)
            ledger.record(Entry("openai", model, Usage(100, 10, 5, 1), price, **more))  # type: ignore[arg-type]

        enter("small", "0.1", project="shop", node="orders", columns=("id", "größe"))
        enter("small", "0.2", project="shop", node="riders")
        enter("small", "0", project="shop", node="orders", cache_hit=True)
        enter("large", "0.7", project="bikes", node="orders")
        enter("local", None, project="bikes", node="orders", outcome="failed")

        small = Spend("openai small", 2, 1, Usage(200, 20, 10, 2), Decimal("0.3"), 0)
        large = Spend("openai large", 1, 0, Usage(100, 10, 5, 1), Decimal("0.7"), 0)
        local = Spend("openai local", 1, 0, Usage(100, 10, 5, 1), Decimal(0), 1)
        assert ledger.spend() == [large, small, local]
        assert [(row.label, row.cost) for row in ledger.spend(by="project")] == [
            ("bikes", Decimal("0.7")),
            ("shop", Decimal("0.3")),
        ]
        assert [(row.label, row.calls) for row in ledger.spend(by="node")] == [("orders", 3), ("riders", 1)]
        assert [(row.label, row.calls) for row in ledger.spend(by="day")] == [(time.strftime("%Y-%m-%d"), 4)]

    def test_ten_cents_ten_times_is_a_dollar(self, ledger: Ledger) -> None:
        for _ in range(10):
            ledger.record(Entry("p", "m", cost=Decimal("0.1")))
        assert ledger.spend()[0].cost == Decimal(1)
        assert ledger.spent_today() == Decimal(1)

    def test_is_asked_for_since_a_moment(self, ledger: Ledger) -> None:
        for at in (1000.0, 2000.0, 3000.0):
            ledger.record(Entry("p", "m", cost=Decimal(1), time=at))
        assert ledger.spend(since=2000.0)[0].calls == 2
        assert ledger.spend(since=3000.5) == []

    def test_days_come_latest_first(self, ledger: Ledger) -> None:
        for days, cost in ((2, 5), (0, 1), (1, 9)):
            ledger.record(Entry("p", "m", cost=Decimal(cost), time=start_of_today() - days * 86400 + 40000))
        assert [row.cost for row in ledger.spend(by="day")] == [1, 9, 5]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="a process cannot change its time zone here")
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Australia/Lord_Howe"])
def test_today_begins_at_the_users_midnight(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        midnight = start_of_today()
        assert time.localtime(midnight)[:6] == (*time.localtime()[:3], 0, 0, 0)
        ledger.record(Entry("p", "m", cost=Decimal(1), time=midnight - 0.001))
        ledger.record(Entry("p", "m", cost=Decimal(10), time=midnight))
        ledger.record(Entry("p", "m", cost=Decimal(100)))
        assert ledger.spent_today() == 110
        assert [row.cost for row in ledger.spend(by="day")] == [110, 1]
    time.tzset()
