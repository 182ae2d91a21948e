"""The benchmark of schema files runs, and does the same work on both sides."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "bench" / "document.py"


def test_the_benchmark_runs_on_a_small_size(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, SCRIPT, "--size", "small", "--turns", "2", "--json", figures],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert (found["models"], found["columns"], found["slots"]) == (10, 5, 60)
    assert len(found["rows"]) == len(run.stdout.splitlines()) - 1
    assert all(row["low"] <= row["ratio"] <= row["high"] for row in found["rows"])
    assert "missed" not in run.stdout
