"""How near a run comes to the least time that its calls can take.

    python tests/bench/schedule.py [--size small|full] [--turns 3] [--json PATH]

200 models in six layers have 2,000 gaps; each call takes 300 ms, and 16 are under way at once. The bound is the longer one of
two: the calls along the longest path one after the other, or all calls 16 at a time. Nothing is cached. The server is a process
of its own, as providers are; what the first call of a process has to import was imported by a run that does not count.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from generate_manifest import Size, schema_path, tables, write_project
from paired import Comparison, arguments, report

from osmosis_hooks.cli import main as osmosis
from servers import FakeLLMServer

AT_ONCE = 16
DELAY = 0.3


class Run(NamedTuple):
    """One run, in seconds."""

    taken: float
    cpu: float
    """Of this process."""
    bound: float
    calls: int
    filled: int

    @property
    def ratio(self) -> float:
        """How many times the bound it took."""
        return self.taken / self.bound


def serve(told: Connection) -> None:
    """Say the server's address, then, when asked to, how many requests came and how many were under way at once at most."""
    with FakeLLMServer(delay=DELAY) as server:
        told.send(server.url)
        told.recv()
        told.send((len(server.requests), server.most_at_once()))


@contextlib.contextmanager
def server() -> Generator[Connection]:
    """A server in another process, and the way to ask it."""
    context = multiprocessing.get_context("spawn")
    asking, told = context.Pipe()
    process = context.Process(target=serve, args=(told,))
    process.start()
    try:
        yield asking
    finally:
        asking.close()
        process.join()


def run(size: Size) -> Run:
    """Fill the gaps of a new project."""
    with tempfile.TemporaryDirectory() as folder, server() as asking:
        url: str = asking.recv()
        project = Path(folder)
        write_project(project, size)
        os.environ["OSMOSIS_CACHE_DIR"] = str(project / "cache")
        files = sorted({str(project / schema_path(table, size)) for table in tables(size) if table.layer >= 0})
        chosen = ["--llm-provider", "openai", "--llm-model", "made-up", "--llm-base-url", f"{url}/v1"]
        said = io.StringIO()
        started, cpu = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(said):
            assert osmosis(["run", *files, *chosen, "--llm-concurrency", str(AT_ONCE)]) == 1
        taken, cpu = time.perf_counter() - started, time.process_time() - cpu
        asking.send(None)
        calls, most = asking.recv()
        assert most <= AT_ONCE
    summary = said.getvalue().splitlines()[-1]
    assert " 0 left" in summary, summary
    filled = int(summary.split()[0].replace(",", ""))
    return Run(taken, cpu, max(size.depth * DELAY, calls * DELAY / AT_ONCE), calls, filled)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    options = arguments(__doc__, argv)
    size = Size(models=200 if options.size == "full" else 30, columns=9, documented=0.0, tests=0, macros=0)
    os.environ |= {"OPENAI_API_KEY": "sk-made-up"}
    run(size)
    runs = [run(size) for _ in range(options.turns)]
    low, middle, high = statistics.quantiles((one.ratio for one in runs), n=4, method="inclusive")
    filled, calls = runs[0].filled, runs[0].calls
    row = Comparison(
        f"{filled:,} gaps in {size.models} models, {calls} calls",
        "the bound",
        statistics.median(one.taken for one in runs) * 1000,
        statistics.median(one.bound for one in runs) * 1000,
        middle,
        low,
        high,
        float(Fraction(115, 100)),
    )
    cpu = statistics.median(one.cpu for one in runs)
    facts = {
        "gaps": filled,
        "models": size.models,
        "depth": size.depth,
        "calls": calls,
        "at_once": AT_ONCE,
        "cpu": cpu,
    }
    report([row], options, **facts)
    print(f"our own work: {cpu:.2f} s of a processor")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
