"""Servers that speak OpenAI's chat completions without being OpenAI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers import endpoint
from osmosis_synthesize.providers.chat import ChatProvider
from osmosis_synthesize.providers.http import make_client
from osmosis_synthesize.providers.registry import BUILT_IN

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from osmosis_synthesize.providers.base import ProviderConfig
    from osmosis_synthesize.providers.capabilities import Part

_HEADERS: Final = ("host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length")
"""What leaves besides the key. The SDK would add headers of the user's OpenAI account from the environment."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A server that people use often: its name stands for its address."""

    url: str
    key_variables: tuple[str, ...]

    @property
    def host(self) -> str:
        """The server's host."""
        return urlsplit(self.url).hostname or ""


PRESETS: Final[dict[str, Preset]] = {
    "lm-studio": Preset("http://127.0.0.1:1234/v1", ("LM_STUDIO_API_KEY",)),
    "vllm": Preset("http://127.0.0.1:8000/v1", ("VLLM_API_KEY",)),
    "llama-cpp": Preset("http://127.0.0.1:8080/v1", ("LLAMA_API_KEY",)),
    "gemini": Preset("https://generativelanguage.googleapis.com/v1beta/openai", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "openrouter": Preset("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    "groq": Preset("https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    "mistral": Preset("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    "deepseek": Preset("https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",)),
    "together": Preset("https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
    "xai": Preset("https://api.x.ai/v1", ("XAI_API_KEY",)),
}
"""By the name that ``base_url`` may hold instead of an address."""


def preset_for(base_url: str | None) -> Preset | None:
    """The preset that ``base_url`` names, or whose remote host it points to."""
    if base_url is None:
        return None
    if base_url in PRESETS:
        return PRESETS[base_url]
    try:
        host = urlsplit(base_url).hostname
    except ValueError:
        return None
    remote = (preset for preset in PRESETS.values() if not endpoint.is_loopback(preset.host))
    return next((preset for preset in remote if preset.host == host), None)


class CompatibleProvider(ChatProvider):
    """A chat completions server at ``base_url``: an address, or a preset's name."""

    limit_names: ClassVar[tuple[Part, ...]] = ("max_tokens", "max_completion_tokens")

    def __init__(self, config: ProviderConfig) -> None:
        preset = preset_for(config.base_url)
        if config.base_url is None:
            raise ProviderSetupError(
                "The provider openai-compatible has no address.",
                hint=f"Set base_url (OSMOSIS_LLM_BASE_URL) to your server's, or to one of: {', '.join(PRESETS)}.",
            )
        if config.base_url in PRESETS and preset is not None:
            config = replace(config, base_url=preset.url)
        # A host that a repository chose gets a key only if that is the host's own one, not one for somewhere else.
        own = preset is not None and (config.api_key is None or config.api_key.origin in preset.key_variables)
        checked = endpoint.resolve(
            config, default_url=None, own_hosts=(preset.host,) if preset is not None and own else ()
        )
        wanted = " or ".join(preset.key_variables if preset else BUILT_IN["openai-compatible"].key_variables)
        if preset is not None and not checked.loopback and config.api_key is None:
            raise ProviderSetupError(
                f"The provider {config.name} has no key for {checked.host}.",
                hint=f"Set {wanted} in your environment.",
            )
        super().__init__(config, checked, key_hint=f"Check {wanted}.")

    @property
    def local(self) -> bool:
        """Whether the server runs on this machine."""
        return self._endpoint.loopback

    def _make_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        key = self._config.api_key
        client = AsyncOpenAI(
            api_key=key.reveal() if key else "none",  # never sent, see the headers below
            base_url=self._endpoint.url,
            max_retries=0,
            timeout=self._config.timeout,
            http_client=make_client(
                self._endpoint,
                timeout=self._config.timeout,
                only_headers=(*_HEADERS, "authorization") if key else _HEADERS,
            ),
        )
        _ = client.chat.completions  # loads the modules behind it here, in the thread that may wait
        return client
