"""``osmosis-synthesize demo``: the main job on the project that comes with the package, without key, network or dbt."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path

from osmosis_hooks.estimate import lines
from osmosis_hooks.output import unified_diff
from osmosis_hooks.run import fill, tell
from osmosis_synthesize.errors import UsageError, WriteError
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings
from osmosis_synthesize.store import Store


def main(options: argparse.Namespace) -> int:
    """Exit code 0 once the demo is filled; run again, it finds what it can fill filled."""
    folder: Path = options.directory
    _copy_to(folder)
    # The demo is about this package, not about the keys and settings of whoever tries it.
    settings = load_settings(folder, overrides={"provider": "facts"}, environ={})
    with Store.open() as store:
        project = Project(folder, settings)
        gaps = project.survey(Request(whole_project=True)).gaps
        plan = asyncio.run(project.plan(gaps, project.caller(store)))
        outcomes = asyncio.run(fill(project, gaps, project.caller(store), write=True))
    sys.stdout.writelines(unified_diff(project.drafts.changes()))
    print("\nThe plan was:\n")
    for line in lines(plan):
        print(f"  {line}")
    print("\nWhat was done:\n")
    tell(project, outcomes, sys.stdout)
    print(f"\nThe demo is in {folder}. See what a model would be asked there, and what that would cost:")
    print(f"  osmosis-synthesize estimate --all --project-dir {folder} --llm-provider openai")
    return 2 if project.unwritten else 0


def _copy_to(folder: Path) -> None:
    """Copy the demo, unless it is there already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if (folder / "dbt_project.yml").is_file() and _name_of(folder) == _name_of_demo():
            return
        raise UsageError(
            f"{folder} exists and is not the demo.", hint="Name a folder that is empty or does not exist."
        )
    try:
        with as_file(files("osmosis_synthesize") / "demo") as source:
            shutil.copytree(
                source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.py[co]")
            )
    except OSError as error:
        raise WriteError(f"The demo was not copied to {folder}: {error.strerror or error}.", path=folder) from error


def _name_of(folder: Path) -> str:
    from osmosis_synthesize.discovery import load_project

    return load_project(folder).name


def _name_of_demo() -> str:
    with as_file(files("osmosis_synthesize") / "demo") as source:
        return _name_of(source)
