"""Drift with a real dbt: what dbt does to the manifest is no drift, what people do to the SQL is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from osmosis_hooks.cli import main
from osmosis_synthesize.engine.provenance import FILE
from projects import copy_demo

# Read at import: the tests' own environment is free of OSMOSIS_… variables.
DBT = shutil.which(os.environ.get("OSMOSIS_TEST_DBT") or "dbt")

pytestmark = pytest.mark.skipif(DBT is None, reason="needs dbt: OSMOSIS_TEST_DBT names it")


def dbt(root: Path, command: str, *options: str) -> None:
    """Has dbt write the manifest anew."""
    assert DBT is not None
    shutil.rmtree(root / "target", ignore_errors=True)
    done = subprocess.run(
        [DBT, "--no-send-anonymous-usage-stats", command, "--profiles-dir", ".", *options],
        cwd=root,
        env={name: value for name, value in os.environ.items() if not name.startswith("OSMOSIS_")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def forget_sql(root: Path) -> None:
    """As if all SQL had changed somewhere: then it is read, and each expression compared."""
    file = root / FILE
    text = file.read_text("utf-8")
    assert text.count('"sql":"') > 20
    file.write_text(text.replace('"sql":"', '"sql":"0'), "utf-8")


def test_dbt_makes_no_drift_and_people_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy_demo(tmp_path / "demo")
    project = ["--all", "--project-dir", str(root)]
    dbt(root, "parse")
    assert main(["run", *project, "--llm-provider", "facts"]) == 1
    forget_sql(root)
    capsys.readouterr()
    assert main(["drift", *project]) == 0

    replace(root / "profiles.yml", "threads: 1", "threads: 1\n      schema: somebodys")
    dbt(root, "compile")
    manifest = (root / "target/manifest.json").read_text("utf-8")
    assert manifest.count('"compiled_code"') > 5
    assert "somebodys" in manifest
    assert main(["drift", *project]) == 0
    assert capsys.readouterr().out == ""

    replace(root / "models/staging/stg_repairs.sql", "parts_cents / 100", "parts_cents / 1000")
    assert main(["drift", *project]) == 1
    dbt(root, "parse")
    assert main(["drift", *project]) == 1
    for line in capsys.readouterr().out.splitlines():
        assert "stg_repairs.parts_cost: its expression has changed since the description was written" in line
