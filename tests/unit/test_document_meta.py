"""Texts under ``config: meta:`` of entries and columns: put there, and nothing else changed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.document import SetMeta, edit, parse
from osmosis_synthesize.document.model import Document, Slot
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.text import apply_edits

ORDERS = EntryKey("model", "orders")
KEY = "ours"
VALUE = """{"text":"12e4","by":"it's"}"""

HEAD = "models:\n  - name: orders\n"
COLUMN = HEAD + "    columns:\n      - name: total\n"


def slot_of(document: Document, column: str | None) -> Slot:
    entry = document.entry(ORDERS)
    assert entry is not None
    slot = entry.slot if column is None else entry.column(column)
    assert slot is not None
    return slot


def described(data: Any, column: str | None) -> dict[str, Any]:
    entry = next(item for item in data["models"] if item["name"] == "orders")
    return entry if column is None else next(item for item in entry["columns"] if item["name"] == column)


CASES = {
    "nothing else": (COLUMN, "total"),
    "no line break at the end": (COLUMN.rstrip(), "total"),
    "tests": (COLUMN + "        data_tests: [unique]\n      - name: other\n", "total"),
    "a comment below": (COLUMN + "        # of this one\n      # of the next\n      - name: other\n", "total"),
    "config without meta": (COLUMN + "        config:\n          tags: [a]\n        data_type: int\n", "total"),
    "config with meta": (
        COLUMN + "        config:\n          meta:\n            owner: us\n          tags: [a]\n",
        "total",
    ),
    "the text is there": (COLUMN + f"        config:\n          meta:\n            {KEY}: 'old' # why\n", "total"),
    "config is null": (COLUMN + "        config:\n        data_type: int\n", "total"),
    "config is null, with a comment": (COLUMN + "        config: # later\n        data_type: int\n", "total"),
    "meta is empty": (COLUMN + "        config:\n          meta: {}\n", "total"),
    "meta in braces": (COLUMN + "        config: {meta: {owner: us}, tags: [a]}\n", "total"),
    "the column in braces": (HEAD + '    columns: [{name: total, description: "x"}]\n', "total"),
    "quoted keys in braces": (HEAD + '    columns: [{"name": "total", "description": "x"}]\n', "total"),
    "the entry, before its columns": (COLUMN + "      - name: other\n", None),
    "the entry, with config": (HEAD + "    config:\n      tags: [a]\n    columns:\n      - name: total\n", None),
    "an entry without columns": (HEAD + "\n  - name: other\n", None),
    "carriage returns": ((COLUMN + "        tests: [unique]\n").replace("\n", "\r\n"), "total"),
    "a list flush with its key": ("models:\n- name: orders\n  columns:\n  - name: total\n  - name: b\n", "total"),
    "a block text last": (
        COLUMN + "        description: >\n          Sum of\n          all.\n\n      - name: b\n",
        "total",
    ),
}


@pytest.mark.parametrize(("text", "column"), CASES.values(), ids=CASES.keys())
def test_the_text_is_put_there_and_nothing_else_changes(text: str, column: str | None) -> None:
    document = parse(text)
    edited = edit(document, [SetMeta(slot_of(document, column), KEY, VALUE)])
    assert edited.rejected == ()
    assert apply_edits(text, edited.edits) == edited.text
    new = yaml.safe_load(edited.text)
    meta = described(new, column)["config"]["meta"]
    assert meta.pop(KEY) == VALUE
    old = yaml.safe_load(text)
    for data in (old, new):  # an empty config is none
        own = described(data, column)
        config = own.get("config") or {}
        own["config"] = {**config, "meta": config.get("meta") or {}}
        own["config"]["meta"].pop(KEY, None)
    assert new == old
    assert ("\r\n" in text) == ("\r\n" in edited.text)
    assert edited.text.endswith("\n") == text.endswith("\n")
    if column is not None:
        again = edit(parse(edited.text), [SetMeta(slot_of(parse(edited.text), column), KEY, "other")])
        assert described(yaml.safe_load(again.text), column)["config"]["meta"][KEY] == "other"


def test_lines_are_written_in_the_style_of_the_file() -> None:
    document = parse(COLUMN + "        tests: [unique]\n      - name: other\n")
    edited = edit(document, [SetMeta(slot_of(document, "total"), KEY, '{"a":1}')])
    assert edited.text == COLUMN + (
        "        tests: [unique]\n        config:\n          meta:\n            ours: '{\"a\":1}'\n      - name: other\n"
    )


def test_an_entry_and_its_last_column_at_once() -> None:
    document = parse(COLUMN)
    changes = [SetMeta(slot_of(document, column), KEY, VALUE) for column in (None, "total")]
    edited = edit(document, changes)
    assert edited.rejected == ()
    data = yaml.safe_load(edited.text)
    assert [described(data, column)["config"]["meta"][KEY] for column in (None, "total")] == [VALUE, VALUE]


@pytest.mark.parametrize(
    "text",
    [
        COLUMN + "        config: &c\n          tags: [a]\n      - name: other\n        config: *c\n",
        COLUMN + "        config: &c {}\n      - name: other\n        config: *c\n",
        "x: &c {tags: [a]}\n" + COLUMN + "        config: *c\n",
        "x: &c {config: {tags: [a]}}\n" + COLUMN + "        <<: *c\n",
        COLUMN + "        config: nonsense\n",
        COLUMN + "        config:\n          meta: [a]\n",
        COLUMN + "        config:\n          meta:\n            ours: |\n              a\n              b\n",
    ],
)
def test_what_is_shared_or_strange_is_left_alone(text: str) -> None:
    document = parse(text)
    edited = edit(document, [SetMeta(slot_of(document, "total"), KEY, VALUE)])
    assert edited.text == text
    (rejected,) = edited.rejected
    assert rejected.reason


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), st.sampled_from(list(CASES)))
def test_whatever_the_text_is_it_is_read_back_or_refused(value: str, case: str) -> None:
    text, column = CASES[case]
    document = parse(text)
    edited = edit(document, [SetMeta(slot_of(document, column), KEY, value)])
    if edited.rejected:
        assert edited.text == text
    else:
        assert parse(edited.text).entry(ORDERS) is not None
        entry = parse(edited.text).entry(ORDERS)
        assert entry is not None
        data: Any = entry.data
        own = data if column is None else next(item for item in data["columns"] if item["name"] == column)
        assert own["config"]["meta"][KEY] == value
