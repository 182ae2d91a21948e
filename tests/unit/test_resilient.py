from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import servers
from clock import Clock
from osmosis_synthesize import errors
from osmosis_synthesize.providers import faults
from osmosis_synthesize.providers.base import Message, Provider, ProviderConfig, Reply, Request, Stoppable
from osmosis_synthesize.providers.limiter import Limiter
from osmosis_synthesize.providers.registry import create
from osmosis_synthesize.providers.resilient import Resilient
from servers import FakeLLMServer, config_for

ASK = Request((Message("user", "Describe the column a."),))


async def test_retry_after_is_waited_for() -> None:
    with FakeLLMServer() as server:
        server.script(servers.rate_limited(0.3))
        provider = create(config_for(server, "ollama", retry_wait=0.001))
        await provider.complete(ASK)
        await provider.aclose()

    first, second = server.requests
    assert 0.3 <= second.at - first.at < 10


async def test_waits_double() -> None:
    with FakeLLMServer() as server:
        server.always(servers.failing())
        provider = create(config_for(server, "ollama", retry_wait=0.05, max_retries=4))
        with pytest.raises(errors.ProviderServerError):
            await provider.complete(ASK)
        await provider.aclose()

    times = [request.at for request in server.requests]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(waits) == 4
    assert all(wait >= 0.05 * 2**number for number, wait in enumerate(waits))


async def test_no_retries_means_none() -> None:
    with FakeLLMServer() as server:
        server.always(servers.failing())
        provider = create(config_for(server, "ollama", max_retries=0))
        with pytest.raises(errors.ProviderServerError):
            await provider.complete(ASK)
        await provider.aclose()

    assert len(server.requests) == 1


async def test_nothing_is_tried_again_once_it_was_stopped() -> None:
    with FakeLLMServer() as server:
        server.always(servers.failing())
        provider = create(config_for(server, "ollama", retry_wait=0.2, max_retries=5))
        assert isinstance(provider, Stoppable)
        call = asyncio.create_task(provider.complete(ASK))
        await asyncio.to_thread(server.first_request.wait)
        provider.stop()
        with pytest.raises(errors.ProviderError):
            await call
        await provider.aclose()

    assert len(server.requests) == 1


async def test_a_whole_call_ends_after_twice_the_timeout_however_many_tries_are_left() -> None:
    clock = Clock()
    inner = Slow(clock, 3.0)
    provider = Resilient(inner, replace(CONFIG, timeout=10.0, max_retries=1000))
    with pytest.raises(errors.ProviderServerError):
        await provider.complete(ASK)

    assert inner.calls == 7  # the seventh ends after 21 of the 20 seconds


async def test_a_retry_after_that_is_longer_than_the_call_ends_it_at_once() -> None:
    with FakeLLMServer() as server:
        server.always(servers.rate_limited(30))
        provider = create(config_for(server, "ollama", timeout=10.0))
        start = time.monotonic()
        with pytest.raises(errors.ProviderRateLimited) as caught:
            await provider.complete(ASK)
        await provider.aclose()

    assert time.monotonic() - start < 15  # of the 20 that the call has
    assert caught.value.retry_after == 30


async def test_a_server_that_closes_for_long_is_left_alone() -> None:
    with FakeLLMServer() as server:
        server.always(servers.rate_limited(3600))
        provider = create(config_for(server, "ollama"))
        for _ in range(5):
            with pytest.raises(errors.ProviderRateLimited, match="3600"):
                await provider.complete(ASK)
        await provider.aclose()

    assert len(server.requests) == 1


async def test_many_workers_slow_down_together_instead_of_each_trying_alone() -> None:
    with FakeLLMServer(together=16, delay=0.05) as server:
        server.script(*[servers.rate_limited(0.2)] * 16)
        provider = create(config_for(server, "ollama", max_retries=3))
        replies = await asyncio.gather(*(provider.complete(ASK) for _ in range(16)))
        at_once = server.most_at_once(after=16)
        await provider.aclose()

    assert len(replies) == 16
    assert len(server.requests) == 32
    # All 16 were refused. Afterwards at most half of them run at once, however many wait.
    assert at_once <= 8
    pause = server.requests[16].at - max(request.at for request in server.requests[:16])
    assert pause > 0.05


