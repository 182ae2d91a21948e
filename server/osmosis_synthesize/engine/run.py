"""Fills the gaps of a request: parents before children, and apart from that side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from osmosis_synthesize.engine.call import Caller
from osmosis_synthesize.engine.descriptions import Progress
from osmosis_synthesize.engine.fill import Filled, fill
from osmosis_synthesize.engine.model import NodeOutcome, Spent, Unfilled
from osmosis_synthesize.engine.prepare import Work, prepare
from osmosis_synthesize.engine.prompts import chunks
from osmosis_synthesize.manifest.index import Index


async def run(work: Work, caller: Caller) -> AsyncGenerator[NodeOutcome, None]:
    """Yield the outcome of each node as soon as it is finished.

    A node waits for those of its ancestors that are in the request, and for nothing else; the caller bounds how many
    calls are under way. Once the caller is stopped, no further node is begun, and the run ends with those under way. Closing
    the iterator cancels these; what was paid for is in the cache by then.
    """
    async with aclosing(_Run(work, caller).outcomes()) as outcomes:
        async for outcome in outcomes:
            yield outcome


_TURNS_OF_A_CALL: Final = 4
"""Of the event loop, for a request to get on its way before the next is prepared: of 1, 4 and 12 the best, as measured."""


class _Turn(NamedTuple):
    """What decides who goes first: the lesser one does."""

    behind: int
    """Nodes in the longest line that ends in waiting for this one, itself included, negative."""
    place: int
    unique_id: str


class _Run:
    def __init__(self, work: Work, caller: Caller) -> None:
        self.work = work
        self.caller = caller
        self.progress = Progress(work.descriptions)
        self.waits_for = nearest_requested(work.index, work.gaps)
        self.preparing = asyncio.Semaphore(1)
        """Held while a prompt is made, and for some turns of the event loop: calls do not wait for the prompts after them."""
        self.dependents: dict[str, list[str]] = {}
        for unique_id, ancestors in self.waits_for.items():
            for ancestor in ancestors:
                self.dependents.setdefault(ancestor, []).append(unique_id)

    async def outcomes(self) -> AsyncGenerator[NodeOutcome, None]:
        left = {unique_id: len(ancestors) for unique_id, ancestors in self.waits_for.items()}
        turns = self.turns()
        ready = [turns[unique_id] for unique_id in self.work.order if not left[unique_id]]
        heapify(ready)
        tasks: set[asyncio.Task[NodeOutcome]] = set()
        try:
            while tasks or (ready and not self.caller.stopped):
                # Few more tasks than calls: a prepared prompt is large, and ten thousand of them need not wait in memory.
                while ready and len(tasks) < 2 * self.caller.concurrency and not self.caller.stopped:
                    unique_id = heappop(ready).unique_id
                    tasks.add(asyncio.create_task(self.node(unique_id), name=unique_id))
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda task: task.get_name()):
                    tasks.discard(task)
                    outcome = task.result()
                    for child in self.dependents.get(outcome.unique_id, ()):
                        left[child] -= 1
                        if not left[child]:
                            heappush(ready, turns[child])
                    yield outcome
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def turns(self) -> dict[str, _Turn]:
        """When each node is to be begun, of those that are ready: first whoever has the longest line waiting behind it."""
        order = self.work.order
        longest: dict[str, int] = {}
        for unique_id in reversed(order):
            behind = (longest.get(child, 0) for child in self.dependents.get(unique_id, ()))
            longest[unique_id] = 1 + max(behind, default=0)
        return {unique_id: _Turn(-longest[unique_id], place, unique_id) for place, unique_id in enumerate(order)}

    async def node(self, unique_id: str) -> NodeOutcome:
        work = self.work
        declined = self.caller.asks_nobody
        refused = declined.reason if declined is not None else None
        async with self.preparing:
            prepared = prepare(work, unique_id, self.progress, refused=refused)
            for _ in range(_TURNS_OF_A_CALL):
                await asyncio.sleep(0)
        # An ancestor whose text did not come leaves nothing to wait for: ancestors in the request are finished.
        unfilled = list(prepared.unfilled)
        unfilled += [Unfilled(item.gap, f"{item.upstream.label} has no text yet") for item in prepared.waiting]
        parts: list[Filled] = []
        asking = prepared.asking
        if asking is not None:
            groups = chunks(asking.gaps, bulk_threshold=work.bulk_threshold, max_tokens=work.style.max_tokens)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(fill(work, asking, gaps, self.caller)) for gaps in groups]
            parts = [task.result() for task in tasks]
        generated = [proposal for part in parts for proposal in part.proposals]
        for proposal in generated:
            self.progress.fill(proposal.gap, proposal.text)
        return NodeOutcome(
            unique_id,
            (*prepared.proposals, *generated),
            (*unfilled, *(item for part in parts for item in part.unfilled)),
            sum((part.spent for part in parts), Spent()),
            failed=any(part.failed for part in parts),
        )


def nearest_requested(index: Index, gaps: Mapping[str, object]) -> dict[str, frozenset[str]]:
    """For each node with gaps, the nearest of its ancestors that have gaps too: what it has to wait for.

    In a cycle, which no dbt would write, whoever comes first in the order waits for nobody.
    """
    nearest: dict[str, frozenset[str]] = {}
    for unique_id in index.order:
        found: set[str] = set()
        for parent in index.parents(unique_id):
            if parent in nearest:
                found.update([parent] if parent in gaps else nearest[parent])
        nearest[unique_id] = frozenset(found)
    return {unique_id: nearest.get(unique_id, frozenset()) for unique_id in gaps}
