"""Who loads what: a hook with nothing to do never pays for an SDK, an SQL parser or an event loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers import FakeLLMServer
from small_projects import SCHEMA, build, table

ROOT = Path(__file__).resolve().parents[2]
SDKS = {"openai", "anthropic", "httpx2", "httpx", "genai_prices", "stamina", "pydantic", "tiktoken"}
HEAVY = SDKS | {
    "ruamel",
    "msgspec",
    "sqlglot",
    "asyncio",
    "pygls",
    "lsprotocol",
    "rich",
    "jinja2",
    "sqlite3",
    "platformdirs",
}


def loaded(code: str, folder: Path, said: str = "") -> set[str]:
    """The top-level modules that are there after ``code`` ran in a new process in ``folder`` that reads what is ``said``."""
    names = "sorted({name.partition('.')[0] for name in sys.modules})"
    report = f"import json, sys; print('\\n' + json.dumps({names}), file=sys.stderr)"
    script = f"import sys\nbefore = set(sys.modules)\n{code}\n{report}"
    # Measuring coverage imports a good deal by itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=environment,
        input=said,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def run(*arguments: str, code: int = 0) -> str:
    return f"from osmosis_hooks.cli import main\nassert main({list(arguments)!r}) == {code}"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return build(
        tmp_path,
        table("raw.a", {"x": "Text."}, description="Raw.", file="models/raw.yml"),
        table("full", {"x": "Text."}, sql="select x from a", of=["raw.a"], description="Full."),
        table("open", {"x": None}, sql="select x from a", of=["raw.a"], description="Open.", file="models/open.yml"),
    )


def test_the_package(tmp_path: Path) -> None:
    assert not HEAVY & loaded("import osmosis_synthesize", tmp_path)


def test_help(tmp_path: Path) -> None:
    code = "from osmosis_hooks.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert not HEAVY & loaded(code, tmp_path)


@pytest.mark.parametrize("options", [[], ["--hook"]])
def test_check_of_a_complete_file(shop: Path, options: list[str]) -> None:
    """The most frequent commit: nothing but Python's own modules, and few of those."""
    (shop / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    modules = loaded(run("check", *options, SCHEMA), shop)
    assert not (HEAVY | {"yaml", "argparse", "pathlib", "subprocess", "dataclasses"}) & modules


@pytest.mark.parametrize("file", [SCHEMA, "models/open.yml"])
def test_check_of_schema_files(shop: Path, file: str) -> None:
    modules = loaded(run("check", file, code=int("open" in file)), shop)
    assert "ruamel" in modules
    assert not (HEAVY - {"ruamel"}) & modules


def test_a_run_with_nothing_to_do(shop: Path) -> None:
    modules = loaded(run("run", SCHEMA, "--inherit-only"), shop)
    assert not (SDKS | {"sqlglot", "jinja2", "pygls", "rich"}) & modules


def test_a_run_that_inherits(shop: Path) -> None:
    modules = loaded(run("run", "models/open.yml", "--llm-provider", "openai", code=1), shop)
    assert "sqlglot" in modules
    assert not (SDKS | {"jinja2", "pygls", "rich"}) & modules


def test_a_run_offline_needs_no_sdk(shop: Path) -> None:
    build(shop, table("m", {"y": None}, sql="select 1 as y", description="M."))
    chosen = ["--llm-provider", "openai", "--llm-model", "gpt-4o", "--offline"]
    assert not (SDKS | {"pygls", "lsprotocol", "rich"}) & loaded(run("run", "models/m.sql", *chosen), shop)


def test_a_run_loads_the_sdk_of_its_provider_alone(shop: Path) -> None:
    build(shop, table("m", {"y": None}, sql="select 1 as y", description="M."))
    with FakeLLMServer() as server:
        chosen = ["--llm-provider", "openai-compatible", "--llm-model", "x", "--llm-base-url", f"{server.url}/v1"]
        modules = loaded(run("run", "--all", *chosen, code=1), shop)
        assert server.answered
    assert "openai" in modules
    assert not {"anthropic", "tiktoken", "pygls", "lsprotocol", "rich"} & modules


def test_the_start_of_the_server(shop: Path) -> None:
    """An editor gets its answer to ``initialize`` before the server loads what it needs for the first document."""
    root = shop.as_uri()
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": root, "capabilities": {}}},
        {"method": "initialized", "params": {}},
        {"id": 2, "method": "shutdown"},
        {"method": "exit"},
    ]
    bodies = [json.dumps({"jsonrpc": "2.0", **message}) for message in messages]
    code = "from osmosis_synthesize.lsp.main import main\nassert main(['--stdio']) == 0"
    modules = loaded(code, shop, "".join(f"Content-Length: {len(body)}\r\n\r\n{body}" for body in bodies))
    assert "pygls" in modules
    assert not (SDKS | {"sqlglot", "jinja2", "rich", "ruamel"}) & modules


