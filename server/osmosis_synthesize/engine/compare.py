"""When two descriptions say the same: the one answer for inheritance, for checks and for measurements."""

from __future__ import annotations

from typing import Final

_FINAL: Final = ".!… "


def plain(text: str) -> str:
    """A text without what makes no difference: case, white space, and the punctuation that ends it."""
    return " ".join(text.split()).lower().rstrip(_FINAL)
