from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.document import Document, Fill, NewColumn, Slot, carried_over, edit, is_gap, parse, reparse
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.text import Span, TextEdit

# At full size: FULL_SIZE_TESTS=1 pytest tests/unit/test_document_rereading.py
EXAMPLES = 5_000 if os.environ.get("FULL_SIZE_TESTS") else 120

FILE = """\
# é😀
version: 2

models:
  - name: a
    description: A text
    columns:
      - name: id
        description: >-
          A folded
          text

      - name: x
  # about b
  - name: b
    versions:
      - v: 1
        columns:
          - name: y
      - v: 2
  -
    name: c
    description: "{{ doc('c') }}"

sources:
- name: s
  description: The source
  tables:
  - name: t
    columns:
    - {name: i, description: ''}
  - name: u
  loader: me
- name: r
  tables:
    - name: v

unit_tests:
  - name: n
    model: a
"""


def name_of(slot: Slot) -> str:
    return str(slot.key) if slot.column is None else f"{slot.key}.{slot.column}"


def replaced(text: str, old: str, new: str) -> TextEdit:
    """The edit that puts ``new`` in place of ``old``, which stands in the text once."""
    assert text.count(old) == 1, old
    start = text.index(old)
    return TextEdit(Span(start, start + len(old)), new)


def assert_same(read: Document, text: str) -> None:
    """``read`` is what is read in ``text``, whatever one asks it."""
    whole = parse(text)
    assert read == whole
    assert read.broken == whole.broken
    assert [entry.column_spans for entry in read.entries] == [entry.column_spans for entry in whole.entries]
    assert [entry.data for entry in read.entries] == [entry.data for entry in whole.entries]
    assert [entry.shifted(by) for entry, by in read.entries_as_read()] == list(whole.entries)
    for entry in whole.entries:
        assert read.entry(entry.key) == whole.entry(entry.key)
    for line in range(whole.lines.line_count):
        span = whole.lines.line_span(line)
        assert read.lines.line_span(line) == span
        assert read.entry_at(span.start) == whole.entry_at(span.start)
        assert read.slot_at(span.end) == whole.slot_at(span.end)
    assert read.lines.line_count == whole.lines.line_count


# What is read without the rest of the file: (id, old, new)
ALONE = [
    pytest.param("A text", "Another text", id="a description"),
    pytest.param("A text", "A *bold* text", id="a star that is no alias"),
    pytest.param("name: a\n", "name: &anchor a\n", id="an anchor that nobody uses"),
    pytest.param("          text\n", "          text\n\n          goes on\n", id="a block goes on"),
    pytest.param("      - name: x\n", "      - name: x\n      - name: z\n", id="a column more"),
    pytest.param("      - name: x\n", "", id="a column less"),
    pytest.param("  - name: b\n", "  - name: d\n  - name: b\n", id="an entry more"),
    pytest.param("  # about b\n  - name: b\n", "  - m\n  -\n  - name: b\n", id="items that are no entries"),
    pytest.param("  # about b\n", "  #\n\n# about b\n", id="a comment at the border"),
    pytest.param("      - v: 1\n", "      - v: 3\n", id="a version"),
    pytest.param("text\n\n      - name: x\n  # about b\n  - name: b\n", "", id="across the border of two entries"),
    pytest.param("  # about b\n  -", "  -", id="right behind an entry"),
    pytest.param("      - v: 2\n", "      - columns: []\n    descripton: T\n", id="problems"),
    pytest.param("name: i,", "name: j,", id="in braces"),
    pytest.param("  - name: u\n", "  - name: u\n  - name: w\n", id="a table more"),
    pytest.param("    - name: v\n", "    - name: v\r\n      description:\r\n", id="other line breaks"),
    pytest.param("    model: a\n", "    model: b\n    given: []\n", id="something that is not ours"),
    pytest.param("    model: a\n", "", id="the last line"),
    pytest.param("    model: a\n", "    model: a", id="the last line break"),
    pytest.param("    model: a\n", "    model: a\n  -", id="at the very end"),
]


