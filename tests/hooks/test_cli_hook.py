"""What only hooks need of the command line: files that are none of ours, a time limit, dbt's own parser, free texts."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servers import FakeLLMServer, failing, hang
from small_projects import ORDERS, RAW, SCHEMA, build, table

Call = Callable[..., Any]

COMPLETE = table("full", {"id": "Number."}, sql="select 1 as id", description="Full.", file="models/full.yml")


@pytest.fixture
def server(server: FakeLLMServer, monkeypatch: pytest.MonkeyPatch) -> FakeLLMServer:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
    monkeypatch.setenv("OSMOSIS_LLM_BASE_URL", server.url + "/v1")
    monkeypatch.setenv("OSMOSIS_LLM_MODEL", "made-up")
    monkeypatch.setenv("OSMOSIS_LLM_MAX_RETRIES", "0")
    return server


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = build(tmp_path / "repository" / "shop", RAW, ORDERS, COMPLETE)
    monkeypatch.chdir(root)
    return root


def text(path: str = SCHEMA) -> str:
    return Path(path).read_text("utf-8")


# --- files that are none of ours ---

STRANGE = {
    "../README.md": "# A repository\n",
    "../.github/workflows/ci.yml": "on: push\njobs: {}\n",
    "../query.sql": "select 1",
    "dbt_project.yml": None,
    "packages.yml": "packages: []\n",
    "profiles.yml": "shop: {target: dev}\n",
    "models/glossary.md": "{% docs total %}The sum.{% enddocs %}\n",
    "models/no_schema.yml": "some: [yaml, without, models]\n",
    "models/empty.yml": "",
    "dbt_packages/other/dbt_project.yml": "name: other\n",
    "dbt_packages/other/models/m.yml": "models:\n  - name: m\n",
    "dbt_packages/other/models/m.sql": "select 1 as x",
    "target/run/models/m.yml": "models:\n  - name: m\n",
    "target/compiled/m.sql": "select 1 as x",
    "macros/m.sql": "{% macro m() %}1{% endmacro %}",
    "analyses/m.sql": "select 1 as x",
    "models/gone.yml": None,
    "models/full.yml": None,
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("path", STRANGE)
def test_a_hook_passes_over_what_is_none_of_its_business(shop: Path, call: Call, command: str, path: str) -> None:
    content = STRANGE[path]
    if content is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content, "utf-8")
    Path("target/manifest.json").write_text("this is not even read", "utf-8")
    result = call(command, "--hook", path)
    assert (result.code, result.err) == (0, "")
    assert "gap" not in result.out.lower().replace("no gaps", "")


def test_without_the_option_they_are_errors(shop: Path, call: Call) -> None:
    Path("../README.md").write_text("# A repository\n", "utf-8")
    assert call("run", "../README.md").code == 2
    assert call("run", "models/gone.yml").code == 2


def test_a_hook_fills_what_is_left(shop: Path, call: Call) -> None:
    Path("../README.md").write_text("# A repository\n", "utf-8")
    result = call("run", "--hook", "../README.md", SCHEMA, "packages.yml", "--llm-provider", "facts")
    assert (result.code, "2 of 2 gaps filled" in result.out) == (1, True)


def test_a_model_s_sql_stands_for_its_schema_file(shop: Path, call: Call) -> None:
    assert call("check", "--hook", "models/orders.sql").code == 1
    assert call("run", "--hook", "models/orders.sql", "--inherit-only").code == 1
    assert "Number of the order" in text()


def test_a_project_can_be_named(shop: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.parent)
    Path("other.yml").write_text("models:\n  - name: x\n", "utf-8")
    result = call("check", "--hook", "--project-dir", "shop", "other.yml", f"shop/{SCHEMA}")
    assert result.code == 1
    assert {line.partition(":")[0] for line in result.out.splitlines()} == {f"shop/{SCHEMA}"}


def test_a_broken_schema_file_is_told(shop: Path, call: Call) -> None:
    Path(SCHEMA).write_text("models: [\n", "utf-8")
    result = call("run", "--hook", SCHEMA)
    assert (result.code, SCHEMA in result.err) == (2, True)


# --- free texts ---


@pytest.mark.parametrize(
    "settings",
    [
        {"provider": "openai", "model": "made-up"},
        {"provider": "ollama", "model": "made-up"},
        {"provider": "anthropic"},
        {"provider": "azure"},
        {"provider": "openai-compatible", "base_url": "https://llm.evil.example/v1", "model": "made-up"},
        {"provider": "facts"},
        {"max_cost_per_run": 0},
        {"dry_run": True},
    ],
    ids=lambda settings: ",".join(settings.values() if "provider" in settings else settings),
)
@pytest.mark.parametrize("key", [True, False])
def test_offline_with_facts_calls_nobody_whatever_the_project_chose(
    tmp_path: Path,
    call: Call,
    server: FakeLLMServer,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    key: bool,
) -> None:
    if not key:
        monkeypatch.delenv("OPENAI_API_KEY")
    if "base_url" in settings:  # any look-up of that name would end this test
        monkeypatch.delenv("OSMOSIS_LLM_BASE_URL")
    root = build(tmp_path / "shop", RAW, ORDERS, settings=settings)
    result = call("run", "--hook", "--offline", "--facts", root / SCHEMA)
    assert result.code == 1
    assert "orders.total generated by facts" in result.out
    assert "2 of 2 gaps filled (1 inherited, 1 generated), 0 left; no calls, $0.00." in result.out
    assert not server.requests


def test_what_was_paid_for_comes_before_facts(shop: Path, call: Call, server: FakeLLMServer) -> None:
    assert call("run", "--hook", SCHEMA, "--diff").code == 0
    assert len(server.requests) == 1
    result = call("run", "--hook", SCHEMA, "--offline", "--facts")
    assert "orders.total cached by openai made-up" in result.out
    assert len(server.requests) == 1


def test_what_facts_say_flows_downstream(tmp_path: Path, call: Call) -> None:
    child = table("child", {"sum": None}, sql="select total as sum from orders", of=["orders"], description="Child.")
    root = build(tmp_path / "shop", RAW, ORDERS, child)
    result = call("run", "--hook", "--offline", "--facts", root / SCHEMA, "--json", tmp_path / "report.json")
    assert "child.sum inherited from orders.total (renamed)" in result.out
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [item["column"] for item in report["filled"]] == ["order_id", "total", "sum"]
    assert report["gaps"] == []


def test_added_columns_get_their_facts_too(shop: Path, call: Call) -> None:
    Path(SCHEMA).write_text("version: 2\nmodels:\n  - name: orders\n    description: Orders.\n", "utf-8")
    result = call("run", "--hook", "--offline", "--facts", "--add-columns", SCHEMA)
    assert result.code == 1
    assert "description: Computed as `id + 1`." in text()


def test_a_provider_that_is_down_leaves_a_gap_and_facts_can_fill_it(
    shop: Path, call: Call, server: FakeLLMServer
) -> None:
    server.always(failing(500))
    result = call("run", "--hook", SCHEMA)
    assert (result.code, "orders.total stays a gap" in result.out) == (1, True)
    assert call("run", "--hook", SCHEMA).code == 0, "nothing to write: the commit goes on"
    assert call("run", "--hook", SCHEMA, "--strict").code == 3
    assert "orders.total generated by facts" in call("run", "--hook", SCHEMA, "--facts").out


# --- the time limit ---


def test_a_time_limit_keeps_what_is_done(tmp_path: Path, call: Call, server: FakeLLMServer) -> None:
    tables = [
        table(f"m{number}", {"x": None}, sql=f"select {number} + 1 as x", description=f"Table {number}.")
        for number in range(4)
    ]
    root = build(tmp_path / "shop", *tables)
    server.script(None, None, hang(), hang())
    started = time.monotonic()
    result = call("run", "--hook", root / SCHEMA, "--timeout", "6", "--llm-concurrency", "1")
    assert time.monotonic() - started < 60
    assert result.code == 1
    assert result.out.count("generated by openai made-up") == 2
    assert result.out.count("stays a gap: the time limit of 6 s ran out") == 2
    assert (root / SCHEMA).read_text("utf-8").count("Made up for tests") == 2


def test_a_time_limit_also_ends_what_comes_before_the_first_call(
    shop: Path, call: Call, server: FakeLLMServer
) -> None:
    result = call("run", "--hook", SCHEMA, "--timeout", "0.000001")
    assert result.code == 0
    assert "nothing was filled" in result.err.lower()
    assert "the time limit of 1e-06 s ran out" in result.err
    assert not server.requests


def test_a_time_limit_breaks_off_what_is_being_computed(tmp_path: Path, call: Call) -> None:
    columns = ", ".join(f"(a + b * {number}) / nullif(c, {number}) as c{number}" for number in range(200))
    tables = [
        table(f"m{number}", {"c1": None}, sql=f"select {columns} from t where a <> {number}", of=["raw.t"])
        for number in range(300)
    ]
    root = build(tmp_path / "shop", table("raw.t", {"a": None, "b": None, "c": None}), *tables)
    started = time.monotonic()
    result = call("run", "--hook", root / SCHEMA, "--timeout", "1", "--inherit-only")
    assert time.monotonic() - started < 5, "all of it takes much longer"
    assert (result.code, result.out) == (0, "")
    assert result.err.endswith("the time limit of 1 s ran out.\n")


@pytest.mark.parametrize("wrong", ["0", "-1", "soon", "nan", "inf"])
def test_no_time_limit_at_all(shop: Path, call: Call, wrong: str) -> None:
    assert call("run", "--hook", SCHEMA, "--timeout", wrong).code == 2


# --- dbt parse ---


def fake_dbt(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program called dbt, first on the PATH, that runs some Python."""
    folder.mkdir()
    program = folder / "dbt"
    program.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{body}\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))


