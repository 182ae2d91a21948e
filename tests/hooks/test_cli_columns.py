"""``--add-columns`` and ``--upstream``: what is done beyond the gaps that a schema file lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servers import FakeLLMServer
from small_projects import SCHEMA, build, table

RAW = table(
    "raw.orders",
    {"id": "Number of the order.", "amount": "What it cost, in cents.", "note": "What the customer wrote."},
    description="Orders.",
    file="models/raw.yml",
)


def text_of(root: Path, file: str = SCHEMA) -> str:
    return (root / file).read_text("utf-8")


def orders(
    columns: dict[str, Any], sql: str = "select id, amount, amount / 100 as total, note from orders", **more: Any
) -> Any:
    return table("stg_orders", columns, sql=sql, of=["raw.orders"], description="Staged.", **more)


def test_columns_are_added_in_the_order_of_the_sql_with_what_they_inherit(
    tmp_path: Path, call: Callable[..., Any]
) -> None:
    root = build(tmp_path, RAW, orders({"amount": "Cents."}))
    result = call("run", root / SCHEMA, "--add-columns", "--inherit-only")
    assert result.code == 1
    assert text_of(root).split("columns:\n")[1] == (
        "      - name: id\n"
        '        description: "Number of the order."\n'
        "      - name: amount\n"
        '        description: "Cents."\n'
        "      - name: total\n"
        "      - name: note\n"
        '        description: "What the customer wrote."\n'
    )
    assert "stg_orders.total stays a gap" in result.out
    # The column that nothing could be said of is an ordinary gap from now on.
    assert call("run", root / SCHEMA, "--add-columns", "--inherit-only").code == 0


def test_without_the_option_no_column_is_added(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(tmp_path, RAW, orders({"amount": "Cents."}))
    before = text_of(root)
    assert call("run", root / SCHEMA, "--inherit-only").code == 0
    assert text_of(root) == before


def test_the_catalog_knows_better_than_the_sql(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(tmp_path, RAW, orders({"AMOUNT": {"description": "Cents.", "data_type": "bigint"}}))
    columns = {"NOTE": "varchar", "AMOUNT": "bigint", "ID": "integer"}
    entry = {
        "metadata": {"type": "VIEW", "schema": "s", "name": "stg_orders"},
        "columns": {
            name: {"type": kind, "index": at, "name": name} for at, (name, kind) in enumerate(columns.items(), 1)
        },
        "stats": {},
    }
    catalog = {"metadata": {}, "nodes": {"model.shop.stg_orders": entry}, "sources": {}}
    (root / "target/catalog.json").write_text(json.dumps(catalog), "utf-8")
    call("run", root / SCHEMA, "--add-columns", "--inherit-only")
    added = text_of(root).split("columns:\n")[1]
    assert [line.split()[-1] for line in added.splitlines() if "- name:" in line] == ["NOTE", "AMOUNT", "ID"]
    assert "data_type: varchar" in added  # as the other columns say theirs
    assert "total" not in added


def test_a_star_that_cannot_be_expanded_adds_nothing(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(tmp_path, RAW, orders({"amount": "Cents."}, sql="select * from somewhere_else"))
    before = text_of(root)
    assert call("run", root / SCHEMA, "--add-columns", "--inherit-only").code == 0
    assert text_of(root) == before


def test_a_model_without_an_entry_gets_one_with_its_columns(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(
        tmp_path, RAW, table("stg_orders", sql="select id as order_id from orders", of=["raw.orders"], file=None)
    )
    assert (
        call("run", root / "models/stg_orders.sql", "--add-columns", "--offline", "--llm-provider", "facts").code == 1
    )
    assert text_of(root) == (
        "version: 2\n\nmodels:\n  - name: stg_orders\n    description: Built from raw.orders.\n"
        "    columns:\n      - name: order_id\n        description: Number of the order.\n"
    )


def test_versions_get_what_all_of_them_have(tmp_path: Path, call: Callable[..., Any]) -> None:
    versions = [
        table("m", {"id": "Id."}, sql=sql, of=["raw.orders"], version=version, description="It.", latest_version=2)
        for version, sql in (("1", "select id, amount, note from orders"), ("2", "select id, note from orders"))
    ]
    root = build(tmp_path, RAW, *versions)
    (root / SCHEMA).write_text(
        "models:\n  - name: m\n    description: It.\n    columns:\n      - name: id\n        description: Id.\n"
        "    versions:\n      - v: 1\n      - v: 2\n",
        "utf-8",
    )
    call("run", root / SCHEMA, "--add-columns", "--inherit-only")
    assert "- name: note" in text_of(root)
    assert "- name: amount" not in text_of(root)


STAGED = table(
    "stg", {"paid": None, "id": "Id."}, sql="select id, amount as paid from t", of=["raw.t"], description="It."
)
BARE = table("raw.t", {"id": "Id.", "amount": None}, file="models/raw.yml", description="Raw.")
MARTS = [
    table(
        f"mart_{at}",
        {"paid": None},
        sql="select paid from stg",
        of=["stg"],
        file="models/marts.yml",
        description="M.",
    )
    for at in range(3)
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", "made-up-for-tests")
    with FakeLLMServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield server


def test_a_shared_column_upstream_is_described_once_and_inherited(
    tmp_path: Path, call: Callable[..., Any], server: FakeLLMServer
) -> None:
    root = build(tmp_path, BARE, STAGED, *MARTS)
    marts = root / "models/marts.yml"
    estimate = call("estimate", marts).out
    assert (
        "raw.t.amount: described first (--upstream), it would save 2 descriptions: mart_0.paid, mart_1.paid, mart_2.paid"
        in estimate
    )
    assert "asked in 3 calls" in estimate
    assert "asked in 1 call" in call("estimate", marts, "--upstream").out
    result = call("run", marts, "--upstream")
    assert result.code == 1
    assert len(server.requests) == 1
    assert "raw.t" in server.requests[0].prompt
    assert text_of(root, "models/raw.yml").count("Made up for tests: amount.") == 1
    assert text_of(root, "models/marts.yml").count("Made up for tests: amount.") == 3


def test_without_the_option_only_what_was_asked_for_is_touched(
    tmp_path: Path, call: Callable[..., Any], server: FakeLLMServer
) -> None:
    root = build(tmp_path, BARE, STAGED, *MARTS)
    before = text_of(root, "models/raw.yml"), text_of(root)
    call("run", root / "models/marts.yml")
    assert len(server.requests) == 3
    assert (text_of(root, "models/raw.yml"), text_of(root)) == before


def test_a_column_that_serves_one_gap_is_no_saving(
    tmp_path: Path, call: Callable[..., Any], server: FakeLLMServer
) -> None:
    root = build(tmp_path, BARE, STAGED, MARTS[0])
    assert "--upstream" not in call("estimate", root / "models/marts.yml").out
    call("run", root / "models/marts.yml", "--upstream")
    assert "mart_0" in server.requests[0].prompt
    assert "Made up" not in text_of(root, "models/raw.yml")
