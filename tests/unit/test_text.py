from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osmosis_synthesize.text import LineIndex, Position, PositionEncoding, Span, TextEdit, apply_edits, line_ending

ENCODINGS: tuple[PositionEncoding, ...] = ("utf-8", "utf-16", "utf-32")

# Characters of one to four UTF-8 bytes and one or two UTF-16 units, every line break there is, and a byte-order mark.
texts = st.text(alphabet="ab é😀\n\r\t\u2028\x85\ufeff", max_size=60)


@given(texts, st.sampled_from(ENCODINGS), st.data())
def test_every_offset_survives_the_way_to_a_position_and_back(
    text: str, encoding: PositionEncoding, data: st.DataObject
) -> None:
    index = LineIndex(text)
    offset = data.draw(st.integers(0, len(text)))
    back = index.offset(index.position(offset, encoding), encoding)
    # Between \r and \n there is no position: it means the end of the line's text.
    inside_break = 0 < offset < len(text) and text[offset - 1 : offset + 1] == "\r\n"
    assert back == (offset - 1 if inside_break else offset)


@given(texts, st.sampled_from(ENCODINGS), st.data())
def test_a_position_counts_what_stands_before_it_in_its_line(
    text: str, encoding: PositionEncoding, data: st.DataObject
) -> None:
    index = LineIndex(text)
    offset = data.draw(st.integers(0, len(text)))
    position = index.position(offset, encoding)
    before = text[index.line_span(position.line).start : offset]
    codec = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}[encoding]
    assert position.character == len(before.encode(codec[0])) // codec[1]


@given(texts)
def test_lines_and_their_breaks_are_the_text(text: str) -> None:
    index = LineIndex(text)
    lines = [index.line_text(line) for line in range(index.line_count)]
    assert not any(mark in line for line in lines for mark in "\r\n")
    assert lines == text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@given(texts, st.integers(-3, 70), st.integers(-3, 70), st.sampled_from(ENCODINGS))
def test_any_position_means_some_offset(text: str, line: int, character: int, encoding: PositionEncoding) -> None:
    assert 0 <= LineIndex(text).offset(Position(line, character), encoding) <= len(text)


@given(texts, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), texts), min_size=1, max_size=5))
def test_an_edited_index_is_that_of_the_edited_text(text: str, edits: list[tuple[int, int, str]]) -> None:
    index = LineIndex(text)
    for one, other, new_text in edits:
        start, end = sorted((min(one, len(text)), min(other, len(text))))
        text = apply_edits(text, [TextEdit(Span(start, end), new_text)])
        index = index.edited(Span(start, end), text)
        fresh = LineIndex(text)
        assert index.text == text
        assert index.line_count == fresh.line_count
        assert [index.line_span(line) for line in range(index.line_count)] == [
            fresh.line_span(line) for line in range(fresh.line_count)
        ]
        for offset in range(len(text) + 2):
            assert index.position(offset) == fresh.position(offset)
            assert index.offset(fresh.position(offset)) == fresh.offset(fresh.position(offset))


def test_a_position_inside_of_a_character_means_its_start() -> None:
    index = LineIndex("a😀b")
    assert index.offset(Position(0, 2), "utf-16") == 1
    assert [index.offset(Position(0, byte), "utf-8") for byte in range(1, 6)] == [1, 1, 1, 1, 2]


@given(texts, st.data())
def test_insertions_leave_everything_else(text: str, data: st.DataObject) -> None:
    offsets = data.draw(st.lists(st.integers(0, len(text)), max_size=5))
    edits = [TextEdit(Span(offset, offset), f"<{number}>") for number, offset in enumerate(offsets)]
    edited = apply_edits(text, edits)
    for edit in edits:
        edited = edited.replace(edit.new_text, "", 1)
    assert edited == text


def test_insertions_at_one_offset_keep_their_order_and_replacements_come_after_them() -> None:
    edits = [TextEdit(Span(1, 2), "X"), TextEdit(Span(1, 1), "1"), TextEdit(Span(1, 1), "2")]
    assert apply_edits("abc", edits) == "a12Xc"


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param([TextEdit(Span(0, 2), ""), TextEdit(Span(1, 3), "")], id="overlap"),
        pytest.param([TextEdit(Span(2, 9), "")], id="past the end"),
    ],
)
def test_edits_that_make_no_sense_are_refused(edits: list[TextEdit]) -> None:
    with pytest.raises(ValueError, match="edit"):
        apply_edits("abc", edits)


def test_a_span_runs_forward() -> None:
    with pytest.raises(ValueError, match="not a span"):
        Span(3, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "\n"),
        ("a", "\n"),
        ("a\nb\n", "\n"),
        ("a\r\nb\r\n", "\r\n"),
        ("a\r\nb\nc\n", "\n"),
        ("a\r\nb\r\nc\n", "\r\n"),
        ("a\rb", "\r"),
    ],
)
def test_the_line_ending_is_what_most_lines_have(text: str, expected: str) -> None:
    assert line_ending(text) == expected


def test_an_index_follows_a_long_insertion_and_one_above_it() -> None:
    text = "a\n" * 50
    index = LineIndex(text)
    for at, more in ((60, "x" * 5_000), (0, "y"), (4, "q\n")):
        text = text[:at] + more + text[at:]
        index = index.edited(Span(at, at), text)
        plain = LineIndex(text)
        assert [index.line_start(line) for line in range(index.line_count)] == [
            plain.line_start(line) for line in range(plain.line_count)
        ]
