"""SIGKILL at any moment of a run: each file is an old or a new one, whole, and the next run finishes what is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from projects import copy_demo, strip_descriptions, texts, unfolded

# At full size: FULL_SIZE_TESTS=1 pytest tests/hooks/test_cli_kills.py
KILLS = 1000 if os.environ.get("FULL_SIZE_TESTS") else 4

Start = Callable[..., subprocess.Popen[str]]


def is_between(before: str, text: str, after: str) -> bool:
    """Whether a text has all lines of the one, and only such as the other has, in its order."""

    def is_part(lines: list[str], of: list[str]) -> bool:
        rest = iter(of)
        return all(line in rest for line in lines)

    return is_part(before.split("\n"), text.split("\n")) and is_part(text.split("\n"), after.split("\n"))


def test_a_killed_run_leaves_whole_files_and_is_finished_by_the_next(start: Start, tmp_path: Path) -> None:
    project = copy_demo(tmp_path / "demo")
    strip_descriptions(project)
    before = texts(project)

    def restore() -> None:
        for path, text in before.items():
            (project / path).write_text(text, "utf-8")

    def run() -> subprocess.Popen[str]:
        return start("run", "--all", "--offline", "--facts", cwd=project)

    run().communicate()
    after = texts(project)
    assert before != after
    restore()
    started = time.monotonic()
    run().communicate()  # what the first one traced is kept
    duration = time.monotonic() - started
    chance = random.Random(int(os.environ.get("PYTEST_XDIST_TESTRUNUID", "1")[:8], 16))
    for _ in range(KILLS):
        restore()
        killed = run()
        time.sleep(duration * chance.uniform(0.4, 1))  # the moment is a random one; before, nothing is written
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        for path, text in texts(project).items():
            assert is_between(*map(unfolded, (before[path], text, after[path])))
    run().communicate()
    assert {path: unfolded(text) for path, text in texts(project).items()} == {
        path: unfolded(text) for path, text in after.items()
    }
