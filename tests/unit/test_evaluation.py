"""The measurement of inheritance: its counts are right, and on the demo they are good."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.evaluate_inheritance import main
from projects import DEMO
from small_projects import build, table

BENCH = Path(__file__).parents[1] / "bench"


def measure(project: Path, report: Path, *options: str) -> dict[str, Any]:
    assert main([str(project), "--json", str(report), *options]) == 0
    return json.loads(report.read_text("utf-8"))


def test_on_the_demo_inheritance_is_precise_and_finds_more_than_names_do(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = [str(DEMO), "--json", str(report), "--judged", str(BENCH / "judged.json")]
    command = [sys.executable, str(BENCH / "evaluate_inheritance.py"), *options]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "name-only" in done.stdout
    found = json.loads(report.read_text("utf-8"))
    lineage, names = found["methods"]["lineage"], found["methods"]["name-only"]
    assert found["hidden"] >= 30
    assert lineage["precision"] >= 0.98
    assert lineage["recall"] >= 0.9
    assert lineage["recall"] > names["recall"]
    assert names["precision"] < lineage["precision"]


RAW = table("raw.a", {"id": "Number of the order.", "cents": "Amount in cents."})

# What the hidden text of the one model's column says, and what follows for lineage and for names.
CASES = [
    ("select id as x from a", "number of  the ORDER", "exact", "missing"),
    ("select id as x from a", "{{ doc('number') }}", "exact", "missing"),
    ("select id as x from a", "Number of the customer's order.", "near", "missing"),
    ("select id as x from a", "Something else altogether.", "wrong", "not inheritable"),
    ("select cents / 100 as x from a", "Amount in euros.", "not inheritable", "not inheritable"),
    ("select cents / 100 as x from a", "Amount in cents.", "missing", "missing"),
    ("select 'a' as x from a", "A letter.", "not inheritable", "not inheritable"),
]


@pytest.mark.parametrize(("sql", "text", "by_lineage", "by_name"), CASES)
def test_each_hidden_text_is_in_one_count(tmp_path: Path, sql: str, text: str, by_lineage: str, by_name: str) -> None:
    child = table("child", {"x": text}, sql=sql, of=["raw.a"])
    project = build(tmp_path / "project", RAW, child, docs={"number": "Number of the order"})
    found = measure(project, tmp_path / "report.json")
    assert found["hidden"] == 1
    assert found["inheritable"] == int("not inheritable" not in {by_lineage, by_name} or by_lineage == "exact")
    for method, expected in (("lineage", by_lineage), ("name-only", by_name)):
        counts = found["methods"][method]
        kinds = ("exact", "near", "wrong", "missing", "not inheritable")
        assert {kind: counts[kind] for kind in kinds if counts[kind]} == {expected: 1}


def test_names_find_the_nearest_documented_ancestor(tmp_path: Path) -> None:
    far = table("far", {"id": None}, sql="select id from a", of=["raw.a"])
    child = table("child", {"id": "Number of the order."}, sql="select * from far", of=["far"])
    found = measure(build(tmp_path / "project", RAW, far, child), tmp_path / "report.json")
    assert found["methods"]["name-only"]["exact"] == 1


def test_a_text_of_all_versions_is_hidden_from_all_and_counted_once(tmp_path: Path) -> None:
    versions = [
        table("m", {"id": "Order."}, sql="select id from a", of=["raw.a"], version="1", latest_version="2"),
        table("m", {"id": "Order."}, sql="select id from m_v1", of=["m.v1"], version="2", latest_version="2"),
    ]
    found = measure(build(tmp_path / "project", RAW, *versions), tmp_path / "report.json")
    assert found["hidden"] == 1
    assert found["methods"]["lineage"]["exact"] == 0, "it must not be inherited from the other version"


def test_what_a_person_judged_counts_as_near(tmp_path: Path) -> None:
    child = table("child", {"x": "Receipt."}, sql="select id as x from a", of=["raw.a"])
    project = build(tmp_path / "project", RAW, child)
    judged = tmp_path / "judged.json"
    judged.write_text(json.dumps([["number of the order", "Receipt"]]), "utf-8")
    assert measure(project, tmp_path / "report.json")["methods"]["lineage"]["wrong"] == 1
    assert measure(project, tmp_path / "report.json", "--judged", str(judged))["methods"]["lineage"]["near"] == 1
