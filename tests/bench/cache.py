"""How fast a cached reply is found by several processes at once, against a bare SQLite read of the same row.

    python tests/bench/cache.py [--size small|full] [--turns 7] [--json PATH]

Eight processes wait for each other, then each reads the rows of 500 replies; ours by the cache, theirs by one `SELECT`. Of both
the processes' own time counts, so that eight processes on two cores are no matter.
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from paired import arguments, compare, report

from osmosis_synthesize.cache import Cache, CachedReply
from osmosis_synthesize.providers.base import Reply, Usage
from osmosis_synthesize.store import Store

TEXT = '{"description": "' + "What the model holds, in words. " * 8 + '"}'


def key_of(number: int) -> str:
    """The key of a reply."""
    return f"{number:064x}"


def fill(folder: Path, replies: int) -> Path:
    """A store with so many replies; the path of its database."""
    with Store.open(folder) as store:
        cache = Cache(store)
        for number in range(replies):
            reply = Reply(TEXT, Usage(900, 60), "made-up", "stop")
            cache.put(key_of(number), CachedReply(reply, "openai", "made-up", Decimal("0.0004"), time.time()))
        return store.path


def by_the_cache(folder: Path, replies: int, rounds: int, start: Barrier, seconds: Any) -> None:
    """Read all replies ``rounds`` times by the cache."""
    with Store.open(folder) as store:
        cache = Cache(store)
        assert cache.get(key_of(0)) is not None
        start.wait()
        started = time.process_time()
        for _ in range(rounds):
            for number in range(replies):
                found = cache.get(key_of(number))
                assert found is not None
                assert found.reply.text == TEXT
        seconds.put(time.process_time() - started)


def by_a_select(database: Path, replies: int, rounds: int, start: Barrier, seconds: Any) -> None:
    """Read all rows ``rounds`` times by the one statement that it takes."""
    connection = sqlite3.connect(database)
    names = [row[1] for row in connection.execute("PRAGMA table_info(reply)") if row[1] != "key"]
    select = f"SELECT {', '.join(names)} FROM reply WHERE key = ?"
    assert TEXT in connection.execute(select, (key_of(0),)).fetchone()
    start.wait()
    started = time.process_time()
    for _ in range(rounds):
        for number in range(replies):
            assert connection.execute(select, (key_of(number),)).fetchone() is not None
    seconds.put(time.process_time() - started)
    connection.close()


def together(processes: int, work: Callable[[Barrier, Any], None]) -> float:
    """Seconds that so many processes took together for the same work, without their start."""
    context = multiprocessing.get_context("spawn")
    start, seconds = context.Barrier(processes), context.Queue()
    running = [context.Process(target=work, args=(start, seconds)) for _ in range(processes)]
    for process in running:
        process.start()
    taken = sum(seconds.get(timeout=120) for _ in running)
    for process in running:
        process.join()
    return taken


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    options = arguments(__doc__, argv)
    processes, replies, rounds = (8, 500, 20) if options.size == "full" else (2, 50, 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = fill(folder, replies)
        clock = _Clock()
        row = compare(
            f"a cached reply, {processes} processes at once",
            lambda: clock.add(together(processes, partial(by_the_cache, folder, replies, rounds))),
            "a bare SELECT",
            lambda: clock.add(together(processes, partial(by_a_select, database, replies, rounds))),
            goal=Fraction(3),
            turns=options.turns,
            clock=clock,
        )
        report([row], options, processes=processes, reads=processes * replies * rounds)
    return 0


class _Clock:
    """Goes on by what the processes say they took."""

    def __init__(self) -> None:
        self.now = 0.0

    def add(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


if __name__ == "__main__":
    raise SystemExit(main())
