"""Texts that are true of the column they stand at, and would not be of one that takes it."""

from __future__ import annotations

from pathlib import Path

from osmosis_synthesize.engine.descriptions import Progress
from osmosis_synthesize.engine.prepare import prepare
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings
from small_projects import SCHEMA, Table, build, table

RAW = table(
    "raw.t",
    {"a": "First.", "b": "Second.", "key": "Primary key of the table.", "is_on": "True if it is on."},
    description="Raw.",
    file="models/raw.yml",
)


def inherited(root: Path) -> dict[str, str]:
    project = Project(root, load_settings(root))
    work = project.work(project.survey(Request(whole_project=True)).gaps)
    progress = Progress(work.descriptions)
    prepared = [prepare(work, unique_id, progress) for unique_id in work.order]
    return {proposal.gap.label: proposal.text for one in prepared for proposal in one.proposals}


def versions(tmp_path: Path, one: str, two: str, items: str = "      - v: 1\n      - v: 2\n") -> Path:
    def version(number: str, sql: str) -> Table:
        return table("m", {"x": None}, sql=sql, of=["raw.t"], version=number, description="It.", latest_version=2)

    root = build(tmp_path, RAW, version("1", one), version("2", two))
    (root / SCHEMA).write_text(
        f"models:\n  - name: m\n    description: It.\n    columns:\n      - name: x\n    versions:\n{items}", "utf-8"
    )
    return root


def test_a_text_for_all_versions_is_true_of_all(tmp_path: Path) -> None:
    assert inherited(versions(tmp_path / "1", "select a as x from t", "select a as x from t")) == {"m.v2.x": "First."}
    assert inherited(versions(tmp_path / "2", "select a as x from t", "select b as x from t")) == {}
    assert inherited(versions(tmp_path / "3", "select a / 2 as x from t", "select a as x from t")) == {}


def test_a_version_s_own_column_is_its_own(tmp_path: Path) -> None:
    items = "      - v: 1\n        columns:\n          - include: all\n            exclude: [x]\n          - name: x\n      - v: 2\n"
    root = versions(tmp_path, "select b as x from t", "select a as x from t", items)
    assert inherited(root) == {"m.v1.x": "Second.", "m.v2.x": "First."}


def test_a_key_that_is_taken_twice_is_not_the_key(tmp_path: Path) -> None:
    joined = "select l.key as own_key, r.key as parent_key, l.a from t as l join t as r on l.b = r.a"
    model = table("m", {"own_key": None, "parent_key": None, "a": None}, sql=joined, of=["raw.t"], description="It.")
    assert inherited(build(tmp_path / "1", RAW, model)) == {"m.a": "First."}
    once = table("m", {"own_key": None}, sql="select key as own_key from t", of=["raw.t"], description="It.")
    assert inherited(build(tmp_path / "2", RAW, once)) == {"m.own_key": "Primary key of the table."}


def test_truth_is_not_a_number(tmp_path: Path) -> None:
    model = table("m", {"is_on": None}, sql="select is_on::int as is_on from t", of=["raw.t"], description="It.")
    assert inherited(build(tmp_path, RAW, model)) == {}
