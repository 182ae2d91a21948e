"""What a provider is configured with, under the names that users of dbt-osmosis were promised."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osmosis_synthesize.providers.base import ProviderConfig
    from osmosis_synthesize.settings import Settings

DEFAULT_MODEL = "gpt-4o"


@dataclass(frozen=True, slots=True)
class LLMConfig:
    """Which model is asked, and how.

    What stands in a config made in code is the user's own choice. What :meth:`from_dbt_vars` read is the repository's: it
    may choose a model, but may not send the user's key to a host that the user has not trusted.
    """

    provider: str = "openai"
    model: str = DEFAULT_MODEL
    temperature: float | None = 0.5
    """0 to 2; ``None`` leaves it to the model. Not sent to models that reject it."""
    max_tokens: int | None = 2000
    """The limit of one reply; ``None`` lets it follow from how many texts are asked for."""
    timeout: float = 60.0
    """Seconds that one try may take."""
    max_retries: int = 3
    """Tries after the first."""
    api_key: str | None = field(default=None, repr=False)
    """``None`` means the environment's."""
    base_url: str | None = None
    """``None`` means the one in the environment, or else the provider's default."""
    max_cost_per_run: Decimal | float | None = None
    """US dollars for all calls of one provider object; ``None`` is no limit."""
    dry_run: bool = False
    """Only the cache answers; nobody is called."""
    settings: Settings | None = field(default=None, repr=False)
    """All that can be set besides (prices, cache, language, …); ``None`` means the environment's and the defaults."""

    @classmethod
    def from_dbt_vars(cls, vars: Mapping[str, Any]) -> Self:  # noqa: A002 - what dbt calls them, and part of the contract
        """The config that a project's ``vars`` hold under ``dbt-osmosis: llm:``.

        What is not set there has this class's default, or for another provider than OpenAI its own default model.
        ``OSMOSIS_LLM_…`` variables of the environment win, as everywhere.

        Raises:
            SettingsError: a value is not allowed, or is a key.
        """
        from osmosis_synthesize.settings import load_settings

        settings = load_settings(None, variables=vars)
        chosen: dict[str, Any] = {
            name: getattr(settings, name)
            for name in ("provider", "model", "temperature", "max_tokens", "timeout", "max_retries")
            if settings.origin(name).kind != "default"
        }
        if settings.provider != "openai":
            chosen["model"] = settings.model or ""
        return cls(
            **chosen,
            base_url=settings.base_url,
            max_cost_per_run=settings.max_cost_per_run,
            dry_run=settings.dry_run,
            settings=settings,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The config that says just what ``settings`` do, without any default of its own."""
        return cls(
            settings.provider,
            settings.model or "",
            settings.temperature,
            settings.max_tokens,
            settings.timeout,
            settings.max_retries,
            base_url=settings.base_url,
            max_cost_per_run=settings.max_cost_per_run,
            dry_run=settings.dry_run,
            settings=settings,
        )

    def resolve(self) -> tuple[Settings, ProviderConfig]:
        """The settings with this config's own values in them, and what the provider is made from.

        Raises:
            SettingsError: the environment holds a value that is not allowed.
        """
        from dataclasses import replace

        from osmosis_synthesize.secret import Secret
        from osmosis_synthesize.settings import load_settings, provider_config

        base = self.settings
        if base is None:
            base = load_settings(None, overrides={"provider": self.provider, "base_url": self.base_url})
        moved = self.base_url is not None and self.base_url != base.base_url
        limit = self.max_cost_per_run
        settings = replace(
            base,
            provider=self.provider,
            model=self.model,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            timeout=self.timeout,
            max_retries=self.max_retries,
            base_url=self.base_url or base.base_url,
            base_url_trusted=moved or base.base_url_trusted,
            max_cost_per_run=base.max_cost_per_run if limit is None else Decimal(str(limit)),
            dry_run=self.dry_run,
        )
        config = provider_config(settings)
        if self.api_key is not None:
            config = replace(config, api_key=Secret(self.api_key, origin="LLMConfig.api_key"))
        return settings, config
