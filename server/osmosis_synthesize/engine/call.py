"""The only way to a provider: through the cache, inside the budget, into the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from osmosis_synthesize.cache import Cache, Claim, request_key
from osmosis_synthesize.cost.budget import Budget, Reservation
from osmosis_synthesize.cost.ledger import Entry, Ledger, Outcome
from osmosis_synthesize.cost.prices import Price
from osmosis_synthesize.cost.tokens import TokenEstimate, TokenEstimator
from osmosis_synthesize.engine.model import Author, Gap, Spent
from osmosis_synthesize.engine.prompts import PROMPT_VERSION
from osmosis_synthesize.errors import (
    BudgetExceeded,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderQuotaError,
    ProviderSetupError,
    ProviderTimeout,
    UsageError,
)
from osmosis_synthesize.providers.base import Hear, Provider, Reply, Request, Stoppable, Streaming, Usage

Mode = Literal["call", "offline", "dry-run", "inherit-only"]
"""``offline``: only what needs no network. ``dry-run``: the cache answers, a provider is not called.
``inherit-only``: neither the cache nor a provider is asked."""

_MOST_OUTPUT: Final = 16_384
"""Output tokens that a request without a limit of its own is taken to have at most."""

# After these, further calls can only fail the same way.
_HOPELESS: Final = (ProviderSetupError, ProviderAuthError, ProviderQuotaError)
# After these, the server may have done its work all the same.
_MAYBE_PAID: Final = (ProviderTimeout, ProviderConnectionError)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is for, as the ledger shows it."""

    unique_id: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and what it took."""

    reply: Reply
    cached: bool
    spent: Spent


@dataclass(frozen=True, slots=True)
class Declined:
    """No reply, and why. ``failed`` tells a provider's failure from a limit that the user set."""

    reason: str
    failed: bool = False
    error: ProviderError | None = None
    """The failure, where it is one."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a call would take. Costs are in USD; ``None`` where the price is unknown."""

    input_tokens: int
    output_tokens: int
    cost: Decimal | None
    upper_bound: Decimal | None


@dataclass(frozen=True, slots=True)
class Books:
    """Where money is counted. All of it is shared with other processes, but for the run's own budget."""

    ledger: Ledger
    budget: Budget
    estimator: TokenEstimator
    find_price: Callable[[], Price | None]
    """Looks up the model's price, ``None`` where it is unknown. Asked once, before the first call or quote."""
    project: str = ""


