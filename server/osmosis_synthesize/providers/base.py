"""What a provider is: a request goes in, a reply with its usage comes out.

Providers know nothing of dbt or YAML. The engine knows nothing of SDKs. Both know this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from osmosis_synthesize.secret import Secret

Role = Literal["system", "user", "assistant"]

JsonSchema = Mapping[str, Any]
"""A JSON schema as plain data."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt.

    ``stable`` marks text that is the same for every call about one table. Stable messages come first, so that
    servers which cache prompts by prefix can use them; providers that need a mark for it set one.
    """

    role: Role
    content: str
    stable: bool = False


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What is proven about one column of a table. Everything unknown is empty."""

    name: str
    asked: bool = True
    """Whether a description of this column is asked for (others are context)."""
    data_type: str | None = None
    kind: Literal["pass-through", "renamed", "cast", "derived", "unknown"] = "unknown"
    sources: tuple[tuple[str, str], ...] = ()
    """(table, column) pairs the column is made of, nearest first."""
    expression: str | None = None
    """The SQL expression it is computed from, as the model writes it."""
    unique: bool = False
    not_null: bool = False
    primary_key: bool = False
    references: tuple[str, str] | None = None
    """(table, column) this column is a foreign key to."""
    accepted_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """The table a request is about, as facts rather than as prose.

    The prompt says the same in words; a provider that needs no model answers from this instead.
    """

    name: str
    kind: str
    """``model``, ``seed``, ``snapshot`` or ``source``."""
    asked: bool
    """Whether a description of the table itself is asked for."""
    columns: tuple[ColumnFacts, ...] = ()
    sources: tuple[str, ...] = ()
    """Names of the tables it is built from."""
    grain: tuple[str, ...] = ()
    """Columns that together are proven to be unique per row; empty where nothing proves it."""
    materialization: str | None = None
    filters: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a provider."""

    messages: tuple[Message, ...]
    schema: JsonSchema | None = None
    """The JSON schema the reply must follow; ``None`` asks for plain text."""
    max_tokens: int | None = None
    temperature: float | None = None
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call.

    ``input_tokens`` is the whole prompt. ``cached_input_tokens`` is the part of it that the server had cached (usually
    cheaper), ``cache_write_tokens`` the part that it put into its cache (with some servers dearer).
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )


Finish = Literal["stop", "length", "refusal"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. ``text`` is untrusted and may be empty, cut off (``finish='length'``) or a refusal."""

    text: str
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    """The model that answered, as the server names it; empty where it does not say."""
    finish: Finish = "stop"


@runtime_checkable
class Provider(Protocol):
    """Something that answers a request.

    ``complete`` raises only :class:`~osmosis_synthesize.errors.ProviderError` (and lets ``CancelledError`` pass).
    A provider may be used by many tasks of one event loop at once.
    """

    @property
    def name(self) -> str:
        """The provider's name as settings spell it: ``openai``, ``facts``, …"""
        ...

    @property
    def model(self) -> str:
        """The model's name, as sent; for ``facts`` a version of its wording."""
        ...

    @property
    def local(self) -> bool:
        """Whether it runs on this machine: costs nothing and needs no network beyond loopback."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether the same request always has the same reply: nothing is gained by keeping it or asking again."""
        ...

    async def complete(self, request: Request) -> Reply:
        """Ask once."""
        ...

    async def aclose(self) -> None:
        """Give back connections. The provider is not used afterwards."""
        ...


Hear = Callable[[str], None]
"""Is given each piece of a reply's text when it comes. What it has heard is as untrusted as the whole, and less complete."""


@runtime_checkable
class Streaming(Protocol):
    """A provider whose reply can be heard while it comes."""

    async def stream(self, request: Request, hear: Hear) -> Reply:
        """Ask once, as :meth:`Provider.complete` does. Some replies still come at once, and nothing is heard of them."""
        ...


@runtime_checkable
class Stoppable(Protocol):
    """A provider that asks more than once, and can be told not to."""

    def stop(self) -> None:
        """Send nothing more. What is under way goes on."""
        ...


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is. ``status`` is the server's own word."""

    status: str
    ended: bool
    """Whether nothing more will be answered."""
    answered: int
    total: int


@runtime_checkable
class Batching(Protocol):
    """A provider with a batch API: many requests at once, answered within a day, at half the price.

    Each method asks the server once and raises only :class:`~osmosis_synthesize.errors.ProviderError`.
    """

    async def submit_batch(self, requests: Mapping[str, Request]) -> str:
        """Hand in requests by their keys (at most 64 letters, digits, dashes); gives the batch's name."""
        ...

    async def batch_state(self, batch: str) -> BatchState:
        """How far it is."""
        ...

    async def batch_replies(self, batch: str) -> Mapping[str, Reply | str]:
        """Of a batch that has ended: by key the reply, or why there is none."""
        ...

    async def aclose(self) -> None:
        """Give back connections. The provider is not used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """All a provider is made from. ``base_url_trusted`` says that the user, not the repository, chose the host."""

    name: str
    model: str
    api_key: Secret | None = None
    base_url: str | None = None
    base_url_trusted: bool = True
    base_url_origin: str = ""
    """Where ``base_url`` was set, for messages."""
    timeout: float = 60.0
    """Seconds one try may take. A whole call, its tries and the waits between them, ends after twice as long."""
    max_retries: int = 3
    """Tries after the first."""
    retry_wait: float = 0.5
    """Seconds before the first retry; each further wait is twice as long, up to 16 times this, and jittered."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """What only one provider knows: ``api_version``, ``deployment``, …"""
