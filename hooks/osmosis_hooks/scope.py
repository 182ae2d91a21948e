"""From the command line to open projects and what is asked of each."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from osmosis_synthesize.discovery import SCHEMA_SUFFIXES, find_project, projects_of
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.errors import ProjectNotFound, UsageError
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings

if TYPE_CHECKING:
    from osmosis_synthesize.recording import Recorded


_MANY: Final = 1000
"""Nodes whose lineage takes longer than one waits for anything else."""


def requests(options: argparse.Namespace) -> Iterator[tuple[Project, Request]]:
    """Each project that the command line means, with what it asks of it.

    Raises:
        UsageError: nothing is named, or a file does not exist.
        ProjectError: a file belongs to no project, or its project cannot be read.
    """
    asked = Request(select=tuple(options.select), add_columns=bool(vars(options).get("add_columns")))
    if options.all and options.files:
        raise UsageError(
            "--all means every schema file, so files cannot be named with it.", hint="Leave one of them out."
        )
    if options.all or (asked.select and not options.files):
        root = options.project_dir or find_project(Path.cwd())
        yield _open(root, options), replace(asked, whole_project=True)
        return
    if not options.files and not options.hook:
        raise UsageError("Nothing to do: no file is named.", hint="Name schema files, or give --all.")
    projects = _by_project(options)
    if len(projects) > 1 and (options.manifest or options.catalog):
        raise UsageError(
            "The files belong to several projects, so one manifest or catalog cannot serve them all.",
            hint="Run once for each project.",
        )
    for root, files in projects.items():
        project = _open(root, options)
        meant = tuple(file for file in files if project.layout.is_read(file)) if options.hook else files
        if meant:
            yield project, replace(asked, files=meant)


def _by_project(options: argparse.Namespace) -> Mapping[Path, tuple[Path, ...]]:
    """The named files by the root of their project. A hook passes over those that are gone or belong to none."""
    files = _existing([file for file in options.files if not options.hook or file.is_file()])
    if options.project_dir is not None:
        return {options.project_dir: files}
    grouped = projects_of(files)
    if grouped.outside and not options.hook:
        raise ProjectNotFound(
            f"{grouped.outside[0]} belongs to no dbt project: there is no dbt_project.yml in its folder or above it.",
            hint="Name the project's folder with --project-dir.",
        )
    return grouped.projects


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


def gaps_of(project: Project, request: Request, *, upstream: bool, calls: bool = False) -> tuple[Gap, ...]:
    """The gaps that a run fills: those asked for, with ``upstream`` also those that several of them would inherit from.

    Their lineage is traced at once, on all cores if that is worth it; but where ``calls`` will be made, and the nodes are
    not very many, each node's is traced while those of others are waited for.
    """
    project.catch_up(request)
    gaps = project.survey(request).gaps
    if upstream or not calls or len({gap.unique_id for gap in gaps}) > _MANY:
        project.trace(gaps)
    return (*gaps, *(shared.gap for shared in project.shared_upstream(gaps))) if upstream else gaps


def recorded(
    options: argparse.Namespace, *, manifest: bool = False
) -> Iterator[tuple[Project, tuple[Recorded, ...]]]:
    """Each project that the command line means, with those of its descriptions whose origin is recorded.

    The manifest is read, and brought up to date, if that is asked for, or where a file is named that stands for its schema
    file.
    """
    for project, request in requests(options):
        needed = manifest or any(file.suffix.lower() not in SCHEMA_SUFFIXES for file in request.files)
        needed = needed and project.may_have_records
        if needed:
            project.catch_up(request)
        yield project, project.recorded(request, with_manifest=needed)


def is_complete(project: Project, request: Request) -> bool:
    """Whether it can be told without the manifest that nothing is missing: the schema files themselves list no gap."""
    return (
        not request.whole_project
        and not request.add_columns
        and all(file.suffix.lower() in SCHEMA_SUFFIXES for file in request.files)
        and not any(project.survey(part, with_manifest=False).gaps for part in _parts(request))
    )


def _parts(request: Request) -> Iterator[Request]:
    """The same request, a file at a time where that means the same, so that the first gap is enough."""
    if request.select:  # a name that one file lacks may be another one's
        yield request
    else:
        yield from (replace(request, files=(file,)) for file in request.files)
