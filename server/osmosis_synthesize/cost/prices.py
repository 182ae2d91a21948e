"""What a model charges for its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osmosis_synthesize.providers.base import Usage

_MILLION = Decimal(1_000_000)


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
    """(threshold, rates), thresholds rising."""

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
        rates = self._rates(input_tokens)
        dearest = max(rates.input, rates.cached_input, rates.cache_write)
        return (input_tokens * dearest + output_tokens * rates.output) / _MILLION

    def _rates(self, input_tokens: int) -> Rates:
        rates = self.base
        for threshold, tier in self.tiers:
            if input_tokens > threshold:
                rates = tier
        return rates


_ZERO = Decimal(0)
FREE = Price(Rates(_ZERO, _ZERO, _ZERO, _ZERO))
"""The price of a provider that runs on this machine (``Provider.local``)."""


class Prices:
    """Prices by provider and model: the user's own first, then those that genai-prices brings along."""

    def __init__(self, overrides: Mapping[str, Price] | None = None) -> None:
        self._overrides = dict(overrides or {})

    def price_of(self, provider: str, model: str, *, base_url: str | None = None) -> Price | None:
        """The price of a model, or None if nobody knows it."""
        return self._overrides.get(model)
