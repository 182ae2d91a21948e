"""Every message and command that is not part of the language server protocol itself. ``server/PROTOCOL.md`` describes them.

Names are in camel case on the wire. A client may ignore fields that it does not know.
``python -m osmosis_synthesize.lsp.messages`` prints them as JSON schema, for a client to check its own types against.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

from osmosis_synthesize.errors import UsageError

PROTOCOL_VERSION: Final = 1
"""Raised when a message changes so that an older client would misread it. The answer to ``initialize`` carries it (in
``capabilities.experimental.osmosis.protocolVersion``), and so does each status."""

STATUS: Final = "osmosis/status"
"""Request (no parameters) and notification (to the client, when something has changed): :class:`Status`."""

LANGUAGE_MODEL: Final = "osmosis/languageModel"
"""Request to the client, :class:`LanguageModelParams`: have the editor's own language model answer a prompt. Sent only if
the options that came with ``initialize`` have ``languageModel: true``, and the provider is ``editor``."""

GENERATE_COLUMN: Final = "osmosis.generateColumn"
GENERATE_MODEL: Final = "osmosis.generateModel"
GENERATE_FILE: Final = "osmosis.generateFile"
GENERATE_PROJECT: Final = "osmosis.generateProject"
REWRITE: Final = "osmosis.rewrite"
ACCEPT: Final = "osmosis.accept"
PREVIEW: Final = "osmosis.preview"
SPEND: Final = "osmosis.spend"
CACHE_CLEAR: Final = "osmosis.cacheClear"
REFRESH: Final = "osmosis.refresh"
CANCEL_ALL: Final = "osmosis.cancelAll"
PROPOSE: Final = "osmosis.propose"
APPLY_TEXTS: Final = "osmosis.applyTexts"
COVERAGE: Final = "osmosis.coverage"
MODELS: Final = "osmosis.models"
CHOOSE_PROVIDER: Final = "osmosis.chooseProvider"
DBT_PARSE: Final = "osmosis.dbtParse"
PAUSE: Final = "osmosis.pause"


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """Base of all."""


class Named(Message, frozen=True):
    """One place for a description."""

    node: str
    """``unique_id``."""
    column: str | None = None
    """``None``: the node's own description."""


class Target(Message, frozen=True):
    """What is to be described: the argument of the ``generate`` commands and of ``osmosis.preview``."""

    uri: str
    """The schema file."""
    node: str | None = None
    """``unique_id``; ``None`` for the whole file."""
    column: str | None = None
    """Only with a node; ``None`` with ``osmosis.generateColumn`` means the node's own description."""
    only: tuple[Named, ...] = ()
    """Of all that is meant by the rest, just these; empty for all."""


class Left(Message, frozen=True):
    """A gap that stays, and why."""

    label: str
    reason: str
    node: str = ""
    """``unique_id``."""
    column: str | None = None


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


class ProposeParams(Message, frozen=True):
    """The argument of ``osmosis.propose``: a :class:`Target`, and how to go about it."""

    uri: str
    node: str | None = None
    column: str | None = None
    scope: Literal["column", "model", "file", "project"] | None = None
    """What the target means, as with the ``generate`` command of that name. ``None``: the column if there is one, else the
    node if there is one, else the file; so that a node's own description alone needs ``column``."""
    again: bool = False
    """Ask anew what the cache could answer. What is inherited is inherited all the same."""


class Proposed(Message, frozen=True):
    """A text for one gap, not applied yet."""

    uri: str
    """The schema file, which may be one that is still to be made."""
    node: str
    column: str | None
    label: str
    line: int
    """From 0, in the document as it is now; 0 for an entry that is still to be made."""
    old: str | None
    """What stands there now: a placeholder, mostly nothing."""
    new: str
    origin: Literal["inherited", "cached", "stated", "generated"]
    source: str
    """From which column, or by which provider and model."""
    cost: str | None
    """US dollars, its share of the call; ``None`` where the price is unknown."""


class Proposals(Message, frozen=True):
    """What ``osmosis.propose`` found. Nothing is changed; what was paid for is in the cache."""

    items: tuple[Proposed, ...]
    """In the order of files and lines, entries that are still to be made last."""
    left: tuple[Left, ...]
    calls: int
    cost: str | None
    cancelled: bool = False


class SlotText(Message, frozen=True):
    """A text, and the slot it is for."""

    uri: str
    """The schema file."""
    node: str
    column: str | None
    text: str


class ApplyParams(Message, frozen=True):
    """The argument of ``osmosis.applyTexts``."""

    texts: tuple[SlotText, ...]


class Applied(Message, frozen=True):
    """What ``osmosis.applyTexts`` did."""

    filled: int
    left: tuple[Left, ...]


class FolderCoverage(Message, frozen=True):
    """How much of a folder's schema files is described."""

    root: str
    """The project's."""
    folder: str
    """Of the schema files, relative to the root, POSIX; ``.`` for the root itself."""
    described: int
    total: int
    """Places for a description."""


class CheapGap(Message, frozen=True):
    """A gap that is filled for little or nothing."""

    uri: str
    line: int
    """From 0."""
    label: str
    node: str
    column: str | None
    how: Literal["inherited", "cached", "stated", "call"]
    cost: str
    """US dollars, its share of the call; ``0`` for all but ``call``."""


class Coverage(Message, frozen=True):
    """What is described in all projects of the workspace, as their files and the open texts are."""

    folders: tuple[FolderCoverage, ...]
    cheapest: tuple[CheapGap, ...]
    """The gaps that are filled most cheaply, cheapest first; the fifty first of them at most."""
    described: int
    total: int


