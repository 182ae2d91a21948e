"""Whatever a manifest says, nothing is written, and nothing asked, outside of what belongs to the project."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servers import FakeLLMServer
from small_projects import SCHEMA, build, table

RAW = table("raw.t", {"id": "Number."}, description="Raw.", file="models/raw.yml")
FINE = table("fine", {"id": "Number."}, sql="select id from t", of=["raw.t"], description="Fine.")


def lonely(path: str, **more: Any) -> Any:
    return table("lonely", sql="select id from t", of=["raw.t"], file=None, original_file_path=path, **more)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", "made-up-for-tests")
    with FakeLLMServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield server


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "path",
    [
        "../outside/lonely.sql",
        "models/../../up/lonely.sql",
        "dbt_packages/other/models/lonely.sql",
        "target/lonely.sql",
        ".git/hooks/lonely.sql",
        "{absolute}/lonely.sql",
        "models/link/lonely.sql",
    ],
)
@pytest.mark.parametrize("there", [True, False], ids=["the SQL is there", "it is not"])
def test_no_entry_is_made_outside(
    tmp_path: Path, call: Callable[..., Any], server: FakeLLMServer, path: str, there: bool
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shop/models").mkdir(parents=True)
    (tmp_path / "shop/models/link").symlink_to(tmp_path / "elsewhere")
    root = build(tmp_path / "shop", RAW, FINE, lonely(path.format(absolute=tmp_path / "elsewhere")))
    sql = root / path.format(absolute=tmp_path / "elsewhere")
    if there:
        sql.parent.mkdir(parents=True, exist_ok=True)
        sql.write_text("select id from t", "utf-8")
    else:
        sql.unlink(missing_ok=True)
    before = everything(tmp_path)
    assert call("run", "--all", "--project-dir", root).code == 0
    assert everything(tmp_path) == before
    assert not server.requests


@pytest.mark.parametrize("patch", ["target/x.yml", "dbt_packages/x.yml", "../x.yml", ".git/x.yml"])
def test_a_neighbour_s_schema_file_leads_nowhere(
    tmp_path: Path, call: Callable[..., Any], server: FakeLLMServer, patch: str
) -> None:
    neighbour = table(
        "other",
        sql="select 1 as id",
        file=None,
        patch_path=f"shop://{patch}",
        original_file_path="models/a/other.sql",
    )
    root = build(tmp_path / "shop", RAW, FINE, neighbour, lonely("models/a/lonely.sql"))
    before = everything(tmp_path)
    assert call("run", "--all", "--project-dir", root).code == 1
    after = everything(tmp_path)
    assert set(after) - set(before) == {"shop/models/a/_models.yml", "shop/.osmosis/provenance.jsonl"}
    assert all(after[name] == text for name, text in before.items())


def test_what_dbt_has_not_parsed_yet_is_a_gap(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(tmp_path, RAW, FINE)
    (root / "models/brand_new.sql").write_text("select 1 as id", "utf-8")
    result = call("check", root / "models/brand_new.sql")
    assert result.code == 1
    assert "brand_new has no description" in result.out
    assert "manifest.json is older than 1 of the nodes (brand_new)" in result.err
    result = call("run", root / "models/brand_new.sql", "--offline")
    assert (result.code, "brand_new stays a gap" in result.out) == (0, True)
    (root / "models/new.yml").write_text(
        "models:\n  - name: brand_new\n    description: It.\n    columns:\n      - name: id\n", "utf-8"
    )
    result = call("check", root / "models/brand_new.sql")
    assert result.code == 1
    assert "brand_new.id has no description" in result.out


def test_a_schema_file_that_a_link_leads_out_to_is_named(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(tmp_path / "shop", RAW, FINE, table("m", {"id": None}, sql="select id from t", file="models/m.yml"))
    (root / "models/m.yml").rename(tmp_path / "outside.yml")
    (root / "models/m.yml").symlink_to(tmp_path / "outside.yml")
    before = everything(tmp_path)
    result = call("run", "--all", "--inherit-only", "--project-dir", root)
    assert "outside.yml is passed over" in result.err
    assert everything(tmp_path) == before


def test_estimate_says_that_a_run_could_not_call(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(tmp_path, RAW, table("m", sql="select id from t", of=["raw.t"]))
    result = call("estimate", root / SCHEMA, "--llm-provider", "openai")
    assert "As things are, a run could make no call." in result.err
    assert "OPENAI_API_KEY" in result.err


def test_one_unreadable_file_of_many_is_no_success(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(tmp_path, RAW, FINE)
    (root / "models/broken.yml").write_text("models: [", "utf-8")
    assert call("check", "--all", "--project-dir", root).code == 2
    result = call("run", root / "models/broken.yml", "--inherit-only")
    assert result.code == 2
    assert "everything is described" not in result.out


def test_variables_may_stand_alone_in_their_file(tmp_path: Path, call: Callable[..., Any]) -> None:
    root = build(tmp_path, RAW, table("m", sql="select id from t", of=["raw.t"]))
    (root / "vars.yml").write_text(json.dumps({"dbt-osmosis": {"llm": {"model": "from-vars"}}}), "utf-8")
    assert "openai from-vars for" in call("estimate", root / SCHEMA).out
