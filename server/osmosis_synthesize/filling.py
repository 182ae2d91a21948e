"""A run's last steps: texts are edited into the schema files, these are written, and what was lost on the way is told."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.model import Gap, NodeOutcome, Unfilled
from osmosis_synthesize.errors import WriteError
from osmosis_synthesize.gathering import Gathering
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.recording import Recorder

_PAUSE_SECONDS: Final = 0.3
"""How long finished texts may wait for others before they are written; what was paid for is in the cache meanwhile."""

_PAUSE_FOR_WORK: Final = 9
"""How many times as long as the last writing took; so it takes a tenth of the time at most."""


async def fill(
    outcomes: AsyncGenerator[NodeOutcome, None],
    gaps: Sequence[Gap],
    drafts: Drafts,
    *,
    unwritten: list[WriteError] | None,
    recorder: Recorder | None = None,
) -> AsyncGenerator[NodeOutcome, None]:
    """Edit the texts of a run into the drafts; yields the outcome of each node once its texts are edited in.

    Files are written as the run goes on, and in any case before it ends, be it by an error or a cancellation.

    Args:
        outcomes: what the engine makes of the gaps; closed in the end.
        gaps: those asked for. New columns and entries come in their order.
        drafts: the schema files.
        unwritten: takes the files that could not be written; without it none is.
        recorder: keeps where the texts that are written come from.
    """
    # Editing a file costs the same for one text as for hundreds, so outcomes that come close together are edited in
    # together; and the longer that takes, the less often it is done.
    pause = _PAUSE_SECONDS
    gathering = Gathering(outcomes)
    order = _Order(gaps)
    waiting: deque[list[NodeOutcome]] = deque()
    edited: list[NodeOutcome] = []
    try:
        while heap := await gathering.next(pause):
            waiting.extend(_by_file(heap))
            if recorder is not None and unwritten is not None:
                for _ in recorder.look_up(proposal for outcome in heap for proposal in outcome.proposals):
                    await asyncio.sleep(0)  # calls go on meanwhile, here and below
            worked = 0.0
            while waiting:
                started = time.monotonic()
                edited += _edit_in(waiting.popleft(), order, drafts)
                worked += time.monotonic() - started
                await asyncio.sleep(0)
            started = time.monotonic()
            if unwritten is not None:
                unwritten += _write(edited, drafts, recorder)
            worked += time.monotonic() - started
            pause = max(_PAUSE_SECONDS, _PAUSE_FOR_WORK * worked)
            done, edited = edited, []
            for outcome in done:
                yield outcome
    finally:
        edited += _edit_in([*chain.from_iterable(waiting), *gathering.left], order, drafts)
        if unwritten is not None:
            unwritten += _write(edited, drafts, recorder)
        await gathering.aclose()


def settled(outcome: NodeOutcome, drafts: Drafts, unwritten: Sequence[WriteError]) -> NodeOutcome:
    """The outcome after the run: what did not reach its file, because that could not be written, is a gap again."""
    reasons = {error.path: str(error) for error in unwritten}
    lost = [
        proposal
        for proposal in outcome.proposals
        if proposal.gap.file in reasons and not drafts.stands(proposal.gap, proposal.text)
    ]
    if not lost:
        return outcome
    kept = tuple(proposal for proposal in outcome.proposals if proposal not in lost)
    failed = (Unfilled(proposal.gap, reasons[proposal.gap.file]) for proposal in lost)
    return replace(outcome, proposals=kept, unfilled=(*outcome.unfilled, *failed))


def _by_file(outcomes: Iterable[NodeOutcome]) -> Iterable[list[NodeOutcome]]:
    """The outcomes of each schema file together; the texts of a node go into one file as a rule."""
    files: dict[Path | None, list[NodeOutcome]] = {}
    for outcome in outcomes:
        first = next(iter((*outcome.proposals[:1], *outcome.unfilled[:1])), None)
        files.setdefault(first.gap.file if first is not None else None, []).append(outcome)
    return files.values()


class _Order:
    """In which order that is to come which the files lack, whatever is finished first: that of the gaps asked for."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        self.places: Final = {id(gap): number for number, gap in enumerate(gaps) if gap.slot is None}
        """Of each such gap, by its ``id()``."""
        self.entries: Final = dict[Path, list[EntryKey]]()
        """The new entries of each file."""
        for gap in gaps:
            if gap.slot is None and gap.column is None:
                self.entries.setdefault(gap.file, []).append(gap.key)


def _edit_in(outcomes: Sequence[NodeOutcome], order: _Order, drafts: Drafts) -> list[NodeOutcome]:
    """The outcomes with what could be edited into the schema files; the rest stays a gap."""
    # A column that was to be added is added, even if there is nothing to say about it yet.
    texts = [
        *((proposal.gap, proposal.text) for outcome in outcomes for proposal in outcome.proposals),
        *((item.gap, None) for outcome in outcomes for item in outcome.unfilled if item.gap.addition is not None),
    ]
    texts.sort(key=lambda text: order.places.get(id(text[0]), -1))
    reasons = {id(gap): reason for (gap, _), reason in zip(texts, drafts.fill(texts, order.entries), strict=True)}
    edited: list[NodeOutcome] = []
    for outcome in outcomes:
        done = tuple(proposal for proposal in outcome.proposals if reasons[id(proposal.gap)] is None)
        failed = tuple(
            Unfilled(proposal.gap, reason)
            for proposal in outcome.proposals
            if (reason := reasons[id(proposal.gap)]) is not None
        )
        edited.append(replace(outcome, proposals=done, unfilled=(*outcome.unfilled, *failed)))
    return edited


def _write(edited: Sequence[NodeOutcome], drafts: Drafts, recorder: Recorder | None) -> list[WriteError]:
    """Write what has changed. A file that cannot be written is given back, and keeps no other from being written."""
    errors: list[WriteError] = []
    if recorder is not None:
        try:
            recorder.record([proposal for outcome in edited for proposal in outcome.proposals])
        except WriteError as error:
            errors.append(error)
    while True:
        try:
            for _ in drafts.flush():
                pass
            return errors
        except WriteError as error:
            errors.append(error)
