"""One event loop for the providers of this process, in a thread of its own.

A provider's connections belong to the loop they were opened in. With one loop for all, a provider serves any thread and any
loop, one call after another, and a synchronous function works where a loop is running already (a notebook, a server).
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Coroutine

T = TypeVar("T")

_lock = threading.Lock()
_loops: dict[int, AbstractEventLoop] = {}
"""By process, because threads do not survive a fork."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; this thread waits for it."""
    import asyncio

    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()  # without effect unless it was the waiting that was interrupted
        raise


async def on_loop(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; only this task waits for it, and takes it along when it is cancelled."""
    import asyncio

    loop = _loop()
    if asyncio.get_running_loop() is loop:
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


def _loop() -> AbstractEventLoop:
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = _start()
        return loop


def _start() -> AbstractEventLoop:
    import asyncio
    import atexit

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="osmosis-llm", daemon=True)
    thread.start()

    def stop() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    atexit.register(stop)
    return loop
