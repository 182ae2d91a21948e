"""What is said of each entry of a schema file, as JSON that is made once.

A large file has thousands of diagnostics, and a keystroke changes a few of them. So the JSON of an entry is kept as long as
the entry, and how its gaps would be filled, stay the same; if it moves to other lines, only their numbers are put in anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from osmosis_synthesize.engine.gaps import EntrySurvey
from osmosis_synthesize.lsp.reading import Reading
from osmosis_synthesize.lsp.workspace import Way
from osmosis_synthesize.text import LineIndex, PositionEncoding, Span


class Item(NamedTuple):
    """One diagnostic, lens or the like of an entry: where it stands, in the text as the entry was read, and the rest."""

    span: Span
    fields: object
    """What becomes a JSON object, to which the range is added."""


class Told(NamedTuple):
    """What a client was told last about a document."""

    items: str
    """JSON, separated by commas."""
    result_id: str
    """Another one each time that these change."""
    made_of: tuple[object, ...]
    """As long as these are the very same, so is the rest."""


Make = Callable[[Reading, EntrySurvey, Sequence[Way | None]], Iterable[Item]]
"""What is to be said of an entry whose gaps would be filled in these ways."""


class _Template(NamedTuple):
    """The JSON of an entry's items, but for the numbers of lines."""

    text: str
    lines: tuple[int, ...]
    """They, in the order in which they come, counted from the line on which the entry begins."""

    def at(self, line: int) -> str:
        return self.text % tuple([line + number for number in self.lines])


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What is said of one entry."""

    survey: EntrySurvey
    ways: Sequence[Way | None]
    template: _Template
    line: int
    """On which the entry begins."""
    text: str


class _Whole(NamedTuple):
    """What is said of all entries, and of which reading and ways it was made."""

    reading: Reading
    ways: object
    text: str


class Sheet:
    """All that one feature says of one document."""

    def __init__(self, make: Make, encoding: PositionEncoding) -> None:
        """``encoding`` is how the client counts characters."""
        self._make: Final = make
        self._encoding: Final[PositionEncoding] = encoding
        self._drawn: dict[int, _Drawn] = {}
        self._last: _Whole | None = None

    def new(self, reading: Reading) -> int:
        """How many entries nothing has been made of yet."""
        if self._last is not None and self._last.reading is reading:
            return 0
        return sum(id(survey) not in self._drawn for survey, _ in reading.entries)

    def draw(self, reading: Reading) -> str:
        """The items of all entries, separated by commas; the very same text as long as nothing has changed."""
        ways, last = reading.ways, self._last
        if last is not None and last.reading is reading and last.ways is ways:
            return last.text
        lines, before = reading.document.lines, self._drawn
        same_ways = last is not None and last.ways is ways
        drawn: dict[int, _Drawn] = {}
        for survey, moved in reading.entries:
            known = before.get(id(survey))
            if known is None or not (same_ways or _is_same(known.ways, reading.ways_of(survey))):
                known = self._draw(reading, survey, moved)
            else:
                line = lines.line_of(survey.entry.span.start + moved)
                if known.line != line:
                    known = _Drawn(survey, known.ways, known.template, line, known.template.at(line))
            drawn[id(survey)] = known
        text = ",".join([entry.text for entry in drawn.values() if entry.text])
        self._drawn, self._last = drawn, _Whole(reading, ways, text)
        return text

    def _draw(self, reading: Reading, survey: EntrySurvey, moved: int) -> _Drawn:
        lines = reading.document.lines
        line = lines.line_of(survey.entry.span.start + moved)
        ways = reading.ways_of(survey)
        texts: list[str] = []
        numbers: list[int] = []
        for span, fields in self._make(reading, survey, ways):
            place, found = _range(span.shifted(moved), lines, self._encoding)
            rest = msgspec.json.encode(fields).decode().replace("%", "%%")
            texts.append(f'{{"range":{place},{rest[1:]}')
            numbers += [number - line for number in found]
        template = _Template(",".join(texts), tuple(numbers))
        return _Drawn(survey, ways, template, line, template.at(line))


def _range(span: Span, lines: LineIndex, encoding: PositionEncoding) -> tuple[str, tuple[int, int]]:
    start, end = lines.position(span.start, encoding), lines.position(span.end, encoding)
    text = f'{{"start":{{"line":%d,"character":{start.character}}},"end":{{"line":%d,"character":{end.character}}}}}'
    return text, (start.line, end.line)


def _is_same(one: Sequence[Way | None], other: Sequence[Way | None]) -> bool:
    return all(first is second for first, second in zip(one, other, strict=True))
