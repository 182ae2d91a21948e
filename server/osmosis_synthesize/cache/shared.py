"""Replies on disk, shared by every process of the user, so that no question is paid for twice.

A question is asked through a claim::

    async with cache.claim(key) as claim:
        if claim.reply is None:
            ...  # nobody has the answer and nobody else is asking: it is for us to ask
            cached = claim.fulfil(reply, entry)  # on disk before it is used

Whoever comes with the same key meanwhile, in this process or another, waits and then finds ``claim.reply``.
"""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, get_args

from osmosis_synthesize.cache.model import CachedReply
from osmosis_synthesize.cost import ledger
from osmosis_synthesize.cost.money import from_picos, to_picos
from osmosis_synthesize.owner import Owner, has_ended, this_process
from osmosis_synthesize.providers.base import Finish, Reply, Usage

if TYPE_CHECKING:
    import asyncio
    import sqlite3
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from osmosis_synthesize.store import Store

MAX_BYTES: Final = 256 * 2**20
"""Past this size of all replies the oldest are removed. A reply takes some 2 KB, so this is about 100,000."""

MAX_AGE_DAYS: Final = 180
"""Older replies are not used and are removed."""

_KEPT_AFTER_EVICTION: Final = 0.9
"""How much of the limit is left after removing, so that not every following reply has to remove again."""

_LEASE: Final = 20.0
"""Seconds until others may take over a claim whose owner shows no sign of life. Renewed three times as often."""

_FIRST_WAIT: Final = 0.002
_LONGEST_WAIT: Final = 0.1
"""Seconds between two looks at another process's claim, growing from one to the other; each look is one read."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the cache holds. ``size`` is in bytes of replies; ``oldest`` and ``newest`` in seconds since 1970."""

    replies: int
    size: int
    oldest: float | None
    newest: float | None
    saved: Decimal
    """US dollars the replies once cost."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: replies added, those not better than ours (or too old), and what was wrong with others."""

    added: int
    skipped: int
    rejected: tuple[str, ...]
    """``line 3: …`` for each line that is no exported reply."""


class Claim:
    """The right to ask one question, or its answer."""

    __slots__ = ("_books", "_key", "_max_bytes", "_store", "_token", "reply")

    def __init__(
        self, store: Store, books: Store, key: str, token: str, max_bytes: int, reply: CachedReply | None
    ) -> None:
        self._store = store
        self._books = books
        self._key = key
        self._token = token
        self._max_bytes = max_bytes
        self.reply = reply
        """The answer, if there is one."""

    def fulfil(self, reply: Reply, entry: ledger.Entry, *, prompt_version: str = "") -> CachedReply:
        """Keep the answer, enter it in the ledger and let go of the claim, all in one transaction.

        When this returns, the death of the process no longer loses the reply. Where the ledger is in another store,
        a death between the two transactions loses the entry: what was paid for comes first.
        """
        kept = replace(reply, text=_storable(reply.text), model=_storable(reply.model))
        cached = CachedReply(kept, entry.provider, entry.model, entry.cost, entry.time, prompt_version)

        def work(connection: sqlite3.Connection) -> None:
            _insert(connection, self._key, cached, self._max_bytes)
            if self._books is self._store:
                ledger.insert(connection, entry)
            _release(connection, self._key, self._token)

        self._store.write(work)
        if self._books is not self._store:
            self._books.write(lambda connection: ledger.insert(connection, entry))
        self.reply = cached
        return cached


