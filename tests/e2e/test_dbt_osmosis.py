"""dbt-osmosis's own command line, with this engine behind ``--synthesize``.

The Python that ``OSMOSIS_TEST_DBT_OSMOSIS`` names has requirements/dbt.txt installed; this package is taken from the
working tree.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.store import Store
from projects import copy_demo, strip_descriptions, texts
from servers import FakeLLMServer, wrong_key

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).resolve().parents[2] / "server"
# Read at import: the tests' own environment is free of OSMOSIS_… variables.
PYTHON = os.environ.get("OSMOSIS_TEST_DBT_OSMOSIS")

pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="OSMOSIS_TEST_DBT_OSMOSIS names no Python with dbt-osmosis"),
    pytest.mark.xdist_group("dbt-osmosis"),
]

DOCUMENT = ("yaml", "document", "--synthesize", "--project-dir", ".", "--profiles-dir", ".")
NO_WAREHOUSE = ("--disable-introspection", "--catalog-path", "target/catalog.json")
# Where dbt-osmosis is to put what has no schema file yet; it refuses to write anything without.
PATHS = '\nvars:\n  dbt_osmosis_default_path: "_{parent}_more.yml"\n'


@pytest.fixture
def server() -> Iterator[FakeLLMServer]:
    with FakeLLMServer() as server:
        yield server


def project(folder: Path) -> Path:
    demo = copy_demo(folder)
    assert strip_descriptions(demo) > 100
    settings = demo / "dbt_project.yml"
    settings.write_text(settings.read_text("utf-8") + PATHS, "utf-8")
    return demo


def osmosis(demo: Path, cache: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    assert PYTHON is not None
    keep = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "SYSTEMROOT", "TMPDIR"}}
    return subprocess.run(
        [PYTHON, "-m", "osmosis_synthesize.llm", *arguments],
        cwd=demo,
        env=keep
        | {
            "PYTHONPATH": str(SERVER),
            "OSMOSIS_CACHE_DIR": str(cache),
            "OPENAI_API_KEY": "sk-tests-0123456789abcdef",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def described(demo: Path) -> int:
    return sum(len(re.findall(r"description: .*Made up for tests", text)) for text in texts(demo).values())


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_every_model_is_described_from_its_sql_once(tmp_path: Path, server: FakeLLMServer) -> None:
    demo, cache = project(tmp_path / "demo"), tmp_path / "cache"
    given = {"OSMOSIS_LLM_BASE_URL": f"{server.url}/v1", "OSMOSIS_LLM_MODEL": "gpt-5-mini"}
    done = osmosis(demo, cache, *DOCUMENT, *NO_WAREHOUSE, **given)
    assert done.returncode == 0, done.stderr

    assert described(demo) > 60
    prompts = [squeezed(request.prompt) for request in server.requests]
    for model in (demo / "models").rglob("*.sql"):
        if model.stem != "int_payments_unioned":  # ephemeral, and so none of dbt-osmosis's
            sql = squeezed(model.read_text("utf-8"))
            assert any(sql in prompt for prompt in prompts), model.name
    assert len(server.requests) <= 26, "one call a node"
    parent, child = (
        next(number for number, prompt in enumerate(prompts) if f"# model {name}" in prompt)
        for name in ("stg_rentals", "fct_rentals")
    )
    assert parent < child
    assert "Made up for tests" in prompts[child], "what was just written upstream is context downstream"

    with Store.open(cache) as store:
        (spend,) = Ledger(store).spend()
    assert (spend.label, spend.calls) == ("openai gpt-5-mini", len(server.requests))
    assert (spend.usage.input_tokens, spend.usage.output_tokens) == (server.input_tokens, server.output_tokens)
    assert spend.cost > 0

    again = project(tmp_path / "again")
    before = len(server.requests)
    assert osmosis(again, cache, *DOCUMENT, *NO_WAREHOUSE, **given).returncode == 0
    assert len(server.requests) == before, "the cache answers"
    assert texts(again) == texts(demo)


def test_dbt_osmosis_s_own_variables_and_limits(tmp_path: Path, server: FakeLLMServer) -> None:
    demo = project(tmp_path / "demo")
    given = {"LLM_PROVIDER": "ollama", "OLLAMA_BASE_URL": f"{server.url}/v1", "OLLAMA_MODEL": "llama3"}
    chosen = ("--fqn", "staging.stg_bikes")
    dry = osmosis(demo, tmp_path / "cache", "--llm-dry-run", *DOCUMENT, *NO_WAREHOUSE, *chosen, **given)
    assert dry.returncode == 0, dry.stderr
    assert server.requests == []
    assert "dry run: ollama llama3 would be asked" in dry.stderr

    wet = osmosis(demo, tmp_path / "cache", *DOCUMENT, *NO_WAREHOUSE, *chosen, **given)
    assert wet.returncode == 0, wet.stderr
    assert [(request.path, request.body["model"]) for request in server.requests] == [("/api/chat", "llama3")]
    assert described(demo) == 8


def test_a_provider_that_fails_loses_nothing_and_says_why(tmp_path: Path, server: FakeLLMServer) -> None:
    demo = project(tmp_path / "demo")
    server.script(None, None, wrong_key())
    given = {"OSMOSIS_LLM_BASE_URL": f"{server.url}/v1", "OSMOSIS_LLM_MODEL": "gpt-5-mini"}
    done = osmosis(demo, tmp_path / "cache", *DOCUMENT, *NO_WAREHOUSE, "--threads", "1", **given)
    assert done.returncode == 0, done.stderr
    assert len(server.requests) == 3, "a wrong key is wrong for all"
    assert described(demo) > 3
    assert "OPENAI_API_KEY" in done.stderr
    assert "sk-tests" not in done.stderr + done.stdout
