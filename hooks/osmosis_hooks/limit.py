"""How long a command may take in all."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final


class TimeUp(BaseException):
    """The time is up. Not an ``Exception``, so that nothing on the way takes it for a failure that it can get over."""


class TimeLimit:
    """A moment by which a command has to come to its end; none if ``seconds`` is ``None``."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds: Final = seconds
        self.ends: Final = None if seconds is None else time.monotonic() + seconds
        """By :func:`time.monotonic`."""

    @property
    def left(self) -> float | None:
        """Seconds, 0 at least; ``None`` without a limit."""
        return None if self.ends is None else max(0.0, self.ends - time.monotonic())

    @property
    def reason(self) -> str:
        """Why something was not done."""
        return f"the time limit of {self.seconds:g} s ran out"

    @contextmanager
    def enforced(self) -> Generator[None]:
        """Break off what is done inside, wherever it is. For work that leaves nothing half done.

        Where the system has no timer for that (Windows), or another thread than the main one asks, it is only checked before.

        Raises:
            TimeUp: the time is up.
        """
        left = self.left
        if left is None:
            yield
            return
        if not left:
            raise TimeUp
        if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise TimeUp
