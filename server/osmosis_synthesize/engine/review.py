"""Is this answer fit to be written?

A reply is untrusted: whoever can write SQL comments or descriptions upstream can talk to the model. A text is
repaired where that changes nothing of what it says, and dropped otherwise, with the reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from osmosis_synthesize.document import is_placeholder

ADAPTER_LIMITS: Final = {"bigquery": 1024}
"""Longest column description, in characters, that an adapter's warehouse takes.

Source: BigQuery's quotas, "Maximum column description length"."""

TABLE_LIMITS: Final = {"bigquery": 16_384}
"""Longest description of a table or view. Source: BigQuery's quotas, "Maximum table description length"."""

_LIMIT: Final = 4000
"""Beyond this no description is a description."""

_JINJA: Final = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_FENCE: Final = re.compile(r"```(?:[\w-]*\n)?")
_SPACES: Final = re.compile(r"[ \t\f\v]+")
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_SENTENCE_END: Final = re.compile(r"[.!?。！？](?=\s|\Z)|[。！？]")
_QUOTES: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}

# Phrases that address a language model or its user instead of describing data.
_ADDRESSED: Final = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\b(?:ignore|disregard|forget) (?:all |any |the |your )*(?:previous|prior|above|earlier) (?:instructions?|prompts?)\b"
    r"|\bI(?:'m| am) (?:sorry|unable)\b|\bI (?:cannot|can't|can not)\b"
    r"|\b(?:system|developer) prompt\b"
    r"|\bplease (?:contact|visit|see|click|run|install|download|send|email|call)\b|\bhttps?://|\bwww\."
    r"|</?(?:script|iframe|img|style|a|div|span)\b",
    re.IGNORECASE,
)
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Joiners that emoji and several scripts need; every other format character can hide text from a human reader.
_HARMLESS_FORMAT: Final = frozenset("\u200c\u200d\ufe0f\u00ad")


@dataclass(frozen=True, slots=True)
class Fit:
    """A text that may be written."""

    text: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """A text that may not, and why."""

    reason: str


def review(text: str, *, name: str, placeholders: Collection[str], limit: int | None = None) -> Fit | Unfit:
    """Judge one description, proposed for the column or node ``name``.

    Args:
        text: as the reply holds it.
        name: what it describes; a text that only repeats it says nothing.
        placeholders: texts that stand for "no description"; one of them, once written, would be a gap again.
        limit: longest text the adapter takes, in characters.
    """
    longest = min(limit or _LIMIT, _LIMIT)
    if len(text) > 10 * _LIMIT:
        return Unfit(f"the reply's text has {len(text)} characters, {longest} are allowed")
    cleaned = _clean(text)
    if not cleaned:
        return Unfit("the reply holds no text for it")
    if _JINJA.search(cleaned):
        return Unfit("the reply's text holds Jinja, which dbt would render")
    if _ADDRESSED.search(cleaned):
        return Unfit("the reply's text speaks to its reader instead of describing the data")
    if len(cleaned) > longest:
        shortened = _first_sentences(cleaned, longest)
        if shortened is None:
            return Unfit(f"the reply's text has {len(cleaned)} characters, {longest} are allowed")
        cleaned = shortened
    if is_placeholder(cleaned, placeholders):
        return Unfit("the reply's text is a placeholder")
    if _letters(cleaned) == _letters(name):
        return Unfit("the reply's text only repeats the name")
    return Fit(cleaned)


def _clean(text: str) -> str:
    """Without what never belongs to a description: fences, wrapping quotes, control characters, stray space."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    text = text.replace("\u0085", "\n").replace("\u00a0", " ")
    kept = (c for c in text if c in "\n\t" or c in _HARMLESS_FORMAT or unicodedata.category(c) not in _HIDDEN)
    text = unicodedata.normalize("NFC", "".join(kept)).strip()
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return _unwrapped(_BLANK_LINES.sub("\n\n", "\n".join(lines)))


def _unwrapped(text: str) -> str:
    """Without the fences and quotes around it, however many."""
    while True:
        closing = _QUOTES.get(text[:1])
        if (fence := _FENCE.match(text)) and len(text) > fence.end() and text.endswith("```"):
            inner = text[fence.end() : -3]
        elif closing and len(text) > 1 and text.endswith(closing) and closing not in text[1:-1]:
            inner = text[1:-1]
        else:
            return text
        text = inner.strip()


def _letters(text: str) -> str:
    """A text as one compares it with a name: ``Order ID.`` is ``order_id``."""
    return re.sub(r"[\W_]+", "", text).lower()


def _first_sentences(text: str, longest: int) -> str | None:
    """As many whole sentences as fit; ``None`` if not even one does."""
    end = None
    for match in _SENTENCE_END.finditer(text[: longest + 1]):
        if match.end() <= longest:
            end = match.end()
    return text[:end].strip() if end else None
