"""OpenAI."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers import endpoint
from osmosis_synthesize.providers.chat import ChatProvider
from osmosis_synthesize.providers.http import make_client

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from osmosis_synthesize.providers.base import ProviderConfig
    from osmosis_synthesize.providers.capabilities import Part


class OpenAIProvider(ChatProvider):
    """OpenAI's chat completions, or a gateway in front of them that the user chose."""

    limit_names: ClassVar[tuple[Part, ...]] = ("max_completion_tokens", "max_tokens")

    def __init__(self, config: ProviderConfig) -> None:
        checked = endpoint.resolve(config)
        if checked.own and config.api_key is None:
            raise ProviderSetupError(
                "The provider openai has no key.",
                hint="Set OPENAI_API_KEY in your environment, or choose another provider.",
            )
        super().__init__(config, checked, key_hint="Check OPENAI_API_KEY: https://platform.openai.com/api-keys")

    def _make_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        client = AsyncOpenAI(
            # Without one the SDK would look for a key by itself; a gateway that wants none ignores this.
            api_key=self._config.api_key.reveal() if self._config.api_key else "none",
            base_url=self._endpoint.url,
            max_retries=0,
            timeout=self._config.timeout,
            http_client=make_client(self._endpoint, timeout=self._config.timeout),
        )
        _ = client.chat.completions  # loads the modules behind it here, in the thread that may wait
        return client
