"""What is known of each provider before its SDK is loaded: default model, address, and which variables speak of it.

Models are the cheap, current ones of each house that genai-prices has a price for, so that a default is never of
unknown cost.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

DEFAULT_PROVIDER: Final = "openai"
ENTRY_POINT_GROUP: Final = "osmosis_synthesize.providers"


class KnownProvider(NamedTuple):
    """One provider. All is empty where there is nothing to say."""

    model: str | None = None
    """The default model."""
    base_url: str | None = None
    """The default address."""
    own_domains: tuple[str, ...] = ()
    """Hosts that belong to the provider: each of these and what is below it. A key may always go there."""
    key_variables: tuple[str, ...] = ()
    base_url_variables: tuple[str, ...] = ()
    """Variables in which the provider's own SDK or tools look for an address."""
    option_variables: tuple[tuple[str, str], ...] = ()
    """(setting, variable) pairs for what only this provider knows."""


KNOWN_PROVIDERS: Final[dict[str, KnownProvider]] = {
    "openai": KnownProvider(
        model="gpt-5-mini",
        base_url="https://api.openai.com/v1",
        own_domains=("api.openai.com",),
        key_variables=("OPENAI_API_KEY",),
        base_url_variables=("OPENAI_BASE_URL",),
    ),
    # No default: a model is called there as its owner named the deployment, and each resource has its own address.
    # The domains are Microsoft's: whoever rents a resource below one of them never sees the keys sent to it.
    "azure": KnownProvider(
        own_domains=("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
        key_variables=("AZURE_OPENAI_API_KEY",),
        base_url_variables=("AZURE_OPENAI_ENDPOINT",),
        option_variables=(
            ("api_version", "AZURE_OPENAI_API_VERSION"),
            ("api_version", "OPENAI_API_VERSION"),
            ("deployment", "AZURE_OPENAI_DEPLOYMENT"),
        ),
    ),
    "anthropic": KnownProvider(
        model="claude-haiku-4-5",
        base_url="https://api.anthropic.com",
        own_domains=("api.anthropic.com",),
        key_variables=("ANTHROPIC_API_KEY",),
        base_url_variables=("ANTHROPIC_BASE_URL",),
    ),
    "ollama": KnownProvider(
        model="qwen3:8b",
        base_url="http://127.0.0.1:11434",
        base_url_variables=("OLLAMA_HOST",),
    ),
    "openai-compatible": KnownProvider(),
    "facts": KnownProvider(),
    "gemini": KnownProvider(
        model="gemini-2.5-flash",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        own_domains=("generativelanguage.googleapis.com",),
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ),
    "openrouter": KnownProvider(
        model="openai/gpt-5-mini",
        base_url="https://openrouter.ai/api/v1",
        own_domains=("openrouter.ai",),
        key_variables=("OPENROUTER_API_KEY",),
    ),
    "lm-studio": KnownProvider(base_url="http://127.0.0.1:1234/v1"),
    "vllm": KnownProvider(base_url="http://127.0.0.1:8000/v1"),
    "llama.cpp": KnownProvider(base_url="http://127.0.0.1:8080/v1"),
}


def provider_exists(name: str) -> bool:
    """Whether ``name`` is one of ours or of an installed third party (its entry point is looked up, not loaded)."""
    if name in KNOWN_PROVIDERS:
        return True
    from importlib.metadata import entry_points

    return bool(entry_points(group=ENTRY_POINT_GROUP, name=name))


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
