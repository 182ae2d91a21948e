"""The command line, called in this process or as one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from git_repositories import Tools, make_tools
from osmosis_hooks.cli import main
from servers import FakeLLMServer

REPORT = json.loads((files("osmosis_synthesize") / "report.schema.json").read_text("utf-8"))
"""The schema of a run's report."""


@dataclass(frozen=True)
class Result:
    """What a command line ended with."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """What it printed, as a report of a run that keeps to the schema."""
        report = json.loads(self.out)
        jsonschema.validate(
            report, json.loads((files("osmosis_synthesize") / "report.schema.json").read_text("utf-8"))
        )
        return report


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """The hooks of this working tree, and real programs that run them; the hooks' environments are made once."""
    return make_tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs a command line in this process, where no connection but to loopback can be made unnoticed."""

    def call(*arguments: object) -> Result:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as left:  # argparse's way to say that the command line is wrong
            code = int(left.code or 0)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture
def server() -> Iterator[FakeLLMServer]:
    """A provider that answers whatever it is asked."""
    with FakeLLMServer() as server:
        yield server


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Begins a command line in a process of its own, in which warnings are errors."""

    def start(*arguments: object, cwd: Path, environ: dict[str, str] | None = None, **options: Any):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "osmosis_hooks.cli", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | (environ or {}),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    return start
