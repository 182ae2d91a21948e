from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.document import Clear, Edited, Fill, Slot, edit, is_gap, parse
from osmosis_synthesize.document.compose import compose
from osmosis_synthesize.document.nodes import Map, Seq, value_of
from osmosis_synthesize.document.prove import Expected, is_as_expected
from osmosis_synthesize.text import apply_edits

HEAD = "models:\n  - name: m\n"


def slot_of(text: str, name: str | None = None) -> Slot:
    (entry,) = parse(text).entries
    slot = entry.slot if name is None else entry.column(name)
    assert slot is not None
    return slot


def cleared(text: str, name: str | None = None) -> Edited:
    document = parse(text)
    (entry,) = document.entries
    slot = entry.slot if name is None else entry.column(name)
    assert slot is not None
    edited = edit(document, [Clear(slot)])
    assert edited.text == apply_edits(text, edited.edits)
    return edited


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD + "    description: a\n", HEAD),
        (HEAD + "    description: a", HEAD[:-1]),
        (HEAD + "    description: a\n    columns: []\n", HEAD + "    columns: []\n"),
        (HEAD + "    description: |\n      a\n\n      b\n\n    columns: []\n", HEAD + "\n    columns: []\n"),
        (HEAD + "    description: >-\n      a\n      b", HEAD[:-1]),
        (HEAD + "    description:\n      a\n      b\n    columns: []\n", HEAD + "    columns: []\n"),
        (HEAD + '    "description" : "a\\\n      b"  \n    columns: []\n', HEAD + "    columns: []\n"),
        (HEAD + "    description: a # mine\n", HEAD + "    description: # mine\n"),
        ("models:\n  - description: a\n    name: m\n", "models:\n  - description:\n    name: m\n"),
        ("models: [{name: m, description: a}]", "models: [{name: m}]"),
        ("models: [{name: m, description: 'a, b', columns: []}]", "models: [{name: m, columns: []}]"),
        ("models: [{description: a, name: m}]", "models: [{name: m}]"),
        ((HEAD + "    description: a\n    x: 1\n").replace("\n", "\r\n"), (HEAD + "    x: 1\n").replace("\n", "\r\n")),
    ],
)  # fmt: skip
def test_the_text_goes_and_nothing_else(before: str, after: str):
    edited = cleared(before)

    assert (edited.text, edited.rejected) == (after, ())
    assert is_gap(slot_of(after), ())


def test_what_may_not_be_replaced_may_not_be_taken_out_either():
    text = (
        "x: &c {name: c, description: a}\nmodels:\n  - name: m\n    columns: [*c]\n  - name: n\n    columns: [*c]\n"
    )
    document = parse(text)
    slot = document.entries[0].columns[0]

    edited = edit(document, [Clear(slot)])

    assert edited.text == text
    assert "stands for 2 entries" in edited.rejected[0].reason


def test_there_must_be_something_to_take_out():
    edited = cleared(HEAD)

    assert edited.rejected[0].reason == "there is no description"


def test_one_slot_is_not_filled_and_cleared_at_once():
    document = parse(HEAD + "    description: a\n")
    slot = document.entries[0].slot
    assert slot is not None

    edited = edit(document, [Clear(slot), Fill(slot, "b")])

    assert edited.text == HEAD
    assert "another change" in edited.rejected[0].reason


@settings(deadline=None, max_examples=60)
@given(
    text=st.text(min_size=1, max_size=120).filter(
        lambda text: bool(text.strip()) and not any("\ud800" <= character <= "\udfff" for character in text)
    ),
    after=st.sampled_from(["", "\n", "\n        tests: [unique]\n", "\n\n      - name: d\n        description: x"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_put_in_is_taken_out_again_byte_by_byte(text: str, after: str, newline: str):
    before = (HEAD + "    columns:\n      - name: c" + after).replace("\n", newline)
    filled = edit(parse(before), [Fill(slot_of(before, "c"), text)])
    if filled.rejected:
        return

    assert cleared(filled.text, "c").text == before


def proven(old: str, new: str) -> bool:
    """Whether ``new`` is ``old`` without the description of its only model."""
    root = compose(old)
    assert isinstance(root, Map)
    models = value_of(root, "models")
    assert isinstance(models, Seq)
    return is_as_expected(root, compose(new), Expected(cleared={id(models.items[0])}))


@pytest.mark.parametrize("new", [HEAD + "    x: 1\n", HEAD + "    description:\n    x: 1\n"])
def test_a_text_that_is_gone_is_proven(new: str):
    assert proven(HEAD + "    description: a\n    x: 1\n", new)


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(HEAD + "    description: a\n    x: 1\n", id="nothing happened"),
        pytest.param(HEAD + "    description: b\n    x: 1\n", id="another text"),
        pytest.param(HEAD + "    x: 2\n", id="another value changed"),
        pytest.param(HEAD, id="a key more is gone"),
        pytest.param(HEAD + "    description:\n", id="a key is gone, and the text"),
        pytest.param(HEAD + "    y: 1\n", id="another key"),
    ],
)
def test_anything_else_is_not(new: str):
    assert not proven(HEAD + "    description: a\n    x: 1\n", new)
    assert not proven(HEAD + "    x: 1\n", new)
