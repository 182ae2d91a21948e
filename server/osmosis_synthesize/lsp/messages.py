"""Every message and command that is not part of the language server protocol itself. ``server/PROTOCOL.md`` describes them.

Names are in camel case on the wire. A client may ignore fields that it does not know.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar

import msgspec

from osmosis_synthesize.errors import UsageError

PROTOCOL_VERSION: Final = 1
"""Raised when a message changes so that an older client would misread it. Each status carries it."""

STATUS: Final = "osmosis/status"
"""Request (no parameters) and notification (to the client, when something has changed): :class:`Status`."""

GENERATE_COLUMN: Final = "osmosis.generateColumn"
GENERATE_MODEL: Final = "osmosis.generateModel"
GENERATE_FILE: Final = "osmosis.generateFile"
GENERATE_PROJECT: Final = "osmosis.generateProject"
PREVIEW: Final = "osmosis.preview"
SPEND: Final = "osmosis.spend"
CACHE_CLEAR: Final = "osmosis.cacheClear"
REFRESH: Final = "osmosis.refresh"
CANCEL_ALL: Final = "osmosis.cancelAll"


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """Base of all."""


class Target(Message, frozen=True):
    """What is to be described: the argument of the ``generate`` commands and of ``osmosis.preview``."""

    uri: str
    """The schema file."""
    node: str | None = None
    """``unique_id``; ``None`` for the whole file."""
    column: str | None = None
    """Only with a node; ``None`` with ``osmosis.generateColumn`` means the node's own description."""


class Left(Message, frozen=True):
    """A gap that stays, and why."""

    label: str
    reason: str


class Outcome(Message, frozen=True):
    """What a ``generate`` command did."""

    filled: int
    inherited: int
    cached: int
    generated: int
    left: tuple[Left, ...]
    calls: int
    cost: str | None
    """US dollars as a decimal number; ``None`` where a price is unknown."""
    cancelled: bool = False


class PlannedGap(Message, frozen=True):
    """One gap of a preview."""

    label: str
    node: str
    column: str | None
    how: Literal["inherited", "cached", "stated", "waiting", "call", "left"]
    text: str | None
    """The text, where it is known already."""
    source: str
    """From where, or why not."""


class Preview(Message, frozen=True):
    """What a ``generate`` command would do."""

    gaps: tuple[PlannedGap, ...]
    calls: int
    cost: str | None


class ProjectStatus(Message, frozen=True):
    """One dbt project of the workspace."""

    root: str
    state: Literal["unread", "ready", "without manifest", "broken"]
    problem: str | None = None
    """What is wrong and what to do, where something is."""
    manifest: str | None = None
    manifest_age: float | None = None
    """Seconds since it was written."""
    nodes: int = 0
    provider: str = ""
    model: str = ""
    budget_run: str | None = None
    """US dollars; ``None`` is no limit."""
    budget_day: str | None = None


class Status(Message, frozen=True):
    """The server at this moment."""

    protocol_version: int
    server_version: str
    projects: tuple[ProjectStatus, ...]
    gaps: int
    """In the open schema files."""
    running: int
    """Runs under way."""
    spent_session: str
    spent_today: str
    calls: int
    """To providers, in this session."""
    cached_calls: int
    """Answered from the cache instead."""


class SpendLine(Message, frozen=True):
    """The sum of some calls."""

    label: str
    calls: int
    cached_calls: int
    input_tokens: int
    output_tokens: int
    cost: str
    unpriced_calls: int


class SpendParams(Message, frozen=True):
    """The argument of ``osmosis.spend``."""

    since: float | None = None
    """Seconds since 1970; ``None`` for all."""
    by: Literal["model", "project", "node", "day"] = "model"


M = TypeVar("M", bound=Message)


def argument(arguments: list[Any], kind: type[M]) -> M:
    """The one argument of a command.

    Raises:
        UsageError: it is no such thing.
    """
    try:
        return msgspec.convert(arguments[0] if arguments else {}, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"The command's argument is not understood: {error}.") from error


def plain(message: Message) -> Any:
    """The message as JSON's own types."""
    return msgspec.to_builtins(message)
