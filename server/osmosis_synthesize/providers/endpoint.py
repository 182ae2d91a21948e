"""Where requests may go.

A repository's settings are not the user's: they may not send the user's key, or anything else, to a host of their
choice. A host is fine if it is the provider's own, is this machine, or was chosen or trusted by the user.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from osmosis_synthesize.errors import ProviderSetupError

if TYPE_CHECKING:
    from osmosis_synthesize.providers.base import ProviderConfig

TRUST_VARIABLE: Final = "OSMOSIS_LLM_TRUSTED_HOSTS"

# Anything else could be read as one host here and as another where the request is sent.
_PLAIN_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL that has been checked, without a slash at its end."""

    url: str
    host: str
    """Host name or address, in lower case, without port."""
    loopback: bool
    own: bool
    """Whether the host is the provider's own."""


def resolve(config: ProviderConfig, *, default_url: str | None, own_hosts: tuple[str, ...]) -> Endpoint:
    """The endpoint of ``config``, or of ``default_url`` where it sets none.

    ``own_hosts`` are the provider's own; ``*.example.com`` stands for every host below ``example.com``.

    Raises:
        ProviderSetupError: no URL is set, it is no usable URL, or its host is not one a request may go to.
    """
    url = config.base_url or default_url
    if url is None:
        raise ProviderSetupError(
            f"The provider {config.name} has no address.", hint="Set base_url (OSMOSIS_LLM_BASE_URL) to its server."
        )
    where = f" (set by {config.base_url_origin})" if config.base_url and config.base_url_origin else ""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        _ = parts.port  # raises where it is no number
    except ValueError:
        host = ""
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not _PLAIN_HOST.fullmatch(host):
        raise ProviderSetupError(
            f"The base_url of the provider {config.name}{where} is no http or https URL.",
            hint="Write it like https://llm.example.com/v1.",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ProviderSetupError(
            f"The base_url of the provider {config.name}{where} holds a user name, a query or a fragment.",
            hint="Give the address alone; the key comes from the environment.",
        )
    endpoint = Endpoint(
        url=url.rstrip("/"),
        host=host,
        loopback=is_loopback(host),
        own=any(_matches(host, pattern) for pattern in own_hosts),
    )
    _refuse_untrusted(config, endpoint, where, encrypted=parts.scheme == "https")
    return endpoint


def _refuse_untrusted(config: ProviderConfig, endpoint: Endpoint, where: str, *, encrypted: bool) -> None:
    if endpoint.loopback or (endpoint.own and encrypted) or (config.base_url_trusted and not endpoint.own):
        return
    if endpoint.own:
        raise ProviderSetupError(
            f"The base_url of the provider {config.name}{where} reaches {endpoint.host} without encryption.",
            hint="Write https:// instead of http://.",
        )
    raise ProviderSetupError(
        f"The base_url of the provider {config.name}{where} points to {endpoint.host}, which is neither the provider's "
        "own host nor one that you trust: nothing was sent to it.",
        hint=f"If you trust it, set {TRUST_VARIABLE}={endpoint.host} in your environment; otherwise remove base_url.",
    )


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address) is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
