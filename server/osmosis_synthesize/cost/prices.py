"""What a model charges for its tokens."""

from __future__ import annotations

import json
import re
import time
from dataclasses import astuple, dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from osmosis_synthesize.providers.base import Usage
    from osmosis_synthesize.store import Store

_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    """For input that the server had in its cache; the same as ``input`` where it makes no difference."""
    cache_write: Decimal
    """For input that the server put into its cache; mostly the same as ``input``."""


@dataclass(frozen=True, slots=True)
class Price:
    """A model's price: ``base``, and the rates of whole calls with more input tokens than a threshold."""

    base: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    """(threshold, rates), thresholds rising. One token more than a threshold makes all tokens cost these rates."""

    @classmethod
    def flat(cls, input: Decimal, output: Decimal, cached_input: Decimal | None = None) -> Self:  # noqa: A002 - its name
        """A price as people set it: US dollars per million tokens; cached input costs the same unless said."""
        return cls(Rates(input, output, input if cached_input is None else cached_input, input))

    def cost(self, usage: Usage) -> Decimal:
        """US dollars for one call, exact."""
        rates = self._rates(usage.input_tokens)
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        plain = usage.input_tokens - cached - written
        total = (
            plain * rates.input
            + cached * rates.cached_input
            + written * rates.cache_write
            + usage.output_tokens * rates.output
        )
        return total / _MILLION

    def at_most(self, input_tokens: int, output_tokens: int) -> Decimal:
        """US dollars for a call of at most so many tokens, whatever the server's cache does."""
        # Not the rates of just so many tokens: somewhere a higher tier may be the cheaper one.
        reachable = [self.base, *(rates for threshold, rates in self.tiers if input_tokens > threshold)]
        dearest_input = max(max(rates.input, rates.cached_input, rates.cache_write) for rates in reachable)
        return (input_tokens * dearest_input + output_tokens * max(rates.output for rates in reachable)) / _MILLION

    def _rates(self, input_tokens: int) -> Rates:
        rates = self.base
        for threshold, tier in self.tiers:
            if input_tokens > threshold:
                rates = tier
        return rates


FREE: Final = Price.flat(Decimal(0), Decimal(0))
"""The price of a provider that runs on this machine."""

_GENAI_PROVIDERS: Final = {"openai": "openai", "azure": "azure", "anthropic": "anthropic"}
"""What genai-prices calls our providers. All others are known by the host they are reached at."""


_FEWEST_TOKENS: Final = 16_000
"""What a model must be able to read for our prompts to fit."""

_NO_TEXT: Final = re.compile(
    r"audio|computer-use|deep-research|embedding|ft[:.-]|guard|image|instruct|live|omni|realtime|robotics|search|"
    r"transcribe|tts|vision"
)
"""Of models that do something else than write a text on request."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as the price list has it."""

    model: str
    price: Price
    context_tokens: int


