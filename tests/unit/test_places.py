from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.manifest.lineage.places import places_in


def found(sql: str, adapter: str = "postgres") -> dict[str, str]:
    return {name: span.of(sql) for name, span in places_in(sql, adapter).columns.items()}


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select a, t.b, t.c as d from t", {"a": "a", "b": "t.b", "d": "t.c as d"}),
        ("SELECT Count(*) N, max(x)::int AS m, y::date FROM t", {"n": "Count(*) N", "m": "max(x)::int AS m", "y": "y::date"}),
        ('select "A b", c as "D"', {"a b": '"A b"', "d": 'c as "D"'}),
        ("select case when a then 1 end x, 1 + 2", {"x": "case when a then 1 end x"}),
        ("select a is distinct from b as changed, c from t", {"changed": "a is distinct from b as changed", "c": "c"}),
        ("select distinct on (a, b) a, c from t", {"a": "a", "c": "c"}),
        ("select extract(year from d) as y from t", {"y": "extract(year from d) as y"}),
        ("select a /* , b */ as c -- , d\n, e from t", {"c": "a /* , b */ as c", "e": "e"}),
        ("(select a from t)", {"a": "a"}),
        ("select a from t union all select b from u", {"a": "a"}),
        ("with x as (select a, 2 as b from t) select * from x", {"a": "a", "b": "2 as b"}),
        ("with x as (select a, b from t), y as (select *, 1 as c from x) select y.* from y", {"a": "a", "b": "b", "c": "1 as c"}),
        ("with x (q) as (select 1 as a) select a from x", {"a": "a"}),
        ("with x as (select a, b from t) select z.b, w.* from x as z join x w on true", {"b": "z.b", "a": "a"}),
        ("with recursive x as (select 1 as n union all select n + 1 from x) select * from x", {"n": "1 as n"}),
        ("with x as (select a, b from t) select * exclude (a) from x", {"b": "b"}),
        ("select * from (select a + 1 as b from t) s where c", {"b": "a + 1 as b"}),
        ("select * from t", {}),
        ("select s.* from {{ ref('x') }} s", {}),
        ("select 1, 'a', 'b'::text, null, date, \"e\" from t", {"date": "date", "e": '"e"'}),
        ("", {}),
        ("no sql ' at all", {}),
        ("{{ config(materialized='table', tags=['}}']) }}\nselect {{ dbt.safe_cast('a', 'int') }} as a from {{ ref('t') }}", {"a": "{{ dbt.safe_cast('a', 'int') }} as a"}),
        ("{% set x = 'select 1 as y' %}{# select z #}select\n  a,\n  {% if x %}b{% endif %}\nfrom t", {"a": "a", "b": "b"}),
        ("{% snapshot s %}{{ config(unique_key='a') }}select a from t{% endsnapshot %}", {"a": "a"}),
    ],
)  # fmt: skip
def test_each_output_column_is_found_where_it_is_written(sql: str, columns: dict[str, str]):
    assert found(sql, "duckdb" if "exclude" in sql else "postgres") == columns


def test_a_dialects_own_words_are_read_as_it_reads_them():
    assert found("select * except (a, b), `c d` from x", "bigquery") == {"c d": "`c d`"}
    assert found("with x as (select a, b from t) select * except (a) from x", "bigquery") == {"b": "b"}


def test_names_made_in_a_loop_are_recognised():
    sql = """
        select
            order_id,
            {% for method in methods -%}
            sum(case when method = '{{ method }}' then amount end) as {{ method }}_amount,
            {% endfor -%}
            sum(amount) as total
        from {{ ref('payments') }}
        group by 1
    """
    places = places_in(sql, "postgres")

    span = places.find("card_amount")
    assert span is not None
    assert span.of(sql).endswith("{{ method }}_amount")
    assert span.of(sql).startswith("sum(case when")
    total = places.find("TOTAL")
    assert total is not None
    assert total.of(sql) == "sum(amount) as total"


def test_a_column_that_is_not_written_out_leads_to_the_query():
    sql = "with x as (select 1 as a)\nselect * from {{ ref('t') }}"
    span = places_in(sql, "postgres").find("b")

    assert span is not None
    assert (span.start, span.of(sql)) == (sql.index("\nselect") + 1, "select")
    assert places_in("nothing", "postgres").find("b") is None


def test_the_column_at_a_place_and_those_of_a_selection():
    sql = "select a, coalesce(b, 0) as c, d from t"
    places = places_in(sql, "postgres")

    assert places.at(sql.index("coalesce") + 3) == "c"
    assert places.at(sql.index("from")) is None
    assert places.between(sql.index("b, 0"), sql.index("d from") + 1) == ["c", "d"]


_PIECES = st.sampled_from(
    [
        "select",
        "with",
        "x",
        "as",
        "(",
        ")",
        ",",
        "*",
        "from",
        "union",
        ".",
        "'",
        "{{ a }}",
        "{% if b %}",
        "{{",
        "}}",
        "--",
        "\n",
        "join",
        "on",
        "distinct",
        "except",
        ";",
        "1",
        "::",
        "é",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(_PIECES, max_size=40))
def test_whatever_stands_there_nothing_goes_wrong(pieces: list[str]):
    sql = " ".join(pieces)
    places = places_in(sql, "duckdb")

    for span in places.columns.values():
        assert 0 <= span.start < span.end <= len(sql)
        assert span.of(sql).strip() == span.of(sql)


def test_stars_upon_stars_are_no_explosion():
    ctes = ["c0 as (select 1 as a)"]
    ctes += [f"c{n} as (select l.*, r.* from c{n - 1} l join c{n - 1} r on true)" for n in range(1, 40)]
    sql = f"with {', '.join(ctes)} select * from c39"

    assert found(sql) == {"a": "1 as a"}


def test_what_is_nested_too_deeply_has_no_places():
    sql = "".join(f"with c{n} as (" for n in range(2000)) + "select 1 as a" + ") select * from x" * 2000

    assert found(sql) == {}


def test_what_is_too_long_has_no_places():
    assert places_in("select " + ", ".join(f"{n} as c{n}" for n in range(20_000)), "postgres").columns == {}
