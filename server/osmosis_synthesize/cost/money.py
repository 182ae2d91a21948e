"""Amounts of money, exact.

In memory an amount is a :class:`~decimal.Decimal` of US dollars. In the store it is a whole number of pico-dollars
(10⁻¹² USD), so that SQLite can add amounts without rounding: a price of up to six decimals per million tokens is
a whole number of them per token, and its 64 bits hold nine million dollars.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, localcontext


def to_picos(amount: Decimal) -> int:
    """``amount`` in pico-dollars; a finer amount is rounded up, so that nothing is ever counted as less.

    Raises:
        ValueError: ``amount`` is negative or not finite.
    """
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"not an amount that can be spent: {amount}")
    with localcontext(prec=40):
        return int(amount.scaleb(12).to_integral_value(ROUND_CEILING))


def from_picos(picos: int) -> Decimal:
    """The amount in US dollars, without trailing zeros."""
    with localcontext(prec=40):
        return Decimal(picos).scaleb(-12).normalize() + 0


def show(amount: Decimal | None) -> str:
    """``amount`` for people: cents where they suffice, else as many decimals as give it two digits.

    ``$1.25``, ``$0.0031``, ``$0.00``; ``unknown`` for None.
    """
    if amount is None:
        return "unknown"
    if amount == 0 or amount >= Decimal("0.1"):
        return f"${amount:.2f}"
    return f"${amount:.{1 - amount.adjusted()}f}"
