"""What is kept of a reply, and under which key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from osmosis_synthesize.providers.base import Reply, Request

_ANSWER_FROM_SUBJECT: Final = frozenset({"facts"})


def request_key(provider: str, model: str, request: Request, *, base_url: str | None = None) -> str:
    """The SHA-256, in hexadecimal, of everything the reply depends on.

    ``base_url`` belongs to it where one was set: two servers may call different models by one name. ``subject``
    does only for providers that answer from it; for the others the prompt says the same, and a key without it
    outlives releases that add a fact.
    """
    canonical = {
        "provider": provider,
        "model": model,
        "base_url": base_url.rstrip("/") if base_url else None,
        "messages": [[message.role, message.content] for message in request.messages],
        "schema": request.schema,
        "max_tokens": request.max_tokens,
        "temperature": None if request.temperature is None else float(request.temperature),
        "subject": asdict(request.subject) if request.subject and provider in _ANSWER_FROM_SUBJECT else None,
    }
    text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - of a JSON schema
    raise TypeError(f"a request holds a {type(value).__name__}, which JSON does not know")


@dataclass(frozen=True, slots=True)
class CachedReply:
    """A reply that was kept, and what it took to get it."""

    reply: Reply
    provider: str
    model: str
    """The model that was asked for; ``reply.model`` is the one that answered."""
    cost: Decimal | None
    """US dollars paid for it; None if unknown."""
    stored_at: float
    """Seconds since 1970."""
    prompt_version: str = ""
