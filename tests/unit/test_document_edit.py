from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from osmosis_synthesize.document import (
    Change,
    Edited,
    Fill,
    NewColumn,
    NewEntry,
    Slot,
    edit,
    is_gap,
    new_schema_file,
    parse,
)
from osmosis_synthesize.errors import EditRejected
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.text import apply_edits

# At full size: FULL_SIZE_TESTS=1 pytest tests/unit/test_document_edit.py
EXAMPLES = 2_000 if os.environ.get("FULL_SIZE_TESTS") else 60

M = EntryKey("model", "m")

texts = st.one_of(
    st.sampled_from(
        ["yes", "no", "on", "off", "null", "~", "1.0", "12:30", "1_000", "2020-01-01", "=", "<<", "a\nb", " a "]
    ),
    st.lists(
        st.one_of(
            st.sampled_from(
                [": ", " #", "@", "&a", "*a", "!", "%", "- ", "? ", "'", '"', "\\", "\n", "  ", "😀", "\u2028", "}, "]
            ),
            st.sampled_from(["the order's ", "number of ", "customers ", "in {{ it }} "]),
            st.text(max_size=5),
        ),
        min_size=1,
        max_size=25,
    )
    .map("".join)
    .filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text)),
)
HEAD = "models:\n  - name: m\n"
COLUMN = HEAD + "    columns:\n      - name: c\n"


def name_of(slot: Slot) -> str:
    return str(slot.key) if slot.column is None else f"{slot.key}.{slot.column}"


def fill(text: str, texts: Mapping[str, str], *, line_width: int | None = None) -> Edited:
    document = parse(text)
    slots = {name_of(slot): slot for slot in document.slots()}
    edited = edit(document, [Fill(slots[name], new) for name, new in texts.items()], line_width=line_width)
    assert apply_edits(text, edited.edits) == edited.text
    return edited


