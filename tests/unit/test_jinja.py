"""A model's Jinja: what the manifest can resolve, what it cannot, and what a hostile template gets."""

from __future__ import annotations

import os
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.manifest.jinja import Rendered, Renderer
from osmosis_synthesize.manifest.model import UNRESOLVED, Macro, Node


def make_node(unique_id: str, **given_values: object) -> Node:
    kind, package, name, *_ = unique_id.split(".")
    values: dict[str, object] = {
        "unique_id": unique_id,
        "resource_type": kind,
        "name": name,
        "package_name": package,
        "path": f"models/{name}.sql",
        "schema_path": None,
        "schema_package": package,
        "database": "db",
        "schema": "main",
        "alias": name,
        "relation_name": f'"db"."main"."{name}"',
    }
    return msgspec.convert(values | given_values, Node)


PARENTS = {
    node.unique_id: node
    for node in (
        make_node("model.shop.orders"),
        make_node("model.shop.bikes.v1", version="1", latest_version="2", relation_name="main.bikes_v1"),
        make_node("model.shop.bikes.v2", version="2", latest_version="2", relation_name="main.bikes_v2"),
        make_node("model.shop.steps", relation_name=None, config={"materialized": "ephemeral"}),
        make_node("model.other.orders", relation_name="other.orders"),
        make_node("source.shop.payments", source_name="raw", relation_name="raw.payments"),
    )
}

MACROS = """
shop.cents_to_dollars(column, digits=2): round({{ column }} / 100.0, {{ digits }})
shop.grouped(n): group by {% for i in range(1, n + 1) %}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}
shop.outer(c): {{ inner(c) }} + {{ shop.inner(c) }}
shop.inner(c): f({{ c }})
shop.fails(): {{ 1 / 0 }}
shop.names(): {{ return(['a', 'b']) }}
shop.postgres__greeting(): "from postgres"
shop.default__greeting(): "from anywhere"
shop.greeting(): {{ return(adapter.dispatch('greeting', 'shop')()) }}
shop.loops(n): {{ loops(n) }}
shop.doubles(n): {% if n > 0 %}{{ shop.doubles(n - 1) }}{{ shop.doubles(n - 1) }}{% endif %}
dbt.date_trunc(part, date): {{ return(adapter.dispatch('date_trunc', 'dbt')(part, date)) }}
dbt.default__date_trunc(part, date): date_trunc('{{ part }}', {{ date }})
dbt.type_string(): {{ return(api.Column.translate_type('string')) }}
dbt_utils.star(from): {% if not execute %}{{ return('*') }}{% endif %}a, b
dbt_utils.pivot(values): {% for v in values %}sum({{ v }}){% endfor %}
dbt_utils.key(fields): {% set all = [] %}{% for f in fields %}{% do all.append("coalesce(" ~ f ~ ", '')") %}{% endfor %}md5({{ all | join(" || '-' || ") }})
"""


def make_macros() -> list[Macro]:
    macros: list[Macro] = []
    for line in MACROS.strip().splitlines():
        head, body = line.split(": ", 1)
        package, signature = head.split(".", 1)
        name = signature.split("(")[0]
        code = f"{{% macro {signature} %}}{body}{{% endmacro %}}"
        macros.append(Macro(f"macro.{package}.{name}", name, package, code))
    return macros


def render(template: str, *, adapter_type: str = "duckdb", time_limit: float = 30.0) -> Rendered:
    renderer = Renderer(
        make_macros(),
        adapter_type=adapter_type,
        project_name="shop",
        variables={"days": 3, "methods": ["card", "cash"], "shop": {"own": "mine"}},
        time_limit=time_limit,
    )
    node = make_node("model.shop.report", raw_code=template, config={"materialized": "incremental"})
    return renderer.render(node, PARENTS)


