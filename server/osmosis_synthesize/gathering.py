"""Takes what comes one by one together in small heaps, for work that costs as much for many as for one; and ends in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """The items of a generator, in heaps. For one consumer, which closes it in the end.

    The generator goes on while the consumer is busy with a heap, so that what it has under way makes room for more.
    """

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items
        self._taking: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self.left: list[T] = []
        """What has come and was not handed out yet."""

    async def next(self, pause: float) -> list[T]:
        """The next item, and all that follow it within ``pause`` seconds; empty at the end.

        An error of the generator is raised once all that came before it was handed out.
        """
        if self._taking is None:
            self._taking = asyncio.create_task(self._take())
        await self._news.wait()
        if not self.left:
            await self._taking
            return []
        await asyncio.wait({self._taking}, timeout=pause)
        heap, self.left = self.left, []
        if not self._taking.done():
            self._news.clear()
        return heap

    async def aclose(self) -> None:
        """Close the generator."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)
        await self._items.aclose()

    async def _take(self) -> None:
        try:
            async for item in self._items:
                self.left.append(item)
                self._news.set()
        finally:
            self._news.set()


async def alongside(
    items: AsyncGenerator[T, None], other: Callable[[], Coroutine[Any, Any, None]]
) -> AsyncGenerator[T, None]:
    """The items, while something else is done, which is cancelled once the generator is at its end, or closed.

    An error of it is raised then.
    """
    task = asyncio.create_task(other())
    try:
        async for item in items:
            yield item
    finally:
        await items.aclose()
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


async def before(moment: float | None, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The items that come before a moment by the clock of the event loop; all of them without one.

    The generator is closed in the end, which cancels what it has under way.
    """
    try:
        while True:
            async with asyncio.timeout_at(moment):
                item = await anext(items, None)
            if item is None:
                return
            yield item
    except TimeoutError:
        if moment is None or asyncio.get_running_loop().time() < moment:
            raise  # it is the generator's own
    finally:
        await items.aclose()
