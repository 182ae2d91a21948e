from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.cache import Cache, CachedReply, Claim, request_key
from osmosis_synthesize.cost.ledger import Entry, Ledger
from osmosis_synthesize.owner import this_process
from osmosis_synthesize.providers.base import ColumnFacts, Message, Reply, Request, Subject, Usage
from osmosis_synthesize.store import Store

KEY = "a" * 64
REPLY = Reply("an answer", Usage(100, 20, 60, 10), "m-2026-01-01", "length")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "cache") as store:
        yield store
        assert store.warnings == []


@pytest.fixture
def cache(store: Store) -> Cache:
    return Cache(store)


def kept(text: str = "an answer", *, at: float | None = None) -> CachedReply:
    stored_at = time.time() if at is None else at
    return CachedReply(replace(REPLY, text=text), "openai", "m", Decimal("0.000123456789"), stored_at, "3")


class TestKey:
    request = Request(
        (Message("system", "You describe tables.", stable=True), Message("user", "select 1")),
        schema={"type": "object", "properties": {"a": {"type": "string"}, "b": {}}},
        max_tokens=100,
        temperature=0.3,
    )

    def key(self, **changes: object) -> str:
        where = {name: changes.pop(name) for name in ("provider", "model", "base_url") if name in changes}
        request = replace(self.request, **changes)
        return request_key(**{"provider": "openai", "model": "m", "request": request, **where})

    def test_never_changes_between_releases(self) -> None:
        # A changed key throws away every cached reply of every user.
        assert self.key() == "50ac2190726f5c00fcf1cff611c14fa42474e9f81a8ff6f4889fc0228a7386a1"

    @pytest.mark.parametrize(
        "changes",
        [
            {"provider": "azure"},
            {"model": "m2"},
            {"base_url": "http://localhost:1234/v1"},
            {"schema": None},
            {"schema": {"type": "object"}},
            {"max_tokens": None},
            {"max_tokens": 101},
            {"temperature": None},
            {"temperature": 0.0},
            {"messages": (Message("user", "select 1"),)},
            {"messages": (Message("user", "You describe tables."), Message("user", "select 1"))},
            {"messages": (Message("system", "You describe tables.select 1"),)},
        ],
        ids=str,
    )
    def test_differs_where_the_reply_may(self, changes: dict[str, object]) -> None:
        assert self.key(**changes) != self.key()

    @pytest.mark.parametrize(
        "changes",
        [
            {"schema": {"properties": {"b": {}, "a": {"type": "string"}}, "type": "object"}},
            {"schema": MappingProxyType({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}})},
            {"messages": (Message("system", "You describe tables."), Message("user", "select 1"))},
            {"subject": Subject("orders", "model", asked=True)},
        ],
        ids=["order of keys", "kind of mapping", "stability", "subject, which the prompt says too"],
    )
    def test_is_the_same_where_the_reply_is(self, changes: dict[str, object]) -> None:
        assert self.key(**changes) == self.key()

    def test_whole_and_decimal_temperatures_are_one(self) -> None:
        assert self.key(temperature=1) == self.key(temperature=1.0)

    def test_a_final_slash_of_the_base_url_is_nothing(self) -> None:
        assert self.key(base_url="http://h/v1/") == self.key(base_url="http://h/v1")

    def test_facts_answer_from_the_subject(self) -> None:
        subjects = [None, *(Subject("orders", "model", asked=True, columns=(ColumnFacts(name),)) for name in "ab")]
        assert len({self.key(provider="facts", subject=subject) for subject in subjects}) == 3

    @given(st.text(max_size=20), st.text(max_size=20))
    def test_distinct_prompts_have_distinct_keys(self, one: str, other: str) -> None:
        keys = {self.key(messages=(Message("user", text),)) for text in (one, other)}
        assert len(keys) == len({one, other})


