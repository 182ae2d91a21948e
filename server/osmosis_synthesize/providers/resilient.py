"""The one layer that tries again.

The SDKs' own retries are off, so that one call is never 3 tries inside 6 tries. What is worth another try is said by the
errors themselves (:attr:`~osmosis_synthesize.errors.ProviderError.final`): 408, 409, 429, 5xx, timeouts, broken
connections.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from osmosis_synthesize.errors import ProviderError, ProviderRateLimited, ProviderTimeout
from osmosis_synthesize.providers.base import Streaming
from osmosis_synthesize.providers.faults import timed_out
from osmosis_synthesize.providers.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from osmosis_synthesize.providers.base import Hear, Provider, ProviderConfig, Reply, Request

WHOLE_CALL: Final = 2
"""A whole call may last this many times as long as one try, so that a server that hung once gets a second, full try."""

LONGEST_RETRY_AFTER: Final = 60.0
"""Seconds. A server that asks to wait longer is not asked again: less than it asked for would be refused too."""


class Resilient:
    """A provider that asks another one again where that may help.

    A try lasts at most ``config.timeout`` seconds, the whole call (tries and waits) at most :data:`WHOLE_CALL` times
    that. Time spent queueing behind the other calls at the limiter does not count. A ``Retry-After`` that is longer
    than :data:`LONGEST_RETRY_AFTER`, or than what is left of the call, ends the call at once with that error; in the
    first case further calls get the same error, without a request, until the server is ready again.
    """

    def __init__(self, inner: Provider, config: ProviderConfig, *, limiter: Limiter | None = None) -> None:
        self._inner = inner
        self._config = config
        self._limiter = limiter or Limiter()
        self._stopped = False
        self._closed: tuple[float, ProviderRateLimited] | None = None  # until when, and what the server said
        # stamina reports each retry as a warning; whoever called us gets the error, if there is one in the end.
        logging.getLogger("stamina").setLevel(logging.CRITICAL)

    @property
    def name(self) -> str:
        """The inner provider's name."""
        return self._inner.name

    @property
    def model(self) -> str:
        """The inner provider's model."""
        return self._inner.model

    @property
    def local(self) -> bool:
        """Whether the inner provider runs on this machine."""
        return self._inner.local

    @property
    def deterministic(self) -> bool:
        """Whether the inner provider always gives the same reply to the same request."""
        return self._inner.deterministic

    def stop(self) -> None:
        """Begin no further try. Those under way go on."""
        self._stopped = True

    async def aclose(self) -> None:
        """Close the inner provider."""
        await self._inner.aclose()

    async def complete(self, request: Request) -> Reply:
        """Ask, and ask again while the error is not final and there are tries and time left.

        Raises:
            ProviderError: the last try's.
        """
        return await self._ask(lambda: self._inner.complete(request))

    async def stream(self, request: Request, hear: Hear) -> Reply:
        """The same, heard while it comes. Once something was heard nothing is tried again: it is being paid for.

        Raises:
            ProviderError: the last try's.
        """
        inner = self._inner
        if not isinstance(inner, Streaming):
            return await self.complete(request)
        begun = False

        def listen(piece: str) -> None:
            nonlocal begun
            begun = True
            hear(piece)

        return await self._ask(lambda: inner.stream(request, listen), begun=lambda: begun)

    async def _ask(self, send: Callable[[], Awaitable[Reply]], *, begun: Callable[[], bool] = lambda: False) -> Reply:
        import stamina

        config = self._config
        last: ProviderError | None = None
        self._refuse_while_closed()
        try:
            async with asyncio.timeout(config.timeout * WHOLE_CALL) as clock:

                def decide(error: Exception) -> bool | float:
                    nonlocal last
                    if not isinstance(error, ProviderError):
                        return False
                    last = error
                    return not self._stopped and not begun() and _wait(error, _left(clock), jitter=config.retry_wait)

                async for attempt in stamina.retry_context(
                    on=decide,
                    attempts=1 + config.max_retries,
                    timeout=None,  # the clock around it knows of the queue, stamina does not
                    wait_initial=config.retry_wait,
                    wait_max=config.retry_wait * 16,
                    wait_jitter=config.retry_wait,
                ):
                    with attempt:
                        return await self._try(send, clock)
        except TimeoutError:
            raise last or self._too_slow() from None
        raise AssertionError("stamina ends with a result or an error")

    async def _try(self, send: Callable[[], Awaitable[Reply]], clock: asyncio.Timeout) -> Reply:
        async with self._place(clock) as started:
            self._refuse_while_closed()  # it may have closed while this call was queueing
            if self._stopped:
                raise ProviderError(f"{self.name} ({self.model}) was not asked any more: the run was stopped.")
            try:
                async with asyncio.timeout(self._config.timeout):
                    reply = await send()
            except TimeoutError:
                raise self._too_slow() from None
            except ProviderRateLimited as error:
                wait = error.retry_after or 0.0
                if wait > LONGEST_RETRY_AFTER:
                    self._closed = (asyncio.get_running_loop().time() + wait, error)
                else:
                    self._limiter.slow_down(started, wait)
                raise
            self._limiter.speed_up()
            return reply

    @asynccontextmanager
    async def _place(self, clock: asyncio.Timeout) -> AsyncGenerator[float]:
        """A place at the limiter, with the call's clock stopped while waiting for it."""
        left = _left(clock)
        clock.reschedule(None)
        async with self._limiter.place() as started:
            clock.reschedule(started + left)
            yield started

    def _refuse_while_closed(self) -> None:
        if self._closed is None:
            return
        until, error = self._closed
        left = until - asyncio.get_running_loop().time()
        if left > 0:
            raise ProviderRateLimited(error.message, hint=error.hint, retry_after=left)
        self._closed = None

    def _too_slow(self) -> ProviderTimeout:
        return timed_out(f"{self.name} ({self.model})", self._config.timeout)


def _left(clock: asyncio.Timeout) -> float:
    when = clock.when()
    assert when is not None, "the call's clock runs whenever an attempt does"
    return when - asyncio.get_running_loop().time()


def _wait(error: ProviderError, left: float, *, jitter: float) -> bool | float:
    """Whether to try again after ``error``; a number is the seconds to wait, ``True`` leaves that to stamina."""
    if error.final:
        return False
    if error.retry_after is None:
        return True
    if error.retry_after > min(LONGEST_RETRY_AFTER, left):
        return False
    import random

    return error.retry_after + random.uniform(0, jitter)  # noqa: S311 - spreads tries, guards nothing
