"""Has the user's own dbt bring the manifest up to date."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from osmosis_synthesize import own_dbt
from osmosis_synthesize.settings.keys import reveals_secret

LONGEST: Final = 120.0
"""Seconds that a project may take to be parsed; large ones take a minute without dbt's own cache."""

_Process = subprocess.Popen[str]


def dbt_parse(project_dir: Path, *, seconds: float | None) -> str | None:
    """Run ``dbt parse`` in a project, without questions and telemetry; gives why that failed, if it did.

    ``seconds`` is a limit below :data:`LONGEST`. The ``dbt`` is the one that the shell would find.
    """
    program = own_dbt.program("dbt")
    if program is None:
        return "`dbt parse` was not run: there is no dbt on the PATH."
    limit = min(LONGEST, LONGEST if seconds is None else seconds)
    try:
        process = subprocess.Popen(  # noqa: S603 - the user asked for dbt, and this is the shell's
            [program, "parse", "--project-dir", str(project_dir)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            **own_dbt.in_project(project_dir),
        )
    except OSError as error:
        return f"`dbt parse` was not run: {program}: {error.strerror or error}."
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _end(process)
        return f"`dbt parse` did not end within {limit:g} s, and was stopped."
    except BaseException:  # interrupted, it must not go on alone
        _end(process)
        raise
    if process.returncode:
        why = _why(said)
        known = f": {why}." if why and not reveals_secret(why, os.environ) else "."
        return f"`dbt parse` failed with exit code {process.returncode}{known}"
    return None


def _why(said: str) -> str:
    """The first error that dbt names, with the line after it, which often tells more; else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    named = (at for at, line in enumerate(lines) if "error" in line.lower() and line[-1] not in ":=")
    at = next(named, len(lines) - 1)
    return " ".join(lines[at : at + 2]).rstrip(".")


def _end(process: _Process) -> None:
    own_dbt.end(process.pid)
    process.communicate()