# Where the text goes, and what stays: (id, before, {slot: text}, after)
PLACES = [
    pytest.param(HEAD, {"m": "T"}, HEAD + "    description: T\n", id="behind the name"),
    pytest.param(
        COLUMN + "        data_type: int\n",
        {"m": "T", "m.c": "U"},
        "models:\n  - name: m\n    description: T\n    columns:\n      - name: c\n        description: U\n"
        "        data_type: int\n",
        id="behind the name, before all else",
    ),
    pytest.param(HEAD[:-1], {"m": "T"}, HEAD + "    description: T", id="no line break at the end"),
    pytest.param(HEAD + "    description:", {"m": "T"}, HEAD + "    description: T", id="empty, at the very end"),
    pytest.param(
        COLUMN[:-1],
        {"m": "T", "m.c": "a\nb"},
        HEAD + "    description: T\n    columns:\n      - name: c\n        description: |-\n          a\n          b",
        id="a block at the very end",
    ),
    pytest.param(HEAD + "    description:\n", {"m": "T"}, HEAD + "    description: T\n", id="empty"),
    pytest.param(HEAD + "    description: \n", {"m": "T"}, HEAD + "    description: T\n", id="empty and a blank"),
    pytest.param(
        HEAD + "    description:  \t\n", {"m": "T"}, HEAD + "    description: T\n", id="empty, blanks and a tab"
    ),
    pytest.param(
        HEAD + "    description:  # later\n",
        {"m": "T"},
        HEAD + "    description: T  # later\n",
        id="empty before a comment",
    ),
    pytest.param(
        HEAD + "    description : \n", {"m": "T"}, HEAD + "    description : T\n", id="a blank before the colon"
    ),
    pytest.param(
        HEAD + '    description: ""\n', {"m": "T"}, HEAD + '    description: "T"\n', id="empty double quotes"
    ),
    pytest.param(
        HEAD + "    description: ''\n", {"m": "T"}, HEAD + "    description: 'T'\n", id="empty single quotes"
    ),
    pytest.param(
        HEAD + "    description: '' # c\n", {"m": "T"}, HEAD + "    description: 'T' # c\n", id="quotes and comment"
    ),
    pytest.param(HEAD + "    description: null\n", {"m": "T"}, HEAD + "    description: T\n", id="null"),
    pytest.param(HEAD + "    description: ~\n", {"m": "T"}, HEAD + "    description: T\n", id="tilde"),
    pytest.param(HEAD + "    description: TODO\n", {"m": "T"}, HEAD + "    description: T\n", id="placeholder"),
    pytest.param(
        HEAD + "    description: >\n      To\n      do\n\n    docs: {}\n",
        {"m": "T"},
        HEAD + "    description: >-\n      T\n\n    docs: {}\n",
        id="a placeholder in a block keeps the blank line behind it",
    ),
    pytest.param(
        HEAD + "    description: To\n      do\n    docs: {}\n",
        {"m": "T"},
        HEAD + "    description: T\n    docs: {}\n",
        id="a placeholder on two lines",
    ),
    pytest.param(
        "models:\n  - description:\n    name: m\n",
        {"m": "T"},
        "models:\n  - description: T\n    name: m\n",
        id="empty, before the name",
    ),
    pytest.param(
        "models:\n  - docs: {}\n    name: m\n    meta: {}\n",
        {"m": "T"},
        "models:\n  - docs: {}\n    name: m\n    description: T\n    meta: {}\n",
        id="the name is not the first key",
    ),
    pytest.param(
        "models:\n  - name: m   \n    # about m\n    # and more\n",
        {"m": "T"},
        "models:\n  - name: m   \n    description: T\n    # about m\n    # and more\n",
        id="trailing blanks and a comment block",
    ),
    pytest.param(
        COLUMN + "      # - name: d\n      - name: e\n",
        {"m.c": "T", "m.e": "U"},
        COLUMN + "        description: T\n      # - name: d\n      - name: e\n        description: U\n",
        id="a commented-out neighbour",
    ),
    pytest.param(
        HEAD[:-1] + "\t# tab\n    meta: {}\n",
        {"m": "T"},
        HEAD[:-1] + "\t# tab\n    description: T\n    meta: {}\n",
        id="a tab behind the name",
    ),
    pytest.param(
        HEAD + "    columns:\n    - name: c\n    - name: d\n      description: U\n",
        {"m.c": "T"},
        HEAD + "    columns:\n    - name: c\n      description: T\n    - name: d\n      description: U\n",
        id="flush lists",
    ),
    pytest.param(
        "models:\n -  name: m\n    columns:\n        -   name: c\n",
        {"m": "T", "m.c": "U"},
        "models:\n -  name: m\n    description: T\n    columns:\n        -   name: c\n            description: U\n",
        id="lists indented by one and by four, and wide dashes",
    ),
    pytest.param(
        "models:\n  -\n    name: m\n",
        {"m": "T"},
        "models:\n  -\n    name: m\n    description: T\n",
        id="a dash alone",
    ),
    pytest.param(
        "models:\n  - &m name: m\n  - &n\n    name: n\n",
        {"m": "T", "n": "U"},
        "models:\n  - &m name: m\n    description: T\n  - &n\n    name: n\n    description: U\n",
        id="anchors that nobody uses",
    ),
    pytest.param(
        "x: &x {tags: [a]}\nmodels:\n  - <<: *x\n    name: m\n  - name: n\n    <<: *x\n",
        {"m": "T", "n": "U"},
        "x: &x {tags: [a]}\nmodels:\n  - <<: *x\n    name: m\n    description: T\n  - name: n\n    description: U\n    <<: *x\n",
        id="merge keys and a name",
    ),
    pytest.param(
        "x: &x {name: m}\nmodels:\n  - <<: *x\n",
        {"m": "T"},
        "x: &x {name: m}\nmodels:\n  - <<: *x\n    description: T\n",
        id="a merged name",
    ),
    pytest.param(
        "x: &x {description: TODO}\nmodels:\n  - name: m\n    <<: *x\n",
        {"m": "T"},
        "x: &x {description: TODO}\nmodels:\n  - name: m\n    description: T\n    <<: *x\n",
        id="a merged placeholder",
    ),
    pytest.param(
        "anchors:\n  - &id\n    name: id\nmodels:\n  - name: m\n    columns:\n      - *id\n",
        {"m.id": "T"},
        "anchors:\n  - &id\n    name: id\n    description: T\nmodels:\n  - name: m\n    columns:\n      - *id\n",
        id="an anchor under a key of its own, used once",
    ),
    pytest.param(
        HEAD
        + "    columns:\n      - {name: date, data_type: Date}\n      - { name: x }\n      - {name: y, description: ''}\n",
        {"m.date": "T", "m.x": "a, b", "m.y": "U"},
        HEAD
        + "    columns:\n      - {name: date, description: 'T', data_type: Date}\n      - { name: x, description: 'a, b' }\n"
        "      - {name: y, description: 'U'}\n",
        id="flow maps",
    ),
    pytest.param(
        "models: [{name: m, columns: [{name: a, description: }, {name: b, description}]}]\n",
        {"m": "T", "m.a": "U", "m.b": "V"},
        "models: [{name: m, description: T, columns: [{name: a, description: U }, {name: b, description: V}]}]\n",
        id="all in one line",
    ),
    pytest.param(
        '{"models": [{"name": "m", "columns": [{"name": "c"}]}]}\n',
        {"m": "T", "m.c": "U"},
        '{"models": [{"name": "m", "description": "T", "columns": [{"name": "c", "description": "U"}]}]}\n',
        id="JSON",
    ),
    pytest.param(
        HEAD + "    columns:\n      - {\n          name: c, # the key\n          data_type: int\n        }\n",
        {"m.c": "T"},
        HEAD
        + "    columns:\n      - {\n          name: c, description: T, # the key\n          data_type: int\n        }\n",
        id="a flow map on several lines",
    ),
    pytest.param(
        "models:\r\n  - name: m\r\n    columns:\r\n      - name: c\r\n",
        {"m": "T", "m.c": "a\nb"},
        "models:\r\n  - name: m\r\n    description: T\r\n    columns:\r\n      - name: c\r\n        description: |-\r\n"
        "          a\r\n          b\r\n",
        id="CRLF",
    ),
    pytest.param(
        "models:\n  - name: m\r\n    meta: {}\n",
        {"m": "T"},
        "models:\n  - name: m\r\n    description: T\n    meta: {}\n",
        id="one CRLF line in an LF file",
    ),
    pytest.param(
        "models:\r\n  - name: m\n    meta: {}\r\n",
        {"m": "T"},
        "models:\r\n  - name: m\n    description: T\r\n    meta: {}\r\n",
        id="one LF line in a CRLF file",
    ),
    pytest.param("\ufeff" + HEAD, {"m": "T"}, "\ufeff" + HEAD + "    description: T\n", id="a byte-order mark"),
    pytest.param(
        "\ufeffmodels: [{name: m}]\n",
        {"m": "T"},
        "\ufeffmodels: [{name: m, description: T}]\n",
        id="a mark, in its line",
    ),
    pytest.param(
        "---\n" + HEAD + "...\n", {"m": "T"}, "---\n" + HEAD + "    description: T\n...\n", id="start and end marks"
    ),
    pytest.param(
        "# é😀\u2028\nmodels:\n  - name: 'm'\n  - name: é😀\n",
        {"m": "T", "é😀": "ü 😀"},
        "# é😀\u2028\nmodels:\n  - name: 'm'\n    description: T\n  - name: é😀\n    description: ü 😀\n",
        id="wide characters",
    ),
    pytest.param(
        HEAD + "    versions:\n      - v: 1\n        columns:\n          - include: all\n          - name: c\n",
        {"m": "T", "m.v1.c": "U"},
        HEAD + "    description: T\n    versions:\n      - v: 1\n        columns:\n          - include: all\n"
        "          - name: c\n            description: U\n",
        id="a versioned model",
    ),
    pytest.param(
        "sources:\n  - name: s\n    tables:\n      - name: t\n        identifier: T1\n",
        {"s.t": "T"},
        "sources:\n  - name: s\n    tables:\n      - name: t\n        description: T\n        identifier: T1\n",
        id="a source's table",
    ),
    pytest.param(
        "models:\n  - name: >-\n      m\n\n    meta: {}\n",
        {"m": "T"},
        "models:\n  - name: >-\n      m\n    description: T\n\n    meta: {}\n",
        id="a name in a block",
    ),
    pytest.param(
        COLUMN + "      - name: c\n",
        {"m.c": "T"},
        COLUMN + "      - name: c\n        description: T\n",
        id="of two columns of one name the last",
    ),
    pytest.param(
        HEAD + "    description: >\n      To\n      do  \n\n    docs: {}\n",
        {"m": "T"},
        HEAD + "    description: >-\n      T\n\n    docs: {}\n",
        id="blanks behind a placeholder in a block",
    ),
    pytest.param(
        HEAD + "    description: TODO  \n    docs: {}\n",
        {"m": "a\nb"},
        HEAD + "    description: |-\n      a\n      b\n    docs: {}\n",
        id="blanks behind a placeholder that becomes a block",
    ),
    pytest.param(
        HEAD + "    description: Old\n", {"m": "New"}, HEAD + "    description: New\n", id="a text, if told to"
    ),
]


