"""What comes close together is handed out together, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from osmosis_synthesize.gathering import Gathering, alongside, before


async def numbers(*heaps: int, between: asyncio.Event | None = None) -> AsyncGenerator[int, None]:
    """Heaps of numbers; before each heap but the first the event is waited for."""
    number = 0
    for at, size in enumerate(heaps):
        if at and between is not None:
            await between.wait()
        for _ in range(size):
            yield number
            number += 1


async def test_what_is_there_comes_at_once_and_then_the_end() -> None:
    gathering = Gathering(numbers(1000))
    assert await gathering.next(60) == list(range(1000))
    assert await gathering.next(60) == []
    await gathering.aclose()


async def test_a_heap_does_not_wait_for_what_is_late() -> None:
    late = asyncio.Event()
    gathering = Gathering(numbers(2, 1, between=late))
    assert await gathering.next(0.001) == [0, 1]
    late.set()
    assert await gathering.next(0.001) == [2]
    await gathering.aclose()


async def test_what_comes_while_the_consumer_is_busy_is_taken() -> None:
    taken: list[int] = []
    late = asyncio.Event()

    async def items() -> AsyncGenerator[int, None]:
        async for number in numbers(1, 100, between=late):
            yield number
            taken.append(number)

    gathering = Gathering(items())
    assert await gathering.next(0) == [0]
    late.set()
    while len(taken) < 101:  # noqa: ASYNC110 - busy with other things, a turn at a time
        await asyncio.sleep(0)
    assert await gathering.next(0) == list(range(1, 101))
    assert await gathering.next(0) == []
    await gathering.aclose()


async def test_something_else_is_done_meanwhile_and_ends_with_the_items() -> None:
    seen: list[str] = []
    begun = asyncio.Event()

    async def other() -> None:
        seen.append("begun")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    assert [item async for item in alongside(numbers(1, 2, between=begun), other)] == [0, 1, 2]
    assert seen == ["begun", "ended"]


async def test_an_error_of_that_is_raised_in_the_end() -> None:
    failed = asyncio.Event()

    async def other() -> None:
        failed.set()
        raise ValueError("broken")

    both = alongside(numbers(1, 2, between=failed), other)
    assert [await anext(both) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        await anext(both)


async def test_an_error_comes_after_what_was_before_it() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("broken")

    gathering = Gathering(failing())
    assert await gathering.next(60) == [1]
    with pytest.raises(ValueError, match="broken"):
        await gathering.next(60)
    await gathering.aclose()


async def test_who_is_cancelled_finds_what_had_come() -> None:
    late = asyncio.Event()
    closed = asyncio.Event()

    async def items() -> AsyncGenerator[int, None]:
        try:
            async for number in numbers(3, 1, between=late):
                yield number
        finally:
            closed.set()

    gathering = Gathering(items())
    waiting = asyncio.create_task(gathering.next(60))
    while len(gathering.left) < 3:  # noqa: ASYNC110 - the class has no event to wait for, and should not have one for tests
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert gathering.left == [0, 1, 2]
    await gathering.aclose()
    assert closed.is_set()


async def test_what_comes_after_a_moment_is_given_up() -> None:
    cleaned: list[str] = []

    async def endless() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
            await asyncio.Event().wait()
            yield 3
        finally:
            cleaned.append("closed")

    assert [item async for item in before(asyncio.get_running_loop().time() + 0.05, endless())] == [1, 2]
    assert cleaned == ["closed"]
    assert [item async for item in before(None, numbers(2, 1, between=_now()))] == [0, 1, 2]


async def test_a_timeout_of_the_generator_s_own_is_an_error() -> None:
    async def late() -> AsyncGenerator[int, None]:
        yield 1
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        assert [item async for item in before(asyncio.get_running_loop().time() + 60, late())]


def _now() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
