"""What can be set, its defaults, and where a value came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from osmosis_synthesize.providers.known import DEFAULT_PROVIDER, KNOWN_PROVIDERS

if TYPE_CHECKING:
    from pathlib import Path

OriginKind = Literal[
    "default", "dbt_project.yml", "vars.yml", "environment", "user configuration", "editor", "command line"
]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set."""

    kind: OriginKind
    path: Path | None = None
    """The file, where it is one."""
    line: int | None = None
    """In that file, from 1."""
    name: str | None = None
    """The environment variable, option or editor setting."""

    @property
    def from_repository(self) -> bool:
        """Whether a file of the repository set it, which the user need not have read."""
        return self.kind in {"dbt_project.yml", "vars.yml"}

    def __str__(self) -> str:
        """For messages: ``shop/dbt_project.yml:12``, ``OSMOSIS_LLM_MODEL``, ``--llm-model``, ``default``."""
        if self.path is not None:
            return str(self.path) if self.line is None else f"{self.path}:{self.line}"
        return self.name or self.kind


DEFAULT_ORIGIN = Origin("default")


class Price(NamedTuple):
    """US dollars per million tokens."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    """``None``: cached tokens cost what others cost."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a user can choose. ``Settings()`` has the defaults; :func:`load_settings` reads the rest."""

    provider: str = DEFAULT_PROVIDER
    model: str | None = KNOWN_PROVIDERS[DEFAULT_PROVIDER].model
    """As the provider calls it. ``None`` where none was chosen and the provider has no default."""
    temperature: float | None = None
    """0 to 2; ``None`` leaves it to the model, as newer ones demand."""
    max_tokens: int | None = None
    """Limit of one reply; ``None`` lets it follow from how many texts are asked for."""
    timeout: float = 60.0
    """Seconds for one try. A whole call, its tries and the waits between them, ends after twice as long."""
    max_retries: int = 3
    """Tries after the first."""
    base_url: str | None = None
    """``None`` means the provider's default address."""
    api_version: str | None = None
    """Azure only."""
    deployment: str | None = None
    """Azure only; where it is absent, the model's name is the deployment's."""
    max_cost_per_run: Decimal | None = None
    """US dollars; ``None`` is no limit."""
    max_cost_per_day: Decimal | None = None
    """US dollars over all processes of this user; ``None`` is no limit."""
    pricing: Mapping[str, Price] = field(default_factory=lambda: MappingProxyType({}))
    """Prices by model, for models that the price list does not know."""
    dry_run: bool = False
    """Plan and estimate, call nobody."""
    cache: bool = True
    cache_dir: Path | None = None
    """A folder inside the project for its replies; ``None`` is the user's own cache. Money is counted in the latter."""
    concurrency: int = 8
    """Calls under way at once."""
    bulk_threshold: int = 2
    """From how many gaps of one node on they are asked for in one call."""
    max_sql_chars: int = 12_000
    """Longer SQL is cut in the middle before it goes into a prompt."""
    placeholders: tuple[str, ...] = ()
    """Texts that count as a gap, besides the ones that always do."""
    private: tuple[str, ...] = ("pii",)
    """Tags and ``meta`` keys whose columns are never named to a provider. A list that is set replaces the default.
    ``meta: {osmosis: {send: false}}`` has that effect whatever is set here."""
    style_guide: str = ""
    language: str = "English"
    schema_file: str = "_models.yml"
    """Name of a schema file that has to be created."""
    provenance: Literal["none", "file", "meta"] = "file"
    """Where it is recorded how a generated text came about: nowhere, in a file of the project, or beside the text."""
    trusted_hosts: tuple[str, ...] = ()
    """Hosts (``host`` or ``host:port``) to which a key may go although the repository chose them. Never read from the
    repository. The user's configuration file is consulted, and so included here, only where it matters."""
    base_url_trusted: bool = True
    """Whether a key may go to ``base_url``: the user chose it, or it is trusted (see :func:`is_trusted`)."""
    warnings: tuple[str, ...] = ()
    """What the user should know and what stopped nothing: unknown keys, settings without effect."""
    origins: Mapping[str, Origin] = field(default_factory=lambda: MappingProxyType({}))
    """Where each setting that is not the default was set; :meth:`origin` reads it."""

    def origin(self, name: str) -> Origin:
        """Where the value of the setting ``name`` was set."""
        return self.origins.get(name, DEFAULT_ORIGIN)