@pytest.mark.parametrize(("before", "texts", "after"), PLACES)
def test_the_text_goes_where_it_belongs(before: str, texts: dict[str, str], after: str) -> None:
    edited = fill(before, texts)
    assert edited.rejected == ()
    assert edited.text == after


LONG = "This text is longer than any line of a file that is read by people on paper or on a screen ought to be"

# How the text is written: (id, the file's habit, text, the lines of the description)
HABITS = [
    pytest.param("Plain", "T", "description: T", id="plain"),
    pytest.param("'Single'", "T", "description: 'T'", id="single quotes"),
    pytest.param('"Double"', "T", 'description: "T"', id="double quotes"),
    pytest.param("Plain", "a: b", 'description: "a: b"', id="plain, and not possible"),
    pytest.param("Plain", "yes", 'description: "yes"', id="a boolean of YAML 1.1"),
    pytest.param("'Single'", "it's", 'description: "it\'s"', id="single quotes, and an apostrophe"),
    pytest.param('"Double"', 'say "x"', "description: 'say \"x\"'", id="double quotes, and double quotes"),
    pytest.param(">-\n      Folded", "T", "description: >-\n          T", id="always folded"),
    pytest.param("|\n      Literal", "T", "description: |-\n          T", id="always literal"),
    pytest.param(">\n        Folded", "T", "description: >-\n            T", id="folded, indented by four"),
    pytest.param("Plain", "a\nb", "description: |-\n          a\n          b", id="several lines"),
    pytest.param("Plain", "a\n\n  b ", 'description: "a\\n\\n  b "', id="several lines that no block could hold"),
    pytest.param("Plain", " a ", 'description: " a "', id="blanks around"),
    pytest.param(
        "Plain",
        LONG,
        "description: >-\n          This text is longer than any line of a file that is read by people on\n"
        "          paper or on a screen ought to be",
        id="long",
    ),
    pytest.param(LONG + " as well", LONG, f"description: {LONG}", id="long, where the others are on one line"),
    pytest.param(
        LONG.replace(" of a ", " of\n      a "),
        LONG,
        "description: This text is longer than any line of a file that is read by\n"
        "          people on paper or on a screen ought to be",
        id="long, where the others are plain on several lines",
    ),
    pytest.param(
        '"' + LONG.replace(" of a ", " of\n      a ") + '"',
        LONG,
        'description: "This text is longer than any line of a file that is read\n'
        '          by people on paper or on a screen ought to be"',
        id="long, where the others are quoted on several lines",
    ),
]


