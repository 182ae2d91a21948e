"""The commands that fill gaps: the only place from which a provider is called on a command."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lsprotocol import types

from osmosis_synthesize.discovery import PROJECT_FILE
from osmosis_synthesize.document import Document
from osmosis_synthesize.document.model import Problem
from osmosis_synthesize.engine.model import Author, Gap, NodeOutcome, PlannedCall, Proposal, Spent, Unfilled, Waiting
from osmosis_synthesize.errors import DocumentSyntaxError, ProjectError, UsageError
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.asking import ask
from osmosis_synthesize.lsp.edits import apply, record
from osmosis_synthesize.lsp.features import views
from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.messages import Left, Outcome, PlannedGap, Preview, Target, argument, plain
from osmosis_synthesize.lsp.outlook import gaps_of_model, ways_of
from osmosis_synthesize.lsp.progress import Progress
from osmosis_synthesize.lsp.running import stoppable
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.wording import cost_of, count, filled_by
from osmosis_synthesize.lsp.workspace import NODE_SUFFIXES, Broken, Ready, Way, is_schema_file
from osmosis_synthesize.names import short_name
from osmosis_synthesize.project import Project, Request

Scope = Literal["column", "model", "file", "project"]


async def generate(session: Session, scope: Scope, arguments: list[Any]) -> Any:
    """Fill the gaps that a command names, and say what came of it. Cancelling the request stops the run."""
    target = argument(arguments, Target)
    return plain(await stoppable(session, "describing", lambda run: _fill(session, run, scope, target)))


async def preview(session: Session, arguments: list[Any]) -> Any:
    """What a command would do; calls nobody."""
    target = argument(arguments, Target)
    project, gaps = await chosen(session, narrowest(target), target)
    caller = session.caller(project)
    plan = await session.worker.do(lambda: asyncio.run(project.plan(gaps, caller)))
    ways = ways_of(plan)
    planned = tuple(_planned(gap, ways[gap.id]) for gap in gaps if gap.id in ways)
    cost = cost_of(plan.calls)
    return plain(Preview(planned, len(plan.calls), None if cost is None else str(cost)))


def narrowest(target: Target) -> Scope:
    """What a target means where no command says so."""
    return "file" if target.node is None else "model" if target.column is None else "column"


async def cancel_all(session: Session, _: list[Any]) -> Any:
    """Stop every run; says how many there were."""
    runs = list(session.runs.values())
    for run in runs:
        run.stop()
    return len(runs)


async def chosen(session: Session, scope: Scope, target: Target) -> tuple[Project, list[Gap]]:
    """The project as it is now, and the gaps that a target means.

    Raises:
        UsageError: the file is no schema file of a project that is loaded, the manifest does not know the node, or none is
            named where one is needed.
        DocumentSyntaxError: the file cannot be read as it is.
    """
    path = convert.path_of(target.uri)
    if path is not None and (scope == "project" or path.suffix.lower() in NODE_SUFFIXES):
        project, gaps = await _of_project(session, path, whole=scope == "project")
    else:
        project, gaps = await _of_schema_file(session, target.uri)
    _check_node(project, gaps, scope, target.node)
    if scope in {"model", "column"}:
        gaps = _of_node(gaps, scope, target) or await session.worker.do(partial(_at_home, project, scope, target))
    if target.only:
        named = {(item.node, item.column) for item in target.only}
        gaps = [gap for gap in gaps if gap.id in named]
    return project, gaps


def _of_node(gaps: Sequence[Gap], scope: Scope, target: Target) -> list[Gap]:
    """Those of the one node, or of the one column, that a target names."""
    of_node = [gap for gap in gaps if gap.unique_id == target.node]
    return of_node if scope == "model" else [gap for gap in of_node if gap.column == target.column]


def _at_home(project: Project, scope: Scope, target: Target) -> list[Gap]:
    """The same, of a node whose entry stands in another file than the one that was named.

    Raises:
        UsageError: nothing of the node is described in this project, or nowhere the ``column``.
    """
    assert target.node is not None
    node = project.index.nodes.get(target.node)
    if node is None:  # one that stands in the file, and is described
        return []
    name = short_name(node.unique_id)
    if not project.index.is_editable(node):
        raise UsageError(
            f"{name} belongs to the package {node.schema_package}, in which nothing is written.",
            hint="Describe it in that package's own project.",
        )
    if scope == "column" and target.column is not None and views.spot_of(project, node, target.column) is None:
        raise UsageError(
            f"No schema file lists the column {target.column!r} of {name}.",
            hint="If it is no slip, add it to the entry first: there is a code action for the columns that an entry lacks.",
        )
    return _of_node(project.survey(Request((project.root / node.path,))).gaps, scope, target)


def _check_node(project: Project, gaps: Sequence[Gap], scope: Scope, node: str | None) -> None:
    """Nothing would come of a slip, and nobody would hear of it."""
    if node is None:
        if scope in {"model", "column"}:
            raise UsageError("The command names no node.", hint="Give its unique_id as `node`.")
    elif node not in project.index.nodes and all(gap.unique_id != node for gap in gaps):
        raise UsageError(f"The manifest does not know the node {node!r}.", hint="If it is no slip, run `dbt parse`.")


def _loaded(session: Session, path: Path) -> Ready:
    """The project of a file, with its manifest.

    Raises:
        UsageError: it has none, or that is not loaded, or could not be; why.
    """
    member = session.workspace.member_of(path)
    if member is None:
        raise UsageError(
            f"{path} belongs to no dbt project: neither its folder nor any folder above it has a {PROJECT_FILE}.",
            hint="Choose a file of a dbt project.",
        )
    match member.state:
        case Ready(has_manifest=True) as ready:
            return ready
        case Ready(problem=ProjectError() as error) | Broken(error):
            raise UsageError(error.message, hint=error.hint)
        case _:
            raise UsageError(
                f"The dbt project {member.root} is not loaded yet.",
                hint="Open one of its files, and try again in a moment.",
            )


async def _of_project(session: Session, path: Path, *, whole: bool) -> tuple[Project, list[Gap]]:
    """All gaps of the project that a file belongs to, or those of the nodes that the file defines."""
    project = session.refreshed(_loaded(session, path).project)
    if not whole:
        return project, list(await session.worker.do(lambda: gaps_of_model(project, path)))
    survey = await session.worker.do(lambda: project.survey(Request(whole_project=True)))
    return project, list(survey.gaps)


async def _of_schema_file(session: Session, uri: str) -> tuple[Project, list[Gap]]:
    """All gaps of a schema file, be it open or not."""
    reading = await session.read(uri)
    if reading is not None and reading.ready.has_manifest:
        _check_readable(reading.text.path, reading.document, reading.problems)
        return session.refreshed(reading.project), list(reading.gaps)
    path = convert.path_of(uri)
    if path is None:
        raise UsageError(f"{uri} is no file on disk.", hint="Save it in a dbt project first.")
    ready = _loaded(session, path)
    if not is_schema_file(ready.project, path):
        raise UsageError(
            f"{path} is no schema file of the dbt project {ready.project.root}.",
            hint="Choose a .yml file below one of its model, seed, snapshot or other resource paths.",
        )
    project = session.refreshed(ready.project)
    gaps = list((await session.worker.do(lambda: project.survey(Request((path,))))).gaps)
    document = project.drafts.get(path)
    if document is not None:
        _check_readable(path, document, document.problems)
    return project, gaps


def _check_readable(path: Path, document: Document, problems: Sequence[Problem]) -> None:
    """Nothing can be written into a file that is no YAML, so nobody is asked for texts either."""
    if document.broken or (problems and not document.entries):
        said = [f"line {document.lines.line_of(one.span.start) + 1}: {one.message}" for one in problems[:1]]
        raise DocumentSyntaxError(
            ": ".join([f"{path} cannot be read", *said]) + ".", hint="Mend that, then try again."
        )


async def _fill(session: Session, run: Run, scope: Scope, target: Target) -> Outcome:
    project, gaps = await chosen(session, scope, target)
    progress = await Progress.begin(session, run, title_of(gaps))
    said = "stopped"
    try:
        outcomes = await ask(session, run, project, gaps, progress)
        proposals = [proposal for outcome in outcomes for proposal in outcome.proposals]
        texts = [(proposal.gap, proposal.text) for proposal in proposals]
        reasons = await apply(session, session.refreshed(project), texts, f"Describe {count(len(texts), 'gap')}")
        await record(
            session, project, [one for one, reason in zip(proposals, reasons, strict=True) if reason is None]
        )
        outcome = outcome_of(session, run, outcomes, reasons)
        said = f"{outcome.filled} of {count(len(gaps), 'gap')} described" if gaps else "nothing was left to describe"
        return outcome
    finally:
        progress.end(said)


def title_of(gaps: Sequence[Gap]) -> str:
    """What the progress of a run is called."""
    return f"Describing {gaps[0].label if len(gaps) == 1 else count(len(gaps), 'gap')}"


def outcome_of(session: Session, run: Run, outcomes: Sequence[NodeOutcome], reasons: Sequence[str | None]) -> Outcome:
    """What came of a run, and of having its texts put in place (``reasons``: why not). Complains of what is left."""
    outcome = _outcome(outcomes, reasons, stopped=run.stopped)
    if outcome.left and not run.stopped:
        session.tell(_complaint(outcome.left), types.MessageType.Warning)
    return outcome


def _outcome(outcomes: Sequence[NodeOutcome], reasons: Sequence[str | None], *, stopped: bool) -> Outcome:
    proposals = [proposal for outcome in outcomes for proposal in outcome.proposals]
    judged = list(zip(proposals, reasons, strict=True))
    origins = Counter(proposal.origin for proposal, reason in judged if reason is None)
    left = [left_over(item.gap, item.reason) for outcome in outcomes for item in outcome.unfilled]
    left += [left_over(proposal.gap, reason) for proposal, reason in judged if reason is not None]
    spent = sum((outcome.spent for outcome in outcomes), Spent())
    return Outcome(
        origins.total(),
        origins["inherited"],
        origins["cached"],
        origins["generated"],
        tuple(left),
        spent.calls,
        None if spent.cost is None else str(spent.cost),
        cancelled=stopped,
    )


def left_over(gap: Gap, reason: str) -> Left:
    """A gap that stays."""
    return Left(gap.label, reason, gap.unique_id, gap.column)


def _complaint(left: Sequence[Left]) -> str:
    """Why gaps stay, in one message however many they are."""
    reasons = Counter(item.reason for item in left)
    reason, _ = reasons.most_common(1)[0]
    more = f" (and {count(len(reasons) - 1, 'other reason')})" if len(reasons) > 1 else ""
    name = left[0].label if len(left) == 1 else count(len(left), "gap")
    return f"{name} could not be described: {reason}{more}"


def _planned(gap: Gap, way: Way) -> PlannedGap:
    match way:
        case Proposal():
            how = "cached" if way.origin == "cached" else "stated" if isinstance(way.source, Author) else "inherited"
            return PlannedGap(gap.label, gap.unique_id, gap.column, how, way.text, filled_by(way))
        case Waiting():
            return PlannedGap(gap.label, gap.unique_id, gap.column, "waiting", None, filled_by(way))
        case PlannedCall():
            return PlannedGap(gap.label, gap.unique_id, gap.column, "call", None, filled_by(way))
        case Unfilled():
            return PlannedGap(gap.label, gap.unique_id, gap.column, "left", None, way.reason)
