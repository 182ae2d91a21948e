"""Where requests, and the keys with them, may go.

A repository's settings are not the user's: they may not send the user's key, or anything else, to a host of their
choice. A host is fine if it is the provider's own, is this machine, or was chosen or trusted by the user.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers.known import known

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osmosis_synthesize.providers.base import ProviderConfig

TRUST_VARIABLE: Final = "OSMOSIS_LLM_TRUSTED_HOSTS"

# Deliberately narrower than RFC 3986: no user name, no query, no fragment, no backslash, no percent sign before the
# path, nothing but ASCII. Where two URL parsers could disagree on the host, there is no match.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*)?",
    re.ASCII,
)
_TRUSTED_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_PORTS: Final = {"http": 80, "https": 443}


class Address(NamedTuple):
    """Scheme, host (lower case, IPv6 in brackets, no final dot) and port of a URL."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Host and, where it is not the scheme's usual one, port: as a list of trusted hosts has it."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL that has been checked, without a slash at its end."""

    url: str
    host: str
    """Host name or address, in lower case, without port."""
    loopback: bool
    own: bool
    """Whether the host is the provider's own."""


def resolve(config: ProviderConfig) -> Endpoint:
    """The endpoint of ``config``, or the provider's default one where it sets none.

    Raises:
        ProviderSetupError: no URL is set, it is no plain URL, or its host is not one a request may go to.
    """
    url = config.base_url or known(config.name).base_url
    if url is None:
        raise ProviderSetupError(
            f"The provider {config.name} has no address.", hint="Set base_url (OSMOSIS_LLM_BASE_URL) to its server."
        )
    where = f" (set by {config.base_url_origin})" if config.base_url and config.base_url_origin else ""
    address = parse_url(url)
    if address is None:
        raise ProviderSetupError(
            f"The base_url of the provider {config.name}{where} is no plain http or https URL.",
            hint="Write it like https://llm.example.com/v1, without a user name, a query or a fragment.",
        )
    _refuse_untrusted(config, address, where)
    return Endpoint(
        url.rstrip("/"), address.host, loopback=is_loopback(address.host), own=is_own_host(address, config.name)
    )


def _refuse_untrusted(config: ProviderConfig, address: Address, where: str) -> None:
    if is_loopback(address.host) or is_own_host(address, config.name):
        return
    if address.scheme == "http" and _is_own_name(address.host, config.name):
        raise ProviderSetupError(
            f"The base_url of the provider {config.name}{where} reaches {address.host} without encryption.",
            hint="Write https:// instead of http://.",
        )
    if not config.base_url_trusted:
        raise ProviderSetupError(
            f"The base_url of the provider {config.name}{where} points to {address}, which is neither the provider's "
            "own host nor one that you trust: nothing was sent to it.",
            hint=f"If you trust it, set {TRUST_VARIABLE}={address} in your environment; otherwise remove base_url.",
        )


def parse_url(url: str) -> Address | None:
    """Where ``url`` leads, or ``None`` if it is not a plain ``http`` or ``https`` URL."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    host = match["host"].lower().rstrip(".")
    port = int(match["port"]) if match["port"] else _PORTS[match["scheme"]]
    return Address(match["scheme"], host, port) if host and 0 < port < 65536 else None


def is_host(text: str) -> bool:
    """Whether ``text`` can stand in a list of trusted hosts: ``host`` or ``host:port``."""
    return _TRUSTED_HOST.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine: ``localhost`` or a loopback address in its usual notation."""
    if host == "localhost":
        return True
    from ipaddress import ip_address  # most addresses are names of which more is never asked

    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_own_host(address: Address, provider: str) -> bool:
    """Whether an address is the provider's own, over TLS on the usual port."""
    return (address.scheme, address.port) == ("https", 443) and _is_own_name(address.host, provider)


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
    """Whether a provider's calls cost nothing, mostly because they stay on this machine.

    A loopback address alone does not make it so: a proxy on this machine may pass calls on to a paid provider, so
    only providers that are meant to run locally count.
    """
    row = known(provider)
    if row.free:
        return True
    url = base_url or row.base_url
    address = parse_url(url) if row.runs_locally and url is not None else None
    return address is not None and is_loopback(address.host)


def _is_own_name(host: str, provider: str) -> bool:
    return any(
        host.endswith(own[1:]) if own.startswith("*.") else host == own  # *.example.com: whatever is below
        for own in known(provider).hosts
    )
