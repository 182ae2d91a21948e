"""The commands of the CI examples in the README, and those of docs/ci.md, run as a shell of a job would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from projects import copy_demo

README = Path(__file__).parents[2] / "README.md"
PAGE = README.parent / "docs/ci.md"


def example(name: str) -> Any:
    """The YAML block whose first line is a comment with this file's name."""
    (block,) = re.findall(rf"```yaml\n# {re.escape(name)}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    return YAML(typ="safe", pure=True).load(block)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return copy_demo(tmp_path / "demo")


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    programs = Path(sys.executable).parent
    return subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder,
        env={**os.environ, **environment, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_github(demo: Path, tmp_path: Path) -> None:
    steps = example(".github/workflows/descriptions.yml")["jobs"]["descriptions"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[0] == "pip install osmosis-synthesize"
    page = tmp_path / "page.md"
    check, drift = (shell(command, demo, GITHUB_STEP_SUMMARY=str(page)) for command in commands[1:])
    assert check.returncode == 1
    assert len(re.findall(r"(?m)^::error file=models/", check.stdout)) > 50
    assert "% of" in page.read_text("utf-8")
    assert "| place | what |" in (demo / "descriptions.md").read_text("utf-8")
    assert (drift.returncode, drift.stdout) == (0, "")


def test_gitlab(demo: Path) -> None:
    job = example(".gitlab-ci.yml")["descriptions"]
    install, command = job["script"]
    assert install == "pip install osmosis-synthesize"
    assert shell(command, demo).returncode == 1
    found = json.loads((demo / job["artifacts"]["reports"]["codequality"]).read_text("utf-8"))
    assert len(found) > 50
    assert {"description", "fingerprint", "location"} <= found[0].keys()


def test_the_commands_for_a_whole_project_are_commands(demo: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    assert len(lines) == 8
    for line in lines:
        done = shell(line, demo)  # without a key: what needs one says so, and nothing is misunderstood
        assert "usage:" not in done.stderr, line
        assert "OPENAI_API_KEY" in done.stdout + done.stderr or done.returncode in {0, 1}, line
