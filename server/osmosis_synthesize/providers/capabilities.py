"""What a server turned out not to take, remembered for the life of the process.

Optional parts of a request differ from model to model: newer OpenAI models refuse ``temperature`` and ``max_tokens``,
older servers know no JSON schema. No list of models stays true for long, so a part is sent until a server refuses it
for a model, and then never again to that model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

Part = Literal["temperature", "max_completion_tokens", "max_tokens", "json_schema", "json_object", "stream"]

# Words by which servers name a part when they refuse it.
_NAMES: Final[dict[Part, re.Pattern[str]]] = {
    "temperature": re.compile(r"\btemperature\b"),
    "max_completion_tokens": re.compile(r"\bmax_completion_tokens\b"),
    "max_tokens": re.compile(r"\b(?:max_tokens|num_predict)\b"),
    "json_schema": re.compile(
        r"\b(?:response_format|output_config|output_format|format|json_schema|schema|structured|grammar)\b"
    ),
    "json_object": re.compile(r"\b(?:response_format|format|json_object|json[ _]mode)\b"),
    "stream": re.compile(r"\bstream(?:ing|_options)?\b"),
}

# A limit that is known but too high is the setting's fault, and dropping it would lift the limit silently.
_TOO_MUCH: Final = re.compile(r"too (?:large|long|high|many)|at most|maximum|exceed|context[ _]length")

_rejected: dict[tuple[str, str], frozenset[Part]] = {}


def rejected(url: str, model: str) -> frozenset[Part]:
    """The parts that ``model`` behind ``url`` has refused so far."""
    return _rejected.get((url, model), frozenset())


def blame(sent: Sequence[Part], complaint: str) -> Part | None:
    """The part among ``sent`` that a server's complaint is about, if it is about one of them."""
    text = complaint.lower()
    for part in sent:
        if not _NAMES[part].search(text):
            continue
        if part in {"max_tokens", "max_completion_tokens"} and _TOO_MUCH.search(text):
            continue
        return part
    return None


def learn(url: str, model: str, part: Part) -> None:
    """Remember that ``model`` behind ``url`` refuses ``part``."""
    _rejected[url, model] = rejected(url, model).union((part,))


def pick(candidates: Sequence[Part], refused: frozenset[Part]) -> Part | None:
    """The first candidate that has not been refused."""
    return next((part for part in candidates if part not in refused), None)
