r"""Text, places in it, and edits to it.

Offsets count code points of a ``str``, from 0, as Python does. Lines break at ``\n``, ``\r\n`` and ``\r``
only, as the Language Server Protocol and YAML's line counting have it; U+2028 and its kin are ordinary
characters (``str.splitlines`` disagrees, so it is not used).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

PositionEncoding = Literal["utf-8", "utf-16", "utf-32"]

_LINE_BREAK = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The half-open range ``[start, end)`` of offsets."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a span: [{self.start}, {self.end})")

    def __len__(self) -> int:
        return self.end - self.start

    def of(self, text: str) -> str:
        """The part of ``text`` this span covers."""
        return text[self.start : self.end]

    def contains(self, offset: int) -> bool:
        """Whether ``offset`` lies in the span or right at its end (where a cursor still touches it)."""
        return self.start <= offset <= self.end

    def shifted(self, by: int) -> Span:
        """The same span, ``by`` characters further on."""
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True, slots=True)
class Position:
    """A place as editors count it: ``line`` and ``character`` from 0, characters in some encoding's units."""

    line: int
    character: int


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Put ``new_text`` where ``span`` is; an empty span is an insertion."""

    span: Span
    new_text: str


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """``text`` with all ``edits`` made; their spans refer to the original text, as in the LSP.

    Insertions at one offset keep the order in which they were given.

    Raises:
        ValueError: two edits overlap, or one reaches past the end of the text.
    """
    ordered = sorted(edits, key=lambda edit: edit.span)
    pieces: list[str] = []
    done = 0
    for edit in ordered:
        if edit.span.start < done:
            raise ValueError(f"edits overlap at offset {edit.span.start}")
        if edit.span.end > len(text):
            raise ValueError(f"edit reaches to offset {edit.span.end} of a text of {len(text)} characters")
        pieces.append(text[done : edit.span.start])
        pieces.append(edit.new_text)
        done = edit.span.end
    pieces.append(text[done:])
    return "".join(pieces)


class LineIndex:
    """Turns offsets into lines and characters and back, for one text."""

    __slots__ = ("_moved_by", "_moved_from", "_starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        # A line of a number from `_moved_from` on starts `_moved_by` characters behind what `_starts` says, so that an edit
        # need not touch the numbers of all the lines below it.
        # An array takes a tenth of the memory of a list. Below an edit, numbers may be negative.
        self._starts = array("i", [0, *(match.end() for match in _LINE_BREAK.finditer(text))])
        self._moved_from = len(self._starts)
        self._moved_by = 0

    def edited(self, changed: Span, text: str) -> LineIndex:
        """The index of ``text``, which differs from this one's inside of ``changed`` (a span of this one's) only.

        It takes time in proportion to the lines changed and those between this edit and the one before.
        """
        delta = len(text) - len(self.text)
        # A line break may join with, or part from, the character before or behind the span.
        first = self.line_of(max(changed.start - 1, 0))
        rest = self.line_of(min(changed.end + 1, len(self.text))) + 1
        end = self.line_start(rest) + delta if rest < len(self._starts) else len(text)
        kept = self._starts[: first + 1]
        below = self._starts[rest + 1 :]
        if self._moved_by:
            for line in range(self._moved_from, first + 1):
                kept[line] += self._moved_by
            for line in range(rest + 1, self._moved_from):
                below[line - rest - 1] -= self._moved_by
        new = object.__new__(LineIndex)
        new.text = text
        new._starts = kept + array("i", [match.end() for match in _LINE_BREAK.finditer(text, kept[first], end)])
        new._moved_from = len(new._starts)
        new._starts += below
        new._moved_by = self._moved_by + delta
        return new

    def line_start(self, line: int) -> int:
        """Where a line begins."""
        start = self._starts[line]
        return start if line < self._moved_from else start + self._moved_by

    @property
    def line_count(self) -> int:
        """How many lines there are; a text that ends with a line break has an empty last one."""
        return len(self._starts)

    def line_of(self, offset: int) -> int:
        """The line, from 0, in which ``offset`` lies."""
        moved = self._moved_from
        if moved < len(self._starts) and offset >= self._starts[moved] + self._moved_by:
            return bisect_right(self._starts, offset - self._moved_by, moved) - 1
        return bisect_right(self._starts, offset, 0, moved) - 1

    def line_span(self, line: int) -> Span:
        """The span of a line without its line break."""
        start = self.line_start(line)
        end = self.line_start(line + 1) if line + 1 < len(self._starts) else len(self.text)
        while end > start and self.text[end - 1] in "\r\n":
            end -= 1
        return Span(start, end)

    def line_text(self, line: int) -> str:
        """A line without its line break."""
        return self.line_span(line).of(self.text)

    def position(self, offset: int, encoding: PositionEncoding = "utf-16") -> Position:
        """Where ``offset`` is; offsets past the end mean the end."""
        offset = min(max(offset, 0), len(self.text))
        line = self.line_of(offset)
        return Position(line, _units(self.text[self.line_start(line) : offset], encoding))

    def offset(self, position: Position, encoding: PositionEncoding = "utf-16") -> int:
        """The offset of a position; characters past the end of a line mean its end, lines past the last the end.

        A position inside a surrogate pair or a UTF-8 sequence means the start of that character.
        """
        if position.line >= len(self._starts):
            return len(self.text)
        span = self.line_span(max(position.line, 0))
        line = span.of(self.text)
        if encoding == "utf-32" or line.isascii():
            return span.start + min(max(position.character, 0), len(line))
        left = position.character
        for index, character in enumerate(line):
            left -= _units(character, encoding)
            if left < 0:
                return span.start + index
        return span.end


def _units(text: str, encoding: PositionEncoding) -> int:
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def line_ending(text: str) -> str:
    r"""The line ending most lines of ``text`` have; ``\n`` for a text of one line."""
    crlf = text.count("\r\n")
    lf = text.count("\n") - crlf
    cr = text.count("\r") - crlf
    if crlf > lf and crlf >= cr:
        return "\r\n"
    return "\r" if cr > lf else "\n"
