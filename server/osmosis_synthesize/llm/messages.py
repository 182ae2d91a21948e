"""Messages as OpenAI's API has them, and JSON in the answers to them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.providers.base import Message, Request

if TYPE_CHECKING:
    from osmosis_synthesize.providers.base import JsonSchema, Role

Messages: TypeAlias = Sequence[Mapping[str, Any]]
"""``[{"role": "system", "content": "…"}, {"role": "user", "content": "…"}]``"""

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",  # what newer models of OpenAI call it
    "user": "user",
    "assistant": "assistant",
}
_JSON_ONLY: Final = Message("system", "Answer with one JSON object and nothing else.")
_STARTS: Final = 16


def to_request(
    messages: Messages,
    *,
    schema: JsonSchema | None = None,
    json_only: bool = False,
    max_tokens: int | None = None,
    temperature: float | None = None,
) -> Request:
    """The request that consists of these messages.

    Raises:
        UsageError: there is no message, or one has no known role or no text.
    """
    if not messages:
        raise UsageError("There is no message to send.")
    converted = tuple(_message(message) for message in messages)
    if json_only and schema is None:
        converted = (_JSON_ONLY, *converted)
    return Request(converted, schema, max_tokens, temperature)


def read_object(text: str) -> dict[str, Any] | None:
    """The JSON object in a reply, be it in a fence or amid prose; ``None`` where there is none."""
    decoder = json.JSONDecoder()
    # A limit, because each start may mean reading to the end.
    for start in list(re.finditer(r"\{", text))[:_STARTS]:
        try:
            found: Any = decoder.raw_decode(text, start.start())[0]
        except (ValueError, RecursionError):
            continue
        return cast("dict[str, Any]", found)
    return None


def _message(message: Mapping[str, Any]) -> Message:
    role, content = _ROLES.get(str(message.get("role"))), message.get("content")
    if role is None or not isinstance(content, str):
        raise UsageError(
            f"A message with the role {message.get('role')!r} and content of type {type(content).__name__} cannot be sent.",
            hint="Give each message a role (system, user or assistant) and a text as its content.",
        )
    return Message(role, content)