@pytest.mark.parametrize(("habit", "text", "expected"), HABITS)
def test_the_text_is_written_as_the_file_writes_its_texts(habit: str, text: str, expected: str) -> None:
    before = f"models:\n  - name: m\n    description: {habit}\n    columns:\n      - name: c\n"
    edited = fill(before, {"m.c": text})
    assert edited.rejected == ()
    assert edited.text == before + "        " + expected + "\n"


@pytest.mark.parametrize(("texts", "width"), [(1, 80), (3, 62)])
def test_the_line_width_is_that_of_the_files_own_texts_if_there_are_some(texts: int, width: int) -> None:
    folded = "    description: >\n      " + LONG.replace(" read ", "\n      read ") + "\n"
    before = "models:\n" + "".join(f"  - name: m{number}\n{folded}" for number in range(texts)) + "  - name: last\n"
    lines = fill(before, {"last": LONG}).text.removeprefix(before).split("\n")
    assert width - 6 < max(map(len, lines)) <= width


def test_the_line_width_is_a_setting() -> None:
    edited = fill(HEAD, {"m": LONG}, line_width=50)
    assert max(map(len, edited.text.split("\n"))) <= 50
    assert "description: >-" in edited.text
    one_line = HEAD + f"    description: {LONG}\n  - name: n\n"
    assert ">-" in fill(one_line, {"n": LONG}, line_width=50).text
    assert ">-" not in fill(one_line, {"n": LONG}).text


# What is refused: (id, before, slot, part of the reason)
REFUSED = [
    pytest.param(
        "models:\n  - name: a\n    columns:\n      - &id\n        name: id\n  - name: m\n    columns:\n      - *id\n",
        "m.id",
        "`&id` stands for 2 entries (lines 4, 8): a text here would describe all of them",
        id="an alias",
    ),
    pytest.param(
        "models:\n  - name: m\n    columns: &all\n      - name: id\n  - name: b\n    columns: *all\n",
        "m.id",
        "`&all` stands for 2 entries",
        id="a shared list",
    ),
    pytest.param(
        "models:\n  - &m\n    name: m\n  - <<: *m\n    name: n\n",
        "m",
        "`&m` stands for 2 entries",
        id="merged into another",
    ),
    pytest.param(HEAD + "    descrpition: Text\n", "m", "write its key as `description`", id="a misspelt key"),
    pytest.param(HEAD + "    description: Text\n    description:\n", "m", "another `description`", id="two keys"),
    pytest.param(HEAD + "    description: [a]\n", "m", "no text", id="a list"),
    pytest.param(HEAD + "    description: &d\n    meta: *d\n", "m", "an anchor, an alias or a tag", id="an anchor"),
    pytest.param(
        "x: &d ''\n" + HEAD + "    description: *d\n", "m", "an anchor, an alias or a tag", id="an alias for a text"
    ),
    pytest.param(
        HEAD + "    description: > # c\n      TODO\n", "m", "a comment in its first line", id="a comment in a header"
    ),
    pytest.param(COLUMN, "m.c", "", id="an empty text"),
]


@pytest.mark.parametrize(("before", "slot", "reason"), REFUSED)
def test_refuses_what_would_change_something_else(before: str, slot: str, reason: str) -> None:
    edited = fill(before, {slot: "T" if reason else " "})
    assert (edited.text, edited.edits) == (before, ())
    (rejected,) = edited.rejected
    assert reason in rejected.reason


def test_refuses_a_slot_of_another_text() -> None:
    (slot,) = parse("# changed\n" + HEAD).slots()
    edited = edit(parse(HEAD), [Fill(slot, "T")])
    assert "the text has changed" in edited.rejected[0].reason