async def test_time_in_the_queue_does_not_count() -> None:
    clock, limiter = Clock(), Limiter(1)
    provider = Resilient(Scripted(Reply("here")), replace(CONFIG, timeout=10.0), limiter=limiter)
    async with limiter.place():
        call = asyncio.create_task(provider.complete(ASK))
        while not limiter._waiting:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        clock.advance(1000)
        await asyncio.sleep(0)
        assert not call.done()

    assert (await call).text == "here"


class Scripted:
    """A provider that fails as told."""

    name = "scripted"
    model = "m"
    local = True
    deterministic = False

    def __init__(self, *outcomes: Exception | Reply) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0

    async def complete(self, _request: Request) -> Reply:
        self.calls += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        self.outcomes.clear()


class Slow(Scripted):
    """It takes so many seconds to fail, each time."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = seconds

    async def complete(self, _request: Request) -> Reply:
        self.calls += 1
        self.clock.advance(self.seconds)
        raise errors.ProviderServerError("x")


CONFIG = ProviderConfig("scripted", "m", retry_wait=0.001, max_retries=2)


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (errors.ProviderRateLimited("x"), 3),
        (errors.ProviderTimeout("x"), 3),
        (errors.ProviderConnectionError("x"), 3),
        (errors.ProviderServerError("x"), 3),
        (errors.ProviderAuthError("x"), 1),
        (errors.ProviderQuotaError("x"), 1),
        (errors.ProviderRejected("x"), 1),
        (errors.ProviderSetupError("x"), 1),
        (ZeroDivisionError("a bug is not retried"), 1),
    ],
)
async def test_only_what_may_pass_is_tried_again(error: Exception, calls: int) -> None:
    inner = Scripted(error, error, error, Reply("too late"))
    provider = Resilient(inner, CONFIG)

    with pytest.raises(type(error)) as caught:
        await provider.complete(ASK)

    assert caught.value is error
    assert inner.calls == calls
    assert isinstance(provider, Provider)


# ---------------------------------------------------------------------------------------------------------- limiter


async def test_the_limit_halves_once_for_all_that_were_under_way_and_recovers_slowly() -> None:
    limiter = Limiter(16)
    starts: list[float] = []
    inside = asyncio.Event()

    async def call() -> None:
        async with limiter.place() as started:
            starts.append(started)
            await inside.wait()

    calls = [asyncio.create_task(call()) for _ in range(16)]
    await asyncio.sleep(0)
    assert len(starts) == 16
    await asyncio.sleep(0.001)
    for started in starts:
        limiter.slow_down(started)
    assert limiter.limit == 8
    inside.set()
    await asyncio.gather(*calls)

    for _ in range(8):
        limiter.speed_up()
    assert limiter.limit == 9
    for _ in range(1000):
        limiter.speed_up()
    assert limiter.limit == 16


async def test_the_limit_never_falls_below_one() -> None:
    limiter = Limiter(4)
    for _ in range(10):
        async with limiter.place() as started:
            await asyncio.sleep(0.001)
            limiter.slow_down(started)
    assert limiter.limit == 1


@settings(max_examples=60, deadline=None)
@given(
    ceiling=st.integers(1, 5),
    fates=st.lists(st.sampled_from(["good", "429", "cancelled", "error"]), min_size=1, max_size=25),
)
def test_no_place_is_lost_and_no_more_are_taken_than_there_are(ceiling: int, fates: list[str]) -> None:
    async def scenario() -> None:
        limiter = Limiter(ceiling)
        active = 0

        async def call(fate: str) -> None:
            nonlocal active
            async with limiter.place() as started:
                active += 1
                assert active <= ceiling
                try:
                    await asyncio.sleep(0)
                    if fate == "429":
                        limiter.slow_down(started)
                    elif fate == "good":
                        limiter.speed_up()
                    elif fate == "error":
                        raise errors.ProviderServerError("x")
                finally:
                    active -= 1

        tasks = [asyncio.create_task(call(fate)) for fate in fates]
        await asyncio.sleep(0)
        for task, fate in zip(tasks, fates, strict=True):
            if fate == "cancelled":
                task.cancel()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks, return_exceptions=True)
            async with limiter.place():
                pass  # there is still a place

    asyncio.run(scenario())


# ------------------------------------------------------------------------------------------------------- retry-after


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], expected: float | None) -> None:
    assert faults.retry_after(headers) == expected


def test_retry_after_as_a_date_is_a_wait_from_now() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)

    assert 85 < (faults.retry_after({"retry-after": date}) or 0) <= 90
