"""The command line, called in this process or as one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from git_repositories import Tools, make_tools
from osmosis_hooks.cli import main


@dataclass(frozen=True)
class Result:
    """What a command line ended with."""

    code: int
    out: str
    err: str


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
