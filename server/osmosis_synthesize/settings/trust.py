"""Which addresses a user's key may be sent to when the repository, not the user, chose them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from osmosis_synthesize.settings.known_providers import KNOWN_PROVIDERS

# Deliberately narrower than RFC 3986: no user name, no query, no fragment, no backslash, no percent sign before the
# path, nothing but ASCII. Where two URL parsers could disagree on the host, there is no match.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?",
    re.ASCII,
)
_TRUSTED_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


class Address(NamedTuple):
    """Scheme, host (lower case, IPv6 in brackets, no final dot) and port of a URL."""

    scheme: str
    host: str
    port: int


def parse_url(url: str) -> Address | None:
    """Where ``url`` leads, or ``None`` if it is not a plain ``http`` or ``https`` URL."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    host = match["host"].lower().rstrip(".")
    port = int(match["port"]) if match["port"] else {"http": 80, "https": 443}[match["scheme"]]
    return Address(match["scheme"], host, port) if host and 0 < port < 65536 else None


def is_host(text: str) -> bool:
    """Whether ``text`` can stand in a list of trusted hosts: ``host`` or ``host:port``."""
    return _TRUSTED_HOST.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine: ``localhost`` or a loopback address in its usual notation."""
    if host == "localhost":
        return True
    from ipaddress import ip_address

    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_own_host(address: Address, provider: str) -> bool:
    """Whether an address is the provider's own, over TLS on the usual port."""
    known = KNOWN_PROVIDERS.get(provider)
    return (
        known is not None
        and (address.scheme, address.port) == ("https", 443)
        and any(address.host == domain or address.host.endswith("." + domain) for domain in known.own_domains)
    )


def is_trusted(url: str, provider: str, trusted_hosts: Iterable[str] = ()) -> bool:
    """Whether a key for ``provider`` may go to ``url``, whoever chose that.

    True for the provider's own hosts (over TLS), for this machine, and for hosts in ``trusted_hosts``: ``host`` means
    any port, ``host:port`` that port only. Anything that is no plain URL is not trusted.
    """
    address = parse_url(url)
    if address is None:
        return False
    names = {address.host, f"{address.host}:{address.port}"}
    return (
        is_loopback(address.host)
        or is_own_host(address, provider)
        or any(host.strip().lower().rstrip(".") in names for host in trusted_hosts)
    )


def is_local(provider: str, base_url: str | None) -> bool:
    """Whether a provider's calls stay on this machine and so cost nothing.

    A loopback address alone does not make it so: a proxy on this machine may pass calls on to a paid provider, so
    only providers that are meant to run locally count.
    """
    if provider == "facts":
        return True
    url = base_url or KNOWN_PROVIDERS[provider].base_url if provider in _RUN_LOCALLY else None
    address = parse_url(url) if url is not None else None
    return address is not None and is_loopback(address.host)


_RUN_LOCALLY = frozenset({"ollama", "openai-compatible", "lm-studio", "vllm", "llama.cpp"})
