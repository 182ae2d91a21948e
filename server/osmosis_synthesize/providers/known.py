"""The table of providers: all that can be said of each before anything of it is loaded."""

from __future__ import annotations

from typing import Final, NamedTuple

DEFAULT_PROVIDER: Final = "openai"

ENTRY_POINT_GROUP: Final = "osmosis_synthesize.providers"
"""By entry points of this group third parties add providers."""


class KnownProvider(NamedTuple):
    """One provider. All is empty where there is nothing to say."""

    target: str = ""
    """``module:callable`` below this package; called with the configuration, it gives the provider."""
    extra: str | None = None
    """The extra that installs what it needs; ``None`` where it needs nothing and speaks to no server."""
    needs: tuple[str, ...] = ()
    """The modules the extra brings."""
    model: str | None = None
    """The default model."""
    base_url: str | None = None
    """The default address."""
    hosts: tuple[str, ...] = ()
    """Its own hosts, to which its key may always go; ``*.`` stands for any host below."""
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold its key, the first that is set wins."""
    base_url_variables: tuple[str, ...] = ()
    """Variables in which the provider's own SDK or tools look for an address."""
    option_variables: tuple[tuple[str, str], ...] = ()
    """(setting, variable) pairs for what only this provider knows."""
    runs_locally: bool = False
    """Whether it is meant to run on the user's machine, where its calls cost nothing."""
    free: bool = False
    """Whether its calls cost nothing, wherever they are answered."""


_COMPATIBLE: Final = KnownProvider("compatible:CompatibleProvider", extra="openai", needs=("openai", "stamina"))

# Models are the cheap, current ones of each house that genai-prices has a price for, so that a default is never of
# unknown cost.
KNOWN_PROVIDERS: Final[dict[str, KnownProvider]] = {
    "openai": KnownProvider(
        "openai:OpenAIProvider",
        extra="openai",
        needs=("openai", "stamina"),
        model="gpt-5-mini",
        base_url="https://api.openai.com/v1",
        hosts=("api.openai.com", "*.api.openai.com"),  # the latter for data residency: eu.api.openai.com
        key_variables=("OPENAI_API_KEY",),
        base_url_variables=("OPENAI_BASE_URL",),
    ),
    # No defaults: a model is called there as its owner named the deployment, and each resource has its own address.
    "azure": KnownProvider(
        "azure:AzureProvider",
        extra="openai",
        needs=("openai", "stamina"),
        # No own hosts: anybody can rent a resource below Microsoft's domains, so an address that a repository chose is
        # as strange as any other.
        key_variables=("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
        base_url_variables=("AZURE_OPENAI_ENDPOINT",),
        option_variables=(
            ("api_version", "AZURE_OPENAI_API_VERSION"),
            ("api_version", "OPENAI_API_VERSION"),
            ("deployment", "AZURE_OPENAI_DEPLOYMENT"),
        ),
    ),
    "anthropic": KnownProvider(
        "anthropic:AnthropicProvider",
        extra="anthropic",
        needs=("anthropic", "stamina"),
        model="claude-haiku-4-5",
        base_url="https://api.anthropic.com",
        hosts=("api.anthropic.com",),
        key_variables=("ANTHROPIC_API_KEY",),
        base_url_variables=("ANTHROPIC_BASE_URL",),
    ),
    "ollama": KnownProvider(
        "ollama:OllamaProvider",
        extra="ollama",
        needs=("httpx2", "stamina"),
        model="qwen3:8b",
        base_url="http://127.0.0.1:11434",
        hosts=("ollama.com",),
        key_variables=("OLLAMA_API_KEY",),
        base_url_variables=("OLLAMA_HOST",),
        runs_locally=True,
    ),
    # It has no variable of its own: OPENAI_API_KEY is meant for OpenAI, and must not go to whatever server this is.
    "openai-compatible": _COMPATIBLE._replace(runs_locally=True),
    "facts": KnownProvider("facts:create", runs_locally=True, free=True),
    "editor": KnownProvider("editor:create", free=True),  # its user has an agreement with the model's maker
    # Presets: servers with OpenAI's chat completions that people often use.
    "gemini": _COMPATIBLE._replace(
        model="gemini-2.5-flash",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        hosts=("generativelanguage.googleapis.com",),
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ),
    "openrouter": _COMPATIBLE._replace(
        model="openai/gpt-5-mini",
        base_url="https://openrouter.ai/api/v1",
        hosts=("openrouter.ai",),
        key_variables=("OPENROUTER_API_KEY",),
    ),
    "lm-studio": _COMPATIBLE._replace(base_url="http://127.0.0.1:1234/v1", runs_locally=True),
    "vllm": _COMPATIBLE._replace(base_url="http://127.0.0.1:8000/v1", runs_locally=True),
    "llama.cpp": _COMPATIBLE._replace(base_url="http://127.0.0.1:8080/v1", runs_locally=True),
}
"""By the name that settings use."""


def known(name: str) -> KnownProvider:
    """What is known of a provider; nothing, of a third party's."""
    return KNOWN_PROVIDERS.get(name, KnownProvider())


def provider_exists(name: str) -> bool:
    """Whether ``name`` is one of ours or of an installed third party (its entry point is looked up, not loaded)."""
    if name in KNOWN_PROVIDERS:
        return True
    from importlib.metadata import entry_points

    return bool(entry_points(group=ENTRY_POINT_GROUP, name=name))