class Cache:
    """The replies in a store. Its claims are for one event loop at a time.

    ``books`` is the store with the ledger, where that is another one.
    """

    def __init__(
        self,
        store: Store,
        *,
        books: Store | None = None,
        max_bytes: int = MAX_BYTES,
        max_age_days: float = MAX_AGE_DAYS,
    ) -> None:
        self._store = store
        self._books = books or store
        self._max_bytes = max_bytes
        self._max_age = max_age_days * 86400.0
        self._turns: dict[tuple[asyncio.AbstractEventLoop, str], tuple[asyncio.Lock, int]] = {}
        oldest_kept = time.time() - self._max_age
        store.write(lambda connection: connection.execute("DELETE FROM reply WHERE stored_at <= ?", (oldest_kept,)))

    def get(self, key: str, *, newer_than: float = 0.0) -> CachedReply | None:
        """The reply to a request, unless it is too old, or older than the caller wants it (seconds since 1970)."""
        return self._store.read(lambda connection: self._select(connection, key, newer_than))

    def put(self, key: str, cached: CachedReply) -> None:
        """Keep a reply, in place of an older one to the same request."""
        self._store.write(lambda connection: _insert(connection, key, cached, self._max_bytes))

    @asynccontextmanager
    async def claim(self, key: str, *, newer_than: float = 0.0) -> AsyncGenerator[Claim]:
        """Wait until the answer is there or it is for us to ask; see the module's own text.

        A reply that is not ``newer_than`` that (seconds since 1970) is no answer; a new one takes its place.

        Leaving the block without :meth:`Claim.fulfil`, by an error or a cancellation too, passes the right on to
        the next who waits. If the owner is killed, others on its machine notice within a tenth of a second, and
        elsewhere when its lease runs out.
        """
        token = os.urandom(16).hex()
        if (found := self.get(key, newer_than=newer_than)) is not None:
            yield Claim(self._store, self._books, key, token, self._max_bytes, found)
            return
        async with self._turn(key):
            found = await self._acquire(key, token, newer_than)
            claim = Claim(self._store, self._books, key, token, self._max_bytes, found)
            if claim.reply is not None:
                yield claim
                return
            lease = _Lease(self._store, key, token)
            try:
                yield claim
            finally:
                lease.stop()
                if claim.reply is None:
                    self._store.write(lambda connection: _release(connection, key, token))

    def stats(self) -> CacheStats:
        """What the cache holds."""

        def work(connection: sqlite3.Connection) -> CacheStats:
            replies, size = connection.execute(
                "SELECT coalesce(sum(replies), 0), coalesce(sum(size), 0) FROM reply_total"
            ).fetchone()
            oldest, newest, cost = connection.execute(
                """SELECT min(stored_at), max(stored_at), coalesce(sum(cost), 0)
                   FROM reply WHERE stored_at BETWEEN ? AND ?""",
                self._usable_times(),
            ).fetchone()
            return CacheStats(replies, size, oldest, newest, from_picos(cost))

        return self._store.read(work)

    def remove(self, key: str) -> None:
        """Remove one reply, so that the question is asked anew. The ledger stays."""
        self._store.write(lambda connection: connection.execute("DELETE FROM reply WHERE key = ?", (key,)))

    def clear(self) -> int:
        """Remove all replies and say how many there were. The ledger stays."""
        return self._store.write(lambda connection: connection.execute("DELETE FROM reply").rowcount)

    def export_lines(self) -> Iterator[str]:
        """All replies, each as one line of JSON without its line break (see ``lines.py``)."""
        from osmosis_synthesize.cache import lines  # brings msgspec, which asking does not need

        last = ""
        while True:
            # Page by page, so that neither the whole cache is in memory nor a reader in the way of writers.
            page = self._store.read(
                lambda connection, last=last: connection.execute(
                    f"""SELECT key, {_COLUMNS} FROM reply
                        WHERE key > ? AND stored_at BETWEEN ? AND ? ORDER BY key LIMIT {_PAGE}""",  # noqa: S608 - constants
                    (last, *self._usable_times()),
                ).fetchall()
            )
            for key, *row in page:
                if (cached := _cached_reply(tuple(row))) is not None:
                    yield lines.to_line(key, cached)
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def import_lines(self, exported: Iterable[str]) -> Imported:
        """Add exported replies. Where both sides have one, the newer stays; a line that is not valid changes nothing."""
        from osmosis_synthesize.cache import lines  # as above

        added = skipped = 0
        rejected: list[str] = []
        numbered = enumerate(exported, 1)
        while page := list(islice(numbered, _PAGE)):
            valid: list[tuple[str, CachedReply]] = []
            for number, line in page:
                if line.strip():
                    try:
                        valid.append(lines.from_line(line))
                    except ValueError as error:
                        rejected.append(f"line {number}: {error}")
            new = self._store.write(lambda connection, valid=valid: self._merge(connection, valid))
            added += new
            skipped += len(valid) - new
        return Imported(added, skipped, tuple(rejected))

    def _merge(self, connection: sqlite3.Connection, replies: list[tuple[str, CachedReply]]) -> int:
        new = 0
        oldest = time.time() - self._max_age
        for key, cached in replies:
            ours = connection.execute("SELECT stored_at FROM reply WHERE key = ?", (key,)).fetchone()
            if cached.stored_at > (oldest if ours is None else ours[0]):
                _insert(connection, key, cached, self._max_bytes)
                new += 1
        return new

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncGenerator[None]:
        """One task of this event loop at a time for one key, so that only one has to watch other processes."""
        import asyncio  # most commands look replies up and never claim one

        place = (asyncio.get_running_loop(), key)
        lock, waiting = self._turns.get(place, (asyncio.Lock(), 0))
        self._turns[place] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns.pop(place)
            if waiting > 1:
                self._turns[place] = lock, waiting - 1

    async def _acquire(self, key: str, token: str, newer_than: float) -> CachedReply | None:
        """The reply once somebody has it; None as soon as the claim is ours."""
        from asyncio import sleep  # as above

        wait = _FIRST_WAIT
        while True:
            if (reply := self.get(key, newer_than=newer_than)) is not None:
                return reply
            if not self._store.read(lambda connection: _is_held(connection, key)):
                reply, ours = self._store.write(lambda connection: self._try(connection, key, token, newer_than))
                if ours or reply is not None:
                    return reply
            await sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT)

    def _try(
        self, connection: sqlite3.Connection, key: str, token: str, newer_than: float
    ) -> tuple[CachedReply | None, bool]:
        reply = self._select(connection, key, newer_than)
        if reply is not None or _is_held(connection, key):
            return reply, False
        connection.execute(
            "INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?, ?, ?)",
            (key, token, *this_process(), time.time() + _LEASE),
        )
        return None, True

    def _usable_times(self) -> tuple[float, float]:
        """From when to when a reply may be stored. A day to come is another machine's clock, more is damage."""
        now = time.time()
        return now - self._max_age, now + 86400.0

    def _select(self, connection: sqlite3.Connection, key: str, newer_than: float) -> CachedReply | None:
        oldest, newest = self._usable_times()
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM reply WHERE key = ? AND stored_at BETWEEN ? AND ?",  # noqa: S608 - constants
            (key, max(oldest, newer_than), newest),
        ).fetchone()
        return None if row is None else _cached_reply(row)


