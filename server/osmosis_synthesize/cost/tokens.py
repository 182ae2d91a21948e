"""How many tokens a text is, without a network and without a tokenizer's vocabulary.

Tokenizers of today first cut a text into pieces (a word with the space before it, up to three digits, a run of
punctuation, …) and then each piece into tokens from a learned list. The first step is cheap to repeat; for the
second, this module has the mean number of tokens of a piece by its kind and length, measured with o200k_base (the
GPT-4o and GPT-5 families) over SQL, YAML, JSON and prose in ten languages. What other models make of a text is
learned from the ledger by :class:`TokenEstimator`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from osmosis_synthesize.cost.ledger import Ledger
    from osmosis_synthesize.providers.base import Request

_HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々"
_KANA: Final = "\u3040-\u30ff\uff66-\uff9f"
_HANGUL: Final = "\u1100-\u11ff\uac00-\ud7af"
_NO_ALPHABET_AFTER: Final = rf"(?![^\W\d_A-Za-z{_HAN}{_KANA}{_HANGUL}])"

_PIECE: Final = re.compile(
    rf"""
      (?P<spaced>  [ ][A-Z]?[a-z]++ {_NO_ALPHABET_AFTER} )
    | (?P<caps>    (?:[^\w\r\n]|_)? [A-Z]{{2,}}+[a-z]*+ {_NO_ALPHABET_AFTER} )
    | (?P<bare>    (?:[^\w\r\n]|_)? [A-Za-z][a-z]*+ {_NO_ALPHABET_AFTER} )
    | (?P<han>     [{_HAN}]+ )
    | (?P<kana>    [{_KANA}]+ )
    | (?P<hangul>  [ ]?[{_HANGUL}]+ )
    | (?P<letters> [^\w\r\n]? [^\W\d_{_HAN}{_KANA}{_HANGUL}]+ )
    | (?P<digits>  \d{{1,3}} )
    | (?P<marks>   [ ]? (?:[^\w\s]|_)+ [\r\n/]* )
    | (?P<space>   \s*[\r\n]+ | \s+(?!\S) | \s )
    """,
    re.VERBOSE,
)
"""The pieces, by kind. It is the cut that o200k_base makes, coarser for what is rare in prompts."""


def _tokens(kind: str, length: int) -> float:
    """The mean number of tokens of a piece of ``length`` characters, its leading space or mark included."""
    match kind:
        case "spaced":
            return 1.04 if length <= 12 else 1.04 + 0.3 * (length - 12)
        case "bare":  # most of these are parts of identifiers
            return 1.0 if length <= 2 else 1.15 if length <= 7 else 1.15 + 0.22 * (length - 7)
        case "caps":
            return 0.7 + 0.27 * length
        case "han":
            return 0.2 + 0.75 * length
        case "kana":
            return 0.2 + 0.6 * length
        case "hangul":
            return max(1.0, 0.68 * (length - 0.5))
        case "letters":
            return max(1.0, 0.28 * length)
        case "marks":
            return 1.0 if length <= 3 else 1.0 + 0.45 * (length - 3)
        case _:
            return 1.0


_LONGEST: Final = 64
_MEANS: Final = {kind: tuple(_tokens(kind, length) for length in range(_LONGEST + 1)) for kind in _PIECE.groupindex}


@lru_cache(maxsize=8)  # the calls of a run begin with the same words
def estimate_tokens(text: str) -> int:
    """About how many tokens ``text`` is.

    Against o200k_base: within 10 % for SQL, YAML and English of a prompt's length, 25 % for Japanese, Chinese and
    Korean; further off for languages with long inflected words (Polish comes out a quarter too low).
    """
    total = 0.0
    for piece in _PIECE.finditer(text):
        kind = piece.lastgroup or ""
        length = piece.end() - piece.start()
        total += _MEANS[kind][length] if length <= _LONGEST else _tokens(kind, length)
    return round(total)


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """How many input tokens a request is taken to have."""

    uncorrected: int
    """Before what the ledger knows; what ``Entry.estimated_input_tokens`` is to hold."""
    expected: int
    at_most: int
    """What to reserve for: above what any text of ours came to."""


_LOOK_BACK: Final = 25
_ENOUGH: Final = 3
_LOWEST_RATIO: Final = 0.5
_HIGHEST_RATIO: Final = 2.0
_MARGIN_NEW: Final = 1.5
"""For a model whose tokenizer has not been seen at work; the finest in use cuts English a third finer than ours."""
_MARGIN_KNOWN: Final = 1.3
_MESSAGE_TOKENS: Final = 4
"""What chat formats put around each message."""


class TokenEstimator:
    """Estimates for one model, corrected by how its latest calls turned out.

    The correction is the median of actual by estimated, so that a few odd calls do not move it, and never more than
    a factor of two, so that a server that counts nonsense does not either.
    """

    def __init__(self, ledger: Ledger, provider: str, model: str) -> None:
        ratios = sorted(ledger.input_token_ratios(provider, model, _LOOK_BACK))
        self._known = len(ratios) >= _ENOUGH
        self._ratio = min(max(ratios[len(ratios) // 2], _LOWEST_RATIO), _HIGHEST_RATIO) if self._known else 1.0

    def request(self, request: Request) -> TokenEstimate:
        """The input tokens of a request: its messages, what stands around them, and its schema."""
        texts = [message.content for message in request.messages]
        if request.schema is not None:
            texts.append(json.dumps(request.schema, default=dict))
        uncorrected = sum(map(_counter(), texts)) + _MESSAGE_TOKENS * (len(texts) + 1)
        expected = round(uncorrected * self._ratio)
        margin = _MARGIN_KNOWN if self._known else _MARGIN_NEW
        return TokenEstimate(uncorrected, expected, round(expected * margin))


# The name under which tiktoken keeps the list of o200k_base (the SHA-1 of where it is published), and the SHA-256
# that it must have, both as in tiktoken's own source. With another content tiktoken would download it again.
_O200K_FILE: Final = "fb374d419588a4632f3f557e76b4b70aebbca790"
_O200K_SHA256: Final = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


@cache
def _counter() -> Callable[[str], int]:
    """What counts tokens: the user's tiktoken if it needs no download, else :func:`estimate_tokens`."""
    from tempfile import gettempdir  # brings compression and randomness along, which nothing else here needs

    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    path = (Path(folder) if folder else Path(gettempdir(), "data-gym-cache")) / _O200K_FILE
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != _O200K_SHA256:
            return estimate_tokens
        from tiktoken import get_encoding
    except (OSError, ImportError):
        return estimate_tokens
    encoding = get_encoding("o200k_base")
    return lambda text: len(encoding.encode_ordinary(text))
