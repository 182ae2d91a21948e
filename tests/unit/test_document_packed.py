"""Documents in little memory: they say and take the same as others."""

from __future__ import annotations

import gc

import pytest

from osmosis_synthesize.document import Document, Entry, Fill, edit, packed, parse, reparse
from osmosis_synthesize.document.nodes import Map, Scalar
from osmosis_synthesize.text import Span, TextEdit

TEXTS = {
    "models": """\
version: 2
models:
  - name: orders
    meta: {owner: sales}
    columns:
      - name: id
        tests: [unique]
      - name: amount
        description: "What it cost"
    versions:
      - v: 1
        columns:
          - name: id
      - v: 2
        defined_in: orders_new
  - name: customers
    config:
      tags: [daily]
""",
    "sources": """\
sources:
  - name: shop
    tables:
      - name: raw_orders
        loaded_at_field: at
        columns:
          - name: id
      - name: raw_customers
        identifier: customers
""",
    "anchors": """\
models:
  - name: orders
    columns: &columns
      - name: id
  - name: orders_again
    meta: {again: true}
    columns: *columns
""",
    "byte-order mark": "\ufeffmodels:\n- name: orders\n  columns:\n  - name: id\n    data_type: int\n",
    "no entries": "version: 2\n",
    "empty": "",
    "no YAML": "models: [",
    "several columns of one name": """\
models:
  - name: orders
    columns:
      - name: Id
        description: The first
      - {name: ID, quote: true}
      - name: id
        descrpition: Misspelt
      - name: "id"
        description: |
          The last
""",
}


def seen(document: Document) -> object:
    """All that a document says."""

    def entry(one: Entry) -> object:
        spans = (one.span, one.name_span, *one.column_spans)
        return one.key, one.slot, list(one.columns), spans, one.data

    return document.text, [entry(one) for one in document.entries], document.problems, document.data, document.broken


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_it_says_the_same(text: str) -> None:
    whole, small = parse(text), packed(parse(text))
    assert seen(small) == seen(whole)
    assert list(small.slots()) == list(whole.slots())


@pytest.mark.parametrize("name", ["id", "ID", "Id", "iD", "amount", "other"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_columns_are_found_by_name(text: str, name: str) -> None:
    whole, small = parse(text), packed(parse(text))
    assert [one.column(name) for one in small.entries] == [one.column(name) for one in whole.entries]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_offset_leads_to_the_same(text: str) -> None:
    whole, small = parse(text), packed(parse(text))
    for offset in range(len(text) + 1):
        assert small.slot_at(offset) == whole.slot_at(offset)


def test_columns_are_a_sequence() -> None:
    whole = parse(TEXTS["several columns of one name"])
    columns, own = packed(whole).entries[0].columns, whole.entries[0].columns
    assert len(columns) == len(own) == 4
    assert columns[-1] == own[-1]
    assert list(columns[1:3]) == list(own[1:3])
    for beyond in (4, -5):
        with pytest.raises(IndexError):
            columns[beyond]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_it_takes_the_same_edits(text: str) -> None:
    documents = parse(text), packed(parse(text))
    edited = [edit(each, [Fill(slot, "New: text") for slot in each.slots()]) for each in documents]
    assert edited[0].text == edited[1].text
    assert edited[0].edits == edited[1].edits


@pytest.mark.parametrize("name", ["models", "sources"])
def test_it_stays_right_while_the_text_moves(name: str) -> None:
    small = packed(parse(TEXTS[name]))
    for comment in ("# one\n", "# another one\n"):
        small = packed(reparse(small, TextEdit(Span(0, 0), comment)))
    slot = next(slot for slot in small.slots() if slot.state == "absent")
    small = reparse(small, edit(small, [Fill(slot, "New")]).edits)
    whole = parse(small.text)
    assert [one.data for one in small.entries] == [one.data for one in whole.entries]
    assert list(small.slots()) == list(whole.slots())


@pytest.mark.parametrize("name", ["models", "sources", "byte-order mark"])
def test_it_holds_no_nodes(name: str) -> None:
    assert not nodes_below(packed(parse(TEXTS[name])))
    assert nodes_below(parse(TEXTS[name]))


def nodes_below(document: Document) -> list[object]:
    """The nodes that a document keeps alive."""
    seen: set[int] = set()
    waiting: list[object] = [document]
    found: list[object] = []
    while waiting:
        value = waiting.pop()
        if id(value) not in seen and not isinstance(value, type):
            seen.add(id(value))
            found += [value] if isinstance(value, Map | Scalar) else []
            waiting += gc.get_referents(value)
    return found
