from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize import document
from osmosis_synthesize.document import Document, Slot, is_gap, parse
from osmosis_synthesize.names import EntryKey

MODEL = "models:\n  - name: m\n"


def slots(text: str) -> dict[str, Slot]:
    return {name_of(slot): slot for slot in parse(text).slots()}


def name_of(slot: Slot) -> str:
    return str(slot.key) if slot.column is None else f"{slot.key}.{slot.column}"


# What is read: (id, text, {slot: (state, text)})
READ = [
    pytest.param("", {}, id="an empty file"),
    pytest.param("# nothing\n\n# here\n", {}, id="comments only"),
    pytest.param("---\n", {}, id="only a document start"),
    pytest.param("version: 2\nmodels:\nseeds: []\n", {}, id="null and empty sections"),
    pytest.param(MODEL, {"m": ("absent", None)}, id="absent"),
    pytest.param(MODEL + "    description:\n", {"m": ("empty", None)}, id="empty"),
    pytest.param(MODEL + "    description:   # later\n", {"m": ("empty", None)}, id="empty before a comment"),
    pytest.param(MODEL + "    description: ''\n", {"m": ("empty", None)}, id="empty quotes"),
    pytest.param(MODEL + '    description: "  "\n', {"m": ("empty", None)}, id="blank"),
    pytest.param(MODEL + "    description: ~\n", {"m": ("empty", None)}, id="null"),
    pytest.param(MODEL + "    description: 'null'\n", {"m": ("text", "null")}, id="a text that says null"),
    pytest.param(MODEL + "    description : Text\n", {"m": ("text", "Text")}, id="a blank before the colon"),
    pytest.param("models:\n  - description: Text\n    name: m\n", {"m": ("text", "Text")}, id="before the name"),
    pytest.param(
        MODEL + "    columns:\n      - name: c\n    description: Text\n",
        {"m": ("text", "Text"), "m.c": ("absent", None)},
        id="after the columns",
    ),
    pytest.param(
        MODEL + "    description: a\n      b\n    docs: {}\n", {"m": ("text", "a b")}, id="plain on two lines"
    ),
    pytest.param(
        MODEL + "    description: |\n      a {{ doc('x') }}\n", {"m": ("text", "a {{ doc('x') }}\n")}, id="literal"
    ),
    pytest.param(MODEL + "    description: {{ doc('x') }}\n", {"m": ("text", "{{ doc('x') }}")}, id="unquoted doc()"),
    pytest.param(MODEL + "    description: 12\n", {"m": ("text", "12")}, id="a number"),
    pytest.param(MODEL + "    description: [a]\n", {"m": ("blocked", None)}, id="a list for a text"),
    pytest.param(MODEL + "    descrpition: Text\n", {"m": ("blocked", None)}, id="misspelt descrpition"),
    pytest.param(MODEL + "    desctiption: Text\n", {"m": ("blocked", None)}, id="misspelt desctiption"),
    pytest.param(MODEL + "    descriptions: Text\n", {"m": ("blocked", None)}, id="misspelt descriptions"),
    pytest.param(MODEL + "    descriptions:\n", {"m": ("absent", None)}, id="misspelt and empty"),
    pytest.param(MODEL + "    data_tests: x\n    deprecation_date: y\n", {"m": ("absent", None)}, id="not misspelt"),
    pytest.param(
        MODEL + "    description: Text\n    description:\n",
        {"m": ("blocked", None)},
        id="twice, a text under the first",
    ),
    pytest.param(
        MODEL + "    description:\n    description: Text\n", {"m": ("text", "Text")}, id="twice, the last counts"
    ),
    pytest.param(
        MODEL + "    columns:\n      - name: c\n        description: Text\n      - name: d\n      - name: c\n",
        {"m": ("absent", None), "m.d": ("absent", None), "m.c": ("absent", None)},
        id="a column twice: the last counts",
    ),
    pytest.param(
        "models:\n  - name: m\n    columns:\n      - {name: date, data_type: Date}\n      - {name: x, description: Text}\n",
        {"m": ("absent", None), "m.date": ("absent", None), "m.x": ("text", "Text")},
        id="flow maps",
    ),
    pytest.param(
        "models: [{name: m, columns: [{name: a}, {name: b, description: }, {name: c, description}]}]\n",
        {"m": ("absent", None), "m.a": ("absent", None), "m.b": ("empty", None), "m.c": ("empty", None)},
        id="all in one line",
    ),
    pytest.param(
        MODEL
        + "    columns:\n      - name: 'it''s a column?'\n      - name: a.b.c\n      - name: 2024\n      - name: id,\n"
        "      - name: sum(x)\n      - name: description\n      - name: values\n",
        {
            "m": ("absent", None),
            **{
                f"m.{name}": ("absent", None)
                for name in ("it's a column?", "a.b.c", "2024", "id,", "sum(x)", "description", "values")
            },
        },
        id="odd names",
    ),
    pytest.param(
        "sources:\n  - name: s\n    description:\n    tables:\n      - name: t\n        columns:\n          - name: c\n",
        {"s.t": ("absent", None), "s.t.c": ("absent", None)},
        id="a source's tables",
    ),
    pytest.param(
        "seeds:\n- name: s\nsnapshots:\n- name: p\n  columns:\n  - name: c\n",
        {"s": ("absent", None), "p": ("absent", None), "p.c": ("absent", None)},
        id="flush lists of seeds and snapshots",
    ),
    pytest.param(
        MODEL + "    versions:\n      - v: 1\n        columns:\n          - include: all\n            exclude: [x]\n"
        "          - name: c\n      - v: 2\n",
        {"m": ("absent", None), "m.v1.c": ("absent", None)},
        id="versions have columns, and no description of their own",
    ),
    pytest.param(
        MODEL
        + "semantic_models:\n  - name: x\nexposures:\n  - name: y\nunit_tests:\n  - name: z\nmacros:\n  - name: w\n",
        {"m": ("absent", None)},
        id="what is not ours",
    ),
    pytest.param(
        "x-base: &base\n  name: base\n  description: Text\nmodels:\n  - <<: *base\n    name: m\n  - <<: *base\n",
        {"m": ("text", "Text"), "base": ("text", "Text")},
        id="merge keys",
    ),
    pytest.param(
        "models:\n  - name: a\n    columns:\n      - &id\n        name: id\n  - name: b\n    columns:\n      - *id\n",
        {"a": ("absent", None), "a.id": ("blocked", None), "b": ("absent", None), "b.id": ("blocked", None)},
        id="an anchor without a text, and its alias",
    ),
    pytest.param(
        "models:\n  - name: a\n    columns: &all\n      - name: id\n  - name: b\n    columns: *all\n",
        {"a": ("absent", None), "a.id": ("blocked", None), "b": ("absent", None), "b.id": ("blocked", None)},
        id="a shared list",
    ),
    pytest.param(
        "anchors:\n  - &id\n    name: id\nmodels:\n  - name: a\n    columns:\n      - *id\n",
        {"a": ("absent", None), "a.id": ("absent", None)},
        id="an anchor under a key of its own, used once",
    ),
    pytest.param(
        "models:\n  - &description name: a\n    columns:\n      - &name\n        name: b\n",
        {"a": ("absent", None), "a.b": ("absent", None)},
        id="anchors that nobody uses, with the names of keys",
    ),
    pytest.param("\ufeffmodels:\n- name: m\n  description: T\n", {"m": ("text", "T")}, id="a byte-order mark"),
    pytest.param(
        "models:\r\n  - name: é😀\r\n    description: 'T\u2028U'\r\n",
        {"é😀": ("text", "T\u2028U")},
        id="CRLF, emoji, U+2028",
    ),
    pytest.param(
        "models:\n  - name: m\t# tab\n    description: T\t\n", {"m": ("text", "T")}, id="tabs after content"
    ),
    pytest.param("models:\n  - name: m\n    meta: {url: http://x}\n", {"m": ("absent", None)}, id="a URL in braces"),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_reads(text: str, expected: dict[str, tuple[str, str | None]]) -> None:
    read = parse(text)
    assert {name_of(slot): (slot.state, slot.text) for slot in read.slots()} == expected
    assert all((slot.state == "blocked") <= (slot.blocked_by is not None) for slot in read.slots())


# The parser in Python refuses tabs behind content and U+2028 inside of it: such files then have no slots, and a reason.
SLOWLY_READ = [row.values[0] for row in READ if not {"\t", "\u2028"} & set(row.values[0])]


@pytest.mark.parametrize("text", SLOWLY_READ)
def test_reads_the_same_without_the_c_extension(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = parse(text)
    monkeypatch.setitem(sys.modules, "_ruamel_yaml", None)
    assert parse(text) == fast


# (id, text, part of the message, what the problem's span covers)
BROKEN = [
    pytest.param("models: {{ x }}\n{% if y %}\n", "a Jinja template is no schema file", id="a Jinja template"),
    pytest.param("a: 'b\n", "unexpected end of stream", id="an open quote"),
    pytest.param("models:\n\t- name: m\n", "cannot start any token", id="a tab for indentation"),
    pytest.param("models:\n  - {name: date, time, data_type: a b: c}\n", "no valid YAML", id="a broken flow map"),
    pytest.param(MODEL + "---\n" + MODEL, "several documents", id="two documents"),
    pytest.param("models: *m\n", "`*m` has no anchor before it", id="an alias without its anchor"),
    pytest.param("models: &m\n  - *m\n", "stands inside of what it stands for", id="an alias in its own anchor"),
    pytest.param("a: b\x07\n", "U+0007 is not allowed", id="a control character"),
    pytest.param("a: b\ud800\n", "U+D800 is not allowed", id="half a character"),
    pytest.param("[" * 100_000, "nested more than", id="100,000 brackets"),
    pytest.param("- name: m\n", "a schema file is a mapping", id="a list"),
    pytest.param("just text\n", "a schema file is a mapping", id="a text"),
    pytest.param("models: {name: m}\n", "`models:` is no list", id="a mapping for a list"),
    pytest.param("models:\n  - m\n", "an item of `models:` is no mapping", id="a text for an entry"),
    pytest.param("models:\n  - description: T\n", "an entry without a name", id="no name"),
    pytest.param("models:\n  - name: {{ x }}\n", "an entry without a name", id="an unquoted Jinja name"),
    pytest.param(MODEL + "models:\n", "`models:` stands here twice", id="a section twice"),
    pytest.param(MODEL + "    versions:\n      - columns: []\n", "has no `v:`", id="a version without its number"),
    pytest.param(MODEL + "    descrpition: T\n", "dbt ignores `descrpition`", id="a misspelt key"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_says_what_it_cannot_read_and_why(text: str, message: str) -> None:
    read = parse(text)
    assert message in " ".join(problem.message for problem in read.problems)
    for problem in read.problems:
        assert problem.span.end <= len(text)


def test_a_misspelt_key_is_where_its_problem_is_so_that_it_can_be_mended() -> None:
    text = MODEL + "    descrpition: Text\n"
    (problem,) = parse(text).problems
    assert problem.span.of(text) == "descrpition"


def test_the_earlier_of_two_columns_of_one_name_is_blocked() -> None:
    text = MODEL + "    columns:\n      - name: c\n      - name: c\n        description: T\n"
    entry = parse(text).entries[0]
    first, last = entry.columns
    assert (first.state, last.text) == ("blocked", "T")
    assert first.blocked_by == "column `c` is listed again further down, and dbt reads that"
    assert entry.column("C") is last


def test_a_quoted_column_is_compared_with_its_case() -> None:
    text = MODEL + "    columns:\n      - name: Id\n        quote: true\n      - name: id\n"
    (entry,) = parse(text).entries
    assert [column.quoted for column in entry.columns] == [True, False]
    assert entry.column("ID") is entry.columns[1]
    assert entry.column("Id") is entry.columns[1]


@pytest.mark.parametrize("before", ["", "\ufeff", "# é😀\r\n", "\ufeff# é😀\n---\n"])
def test_spans_are_exact(before: str) -> None:
    text = (
        before
        + 'models:\r\n  - name: "m 😀"\r\n    description: >-\r\n      a\r\n\r\n    columns:\r\n      - name: c\r\n'
    )
    model, column = parse(text).slots()
    assert model.name_span.of(text) == '"m 😀"'
    assert model.span.of(text) == ">-\r\n      a"
    assert column.name_span.of(text) == "c"
    assert parse(text).entries[0].span.of(text).startswith('name: "m 😀"')
    assert parse(text).entries[0].span.of(text).endswith("name: c")


def test_an_empty_value_stands_right_behind_its_colon() -> None:
    text = MODEL + "    description:   # c\n"
    (slot,) = parse(text).slots()
    assert slot.span.start == slot.span.end == text.index("description:") + len("description:")


def test_an_entry_as_plain_data_is_what_dbt_reads() -> None:
    text = (
        "anchors: {base: &base {tags: [a], enabled: no}}\nmodels:\n  - name: m\n    config:\n      <<: *base\n"
        "      meta: {n: 010, f: 1.5, s: '1', t: 1_000, x: 0x1f, d: 2020-01-01, e: , b: off}\n      tags: [b]\n"
    )
    assert parse(text).entries[0].data == {
        "name": "m",
        "config": {
            "enabled": False,
            "tags": ["b"],
            "meta": {"n": 8, "f": 1.5, "s": "1", "t": 1000, "x": 31, "d": "2020-01-01", "e": None, "b": False},
        },
    }


@pytest.mark.parametrize(
    "text",
    [
        *("TODO", "todo", " Todo. ", "TBD", "NA", "n/a", "-", "...", "Undefined", "Not documented", "To Do!"),
        *("Pending further documentation", "No description for this column", "Pending  further\ndocumentation:"),
    ],
)
def test_placeholders_are_gaps(text: str) -> None:
    (slot,) = parse(MODEL + f"    description: {text!r}\n".replace("\\n", "\n\n      ")).slots()
    assert is_gap(slot)


@pytest.mark.parametrize(
    "text",
    [
        "Todos os CBOs",
        "TODO: say more than this",
        "Not documented by the vendor",
        "A",
        "{{ doc('todo') }}",
        "{{doc('x')}}.",
    ],
)
def test_texts_are_no_gaps(text: str) -> None:
    (slot,) = parse(MODEL + f'    description: "{text}"\n').slots()
    assert not is_gap(slot)


def test_placeholders_are_a_setting() -> None:
    (slot,) = parse(MODEL + "    description: Fill me in!\n").slots()
    assert not is_gap(slot)
    assert is_gap(slot, ["FILL ME IN"])


def test_doc_is_never_a_gap_whatever_the_setting() -> None:
    (slot,) = parse(MODEL + "    description: \"{{ doc('x') }}\"\n").slots()
    assert not is_gap(slot, ["{{ doc('x') }}"])


def document_of(text: str) -> Document:
    return parse(text)


def test_finds_the_slot_under_a_cursor() -> None:
    text = (
        "models:\n  - name: m\n    description: T\n    columns:\n      - name: c\n        data_type: x\n\n  - name: n\n"
        "    versions:\n      - v: 1\n        columns:\n          - name: d\n"
    )
    read = document_of(text)

    def at(place: str) -> str | None:
        slot = read.slot_at(text.index(place))
        return None if slot is None else name_of(slot)

    assert at("models") is None
    assert [at("name: m"), at("columns"), at("data_type"), at("name: n"), at("v: 1"), at("name: d")] == [
        "m",
        "m",
        "m.c",
        "n",
        "n",
        "n.v1.d",
    ]


def test_entries_are_found_by_key() -> None:
    read = parse("sources:\n  - name: s\n    tables:\n      - name: t\n" + MODEL)
    table = read.entry(EntryKey("source", "t", "s"))
    assert table is not None
    assert str(table.key) == "s.t"
    assert read.entry(EntryKey("seed", "m")) is None


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet="models:\n -name&a*<[]{}'\"|>#\t\r\ufeff\u2028é😀\x07\ud800description", max_size=80))
def test_never_raises(text: str) -> None:
    read = parse(text)
    for slot in read.slots():
        assert slot.span.end <= len(text)
    for problem in read.problems:
        assert problem.span.end <= len(text)


def test_importing_the_package_loads_no_yaml() -> None:
    code = "import sys, osmosis_synthesize.document as d; print([m for m in sys.modules if 'ruamel' in m or m == 'yaml'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_public_names_are_there() -> None:
    assert all(hasattr(document, name) for name in document.__all__)
