from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types

from lsp_editor import Editor
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]


def message(found: list[types.Diagnostic], words: str) -> str:
    return next((item.message for item in found if words in item.message), "")


async def test_each_gap_is_a_hint_on_the_columns_name_with_what_can_fill_it(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / "models/marts/dim_riders.yml")

    found = await editor.planned(name)

    gap = next(item for item in found if "dim_riders.rider_name" in item.message)
    assert gap.severity == types.DiagnosticSeverity.Hint
    assert gap.message == "`dim_riders.rider_name` has no description: inheritable from stg_riders.full_name"
    start = editor.place(name, "rider_name")
    assert gap.range.start == start
    assert gap.range.end.character == start.character + len("rider_name")
    assert message(found, "dim_riders.lifetime_value").endswith(": 1 call for 3 gaps, at no cost")
    assert "placeholder" in message(found, "`monthly_revenue`")
    assert llm.requests == []


async def test_what_a_call_would_cost_is_said_before_anybody_is_called(editor: Editor, demo: Path):
    settings = demo / "dbt_project.yml"
    text = settings.read_text("utf-8")
    settings.write_text(
        text[: text.index("vars:")] + "vars: {dbt-osmosis: {llm: {provider: openai, model: gpt-4o}}}\n"
    )
    name = editor.open(demo / "models/marts/dim_riders.yml")

    found = await editor.planned(name)

    assert "1 call for 3 gaps, about $0.00" in message(found, "lifetime_value")
    assert "inherit 4 · generate 3 (1 call, about $0.00" in message(found, "columns of `dim_riders`")
