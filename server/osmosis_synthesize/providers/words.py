"""A JSON schema put into words, for servers that cannot be held to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from osmosis_synthesize.providers.base import JsonSchema, Message


def with_schema_in_words(messages: Sequence[Message], schema: JsonSchema) -> tuple[Message, ...]:
    """``messages`` with the wish for JSON under ``schema`` at the end, where it leaves cached prefixes alone."""
    wish = (
        "Answer with one JSON object and nothing else: no code fence, no words around it. "
        f"It follows this JSON schema: {json.dumps(schema, ensure_ascii=False)}"
    )
    *before, last = messages
    return (*before, replace(last, content=f"{last.content}\n\n{wish}"))
