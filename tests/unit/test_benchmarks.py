"""The benchmarks run, on a small size; what they say is for people to measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "bench"
# Read at import: the tests' own environment is free of OSMOSIS_… variables.
DBT_OSMOSIS = os.environ.get("OSMOSIS_TEST_DBT_OSMOSIS")


def figures(tmp_path: Path, name: str, *arguments: str) -> dict[str, object]:
    file = tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, FOLDER / name, "--size", "small", "--turns", "2", "--json", file, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "missed" not in run.stdout, "goals are for the full size"
    found = json.loads(file.read_text(encoding="utf-8"))
    assert all(0 < row["low"] <= row["ratio"] <= row["high"] for row in found["rows"])
    return found


def test_manifest(tmp_path: Path) -> None:
    found = figures(tmp_path, "manifest.py")
    assert found["models"] == 300
    assert len(found["rows"]) == 2


def test_start(tmp_path: Path) -> None:
    rows = figures(tmp_path, "start.py")["rows"]
    assert [row["name"] for row in rows][:2] == ["import of the package", "--help"]


def test_cache(tmp_path: Path) -> None:
    assert figures(tmp_path, "cache.py")["reads"] == 200


def test_schedule(tmp_path: Path) -> None:
    found = figures(tmp_path, "schedule.py")
    assert (found["models"], found["depth"], found["gaps"]) == (30, 6, 300)


@pytest.mark.xdist_group("dbt-osmosis")
@pytest.mark.skipif(DBT_OSMOSIS is None, reason="OSMOSIS_TEST_DBT_OSMOSIS names no Python with dbt-osmosis")
def test_rival(tmp_path: Path) -> None:
    assert DBT_OSMOSIS is not None
    found = figures(tmp_path, "rival.py", "--dbt-osmosis", DBT_OSMOSIS)
    ours, theirs = found["work"]["osmosis-synthesize"], found["work"]["dbt-osmosis"]
    assert ours["gaps_left"] == 0
    assert ours["calls"] * 3 < theirs["calls"]
    assert ours["prompt_tokens"] < theirs["prompt_tokens"]
    assert found["killed at half and run again"]["osmosis-synthesize"]["repeated"] == 0
