"""A run that may call a provider, from its first preparation to its last outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial

from osmosis_synthesize.cost.money import show
from osmosis_synthesize.engine.call import Caller
from osmosis_synthesize.engine.model import Gap, NodeOutcome, Spent
from osmosis_synthesize.engine.run import run as run_engine
from osmosis_synthesize.errors import ProviderError
from osmosis_synthesize.lsp.features import status
from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.progress import Progress
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.project import Project


async def ask(
    session: Session, run: Run, project: Project, gaps: Sequence[Gap], progress: Progress, *, anew: bool = False
) -> tuple[NodeOutcome, ...]:
    """Fill the gaps, one node after the other; gives what was done until the end or until the run was stopped."""
    alone = len(gaps) == 1
    if alone:
        session.asked_alone.add((project.root, gaps[0].id))
    caller = session.caller(project, anew=anew, show=_shown(progress) if alone and progress.shown else None)
    outcomes: list[NodeOutcome] = []
    work = _collect(session, project, gaps, caller, outcomes, progress, anew=anew)
    collecting = session.jobs.start(work, name="asking")
    await run.wait_for(collecting, caller)
    return tuple(outcomes)  # what comes in later, after a stop, is for the cache alone


def _shown(progress: Progress) -> Callable[[Gap, str], None]:
    """Shows a text, as far as it has come, in the progress: there nobody takes it for the whole."""
    return lambda _, text: progress.report(" ".join(text.split()))


async def _collect(
    session: Session,
    project: Project,
    gaps: Sequence[Gap],
    caller: Caller,
    outcomes: list[NodeOutcome],
    progress: Progress,
    *,
    anew: bool,
) -> None:
    spent = Spent()
    done = 0
    try:
        # The plan reads and traces, in the worker, all that the run will need; importing an SDK takes as long as a call.
        work = await session.worker.do(partial(project.work, gaps))
        # With a caller of its own: each is for one event loop, and the worker has another one.
        plan = await session.worker.do(lambda: asyncio.run(project.plan(gaps, session.caller(project, anew=anew))))
        if plan.calls:
            progress.report(f"Asking {caller.author.provider} {caller.author.model}", 0)
            try:
                await session.worker.do(caller.open)
            except ProviderError:
                pass  # each call is declined with this error, and what is free is filled all the same
        async with aclosing(run_engine(work, caller)) as finished:
            async for outcome in finished:
                outcomes.append(outcome)
                status.changed(session)
                spent += outcome.spent
                done += len(outcome.proposals) + len(outcome.unfilled)
                progress.report(f"{done} of {len(gaps)}, {show(spent.cost)} spent", 100 * done // max(len(gaps), 1))
    finally:
        await caller.aclose()
