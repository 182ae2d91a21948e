"""Servers that speak OpenAI's chat completions without being OpenAI."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers import endpoint
from osmosis_synthesize.providers.chat import ChatProvider
from osmosis_synthesize.providers.http import make_client
from osmosis_synthesize.providers.known import known

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from osmosis_synthesize.providers.base import ProviderConfig
    from osmosis_synthesize.providers.capabilities import Part

_HEADERS: Final = (
    *("host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"),
    "x-stainless-raw-response",  # how the SDK tells itself what to return
)
"""What leaves besides the key. The SDK would add headers of the user's OpenAI account from the environment."""


class CompatibleProvider(ChatProvider):
    """A chat completions server: at ``base_url``, or at the address of the preset that the provider's name is."""

    limit_names: ClassVar[tuple[Part, ...]] = ("max_tokens", "max_completion_tokens")

    def __init__(self, config: ProviderConfig) -> None:
        checked = endpoint.resolve(config)
        wanted = " or ".join(known(config.name).key_variables) or "OSMOSIS_LLM_API_KEY"
        if checked.own and config.api_key is None:
            raise ProviderSetupError(
                f"The provider {config.name} has no key.",
                hint=f"Set {wanted} in your environment, or choose another provider.",
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
