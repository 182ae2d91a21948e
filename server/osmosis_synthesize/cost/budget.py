"""A budget: no call is begun whose cost, at its highest, might not fit into what is left."""

from __future__ import annotations

import os
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Self

from osmosis_synthesize.cost.ledger import spent_today
from osmosis_synthesize.cost.money import from_picos, show, to_picos
from osmosis_synthesize.errors import BudgetExceeded
from osmosis_synthesize.owner import Owner, has_ended, this_process

if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType

    from osmosis_synthesize.store import Store

_LEASE: Final = 3600.0
"""Seconds after which another machine's reservation is taken for abandoned; no call may take that long."""


class Reservation:
    """A part of the budget, kept for one call. As a context manager it is released unless it was settled."""

    __slots__ = ("_amount", "_budget", "_open", "_token")

    def __init__(self, budget: Budget, token: str | None, amount: int) -> None:
        self._budget = budget
        self._token = token
        self._amount = amount
        self._open = True

    def settle(self, actual: Decimal | None) -> None:
        """The call was made and cost this much (None: unknown, the whole reservation is taken for spent).

        The ledger must have its row *before* this: from here on it is the ledger that tells other processes.
        """
        self._close(self._amount if actual is None else to_picos(actual))

    def release(self) -> None:
        """The call was not made, or cost nothing. Without effect after :meth:`settle`."""
        self._close(0)

    def _close(self, spent: int) -> None:
        if self._open:
            self._open = False
            self._budget.close(self._token, self._amount, spent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Budget:
    """The limits of one run, in US dollars; None is no limit.

    The run's limit is kept in this object, the day's in the store, over all processes: spent today (see
    :func:`~osmosis_synthesize.cost.ledger.start_of_today`) by the ledger, and reserved by the living.
    """

    def __init__(self, store: Store, *, max_run: Decimal | None = None, max_day: Decimal | None = None) -> None:
        self._store = store
        self._max_run = None if max_run is None else to_picos(max_run)
        self._max_day = None if max_day is None else to_picos(max_day)
        self._run = 0
        self._lock = threading.Lock()

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._max_run is not None or self._max_day is not None

    def reserve(self, upper_bound: Decimal | None, *, by_this_run: bool = True) -> Reservation:
        """Keep room for a call that costs at most ``upper_bound`` US dollars; None is an unknown price.

        What is not asked ``by_this_run`` counts for the day only.

        Raises:
            BudgetExceeded: it does not fit, or whether it does cannot be known. The message says which limit,
                what was asked and what is left.
        """
        if upper_bound is None:
            if self.limited:
                raise BudgetExceeded(
                    "The model's price is unknown, so no budget can be kept.",
                    hint="Set its price under `pricing:` (USD per million tokens), or take the limit away.",
                )
            return Reservation(self, None, 0)
        amount = to_picos(upper_bound)
        if amount == 0:
            return Reservation(self, None, 0)  # what is free fits into any budget, even one that is used up
        with self._lock:
            if by_this_run and self._max_run is not None and self._run + amount > self._max_run:
                raise _exceeded(amount, self._max_run, self._run, "run", "max_cost_per_run")
            token = self._reserve_today(amount, self._max_day) if self._max_day is not None else None
            kept = amount if by_this_run else 0
            self._run += kept
        return Reservation(self, token, kept)

    def close(self, token: str | None, reserved: int, spent: int) -> None:
        """What a :class:`Reservation` does at its end."""
        with self._lock:
            self._run += spent - reserved
        if token is not None:
            self._store.write(
                lambda connection: connection.execute("DELETE FROM reservation WHERE token = ?", (token,))
            )

    def _reserve_today(self, amount: int, limit: int) -> str:
        token = os.urandom(16).hex()

        def work(connection: sqlite3.Connection) -> int | None:
            taken = spent_today(connection) + _reserved(connection)
            if taken + amount > limit:
                return taken
            connection.execute(
                "INSERT INTO reservation VALUES (?, ?, ?, ?, ?, ?)",
                (token, amount, *this_process(), time.time() + _LEASE),
            )
            return None

        taken = self._store.write(work)
        if not self._store.shared:
            raise BudgetExceeded(
                f"What was spent today cannot be known, because {self._store.path} cannot be used.",
                hint="Make it usable, set OSMOSIS_CACHE_DIR to another folder, or take max_cost_per_day away.",
            )
        if taken is not None:
            raise _exceeded(amount, limit, taken, "day", "max_cost_per_day")
        return token


def _reserved(connection: sqlite3.Connection) -> int:
    """The sum of the reservations of the living; those of the dead are removed."""
    total = 0
    rows = connection.execute("SELECT token, amount, expires_at, machine, pid, started FROM reservation").fetchall()
    me, now = this_process(), time.time()
    dead: dict[Owner, bool] = {me: False}
    for token, amount, expires_at, *name in rows:
        owner = Owner(*name)
        if owner not in dead:
            # A process that is seen to live keeps what it reserved, however long its call takes.
            dead[owner] = has_ended(owner) or (owner.machine != me.machine and expires_at < now)
        if dead[owner]:
            connection.execute("DELETE FROM reservation WHERE token = ?", (token,))
        else:
            total += amount
    return total


def _exceeded(amount: int, limit: int, taken: int, period: str, setting: str) -> BudgetExceeded:
    asked, allowed, left = from_picos(amount), from_picos(limit), from_picos(max(limit - taken, 0))
    return BudgetExceeded(
        f"The call may cost {show(asked)}, and {show(left)} is left of the {show(allowed)} a {period}.",
        hint=f"Raise {setting}, or choose a cheaper model.",
    )
