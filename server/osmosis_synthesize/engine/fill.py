"""One reviewed call for a group of gaps: ask, read, judge, and ask once more for what is missing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from osmosis_synthesize.engine.call import Answer, Caller, Declined, Purpose
from osmosis_synthesize.engine.model import Author, Gap, Proposal, Spent, Unfilled
from osmosis_synthesize.engine.prepare import Asking, Work
from osmosis_synthesize.engine.prompts import build
from osmosis_synthesize.engine.reading import Reading, read_reply
from osmosis_synthesize.engine.review import Fit, review
from osmosis_synthesize.names import short_name
from osmosis_synthesize.providers.base import Reply


@dataclass(slots=True)
class Filled:
    """What came of asking for some gaps."""

    proposals: list[Proposal] = field(default_factory=list[Proposal])
    unfilled: list[Unfilled] = field(default_factory=list[Unfilled])
    spent: Spent = field(default_factory=Spent)
    failed: bool = False
    unasked: list[Gap] = field(default_factory=list[Gap])
    """Those about which the cache says nothing; only while planning, when nobody else is asked."""


async def fill(work: Work, asking: Asking, gaps: Sequence[Gap], caller: Caller, *, planning: bool = False) -> Filled:
    """Ask for the descriptions of ``gaps``, all of one node.

    What a reply lacks is asked for once more, alone; a reply that was cut off is continued for as long as each part
    brings something new, and asked for in halves where it brought nothing. A text that the review turns down is not
    asked for again. While ``planning`` only the cache is asked, and it stays as it is.
    """
    filled = Filled()
    groups = deque([(list(gaps), False)])
    while groups:
        todo, again = groups.popleft()
        purpose = Purpose(todo[0].unique_id, tuple(gap.column or "" for gap in todo))
        request = build(asking.context, todo, work.style)
        hear = Listener(todo[0], work, caller.show) if caller.show is not None and len(todo) == 1 else None
        answer = caller.recall(request) if planning else await caller.ask(request, purpose, hear=hear)
        if answer is None:
            filled.unasked += todo
            continue
        if isinstance(answer, Declined):
            _leave(filled, todo, answer.reason, asking)
            filled.failed = filled.failed or answer.failed
            continue
        filled.spent += answer.spent
        reading = read_gaps(answer.reply, todo)
        if answer.reply.finish == "refusal":
            _leave(filled, todo, f"{caller.author.provider} refused to answer", asking)
            continue
        missing = _accept(filled, answer, reading, todo, work, asking, caller.author)
        if len(missing) == len(todo) and not planning:
            caller.forget(request)
        cut_off = reading.cut_off or answer.reply.finish == "length"
        further = _further(todo, missing, again=again or caller.deterministic, cut_off=cut_off)
        groups += further
        if missing and not further:
            silent = reading.problem or "the reply holds no text for it"
            _leave(filled, missing, "no fact about it is proven" if caller.deterministic else silent, asking)
    return filled


def _further(todo: list[Gap], missing: list[Gap], *, again: bool, cut_off: bool) -> list[tuple[list[Gap], bool]]:
    """What is asked for next after a reply that lacked some of what was asked; nothing if asking again is no use."""
    if not missing:
        return []
    if cut_off and len(missing) == len(todo) > 1:
        half = len(todo) // 2
        return [(todo[:half], True), (todo[half:], True)]
    return [(missing, True)] if not again or (cut_off and len(missing) < len(todo)) else []


class Listener:
    """Shows what a reply says about one gap while it comes; judged as the whole will be, and not kept."""

    EVERY: Final = 0.1
    """Seconds between two looks: a token comes every few milliseconds, and each look reads all that has come."""
    LONGEST: Final = 20_000
    """Characters; what comes after is not looked at until all of it is there."""

    def __init__(self, gap: Gap, work: Work, show: Callable[[Gap, str], None]) -> None:
        self._gap: Final = gap
        self._work: Final = work
        self._show: Final = show
        self._pieces: Final = list[str]()
        self._length = 0
        self._next = 0.0

    def __call__(self, piece: str) -> None:
        """Another piece of the reply has come."""
        self._pieces.append(piece)
        self._length += len(piece)
        now = time.monotonic()
        if now < self._next or self._length > self.LONGEST:
            return
        text = text_for(self._gap, read_gaps(Reply("".join(self._pieces)), [self._gap], unfinished=True))
        verdict = judge(self._gap, text, self._work.placeholders, self._work.style.limit) if text else None
        if isinstance(verdict, Fit):
            self._next = now + self.EVERY
            self._show(self._gap, verdict.text)


def read_gaps(reply: Reply, gaps: Sequence[Gap], *, unfinished: bool = False) -> Reading:
    """What a reply says about these gaps; of one that is ``unfinished`` also the text that has only begun."""
    columns = [gap.column for gap in gaps if gap.column is not None]
    table = any(gap.column is None for gap in gaps)
    return read_reply(reply.text, columns=columns, table=table, unfinished=unfinished)


def text_for(gap: Gap, reading: Reading) -> str | None:
    """What a reply says about one gap; ``None`` or empty where it says nothing."""
    return reading.table if gap.column is None else reading.columns.get(gap.column)


def judge(gap: Gap, text: str, placeholders: Collection[str], limit: int | None) -> Fit | str:
    """A text that is fit to be written, or why it is not."""
    verdict = review(text, name=gap.column or short_name(gap.unique_id), placeholders=placeholders, limit=limit)
    return verdict if isinstance(verdict, Fit) else verdict.reason


def _accept(
    filled: Filled, answer: Answer, reading: Reading, gaps: Sequence[Gap], work: Work, asking: Asking, author: Author
) -> list[Gap]:
    """Add the proposals that a reply holds; gives the gaps it says nothing about."""
    fit: list[tuple[Gap, str]] = []
    missing: list[Gap] = []
    for gap in gaps:
        text = text_for(gap, reading)
        if not text or not text.strip():
            missing.append(gap)
            continue
        verdict = judge(gap, text, work.placeholders, work.style.limit)
        if isinstance(verdict, Fit):
            fit.append((gap, verdict.text))
        else:
            _leave(filled, [gap], verdict, asking)
    origin = "cached" if answer.cached else "generated"
    cost = answer.spent.cost
    share = cost / len(fit) if cost is not None and fit else cost
    filled.proposals += [Proposal(gap, text, origin, author, share) for gap, text in fit]
    return missing


def _leave(filled: Filled, gaps: Sequence[Gap], reason: str, asking: Asking) -> None:
    filled.unfilled += [Unfilled(gap, reason, asking.alternatives.get(gap.id, ())) for gap in gaps]
