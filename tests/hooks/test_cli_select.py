"""`--select` takes names and dbt's selectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osmosis_hooks.cli import main
from osmosis_synthesize.manifest.load import load
from projects import copy_demo


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = copy_demo(tmp_path / "demo")
    monkeypatch.chdir(root)
    return root


def nodes_of(capsys: pytest.CaptureFixture[str], *words: str) -> set[str]:
    """The nodes whose gaps `check` lists."""
    assert main(["check", "--json", "-", *words]) in {0, 1}
    return {gap["unique_id"].split(".", 2)[2] for gap in json.loads(capsys.readouterr().out)["gaps"]}


@pytest.mark.usefixtures("demo")
def test_a_selector_means_nodes_wherever_their_entries_stand(capsys: pytest.CaptureFixture[str]) -> None:
    everything = nodes_of(capsys, "--all")
    upstream = nodes_of(capsys, "--select", "+fct_rentals")
    assert {"fct_rentals", "stg_rentals"} <= upstream < everything
    assert nodes_of(capsys, "--select", "+fct_rentals,path:models/staging") == {
        name for name in upstream if name.startswith("stg_")
    }
    assert nodes_of(capsys, "--select", "fct_rentals", "--select", "dim_riders") == {"fct_rentals", "dim_riders"}
    assert nodes_of(capsys, "--select", "source:billing") == {n for n in everything if n.startswith("billing.")}
    assert nodes_of(capsys, "--select", "dim_bikes") == {n for n in everything if n.startswith("dim_bikes")}


@pytest.mark.usefixtures("demo")
def test_files_and_a_selector_are_what_both_mean(capsys: pytest.CaptureFixture[str]) -> None:
    found = nodes_of(capsys, "--select", "+fct_rentals", "models/staging/_staging.yml")
    assert found
    assert all(name.startswith("stg_") for name in found)


def test_run_fills_what_is_selected_and_nothing_else(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--select", "1+dim_riders", "--facts", "--offline", "--json", "-"]) == 1
    filled = {item["unique_id"].split(".", 2)[2] for item in json.loads(capsys.readouterr().out)["filled"]}
    parents = load(demo / "target/manifest.json").parents("model.quayside.dim_riders")
    assert {"dim_riders"} < filled <= {"dim_riders", *(parent.split(".", 2)[2] for parent in parents)}
    assert nodes_of(capsys, "--select", "fct_rentals") == {"fct_rentals"}


@pytest.mark.usefixtures("demo")
def test_what_means_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--select", "tag:no_such_tag"]) == 2
    assert "Nothing here is called tag:no_such_tag" in capsys.readouterr().err
    assert main(["check", "--select", "state:modified"]) == 2
    assert "no method 'state'" in capsys.readouterr().err
