"""Where texts come from, on the command line: recorded by ``run``, shown by ``review``, ``check --reviewed`` and ``drift``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.engine.provenance import FILE
from small_projects import SCHEMA, Table, build, table

Call = Callable[..., Any]

STATE = "upper(status)"


def tables(state: str = STATE) -> list[Table]:
    return [
        table("raw.events", {"id": "Number.", "status": "Status."}, description="Raw.", file="models/raw.yml"),
        table(
            "orders",
            {"id": None, "state": None},
            sql=f"select id, {state} as state from events",
            of=["raw.events"],
            description="All orders.",
        ),
    ]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return build(tmp_path, *tables())


def fill(call: Call, *options: str) -> Any:
    return call("run", "--all", "--llm-provider", "facts", *options)


def lines(root: Path) -> list[dict[str, Any]]:
    file = root / FILE
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")


# --- recording ---------------------------------------------------------------------------------------------------


def test_generated_texts_are_recorded_and_inherited_ones_are_not(shop: Path, call: Call) -> None:
    assert fill(call).code == 1
    (line,) = lines(shop)
    assert (line["node"], line["column"]) == ("model.shop.orders", "state")
    assert (line["origin"], line["provider"], line["reviewed"]) == ("generated", "facts", False)
    assert line["made_from"]["upstream"].keys() == {"source.shop.raw.events.status"}
    before = (shop / FILE).read_bytes()
    assert fill(call).code == 0
    assert (shop / FILE).read_bytes() == before


def test_a_hook_says_that_the_file_is_new(shop: Path, call: Call) -> None:
    said = f"{FILE} is new: it records where these texts come from; commit it too.\n"
    assert call("run", "--hook", "--offline", "--facts", shop / SCHEMA).err == said
    edit(shop / SCHEMA, "All orders.", "TODO")
    assert said not in call("run", "--hook", "--offline", "--facts", shop / SCHEMA).err


@pytest.mark.parametrize("options", [["--diff"], ["--inherit-only"]])
def test_what_is_not_written_is_not_recorded(shop: Path, call: Call, options: list[str]) -> None:
    fill(call, *options)
    assert not (shop / FILE).exists()


def test_nothing_is_recorded_unasked(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(tmp_path, *tables(), settings={"provenance": "none"})
    assert fill(call).code == 1
    assert not (tmp_path / ".osmosis").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_records_that_cannot_be_written_are_told_and_the_texts_stay(shop: Path, call: Call) -> None:
    outside = shop.parent / f"{shop.name}-outside"
    outside.mkdir()
    (shop / ".osmosis").symlink_to(outside)
    result = fill(call)
    assert result.code == 2
    assert "provenance.jsonl was not written: it lies outside the project" in result.err
    assert "UPPER(status)" in (shop / SCHEMA).read_text("utf-8")
    assert list(outside.iterdir()) == []


def test_other_lines_stay_whatever_they_are(shop: Path, call: Call) -> None:
    (shop / FILE).parent.mkdir()
    (shop / FILE).write_text("<<<<<<< HEAD\n", "utf-8")
    fill(call)
    text = (shop / FILE).read_text("utf-8")
    assert text.startswith("<<<<<<< HEAD\n{")
    result = call("review", "--all")
    assert "holds the conflict of a merge (line 1)" in result.err
    assert "orders.state" in result.out


# --- review ------------------------------------------------------------------------------------------------------


def test_what_nobody_has_accepted_is_listed_until_somebody_does(shop: Path, call: Call) -> None:
    fill(call)
    assert call("check", "--all").code == 0
    result = call("review", SCHEMA)
    assert result.code == 0
    assert result.out.splitlines()[0] == f"{SCHEMA}:10:22: orders.state: 'Computed as `UPPER(status)`.'"
    result = call("check", "--reviewed", SCHEMA)
    assert result.code == 1
    assert result.out == f"{SCHEMA}:10:22: orders.state was described by facts, and nobody has accepted that yet\n"

    assert call("review", SCHEMA, "--accept").out.endswith("1 text accepted.\n")
    assert call("check", "--reviewed", SCHEMA).code == 0
    assert call("review", "--all").out == ""
    assert [line["reviewed"] for line in lines(shop)] == [True]
    before = (shop / FILE).read_bytes()
    assert call("review", "--all", "--accept").out == "0 texts accepted.\n"
    assert (shop / FILE).read_bytes() == before


def test_only_what_is_selected_is_accepted(shop: Path, call: Call) -> None:
    fill(call)
    call("review", "--all", "--select", "raw.events", "--accept")
    assert call("check", "--reviewed", "--all").code == 1
    call("review", "--all", "--select", "orders", "--accept")
    assert call("check", "--reviewed", "--all").code == 0


def test_the_list_as_json(shop: Path, call: Call) -> None:
    fill(call)
    for command in (["review"], ["check", "--reviewed"]):
        (text,) = json.loads(call(*command, "--all", "--json").out)["texts"]
        assert text["file"] == SCHEMA
        assert (text["line"], text["unique_id"], text["column"]) == (10, "model.shop.orders", "state")
        assert text["text"] == "Computed as `UPPER(status)`."
        assert text["reviewed"] is False


def test_nothing_recorded_is_nothing_to_review(shop: Path, call: Call) -> None:
    for command in (["review"], ["review", "--accept"], ["drift"], ["check", "--reviewed"]):
        result = call(*command, "--all")
        assert result.code == 0
        assert not (shop / ".osmosis").exists()


def test_what_is_gone_is_forgotten_when_everything_is_accepted(shop: Path, call: Call) -> None:
    fill(call)
    edit(shop / SCHEMA, "name: state", "name: status_in_capitals")
    call("review", SCHEMA, "--accept")
    assert [line["column"] for line in lines(shop)] == ["state"]
    (shop / "models/broken.yml").write_text("models: [", "utf-8")
    call("review", "--all", "--accept")
    assert [line["column"] for line in lines(shop)] == ["state"]
    (shop / "models/broken.yml").unlink()
    call("review", "--all", "--accept")
    assert lines(shop) == []


# --- a human's text ----------------------------------------------------------------------------------------------


def test_what_a_human_edits_is_theirs(shop: Path, call: Call) -> None:
    fill(call)
    edit(shop / SCHEMA, "Computed as `UPPER(status)`.", "State, in capitals.")
    before = (shop / SCHEMA).read_bytes(), (shop / FILE).read_bytes()
    assert fill(call).code == 0
    assert ((shop / SCHEMA).read_bytes(), (shop / FILE).read_bytes()) == before
    assert call("check", "--reviewed", "--all").code == 0
    result = call("drift", "--all")
    assert result.code == 0
    assert result.out == f"{SCHEMA}:10:22: orders.state: a human has edited the description since it was generated\n"

    build(shop, *tables("lower(status)"), settings={})
    edit(shop / SCHEMA, "name: state", "name: state\n        description: State, in capitals.")
    result = call("drift", "--all")
    assert result.code == 1
    assert "its expression has changed since the description was written" in result.out
    call("review", "--all", "--accept")
    assert call("drift", "--all").out == ""
    assert [(line["origin"], line["reviewed"]) for line in lines(shop)] == [("edited", True)]


def test_a_formatter_is_no_human(shop: Path, call: Call) -> None:
    fill(call)
    edit(shop / SCHEMA, '"Computed as `UPPER(status)`."', ">\n          Computed as\n          `UPPER(status)`.")
    assert call("drift", "--all").out == ""
    assert call("check", "--reviewed", "--all").code == 1


def test_a_text_that_was_taken_out_is_a_gap_like_any(shop: Path, call: Call) -> None:
    fill(call)
    build(shop, *tables())
    assert call("review", "--all").out == ""
    assert call("drift", "--all").out == ""
    assert fill(call).code == 1
    assert len(lines(shop)) == 1


# --- drift -------------------------------------------------------------------------------------------------------


def test_a_changed_expression_is_drift_until_it_is_accepted(shop: Path, call: Call) -> None:
    fill(call)
    assert call("drift", "--all").code == 0
    (shop / "models/orders.sql").write_text("select id, lower(status) as state from events", "utf-8")
    message = f"{SCHEMA}:10:22: orders.state: its expression has changed since the description was written\n"
    for what in (["--all"], [SCHEMA], ["models/orders.sql"], ["--hook", "models/orders.sql", "README.md"]):
        result = call("drift", *what)
        assert (result.code, result.out) == (1, message), result.err
    (found,) = json.loads(call("drift", "--all", "--json").out)["drifted"]
    assert found["changed"] == [{"part": "expression"}]
    assert found["unique_id"] == "model.shop.orders"
    before = {path: path.read_bytes() for path in shop.rglob("*.*ml")}
    assert call("review", "--all", "--accept").code == 0
    assert {path: path.read_bytes() for path in shop.rglob("*.*ml")} == before
    assert call("drift", "--all").code == 0
    (shop / "models/orders.sql").write_text("select id, status || '' as state from events", "utf-8")
    assert "since the description was reviewed" in call("drift", "--all").out


def test_a_changed_text_upstream_is_drift(shop: Path, call: Call) -> None:
    fill(call)
    edit(shop / "models/raw.yml", "Status.", "Number of items.")
    result = call("drift", "--all", "--json")
    assert result.code == 1
    (found,) = json.loads(result.out)["drifted"]
    assert found["changed"] == [{"part": "upstream", "of": "raw.events.status"}]
    assert "the description of raw.events.status has changed" in call("drift", SCHEMA).out


def test_without_a_manifest_the_files_are_enough(shop: Path, call: Call) -> None:
    fill(call)
    (shop / "target/manifest.json").unlink()
    (shop / "models/orders.sql").write_text(
        "select id, upper(status) as state from {{ source('raw', 'events') }}", "utf-8"
    )
    result = call("drift", "--all")
    assert "There is no manifest" in result.err
    assert result.code == 0, result.out
    (shop / "models/orders.sql").write_text(
        "select id, lower(status) as state from {{ source('raw', 'events') }}", "utf-8"
    )
    assert call("drift", "--all").code == 1


def test_a_file_that_cannot_be_read_is_an_error(shop: Path, call: Call) -> None:
    fill(call)
    (shop / SCHEMA).write_text("models: [", "utf-8")
    assert call("drift", "--all").code == 2
    assert call("review", "--all").code == 2


def test_versions_of_a_model_share_a_record(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = "version: 2\nmodels:\n  - name: orders\n    description: Orders.\n    latest_version: {}\n    columns:\n      - name: state\n    versions:\n"

    def project(latest: int) -> None:
        own = [
            table(
                "orders",
                {"state": None},
                sql="select upper(status) as state from events",
                of=["raw.events"],
                file=None,
                version=str(version),
                latest_version=str(latest),
                patch_path=f"shop://{SCHEMA}",
            )
            for version in range(1, latest + 1)
        ]
        build(tmp_path, tables()[0], *own)
        versions = "".join(f"      - v: {version}\n" for version in range(1, latest + 1))
        (tmp_path / SCHEMA).write_text(entry.format(latest) + versions, "utf-8")

    project(1)
    fill(call)
    text = (tmp_path / SCHEMA).read_text("utf-8")
    assert "UPPER(status)" in text
    assert [line["node"] for line in lines(tmp_path)] == ["model.shop.orders"]
    project(2)
    (tmp_path / SCHEMA).write_text(text.replace("latest_version: 1", "latest_version: 2") + "      - v: 2\n", "utf-8")
    assert call("drift", "--all").out == ""
    assert call("review", "--all").out.startswith(f"{SCHEMA}:")


# --- beside the texts --------------------------------------------------------------------------------------------


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return build(tmp_path, *tables(), settings={"provenance": "meta"})


def test_records_may_stand_beside_their_texts(beside: Path, call: Call) -> None:
    assert fill(call).code == 1
    assert not (beside / ".osmosis").exists()
    text = (beside / SCHEMA).read_text("utf-8")
    assert text.count("osmosis_provenance: '{") == 1
    assert fill(call).code == 0
    assert (beside / SCHEMA).read_text("utf-8") == text

    assert call("check", "--reviewed", SCHEMA).code == 1
    assert "orders.state" in call("review", "--all").out
    assert call("drift", "--all").code == 0
    assert call("review", "--all", "--accept").out.endswith("1 text accepted.\n")
    assert call("check", "--reviewed", SCHEMA).code == 0
    changed = (beside / SCHEMA).read_text("utf-8")
    assert changed == text.replace('"reviewed":false', '"reviewed":true')
    (beside / "models/orders.sql").write_text("select id, lower(status) as state from events", "utf-8")
    assert "its expression has changed since the description was reviewed" in call("drift", "--all").out


def test_what_cannot_stand_there_is_kept_in_the_file(beside: Path, call: Call) -> None:
    edit(beside / SCHEMA, "name: state", "name: state\n        config: &same\n          tags: [a]")
    edit(beside / SCHEMA, "name: id", "name: id\n        config: {}")
    text = (beside / SCHEMA).read_text("utf-8")
    (beside / SCHEMA).write_text(
        text + "      - name: more\n        description: More.\n        config: *same\n", "utf-8"
    )
    assert fill(call).code == 1
    assert "osmosis_provenance" not in (beside / SCHEMA).read_text("utf-8")
    assert [line["column"] for line in lines(beside)] == ["state"]


def test_a_damaged_record_beside_a_text_is_none(beside: Path, call: Call) -> None:
    fill(call)
    for value in ("'{'", "'[]'", "7", "{a: b}", "'{}'"):
        text = (beside / SCHEMA).read_text("utf-8")
        start = text.index("osmosis_provenance: ") + len("osmosis_provenance: ")
        (beside / SCHEMA).write_text(text[:start] + value + text[text.index("\n", start) :], "utf-8")
        for command in ("review", "drift"):
            result = call(command, "--all")
            assert (result.code, result.out) == (0, "")
