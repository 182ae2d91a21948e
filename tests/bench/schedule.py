"""How near a run comes to the least time that its calls can take.

    python tests/bench/schedule.py [--size small|full] [--turns 3] [--json PATH]

200 models in six layers have 2,000 gaps; each call takes 300 ms, and 16 are under way at once. The bound is the longer one of
two: the calls along the longest path one after the other, or all calls 16 at a time.
"""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from generate_manifest import Size, schema_path, tables, write_project
from paired import Comparison, arguments, report

from osmosis_hooks.cli import main as osmosis
from servers import FakeLLMServer

AT_ONCE = 16
DELAY = 0.3


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    options = arguments(__doc__, argv)
    size = Size(models=200 if options.size == "full" else 30, columns=9, documented=0.0, tests=0, macros=0)
    os.environ |= {"OPENAI_API_KEY": "sk-made-up"}
    taken: list[float] = []
    bounds: list[float] = []
    calls = filled = 0
    for _ in range(options.turns):
        with tempfile.TemporaryDirectory() as folder, FakeLLMServer(delay=DELAY) as server:
            project = Path(folder)
            write_project(project, size)
            os.environ["OSMOSIS_CACHE_DIR"] = str(project / "cache")
            files = sorted({str(project / schema_path(table, size)) for table in tables(size) if table.layer >= 0})
            chosen = ["--llm-provider", "openai", "--llm-model", "made-up", "--llm-base-url", f"{server.url}/v1"]
            said = io.StringIO()
            started = time.perf_counter()
            with contextlib.redirect_stdout(said):
                assert osmosis(["run", *files, *chosen, "--llm-concurrency", str(AT_ONCE)]) == 1
            taken.append(time.perf_counter() - started)
            calls = len(server.requests)
            bounds.append(max(size.depth * DELAY, calls * DELAY / AT_ONCE))
            summary = said.getvalue().splitlines()[-1]
            filled = int(summary.split()[0].replace(",", ""))
            assert " 0 left" in summary, summary
            assert server.most_at_once() <= AT_ONCE
    ratios = [one / bound for one, bound in zip(taken, bounds, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    row = Comparison(
        f"{filled:,} gaps in {size.models} models, {calls} calls",
        "the bound",
        statistics.median(taken) * 1000,
        statistics.median(bounds) * 1000,
        middle,
        low,
        high,
        float(Fraction(115, 100)),
    )
    report([row], options, gaps=filled, models=size.models, depth=size.depth, calls=calls, at_once=AT_ONCE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
