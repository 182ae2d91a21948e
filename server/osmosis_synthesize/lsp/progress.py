"""Progress that the user sees and may stop."""

from __future__ import annotations

import asyncio
from typing import Final

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.session import Session

_PATIENCE: Final = 5.0
"""Seconds to wait for a client to make room for progress; without it the work goes on unseen."""


class Progress:
    """The progress of one run; silent where the client shows none."""

    def __init__(self, session: Session, run: Run, *, shown: bool) -> None:
        self._session: Final = session
        self._run: Final = run
        self._shown = shown

    @property
    def shown(self) -> bool:
        """Whether anybody sees it."""
        return self._shown

    @classmethod
    async def begin(
        cls, session: Session, run: Run, title: str, *, asked_for: bool = False, measured: bool = True
    ) -> Progress:
        """Have the client show it, with a way to stop the run. One that has ``asked_for`` it has given the run its token.

        What is not ``measured`` has no percentage.
        """
        shown = asked_for
        if session.abilities.progress and not asked_for:
            params = types.WorkDoneProgressCreateParams(run.token)
            request = session.protocol.ask(types.WINDOW_WORK_DONE_PROGRESS_CREATE, params)
            try:
                await asyncio.wait_for(request, _PATIENCE)
                shown = True
            except (JsonRpcException, TimeoutError):
                pass
        progress = cls(session, run, shown=shown)
        progress._send(types.WorkDoneProgressBegin(title, cancellable=True, percentage=0 if measured else None))
        return progress

    def report(self, message: str, percentage: int | None = None) -> None:
        """Say how far it is."""
        self._send(types.WorkDoneProgressReport(message=message, percentage=percentage))

    def end(self, message: str) -> None:
        """Take it away. What is reported afterwards is not shown: the token means nothing any more."""
        self._send(types.WorkDoneProgressEnd(message=message))
        self._shown = False

    def _send(
        self, value: types.WorkDoneProgressBegin | types.WorkDoneProgressReport | types.WorkDoneProgressEnd
    ) -> None:
        if self._shown:
            self._session.protocol.notify(types.PROGRESS, types.ProgressParams(self._run.token, value))


def stop(session: Session, params: types.WorkDoneProgressCancelParams) -> None:
    """The user has stopped a run."""
    run = session.runs.get(params.token)
    if run is not None:
        run.stop()
