"""Commands that take long: each is a run, which its own request, its progress, or another command may stop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from osmosis_synthesize.errors import OsmosisError
from osmosis_synthesize.lsp.features import status
from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.session import Session

T = TypeVar("T")


async def stoppable(session: Session, name: str, work: Callable[[Run], Coroutine[Any, Any, T]]) -> T:
    """The result of ``work``, done as a run of its own. Cancelling the request stops the run, which then ends in order.

    Raises:
        OsmosisError: the work's own.
    """
    run = Run(str(uuid.uuid4()))
    session.runs[run.token] = run
    status.changed(session)
    job = session.jobs.start(_ended(session, run, work(run)), name=name)
    try:
        result = await asyncio.shield(job)
    except asyncio.CancelledError:
        run.stop()
        raise
    if isinstance(result, OsmosisError):
        raise result
    return result


async def _ended(session: Session, run: Run, work: Coroutine[Any, Any, T]) -> T | OsmosisError:
    """What came of it. An error of ours is a result: whoever asked is told, and nobody else."""
    try:
        return await work
    except OsmosisError as error:
        return error
    finally:
        del session.runs[run.token]
        status.changed(session)