@pytest.mark.parametrize(("old", "new"), ALONE)
def test_only_the_entry_that_was_edited_is_read(old: str, new: str) -> None:
    document = parse(FILE)
    change = replaced(FILE, old, new)
    again = reparse(document, change)
    assert not again.whole
    assert_same(again, FILE.replace(old, new))
    kept = {id(entry) for entry, _ in document.entries_as_read()} & {
        id(entry) for entry, _ in again.entries_as_read()
    }
    assert len(kept) >= len(document.entries) - 4


# What needs the whole file: (id, old, new)
WITH_ALL = [
    pytest.param("version: 2", "version: 3", id="before the first entry"),
    pytest.param("  - name: a\n", "  - name: a\nseeds:\n  - name: d\n", id="another section"),
    pytest.param("  # about b\n", "  - *a\n", id="an alias"),
    pytest.param("  - name: a\n", "  - name: &n a\n    meta: [*n]\n", id="an alias of its own anchor"),
    pytest.param("- name: s\n", "- name: q\n", id="a source's name"),
    pytest.param("  loader: me\n", "  loader: you\n", id="behind a source's tables"),
    pytest.param("  - name: u\n", "  - name: u", id="the line break before what follows a list"),
    pytest.param("  - name: a\n", "   - name: a\n", id="the indentation of the first dash"),
    pytest.param("  - name: a\n", "  -name: a\n", id="a dash that is none any more"),
    pytest.param("    model: a\n", "...\n", id="the end of the document"),
    pytest.param("  loader: me\n- name: r\n  tables:\n    - name: v\n\n", "", id="the border of two sections"),
    pytest.param(FILE, "", id="all of it"),
    pytest.param("A text", "{url: http://x}", id="what the parser in C refuses"),
    pytest.param("    model: a\n", "    model: \x07\n", id="a forbidden character"),
]


@pytest.mark.parametrize(("old", "new"), WITH_ALL)
def test_what_cannot_be_read_alone_is_read_with_the_rest(old: str, new: str) -> None:
    again = reparse(parse(FILE), replaced(FILE, old, new))
    assert again.whole
    assert_same(again, FILE.replace(old, new))


# Files whose entries cannot be told apart, and are read as a whole each time
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("models:\n  - &m\n    name: m\n  - <<: *m\n    name: n\n", id="aliases"),
        pytest.param("%YAML 1.1\n---\nmodels:\n  - name: m\n  - name: n\n", id="a directive"),
        pytest.param("models: [{name: m}, {name: n}]\n", id="all in one line"),
        pytest.param("  models:\n  - name: m\n  - name: n\n", id="all indented"),
        pytest.param("models:\nmodels:\n  - name: m\n  - name: n\n", id="a section twice"),
        pytest.param("models:\r  - name: m\r  - name: n\r", id="carriage returns"),
        pytest.param(
            "sources:\n  - <<: {name: s}\n    tables:\n      - name: m\n      - name: n\n", id="a merged name"
        ),
        pytest.param("models: &x\n  - name: m\n  - name: n\n", id="an anchored list"),
        pytest.param("models:\n  - name: m\n    meta: {url: http://x}\n  - name: n\n", id="slowly read"),
    ],
)
def test_files_whose_entries_cannot_be_told_apart(text: str) -> None:
    again = reparse(parse(text), replaced(text, "name: n", "name: o"))
    assert again.whole
    assert [entry.key.name for entry in again.entries] == ["m", "o"]
    assert_same(again, text.replace("name: n", "name: o"))


def test_several_edits_at_once_count_in_the_old_text() -> None:
    edits = [
        replaced(FILE, "A text", "T"),
        replaced(FILE, "- name: x", "- name: zz"),
        replaced(FILE, "v: 1", "v: 11"),
    ]
    again = reparse(parse(FILE), edits)
    assert not again.whole
    assert_same(again, FILE.replace("A text", "T").replace("- name: x", "- name: zz").replace("v: 1", "v: 11"))


