"""What calls to one model cost."""

from __future__ import annotations

import threading
import warnings
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from osmosis_synthesize.cost.prices import Price

# Whose model a bare name is taken for, in this order.
_SELLERS = ("openai", "anthropic")


class SkippedWarning(UserWarning):
    """Something was not asked, or not used, so that a description is missing; the message says why."""


class CostTracker:
    """Adds up the tokens of calls to one model, and what they cost in US dollars. May be used by several threads."""

    def __init__(self, model: str, *, provider: str | None = None, base_url: str | None = None) -> None:
        """Nothing is read until a price is needed.

        Args:
            model: its name, as sent.
            provider: who serves it; without it, the price is that of OpenAI's or Anthropic's model of this name.
            base_url: tells one OpenAI-compatible server from another.
        """
        self.model = model
        self.input_tokens = 0
        self.output_tokens = 0
        self._providers = _SELLERS if provider is None else (provider,)
        self._base_url = base_url
        self._cost: Decimal | None = Decimal(0)
        self._lock = threading.Lock()

    @property
    def total_cost(self) -> Decimal | None:
        """US dollars so far; ``None``, and never 0, once something of unknown price was used."""
        return self._cost

    def estimate_tokens(self, text: str) -> int:
        """About how many tokens ``text`` is; needs no network."""
        from osmosis_synthesize.cost.tokens import estimate_tokens

        return estimate_tokens(text)

    def record_usage(self, input_tokens: int, output_tokens: int) -> None:
        """Add one call at the model's list price."""
        from osmosis_synthesize.providers.base import Usage

        price = self._price
        self.add(
            input_tokens,
            output_tokens,
            None if price is None else price.cost(Usage(input_tokens, output_tokens)),
        )

    def add(self, input_tokens: int, output_tokens: int, cost: Decimal | None) -> None:
        """Add one call of known cost; ``None`` is unknown."""
        with self._lock:
            self.input_tokens += input_tokens
            self.output_tokens += output_tokens
            self._cost = None if self._cost is None or cost is None else self._cost + cost

    def check_budget(self, max_cost: Decimal | float | None) -> bool:
        """Whether no more than ``max_cost`` US dollars were spent (``None`` is no limit).

        Over budget, or where the price is unknown, it warns and says no; it never raises.
        """
        from osmosis_synthesize.cost.money import show

        if max_cost is None:
            return True
        limit = Decimal(str(max_cost))
        spent = self._cost
        if spent is not None and spent <= limit:
            return True
        what = "the price is unknown" if spent is None else f"{show(spent)} were spent"
        warnings.warn(f"{self.model}: {what}, and the budget is {show(limit)}.", SkippedWarning, stacklevel=2)
        return False

    @cached_property
    def _price(self) -> Price | None:
        from osmosis_synthesize.cost.prices import Prices
        from osmosis_synthesize.settings import is_local
        from osmosis_synthesize.store import Store

        with Store.open() as store:
            prices = Prices(store)
            for provider in self._providers:
                local = is_local(provider, self._base_url)
                price = prices.price_of(provider, self.model, base_url=self._base_url, local=local)
                if price is not None:
                    return price
        return None