class Caller:
    """Asks one provider on behalf of one run. Used by many tasks of one event loop."""

    def __init__(
        self,
        author: Author,
        create: Callable[[], Provider],
        books: Books,
        *,
        cache: Cache | None,
        mode: Mode = "call",
        deterministic: bool = False,
        base_url: str | None = None,
        concurrency: int = 8,
        prompts: Path | None = None,
        anew: bool = False,
        refuse: Callable[[], str | None] = lambda: None,
        show: Callable[[Gap, str], None] | None = None,
    ) -> None:
        """Nothing is opened or imported until the first call.

        Args:
            author: the provider and model, as the settings name them.
            create: makes the provider; called once, at the first call.
            books: prices, budget and ledger.
            cache: ``None`` asks anew each time.
            mode: whether it may call at all.
            deterministic: see :attr:`Provider.deterministic`; such a provider needs no cache and no network.
            base_url: part of the cache key: the same model name may mean another model elsewhere.
            concurrency: calls under way at once.
            prompts: a folder for copies of what is sent and what comes back; nothing is written elsewhere.
            anew: whether to ask what the cache could answer; the new reply takes the old one's place.
            refuse: says, right before each call, why it may not be made now, if so.
            show: is told what a reply about a single gap says of it while it comes, as far as that is fit to be written.
        """
        self.author = author
        self.show = show
        self.deterministic = deterministic
        self.concurrency = concurrency
        self._create = create
        self._books = books
        self._cache = None if deterministic else cache
        self._mode: Mode = mode
        self._base_url = base_url
        self._provider: Provider | None = None
        self._slots = asyncio.Semaphore(concurrency)
        self._hopeless: ProviderError | None = None
        self._stopped = False
        self._prompts = prompts
        self._newer_than = time.time() if anew else 0.0
        self._refuse = refuse
        self._under_way = 0
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def asks_nobody(self) -> Declined | None:
        """Why neither the cache nor a provider is asked, so that no prompt is needed; ``None`` if one of them may be."""
        return _ONLY_INHERITANCE if self._mode == "inherit-only" else None

    def declines(self) -> Declined | None:
        """Why no call will be made, whatever is asked; ``None`` if one may be."""
        name = f"{self.author.provider} {self.author.model}".strip()
        if self._mode == "inherit-only":
            return _ONLY_INHERITANCE
        if self._mode == "offline" and not self.deterministic:
            return Declined(f"it is not in the cache, and {name} may not be called offline")
        if self._mode == "dry-run" and not self.deterministic:
            return Declined(f"dry run: {name} would be asked")
        if self._stopped:
            return _STOPPED
        return _failed(self._hopeless) if self._hopeless is not None else None

    def recall(self, request: Request) -> Answer | None:
        """The answer that the cache has, if there is one."""
        if self._cache is None or self._mode == "inherit-only":
            return None
        found = self._cache.get(self.key_of(request), newer_than=self._newer_than)
        return Answer(found.reply, cached=True, spent=Spent(cached_calls=1)) if found is not None else None

    def forget(self, request: Request) -> None:
        """Drop a cached reply that turned out to hold nothing of use, so that it does not stand in the way for ever."""
        if self._cache is not None:
            self._cache.remove(self.key_of(request))

    def quote(self, request: Request, *, expected_output: int) -> Quote:
        """What this request would cost; ``expected_output`` in tokens."""
        if self.deterministic:
            return Quote(0, 0, Decimal(0), Decimal(0))
        estimate = self._books.estimator.request(request)
        price = self.price
        if price is None:
            return Quote(estimate.expected, expected_output, None, None)
        cost = price.cost(Usage(estimate.expected, expected_output))
        return Quote(estimate.expected, expected_output, cost, self._upper_bound(estimate, request))

    async def ask(self, request: Request, purpose: Purpose, *, hear: Hear | None = None) -> Answer | Declined:
        """The reply to a request: from the cache, or from the provider if that is allowed and affordable.

        A provider is heard while it answers, if it can be.
        """
        if self._cache is None or self._mode == "inherit-only":
            return self.declines() or await self._call(request, purpose, None, hear)
        key = self.key_of(request)
        found = self._cache.get(key, newer_than=self._newer_than)
        if found is None:
            if declined := self.declines():
                return declined
            async with self._cache.claim(key, newer_than=self._newer_than) as claim:
                if claim.reply is None:
                    return await self._call(request, purpose, claim, hear)
                found = claim.reply
        self._books.ledger.record(self._entry(purpose, Usage(), Decimal(0), cache_hit=True))
        return Answer(found.reply, cached=True, spent=Spent(cached_calls=1))

    def hold(self, upper_bound: Decimal | None, *, by_this_run: bool = True) -> Reservation:
        """Keep room in the budget for what is to be asked without this caller.

        Raises:
            BudgetExceeded: there is none.
        """
        return self._books.budget.reserve(upper_bound, by_this_run=by_this_run)

    async def keep(self, key: str, reply: Reply, purpose: Purpose, *, share: Decimal) -> bool:
        """Keep a reply that was asked for without this caller, at a ``share`` of the price; ``False`` if it is there already.

        What holds nothing is entered in the ledger all the same: it was paid for.
        """
        if self._cache is None:
            raise UsageError("Without the cache a reply has nowhere to wait.", hint="Leave --no-llm-cache away.")
        async with self._cache.claim(key) as claim:
            if claim.reply is not None:
                return False
            price = self.price
            cost = price.cost(reply.usage) * share if price is not None else None
            row = self._entry(purpose, reply.usage, cost, outcome=_OUTCOMES[reply.finish])
            self._enter(row, reply, claim)
        return True

    def open(self) -> Provider:
        """Make the provider now, which imports its SDK, rather than at the first call: any thread may do this.

        Raises:
            ProviderSetupError: no call can work; each would be declined with this error.
        """
        if self._provider is None:
            self._provider = self._create()
        return self._provider

    @property
    def stopped(self) -> bool:
        """Whether nothing more is asked."""
        return self._stopped

    @property
    def keeps(self) -> bool:
        """Whether a call under way is worth its end although nobody waits for it: it is paid for, and the cache has it then."""
        return self._cache is not None and self._provider is not None and not self._provider.local

    def stop(self) -> None:
        """Ask nothing more, and try nothing again. Calls under way go on."""
        self._stopped = True
        if isinstance(self._provider, Stoppable):
            self._provider.stop()

    def problem(self) -> ProviderError | None:
        """Why no call can work as things are (no key, a host that is not trusted, …); found without asking anybody."""
        try:
            self.open()
        except ProviderError as error:
            return error
        return None

    async def aclose(self) -> None:
        """Give back the provider's connections."""
        if self._provider is not None:
            await self._provider.aclose()

    async def _call(
        self, request: Request, purpose: Purpose, claim: Claim | None, hear: Hear | None
    ) -> Answer | Declined:
        async with self._slots:
            if self._hopeless is not None:
                return _failed(self._hopeless)
            try:
                provider = self.open()
                if self.deterministic:
                    return Answer(await provider.complete(request), cached=False, spent=Spent())
                if (reason := self._refuse()) is not None:
                    return Declined(reason)
                estimate = self._books.estimator.request(request)
                with await self._reserve(self._upper_bound(estimate, request)) as reservation:
                    try:
                        if self._stopped:
                            return _STOPPED
                        return await self._pay(provider, request, purpose, claim, hear, reservation, estimate)
                    finally:
                        reservation.release()
                        self._let_go()
            except BudgetExceeded as error:
                return Declined(str(error))
            except ProviderError as error:
                if isinstance(error, _HOPELESS):
                    self._hopeless = error
                return _failed(error)

    async def _reserve(self, upper_bound: Decimal | None) -> Reservation:
        """Room in the budget. What does not fit beside the calls under way may fit once they are settled for less.

        Raises:
            BudgetExceeded: it does not fit although nothing else is under way.
        """
        while True:
            try:
                reservation = self._books.budget.reserve(upper_bound)
            except BudgetExceeded:
                if not self._under_way:
                    raise
                settled = asyncio.get_running_loop().create_future()
                self._waiting.append(settled)
                await settled
            else:
                self._under_way += 1
                return reservation

    def _let_go(self) -> None:
        """A call is settled: whoever waits for room looks again."""
        self._under_way -= 1
        waiting, self._waiting = self._waiting, []
        for settled in waiting:
            if not settled.done():
                settled.set_result(None)

    async def _pay(
        self,
        provider: Provider,
        request: Request,
        purpose: Purpose,
        claim: Claim | None,
        hear: Hear | None,
        reservation: Reservation,
        estimate: TokenEstimate,
    ) -> Answer:
        started = time.monotonic()

        def entry(usage: Usage, cost: Decimal | None, outcome: Outcome) -> Entry:
            duration = time.monotonic() - started
            return self._entry(
                purpose, usage, cost, outcome=outcome, duration=duration, estimate=estimate.uncorrected
            )

        try:
            if hear is not None and isinstance(provider, Streaming):
                reply = await provider.stream(request, hear)
            else:
                reply = await provider.complete(request)
        except BaseException as error:
            # Cancelled or broken off, it may have been paid for: what was reserved then counts as spent.
            cancelled = not isinstance(error, ProviderError)
            maybe_paid = cancelled or isinstance(error, _MAYBE_PAID)
            self._books.ledger.record(
                entry(Usage(), None if maybe_paid else Decimal(0), "cancelled" if cancelled else "failed")
            )
            if maybe_paid:
                reservation.settle(None)
            raise
        if self._prompts is not None:
            _write_prompt(self._prompts, purpose, request, reply)
        price = self.price
        cost = price.cost(reply.usage) if price is not None else None
        row = entry(reply.usage, cost, _OUTCOMES[reply.finish])
        self._enter(row, reply, claim)
        reservation.settle(cost)
        return Answer(reply, cached=False, spent=Spent(calls=1, usage=reply.usage, cost=cost))

    def _enter(self, row: Entry, reply: Reply, claim: Claim | None) -> None:
        """Enter a reply in the ledger, and keep it if it says something."""
        if claim is not None and reply.text.strip() and reply.finish != "refusal":
            claim.fulfil(reply, row, prompt_version=PROMPT_VERSION)
        else:
            self._books.ledger.record(row)

    @cached_property
    def price(self) -> Price | None:
        """The model's price; ``None`` where it is unknown."""
        return self._books.find_price()

    def _upper_bound(self, estimate: TokenEstimate, request: Request) -> Decimal | None:
        price = self.price
        return price.at_most(estimate.at_most, request.max_tokens or _MOST_OUTPUT) if price is not None else None

    def key_of(self, request: Request) -> str:
        """Under which key the reply to a request is kept."""
        return request_key(self.author.provider, self.author.model, request, base_url=self._base_url)

    def _entry(
        self,
        purpose: Purpose,
        usage: Usage,
        cost: Decimal | None,
        *,
        outcome: Outcome = "answered",
        duration: float = 0.0,
        estimate: int | None = None,
        cache_hit: bool = False,
    ) -> Entry:
        return Entry(
            self.author.provider,
            self.author.model,
            usage,
            cost,
            project=self._books.project,
            node=purpose.unique_id,
            columns=purpose.columns,
            cache_hit=cache_hit,
            duration=duration,
            outcome=outcome,
            estimated_input_tokens=estimate,
        )


_ONLY_INHERITANCE: Final = Declined("only inheritance was asked for")
_STOPPED: Final = Declined("the run was stopped")


def _failed(error: ProviderError) -> Declined:
    return Declined(str(error), failed=True, error=error)


_OUTCOMES: Final[dict[str, Outcome]] = {"stop": "answered", "length": "cut-off", "refusal": "refused"}


def _write_prompt(folder: Path, purpose: Purpose, request: Request, reply: Reply) -> None:
    """Copy a prompt and its reply to a file of their own, readable by the user alone."""
    text = "\n\n".join(f"--- {message.role}\n{message.content}" for message in request.messages)
    name = f"{purpose.unique_id}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}.txt"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{text}\n\n--- reply ({reply.finish})\n{reply.text}\n")
