"""Time that a test lets pass, so that what waits for long can be tested at once and on a slow machine too."""

from __future__ import annotations

import asyncio


class Clock:
    """The running event loop's time, which jumps ahead when told to."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        self._ahead = 0.0
        loop.time = lambda: real() + self._ahead  # type: ignore[method-assign]

    def advance(self, seconds: float) -> None:
        """What was to happen within so many seconds is due now."""
        self._ahead += seconds
