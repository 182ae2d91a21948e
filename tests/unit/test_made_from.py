"""What texts are made from, as hashes that change with its meaning, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.engine.drift import Change, changes
from osmosis_synthesize.engine.made_from import MadeFrom, normal
from osmosis_synthesize.engine.provenance import Made, Record
from osmosis_synthesize.project import Project
from osmosis_synthesize.settings import load_settings
from small_projects import Table, build, table

SQL = """
with base as (
    select id, amount_cents, status, {{ cents('amount_cents') }} as amount
    from {{ ref('stg_orders') }} as o
    where status <> 'void' -- nobody pays these
)
select id, amount, upper(status) as state, {{ cents('amount_cents') }} * 2 as twice from base
"""
CENTS = "{% macro cents(name) %}{{ name }} / 100{% endmacro %}"
ORDERS = "model.shop.orders"


def orders(sql: str, **fields: Any) -> Table:
    columns = {"id": None, "amount": None, "state": None, "twice": None}
    fields = {"raw_code": sql, "compiled_code": None, **fields}
    return table("orders", columns, sql=sql, of=["stg_orders"], **fields)


def shop(folder: Path, sql: str = SQL, *, cents: str = CENTS, text: str = "In cents.", **fields: Any) -> MadeFrom:
    """A project whose SQL is not compiled."""
    upstream = table(
        "stg_orders",
        {"id": "Number.", "amount_cents": text, "status": "Status."},
        sql="select 1 as id, 2 as amount_cents, 's' as status",
        description="One row per order.",
        compiled_code=None,
    )
    build(folder, upstream, orders(sql, **fields))
    manifest = json.loads((folder / "target/manifest.json").read_text("utf-8"))
    macro = {"name": "cents", "package_name": "shop", "macro_sql": cents, "original_file_path": "macros/cents.sql"}
    manifest["macros"] = {"macro.shop.cents": {"unique_id": "macro.shop.cents", **macro}}
    (folder / "target/manifest.json").write_text(json.dumps(manifest), "utf-8")
    project = Project(folder, load_settings(folder))
    return project._made_from()[0]


def record(made: Made, column: str | None = "amount") -> Record:
    return Record(ORDERS, column, "", "generated", "openai", "gpt-5-mini", "", made_from=made)


def parts(before: MadeFrom, after: MadeFrom, column: str | None) -> list[str]:
    return [change.part for change in changes(record(before.of(ORDERS, column), column), ORDERS, after)]


# --- what makes no difference ------------------------------------------------------------------------------------


SAME = {
    "comments": SQL.replace("select id,", "/* all */ select id, -- the number\n").replace("-- nobody pays these", ""),
    "layout": " ".join(SQL.replace("-- nobody pays these", "").split()),
    "capitals": SQL.replace("select", "SELECT").replace("from", "From").replace("upper", "UPPER"),
    "blanks of Jinja": SQL.replace("{{ cents", "{{- cents"),
    "quotes of Jinja": SQL.replace("'amount_cents'", '"amount_cents"'),
    "Jinja's comments": "{# what this is #}\n" + SQL,
}


@pytest.mark.parametrize("sql", SAME.values(), ids=SAME.keys())
def test_the_same_sql_has_the_same_hash(tmp_path: Path, sql: str) -> None:
    before, after = shop(tmp_path / "a"), shop(tmp_path / "b", sql)
    assert after.sql(ORDERS) == before.sql(ORDERS) is not None
    for column in ("amount", "state", "twice", None):
        assert before.of(ORDERS, column) == after.of(ORDERS, column)
        assert before.expression(ORDERS, column) is not None


UNRELATED = {
    "another column": SQL.replace("select id, amount, upper", "select id, amount, 7 as lucky, upper"),
    "another alias of a table": SQL.replace(" as o\n", " as the_orders\n"),
    "an alias in front": SQL.replace("select id, amount_cents, status", "select o.id, o.amount_cents, o.status"),
    "another name of a CTE": SQL.replace("base", "kept"),
    "the order": SQL.replace("id, amount, upper(status) as state", "upper(status) as state, id, amount"),
    "another expression": SQL.replace("upper(status)", "lower(status)"),
}


@pytest.mark.parametrize("sql", UNRELATED.values(), ids=UNRELATED.keys())
def test_what_changes_elsewhere_is_no_drift_of_a_column(tmp_path: Path, sql: str) -> None:
    before, after = shop(tmp_path / "a"), shop(tmp_path / "b", sql)
    assert after.sql(ORDERS) != before.sql(ORDERS)
    assert parts(before, after, "amount") == []
    assert parts(before, after, "twice") == []


@pytest.mark.parametrize("kind", ["another column", "an alias in front", "the order", "another expression"])
def test_what_is_selected_says_nothing_of_the_rows(tmp_path: Path, kind: str) -> None:
    assert parts(shop(tmp_path / "a"), shop(tmp_path / "b", UNRELATED[kind]), None) == []


def test_it_makes_no_difference_whether_dbt_has_compiled_and_for_which_target(tmp_path: Path) -> None:
    before = shop(tmp_path / "a")
    compiled = SQL.replace("{{ ref('stg_orders') }}", '"prod"."finance"."stg_orders"').replace(
        "{{ cents('amount_cents') }}", "amount_cents / 100"
    )
    after = shop(tmp_path / "b", compiled_code=compiled, relation_name='"prod"."finance"."orders"', schema="finance")
    for column in ("amount", "state", "twice", "id", None):
        assert before.of(ORDERS, column) == after.of(ORDERS, column)


def test_the_file_counts_not_what_an_older_manifest_says(tmp_path: Path) -> None:
    before = shop(tmp_path / "a")
    shop(tmp_path / "b", "select 1 as id")
    (tmp_path / "b/models/orders.sql").write_text(SQL, "utf-8")
    after = Project(tmp_path / "b", load_settings(tmp_path / "b"))._made_from()[0]
    assert before.of(ORDERS, "state") == after.of(ORDERS, "state")


# --- what does ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "column", "part"),
    [
        (SQL.replace("upper(status)", "lower(status)"), "state", "expression"),
        (SQL.replace("upper(status)", "status"), "state", "expression"),
        (SQL.replace("* 2", "* 3"), "twice", "expression"),
        (SQL.replace("status <> 'void'", "status <> 'VOID'"), None, "rows"),
        (SQL.replace("from base", "from base group by 1, 2, 3, 4"), None, "rows"),
        (SQL.replace("select id, amount, upper", "select distinct id, amount, upper"), None, "rows"),
        (SQL.replace("{{ ref('stg_orders') }}", "{{ source('x', 'y') }}"), "state", "expression"),
        (SQL.replace("upper(status) as state,", ""), "state", "sql"),
        ("select * from {{ run_query('x') }}", "state", "sql"),
        ("select )", "state", "sql"),
        ("select )", None, "sql"),
    ],
)
def test_what_has_changed_is_named(tmp_path: Path, sql: str, column: str | None, part: str) -> None:
    assert parts(shop(tmp_path / "a"), shop(tmp_path / "b", sql), column) == [part]


def test_a_macro_of_the_project_changes_what_uses_it(tmp_path: Path) -> None:
    before, after = shop(tmp_path / "a"), shop(tmp_path / "b", cents=CENTS.replace("100", "1000"))
    assert parts(before, after, "amount") == ["expression"]
    assert parts(before, after, "state") == []


def test_nothing_of_a_long_expression_is_left_out(tmp_path: Path) -> None:
    cases = " ".join(f"when id = {number} then 'a rather long text {number}'" for number in range(100))
    sql = "with b as (select case {} else 'z' end as t from {{{{ ref('stg_orders') }}}}) select upper(t) as state from b"
    before = shop(tmp_path / "a", sql.format(cases))
    after = shop(tmp_path / "b", sql.format(cases.replace("text 99", "text 98")))
    assert parts(before, after, "state") == ["expression"]


def test_the_same_column_of_another_parent_is_another_one(tmp_path: Path) -> None:
    for name, parent in (("a", "x"), ("b", "y")):
        tables = [table(one, {"v": None}, sql="select 1 as v") for one in "xy"]
        own = table("orders", {"v": None}, sql=f"select v + 1 as v from {parent}", of=["x", "y"], compiled_code=None)
        build(tmp_path / name, *tables, own)
    before, after = (Project(tmp_path / name, load_settings(tmp_path / name))._made_from()[0] for name in "ab")
    assert parts(before, after, "v") == ["expression"]


def test_texts_upstream_count_as_far_as_a_column_is_made_of_them(tmp_path: Path) -> None:
    before, after = shop(tmp_path / "a"), shop(tmp_path / "b", text="In dollars.")
    found = changes(record(before.of(ORDERS, "amount")), ORDERS, after)
    assert found == (Change("upstream", "stg_orders.amount_cents"),)
    assert parts(before, after, "state") == []
    assert parts(before, after, None) == []


@pytest.mark.parametrize("text", ["in  cents", "In cents", "", "TODO"])
def test_a_text_upstream_that_says_the_same_or_nothing_is_no_change(tmp_path: Path, text: str) -> None:
    assert parts(shop(tmp_path / "a"), shop(tmp_path / "b", text=text), "amount") == []


def test_a_text_upstream_that_was_not_there_is_no_change(tmp_path: Path) -> None:
    assert parts(shop(tmp_path / "a", text=""), shop(tmp_path / "b"), "amount") == []


def test_what_nobody_knew_has_not_changed(tmp_path: Path) -> None:
    now = shop(tmp_path)
    assert changes(record(Made()), ORDERS, now) == ()
    assert changes(record(now.of(ORDERS, "amount")), "model.shop.gone", now) == ()
    assert now.of("model.shop.gone", "x", prompt="1") == Made(prompt="1")


# --- code without what makes no difference -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("SELECT  a,b\nFROM t", "select a , b from t"),
        ("select 'It''s -- A' -- no", "select 'It''s -- A'"),
        ('select "A b", `C`', 'select "A b" , `C`'),
        ("select '/* x */' /* y */", "select '/* x */'"),
        ('{%- set A = "b" -%}', "{% set a = 'b' %}"),
        ("a {# -- #} b", "a b"),
        ("", ""),
    ],
)
def test_sql_is_brought_to_one_form(code: str, expected: str) -> None:
    assert normal(code, "sql") == expected


def test_python_keeps_its_indentation() -> None:
    code = "def model(dbt, session):\n\n    # a comment\n    X = 1  \n    return X\n"
    assert normal(code, "python") == "def model(dbt, session):\n    X = 1\n    return X"