class TestReplies:
    def test_come_back_whole(self, cache: Cache) -> None:
        assert cache.get(KEY) is None
        cached = kept()
        cache.put(KEY, cached)
        assert cache.get(KEY) == cached

    @settings(max_examples=50, deadline=None)
    @given(text=st.text(), cost=st.none() | st.decimals(0, 1000, places=12), tokens=st.integers(0, 2**53))
    def test_come_back_whole_whatever_they_hold(
        self, tmp_path_factory: pytest.TempPathFactory, text: str, cost: Decimal | None, tokens: int
    ) -> None:
        cached = CachedReply(Reply(text, Usage(tokens, tokens)), "p", "m", cost, time.time())
        with Store.open(tmp_path_factory.getbasetemp() / "whatever") as store:
            Cache(store).put(KEY, cached)
            assert Cache(store).get(KEY) == cached

    async def test_half_a_surrogate_pair_costs_only_itself(self, cache: Cache) -> None:
        async with cache.claim(KEY) as claim:
            claim.fulfil(Reply("price: \ud83d, \U0001f600"), Entry("openai", "m"))
        cached = cache.get(KEY)
        assert cached is not None
        assert cached.reply.text == "price: \ufffd, \U0001f600"

    def test_newer_ones_replace_older_ones_and_the_total_follows(self, cache: Cache) -> None:
        cache.put(KEY, kept("x" * 1000))
        cache.put(KEY, kept("y" * 10))
        stats = cache.stats()
        assert (stats.replies, stats.saved) == (1, Decimal("0.000123456789"))
        assert 10 <= stats.size < 1000
        assert cache.clear() == 1
        assert (cache.stats().replies, cache.stats().size, cache.stats().oldest) == (0, 0, None)

    def test_one_can_be_removed(self, cache: Cache) -> None:
        cache.put(KEY, kept())
        cache.put("b" * 64, kept())
        cache.remove(KEY)
        assert (cache.get(KEY), cache.stats().replies) == (None, 1)

    def test_too_old_ones_are_not_used_and_removed(self, store: Store) -> None:
        Cache(store).put(KEY, kept(at=time.time() - 10 * 86400))
        assert Cache(store, max_age_days=11).get(KEY) is not None
        assert Cache(store, max_age_days=9).get(KEY) is None
        assert Cache(store).stats().replies == 0

    def test_past_the_size_limit_the_oldest_go(self, store: Store) -> None:
        cache = Cache(store, max_bytes=50_000)
        now = time.time()
        keys = [f"{number:064x}" for number in range(200)]
        for number, key in enumerate(keys):
            cache.put(key, kept("x" * 744, at=now - 1000 + number))  # 1,000 bytes each
            assert cache.stats().size <= 50_000
            assert cache.get(key) is not None
        left = [cache.get(key) is not None for key in keys]
        assert left == sorted(left)
        assert 40 <= sum(left) <= 50

    def test_one_that_is_past_the_limit_alone_is_not_kept(self, store: Store) -> None:
        cache = Cache(store, max_bytes=5_000)
        cache.put(KEY, kept("x" * 6_000))
        assert cache.stats().replies == 0


