"""Batches: calls that are handed in all at once, and answered within a day, at half the price.

A batch holds the calls whose prompts are final: of nodes upstream of which nothing is to be generated first. Its replies go
into the cache; a run then finds them there, and reviews and writes them like any others, and the next batch can ask about
the nodes that waited. What is under way is kept in files beside the cache, so that any later process can collect it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from osmosis_synthesize.engine.call import Purpose
from osmosis_synthesize.errors import (
    BudgetExceeded,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeout,
    UsageError,
    WriteError,
)
from osmosis_synthesize.files import read_source, write_source

if TYPE_CHECKING:
    from osmosis_synthesize.engine.call import Caller
    from osmosis_synthesize.engine.model import Plan, PlannedCall
    from osmosis_synthesize.providers.base import Batching, BatchState

HALF: Final = Decimal("0.5")
"""The share of the price that both APIs take for a batch."""

MOST: Final = 10_000
"""Requests a batch: both APIs take more, in number; this many prompts stay below their limits in bytes."""


class Asked(msgspec.Struct, frozen=True):
    """What one request of a batch is about."""

    node: str
    columns: tuple[str, ...]


class Pending(msgspec.Struct, frozen=True):
    """A batch that is under way."""

    name: str | None
    """As the provider calls it; ``None`` while it is being handed in."""
    provider: str
    model: str
    base_url: str | None
    project: str
    """The project's folder."""
    submitted_at: float
    """Seconds since 1970."""
    upper_bound: str | None
    """What it costs at most, in US dollars; ``None`` where the price is unknown."""
    requests: dict[str, Asked]
    """By the key under which the cache will have the reply."""

    @property
    def author(self) -> str:
        """``openai gpt-5-mini``."""
        return f"{self.provider} {self.model}".strip()


class Kept:
    """The batches under way, one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder

    def all(self) -> Iterator[tuple[Path, Pending]]:
        """Each with its file, oldest first.

        Raises:
            UsageError: a file is no longer what was written.
        """
        found: list[tuple[Path, Pending]] = []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            try:
                found.append((path, msgspec.json.decode(read_source(path).text, type=Pending)))
            except msgspec.MsgspecError as error:
                raise UsageError(
                    f"{path} cannot be read: {error}.",
                    hint="It names a batch that may have been paid for: mend it, or remove it.",
                ) from error
        yield from sorted(found, key=lambda one: one[1].submitted_at)

    def add(self, pending: Pending) -> Path:
        """Keep a batch; gives its file.

        Raises:
            WriteError: it cannot be written. Nothing may be handed in then.
        """
        path = self.folder / f"{hashlib.sha256(os.urandom(16)).hexdigest()[:16]}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise WriteError(f"{self.folder} cannot be made: {error.strerror or error}.", path=self.folder) from error
        write_source(path, _text(pending), expected=None)
        return path

    def name(self, path: Path, name: str) -> None:
        """The provider has taken it."""
        source = read_source(path)
        pending = msgspec.json.decode(source.text, type=Pending)
        write_source(path, _text(msgspec.structs.replace(pending, name=name)), expected=source)

    def remove(self, path: Path) -> None:
        """It is collected."""
        path.unlink(missing_ok=True)


def _text(pending: Pending) -> str:
    return msgspec.json.format(msgspec.json.encode(pending), indent=2).decode() + "\n"


class Submission(msgspec.Struct, frozen=True):
    """What was handed in."""

    name: str | None
    """``None`` if nothing was."""
    requests: int = 0
    cost: Decimal | None = None
    """The expected cost."""
    under_way: int = 0
    """Calls that an earlier batch is about."""
    waiting: int = 0
    """Calls that need texts which this batch, or an earlier one, will bring."""
    left_out: str | None = None
    """Why further calls were left out: a limit."""


async def submit(plan: Plan, caller: Caller, provider: Batching, kept: Kept, *, author: Pending) -> Submission:
    """Hand in the calls of a plan whose prompts are final and that no batch under way has asked already.

    ``author`` says for whom: a batch without requests and name.

    Raises:
        ProviderError: the provider did not take it.
        WriteError: it could not be kept, and so was not handed in.
        BudgetExceeded: what is under way already takes all that may be spent.
    """
    pending = [one for _, one in kept.all()]
    asked = {key for one in pending for key in one.requests}
    final = {caller.key_of(call.request): call for call in plan.calls if call.exact}
    under_way = sum(key in asked for key in final)
    waiting = len(plan.calls) - sum(call.exact for call in plan.calls)
    with ExitStack() as room:
        bounds = [Decimal(one.upper_bound) for one in pending if one.upper_bound is not None]
        if bounds:
            room.enter_context(caller.hold(sum(bounds, Decimal(0)), by_this_run=False))
        chosen, left_out = _affordable({key: call for key, call in final.items() if key not in asked}, caller, room)
        if not chosen:
            return Submission(None, under_way=under_way, waiting=waiting, left_out=left_out)
        path = kept.add(
            msgspec.structs.replace(
                author,
                submitted_at=time.time(),
                upper_bound=_half_of([call.upper_bound for call in chosen.values()]),
                requests={
                    key: Asked(call.unique_id, tuple(gap.column or "" for gap in call.gaps))
                    for key, call in chosen.items()
                },
            )
        )
        try:
            name = await provider.submit_batch({key: call.request for key, call in chosen.items()})
        except ProviderError as error:
            if not isinstance(
                error, (ProviderTimeout, ProviderConnectionError)
            ):  # after these it may have been taken
                kept.remove(path)
            raise
        kept.name(path, name)
    cost = _half_of([call.cost for call in chosen.values()])
    return Submission(name, len(chosen), Decimal(cost) if cost is not None else None, under_way, waiting, left_out)


def _affordable(
    calls: dict[str, PlannedCall], caller: Caller, room: ExitStack
) -> tuple[dict[str, PlannedCall], str | None]:
    """The first calls for which there is room in the budget and in a batch, and why not more."""
    chosen: dict[str, PlannedCall] = {}
    for key, call in calls.items():
        if len(chosen) == MOST:
            return chosen, f"a batch has at most {MOST:,} requests"
        try:
            room.enter_context(caller.hold(None if call.upper_bound is None else call.upper_bound * HALF))
        except BudgetExceeded as error:
            return chosen, str(error)
        chosen[key] = call
    return chosen, None


def _half_of(amounts: Sequence[Decimal | None]) -> str | None:
    known = [amount for amount in amounts if amount is not None]
    return str(sum(known, Decimal(0)) * HALF) if len(known) == len(amounts) else None


class Collected(msgspec.Struct, frozen=True):
    """What came of asking for a batch."""

    state: BatchState
    kept: int = 0
    failed: tuple[str, ...] = ()
    """For each request without a reply: what it was about, and why."""


async def collect(path: Path, batch: Pending, caller: Caller, provider: Batching, kept: Kept) -> Collected:
    """Put a batch's replies into the cache, if it has ended; it may be repeated until it has come to its end.

    Raises:
        ProviderError: the provider does not say.
    """
    assert batch.name is not None
    state = await provider.batch_state(batch.name)
    if not state.ended:
        return Collected(state)
    replies = await provider.batch_replies(batch.name)
    failed: list[str] = []
    count = 0
    for key, asked in batch.requests.items():
        reply = replies.get(key, "the provider says nothing about it")
        if isinstance(reply, str):
            failed.append(f"{asked.node}: {reply}")
        else:
            await caller.keep(key, reply, Purpose(asked.node, asked.columns), share=HALF)
            count += 1
    kept.remove(path)
    return Collected(state, count, tuple(failed))
