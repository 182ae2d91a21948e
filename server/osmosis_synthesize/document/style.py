"""How a schema file is written: what a new text in it should look like."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

from osmosis_synthesize.document.model import HABITS, Document
from osmosis_synthesize.document.nodes import Map, Scalar, Seq, content_end, is_null, value_of
from osmosis_synthesize.document.reader import parse
from osmosis_synthesize.document.scalar import Quote
from osmosis_synthesize.text import line_ending

_T = TypeVar("_T")

DEFAULT_WIDTH = 80

LongStyle = Literal["block", "flow", "line"]
"""A text too long for its line becomes a ``>-`` block, a plain or quoted scalar over several lines, or one long line."""


@dataclass(frozen=True, slots=True)
class FileStyle:
    """The habits of one file."""

    newline: str = "\n"
    quote: Quote = ""
    other_quote: Quote = '"'
    """For texts that cannot be plain."""
    always_block: Literal["", ">", "|"] = ""
    """The block style that the file uses for short texts too."""
    long: LongStyle = "block"
    width: int = DEFAULT_WIDTH
    body_indent: int = 2
    """How far the lines of a text on several lines are indented from their key."""
    sequence_indent: int = 2
    """How far a dash is indented from the key of its list."""
    dash_gap: int = 1
    """Spaces behind a dash."""
    blank_between_columns: bool = False


def file_style(document: Document, line_width: int | None) -> FileStyle:
    """Read the habits of a file off its descriptions and lists."""
    text, lines = document.text, document.lines
    texts: Counter[str] = Counter()
    empty: Counter[str] = Counter()
    long: Counter[LongStyle] = Counter()
    body_indents: Counter[int] = Counter()
    widths: list[int] = []
    for place in document.places.values():
        value = value_of(place.node, "description")
        if not isinstance(value, Scalar):
            continue
        if is_null(value) or not value.value.strip():
            if value.style in ("'", '"'):
                empty[value.style] += 1
            continue
        key_column = column_of(document, place.node.pairs[0][0].start)
        first, last = lines.line_of(value.start), lines.line_of(content_end(value, text))
        is_long = key_column + len("description: ") + len(value.value) > (line_width or DEFAULT_WIDTH)
        if last > first:
            second = lines.line_text(first + 1)
            indent = len(second) - len(second.lstrip(" ")) - key_column
            if 0 < indent <= 8:
                body_indents[indent] += 1
        texts[value.style] += 1
        if is_long and not place.node.flow:
            long["block" if value.style in ("|", ">") else "flow" if last > first else "line"] += 1
        if last > first and is_long and value.style != "|":
            widths.append(max(len(lines.line_text(line)) for line in range(first, last + 1)))
    usual = _most(texts) or _most(empty) or ""
    quotes = Counter({quote: texts[quote] * 100 + empty[quote] for quote in ("'", '"')})
    long_style: LongStyle = _most(long) or "block"  # type: ignore[assignment]
    if long_style == "line" and line_width is not None:
        long_style = "block"
    sequence_indent, dash_gap, blank = _list_habits(document)
    return FileStyle(
        newline=line_ending(text),
        quote=usual if usual in ("'", '"') else "",
        other_quote="'" if quotes["'"] > quotes['"'] else '"',
        always_block=usual if usual in ("|", ">") else "",
        long=long_style,
        width=line_width or _width(widths),
        body_indent=_most(body_indents) or 2,
        sequence_indent=sequence_indent,
        dash_gap=dash_gap,
        blank_between_columns=blank,
    )


def habits_of(document: Document) -> FileStyle:
    """The habits of a file, as they were when all of it was read last: a keystroke does not change them."""
    known = document.__dict__.get(HABITS)
    if known is None:
        known = file_style(document if document.whole else parse(document.text), None)
        document.__dict__[HABITS] = known
    return cast("FileStyle", known)


def _width(widths: list[int]) -> int:
    """Where a file breaks its texts, judged by the longest line of each: the more texts, the surer."""
    widest = max(widths, default=DEFAULT_WIDTH)
    return min(max(widest, 40 if len(widths) >= 3 else DEFAULT_WIDTH), 160)


def column_of(document: Document, offset: int) -> int:
    """How far ``offset`` is indented, as YAML counts it: a byte-order mark takes no place."""
    start = document.lines.line_start(document.lines.line_of(offset))
    return offset - start - (1 if start == 0 and document.text.startswith("\ufeff") else 0)


def dash_of(document: Document, sequence: Seq) -> tuple[int, int] | None:
    """The column of a block sequence's dashes and the number of spaces behind the first one.

    ``None`` where the first dash does not begin its line, or stands alone on it.
    """
    lines = document.lines
    start = sequence.items[0].start
    before = lines.line_text(lines.line_of(start))[: start - lines.line_span(lines.line_of(start)).start]
    dash = before.lstrip("\ufeff ")
    if dash[:1] != "-" or dash[1:].strip(" "):
        return None
    return len(before.lstrip("\ufeff")) - len(dash), len(dash) - 1


def blank_before_last(document: Document, sequence: Seq) -> bool | None:
    """Whether blank lines separate the last two items; ``None`` where there are not two."""
    if len(sequence.items) < 2:
        return None
    end = content_end(sequence.items[-2], document.text)
    between = document.text[end : sequence.items[-1].start]
    return any(not line.strip() for line in between.replace("\r\n", "\n").split("\n")[1:-1])


def _list_habits(document: Document) -> tuple[int, int, bool]:
    indents: Counter[int] = Counter()
    gaps: Counter[int] = Counter()
    blank: bool | None = None
    for key, sequence in _lists(document):
        dash = dash_of(document, sequence)
        if dash is None:
            continue
        # What dbt's own examples and most files do inside of entries decides; the outermost list counts once.
        indents[dash[0] - column_of(document, key)] += 1
        gaps[dash[1]] += 1
    for entry in document.entries:
        columns = value_of(entry.node, "columns")
        if blank is None and isinstance(columns, Seq) and not columns.flow:
            blank = blank_before_last(document, columns)
    indent = _most(indents)
    return 2 if indent is None or indent < 0 else indent, _most(gaps) or 1, bool(blank)


def _lists(document: Document) -> list[tuple[int, Seq]]:
    """The block sequences that hold entries and columns, each with the offset of its key."""
    found: list[tuple[int, Seq]] = []
    mappings: list[Map] = [entry.node for entry in document.entries if not entry.node.flow]
    if document.root is not None:
        mappings.insert(0, document.root)
    for mapping in mappings:
        for key, value in mapping.pairs:
            if isinstance(value, Seq) and value.items and not value.flow:
                found.append((key.start, value))
    return found


def _most(votes: Counter[_T]) -> _T | None:
    return max(votes, key=votes.__getitem__) if votes else None