class TestClaim:
    async def ask(self, cache: Cache, asked: list[int], key: str = KEY) -> CachedReply:
        async with cache.claim(key) as claim:
            if claim.reply is None:
                asked.append(1)
                await asyncio.sleep(0.01)
                return claim.fulfil(REPLY, Entry("openai", "m", REPLY.usage, Decimal("0.25"), node="orders"))
            return claim.reply

    async def test_identical_requests_are_sent_once(self, cache: Cache, store: Store) -> None:
        asked: list[int] = []
        replies = await asyncio.gather(*(self.ask(cache, asked) for _ in range(64)))
        assert len(asked) == 1
        assert {reply.reply for reply in replies} == {REPLY}
        (spend,) = Ledger(store).spend()
        assert (spend.calls, spend.cost, spend.usage) == (1, Decimal("0.25"), REPLY.usage)
        assert cache._turns == {}

    async def test_two_caches_on_one_store_share_it_too(self, cache: Cache, tmp_path: Path) -> None:
        asked: list[int] = []
        with Store.open(tmp_path / "cache") as second:
            await asyncio.gather(*(self.ask(each, asked) for each in (cache, Cache(second)) for _ in range(5)))
        assert len(asked) == 1

    async def test_different_requests_do_not_wait_for_each_other(self, cache: Cache) -> None:
        async with cache.claim("b" * 64), cache.claim("c" * 64):
            await asyncio.wait_for(self.ask(cache, []), 10)

    async def test_passes_on_after_an_error(self, cache: Cache) -> None:
        asked: list[int] = []
        begun = asyncio.Event()

        async def fail() -> None:
            async with cache.claim(KEY):
                begun.set()
                await asyncio.sleep(0.01)
                raise RuntimeError

        failing = asyncio.create_task(fail())
        await begun.wait()
        waiting = asyncio.create_task(self.ask(cache, asked))
        with pytest.raises(RuntimeError):
            await failing
        assert (await asyncio.wait_for(waiting, 10)).reply == REPLY

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=2, max_size=12))
    def test_survives_cancellation_at_any_moment(
        self, tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[int, int]]
    ) -> None:
        """Each task claims one of two keys and is cancelled after some turns of the loop (0: never)."""

        async def run(cache: Cache) -> None:
            holders = {KEY: 0, "b" * 64: 0}

            async def ask(key: str) -> None:
                async with cache.claim(key) as claim:
                    if claim.reply is None:
                        holders[key] += 1
                        assert holders[key] == 1
                        try:
                            for _ in range(5):
                                await asyncio.sleep(0)
                        finally:
                            holders[key] -= 1
                        claim.fulfil(REPLY, Entry("openai", "m"))

            async def cancel(task: asyncio.Task[None], turns: int) -> None:
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()

            tasks = [asyncio.create_task(ask(list(holders)[which])) for which, _ in plan]
            killers = [cancel(task, turns) for task, (_, turns) in zip(tasks, plan, strict=True) if turns]
            results = await asyncio.gather(*tasks, *killers, return_exceptions=True)
            assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results), results
            for key in holders:  # nothing is left behind that would make the next one wait
                async with asyncio.timeout(5), cache.claim(key):
                    pass
            assert cache._turns == {}

        with Store.open(tmp_path_factory.mktemp("cancel")) as store:
            asyncio.run(run(Cache(store)))

    async def test_is_renewed_while_it_is_held(
        self, cache: Cache, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("osmosis_synthesize.cache.shared._LEASE", 0.15)

        def expiry() -> float:
            return store.read(lambda connection: connection.execute("SELECT expires_at FROM claim").fetchone()[0])

        async with cache.claim(KEY):
            first = expiry()
            async with asyncio.timeout(10):
                while expiry() < first + 0.15:  # noqa: ASYNC110 - the database has no event to wait for
                    await asyncio.sleep(0.01)
        assert store.read(lambda connection: connection.execute("SELECT count(*) FROM claim").fetchone()) == (0,)

    async def test_is_not_renewed_any_longer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("osmosis_synthesize.cache.shared._LEASE", 0.03)
        troubles: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
        with Store.open(tmp_path / "other") as store:
            async with Cache(store).claim(KEY):
                pass
        await asyncio.sleep(0.03)  # a renewal left behind would now meet a closed store
        assert troubles == []

    @pytest.mark.parametrize(
        ("machine", "started", "expires_in", "taken"),
        [
            ("elsewhere", "1", 15.0, False),
            ("elsewhere", "1", -1.0, True),
            (this_process().machine, this_process().started, 15.0, False),
            (this_process().machine, this_process().started, -1.0, True),
            (this_process().machine, "1", 15.0, True),
            ("elsewhere", "1", 1e9, True),
        ],
        ids=["elsewhere", "elsewhere, run out", "alive", "alive, run out", "ended", "longer than any lease"],
    )
    async def test_is_taken_over_from_the_dead(
        self, cache: Cache, store: Store, machine: str, started: str, expires_in: float, taken: bool
    ) -> None:
        row = (KEY, "token", machine, this_process().pid, started, time.time() + expires_in)
        store.write(lambda connection: connection.execute("INSERT INTO claim VALUES (?, ?, ?, ?, ?, ?)", row))
        asking = asyncio.create_task(self.ask(cache, []))
        done, _ = await asyncio.wait([asking], timeout=10 if taken else 0.3)
        assert bool(done) == taken
        asking.cancel()
        await asyncio.wait([asking])

    async def test_an_owner_that_lost_it_still_keeps_its_reply(self, cache: Cache, store: Store) -> None:
        async with cache.claim(KEY) as slow:
            store.write(lambda connection: connection.execute("UPDATE claim SET expires_at = 0"))
            await asyncio.create_task(self.take_over(store))
            slow.fulfil(REPLY, Entry("openai", "m"))
        cached = cache.get(KEY)
        assert cached is not None
        assert cached.reply == REPLY

    async def take_over(self, store: Store) -> None:
        async with asyncio.timeout(10), Cache(store).claim(KEY) as claim:
            assert isinstance(claim, Claim)
            assert claim.reply is None


class TestLines:
    def test_carry_everything(self, cache: Cache, tmp_path: Path) -> None:
        for number in range(1100):
            cache.put(f"{number:064x}", kept(f"{number} é\u2028\x00"))
        exported = list(cache.export_lines())
        assert len(exported) == 1100
        assert all("\n" not in line for line in exported)
        with Store.open(tmp_path / "other") as other:
            imported = Cache(other).import_lines(f"{line}\n" for line in exported)
            assert (imported.added, imported.skipped, imported.rejected) == (1100, 0, ())
            assert list(Cache(other).export_lines()) == exported
            again = Cache(other).import_lines(exported)
            assert (again.added, again.skipped) == (0, 1100)

    def test_the_newer_reply_stays(self, cache: Cache) -> None:
        now = time.time()
        cache.put(KEY, kept("old", at=now - 100))
        (old,) = cache.export_lines()
        cache.put(KEY, kept("new", at=now - 50))
        (new,) = cache.export_lines()
        assert cache.import_lines([old]).skipped == 1
        cache.put(KEY, kept("old", at=now - 100))
        assert cache.import_lines([new]).added == 1
        cached = cache.get(KEY)
        assert cached is not None
        assert cached.reply.text == "new"

    def test_a_time_to_come_is_now_and_a_long_gone_one_is_skipped(self, cache: Cache) -> None:
        cache.put(KEY, kept())
        line = json.loads(next(cache.export_lines()))
        cache.clear()
        assert cache.import_lines([json.dumps({**line, "stored_at": "2001-01-01T00:00:00Z"})]).skipped == 1
        assert cache.import_lines([json.dumps({**line, "stored_at": "2999-01-01T00:00:00Z"})]).added == 1
        cached = cache.get(KEY)
        assert cached is not None
        assert cached.stored_at <= time.time()

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 2},
            {"key": "short"},
            {"key": "../../etc/passwd".ljust(64, "0")},
            {"finish": "exploded"},
            {"cost": "-1"},
            {"cost": "NaN"},
            {"cost": "1e300"},
            {"text": None},
            {"stored_at": "yesterday"},
            {"stored_at": "2026-01-01T00:00:00"},
            {"usage": {"input_tokens": -1}},
            {"usage": {"input_tokens": math.inf}},
        ],
        ids=str,
    )
    def test_a_bad_line_is_named_and_changes_nothing(self, cache: Cache, change: dict[str, object]) -> None:
        cache.put(KEY, kept())
        good = next(cache.export_lines())
        cache.clear()
        bad = json.dumps({**json.loads(good), **change})
        imported = cache.import_lines(["", "{", bad, good])
        assert [text.split(":")[0] for text in imported.rejected] == ["line 2", "line 3"]
        assert (imported.added, cache.stats().replies) == (1, 1)
