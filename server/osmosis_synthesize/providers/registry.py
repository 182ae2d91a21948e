"""Which providers there are, and how to make one.

Built-in providers stand in one table; third parties add theirs by an entry point of the group
``osmosis_synthesize.providers`` whose object is called with a :class:`ProviderConfig` and returns a
:class:`~osmosis_synthesize.providers.base.Provider` (``docs/providers.md`` has an example). Nothing heavy is imported
here: a provider's module is when one is made, an SDK when it is first used.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from osmosis_synthesize.errors import ProviderSetupError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoints

    from osmosis_synthesize.providers.base import Provider, ProviderConfig

ENTRY_POINTS: Final = "osmosis_synthesize.providers"


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One provider that comes with the package."""

    target: str
    """``module:callable`` below this package; called with the config, it gives the provider."""
    extra: str | None = None
    """The extra that installs what it needs; ``None`` where it needs nothing and speaks to no server."""
    needs: tuple[str, ...] = ()
    """The modules the extra brings."""
    default_url: str | None = None
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold its key, the first that is set wins."""
    hosts: tuple[str, ...] = ()
    """Its own hosts; ``*.`` stands for any host below."""


def _compatible(
    default_url: str | None = None, *, key_variables: tuple[str, ...] = (), hosts: tuple[str, ...] = ()
) -> BuiltIn:
    return BuiltIn(
        "compatible:CompatibleProvider",
        extra="openai",
        needs=("openai", "stamina"),
        default_url=default_url,
        key_variables=key_variables,
        hosts=hosts,
    )


BUILT_IN: Final[dict[str, BuiltIn]] = {
    "openai": BuiltIn(
        "openai:OpenAIProvider",
        extra="openai",
        needs=("openai", "stamina"),
        default_url="https://api.openai.com/v1",
        key_variables=("OPENAI_API_KEY",),
        hosts=("api.openai.com", "*.api.openai.com"),  # the latter for data residency: eu.api.openai.com
    ),
    "azure": BuiltIn(
        "azure:AzureProvider",
        extra="openai",
        needs=("openai", "stamina"),
        key_variables=("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
        # Microsoft's own, each customer's resource below them
        hosts=("*.openai.azure.com", "*.cognitiveservices.azure.com", "*.services.ai.azure.com", "*.openai.azure.us"),
    ),
    "anthropic": BuiltIn(
        "anthropic:AnthropicProvider",
        extra="anthropic",
        needs=("anthropic", "stamina"),
        default_url="https://api.anthropic.com",
        key_variables=("ANTHROPIC_API_KEY",),
        hosts=("api.anthropic.com",),
    ),
    "ollama": BuiltIn(
        "ollama:OllamaProvider",
        extra="ollama",
        needs=("httpx2", "stamina"),
        default_url="http://127.0.0.1:11434",
        key_variables=("OLLAMA_API_KEY",),
        hosts=("ollama.com",),
    ),
    "openai-compatible": _compatible(key_variables=("OPENAI_API_KEY",)),  # by the convention of such servers' clients
    # Presets: servers of that kind which people use often.
    "gemini": _compatible(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        hosts=("generativelanguage.googleapis.com",),
    ),
    "openrouter": _compatible(
        "https://openrouter.ai/api/v1", key_variables=("OPENROUTER_API_KEY",), hosts=("openrouter.ai",)
    ),
    "lm-studio": _compatible("http://127.0.0.1:1234/v1"),
    "vllm": _compatible("http://127.0.0.1:8000/v1"),
    "llama.cpp": _compatible("http://127.0.0.1:8080/v1"),
    "facts": BuiltIn("facts:create"),
}
"""By the name that settings use."""


def names() -> tuple[str, ...]:
    """The names of all providers, built-in ones first."""
    return (*BUILT_IN, *sorted(point.name for point in _entry_points() if point.name not in BUILT_IN))


def create(config: ProviderConfig) -> Provider:
    """The provider that ``config`` asks for. No connection is made and no SDK imported yet.

    Those that speak to a server retry and slow down as :mod:`~osmosis_synthesize.providers.resilient` says; a third
    party's is used as its entry point made it.

    Raises:
        ProviderSetupError: the name is unknown, an extra is not installed, there is no key, or the host is not one that
            the user trusts. The message says what to do.
    """
    row = BUILT_IN.get(config.name)
    if row is None:
        return _create_third_party(config)
    if any(importlib.util.find_spec(module) is None for module in row.needs):
        raise ProviderSetupError(
            f"The provider {config.name} needs packages that are not installed.",
            hint=f"Install them: pip install 'osmosis-synthesize[{row.extra}]'",
        )
    module, _, maker = row.target.partition(":")
    provider: Provider = getattr(importlib.import_module(f"{__package__}.{module}"), maker)(config)
    if row.extra is None:
        return provider
    from osmosis_synthesize.providers.resilient import Resilient

    return Resilient(provider, config)


def _create_third_party(config: ProviderConfig) -> Provider:
    point = next((point for point in _entry_points() if point.name == config.name), None)
    if point is None:
        raise ProviderSetupError(
            f"There is no provider called {config.name!r}.", hint=f"The known ones are: {', '.join(names())}."
        )
    try:
        make: Callable[[ProviderConfig], Provider] = point.load()
    except (ImportError, AttributeError) as error:
        dist = point.dist.name if point.dist is not None else "an unknown package"
        raise ProviderSetupError(
            f"The provider {config.name}, which {dist} adds, could not be loaded: {error}.",
            hint=f"Reinstall or remove {dist}.",
        ) from error
    return make(config)


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)
