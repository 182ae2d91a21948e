from __future__ import annotations

import os
import subprocess
import sys
import types

from osmosis_synthesize import llm

PROMISED = {
    "CostTracker",
    "LLMCache",
    "LLMConfig",
    "LLMProvider",
    "SkippedWarning",
    "generate_column_doc",
    "generate_model_docs",
    "generate_model_spec_as_json",
    "generate_table_doc",
    "get_provider",
    "install",
    "synthesize_columns_async",
}


def test_the_public_names_are_these_and_sorted() -> None:
    assert set(llm.__all__) == PROMISED
    assert llm.__all__ == sorted(llm.__all__)


def test_nothing_else_is_public() -> None:
    found = {name for name, value in vars(llm).items() if not name.startswith("_")}
    found -= {name for name in found if isinstance(vars(llm)[name], types.ModuleType)} - PROMISED
    assert found - {"annotations"} == PROMISED


def test_each_has_a_docstring() -> None:
    assert not [name for name in PROMISED if not getattr(llm, name).__doc__]


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, osmosis_synthesize.llm; print(*sys.modules)"
    # Measuring coverage imports a good deal by itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
    )
    heavy = {
        "openai",
        "anthropic",
        "httpx2",
        "asyncio",
        "sqlite3",
        "sqlglot",
        "ruamel.yaml",
        "genai_prices",
        "dbt_osmosis",
    }
    assert heavy.isdisjoint(loaded)
