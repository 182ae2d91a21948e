"""What is found in SQL and Markdown by its marks: refs, sources, configs, snapshots, macros, doc blocks, headers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.manifest.code_files import (
    docs_in,
    header_of,
    macros_in,
    named_in,
    plain_calls,
    snapshots_in,
)
from osmosis_synthesize.manifest.jinja import Renderer
from osmosis_synthesize.manifest.model import Calls, Node, Ref
from osmosis_synthesize.manifest.properties import columns_of, data_tests_of, latest_version_of, versions_of

RENDERER = Renderer((), adapter_type="duckdb", project_name="shop", variables={"x": "{{ source('a', 'b') }}"})


def calls(code: str) -> Calls:
    """What the sandbox notes while it renders."""
    return RENDERER.calls(
        Node(
            unique_id="model.shop.m",
            resource_type="model",
            name="m",
            package_name="shop",
            path="",
            schema_path=None,
            schema_package="shop",
            raw_code=code,
        )
    )


PLAIN = {
    "select 1": Calls(),
    "{{ ref('a') }} {{ref(\"b\")}} {{- ref( 'a' ) -}}": Calls((Ref("a"), Ref("b"))),
    "{{ ref('p', 'a') }}{{ ref('a', v=2) }}{{ ref('a', version='1.1') }}": Calls(
        (Ref("a", "p"), Ref("a", None, "2"), Ref("a", None, "1.1"))
    ),
    "{{ source('s', 't') }}\n-- {{ ref('in_sql_comment') }}": Calls((Ref("in_sql_comment"),), (("s", "t"),)),
    "{# {{ ref('no') }} #}{{ ref('yes') }}": Calls((Ref("yes"),)),
    "{{ config(materialized='table', tags=['x', \"y\"], enabled=true, meta={'a': 1, 'b': none}) }}": Calls(
        config={"materialized": "table", "tags": ["x", "y"], "enabled": True, "meta": {"a": 1, "b": None}}
    ),
    "{{ config(a=1) }}{{ config(a=2, b=-1.5) }}": Calls(config={"a": 2, "b": -1.5}),
}


@pytest.mark.parametrize("code", PLAIN)
def test_the_short_cut_finds_what_rendering_finds(code: str) -> None:
    assert plain_calls(code) == PLAIN[code] == calls(code)


@pytest.mark.parametrize(
    "code",
    [
        "{% if a %}{{ ref('a') }}{% endif %}",
        "{{ ref(x) }}",
        "{{ ref('a').identifier }}",
        "{{ ref('a') ~ ref('b') }}",
        "{{ ref('a' ~ 'b') }}",
        "{{ ref(*['a']) }}",
        "{{ config(**{'a': 1}) }}",
        "{{ config({'a': 1}) }}",
        "{{ config(a=var('x')) }}",
        "{{ config(a=b'x') }}",
        "{{ star(ref('a')) }}",
        "{{ source('a') }}",
        "{{ ref('a', 'b', 'c') }}",
        "{{ ref(1) }}",
        "{{ ref('a', x=1) }}",
        "{{ 'text' | upper }}",
        "{{ this }}",
        "{# never closed {{ ref('a') }}",
        "{{ ref('a'",
    ],
)
def test_the_short_cut_leaves_all_else_to_rendering(code: str) -> None:
    found = plain_calls(code)
    assert found is None or (found == Calls() and "}}" not in code)


_NAME = st.from_regex(r"[a-z_]\w{0,5}", fullmatch=True)
_TEXT = _NAME.map(json.dumps) | _NAME.map(lambda name: f"'{name}'")
_VALUE = (
    _TEXT | st.integers(-9, 9).map(str) | st.sampled_from(["true", "false", "none", "True", "[1, 'a']", "{'a': []}"])
)
_CALL = st.one_of(
    _TEXT.map(lambda a: f"ref({a})"),
    st.tuples(_TEXT, _TEXT).map(lambda ab: f"ref({ab[0]}, {ab[1]})"),
    st.tuples(_TEXT, st.integers(1, 9)).map(lambda av: f"ref({av[0]}, v={av[1]})"),
    st.tuples(_TEXT, _TEXT).map(lambda ab: f"source({ab[0]}, {ab[1]})"),
    st.tuples(st.sampled_from("abc"), _VALUE).map(lambda kv: f"config({kv[0]}={kv[1]})"),
)
_PIECE = st.one_of(
    _CALL.map(lambda call: f"{{{{ {call} }}}}"),
    _CALL.map(lambda call: f"{{# {{{{ {call} }}}} #}}"),
    st.sampled_from([" select 1 from ", "\n", "-- ", "{", "}", "'"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECE, max_size=6).map(" ".join))
def test_both_ways_agree_wherever_the_short_one_answers(code: str) -> None:
    short = plain_calls(code)
    rendered = calls(code)
    assert short is None or rendered.problem is not None or short == rendered


def test_a_variable_may_hold_a_source() -> None:
    assert calls("select * from {{ var('x') }}").sources == (("a", "b"),)


def test_only_what_is_reached_while_dbt_parses_is_asked_for() -> None:
    code = "{% if execute %}{{ ref('a') }}{% endif %}{% if is_incremental() %}{{ ref('b') }}{% else %}{{ ref('c') }}{% endif %}"
    assert calls(code).refs == (Ref("c"),)


def test_refs_in_plain_words() -> None:
    found = named_in(
        "dbt.ref('a'), dbt.ref(\"p\", \"b\"), ref('c', v=2), dbt.source('s', 't'), xref('no'), ref(name)"
    )
    assert found == Calls((Ref("a"), Ref("b", "p"), Ref("c", None, "2")), (("s", "t"),))


def test_blocks() -> None:
    text = (
        "{% snapshot one %}a{{ ref('x') }}{% endsnapshot %} {%- snapshot two -%}b{%- endsnapshot -%}"
        "{# {% snapshot no %}{% endsnapshot %} #}"
    )
    assert [(block.name, block.inside) for block in snapshots_in(text)] == [("one", "a{{ ref('x') }}"), ("two", "b")]
    [doc] = docs_in("before {% docs orders %}\n  All *orders*.\n{% enddocs %}", package="shop", path="a.md")
    assert (doc.name, doc.text, doc.path) == ("orders", "All *orders*.", "a.md")
    code = "{% macro a(x, y='%') -%}1{%- endmacro %}{% macro b() %}2{% endmacro %}{% test c(model) %}{% endtest %}"
    macros = {macro.unique_id: macro.code for macro in macros_in(code, package="shop")}
    assert macros == {
        "macro.shop.a": "{% macro a(x, y='%') -%}1{%- endmacro %}",
        "macro.shop.b": "{% macro b() %}2{% endmacro %}",
    }


@pytest.mark.parametrize("open_blocks", ["{% docs a %}", "{% macro a(", "{% snapshot a %}"])
def test_what_is_never_closed_takes_no_time(open_blocks: str) -> None:
    text = open_blocks * 2_000
    assert docs_in(text, package="p", path="x") == macros_in(text, package="p") == snapshots_in(text) == []


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("id,name\n1,a\n", ("id", "name")),
        ('\ufeffid, "a, b" ,\n', ("id", '"a', 'b"')),
        ('"a, b",c\r\n1,2', ("a, b", "c")),
        ("", ()),
        ("\n", ()),
    ],
)
def test_the_header_of_a_seed(text: str, columns: tuple[str, ...]) -> None:
    assert header_of(text) == columns


MODEL = {
    "name": "m",
    "latest_version": None,
    "columns": [
        {"name": "a", "tags": "t", "config": {"meta": {"k": 1}}},
        {"name": "b"},
        {"name": "c", "quote": True},
    ],
    "versions": [
        {"v": 1},
        {"v": 10, "columns": [{"include": "all", "exclude": ["b"]}, {"name": "d", "data_type": "int"}]},
        {"v": 9, "defined_in": "nine", "columns": [{"include": ["c"]}]},
        {"v": 2, "columns": [{"name": "a", "description": "Other."}]},
    ],
}


def test_the_columns_of_each_version() -> None:
    found = {
        version.name: (version.stem, [column.name for column in columns_of(MODEL, version.data)])
        for version in versions_of(MODEL)
    }
    assert found == {
        "1": ("m_v1", ["a", "b", "c"]),
        "10": ("m_v10", ["a", "c", "d"]),
        "9": ("nine", ["c"]),
        "2": ("m_v2", ["a", "b", "c"]),
    }
    assert latest_version_of(MODEL) == "10"
    assert latest_version_of({"versions": [{"v": "b"}, {"v": "a"}]}) == "b"
    assert latest_version_of({"latest_version": 1, "versions": [{"v": 2}]}) == "1"
    first = columns_of(MODEL)[0]
    assert (first.tags, dict(first.meta)) == (("t",), {"k": 1})


def test_data_tests_in_all_their_spellings() -> None:
    entry = {
        "columns": [
            {
                "name": "id",
                "tests": ["unique", {"not_null": {"config": {"where": "x > 1"}}}],
                "data_tests": [
                    {"relationships": {"to": "ref('other')", "field": "id", "severity": "warn"}},
                    {"name": "mine", "test_name": "accepted_values", "arguments": {"values": [1]}},
                    {"not_null": {"config": {"enabled": False}}},
                    3,
                ],
            }
        ],
        "data_tests": [{"dbt_utils.unique_combination_of_columns": {"arguments": {"combination_of_columns": ["a"]}}}],
    }
    found = [
        (test.column, test.namespace, test.name, dict(test.arguments), test.reads.refs, test.where, test.warns)
        for test in data_tests_of(entry)
    ]
    assert found == [
        (None, "dbt_utils", "unique_combination_of_columns", {"combination_of_columns": ["a"]}, (), None, False),
        ("id", None, "unique", {}, (), None, False),
        ("id", None, "not_null", {}, (), "x > 1", False),
        ("id", None, "relationships", {"to": "ref('other')", "field": "id"}, (Ref("other"),), None, True),
        ("id", None, "accepted_values", {"values": [1]}, (), None, False),
    ]


@pytest.mark.parametrize(
    "broken", [{}, {"columns": 3}, {"columns": [1, {"name": None}, {}]}, {"tests": "x"}, {"versions": [{}]}]
)
def test_an_entry_that_is_none_has_nothing(broken: dict[str, object]) -> None:
    assert columns_of(broken) == data_tests_of(broken) == versions_of(broken) == ()
