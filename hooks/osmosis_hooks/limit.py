"""How long a command may take in all."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN: Final = 0.01
"""Seconds after which the alarm rings again where it was not heard."""


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
        with _alarm(left):
            yield
        if not self.left:  # the alarm rang where whoever heard it went on all the same
            raise TimeUp


@contextmanager
def _alarm(seconds: float) -> Generator[None]:
    """Raise :class:`TimeUp` inside after so many seconds.

    It may be raised anywhere, so also in a callback (of a weak reference, a finalizer), of whose exceptions Python makes a mere
    message: the alarm then rings again.
    """
    handler, hook = signal.getsignal(signal.SIGALRM), sys.unraisablehook

    def lost(unraisable: UnraisableHookArgs) -> None:
        if isinstance(unraisable.exc_value, TimeUp):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        else:
            hook(unraisable)

    signal.signal(signal.SIGALRM, _ring)
    sys.unraisablehook = lost
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        sys.unraisablehook = hook


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise TimeUp