def test_refuses_a_second_text_for_one_slot_and_half_characters() -> None:
    document = parse(HEAD)
    (slot,) = document.slots()
    edited = edit(document, [Fill(slot, "a\ud800"), Fill(slot, "T"), Fill(slot, "U")])
    assert edited.text == HEAD + "    description: T\n"
    assert [rejected.change for rejected in edited.rejected] == [Fill(slot, "a\ud800"), Fill(slot, "U")]


def test_a_change_that_breaks_the_proof_is_found_and_the_others_are_made() -> None:
    # Behind `? name` and `: b` an inserted line would have to be indented otherwise than it looks.
    text = "models:\n  - name: a\n  - ? name\n    : b\n  - name: c\n  - &d\n    ? name\n    : d\n"
    document = parse(text)
    edited = edit(document, [Fill(slot, f"T{number}") for number, slot in enumerate(document.slots())])
    again = parse(edited.text)
    made = {slot.key.name: slot.text for slot in again.slots()}
    assert made["a"] == "T0"
    assert made["c"] == "T2"
    for rejected in edited.rejected:
        assert "would not read back" in rejected.reason
        assert isinstance(rejected.change, Fill)
        assert made[rejected.change.slot.key.name] is None


# New columns and entries: (id, before, changes, after)
ADDED = [
    pytest.param(
        COLUMN,
        [NewColumn(M, "d", "D", "int")],
        COLUMN + "      - name: d\n        description: D\n        data_type: int\n",
        id="a column",
    ),
    pytest.param(COLUMN[:-1], [NewColumn(M, "d")], COLUMN + "      - name: d", id="no line break at the end"),
    pytest.param(
        COLUMN + "      - name: z\n",
        [NewColumn(M, "d", after="c"), NewColumn(M, "e", after="d"), NewColumn(M, "f", after="nobody")],
        COLUMN + "      - name: d\n      - name: e\n      - name: z\n      - name: f\n",
        id="after a column, after a new one, after one that is not there",
    ),
    pytest.param(
        COLUMN + "        # about c\n      # - name: x\n\n  - name: n\n",
        [NewColumn(M, "d")],
        COLUMN + "        # about c\n      - name: d\n      # - name: x\n\n  - name: n\n",
        id="behind the comments of the last column",
    ),
    pytest.param(
        HEAD + "\n  - name: n\n",
        [NewColumn(M, "c", "T")],
        HEAD + "    columns:\n      - name: c\n        description: T\n\n  - name: n\n",
        id="the first column",
    ),
    pytest.param(
        HEAD + "    columns: # none yet\n    meta: {}\n",
        [NewColumn(M, "c")],
        HEAD + "    columns: # none yet\n      - name: c\n    meta: {}\n",
        id="null columns",
    ),
    pytest.param(
        HEAD + "    columns: []  # none yet\n    meta: {}\n",
        [NewColumn(M, "c")],
        HEAD + "    columns:  # none yet\n      - name: c\n    meta: {}\n",
        id="empty columns",
    ),
    pytest.param(
        HEAD + "    columns: [{name: a}, {name: b}]\n",
        [NewColumn(M, "c", "T"), NewColumn(M, "d", after="a")],
        HEAD + "    columns: [{name: a}, {name: d}, {name: b}, {name: c, description: T}]\n",
        id="columns in brackets",
    ),
    pytest.param(
        "models: [{name: m}]\n",
        [NewColumn(M, "c"), NewEntry(EntryKey("model", "other"), "Others")],
        "models: [{name: m, columns: [{name: c}]}, {name: other, description: Others}]\n",
        id="all in one line",
    ),
    pytest.param(
        HEAD + "    columns:\n    - name: a\n\n    - name: b\n",
        [NewColumn(M, "c")],
        HEAD + "    columns:\n    - name: a\n\n    - name: b\n\n    - name: c\n",
        id="flush columns with blank lines between",
    ),
    pytest.param(
        HEAD + "    columns:\n      - &id\n        name: id\n      - *id\n",
        [NewColumn(M, "c")],
        HEAD + "    columns:\n      - &id\n        name: id\n      - *id\n      - name: c\n",
        id="behind an alias",
    ),
    pytest.param(
        HEAD + "    versions:\n      - v: 1\n",
        [NewColumn(EntryKey("model", "m", None, "1"), "c")],
        HEAD + "    versions:\n      - v: 1\n        columns:\n          - name: c\n",
        id="a version's column",
    ),
    pytest.param(
        "models:\r\n  - name: m\r\n",
        [NewColumn(M, "c", LONG)],
        "models:\r\n  - name: m\r\n    columns:\r\n      - name: c\r\n        description: >-\r\n          This text is longer "
        "than any line of a file that is read by people on\r\n          paper or on a screen ought to be\r\n",
        id="CRLF",
    ),
    pytest.param(
        COLUMN,
        [NewColumn(M, "a b", "yes"), NewColumn(M, "1", data_type="numeric(10, 2)")],
        COLUMN
        + '      - name: a b\n        description: "yes"\n      - name: "1"\n        data_type: numeric(10, 2)\n',
        id="names that need quotes",
    ),
    pytest.param(
        HEAD + "\n  - name: n\n    columns:\n      - name: x\n      # - name: y\n",
        [NewEntry(EntryKey("model", "o"), "O", (NewColumn(EntryKey("model", "o"), "c", "C"),))],
        HEAD + "\n  - name: n\n    columns:\n      - name: x\n      # - name: y\n\n  - name: o\n    description: O\n"
        "    columns:\n      - name: c\n        description: C\n",
        id="an entry, behind the comments of the last",
    ),
    pytest.param(
        "models:\n- name: a\n- name: b\n\nseeds:\n- name: s\n",
        [NewEntry(EntryKey("model", "c")), NewEntry(EntryKey("seed", "t"))],
        "models:\n- name: a\n- name: b\n- name: c\n\nseeds:\n- name: s\n\n- name: t\n",
        id="entries without blank lines between",
    ),
    pytest.param(
        "models:\n  # of a\n  - name: a\n  # of c\n  - name: c # c\n  # at the end\n\nseeds:\n  - name: c\n",
        [
            NewEntry(EntryKey("model", "_"), before=EntryKey("model", "a")),
            NewEntry(EntryKey("model", "b"), before=EntryKey("model", "c")),
            NewEntry(EntryKey("model", "bb"), before=EntryKey("model", "c")),
            NewEntry(EntryKey("model", "d"), before=EntryKey("model", "gone")),
        ],
        "models:\n  - name: _\n  # of a\n  - name: a\n  - name: b\n  - name: bb\n  # of c\n  - name: c # c\n"
        "  - name: d\n  # at the end\n\nseeds:\n  - name: c\n",
        id="entries in front of others",
    ),
    pytest.param(
        "models:\n  - {name: b}\nsources:\n  - name: s\n    tables: [{name: v}]\n",
        [
            NewEntry(EntryKey("model", "a"), before=EntryKey("model", "b")),
            NewEntry(EntryKey("source", "u", "s"), before=EntryKey("source", "v", "s")),
        ],
        "models:\n  - name: a\n\n  - {name: b}\nsources:\n  - name: s\n    tables: [{name: u}, {name: v}]\n",
        id="in front of the first of a list, and of one in brackets",
    ),
    pytest.param(
        "version: 2\n\nsources:\n  - name: s\n    tables:\n      - name: t\n",
        [NewEntry(EntryKey("source", "u", "s")), NewEntry(EntryKey("snapshot", "p", None)), NewEntry(M)],
        "version: 2\n\nsources:\n  - name: s\n    tables:\n      - name: t\n      - name: u\n\nsnapshots:\n  - name: p\n"
        "\nmodels:\n  - name: m\n",
        id="a table, and sections that are not there",
    ),
    pytest.param(
        "version: 2\nmodels: []\n", [NewEntry(M)], "version: 2\nmodels:\n  - name: m\n", id="an empty section"
    ),
    pytest.param(
        "", [NewEntry(M, "T")], "version: 2\n\nmodels:\n  - name: m\n    description: T\n", id="an empty file"
    ),
    pytest.param(
        "# ours\r\n",
        [NewEntry(M)],
        "# ours\r\nversion: 2\r\n\r\nmodels:\r\n  - name: m\r\n",
        id="a file of comments",
    ),
    pytest.param(
        "seeds:\n  - name: s\n",
        [NewEntry(M), NewEntry(EntryKey("seed", "t"))],
        "seeds:\n  - name: s\n\n  - name: t\n\nmodels:\n  - name: m\n",
        id="an entry and a section at one place",
    ),
    pytest.param(
        HEAD + "    versions:\n      - v: 1\n",
        [NewColumn(M, "c"), NewColumn(EntryKey("model", "m", None, "1"), "d")],
        HEAD + "    versions:\n      - v: 1\n        columns:\n          - name: d\n    columns:\n      - name: c\n",
        id="a version's column and the model's at one place",
    ),
]


