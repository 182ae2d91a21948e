"""Azure OpenAI: the v1 endpoint, and the older one with an API version and a deployment in the path.

Facts: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers import endpoint
from osmosis_synthesize.providers.chat import ChatProvider
from osmosis_synthesize.providers.http import make_client

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from osmosis_synthesize.providers.base import ProviderConfig
    from osmosis_synthesize.providers.capabilities import Part

_ENTRA: Final = "AZURE_OPENAI_AD_TOKEN"
"""The variable whose value is an Entra token instead of a key."""

_V1: Final = frozenset({"", "v1", "latest", "preview"})
"""Values of ``api_version`` that mean the v1 endpoint."""


class AzureProvider(ChatProvider):
    """A deployment of an Azure OpenAI resource.

    Options: ``deployment`` (the model's name where it is not set) and ``api_version`` (``2024-10-21``, …; the v1 endpoint
    where it is not set, or is ``v1`` or ``preview``).
    """

    limit_names: ClassVar[tuple[Part, ...]] = ("max_completion_tokens", "max_tokens")

    def __init__(self, config: ProviderConfig) -> None:
        if config.base_url is None:
            raise ProviderSetupError(
                "The provider azure has no address.",
                hint="Set AZURE_OPENAI_ENDPOINT to your resource's: https://NAME.openai.azure.com",
            )
        checked = endpoint.resolve(config)
        if config.api_key is None:
            raise ProviderSetupError(
                "The provider azure has no key.", hint=f"Set AZURE_OPENAI_API_KEY or {_ENTRA} in your environment."
            )
        super().__init__(
            config,
            checked,
            key_hint=f"Check {config.api_key.origin}; tokens expire, keys belong to one resource.",
            model_hint="Check the deployment (AZURE_OPENAI_DEPLOYMENT), api_version and AZURE_OPENAI_ENDPOINT.",
        )
        self._key = config.api_key
        self._deployment = config.options.get("deployment") or config.model
        self._api_version = config.options.get("api_version", "").strip()

    @property
    def _addressed(self) -> str:
        return self._deployment

    def _make_client(self) -> AsyncOpenAI:
        from openai import AsyncAzureOpenAI, AsyncOpenAI

        resource = self._endpoint.url.removesuffix("/v1").removesuffix("/openai")
        http_client = make_client(self._endpoint, timeout=self._config.timeout)
        if self._api_version in _V1:
            client = AsyncOpenAI(
                api_key=self._key.reveal(),  # the v1 endpoint takes keys and tokens alike
                base_url=f"{resource}/openai/v1",
                default_query={"api-version": "preview"} if self._api_version == "preview" else None,
                max_retries=0,
                timeout=self._config.timeout,
                http_client=http_client,
            )
        else:
            is_token = _ENTRA in self._key.origin
            client = AsyncAzureOpenAI(
                azure_endpoint=resource,
                azure_deployment=self._deployment,
                api_version=self._api_version,
                api_key=None if is_token else self._key.reveal(),
                azure_ad_token=self._key.reveal() if is_token else None,
                max_retries=0,
                timeout=self._config.timeout,
                http_client=http_client,
            )
        _ = client.chat.completions  # loads the modules behind it here, in the thread that may wait
        return client