def test_the_manifest_is_written_first(
    shop: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move("target/manifest.json", "kept.json")
    body = """
keys = [name for name, value in os.environ.items() if value == "sk-made-up"]
said = [sys.argv[1:], os.getcwd(), os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"], keys, sys.stdin.read()]
open("said.json", "w").write(json.dumps(said))
os.rename("kept.json", "target/manifest.json")
"""
    fake_dbt(tmp_path / "bin", body, monkeypatch)
    monkeypatch.chdir("/")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OSMOSIS_LLM_API_KEY"):
        monkeypatch.setenv(name, "sk-made-up")
    assert call("run", "--hook", "--parse", "--inherit-only", shop / SCHEMA).code == 1
    said = json.loads((shop / "said.json").read_text("utf-8"))
    assert said == [["parse", "--project-dir", str(shop)], str(shop), "false", [], ""]
    assert "Number of the order" in (shop / SCHEMA).read_text("utf-8")


def test_complete_files_need_no_parse(
    shop: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_dbt(tmp_path / "bin", "open('called', 'w')", monkeypatch)
    assert call("run", "--hook", "--parse", "models/full.yml").code == 0
    assert not Path("called").exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('Compilation Error'); sys.exit(2)", "`dbt parse` failed with exit code 2: Compilation Error"),
        ("print('Bearer ' + 20 * 'x'); sys.exit(1)", "`dbt parse` failed with exit code 1. The"),
        ("time.sleep(300)", "`dbt parse` did not end within"),
        (None, "`dbt parse` was not run: there is no dbt on the PATH."),
    ],
)
def test_a_parse_that_fails_stops_nothing_unless_told_to(
    shop: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None, said: str
) -> None:
    monkeypatch.setattr("osmosis_hooks.parsing.LONGEST", 0.3 if body and "sleep" in body else 60)
    if body is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        fake_dbt(tmp_path / "bin", body, monkeypatch)
    strict = call("run", "--hook", "--parse", "--strict", "--inherit-only", SCHEMA)
    assert (strict.code, said.removesuffix(" The") in strict.err) == (2, True)
    result = call("run", "--hook", "--parse", "--inherit-only", SCHEMA)
    assert (result.code, said in result.err) == (1, True)
    assert "xxx" not in strict.err + result.err
    assert "Number of the order" in text()


