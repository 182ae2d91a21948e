"""Turns what went wrong on the wire into our errors.

Whatever a server says is untrusted and may repeat what it was sent, so its words pass :func:`quote` before they
stand in an error: no key, no piece of a prompt, one line, limited length.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from osmosis_synthesize.errors import (
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderQuotaError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderServerError,
    ProviderSetupError,
    ProviderTimeout,
)

if TYPE_CHECKING:
    from osmosis_synthesize.secret import Secret

LONGEST_QUOTE: Final = 300
"""Characters of a server's words that an error shows at most."""

_RECOGNISABLE: Final = 24
"""So many characters in a row, shared with the prompt, make a quotation of the prompt."""

_KEY_LIKE: Final = re.compile(r"\b(?:sk|key|gsk|xai)-[A-Za-z0-9_*-]{6,200}|\bAIza[0-9A-Za-z_-]{20,60}")

_QUOTA: Final = re.compile(
    r"insufficient_quota|exceeded your current quota|billing_hard_limit|billing_not_active|billing_error"
    r"|credit balance is too low|insufficient[ _](?:credit|balance|funds)"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was calling whom, for messages."""

    name: str
    """The provider's name."""
    model: str
    host: str
    secret: Secret | None = None
    key_hint: str = "Check the key."
    model_hint: str = "Check model (OSMOSIS_LLM_MODEL) and base_url."

    def __str__(self) -> str:
        return f"{self.name} ({self.model} at {self.host})"


def from_response(
    status: int, headers: Mapping[str, str], body: str, *, caller: Caller, prompt: Sequence[str] = ()
) -> ProviderError:
    """The error for an answer that is no reply: any status but 2xx, or a 2xx that carries an error object."""
    said = complaint(body)
    words = quote(said, caller=caller, prompt=prompt).rstrip(".")
    about = f": {words}." if words else "."
    wait = retry_after(headers)
    if 300 <= status < 400:
        return _redirect(status, headers, caller)
    if status == 402 or _QUOTA.search(f"{said} {body[:2000]}".lower()):
        return ProviderQuotaError(
            f"The account at {caller} has no credit left.",
            hint="Add credit with the provider, or choose another provider.",
        )
    if status in {401, 403}:
        # Servers repeat parts of the key here, so their words are left out.
        origin = f" from {caller.secret.origin}" if caller.secret else ""
        refused = (
            f"{caller} refused the key{origin} ({status})." if caller.secret else f"{caller} wants a key ({status})."
        )
        return ProviderAuthError(refused, hint=caller.key_hint)
    if status == 429:
        asked = f" and asks to wait {wait:g} s" if wait else ""
        return ProviderRateLimited(
            f"{caller} says that requests come too fast (429){asked}.",
            hint="Lower concurrency (OSMOSIS_LLM_CONCURRENCY), or try again later.",
            retry_after=wait,
        )
    if status >= 500 or status in {408, 409}:
        return ProviderServerError(
            f"{caller} failed ({status}){about}",
            hint="Try again later; what has been filled so far is kept.",
            retry_after=wait,
        )
    if status == 404:
        return ProviderRejected(f"{caller} knows no such model or address (404){about}", hint=caller.model_hint)
    if status == 413 or "context_length" in body or "context length" in said.lower():
        return ProviderRejected(
            f"The prompt is too long for {caller} ({status}).",
            hint="Lower max_sql_chars (OSMOSIS_LLM_MAX_SQL_CHARS), or choose a model with a longer context.",
        )
    return ProviderRejected(f"{caller} refused the request ({status}){about}", hint=caller.model_hint)


def _redirect(status: int, headers: Mapping[str, str], caller: Caller) -> ProviderSetupError:
    try:
        target = urlsplit(headers.get("location", "")).hostname or caller.host
    except ValueError:
        target = "an address that is none"
    return ProviderSetupError(
        f"{caller} redirects to {_one_line(target)[:100]} ({status}); redirects are not followed, so that the key and the "
        "prompt stay with the host they are for.",
        hint="If that is the right server, set base_url (OSMOSIS_LLM_BASE_URL) to its address.",
    )


def no_connection(caller: Caller, error: BaseException) -> ProviderConnectionError:
    """The error for a connection that could not be made or broke; only the kind of ``error`` is told."""
    return ProviderConnectionError(
        f"The connection to {caller} could not be made, or broke ({type(error).__name__}).",
        hint="Is the server running, and is base_url right? Behind a proxy, HTTPS_PROXY must be set.",
    )


def timed_out(who: object, seconds: float) -> ProviderTimeout:
    """The error for no answer by ``who`` within ``seconds``."""
    return ProviderTimeout(
        f"{who} gave no whole answer within {seconds:g} s.",
        hint="Raise timeout (OSMOSIS_LLM_TIMEOUT), ask for less at a time, or choose a faster model.",
    )


def no_reply(caller: Caller, content_type: str, size: int, *, expected: str) -> ProviderError:
    """The error for a 2xx answer that is not the JSON the protocol wants."""
    kind = content_type.split(";", 1)[0].strip()[:60] or "of no stated type"
    text = f"{caller} answered with something that is no {expected} ({_one_line(kind)}, {size} bytes)"
    if "html" in kind:
        return ProviderRejected(f"{text}.", hint="Check base_url: many servers want /v1 at its end.")
    return ProviderServerError(f"{text}.", hint="Check base_url, or try again later.")


def complaint(body: str) -> str:
    """What an error body says, in the shapes that servers use; the body itself where it is no JSON."""
    try:
        data: Any = json.loads(body)
    except ValueError:
        return "" if "<" in body[:200] else body[:2000]
    found: list[str] = []
    for key in ("error", "message", "detail", "code", "type", "param"):
        _collect(data, key, found)
    return " ".join(dict.fromkeys(found))[:2000]


def _collect(data: Any, key: str, found: list[str]) -> None:
    if not isinstance(data, dict):
        return
    value = cast("dict[str, Any]", data).get(key)
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        for inner in ("message", "code", "type", "param"):
            _collect(cast("dict[str, Any]", value), inner, found)
    elif isinstance(value, list):
        # FastAPI's validation errors: what is wrong and where, never the `input` they repeat
        for item in cast("list[Any]", value)[:3]:
            _collect(item, "msg", found)
            if isinstance(item, dict):
                loc = cast("dict[str, Any]", item).get("loc")
                if isinstance(loc, list):
                    found.extend(part for part in cast("list[Any]", loc)[:6] if isinstance(part, str))


def quote(said: str, *, caller: Caller, prompt: Sequence[str]) -> str:
    """A server's words made fit for an error message; empty where they cannot be."""
    text = said
    if caller.secret is not None and (key := caller.secret.reveal()):
        text = text.replace(key, "…")
    text = _one_line(_KEY_LIKE.sub("…", text))
    if len(text) > LONGEST_QUOTE:
        text = f"{text[:LONGEST_QUOTE]}…"
    if _repeats(text, prompt):
        return "(the server's words repeat the prompt and are left out)"
    return text


def _repeats(text: str, prompt: Sequence[str]) -> bool:
    whole = _one_line("\n".join(prompt))
    return any(text[start : start + _RECOGNISABLE] in whole for start in range(max(0, len(text) - _RECOGNISABLE + 1)))


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks us to wait: ``retry-after-ms``, or ``Retry-After`` as seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            seconds = _until(value)
        if seconds is not None and math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _until(date: str) -> float | None:
    from email.utils import mktime_tz, parsedate_tz

    parsed = parsedate_tz(date)
    return None if parsed is None else mktime_tz(parsed) - time.time()