def test_an_estimate_needs_no_sdk(shop: Path) -> None:
    build(shop, table("m", {"y": None}, sql="select 1 as y", description="M."))
    modules = loaded(run("estimate", "--all", "--llm-provider", "openai", "--llm-model", "gpt-4o"), shop)
    assert not {"openai", "anthropic", "stamina"} & modules


def test_where_texts_come_from_is_light_to_look_at(shop: Path) -> None:
    """What nobody has changed is compared by its hash: no SQL is read, and no Jinja."""
    build(shop, table("m", {"y": None}, sql="select 1 as y", description="M."))
    loaded(run("run", "--all", "--llm-provider", "facts", code=1), shop)
    assert (shop / ".osmosis/provenance.jsonl").exists()
    heavy = SDKS | {"sqlglot", "jinja2", "asyncio", "pygls", "rich"}
    assert not (heavy | {"sqlite3"}) & loaded(run("check", "--reviewed", SCHEMA, code=1), shop)
    assert not heavy & loaded(run("drift", "--all"), shop)


def entry(hook: str) -> list[str]:
    """The arguments that a hook is called with before the files."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    return next(one["entry"] for one in hooks if one["id"] == hook).split()[1:]


@pytest.mark.parametrize("hook", ["osmosis-synthesize", "osmosis-inherit", "osmosis-check", "osmosis-drift"])
def test_a_hook_with_nothing_to_do(shop: Path, hook: str) -> None:
    others = ["dbt_project.yml", "models/glossary.md", "macros/m.sql", "target/manifest.json"]
    (shop / "models/glossary.md").write_text("{% docs x %}X.{% enddocs %}", "utf-8")
    (shop / "macros").mkdir()
    (shop / "macros/m.sql").write_text("{% macro m() %}1{% endmacro %}", "utf-8")
    heavy = SDKS | {"sqlglot", "jinja2", "pygls", "lsprotocol", "rich"}
    assert not heavy & loaded(run(*entry(hook), SCHEMA, *others), shop)


def test_the_check_hook_never_loads_an_sdk_or_an_sql_parser(shop: Path) -> None:
    build(shop, table("m", {"y": None}, sql="select 1 as y", file="models/open.yml"))
    code = run(*entry("osmosis-check"), "models/open.yml", "models/m.sql", "models/full.sql", code=1)
    assert not (SDKS | {"sqlglot", "jinja2", "asyncio", "pygls", "rich"}) & loaded(code, shop)


def test_the_drift_hook_loads_an_sql_parser_only_for_what_has_changed(shop: Path) -> None:
    build(shop, table("m", {"y": None}, sql="select 1 as y", description="M."))
    loaded(run("run", "--all", "--llm-provider", "facts", code=1), shop)
    heavy = SDKS | {"sqlglot", "jinja2", "asyncio", "pygls", "rich"}
    assert not heavy & loaded(run(*entry("osmosis-drift"), SCHEMA), shop)