class Model(Message, frozen=True):
    """A model that could be chosen."""

    provider: str
    model: str
    """Empty where the provider has no default, or leaves the choice to somebody else."""
    input_price: str | None
    """US dollars per million tokens; ``None`` where it is unknown. ``0`` is what costs the user nothing more."""
    output_price: str | None
    context_tokens: int | None
    """How much the model can read at once, where that is known."""
    ready: bool
    """Whether a call could be made: there is a key, or none is needed. Nobody was asked."""
    problem: str | None
    """Why not, and what to do."""


class Choice(Message, frozen=True):
    """A provider and its model: the argument of ``osmosis.chooseProvider``, and what is in force after it."""

    provider: str | None = None
    """``None``: what the settings say."""
    model: str | None = None
    """``None``: the provider's default."""


class ParseParams(Message, frozen=True):
    """The argument of ``osmosis.dbtParse``."""

    uri: str | None = None
    """Any file of the project, or its folder; may be absent where the workspace has but one."""


class Parsed(Message, frozen=True):
    """How ``dbt parse`` ended."""

    exit_code: int | None
    """``None`` if it was stopped."""
    seconds: float
    tail: tuple[str, ...]
    """The last lines that it wrote."""
    problem: str | None = None
    """Why it was stopped, or what to do about its exit code."""


class PauseParams(Message, frozen=True):
    """The argument of ``osmosis.pause``."""

    paused: bool


class ChatMessage(Message, frozen=True):
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


class LanguageModelParams(Message, frozen=True):
    """What the editor's own language model is asked."""

    messages: tuple[ChatMessage, ...]
    schema: dict[str, Any] | None
    """The JSON schema that the answer is to follow. The last message says so in words, too."""
    max_tokens: int | None
    temperature: float | None
    model: str | None
    """As settings name it; ``None`` leaves it to the editor."""


class LanguageModelResult(Message, frozen=True):
    """What the editor's own language model answered."""

    text: str
    model: str = ""
    """Which one it was."""
    input_tokens: int | None = None
    output_tokens: int | None = None


class ProjectStatus(Message, frozen=True):
    """One dbt project of the workspace."""

    root: str
    state: Literal["unread", "ready", "without manifest", "broken"]
    problem: str | None = None
    """What is wrong and what to do, where something is."""
    manifest: str | None = None
    manifest_age: float | None = None
    """Seconds since it was written."""
    stale_nodes: int = 0
    """Of those in open schema files, how many the manifest knows in an older form."""
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
    """Answered from the cache instead; the hit rate is ``cachedCalls / (calls + cachedCalls)``."""
    paused: bool = False
    """Nothing calls a provider until ``osmosis.pause`` says so."""
    chosen: Choice | None = None
    """What ``osmosis.chooseProvider`` has put over the settings of all projects."""


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


class Signature(NamedTuple):
    """What goes into a command or request, and what comes out of it."""

    argument: Any
    """``None`` where there is none."""
    result: Any


COMMANDS: Final[Mapping[str, Signature]] = MappingProxyType(
    {
        GENERATE_COLUMN: Signature(Target, Outcome),
        GENERATE_MODEL: Signature(Target, Outcome),
        GENERATE_FILE: Signature(Target, Outcome),
        GENERATE_PROJECT: Signature(Target, Outcome),
        REWRITE: Signature(Target, Outcome),
        ACCEPT: Signature(Target, int),
        PREVIEW: Signature(Target, Preview),
        PROPOSE: Signature(ProposeParams, Proposals),
        APPLY_TEXTS: Signature(ApplyParams, Applied),
        COVERAGE: Signature(None, Coverage),
        SPEND: Signature(SpendParams, tuple[SpendLine, ...]),
        CACHE_CLEAR: Signature(None, int),
        REFRESH: Signature(None, None),
        CANCEL_ALL: Signature(None, int),
        PAUSE: Signature(PauseParams, bool),
        MODELS: Signature(None, tuple[Model, ...]),
        CHOOSE_PROVIDER: Signature(Choice, Choice),
        DBT_PARSE: Signature(ParseParams, Parsed),
    }
)
"""By ``workspace/executeCommand``'s name for it; each takes at most one argument."""

REQUESTS: Final[Mapping[str, Signature]] = MappingProxyType(
    {STATUS: Signature(None, Status), LANGUAGE_MODEL: Signature(LanguageModelParams, LanguageModelResult)}
)
"""The latter goes to the client."""


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


class Plain(dict[str, Any]):
    """A message as JSON's own types. It is sent as it is: nobody looks through it for what has to be made JSON yet."""


def plain(message: Message) -> Plain:
    """The message as JSON's own types."""
    return Plain(msgspec.to_builtins(message))


def description() -> dict[str, Any]:
    """All of this as plain data: the version, the signatures, and the objects as JSON schemas (2020-12) in ``$defs``."""
    signatures = [*COMMANDS.values(), *REQUESTS.values()]
    kinds = [kind for signature in signatures for kind in signature]
    schemas, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    pairs = iter(zip(schemas[::2], schemas[1::2], strict=True))

    def described(names: Mapping[str, Signature]) -> dict[str, Any]:
        return {name: dict(zip(("argument", "result"), next(pairs), strict=True)) for name in names}

    return {
        "protocolVersion": PROTOCOL_VERSION,
        "commands": described(COMMANDS),
        "requests": described(REQUESTS),
        "notifications": {STATUS: schemas[2 * len(COMMANDS) + 1]},
        "$defs": definitions,
    }


if __name__ == "__main__":
    import json
    import sys

    json.dump(description(), sys.stdout, indent=2)
    sys.stdout.write("\n")
