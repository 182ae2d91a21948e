"""The functions and classes that users of dbt-osmosis know, on top of the engine.

::

    from osmosis_synthesize.llm import LLMConfig, generate_column_doc, get_provider

    with get_provider(LLMConfig(provider="anthropic", model="claude-haiku-4-5")) as provider:
        text = generate_column_doc(provider, "amount", {"table_name": "orders", "sql_content": sql})
        print(provider.cost_tracker.total_cost)

``docs/dbt-osmosis.md`` says what became of which name. Importing this loads no SDK.
"""

from __future__ import annotations

from osmosis_synthesize.llm.cache import LLMCache
from osmosis_synthesize.llm.config import LLMConfig
from osmosis_synthesize.llm.cost import CostTracker, SkippedWarning
from osmosis_synthesize.llm.generate import (
    generate_column_doc,
    generate_model_docs,
    generate_model_spec_as_json,
    generate_table_doc,
    synthesize_columns_async,
)
from osmosis_synthesize.llm.install import install
from osmosis_synthesize.llm.provider import LLMProvider, get_provider

__all__ = [
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
]
