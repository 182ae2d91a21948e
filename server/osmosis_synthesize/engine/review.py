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

from osmosis_synthesize.names import fold

ADAPTER_LIMITS: Final = {"bigquery": 1024}
"""Longest column description, in characters, that an adapter's warehouse takes.

Source: BigQuery's quotas, "Maximum column description length"."""

_LIMIT: Final = 4000
"""Beyond this no description is a description."""

_JINJA: Final = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_FENCE: Final = re.compile(r"\A```[\w-]*\n(.*?)\n?```\Z", re.DOTALL)
_SPACES: Final = re.compile(r"[ \t\f\v]+")
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_SENTENCE_END: Final = re.compile(r"[.!?。！？](?=\s|\Z)|[。！？]")
_QUOTES: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}

# Phrases that address a language model or its user instead of describing data.
_ADDRESSED: Final = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\b(?:ignore|disregard|forget) (?:all |any |the |your )*(?:previous|prior|above|earlier) (?:instructions?|prompts?)\b"
    r"|\bI(?:'m| am) (?:sorry|unable)\b|\bI (?:cannot|can't|can not)\b"
    r"|\b(?:system|developer) prompt\b",
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
        placeholders: texts that stand for "no description", without case.
        limit: longest text the adapter takes, in characters.
    """
    cleaned = _clean(text)
    if not cleaned:
        return Unfit("the reply holds no text for it")
    if _JINJA.search(cleaned):
        return Unfit("the reply's text holds Jinja, which dbt would render")
    if _ADDRESSED.search(cleaned):
        return Unfit("the reply's text speaks to its reader instead of describing the data")
    bare = cleaned.rstrip(".!… ").strip()
    if fold(bare) in {fold(placeholder.rstrip(".!… ")) for placeholder in placeholders}:
        return Unfit("the reply's text is a placeholder")
    if re.sub(r"[\W_]+", "", bare).lower() == re.sub(r"[\W_]+", "", name).lower():
        return Unfit("the reply's text only repeats the name")
    longest = min(limit or _LIMIT, _LIMIT)
    if len(cleaned) > longest:
        shortened = _first_sentences(cleaned, longest)
        if shortened is None:
            return Unfit(f"the reply's text has {len(cleaned)} characters, {longest} are allowed")
        cleaned = shortened
    return Fit(cleaned)


def _clean(text: str) -> str:
    """Without what never belongs to a description: fences, wrapping quotes, control characters, stray space."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    text = text.replace("\u0085", "\n").replace("\u00a0", " ")
    kept = (c for c in text if c in "\n\t" or c in _HARMLESS_FORMAT or unicodedata.category(c) not in _HIDDEN)
    text = unicodedata.normalize("NFC", "".join(kept)).strip()
    if fenced := _FENCE.match(text):
        text = fenced[1].strip()
    closing = _QUOTES.get(text[:1])
    if closing and len(text) > 1 and text.endswith(closing) and closing not in text[1:-1]:
        text = text[1:-1].strip()
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines))


def _first_sentences(text: str, longest: int) -> str | None:
    """As many whole sentences as fit; ``None`` if not even one does."""
    end = None
    for match in _SENTENCE_END.finditer(text[: longest + 1]):
        if match.end() <= longest:
            end = match.end()
    return text[:end].strip() if end else None
