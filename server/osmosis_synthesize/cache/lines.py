"""Cached replies as lines of JSON, so that a team can carry them to CI.

One line is one reply::

    {"version": 1, "key": "9f86…", "provider": "openai", "model": "gpt-5", "prompt_version": "3", "text": "…",
     "finish": "stop", "answered_by": "gpt-5-2025-08-07", "cost": "0.00125", "stored_at": "2026-01-31T12:00:00Z",
     "usage": {"input_tokens": 900, "output_tokens": 12, "cached_input_tokens": 0, "cache_write_tokens": 0}}

``cost`` is in US dollars, as text because that is exact, or null where it is unknown. What a line holds is
as little trusted as what a server replies.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from osmosis_synthesize.cache.model import CachedReply
from osmosis_synthesize.providers.base import Finish, Reply, Usage

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Usage(msgspec.Struct, frozen=True):
    input_tokens: _Count = 0
    output_tokens: _Count = 0
    cached_input_tokens: _Count = 0
    cache_write_tokens: _Count = 0


class _Line(msgspec.Struct, frozen=True):
    version: Literal[1]
    key: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    provider: str
    model: str
    text: str
    stored_at: Annotated[datetime, msgspec.Meta(tz=True)]
    prompt_version: str = ""
    finish: Finish = "stop"
    answered_by: str = ""
    cost: Decimal | None = None
    usage: _Usage = _Usage()


def to_line(key: str, cached: CachedReply) -> str:
    """The line, without its line break."""
    reply, usage = cached.reply, cached.reply.usage
    line = _Line(
        version=1,
        key=key,
        provider=cached.provider,
        model=cached.model,
        text=reply.text,
        stored_at=datetime.fromtimestamp(cached.stored_at, UTC),
        prompt_version=cached.prompt_version,
        finish=reply.finish,
        answered_by=reply.model,
        cost=cached.cost,
        usage=_Usage(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.cache_write_tokens),
    )
    return msgspec.json.encode(line).decode()


def from_line(line: str) -> tuple[str, CachedReply]:
    """The key and the reply. Unknown fields are passed over; a moment to come becomes now.

    Raises:
        ValueError: the line is no exported reply; the message says what is wrong with it.
    """
    try:
        parsed = _decode(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if parsed.cost is not None and not (parsed.cost.is_finite() and 0 <= parsed.cost < _MOST):
        raise ValueError(f"not a cost in US dollars: {parsed.cost}")
    usage = Usage(
        parsed.usage.input_tokens,
        parsed.usage.output_tokens,
        parsed.usage.cached_input_tokens,
        parsed.usage.cache_write_tokens,
    )
    reply = Reply(parsed.text, usage, parsed.answered_by, parsed.finish)
    stored_at = min(parsed.stored_at.timestamp(), time.time())
    return parsed.key, CachedReply(
        reply, parsed.provider, parsed.model, parsed.cost, stored_at, parsed.prompt_version
    )


_decode = msgspec.json.Decoder(_Line).decode

_MOST = 1_000_000
"""US dollars for one reply past which a line is taken for nonsense; the store holds sums of nine times as much."""
