"""An edit that looks at nothing but the entry concerned is the very edit that looks at the whole file."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.document import Change, Document, Fill, NewColumn, NewEntry, edit, parse, reparse
from osmosis_synthesize.document.editor import edit_alone, lines_of_column
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.text import Span, TextEdit

SCHEMA = """\
version: 2

sources:
  - name: "my: shop"
    tables:
      - name: raw_orders
        columns:
          - name: id
            description: ''
      - name: raw_customers
        description: Who buys

models:
  - name: orders
    description:
    versions:
      - v: 1
        columns:
          - name: amount
    columns:
      - name: amount
        # what was paid
        description: |-
          TODO
      - {name: flow, data_type: int}
      - name: status
        data_tests:
          - accepted_values: {values: [a, b]}
  - name: payments
    columns:
        -   name: method
            description:   # to do
            # how it was paid

        # the next one
        - name: paid_at
          description:
              # further in
    # about all of it
    data_tests:
      - unique
  - name: customers
    columns: []

  - name: empty
seeds:
- name: flush
  columns:
  - name: code
    description: "Quoted"
  - name: other
"""

TEXTS = st.one_of(
    st.sampled_from(
        ["Plain", "With: a colon", "it's", 'say "hi"', "a # b", "- x", "{{ doc('a') }}", "é\u2028\U0001f6b2"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.text("ab \n", max_size=120),
)


def documents(newline: str = "\n") -> Document:
    return parse(SCHEMA.replace("\n", newline))


def changes(document: Document, index: int, text: str) -> Change:
    slots = list(document.slots())
    if index < len(slots):
        return Fill(slots[index], text)
    entry = document.entries[index % len(document.entries)]
    return NewColumn(entry.key, f"added_{index}", text or None)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 34), TEXTS, st.sampled_from(["\n", "\r\n"]), st.integers(0, 600), st.booleans())
def test_it_is_the_edit_of_the_whole_file(index: int, text: str, newline: str, at: int, typed: bool) -> None:
    document = documents(newline)
    whole = document
    if typed:  # a comment above, so that everything has moved and nothing is read anew
        at = document.text.rfind("\n", 0, at) + 1
        document = reparse(document, TextEdit(Span(at, at), "# moved" + newline))
        whole = parse(document.text)
        if document.broken:
            return
    alone = edit_alone(document, [changes(document, index, text)])
    expected = edit(whole, [changes(whole, index, text)])

    if alone is not None:
        assert alone == expected


def test_it_is_so_for_every_slot() -> None:
    document = documents()
    for slot in document.slots():
        for text in ("A text", "Two\nlines", "long " * 40):
            alone = edit_alone(document, [Fill(slot, text)])
            assert alone is None or alone == edit(document, [Fill(slot, text)]), (slot, text)


def test_it_is_taken_wherever_an_entry_can_be_read_alone() -> None:
    document = documents()
    taken = {
        (str(slot.key), slot.column)
        for slot in document.slots()
        if edit_alone(document, [Fill(slot, "A text")]) is not None
    }

    assert taken == {(str(slot.key), slot.column) for slot in document.slots() if slot.blocked_by is None}
    assert edit_alone(document, [NewEntry(EntryKey("model", "new"))]) is None


def test_a_column_is_read_with_its_own_lines_alone() -> None:
    document = documents()
    lines = {
        slot.column: found.of(document.text)
        for entry in document.entries
        for slot in entry.columns
        if entry.key.version is None and (found := lines_of_column(document, slot, len(document.text))) is not None
    }

    assert (
        lines["amount"] == "      - name: amount\n        # what was paid\n        description: |-\n          TODO\n"
    )
    assert lines["flow"] == "      - {name: flow, data_type: int}\n"
    assert lines["method"] == (
        "        -   name: method\n            description:   # to do\n            # how it was paid\n"
        "\n        # the next one\n"
    )
    assert lines["paid_at"] == (
        "        - name: paid_at\n          description:\n              # further in\n    # about all of it\n"
    )
    assert lines["other"] == "  - name: other\n"


def test_an_entry_that_stands_twice_is_looked_at_in_its_file() -> None:
    text = SCHEMA.replace("name: customers", "name: orders")
    document = parse(text)

    assert edit_alone(document, [NewColumn(EntryKey("model", "orders"), "added", "A text")]) is None