def test_a_problem_between_the_entries_moves_with_the_text() -> None:
    text = "seeds: none\nmodels:\n  - name: a\nsources:\n  - description: a source without a name\n"
    again = reparse(parse(text), replaced(text, "name: a\n", "name: longer\n"))
    assert not again.whole
    assert_same(again, text.replace("name: a\n", "name: longer\n"))
    assert [problem.span.of(again.text).split(":")[0] for problem in again.problems] == ["none", "description"]


def test_no_edit_changes_nothing() -> None:
    document = parse(FILE)
    assert reparse(document, []) is document
    assert carried_over(document, []) == document


def test_edits_are_made_from_it_as_from_any_other() -> None:
    again = reparse(parse(FILE), replaced(FILE, "A text", "A longer text"))
    whole = parse(again.text)
    changes = [
        *(Fill(slot, "T") for slot in again.slots() if is_gap(slot)),
        NewColumn(EntryKey("model", "c"), "z", "Z"),
    ]
    assert edit(again, changes) == edit(whole, changes)
    assert edit(again, changes).rejected == ()


# A text that is no YAML for a moment

UNQUOTED = replaced(FILE, "A text", '"A text')


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("  - name: b\n", "  - name: b\n    descr\n", id="half a key"),
        pytest.param("A text", "[A text", id="an open bracket"),
        pytest.param("- name: v", "- name: 'v", id="an open quote"),
        pytest.param("    model: a\n", "---\n", id="another document"),
    ],
)
def test_a_broken_text_is_broken_in_the_same_way_without_being_read_as_a_whole(old: str, new: str) -> None:
    broken = reparse(parse(FILE), replaced(FILE, old, new))
    assert broken.broken
    assert not broken.whole
    assert_same(broken, broken.text)
    assert broken.problems
    assert broken.entries == ()


def test_what_follows_may_close_an_open_quote() -> None:
    text = 'models:\n  - name: a\n    description: x\n  - name: b\n    description: "\n'
    mended = reparse(reparse(parse(text[:-2] + "y\n"), []), [])
    assert not mended.broken
    document = parse('models:\n  - name: a\n    description: x\n  - name: b\n    description: y  # "\n')
    again = reparse(document, replaced(document.text, "description: x", 'description: "x'))
    assert again.whole
    assert not again.broken
    assert_same(again, again.text)


def test_a_text_that_was_broken_is_mended_without_being_read_as_a_whole() -> None:
    document = reparse(parse(FILE), UNQUOTED)
    assert document.broken
    elsewhere = reparse(document, replaced(document.text, "- name: x", "- name: xx"))
    assert elsewhere.broken
    assert_same(elsewhere, elsewhere.text)
    mended = reparse(elsewhere, replaced(elsewhere.text, '"A text', '"A text"'))
    assert not mended.whole
    assert_same(mended, FILE.replace("A text", '"A text"').replace("- name: x", "- name: xx"))


def test_the_last_slots_stay_where_they_still_make_sense() -> None:
    old = parse(FILE)
    shown = carried_over(old, UNQUOTED)
    assert shown.broken
    assert shown.text == FILE.replace("A text", '"A text')
    left = {name_of(slot): slot for slot in shown.slots()}
    assert set(left) == {name_of(slot) for slot in old.slots()} - {"a"}
    for slot in old.slots():
        if slot.column is not None or slot.key.name != "a":
            twin = left[name_of(slot)]
            assert (twin.name_span.of(shown.text), twin.span.of(shown.text)) == (
                slot.name_span.of(FILE),
                slot.span.of(FILE),
            )
    assert [entry.key for entry in shown.entries] == [entry.key for entry in old.entries]
    assert name_of(shown.slot_at(shown.text.index("A folded"))) == "a.id"  # type: ignore[arg-type]
    assert shown.entry_at(shown.text.index("A text")) == shown.entry(EntryKey("model", "a"))
    assert "cannot be edited" in edit(shown, [Fill(left["b"], "T")]).rejected[0].reason