@pytest.mark.parametrize(("before", "changes", "after"), ADDED)
def test_adds_columns_and_entries_in_the_style_of_the_file(before: str, changes: list[Change], after: str) -> None:
    edited = edit(parse(before), changes)
    assert edited.rejected == ()
    assert edited.text == after
    assert apply_edits(before, edited.edits) == after


NOT_ADDED = [
    pytest.param(COLUMN, NewColumn(M, "C"), "has a column `C` already", id="a column that is there"),
    pytest.param(COLUMN, NewColumn(EntryKey("model", "x"), "c"), "no entry `x`", id="of nobody"),
    pytest.param(COLUMN, NewColumn(M, " "), "no name", id="without a name"),
    pytest.param(COLUMN, NewColumn(M, "d", " "), "no description", id="with a blank text"),
    pytest.param(
        "x: &x\n  - name: c\n" + HEAD + "    columns: *x\n", NewColumn(M, "d"), "is an alias", id="to an alias"
    ),
    pytest.param(
        HEAD + "    columns: &x\n      - name: c\n  - name: n\n    columns: *x\n",
        NewColumn(M, "d"),
        "shared",
        id="to a shared list",
    ),
    pytest.param(
        "x: &x\n  columns:\n    - name: c\n" + HEAD + "    <<: *x\n",
        NewColumn(M, "d"),
        "merged",
        id="to a merged list",
    ),
    pytest.param(HEAD + "    columns: {c: d}\n", NewColumn(M, "d"), "no list", id="to a mapping"),
    pytest.param(HEAD, NewEntry(M), "an entry `m` already", id="an entry that is there"),
    pytest.param(HEAD, NewEntry(EntryKey("model", "m", None, "2")), "a version", id="a version"),
    pytest.param(
        HEAD, NewEntry(EntryKey("source", "t", "s")), "not declared in this file", id="a table without its source"
    ),
    pytest.param("a: 'b\n", NewEntry(M), "cannot be edited: no valid YAML", id="to a broken file"),
]