RESOLVED = [
    ("select 1", "select 1"),
    ("{# gone #}a{{ config(materialized='table', tags=['x']) }}b", "ab"),
    ("{{ ref('orders') }}", UNRESOLVED),  # two packages have one
    ("{{ ref('shop', 'orders') }}", '"db"."main"."orders"'),
    ("{{ ref('other', 'orders') }}", "other.orders"),
    ("{{ ref('bikes') }}", "main.bikes_v2"),
    ("{{ ref('bikes', v=1) }} {{ ref('bikes', version='1') }}", "main.bikes_v1 main.bikes_v1"),
    ("{{ ref('steps') }}", "__dbt__cte__steps"),
    ("{{ ref('nowhere') }}", UNRESOLVED),
    ("{{ builtins.ref('bikes') }}", "main.bikes_v2"),
    ("{{ source('raw', 'payments') }}", "raw.payments"),
    ("{{ source('raw', 'nothing') }}", UNRESOLVED),
    ("{{ ref('bikes').identifier }} {{ ref('bikes').schema }} {{ ref('bikes').include(database=false) }}",
     "bikes main main.bikes_v2"),
    ("{{ this }} {{ this.name }}", '"db"."main"."report" report'),
    ("{{ var('days') }} {{ var('own') }} {{ var('x', 'd') }} {{ var('x') }}", f"3 mine d {UNRESOLVED}"),
    ("{{ env_var('HOME', 'default') }} {{ env_var('HOME') }}", f"default {UNRESOLVED}"),
    ("{% if is_incremental() %}where x{% else %}all{% endif %}", "all"),
    ("{% for m in var('methods') %}{{ m }},{% endfor %}", "card,cash,"),
    ("{% set l = ['a', 'b'] %}{% for x in l %}sum({{ x }}){% if not loop.last %}, {% endif %}{% endfor %}", "sum(a), sum(b)"),
    ("{% set x %}block{% endset %}{{ x }}", "block"),
    ("{% set d = {'a': 1} %}{% do d.update({'b': 2}) %}{% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}", "a1b2"),
    ("{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "6"),
    ("{{ cents_to_dollars('amount') }}", "round(amount / 100.0, 2)"),
    ("{{ shop.cents_to_dollars('amount', digits=4) }}", "round(amount / 100.0, 4)"),
    ("{{ grouped(3) }}", "group by 1, 2, 3"),
    ("{{ outer('x') }}", "f(x) + f(x)"),
    ("{% for n in names() %}{{ n }}{% endfor %}", "ab"),
    ("{{ dbt.date_trunc('day', 'created_at') }}", "date_trunc('day', created_at)"),
    ("cast(x as {{ dbt.type_string() }})", "cast(x as string)"),
    ("{{ dbt_utils.key(['a', 'b']) }}", "md5(coalesce(a, '') || '-' || coalesce(b, ''))"),
    ("{{ greeting() }}", '"from anywhere"'),
    ("{% macro local(x) %}<{{ x }}>{% endmacro %}{{ local(1) }}", "<1>"),
    ("{{ fails() }}", UNRESOLVED),
    ("{{ no_such_macro('x') }} {{ no_such_package.macro('x') }}", f"{UNRESOLVED} {UNRESOLVED}"),
    ("{{ dbt_utils.no_such_macro() }}", UNRESOLVED),
    ("{{ dbt_utils.star(from=ref('bikes')) }}", UNRESOLVED),  # dbt itself would ask the warehouse
    ("{{ target.type }} {{ target.name }} {{ target.name == 'prod' }}", f"duckdb {UNRESOLVED} False"),
    ("{% if target.name == 'prod' %}a{% else %}b{% endif %}", "b"),
    ("{{ modules.datetime.date.today() - 1 }} {{ run_started_at.strftime('%Y') }}", f"{UNRESOLVED} {UNRESOLVED}"),
    ("{{ adapter.quote('a b') }} {{ adapter.get_relation('a', 'b', 'c') }}", f'"a b" {UNRESOLVED}'),
    ("{% do log('x') %}{{ log('y', info=true) }}{{ print('z') }}.", "."),
    ("{% call statement('s') %}select 1{% endcall %}.", "."),
    ("{{ exceptions.warn('x') }}{{ exceptions.raise_compiler_error('x') }}", UNRESOLVED),
    ("{{ fromjson('[1, 2]') }} {{ tojson({'a': 1}) }} {{ project_name }} {{ model.name }}", '[1, 2] {"a": 1} shop report'),
    ("{{ 'a,b'.split(',') | map('upper') | join('-') }} {{ '%s_x' | format('y') }} {{ 'x%d' % 3 }}", "A-B y_x x3"),
    ("{{ '12: {}-{}, {:.2f}: {}'.format('a', 1, 2.5, 1234) }}", "12: a-1, 2.50: 1234"),
    ("{{ '{}-{}'.format('a', 1) }} {{ 'abc' | replace('b', 'x') }} {{ 2 ** 3 }} {{ '-' * 3 }}", "a-1 axc 8 ---"),
    ("{{ undefined_thing }}.{{ undefined_thing.a['b'](1) + 2 }}", f"{UNRESOLVED}.{UNRESOLVED}"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "sql"), RESOLVED)
def test_what_the_manifest_can_tell(template: str, sql: str) -> None:
    assert render(template) == Rendered(sql, complete=True)


def test_an_adapter_s_own_macro_is_taken_and_that_of_the_adapter_it_derives_from() -> None:
    assert render("{{ greeting() }}", adapter_type="postgres").sql == '"from postgres"'
    assert render("{{ greeting() }}", adapter_type="redshift").sql == '"from postgres"'


@pytest.mark.parametrize(
    ("template", "sql"),
    [
        ("a{% for x in run_query('q') %}{{ x }},{% endfor %}b", "ab"),
        ("{% if execute %}a{% else %}b{% endif %}", "b"),
        ("{% set v = load_result('s')['data'] %}{% for x in v %}{{ x }}{% endfor %}b", "b"),
    ],
)
def test_what_hangs_on_the_warehouse_leaves_the_sql_incomplete(template: str, sql: str) -> None:
    assert render(template) == Rendered(sql, complete=False)


def test_a_macro_that_hangs_on_the_warehouse_is_unresolved_as_a_whole() -> None:
    assert render("{{ dbt_utils.pivot(run_query('q')) }}") == Rendered(UNRESOLVED, complete=True)


def test_the_environment_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_SECRET", "hush")
    assert os.environ["DBT_SECRET"] == "hush"
    assert "hush" not in render("{{ env_var('DBT_SECRET') }} {{ env_var('DBT_SECRET', '') }}").sql


HOSTILE = [
    "{% for i in range(10 ** 9) %}a{% endfor %}",
    "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "{% for i in range(9999) %}" + "x" * 5000 + "{% endfor %}",
    "{{ 'a' * 10 ** 9 }}",
    "{{ [0] * 999999999 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ (10 ** 999) * (10 ** 999) * (10 ** 999) }}",
    "{{ loops(1) }}",
    "{{ doubles(60) }}",
    "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "{% set ns = namespace(a='aaaaaaaaaa') %}{% for i in range(99) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
    "{% set ns = namespace(a='aaaaaaaaaa') %}{% for i in range(99) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
    (
        "{% set ns = namespace(a='aa') %}{% for i in range(99) %}{% set b %}{{ ns.a }}{{ ns.a }}{% endset %}"
        "{% set ns.a = b %}{% endfor %}"
    ),
    "{% set ns = namespace(a=[1]) %}{% for i in range(99) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
    "{% set ns = namespace(a={}) %}{% for i in range(99) %}{% set ns.a = {1: ns.a, 2: ns.a} %}{% endfor %}",
    "{% set a = [1, 2] %}{% for i in range(99) %}{% do a.extend(a) %}{% endfor %}",
    "{% set a = [1] %}{% do a.append(a) %}{{ a | upper }}",
    "{% set a = [1] %}{% do a.append(a) %}{{ a == [a] }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%*d' % (999999999, 1) }}",
    "{{ '%0999999999d' | format(1) }}",
    "{{ '{:>999999999}'.format('a') }}",
    "{{ '{:>{w}}'.format('a', w=999999999) }}",
    "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "{{ ('a' * 99999) | replace('a', 'b' * 99999) }}",
    "{{ ('a' * 99999).join('b' * 99999) }}",
    "{{ ('a' * 99999) | join('b' * 99999) }}",
    "{{ ('a' * 99999 ~ '\n') * 10 | indent(999999999) * 99 }}",
    "{% for x in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "{{ 'a' | center(999999999) }}",
    "{{ lipsum(n=999999) }}{% include 'x' %}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{% if a %}" * 3000 + "{% endif %}" * 3000,
]


@pytest.mark.parametrize("template", HOSTILE, ids=[template[:60] for template in HOSTILE])
def test_a_hostile_template_ends_soon_with_a_reason(template: str) -> None:
    started = time.monotonic()
    rendered = render(template, time_limit=0.5)
    assert time.monotonic() - started < 60
    assert rendered.problem is not None
    assert rendered.problem.startswith("its Jinja is not resolved: ")
    assert rendered.sql == ""


PRYING = [
    "{{ ().__class__.__base__.__subclasses__() }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ ref.__globals__ }}",
    "{{ ref.__func__.__code__ }}",
    "{{ var.__init__.__globals__ }}",
    "{{ config._values }}",
    "{{ adapter._names.sandbox }}",
    "{{ nothing.sandbox }}",
    "{{ nothing._sandbox.left }}",
    "{{ cents_to_dollars._names }}",
    "{{ dbt_utils._names }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ (1).to_bytes(9, 'big') }}",
    "{{ 'a'.encode('utf-8') }}",
    "{{ 'a'.rjust(999999999) }}",
    "{{ names | attr('__call__') }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ environment }}",
]


@pytest.mark.parametrize("template", PRYING)
def test_a_prying_template_learns_nothing(template: str) -> None:
    rendered = render(template)
    assert rendered.problem is not None or set(rendered.sql.split()) <= {UNRESOLVED}


@given(st.text(alphabet="{}%# abcifor()[]'|.~+*0123=-\n", max_size=50))
@settings(max_examples=150, deadline=None)
def test_no_template_makes_it_fail(template: str) -> None:
    rendered = render(template, time_limit=2)
    assert rendered.problem is None or rendered.sql == ""


@given(st.text(alphabet=st.characters(exclude_characters="{}\r", exclude_categories=["Cs"]), max_size=80))
@settings(max_examples=60, deadline=None)
def test_text_without_jinja_stays(text: str) -> None:
    assert render(text).sql == text.removesuffix("\n")


PIECES = st.sampled_from(
    [
        "{{ ref('orders') }}",
        "{{ref( 'shop' , \"orders\" )}}",
        "{{ ref('other', 'orders') }}",
        "{{ ref('bikes') }}",
        "{{ ref('steps') }}",
        "{{ source('raw', 'payments') }}",
        "{{ source('payments') }}",
        "{{ source('raw', 'ref') }}",
        "{{ ref('nobody') }}",
        "{{ ref('') }}",
        "{{ ref('shop', '') }}",
        "{{- ref('steps') -}}",
        "{{ 'x' }}",
        "select * from ",
        " -- the end\n",
        "\n",
        "\r\n",
        "{# no #}",
        "{% raw %}",
        "{% endraw %}",
        "{",
        "}}",
        "'",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=6).map("".join))
def test_references_alone_are_resolved_as_the_template_would(template: str) -> None:
    plain, by_template = render(template), render("{{ '' }}" + template)
    assert plain == by_template
