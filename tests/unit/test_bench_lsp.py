"""The benchmark of the language server runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "bench" / "lsp.py"


def test_the_benchmark_runs_on_a_small_size(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, SCRIPT, "--small", "--turns", "4", "--json", figures],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert {row["name"] for row in found["rows"]} >= {"hover on a column", "code lens", "a character in a name"}
    assert all(0 < row["median"] <= row["p95"] for row in found["rows"])
    assert "hover on a column" in run.stdout
