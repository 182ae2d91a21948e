"""Takes what comes one by one together in small heaps, for work that costs as much for many as for one; and ends in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """The items of a generator, in heaps. For one consumer, which closes it in the end."""

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items
        self._coming: asyncio.Task[T | None] | None = None
        self.left: list[T] = []
        """What has come and was not handed out yet: not empty if :meth:`next` was cancelled."""

    async def next(self, pause: float) -> list[T]:
        """The next item, and all that follow it within ``pause`` seconds; empty at the end.

        An error of the generator is raised once all that came before it was handed out.
        """
        loop = asyncio.get_running_loop()
        until: float | None = None
        while until is None or loop.time() < until:
            if self._coming is None:
                self._coming = asyncio.create_task(self._next())
            await asyncio.wait({self._coming}, timeout=None if until is None else until - loop.time())
            if not self._coming.done():
                break
            if self.left and (self._coming.exception() is not None or self._coming.result() is None):
                break  # the next call finds it
            item = self._coming.result()
            if item is None:
                break
            self._coming = None
            self.left.append(item)
            until = loop.time() + pause if until is None else until
        heap, self.left = self.left, []
        return heap

    async def aclose(self) -> None:
        """Close the generator."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        await self._items.aclose()

    async def _next(self) -> T | None:
        return await anext(self._items, None)


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
