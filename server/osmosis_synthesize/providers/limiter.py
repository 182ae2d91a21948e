"""How many calls run at once: fewer after each 429, slowly more while things go well."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Limiter:
    """A limit on concurrent calls, shared by all calls through one provider, for one event loop.

    Additive increase, multiplicative decrease, as TCP does it: a 429 halves the limit and closes the door for as long
    as the server asked; each call that succeeds adds its share of one place. Refusals of calls that had started
    before the last decrease tell nothing new and do not halve the limit again. So 16 workers that are told to slow down
    slow down together, instead of each trying again alone.
    """

    def __init__(self, ceiling: int = 64) -> None:
        self._ceiling = float(ceiling)
        self._limit = float(ceiling)
        self._active = 0
        self._opens_at = 0.0
        self._decreased_at = -1.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many calls may run at once now; at least 1."""
        return int(self._limit)

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[float]:
        """Wait for a place and hold it; gives the loop's time at which the call started."""
        await self._enter()
        try:
            yield asyncio.get_running_loop().time()
        finally:
            self._active -= 1
            self._wake()

    def slow_down(self, started: float, wait: float = 0.0) -> None:
        """A call that started at ``started`` was told to slow down, and to wait ``wait`` seconds."""
        now = asyncio.get_running_loop().time()
        self._opens_at = max(self._opens_at, now + wait)
        if started > self._decreased_at:
            self._limit = max(1.0, min(self._limit, float(self._active)) / 2)
            self._decreased_at = now

    def speed_up(self) -> None:
        """A call succeeded. As many successes as there are places add one place."""
        self._limit = min(self._ceiling, self._limit + 1 / self.limit)
        self._wake()

    async def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if (closed_for := self._opens_at - loop.time()) > 0:
                await asyncio.sleep(closed_for)
            elif self._active < self.limit:
                self._active += 1
                return
            else:
                await self._queue(loop)

    async def _queue(self, loop: asyncio.AbstractEventLoop) -> None:
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake()  # the place it was offered is the next one's
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _wake(self) -> None:
        free = self.limit - self._active
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
