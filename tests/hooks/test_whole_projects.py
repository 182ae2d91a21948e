"""Whole projects: the memory that a run takes hardly grows with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.generate_manifest import Size, write_project

# At full size: FULL_SIZE_TESTS=1 pytest -s tests/hooks/test_whole_projects.py
FULL_SIZE = os.environ.get("FULL_SIZE_TESTS") == "1"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the most memory that a process had is read from /proc"
)

RUN = """
import os, sys
from osmosis_hooks.cli import main
try:
    code = main(sys.argv[1:])
finally:
    lines = open("/proc/self/status", encoding="ascii").read().splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), *os.times()[:4], file=sys.stderr)
sys.exit(code)
"""


class Ran(NamedTuple):
    """What a run took, and what it said."""

    megabytes: float
    """The most that the process itself had at once; those that trace lineage have some 60 MB each."""
    seconds: float
    """Of all cores."""
    report: dict[str, list[dict[str, object]]]


def run(project: Path, cache: Path, *arguments: str, code: int = 1) -> Ran:
    report = cache.with_suffix(".json")
    words = ["run", "--all", "--inherit-only", "--quiet", "--json", str(report), *arguments]
    # What counts the lines that tests reach takes memory itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ran = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=project,
        env={**environment, "OSMOSIS_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, ran.stderr
    kilobytes, *seconds = ran.stderr.splitlines()[-1].split()
    return Ran(int(kilobytes) / 1000, sum(map(float, seconds)), json.loads(report.read_text("utf-8")))


def generated(folder: Path, models: int) -> Path:
    write_project(folder, Size(models=models))
    return folder


def test_memory_grows_by_few_bytes_a_model(tmp_path: Path) -> None:
    small, large = (
        run(generated(tmp_path / str(models), models), tmp_path / f"cache-{models}").megabytes
        for models in (200, 600)
    )
    each = (large - small) / 400
    assert each < 0.056, (
        f"{each * 1000:.0f} kB a model of 20 columns; {small:.0f} MB with 200, {large:.0f} MB with 600"
    )


@pytest.mark.skipif(not FULL_SIZE, reason="it takes minutes")
def test_ten_thousand_models(tmp_path: Path) -> None:
    project = generated(tmp_path / "project", 10_000)
    first = run(project, tmp_path / "cache")
    again = run(project, tmp_path / "cache", code=0)
    print(
        f"\n{first.megabytes:.0f} MB and {first.seconds:.0f} s of CPU; again {again.megabytes:.0f} MB, {again.seconds:.0f} s"
    )
    assert len(first.report["filled"]) > 60_000
    assert (len(again.report["filled"]), len(again.report["gaps"])) == (0, len(first.report["gaps"]))
    assert max(first.megabytes, again.megabytes) < 400
