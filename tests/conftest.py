"""What every test shares: no test may leave this machine."""

from __future__ import annotations

import ipaddress
import signal
import socket
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


# How long an example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile("without haste", deadline=None)
hypothesis.settings.load_profile("without haste")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it runs in the background ignore it, and programs that tests start and interrupt would do so too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class NetworkBlocked(BaseException):
    """A test tried to leave loopback. Not an ``Exception``, so that no error handling can swallow it."""


def _is_local(address: object) -> bool:
    if not isinstance(address, tuple) or not address:
        return True  # a Unix socket's path
    host = str(address[0])
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host.split("%", 1)[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Fail loudly on any connection, and any name look-up, that is not for this machine."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse(address: object) -> None:
        if not _is_local(address):
            raise NetworkBlocked(f"a test tried to reach {address!r}; tests speak to loopback only")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        refuse(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        refuse(address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        refuse((name or "localhost",))
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


_OURS_AND_SDKS = ("OSMOSIS_", "OPENAI_", "ANTHROPIC_", "AZURE_", "OLLAMA_", "GEMINI_", "OPENROUTER_")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No key, host or setting of the machine's owner reaches a test; the cache is the test's own."""
    import os

    for name in list(os.environ):
        if name.startswith(_OURS_AND_SDKS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OSMOSIS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
