"""Commands for descriptions that are there already: have one rewritten, accept those that were generated."""

from __future__ import annotations

from typing import Any

from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.asking import ask
from osmosis_synthesize.lsp.edits import apply, record
from osmosis_synthesize.lsp.features import views
from osmosis_synthesize.lsp.features.generate import outcome_of
from osmosis_synthesize.lsp.features.views import Spot
from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.messages import Named, Outcome, Target, argument, plain
from osmosis_synthesize.lsp.progress import Progress
from osmosis_synthesize.lsp.running import stoppable
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.project import Project, Request


async def rewrite(session: Session, arguments: list[Any]) -> Any:
    """Have one description written anew, with the present one as context, and put the new text in its place."""
    target = argument(arguments, Target)
    return plain(await stoppable(session, "rewriting", lambda run: _rewrite(session, run, target)))


async def _rewrite(session: Session, run: Run, target: Target) -> Outcome:
    project = _project(session, target)
    spot = await session.worker.do(lambda: _spot(project, target))
    gap = rewritable(spot) if spot is not None and spot.is_described(project) else None
    if gap is None:
        raise UsageError(
            "There is no description here that could be rewritten.",
            hint="A gap is generated instead; a text that is a doc block's is rewritten in its block.",
        )
    progress = await Progress.begin(session, run, f"Rewriting {gap.label}")
    try:
        outcomes = await ask(session, run, project, [gap], progress)
        proposals = [proposal for outcome in outcomes for proposal in outcome.proposals]
        texts = [(proposal.gap, proposal.text) for proposal in proposals]
        # Somebody's text is about to go: whoever can be shown that first is shown it.
        reasons = await apply(
            session, session.refreshed(project), texts, f"Rewrite the description of {gap.label}", confirm="always"
        )
        written = [proposal for proposal, reason in zip(proposals, reasons, strict=True) if reason is None]
        await record(session, project, written)
        return outcome_of(session, run, outcomes, reasons)
    finally:
        progress.end("stopped" if run.stopped else "done")


async def accept(session: Session, arguments: list[Any]) -> Any:
    """Mark generated descriptions as reviewed; says how many. Those of a file, a node, or one slot."""
    target = argument(arguments, Target)
    project = _project(session, target)
    return await session.worker.do(lambda: _accept(project, target))


def rewritable(spot: Spot) -> Gap | None:
    """The slot as something to be filled anew; ``None`` where nothing may be written, or a doc block has the text."""
    slot = spot.slot
    if slot.text is None or slot.blocked_by is not None or "{{" in slot.text:
        return None
    return spot.as_gap()


def _project(session: Session, target: Target) -> Project:
    path = convert.path_of(target.uri)
    _, project = views.project_of(session, path) if path is not None else (None, None)
    if project is None:
        raise UsageError(f"{target.uri} belongs to no dbt project that is loaded.")
    return project


def _spot(project: Project, target: Target | Named) -> Spot | None:
    node = project.index.nodes.get(target.node) if target.node is not None else None
    return views.spot_of(project, node, target.column) if node is not None else None


def _accept(project: Project, target: Target) -> int:
    path = convert.path_of(target.uri)
    assert path is not None
    wanted = {(spot.slot.key, spot.slot.column) for one in target.only if (spot := _spot(project, one)) is not None}
    texts = [
        text
        for text in project.recorded(Request((path,)))
        if text.wants_review
        and target.node in (None, text.unique_id)
        and (not target.only or (text.key, text.column) in wanted)
    ]
    project.accept(texts)
    return len(texts)
