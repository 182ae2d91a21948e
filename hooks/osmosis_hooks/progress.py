"""How far a run is: a bar on a terminal, a line now and then elsewhere. Always on standard error."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TextIO

from osmosis_hooks.output import count, usd
from osmosis_synthesize.engine.model import NodeOutcome, Spent

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_SECONDS: Final = 10.0
"""How long nothing is said between two lines."""


class Progress(Protocol):
    """What a run tells of each node that is finished."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, *error: object) -> None:
        """End, whatever has happened."""
        ...

    def finished(self, outcome: NodeOutcome) -> None:
        """One node more is done."""
        ...


def progress_of(nodes: int, out: TextIO, *, quiet: bool) -> Progress:
    """What suits the place where the run is told of: nothing, lines, or a bar where `rich` is installed."""
    if quiet or not nodes:
        return Silence()
    if out.isatty() and os.environ.get("TERM") != "dumb":
        try:
            return Bar(nodes, out)
        except ImportError:  # it comes with the extra `progress`
            pass
    return Lines(nodes, out)


class Silence:
    """Says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def finished(self, outcome: NodeOutcome) -> None:
        """One node more is done."""


class Lines:
    """A line every ten seconds, so that a short run says nothing and a long one is seen to go on."""

    def __init__(self, nodes: int, out: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._nodes = nodes
        self._out = out
        self._clock = clock
        self._done = 0
        self._spent = Spent()
        self._started = self._said = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def finished(self, outcome: NodeOutcome) -> None:
        """One node more is done."""
        self._done += 1
        self._spent += outcome.spent
        now = self._clock()
        if now - self._said >= _EVERY_SECONDS:
            self._said = now
            left = (now - self._started) / self._done * (self._nodes - self._done)
            print(
                f"{self._done:,} of {count(self._nodes, 'node')}, {spent(self._spent)}, about {duration(left)} left",
                file=self._out,
                flush=True,
            )


class Bar:
    """One line that is painted anew: nodes, calls, money, time left. Without colours where ``NO_COLOR`` is set.

    Raises:
        ImportError: `rich` is not installed.
    """

    def __init__(self, nodes: int, out: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._spent = Spent()
        self._bar: Any = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[spent]}"),
            TimeRemainingColumn(),
            console=Console(file=out),
            transient=True,
        )
        self._task = self._bar.add_task("nodes", total=nodes, spent="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def finished(self, outcome: NodeOutcome) -> None:
        """One node more is done."""
        self._spent += outcome.spent
        self._bar.update(self._task, advance=1, spent=spent(self._spent))


def spent(amount: Spent) -> str:
    """``35 calls, $0.02``."""
    return f"{count(amount.calls, 'call')}, {usd(amount.cost)}" if amount.calls else "no calls"


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
