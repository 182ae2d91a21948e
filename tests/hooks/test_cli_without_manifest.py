"""The command line does its work where dbt has not parsed the project, or has parsed it long ago."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osmosis_hooks.cli import main
from projects import copy_demo, texts


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = copy_demo(tmp_path / "demo")
    monkeypatch.chdir(root)
    return root


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: Any) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_demo_is_filled_alike_with_a_manifest_and_without(demo: Path, tmp_path: Path, call: Call) -> None:
    other = copy_demo(tmp_path / "other")
    shutil.rmtree(other / "target")
    assert call("run", "--all", "--inherit-only")[0] == 1
    code, _, errors = call("run", "--all", "--inherit-only", "--project-dir", other)
    assert code == 1
    assert errors.count("There is no manifest") == 1
    assert texts(other) == texts(demo)
    assert call("run", "--all", "--inherit-only", "--project-dir", other)[0] == 0


def test_a_hook_on_a_few_files_needs_no_manifest(demo: Path, call: Call) -> None:
    lonely = demo / "models/staging/stg_lonely.sql"
    lonely.write_text("select * from {{ ref('stg_bikes') }}", "utf-8")
    files = ("models/marts/fct_rentals.sql", "models/staging/stg_lonely.sql")
    run, check = ("run", "--hook", *files, "--inherit-only", "--diff"), ("check", *files)
    estimate = ("estimate", *files, "--llm-provider", "facts")
    with_manifest = [call(*command)[:2] for command in (run, check, estimate)]
    assert "models/staging/_staging.yml:1:1: stg_lonely has no description" in with_manifest[1][1]
    shutil.rmtree("target")
    assert [call(*command)[:2] for command in (run, check, estimate)] == with_manifest


def test_a_commit_of_a_new_model_with_its_entry_and_its_source(demo: Path, call: Call) -> None:
    """As it happens: nobody has run dbt since."""
    folder = demo / "models/new"
    folder.mkdir()
    files = {
        "stg_gates.sql": "select gate_no as gate_id, label from {{ source('gates', 'raw_gates') }}\n",
        "gates.sql": "with base as (select * from {{ ref('stg_gates') }}) select gate_id, upper(label) as label from base\n",
        "gates.yml": (
            "version: 2\n\nsources:\n  - name: gates\n    tables:\n      - name: raw_gates\n        columns:\n"
            "          - name: gate_no\n            description: Number on the gate.\n\n"
            "models:\n  - name: stg_gates\n    columns:\n      - name: gate_id\n      - name: label\n"
            "  - name: gates\n    columns:\n      - name: gate_id\n      - name: label\n"
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    code, out, errors = call("run", "--hook", *(folder / name for name in files), "--inherit-only")
    assert code == 1
    assert (folder / "gates.yml").read_text("utf-8").count("description: Number on the gate.") == 3
    assert "gates.label" in out
    assert "manifest.json is older than 3 of the nodes (gates, gates.raw_gates, stg_gates)" in errors


def test_a_manifest_that_is_named_has_to_be_there(demo: Path, call: Call) -> None:
    for command in ("run", "check", "estimate"):
        code, _, errors = call(command, "--all", "--manifest", "target/other.json")
        assert code == 2
        assert "There is no manifest at" in errors


def test_a_manifest_that_is_half_written_is_an_error_still(demo: Path, call: Call) -> None:
    (demo / "target/manifest.json").write_text('{"metadata": {', "utf-8")
    code, _, errors = call("run", "--all", "--inherit-only")
    assert code == 2
    assert "half-written" in errors


def test_an_entry_of_a_model_that_is_not_enabled_says_so(demo: Path, call: Call) -> None:
    path = demo / "models" / "marts" / "fct_rentals.sql"
    path.write_text("{{ config(enabled=false) }}\n" + path.read_text("utf-8"), "utf-8")
    code, said, _ = call("run", "--inherit-only", "models/marts/_marts.yml")
    assert "dbt leaves it out" in said
    assert "neither the manifest" not in said
    assert code == 1
