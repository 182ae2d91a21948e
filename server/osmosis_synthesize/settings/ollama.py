"""``OLLAMA_HOST``, the one variable whose value is no URL yet."""

from __future__ import annotations

import re

_OLLAMA_HOST = re.compile(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[^:/\s]*)(?::(\d+))?(/.*)?")


def ollama_base_url(host: str) -> str:
    """``OLLAMA_HOST`` as a URL, by the rules of Ollama's own client.

    The scheme is ``http`` and the port 11434 unless given (with a scheme that is given: 80 or 443). ``0.0.0.0``,
    which is what a server listens on, means this machine. Anything else is returned as it is, to be refused later.
    """
    match = _OLLAMA_HOST.fullmatch(host.strip())
    if match is None:
        return host
    scheme, name, port, path = match.groups()
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(name, name)  # noqa: S104 - replaced, not bound to
    default_port = {"http": "80", "https": "443", None: "11434"}[scheme]
    return f"{scheme or 'http'}://{name}:{port or default_port}{(path or '').rstrip('/')}"