class _Lease:
    """Renews a claim for as long as the event loop lives and the claim is held."""

    __slots__ = ("_key", "_loop", "_store", "_timer", "_token")

    def __init__(self, store: Store, key: str, token: str) -> None:
        from asyncio import get_running_loop  # as above

        self._store = store
        self._key = key
        self._token = token
        self._loop = get_running_loop()
        self._timer = self._loop.call_later(_LEASE / 3, self._renew)

    def _renew(self) -> None:
        until = time.time() + _LEASE
        self._store.write(
            lambda connection: connection.execute(
                "UPDATE claim SET expires_at = ? WHERE key = ? AND token = ?", (until, self._key, self._token)
            )
        )
        self._timer = self._loop.call_later(_LEASE / 3, self._renew)

    def stop(self) -> None:
        self._timer.cancel()


_PAGE: Final = 500
"""Replies exported or imported in one transaction: some 20 ms."""

_COLUMNS: Final = """text, input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, answered_by, finish,
    provider, model, cost, stored_at, prompt_version"""

_FINISHES: Final = frozenset(get_args(Finish))

_ROW_BYTES: Final = 256
"""What a row takes besides its text: key, names, numbers and the indexes."""


def _storable(text: str) -> str:
    """``text`` with U+FFFD for each half of a surrogate pair, which JSON may carry and no UTF-8 can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _cached_reply(row: tuple[Any, ...]) -> CachedReply | None:
    """A row as a reply; ``None`` if it has what we never write, as a stranger's file may."""
    text, input_tokens, output_tokens, cached, written, answered_by, finish, provider, model, cost, at, version = row
    texts = (text, answered_by, provider, model, version)
    numbers = (input_tokens, output_tokens, cached, written, cost or 0)
    if not all(isinstance(each, str) for each in texts) or not all(isinstance(each, int) for each in numbers):
        return None
    if finish not in _FINISHES:
        return None
    reply = Reply(text, Usage(input_tokens, output_tokens, cached, written), answered_by, finish)
    return CachedReply(reply, provider, model, None if cost is None else from_picos(cost), at, version)


def _insert(connection: sqlite3.Connection, key: str, cached: CachedReply, max_bytes: int) -> None:
    reply, usage = cached.reply, cached.reply.usage
    # Not INSERT OR REPLACE: that removes the old row without its trigger, and the total would drift.
    connection.execute("DELETE FROM reply WHERE key = ?", (key,))
    connection.execute(
        """INSERT INTO reply (key, provider, model, prompt_version, text, finish, answered_by, input_tokens,
               output_tokens, cached_input_tokens, cache_write_tokens, cost, stored_at, size)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            key,
            cached.provider,
            cached.model,
            cached.prompt_version,
            reply.text,
            reply.finish,
            reply.model,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            None if cached.cost is None else to_picos(cached.cost),
            cached.stored_at,
            len(reply.text.encode()) + _ROW_BYTES,
        ),
    )
    if connection.execute("SELECT coalesce(sum(size), 0) FROM reply_total").fetchone()[0] > max_bytes:
        _evict_oldest(connection, int(max_bytes * _KEPT_AFTER_EVICTION))


def _evict_oldest(connection: sqlite3.Connection, kept_bytes: int) -> None:
    connection.execute(
        """DELETE FROM reply WHERE key IN (
               SELECT key FROM (
                   SELECT key, sum(size) OVER (ORDER BY stored_at DESC, key) AS with_newer FROM reply
               ) WHERE with_newer > ?
           )""",
        (kept_bytes,),
    )


def _is_held(connection: sqlite3.Connection, key: str) -> bool:
    """Whether a live owner has claimed the key."""
    row = connection.execute("SELECT expires_at, machine, pid, started FROM claim WHERE key = ?", (key,)).fetchone()
    # No claim of ours lasts longer than its lease; one that says so is damage, or was put there to make others wait.
    return row is not None and 0 < row[0] - time.time() <= 2 * _LEASE and not has_ended(Owner(*row[1:]))


def _release(connection: sqlite3.Connection, key: str, token: str) -> None:
    connection.execute("DELETE FROM claim WHERE key = ? AND token = ?", (key, token))
