"""Work beside the requests: tasks that are held until they end, and one thread for what takes long.

pygls's own pool is no place for work: the reader of standard input lives in it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from osmosis_synthesize.threads import do

if TYPE_CHECKING:
    from osmosis_synthesize.engine.call import Caller

T = TypeVar("T")

_Item = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Worker:
    """One thread that does one piece of work after the other, apart from the event loop.

    It never keeps the process alive: whoever has it do something keeps the pieces small and what they write atomic.
    """

    def __init__(self) -> None:
        self._queue: Final = queue.SimpleQueue[_Item]()
        self._thread: threading.Thread | None = None

    async def do(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which must not touch what belongs to the event loop.

        Cancelled while it waits, it is not started; cancelled later, it is finished and its result dropped.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="osmosis-worker", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put((loop, future, work))
        return await future

    def _serve(self) -> None:
        while True:
            self._serve_one()

    def _serve_one(self) -> None:
        """In a function of its own, so that what was worked on is not kept until the next piece comes."""
        loop, future, work = self._queue.get()
        if not future.cancelled():
            do(loop, future, work)


class Run:
    """Something that calls a provider, and that the user may stop. What is done by then is kept."""

    def __init__(self, token: str | int) -> None:
        """``token`` is that of its progress, by which the client names it."""
        self.token: Final = token
        self._stop: Final = asyncio.get_running_loop().create_future()

    @property
    def stopped(self) -> bool:
        """Whether the user has had enough."""
        return self._stop.done()

    async def wait_for(self, work: asyncio.Task[Any], caller: Caller) -> bool:
        """Wait until ``work``, a job that asks by way of ``caller``, has ended; its error is raised here.

        Gives ``False`` at once if the run is stopped before that. Nothing more is asked then. A call under way that is
        paid for in any case goes on beside, so that its reply reaches the cache; any other is cancelled.
        """
        if not await self.outlasts(work):
            if caller.keeps:
                caller.stop()
            else:
                work.cancel()
            return False
        if not work.cancelled() and (error := work.exception()) is not None:
            raise error
        return not work.cancelled()

    async def outlasts(self, work: asyncio.Task[Any], *, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - asyncio.wait's
        """Wait until ``work`` has ended, the run is stopped, or so many seconds are over; whether it was the first."""
        await asyncio.wait({work, self._stop}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return work.done()

    def stop(self) -> None:
        """End the wait."""
        if not self._stop.done():
            self._stop.set_result(None)


class Jobs:
    """Background tasks. Each is held until it ends, and its error, if it has one, is told."""

    def __init__(self, tell: Callable[[str, BaseException], None]) -> None:
        """``tell`` is given the name and the error of a task that failed."""
        self._tell: Final = tell
        self._tasks: Final = set[asyncio.Task[Any]]()
        self._keyed: Final = dict[object, asyncio.Task[Any]]()

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: object) -> bool:
        """Whether something was started under a key that has not ended."""
        return key in self._keyed

    def start(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run ``work`` in the background."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def restart(
        self, key: object, work: Callable[[], Coroutine[Any, Any, None]], *, name: str, after: float = 0.0
    ) -> None:
        """Run ``work`` after so many seconds, in place of what was started under the same key and has not ended."""
        self.stop(key)

        async def wait() -> None:
            await asyncio.sleep(after)
            await work()

        task = self._keyed[key] = self.start(wait(), name=name)
        task.add_done_callback(lambda done: self._forget(key, done))

    def stop(self, key: object) -> None:
        """Cancel what was started under a key."""
        task = self._keyed.pop(key, None)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        """Cancel everything."""
        for task in list(self._tasks):
            task.cancel()

    def _forget(self, key: object, task: asyncio.Task[Any]) -> None:
        if self._keyed.get(key) is task:
            del self._keyed[key]

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._tell(task.get_name(), error)