class Prices:
    """Prices by model: the user's own first, then those that genai-prices brings along.

    Loading genai-prices takes most of a second. So what it said about a model is kept in the store, for as long as
    it is the same installed file and the same day.
    """

    def __init__(self, store: Store, overrides: Mapping[str, Price] | None = None) -> None:
        self._store = store
        self._overrides = dict(overrides or {})

    def price_of(
        self, provider: str, model: str, *, base_url: str | None = None, local: bool = False
    ) -> Price | None:
        """The price of a model, or None if nobody knows it.

        ``local`` is ``Provider.local``: what runs on this machine is free unless the user says otherwise.
        ``base_url`` tells one OpenAI-compatible server from another.
        """
        if (own := self._overrides.get(model)) is not None:
            return own
        if local:
            return FREE
        place = _GENAI_PROVIDERS.get(provider) or base_url
        if place is None or (source := _genai_file()) is None:
            return None
        source = f"{source} {time.strftime('%Y-%m-%d', time.gmtime())}"
        row = self._store.read(
            lambda connection: connection.execute(
                "SELECT price FROM price WHERE source = ? AND provider = ? AND model = ?", (source, place, model)
            ).fetchone()
        )
        if row is not None:
            return _decode(row[0])
        price = _genai_price(provider, model, base_url)

        def remember(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM price WHERE source != ?", (source,))
            connection.execute(
                "INSERT OR REPLACE INTO price VALUES (?, ?, ?, ?)", (source, place, model, _encode(price))
            )

        self._store.write(remember)
        return price


@cache
def _genai_file() -> str | None:
    """What tells one installed version of genai-prices from another, found without importing it."""
    from importlib.util import find_spec

    spec = find_spec("genai_prices")
    if spec is None or spec.origin is None:
        return None
    status = Path(spec.origin).with_name("data.py").stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _genai_price(provider: str, model: str, base_url: str | None) -> Price | None:
    """The price that the data bundled with genai-prices has for today; nothing is fetched.

    Where a price depends on the hour it is the dearest of the day, and where something is charged that a
    :class:`Price` does not know (a sum for each call), there is none: no price is better than one too low.
    """
    from genai_prices.data_snapshot import get_snapshot

    name = _GENAI_PROVIDERS.get(provider)
    try:
        found = get_snapshot().find_provider_model(model, None, name, None if name else base_url)[1]
    except LookupError:
        return None
    return _price_today(found)


def listed_models(provider: str, base_url: str | None) -> tuple[Listed, ...]:
    """The models that write text at a provider, as the data bundled with genai-prices has them, by name.

    Loading that data takes most of a second.
    """
    if _genai_file() is None:
        return ()
    from genai_prices.data_snapshot import get_snapshot

    name = _GENAI_PROVIDERS.get(provider)
    try:
        found = get_snapshot().find_provider(None, name, None if name else base_url)
    except LookupError:
        return ()
    models = [
        (model.id, price, model.context_window)
        for model in found.models
        if model.context_window is not None
        and model.context_window >= _FEWEST_TOKENS
        and not model.deprecated
        and not _NO_TEXT.search(model.id)
        and not (found.id == "google" and model.id.startswith("claude"))  # Vertex AI has those, at another address
        and (price := _price_today(model)) is not None
    ]
    return tuple(Listed(*model) for model in sorted(models, key=lambda model: model[0]))


def _price_today(model: Any) -> Price | None:
    """The price of a ``genai_prices.types.ModelInfo``."""
    from datetime import UTC, datetime

    midnight = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    by_hour = [model.get_prices(midnight.replace(hour=hour)) for hour in range(24)]
    prices = [price for each in by_hour if (price := _from_genai(each)) is not None]
    if len(prices) < len(by_hour):
        return None
    return max(prices, key=lambda price: price.base.input + price.base.output)


def _from_genai(raw: Any) -> Price | None:
    """A ``genai_prices.types.ModelPrice``; its parts are None, a Decimal, or a base and tiers."""
    input_, output = raw.input_mtok, raw.output_mtok
    if input_ is None or output is None or raw.requests_kcount is not None:
        return None
    parts = (
        input_,
        output,
        input_ if raw.cache_read_mtok is None else raw.cache_read_mtok,
        input_ if raw.cache_write_mtok is None else raw.cache_write_mtok,
    )
    thresholds = sorted({tier.start for part in parts for tier in getattr(part, "tiers", ())})
    base, *tiers = (
        Rates(*(_at(part, tokens) for part in parts)) for tokens in [0, *(start + 1 for start in thresholds)]
    )
    return Price(base, tuple(zip(thresholds, tiers, strict=True)))


def _at(part: Any, tokens: int) -> Decimal:
    """What a part of a price is for calls of so many input tokens."""
    rate: Decimal = getattr(part, "base", part)
    for tier in getattr(part, "tiers", ()):
        if tokens > tier.start:
            rate = tier.price
    return rate


def _encode(price: Price | None) -> str:
    if price is None:
        return "null"
    return json.dumps(
        [[threshold, *map(str, astuple(rates))] for threshold, rates in [(0, price.base), *price.tiers]]
    )


def _decode(text: str) -> Price | None:
    rows: list[tuple[int, str, str, str, str]] | None = json.loads(text)
    if rows is None:
        return None
    (_, base), *tiers = [(threshold, Rates(*map(Decimal, rates))) for threshold, *rates in rows]
    return Price(base, tuple(tiers))
