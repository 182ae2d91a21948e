"""Two ways of doing the same, timed in turns (A B A B …), so that a machine that slows down slows down both.

What is reported is the ratio of the two times of each turn: its median, and the range that holds the middle half of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of a table: times are medians in milliseconds, ratios ours ÷ theirs."""

    name: str
    against: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    goal: float | None
    """What the ratio should be at most."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; ``None`` where there is none."""
        return None if self.goal is None else self.ratio <= self.goal


def compare(
    name: str,
    ours: Callable[[], object],
    against: str,
    theirs: Callable[[], object],
    *,
    goal: Fraction | None = None,
    turns: int = 5,
    ours_times: int = 1,
    clock: Callable[[], float] = time.process_time,
) -> Comparison:
    """Time both in turns, after one of each that does not count. ``ours_times``: how often ours runs in a turn.

    The time is the process's own, so that a busy machine matters little; whatever waits needs ``time.perf_counter``.
    """
    ours()
    theirs()
    pairs = [(seconds(ours, ours_times, clock), seconds(theirs, 1, clock)) for _ in range(turns)]
    ratios = [one / other for one, other in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Comparison(
        name,
        against,
        statistics.median(one for one, _ in pairs) * 1000,
        statistics.median(other for _, other in pairs) * 1000,
        middle,
        low,
        high,
        float(goal) if goal is not None else None,
    )


def seconds(what: Callable[[], object], times: int, clock: Callable[[], float]) -> float:
    """How long one call takes, on average of ``times``."""
    gc.collect()
    started = clock()
    for _ in range(times):
        what()
    return (clock() - started) / times


def arguments(doc: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    """The options that every benchmark has: ``size``, ``turns`` and ``json``."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--size", choices=("small", "full"), default="full", help="small: only to see that it runs")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file, too")
    options = parser.parse_args(argv)
    if options.turns < 2:
        parser.error("a spread needs two turns")
    return options


def report(comparisons: Sequence[Comparison], options: argparse.Namespace, **facts: Any) -> None:
    """Print a table, and write the figures where ``--json`` says."""
    if options.size == "small":  # the goals are for the full size
        comparisons = [replace(row, goal=None) for row in comparisons]
    head = ("", "ours", "theirs", "ratio", "middle half", "goal", "against")
    rows = [head, *map(_cells, comparisons)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if options.json is not None:
        figures = {
            "size": options.size,
            "turns": options.turns,
            "python": platform.python_version(),
            "machine": platform.machine(),
            **facts,
            "rows": [{**asdict(row), "met": row.met} for row in comparisons],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _cells(row: Comparison) -> tuple[str, ...]:
    goal = "" if row.goal is None else f"{'' if row.met else 'missed: '}{_figure(row.goal)}"
    times = f"{row.ours:.2f} ms", f"{row.theirs:.2f} ms"
    return row.name, *times, _figure(row.ratio), f"{_figure(row.low)} to {_figure(row.high)}", goal, row.against


def _figure(ratio: float) -> str:
    """``1.23``, or ``1/45`` where ours is much faster."""
    return f"1/{1 / ratio:.3g}" if ratio < 1 / 3 else f"{ratio:.2f}"
