"""What the provider ``facts`` states, and that it says nothing where nothing is proven."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.engine.descriptions import Progress
from osmosis_synthesize.engine.prepare import prepare
from osmosis_synthesize.engine.prompts import build
from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.project import Project
from osmosis_synthesize.project import Request as Wish
from osmosis_synthesize.providers.base import Message, ProviderConfig, Request
from osmosis_synthesize.providers.facts import WORDING, create
from osmosis_synthesize.settings import load_settings
from small_projects import Table, table
from small_projects import build as build_project

RAW = table("raw.orders", {"id": None, "status": None, "amount": None, "day": None, "note": None})


async def stated(folder: Path, *tables: Table) -> dict[str | None, str]:
    """What is stated about the last table (``None``) and its columns; only what is not empty."""
    root = build_project(folder, *tables)
    project = Project(root, load_settings(root))
    work = project.work(project.survey(Wish(whole_project=True)).gaps)
    asking = prepare(work, tables[-1].unique_id, Progress(work.descriptions)).asking
    assert asking is not None
    reply = await create(ProviderConfig("facts", "")).complete(build(asking.context, asking.gaps, work.style))
    assert (reply.model, reply.finish, reply.usage.input_tokens, reply.usage.output_tokens) == (WORDING, "stop", 0, 0)
    said = json.loads(reply.text)
    texts = {None: said["description"], **{item["name"]: item["description"] for item in said["columns"]}}
    return {name: text for name, text in texts.items() if text}


def check(name: str, namespace: str | None = None, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"name": name, "namespace": namespace}
    given |= {key: more.pop(key) for key in ("where", "severity") if key in more}
    if to := more.pop("to", None):
        given["to"] = to
    return given | {"arguments": more}


COLUMNS: list[tuple[str, dict[str, Any], str]] = [
    # what a column of the model is, its properties, what is stated of it
    ("id as x", {}, "Renamed from `raw.orders.id`."),
    ("id", {}, ""),
    ("cast(id as bigint) as x", {}, "`raw.orders.id` with its type changed."),
    ("cast(id as bigint) as x", {"data_type": "bigint"}, "`raw.orders.id` cast to bigint."),
    ("amount / 100 as x", {}, "Computed as `amount / 100`."),
    ("sum(amount) as x", {}, "Computed as `SUM(amount)`."),
    ("count(*) as x", {}, "Computed as `COUNT(*)`."),
    ("'web' as x", {}, "Computed as `'web'`."),
    (
        "case when amount > 0 then " + " + ".join(["amount"] * 40) + " end as x",
        {},
        "Computed from `raw.orders.amount`.",
    ),
    ("id", {"tests": ["unique", "not_null"]}, "Primary key of m."),
    ("id", {"tests": ["unique"]}, "Unique in m."),
    ("id", {"tests": ["not_null"]}, ""),
    ("id", {"tests": [check("unique", where="day > '2020-01-01'"), "not_null"]}, ""),
    ("id", {"tests": ["unique", check("not_null", where="day > '2020-01-01'")]}, "Unique in m."),
    ("id", {"tests": [check("unique", namespace="my_package"), "not_null"]}, ""),
    ("id", {"tests": [check("relationships", to="customers", field="id")]}, "Foreign key to customers.id."),
    ("id", {"tests": [check("relationships", to="raw.orders", field="id")]}, "Foreign key to raw.orders.id."),
    ("id", {"tests": [check("relationships", to="customers", field="id", where="id > 5")]}, ""),
    ("id", {"tests": [check("relationships", to="customers", field="id", severity="warn")]}, ""),
    ("id", {"tests": [check("relationships", "my_package", to="customers", field="id")]}, ""),
    ("id", {"tests": [check("unique", severity="warn"), "not_null"]}, ""),
    ("id", {"tests": [check("relationships", to="customers")]}, ""),
    (
        "id",
        {"tests": ["unique", "not_null", check("relationships", to="customers", field="id")]},
        "Primary key of m. Refers to customers.id.",
    ),
    ("status", {"tests": [check("accepted_values", values=["open", "paid"])]}, "One of: open, paid."),
    ("status", {"tests": [check("accepted_values", values=["open"])]}, "The only value is open."),
    ("status", {"tests": [check("accepted_values", values=[True, False])]}, "One of: true, false."),
    ("status", {"tests": [check("accepted_values", values=[1, 2.5])]}, "One of: 1, 2.5."),
    ("status", {"tests": [check("accepted_values", values=[])]}, ""),
    ("status", {"tests": [check("accepted_values", values="open")]}, ""),
    ("status", {"tests": [check("accepted_values", values=["open", "paid"], where="id > 5")]}, ""),
    (
        "status",
        {"tests": [check("accepted_values", values=[f"v{number}" for number in range(25)])]},
        "One of 25 accepted values, among them " + ", ".join(f"v{number}" for number in range(19)) + " and v19.",
    ),
    (
        "status as x",
        {"tests": ["unique", check("accepted_values", values=["open", "paid"])]},
        "Unique in m. Renamed from `raw.orders.status`. One of: open, paid.",
    ),
]


@pytest.mark.parametrize(("selected", "properties", "expected"), COLUMNS)
async def test_columns(tmp_path: Path, selected: str, properties: Mapping[str, Any], expected: str) -> None:
    name = selected.rpartition(" as ")[2]
    model = table("m", {name: properties}, sql=f"select {selected} from orders", of=["raw.orders"])
    customers = table("customers", {"id": "Number of the customer."}, description="Customers.")
    said = await stated(tmp_path, RAW, customers, model)
    assert said.get(name, "") == expected


TABLES = [
    (table("m", {"id": "x"}, sql="select id from orders", of=["raw.orders"]), "Built from raw.orders."),
    (
        table(
            "m", {"id": "x"}, sql="select id from orders join customers using (id)", of=["raw.orders", "customers"]
        ),
        "Built from customers and raw.orders.",
    ),
    (
        table("m", {"id": {"description": "x", "tests": ["unique", "not_null"]}}, sql="select 1 as id"),
        "One row per id.",
    ),
    (
        table("m", {"id": "x"}, sql="select 1 as id", constraints=[{"type": "primary_key", "columns": ["a", "b"]}]),
        "One row per a and b.",
    ),
    (
        table(
            "m",
            tests=[check("unique_combination_of_columns", namespace="dbt_utils", combination_of_columns=["a", "b"])],
        ),
        "One row per a and b.",
    ),
    (
        table("m", tests=[check("unique_combination_of_columns", where="a > 1", combination_of_columns=["a", "b"])]),
        "",
    ),
    (
        table(
            "m", sql="select status, day, sum(amount) as total from orders group by status, day", of=["raw.orders"]
        ),
        "One row per status and day. Built from raw.orders.",
    ),
    (
        table(
            "m",
            sql="select date_trunc('month', day) as month, sum(amount) as t from orders group by 1",
            of=["raw.orders"],
        ),
        "One row per month. Built from raw.orders.",
    ),
    # grouped by the input column: two statuses that differ in case are two rows
    (
        table(
            "m", sql="select lower(status) as status, sum(amount) as t from orders group by status", of=["raw.orders"]
        ),
        "Built from raw.orders.",
    ),
    (
        table(
            "m", sql="select cast(day as date) as day, sum(amount) as t from orders group by day", of=["raw.orders"]
        ),
        "Built from raw.orders.",
    ),
    # what it is grouped by is not among the columns
    (
        table("m", sql="select sum(amount) as t from orders group by status", of=["raw.orders"]),
        "Built from raw.orders.",
    ),
    (
        table("m", sql="select id from orders where status = 'paid' and amount > 0", of=["raw.orders"]),
        "Built from raw.orders. Keeps only rows where `status = 'paid'` and `amount > 0`.",
    ),
    (
        table("m", sql="select id from orders", of=["raw.orders"], config={"materialized": "incremental"}),
        "Built from raw.orders. Built incrementally.",
    ),
    (table("m", config={"materialized": "incremental"}), ""),
    (
        table(
            "m", sql="select * from orders", of=["raw.orders"], kind="snapshot", config={"materialized": "snapshot"}
        ),
        "Snapshot of raw.orders.",
    ),
    (table("plans", kind="seed"), ""),
    (table("raw.other"), ""),
    (table("m", sql="def model(dbt, session): ...", of=["raw.orders"], language="python"), "Built from raw.orders."),
]


@pytest.mark.parametrize(("model", "expected"), TABLES, ids=range(len(TABLES)))
async def test_tables(tmp_path: Path, model: Table, expected: str) -> None:
    said = await stated(tmp_path, RAW, table("customers", sql="select 1 as id"), model)
    assert said.get(None, "") == expected


async def test_a_name_proves_nothing(tmp_path: Path) -> None:
    names = ("id", "customer_id", "created_at", "is_active", "total_amount", "status", "email")
    raw = table("raw.people", dict.fromkeys(names))
    model = table("m", dict.fromkeys(names), sql="select * from people", of=["raw.people"])
    said = await stated(tmp_path, raw, model)
    assert set(said) == {None}


async def test_without_a_subject_there_is_nothing_to_answer_from() -> None:
    with pytest.raises(ProviderSetupError, match="only about a project's own tables"):
        await create(ProviderConfig("facts", "")).complete(Request((Message("user", "Tell me a story."),)))