def test_an_entry_without_its_name_is_gone() -> None:
    shown = carried_over(parse(FILE), replaced(FILE, "name: a\n", "name: 'a\n"))
    assert shown.entry(EntryKey("model", "a")) is None
    assert shown.entry(EntryKey("model", "b")) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [pytest.param("A text", '"A text', id="in an entry"), pytest.param("version: 2", "version: '2", id="elsewhere")],
)
def test_a_broken_document_remembers_the_last_slots(old: str, new: str) -> None:
    document = reparse(parse(FILE), replaced(FILE, old, new))
    typed = replaced(document.text, "name: y", "name: yy")
    assert reparse(document, typed).broken
    shown = carried_over(document, typed)
    left = {name_of(slot) for slot in shown.slots()}
    assert {"a.id", "b", "c", "s.t", "s.t.i", "r.v"} <= left
    assert "b.v1.y" not in left
    for slot in shown.slots():
        assert slot.name_span.of(shown.text).strip("\"'") in (slot.column, slot.key.name)


def test_a_file_that_was_never_read_has_nothing_to_remember() -> None:
    document = parse("a: 'b\n")
    assert carried_over(document, TextEdit(Span(0, 0), "c")).entries == ()


# Any file, any edits

SNIPPETS = [
    *(
        "a",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\r",
        "\t",
        ":",
        ": ",
        "- ",
        "-",
        "#",
        " #",
        "'",
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        "|",
        ">-",
    ),
    *(
        "&a ",
        "*a",
        "*b",
        "<<: *a",
        "!t ",
        "%",
        "---\n",
        "...\n",
        "? ",
        "~",
        "\ufeff",
        "\u2028",
        "\x85",
        "\x07",
        "é😀",
        "{{ x }}",
    ),
    *(
        "  - name: n\n",
        "- name: n\n",
        "    - name: n\n",
        "      - name: c\n",
        "\n  - name: n",
        "    description: T\n",
    ),
    *(
        "description",
        "descripton: T\n",
        "    columns:\n",
        "models:\n",
        "seeds:\n  - name: q\n",
        "# c\n",
        "  # c\n",
        "  -\n",
    ),
    *(
        "{url: http://x}",
        "tables:\n",
        "versions:\n      - v: 1\n",
        "'a\nb'",
        '"a\n\nb"',
        "|\n",
        "\n\n",
        "name: a",
        "  - - a\n",
    ),
]

CHUNKS = st.sampled_from(
    [
        *(
            "{p}- name: {n}\n",
            "{p}- name: {n}\n",
            "{p}- description: T\n{p}  name: {n}\n",
            "{p}-\n{p}    name: {n}\n",
        ),
        *(
            "{p}- name: {n}\n{p}  description: A text\n{p}  columns:\n{p}  - name: c\n{p}  - name: d\n{p}    description:\n",
        ),
        *("{p}- name: {n}\n{p}  columns:\n{p}      - name: c  # it\n{p}        description: >\n{p}          T\n\n",),
        *(
            "{p}- {{name: {n}, columns: [{{name: c}}]}}\n",
            "{p}- m\n",
            "{p}-\n",
            "{p}- - a\n",
            "{p}- &k{n} name: {n}\n",
        ),
        *("{p}- name: {n}\n{p}  versions:\n{p}    - v: 1\n{p}    - v: 2\n{p}      columns:\n{p}        - name: c\n",),
        *(
            "{p}- name: {n}\n{p}  description: 'a\n b\n\n   c'\n",
            "{p}- name: {n}\n{p}  description: |+\n{p}    T\n\n\n",
        ),
        *("{p}- name: {n}\n{p}  description: plain\n{p}     on two lines\n", "{p}- name: {n}\n{p}# comment\n\n"),
        *("{p}- name: {n}\n{p}  columns: [{{name: c}}, {{name: c, description: }}]\n", "# comment\n{p}- name: {n}\n"),
    ]
)