@pytest.mark.parametrize(("before", "change", "reason"), NOT_ADDED)
def test_refuses_additions_that_make_no_sense(before: str, change: Change, reason: str) -> None:
    edited = edit(parse(before), [change])
    assert edited.text == before
    (rejected,) = edited.rejected
    assert reason in rejected.reason


def test_texts_columns_and_entries_all_at_once_at_the_end_of_a_file() -> None:
    document = parse(COLUMN[:-1])
    changes = [
        NewEntry(EntryKey("model", "other"), "Others"),
        NewColumn(M, "d", "D"),
        *(Fill(slot, "T") for slot in document.slots()),
    ]
    assert edit(document, changes).text == (
        HEAD + "    description: T\n    columns:\n      - name: c\n        description: T\n      - name: d\n"
        "        description: D\n\n  - name: other\n    description: Others"
    )


def test_writes_a_new_schema_file() -> None:
    text = new_schema_file(
        "model",
        [NewEntry(M, "T", (NewColumn(M, "c", "yes", "int"),)), NewEntry(EntryKey("model", "other"), LONG)],
        "\r\n",
    )
    assert text.split("\r\n") == [
        *("version: 2", "", "models:", "  - name: m", "    description: T", "    columns:", "      - name: c"),
        *('        description: "yes"', "        data_type: int", "", "  - name: other", "    description: >-"),
        "      This text is longer than any line of a file that is read by people on",
        *("      paper or on a screen ought to be", ""),
    ]


def test_refuses_a_new_schema_file_that_dbt_would_refuse() -> None:
    with pytest.raises(EditRejected, match="already"):
        new_schema_file("model", [NewEntry(M), NewEntry(M)])


# Any schema file, and any texts

names = st.sampled_from(["id", "amount", "'a b'", '"é😀"', "a.b", "2024", "Id", "x'y"])
comments = st.sampled_from(["", "", "  # about it", "\t"])
descriptions = st.sampled_from(
    [
        *(None, None, None, "", " ", " ''", ' ""', " ~", " TODO", "  # none", " A text", " 'A text'", ' "A: text"'),
        *(" {{ doc('x') }}", " >-\n{pad}  A folded\n{pad}  text\n", " |\n{pad}  A literal\n\n{pad}  text"),
        " plain on\n{pad}  two lines",
    ]
)


@st.composite
def blocks(draw: st.DrawFn, dash: int, depth: int) -> str:
    """The items of one list, in a style of their own."""
    gap = draw(st.sampled_from([1, 1, 3]))
    lines: list[str] = []
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        pad = " " * (dash + 1 + gap)
        anchor = draw(st.sampled_from(["", "", "", f"&anchor\n{pad}"]))
        if depth == 0 and draw(st.integers(0, 4)) == 0:
            inner = draw(st.sampled_from(["", ", data_type: int", ", description: ''", ", description: A text"]))
            lines.append(f"{' ' * dash}-{' ' * gap}{{name: {name}{inner}}}")
            continue
        pairs = [f"name: {name}{draw(comments)}"]
        description = draw(descriptions)
        if description is not None:
            pairs.insert(draw(st.integers(0, 1)), "description:" + description.replace("{pad}", pad))
        if depth:
            inside = draw(blocks(dash + 1 + gap + draw(st.sampled_from([0, 2, 4])), depth - 1))
            pairs.insert(draw(st.integers(1, len(pairs))), f"columns:\n{inside}")
        if draw(st.booleans()):
            pairs.append("meta: {a: [1, yes, 'x: y'], b: http://x}")
        lines.append(f"{' ' * dash}-{' ' * gap}{anchor}" + f"\n{pad}".join(pairs))
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(["", f"{' ' * dash}# - name: gone", f"{pad}# about {name}", "\n"])))
    return "\n".join(lines)


