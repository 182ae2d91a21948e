from __future__ import annotations

import os

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from osmosis_synthesize.document.scalar import (
    Quote,
    folded,
    folded_flow,
    is_plain_safe,
    literal,
    on_one_line,
    wrapped,
)

# At full size: FULL_SIZE_TESTS=1 pytest tests/unit/test_document_scalar.py
EXAMPLES = 3_000 if os.environ.get("FULL_SIZE_TESTS") else 120

# Anything that YAML can hold, with what it gives a meaning to much more often than chance would have it.
awkward = st.sampled_from(
    [
        *":#'\"\\\n\té😀\u2028\x85\xa0\ufeff\u200b@%`|>,[]{}\x07",
        *(": ", " #", "- ", "? ", "  ", "&a", "*a", "!x", "---", "...", "{{ doc('x') }}"),
    ]
)
words = st.sampled_from(
    ["yes", "no", "on", "off", "null", "~", "1.0", "12:30", "1_000", "0x1f", "2020-01-01", "=", "<<", ".inf"]
)
texts = st.one_of(
    words,
    st.lists(
        st.one_of(awkward, words, st.text(max_size=8), st.sampled_from(["order", "the", "customer's", " "])),
        max_size=30,
    )
    .map("".join)
    .filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text)),
)


def read_back(yaml_text: str) -> list[object]:
    """The value under `a`, as read by YAML 1.1 and 1.2, by libyaml and in Python."""
    return [
        yaml.load(yaml_text, yaml.CSafeLoader)["a"],
        yaml.load(yaml_text, yaml.SafeLoader)["a"],
        YAML(typ="safe").load(yaml_text)["a"],
        YAML(typ="safe", pure=True).load(yaml_text)["a"],
    ]


@settings(deadline=None, max_examples=EXAMPLES)
@given(texts, st.sampled_from(["", "'", '"']), st.sampled_from(["'", '"']))
@example("a: b", "", '"')
@example('say "it"', '"', '"')
@example("it's", "'", "'")
def test_one_line_reads_back(text: str, quote: Quote, other: Quote) -> None:
    scalar = on_one_line(text, quote, other=other)
    assert "\n" not in scalar
    assert read_back(f"a: {scalar}\nb: c\n") == [text] * 4


@settings(deadline=None, max_examples=EXAMPLES)
@given(texts, st.sampled_from(["", "'", '"']))
@example("Is it paid?", "")
def test_one_line_in_braces_reads_back(text: str, quote: Quote) -> None:
    scalar = on_one_line(text, quote, flow=True)
    assert read_back(f"{{a: {scalar}, b: c}}\n") == [text] * 4


@settings(deadline=None, max_examples=EXAMPLES)
@given(texts, st.integers(1, 8), st.integers(20, 90), st.sampled_from(["\n", "\r\n"]))
def test_blocks_read_back(text: str, indent: int, width: int, newline: str) -> None:
    for block in (folded(text, indent, width, newline), literal(text, indent, newline)):
        if block is not None:
            assert block.count("\r") == (block.count("\n") if newline == "\r\n" else 0)
            assert read_back(f"a: {block}{newline}b: c{newline}") == [text] * 4


@settings(deadline=None, max_examples=EXAMPLES)
@given(texts, st.sampled_from(["", "'", '"']), st.integers(20, 60))
def test_quoted_and_plain_texts_over_several_lines_read_back(text: str, quote: Quote, width: int) -> None:
    if text and text == text.strip():
        scalar = folded_flow(on_one_line(text, quote), 3, 2, width, "\n")
        assert read_back(f"a: {scalar}\nb: c\n") == [text] * 4


@settings(deadline=None)
@given(st.text(alphabet="ab  (-'", max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_lines_are_joined_by_one_space_and_no_longer_than_they_must_be(text: str, first: int, width: int) -> None:
    lines = wrapped(text, first, width)
    assert " ".join(lines) == text
    for number, line in enumerate(lines):
        room = first if number == 0 else width
        # Too long only where nothing in it could be broken.
        assert len(line) <= room or len(wrapped(line, 1, 1)) == 1


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " a",
            "a ",
            "a: b",
            "a:",
            "a #b",
            "- a",
            "-a",
            "? a",
            "@a",
            "&a",
            "*a",
            "!a",
            "%a",
            "`a",
            "'a",
            '"a',
            "|",
            ">",
        ),
        *(
            "{a",
            "[a",
            "#a",
            ",a",
            "yes",
            "No",
            "ON",
            "off",
            "y",
            "N",
            "null",
            "~",
            "true",
            "FALSE",
            "1",
            "1.0",
            "1e3",
            "+1",
        ),
        *(
            "0o7",
            "0x1f",
            "1_000",
            "12:30",
            "12:30:45",
            "2020-01-01",
            "2001-12-14 21:59:43",
            ".inf",
            ".NaN",
            "=",
            "<<",
        ),
        *("a\nb", "a\tb", "a\x07", "a\u2028b", "a\x85b", "\ufeffa", "\xa0a"),
    ],
)
def test_needs_quotes(text: str) -> None:
    assert not is_plain_safe(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "The order's id",
            'say "it"',
            "a:b",
            "a#b",
            "http://x.y/z",
            "yes, it is",
            "1 if paid",
            "é 😀",
            "a, b",
            "{a}"[1:],
        ),
        *("see {{ doc('x') }}", "a - b", "100 % sure", "no-one", "null values are kept"),
    ],
)
def test_needs_no_quotes(text: str) -> None:
    assert is_plain_safe(text)


@pytest.mark.parametrize(
    ("text", "quote", "other", "expected"),
    [
        ("Text", "", '"', "Text"),
        ("Text", "'", '"', "'Text'"),
        ("Text", '"', '"', '"Text"'),
        ("a: b", "", '"', '"a: b"'),
        ("a: b", "", "'", "'a: b'"),
        ('a: "b"', "", '"', "'a: \"b\"'"),
        ("it's: b", "", "'", '"it\'s: b"'),
        ('it\'s "b": c', "'", "'", "'it''s \"b\": c'"),
        ('it\'s "b": c', '"', "'", '"it\'s \\"b\\": c"'),
        ("C:\\x", '"', "'", "'C:\\x'"),
        ("a\nb\t\x07\u2028\ufeff", "'", "'", '"a\\nb\\t\\x07\\L\\ufeff"'),
    ],
)
def test_follows_the_quote_asked_for_where_it_can(text: str, quote: Quote, other: Quote, expected: str) -> None:
    assert on_one_line(text, quote, other=other) == expected