@st.composite
def lists(draw: st.DrawFn, dash: int) -> str:
    chunks = draw(st.lists(CHUNKS, min_size=1, max_size=4))
    return "".join(chunk.format(p=" " * dash, n=f"n{number}") for number, chunk in enumerate(chunks))


@st.composite
def sections(draw: st.DrawFn) -> str:
    key = draw(st.sampled_from(["models", "models", "seeds", "sources", "sources", "unit_tests", "x-y"]))
    dash = draw(st.sampled_from([0, 2, 2, 3]))
    if key != "sources":
        return f"{key}:\n{draw(lists(dash))}"
    pad = " " * dash
    made = "sources:\n"
    for number in range(draw(st.integers(1, 2))):
        tables = draw(lists(dash + draw(st.sampled_from([2, 4]))))
        head = draw(
            st.sampled_from(["- name: {n}\n{p}  tables:\n", "- tables:\n", "-\n{p}  name: {n}\n{p}  tables:\n"])
        )
        tail = draw(st.sampled_from(["", "", "{p}  loader: x\n", "{p}  name: {n}\n", "\n{p}  # end\n"]))
        made += pad + head.format(p=pad, n=f"s{number}") + tables + tail.format(p=pad, n=f"s{number}")
    return made


@st.composite
def files(draw: st.DrawFn) -> str:
    parts = draw(st.lists(sections(), min_size=1, max_size=3, unique_by=lambda part: part.split(":")[0]))
    parts.insert(
        draw(st.integers(0, len(parts))),
        draw(
            st.sampled_from(
                ["", "", "version: 2\n", "\n", "# %\n", "x: {a: http://x}\n", "z: &z 1\ny: *z\n", "models:\n"]
            )
        ),
    )
    text = draw(st.sampled_from(["", "", "", "---\n", "# c\n\n", "%YAML 1.1\n---\n"])) + "".join(parts)
    text = text.removesuffix("\n") + draw(st.sampled_from(["", "\n", "\n", "\n\n", "\n# end", "\n...\n"]))
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "", "", "\ufeff"])) + text


@st.composite
def edits(draw: st.DrawFn, text: str) -> TextEdit:
    """An edit, most often at the border of a line."""
    breaks = [0, *(index + 1 for index, character in enumerate(text) if character == "\n"), len(text)]
    start = draw(st.sampled_from(breaks)) if draw(st.booleans()) else draw(st.integers(0, len(text)))
    kind = draw(st.integers(0, 3))
    if kind == 0:
        end = draw(st.sampled_from([offset for offset in breaks if offset >= start]))
    elif kind == 1:
        end = min(start + draw(st.integers(1, 3)), len(text))
    else:
        end = start
    return TextEdit(Span(start, end), "" if kind == 0 else draw(st.sampled_from(SNIPPETS)))


@settings(deadline=None, max_examples=EXAMPLES)
@given(files(), st.data())
def test_reading_again_is_reading(text: str, data: st.DataObject) -> None:
    document = parse(text)
    for _ in range(data.draw(st.integers(1, 5))):
        change = data.draw(edits(document.text))
        new = reparse(document, change)
        assert_same(new, new.text)
        shown = carried_over(document, change)
        assert shown.text == new.text
        starts = [entry.span.start for entry in shown.entries if entry.key.version is None]
        if "*" not in new.text:
            assert all(one < other for one, other in pairwise(starts))
        if new.broken and not document.broken:
            before = [slot for slot in document.slots() if slot.span.end < change.span.start > slot.name_span.end]
            assert {slot.name_span for slot in before} <= {slot.name_span for slot in shown.slots()}
        undone = TextEdit(
            Span(change.span.start, change.span.start + len(change.new_text)), change.span.of(document.text)
        )
        assert reparse(new, undone) == document
        document = new
    changes = [Fill(slot, "A text.") for slot in document.slots() if is_gap(slot)]
    assert edit(document, changes) == edit(parse(document.text), changes)