@st.composite
def schema_files(draw: st.DrawFn) -> str:
    parts = [f"{section}:\n{draw(blocks(draw(st.sampled_from([0, 2, 1])), 1))}" for section in ("models", "seeds")]
    parts.insert(
        draw(st.integers(0, 2)), draw(st.sampled_from(["version: 2", "# é😀", "x-y: &z [1, 2]\nexposures: *z", ""]))
    )
    text = (
        draw(st.sampled_from(["", "", "---\n"]))
        + "\n".join(parts)
        + draw(st.sampled_from(["\n", "", "\n\n", "  \n"]))
    )
    number = itertools.count()
    text = re.sub("&anchor", lambda anchor: f"{anchor[0]}{next(number)}", text)
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "", "\ufeff"])) + text


def readers(text: str) -> list[Any]:
    """What YAML 1.1 and YAML 1.2 make of a text. A mark at its start is not theirs to read."""
    text = text.removeprefix("\ufeff")
    return [yaml.load(text, yaml.CSafeLoader), YAML(typ="safe", pure=True).load(text.replace("\t", " "))]


def with_texts(data: Any, texts: Mapping[tuple[str, str | None], str]) -> Any:
    """What a reader should find: the old data, and the texts."""
    for section in ("models", "seeds"):
        for entry in data[section]:
            for column in (None, *entry.get("columns", ())):
                owner = column or entry
                key = (f"{section}.{entry['name']}", str(column["name"]) if column else None)
                if key in texts:
                    owner["description"] = texts[key]
    return data


@settings(deadline=None, max_examples=EXAMPLES)
@given(schema_files(), st.data())
def test_any_text_in_any_file_reads_back_and_nothing_else_changes(text: str, data: st.DataObject) -> None:
    document = parse(text)
    gaps = [slot for slot in document.slots() if is_gap(slot) and slot.blocked_by is None]
    changes = [Fill(slot, data.draw(texts.filter(str.strip), label=name_of(slot))) for slot in gaps]
    edited = edit(document, changes)
    assert edited.rejected == ()

    # Every byte that was there stays, but for an empty or placeholder value.
    assert apply_edits(text, edited.edits) == edited.text
    replaced = {change.span.of(text).strip() for change in edited.edits}
    assert replaced <= {"", "''", '""', "~", "TODO"}

    wanted = {
        (f"{change.slot.key.resource_type}s.{change.slot.key.name}", change.slot.column): change.text
        for change in changes
    }
    if "{{ doc" not in text:  # unquoted it is a mapping as a key, which no other reader can hold
        assert readers(edited.text) == [with_texts(old, wanted) for old in readers(text)]

    again = parse(edited.text)
    for slot, twin in zip(document.slots(), again.slots(), strict=True):
        assert (slot.key, slot.column) == (twin.key, twin.column)
        key = (f"{slot.key.resource_type}s.{slot.key.name}", slot.column)
        if key in wanted and slot in gaps:
            assert twin.text == wanted[key]


@settings(deadline=None, max_examples=EXAMPLES // 2)
@given(schema_files())
def test_what_was_filled_is_no_gap_any_more(text: str) -> None:
    document = parse(text)
    gaps = [slot for slot in document.slots() if is_gap(slot) and slot.blocked_by is None]
    again = parse(edit(document, [Fill(slot, "A text.") for slot in gaps]).text)
    assert not [slot for slot in again.slots() if is_gap(slot) and slot.blocked_by is None]
    assert edit(again, []).edits == ()


FIRST_COLUMNS = {
    "block": (
        "models:\n  - name: m\n    columns:\n      # the key\n      - name: b\n      - name: d\n",
        (
            "models:\n  - name: m\n    columns:\n      - name: a\n        description: Text.\n      - name: a2\n"
            "      # the key\n      - name: b\n      - name: c\n      - name: d\n"
        ),
    ),
    "flow": (
        "models:\n  - name: m\n    columns: [{name: b}, {name: d}]\n",
        "models:\n  - name: m\n    columns: [{name: a, description: Text.}, {name: a2}, {name: b}, {name: c}, {name: d}]\n",
    ),
    "flush, CRLF": (
        "models:\r\n- name: m\r\n  columns: # all\r\n  - name: b\r\n  - name: d\r\n",
        (
            "models:\r\n- name: m\r\n  columns: # all\r\n  - name: a\r\n    description: Text.\r\n  - name: a2\r\n"
            "  - name: b\r\n  - name: c\r\n  - name: d\r\n"
        ),
    ),
}


@pytest.mark.parametrize(("before", "after"), FIRST_COLUMNS.values(), ids=FIRST_COLUMNS)
def test_columns_before_the_first(before: str, after: str) -> None:
    key = EntryKey("model", "m")
    new = [
        NewColumn(key, "a", "Text.", first=True),
        NewColumn(key, "a2", first=True),
        NewColumn(key, "c", after="b"),
    ]
    edited = edit(parse(before), new)
    assert edited.rejected == ()
    assert edited.text == after
