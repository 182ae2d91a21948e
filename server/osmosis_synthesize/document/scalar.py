"""A text as a YAML scalar that every reader reads back as the very same text.

Readers are PyYAML (YAML 1.1: dbt) and ruamel.yaml (YAML 1.2), with libyaml or without. Where the two versions disagree, or
readers are known to, the text is quoted.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Quote = Literal["", "'", '"']
"""How a scalar on one line is written: plain, in single or in double quotes."""

# All but https://yaml.org/spec/1.1/#c-printable, and of that tab, line breaks (YAML 1.1 has more of them than 1.2: NEL, LS,
# PS) and the byte-order mark: what may not stand as it is inside of a line. (The others, as a set, take ten times as long to
# compile.)
_NOT_IN_LINES: Final = r"\x00-\t\v-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
_UNSAFE: Final = re.compile(rf"[\n{_NOT_IN_LINES}]")
_UNSAFE_IN_LINES: Final = re.compile(f"[{_NOT_IN_LINES}]")

_INDICATORS: Final = frozenset("-?:,[]{}#&*!|>'\"%@`")
_NOT_IN_PLAIN = re.compile(r":(?: |\Z)| #")
_NOT_IN_PLAIN_FLOW = re.compile(r"[\[\]{},:?#'\"]")
"""A `?` too: PyYAML without libyaml takes it for a key, wherever it stands."""
_WORDS: Final = frozenset({"null", "~", "true", "false", "yes", "no", "on", "off", "y", "n"})
# Numbers of every base and kind, sexagesimals, dates, `=`, `<<`, .inf and .nan, and more: a single word that begins so.
_NUMBER_LIKE = re.compile(r"[-+.=<0-9]\S*\Z|\d{4}-\d{1,2}-\d{1,2}[Tt\s]")

_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\x85": "\\N",
    "\u2028": "\\L",
    "\u2029": "\\P",
}
_TO_ESCAPE: Final = re.compile(rf"[\"\\\n{_NOT_IN_LINES}]")

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BREAKABLE = re.compile(r"(?<=[^ ]) (?=[\w(])")


def has_surrogates(text: str) -> bool:
    """Whether a text holds half a character, which no YAML can hold."""
    return _SURROGATE.search(text) is not None


def is_plain_safe(text: str, *, flow: bool = False) -> bool:
    """Whether a text needs no quotes, inside of braces (``flow``) or outside."""
    return (
        text != ""
        and text[0] not in _INDICATORS
        and text == text.strip()
        and _UNSAFE.search(text) is None
        and _NOT_IN_PLAIN.search(text) is None
        and text.lower() not in _WORDS
        and _NUMBER_LIKE.match(text) is None
        and not (flow and _NOT_IN_PLAIN_FLOW.search(text))
    )


def on_one_line(text: str, quote: Quote, *, other: Quote = '"', flow: bool = False) -> str:
    """``text`` as a scalar on one line, written as ``quote`` says if that is possible.

    ``other`` is the quote to use where plain is asked for and not safe. The quote that needs no escaping is preferred where
    just one of them does not.
    """
    if quote == "":
        if is_plain_safe(text, flow=flow):
            return text
        quote = other
    if _UNSAFE.search(text) is not None:
        quote = '"'
    elif quote == '"' and ('"' in text or "\\" in text) and "'" not in text:
        quote = "'"
    elif quote == "'" and "'" in text and '"' not in text and "\\" not in text:
        quote = '"'
    if quote == "'":
        return "'" + text.replace("'", "''") + "'"
    return '"' + _TO_ESCAPE.sub(_escaped, text) + '"'


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def folded(text: str, indent: int, width: int, newline: str) -> str | None:
    """``text`` as a ``>-`` block whose lines are indented by ``indent``; ``None`` where that would not read back."""
    if not text or text != text.strip() or _UNSAFE.search(text) is not None:
        return None
    pad = newline + " " * indent
    return ">-" + "".join(pad + line for line in wrapped(text, width - indent, width - indent))


def literal(text: str, indent: int, newline: str) -> str | None:
    """``text`` as a ``|-`` block whose lines are indented by ``indent``; ``None`` where that would not read back."""
    if not text or text != text.strip() or _UNSAFE_IN_LINES.search(text) is not None:
        return None
    lines = text.split("\n")
    if any(line != line.rstrip() for line in lines):
        return None  # an editor that strips trailing blanks would change the text
    pad = " " * indent
    return "|-" + "".join(newline + (pad + line if line else "") for line in lines)


def folded_flow(scalar: str, first: int, indent: int, width: int, newline: str) -> str:
    """A plain or quoted scalar spread over lines, broken where a reader makes one space of the break.

    ``first`` is how far the scalar's first line is indented already.
    """
    return (newline + " " * indent).join(wrapped(scalar, width - first, width - indent))


def wrapped(text: str, first: int, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` (the first: ``first``) characters, where its spaces allow it.

    It is broken only at a single space before a letter, a digit, a quote-free word: nothing that could mean something else
    at the start of a line.
    """
    lines: list[str] = []
    start = 0
    room = first
    last_break = -1
    for match in _BREAKABLE.finditer(text):
        if match.start() - start > room and last_break >= 0:
            lines.append(text[start:last_break])
            start = last_break + 1
            room = width
        last_break = match.start() if match.start() > start else last_break
    if len(text) - start > room and last_break > start:
        lines.append(text[start:last_break])
        start = last_break + 1
    lines.append(text[start:])
    return lines
