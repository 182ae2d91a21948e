"""The benchmark of lineage runs, and finds sqlglot of the same mind on every column it asks about."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "bench" / "lineage.py"


def test_the_benchmark_runs_on_a_small_size(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    sizes = ["--models", "20", "--columns", "6", "--compared", "6", "--rounds", "1"]
    run = subprocess.run(
        [sys.executable, SCRIPT, *sizes, "--json", figures], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["models"] == 20
    assert found["without_lineage"] == 0
    assert (found["same_answers"], found["different_answers"]) == (36, 0)
    assert "times faster than sqlglot" in run.stdout
