"""The one way our HTTP clients are made."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

    from osmosis_synthesize.providers.endpoint import Endpoint

CONNECT_SECONDS: Final = 10.0

_CHATTY: Final = ("openai", "anthropic", "httpx2", "httpcore2")
"""Loggers that put prompts, replies or addresses into logs, in part when told to by the environment."""


def make_client(
    endpoint: Endpoint, *, timeout: float, only_headers: Sequence[str] | None = None
) -> httpx2.AsyncClient:
    """A client that follows no redirects, and speaks to this machine without a proxy.

    ``only_headers`` names, in lower case, the headers that may leave; all others are dropped from each request.
    """
    import ssl

    import httpx2

    quieten()

    async def drop_others(request: httpx2.Request) -> None:
        for header in {name for name in request.headers if name not in (only_headers or ())}:
            del request.headers[header]

    return httpx2.AsyncClient(
        # Loading the certificates takes longer than a local model's shortest answers, and http needs none.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if endpoint.url.startswith("http://") else True,
        timeout=httpx2.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
        # Each redirect is an error to us: it would carry the key, and the prompt, to wherever it points.
        follow_redirects=False,
        # Proxies (and certificates) of the environment are the user's; for loopback they are never meant.
        trust_env=not endpoint.loopback,
        event_hooks={"request": [drop_others] if only_headers is not None else []},
    )


def quieten() -> None:
    """Keep the SDKs' and the HTTP stack's own records, which hold prompts and replies, out of every log."""
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