# --- check: what the warehouse takes ---

LONG = "Once upon a time. " * 60  # 1,080 characters
TEXTS = table("texts", {"a": LONG, "b": "{{ doc('x') }}" + LONG, "c": LONG[:1024]}, sql="", description=LONG)


@pytest.mark.parametrize(("adapter", "code"), [("bigquery", 1), ("snowflake", 0)])
@pytest.mark.parametrize("path", [SCHEMA, "models/texts.sql"])
def test_check_names_texts_that_are_too_long(tmp_path: Path, call: Call, adapter: str, code: int, path: str) -> None:
    root = build(tmp_path / "shop", TEXTS, adapter=adapter)
    result = call("check", "--hook", root / path)
    said = f"{root / SCHEMA}:8:22: texts.a is described in 1,079 characters, bigquery takes 1,024\n"
    assert (result.code, result.out) == (code, said if code else "")
    report = json.loads(call("check", "--hook", root / path, "--json").out)
    assert [item["column"] for item in report["too_long"]] == ["a"][:code]
    assert call("check", "--hook", root / path, "--min-coverage", "10").code == code
    assert call("check", "--hook", root / path, "--select", "others").code == 0


def test_a_table_takes_more_than_a_column(tmp_path: Path, call: Call) -> None:
    root = build(tmp_path / "shop", table("t", {"a": "A."}, description=LONG * 16), adapter="bigquery")
    assert "t is described in 17,279 characters, bigquery takes 16,384" in call("check", "--hook", root / SCHEMA).out


def test_without_a_manifest_nothing_is_too_long(tmp_path: Path, call: Call) -> None:
    root = build(tmp_path / "shop", TEXTS, adapter="bigquery")
    (root / "target/manifest.json").unlink()
    assert call("check", "--hook", root / SCHEMA).code == 0
