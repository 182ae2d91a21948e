"""From the command line to open projects and what is asked of each."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from osmosis_synthesize.discovery import find_project, projects_of
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.errors import ProjectNotFound, UsageError
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings


def requests(options: argparse.Namespace) -> Iterator[tuple[Project, Request]]:
    """Each project that the command line means, with what it asks of it.

    Raises:
        UsageError: nothing is named, or a file does not exist.
        ProjectError: a file belongs to no project, or its project cannot be read.
    """
    files = _existing(options.files)
    select = tuple(options.select)
    add_columns = bool(vars(options).get("add_columns"))
    if options.all and files:
        raise UsageError(
            "--all means every schema file, so files cannot be named with it.", hint="Leave one of them out."
        )
    whole = options.all or (not files and bool(select))
    if not files and not whole:
        raise UsageError("Nothing to do: no file is named.", hint="Name schema files, or give --all.")
    if whole:
        root = options.project_dir or find_project(Path.cwd())
        yield _open(root, options), Request(whole_project=True, select=select, add_columns=add_columns)
        return
    if options.project_dir is not None:
        yield _open(options.project_dir, options), Request(files, select=select, add_columns=add_columns)
        return
    grouped = projects_of(files)
    if grouped.outside:
        raise ProjectNotFound(
            f"{grouped.outside[0]} belongs to no dbt project: there is no dbt_project.yml in its folder or above it.",
            hint="Name the project's folder with --project-dir.",
        )
    if len(grouped.projects) > 1 and (options.manifest or options.catalog):
        raise UsageError(
            "The files belong to several projects, so one manifest or catalog cannot serve them all.",
            hint="Run once for each project.",
        )
    for root, group in grouped.projects.items():
        yield _open(root, options), Request(group, select=select, add_columns=add_columns)


def _existing(files: list[Path]) -> tuple[Path, ...]:
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file} {'is no file' if file.exists() else 'does not exist'}.")
    return tuple(file.absolute() for file in files)


def _open(root: Path, options: argparse.Namespace) -> Project:
    given = vars(options)
    overrides = {
        "provider": given.get("llm_provider"),
        "model": given.get("llm_model"),
        "base_url": given.get("llm_base_url"),
        "max_cost_per_run": given.get("llm_max_cost"),
        "dry_run": given.get("llm_dry_run"),
        "cache": given.get("llm_cache"),
        "concurrency": given.get("llm_concurrency"),
    }
    settings = load_settings(root, overrides=overrides)
    return Project(root, settings, manifest=options.manifest, catalog=options.catalog)


def gaps_of(project: Project, request: Request, *, upstream: bool) -> tuple[Gap, ...]:
    """The gaps that a run fills: those asked for, with ``upstream`` also those that several of them would inherit from."""
    gaps = project.survey(request).gaps
    project.trace(gaps)
    return (*gaps, *(shared.gap for shared in project.shared_upstream(gaps))) if upstream else gaps
