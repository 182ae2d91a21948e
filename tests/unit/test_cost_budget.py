from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.cost.budget import Budget
from osmosis_synthesize.cost.ledger import Entry, Ledger
from osmosis_synthesize.errors import BudgetExceeded
from osmosis_synthesize.owner import Owner, _owner_of, this_process
from osmosis_synthesize.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "cache") as store:
        yield store


def cents(amount: int) -> Decimal:
    return Decimal(amount) / 100


def spend(store: Store, amount: Decimal) -> None:
    Ledger(store).record(Entry("p", "m", cost=amount))


class TestMessages:
    def test_say_what_was_asked_what_is_left_and_which_limit(self, store: Store) -> None:
        budget = Budget(store, max_run=cents(100))
        budget.reserve(cents(75))
        with pytest.raises(BudgetExceeded) as caught:
            budget.reserve(cents(26))
        assert str(caught.value) == (
            "The call may cost $0.26, and $0.25 is left of the $1.00 a run. "
            "Raise max_cost_per_run, or choose a cheaper model."
        )

    def test_the_days_limit_too(self, store: Store) -> None:
        spend(store, cents(190))
        with pytest.raises(
            BudgetExceeded, match=r"may cost \$0\.11, and \$0\.10 is left of the \$2\.00 a day.*per_day"
        ):
            Budget(store, max_day=cents(200)).reserve(cents(11))

    def test_an_unknown_price_says_how_to_set_it(self, store: Store) -> None:
        for budget in (Budget(store, max_run=cents(1)), Budget(store, max_day=cents(1))):
            with pytest.raises(BudgetExceeded, match=r"price is unknown.*`pricing:`"):
                budget.reserve(None)

    def test_the_day_cannot_be_kept_without_the_store(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with Store.open(tmp_path / "file" / "cache") as broken:
            with pytest.raises(BudgetExceeded, match="OSMOSIS_CACHE_DIR"):
                Budget(broken, max_day=cents(100)).reserve(cents(1))
            Budget(broken, max_day=cents(100)).reserve(cents(0))
            Budget(broken, max_run=cents(100)).reserve(cents(1)).settle(cents(1))


class TestReservations:
    def test_without_a_limit_everything_fits(self, store: Store) -> None:
        for amount in (None, Decimal(10**6)):
            with Budget(store).reserve(amount) as reservation:
                reservation.settle(None)

    def test_exactly_the_budget_fits(self, store: Store) -> None:
        budget = Budget(store, max_run=Decimal("0.3"), max_day=Decimal("0.3"))
        for _ in range(3):
            with budget.reserve(Decimal("0.1")) as reservation:
                spend(store, Decimal("0.1"))
                reservation.settle(Decimal("0.1"))
        with pytest.raises(BudgetExceeded):
            budget.reserve(Decimal("0.000000000001"))

    def test_what_is_free_fits_always(self, store: Store) -> None:
        spend(store, cents(500))
        budget = Budget(store, max_run=cents(10), max_day=cents(10))
        budget.reserve(cents(0)).settle(cents(0))
        with pytest.raises(BudgetExceeded, match=r"\$0\.00 is left"):
            budget.reserve(cents(1))

    def test_settling_gives_the_rest_back(self, store: Store) -> None:
        budget = Budget(store, max_run=cents(100))
        budget.reserve(cents(100)).settle(cents(1))
        budget.reserve(cents(99))

    def test_settling_at_an_unknown_cost_gives_nothing_back(self, store: Store) -> None:
        budget = Budget(store, max_run=cents(100))
        budget.reserve(cents(100)).settle(None)
        with pytest.raises(BudgetExceeded):
            budget.reserve(cents(1))

    def test_closing_twice_counts_once(self, store: Store) -> None:
        budget = Budget(store, max_run=cents(100))
        with budget.reserve(cents(100)) as reservation:
            reservation.settle(cents(40))
            reservation.settle(cents(40))
            reservation.release()
        budget.reserve(cents(60))
        with pytest.raises(BudgetExceeded):
            budget.reserve(cents(1))

    def test_a_call_that_does_not_fit_the_day_takes_nothing_from_the_run(self, store: Store) -> None:
        spend(store, cents(100))
        budget = Budget(store, max_run=cents(100), max_day=cents(150))
        with pytest.raises(BudgetExceeded, match="a day"):
            budget.reserve(cents(60))
        budget.reserve(cents(50))

    def test_yesterday_is_not_today(self, store: Store) -> None:
        Ledger(store).record(Entry("p", "m", cost=Decimal(5), time=time.time() - 86400 - 3601))
        Budget(store, max_day=Decimal(1)).reserve(Decimal(1))

    @pytest.mark.parametrize(
        ("owner", "expires_in", "counts"),
        [
            (Owner("elsewhere", 1, "1"), 100.0, True),
            (Owner("elsewhere", 1, "1"), -1.0, False),
            (this_process(), -1.0, True),
            (_owner_of(os.getppid()), -1.0, True),
            (this_process()._replace(started="1"), 100.0, False),
        ],
        ids=["elsewhere", "elsewhere, run out", "this", "another alive, however long it takes", "ended"],
    )
    def test_of_the_living_count(self, store: Store, owner: Owner, expires_in: float, counts: bool) -> None:
        row = ("token", 10**12, *owner, time.time() + expires_in)
        store.write(lambda connection: connection.execute("INSERT INTO reservation VALUES (?, ?, ?, ?, ?, ?)", row))
        budget = Budget(store, max_day=Decimal("1.5"))
        if counts:
            with pytest.raises(BudgetExceeded):
                budget.reserve(Decimal(1))
        else:
            budget.reserve(Decimal(1))


@dataclass(frozen=True)
class Call:
    """One call of a schedule: amounts in cents, moments in turns of the event loop."""

    upper: int
    actual: int
    begins: int
    lasts: int
    ends: str
    cancelled_after: int | None = None


ENDS = ["answered", "answered", "failed", "failed but charged", "unknown"]


def schedule(seed: int) -> list[Call]:
    """64 calls. From a seed, because hypothesis takes longer to draw 384 values than the calls take to run."""
    chance = random.Random(seed)
    return [
        Call(
            upper=(upper := chance.randint(0, 40)),
            actual=chance.randint(0, upper),
            begins=chance.randint(0, 5),
            lasts=chance.randint(0, 5),
            ends=chance.choice(ENDS),
            cancelled_after=chance.choice([None, chance.randint(0, 8)]),
        )
        for _ in range(64)
    ]


@dataclass
class Server:
    """What the provider knows: it is the truth the budget is held against."""

    limit: int
    charged: int = 0
    open_: int = 0
    made: int = 0
    refused: list[Call] = field(default_factory=list)

    def check(self) -> None:
        # Whatever happens to the calls under way, the limit holds.
        assert self.charged + self.open_ <= self.limit


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def make(call: Call, budget: Budget, ledger: Ledger, server: Server) -> None:
    await turns(call.begins)
    try:
        reservation = budget.reserve(cents(call.upper))
    except BudgetExceeded:
        server.refused.append(call)
        return
    with reservation:
        server.made += 1
        server.open_ += call.upper
        server.check()
        charged = 0
        try:
            await turns(call.lasts)
            if call.ends == "failed":
                raise ConnectionError
            charged = call.upper if call.ends == "unknown" else call.actual
            cost = None if call.ends == "unknown" else cents(call.actual)
            # An unknown cost is entered at its upper bound, as whoever makes calls is to do.
            ledger.record(Entry("p", "m", cost=cents(charged)))
            reservation.settle(cost)
            if call.ends == "failed but charged":
                raise ConnectionError
        finally:
            server.open_ -= call.upper
            server.charged += charged
            server.check()


async def run(plan: list[Call], budget: Budget, ledger: Ledger, server: Server) -> None:
    async def cancel(task: asyncio.Task[None], after: int) -> None:
        await turns(after)
        task.cancel()

    tasks = [asyncio.create_task(make(call, budget, ledger, server)) for call in plan]
    killers = [
        cancel(task, call.cancelled_after)
        for task, call in zip(tasks, plan, strict=True)
        if call.cancelled_after is not None
    ]
    results = await asyncio.gather(*tasks, *killers, return_exceptions=True)
    allowed = (ConnectionError, asyncio.CancelledError)
    assert all(result is None or isinstance(result, allowed) for result in results), results


@pytest.mark.parametrize("period", ["run", "day"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.integers(0, 600))
def test_no_interleaving_spends_more(
    tmp_path_factory: pytest.TempPathFactory, period: str, seed: int, limit: int
) -> None:
    with Store.open(tmp_path_factory.mktemp("budget")) as store:
        budget = Budget(store, **{f"max_{period}": cents(limit)})
        server = Server(limit)
        asyncio.run(run(schedule(seed), budget, Ledger(store), server))
        assert server.charged <= limit
        assert server.made + len(server.refused) <= 64
        # Nothing leaks either: what was not spent can be reserved, and not a cent more.
        with pytest.raises(BudgetExceeded):
            budget.reserve(cents(limit - server.charged + 1))
        budget.reserve(cents(limit - server.charged))


WORKER = """
import pathlib, random, sys, time
from decimal import Decimal
from osmosis_synthesize.cost.budget import Budget
from osmosis_synthesize.cost.ledger import Entry, Ledger
from osmosis_synthesize.errors import BudgetExceeded
from osmosis_synthesize.store import Store

folder, seed, count = sys.argv[1:]
chance = random.Random(int(seed))
with Store.open(pathlib.Path(folder)) as store:
    budget, ledger = Budget(store, max_day=Decimal(2)), Ledger(store)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(count)):
        try:
            with budget.reserve(Decimal("0.05")) as reservation:
                if chance.random() < 0.2:
                    continue
                cost = Decimal(chance.randint(1, 5)) / 100
                ledger.record(Entry("p", "m", cost=cost))
                reservation.settle(cost)
        except BudgetExceeded:
            pass
    assert store.warnings == [], store.warnings
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_a_day_is_kept_over_all_processes(store: Store) -> None:
    children = [start(WORKER, store.folder, seed, 60) for seed in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    assert [(child.communicate(timeout=300), child.returncode)[1] for child in children] == [0] * 4
    spent = Ledger(store).spent_today()
    assert Decimal("1.95") < spent <= 2  # only less than a whole call is left


HOLDER = """
import pathlib, sys
from decimal import Decimal
from osmosis_synthesize.cost.budget import Budget
from osmosis_synthesize.store import Store

with Store.open(pathlib.Path(sys.argv[1])) as store, Budget(store, max_day=Decimal(1)).reserve(Decimal(1)):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_killed_process_reserves_nothing(store: Store) -> None:
    budget = Budget(store, max_day=Decimal(1))
    with start(HOLDER, store.folder) as child:
        with pytest.raises(BudgetExceeded, match=r"\$0\.00 is left"):
            budget.reserve(cents(1))
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=300)
    budget.reserve(Decimal(1))
