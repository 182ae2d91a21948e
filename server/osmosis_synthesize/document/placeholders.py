"""Texts that are no description."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

DEFAULT_PLACEHOLDERS: Final = frozenset(
    {
        "-",
        "...",
        "…",
        "?",
        "n/a",
        "na",
        "no description",
        "no description for this column",
        "no description for this model",
        "no description for this table",
        "no description provided",
        "none",
        "not documented",
        "null",
        "pending",
        "pending further documentation",
        "placeholder",
        "tba",
        "tbc",
        "tbd",
        "to be defined",
        "to be documented",
        "to do",
        "todo",
        "undefined",
        "undocumented",
        "unknown",
        "xxx",
    }
)
"""Texts that people and tools leave where a description is missing; compared whole, without case, the blanks around
them and the punctuation behind them."""

_DOC_CALL = re.compile(r"\{\{-?\s*doc\s*\(")
_BLANKS = re.compile(r"\s+")


def is_placeholder(text: str, placeholders: Collection[str] = DEFAULT_PLACEHOLDERS) -> bool:
    """Whether a text is blank or one of ``placeholders``, as a whole."""
    words = _normal(text)
    if not words:
        return True
    if placeholders is not DEFAULT_PLACEHOLDERS:
        placeholders = {_normal(placeholder) for placeholder in placeholders}
    return words in placeholders and _DOC_CALL.search(text) is None


def _normal(text: str) -> str:
    trimmed = _BLANKS.sub(" ", text).strip().lower()
    return trimmed.rstrip(" .!?…:;,") or trimmed
