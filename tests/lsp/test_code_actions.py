from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types

from lsp_editor import Editor
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"


def titled(actions: list[types.CodeAction], words: str) -> types.CodeAction:
    found = [action for action in actions if words in action.title]
    assert found, [action.title for action in actions]
    return found[0]


async def test_a_description_is_inherited_at_once_and_for_free(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = editor.texts[name]

    actions = await editor.actions(name, editor.place(name, "rider_name"))
    action = titled(actions, "Inherit description from `stg_riders.full_name`")
    assert action.edit is None
    assert action.is_preferred
    action = await editor.client.code_action_resolve_async(action)
    assert action.edit is not None
    assert editor.apply(action.edit)

    expected = before.replace(
        "- name: rider_name\n",
        "- name: rider_name\n        description: 'Name as the rider entered it. Not for reports.'\n",
    )
    assert editor.texts[name] == expected
    (change,) = action.edit.document_changes or []
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == 1
    assert llm.requests == []


async def test_one_description_is_generated_by_a_command_and_tagged_so(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    actions = await editor.actions(name, editor.place(name, "lifetime_value"))
    action = titled(actions, "Generate description for `lifetime_value`")
    assert list(action.tags or []) == [types.CodeActionTag.LlmGenerated]
    assert action.command is not None
    assert llm.requests == []
    outcome = await editor.command(action.command.command, *(action.command.arguments or []))

    assert outcome["filled"] == 1
    assert "- name: lifetime_value\n        description: 'Made up for tests: lifetime value.'" in editor.texts[name]
    assert len(llm.requests) == 1


async def test_a_model_is_filled_by_one_call_and_what_is_inherited(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    actions = await editor.actions(name, editor.place(name, "dim_riders"))
    action = titled(actions, "Generate 7 descriptions for `dim_riders`")
    assert action.command is not None
    outcome = await editor.command(action.command.command, *(action.command.arguments or []))

    assert [outcome[name] for name in ("filled", "inherited", "generated", "calls")] == [7, 4, 3, 1]
    assert len(llm.requests) == 1
    (edit,) = editor.applied
    assert edit.change_annotations is not None
    (annotation,) = edit.change_annotations.values()
    assert annotation.needs_confirmation
    assert len(edit.document_changes or []) == 1


async def test_a_selection_offers_just_its_columns(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    actions = await editor.actions(
        name, editor.place(name, "rider_name"), editor.place(name, "plan_code", after=True)
    )
    action = await editor.client.code_action_resolve_async(titled(actions, "Fill the 2 selected gaps"))
    assert action.edit is not None
    assert editor.apply(action.edit)

    assert editor.texts[name].count("description:") == 8 + 2


async def test_what_an_editor_may_run_on_each_save_spends_nothing(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    actions = await editor.actions(name, types.Position(0, 0), only=["source.fixAll"])

    assert [action.command for action in actions] == [None]
    action = await editor.client.code_action_resolve_async(actions[0])
    assert action.edit is not None
    assert llm.requests == []


async def test_a_doc_block_of_the_columns_name_is_offered(editor: Editor, demo: Path):
    name = editor.open(demo / "models/staging/_staging.yml")
    await editor.planned(name)
    start = editor.texts[name].index("- name: stg_repairs")
    place = editor.position(editor.texts[name], editor.texts[name].index("bike_id", start))

    actions = await editor.actions(name, place)
    action = await editor.client.code_action_resolve_async(titled(actions, "Use doc block `bike_id`"))
    assert action.edit is not None
    assert editor.apply(action.edit)

    assert """- name: bike_id\n    description: "{{ doc('bike_id') }}"\n  - name: reported_on""" in editor.texts[name]


async def test_typing_while_the_provider_answers_moves_the_edit_and_keeps_what_was_typed(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    target = {"uri": name, "node": "model.quayside.dim_riders"}

    def write() -> None:
        """In the moment before the edit arrives: new lines above, and a text of the user's own in one of the gaps."""
        editor.edit(name, "version: 2\n", "# éé 🚲\n# more\nversion: 2\n")
        editor.edit(name, "- name: lifetime_value", "- name: lifetime_value\n        description: 'Mine.'")

    editor.before_apply = write
    outcome = await editor.command("osmosis.generateModel", target)

    text = editor.texts[name]
    assert text.startswith("# éé 🚲\n# more\nversion: 2\n")
    assert "- name: lifetime_value\n        description: 'Mine.'\n" in text
    assert "- name: rider_name\n        description: 'Name as the rider entered it. Not for reports.'" in text
    assert outcome["filled"] == 6
    assert [item["reason"] for item in outcome["left"]] == ["dim_riders.lifetime_value was described meanwhile"]


async def test_all_gaps_of_a_project_are_filled_open_or_not(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    outcome = await editor.command("osmosis.generateProject", {"uri": name})

    assert outcome["filled"] > 30
    assert outcome["left"] == []
    assert "int_repairs_by_bike" in (demo / "models/intermediate/int_models.yaml").read_text("utf-8")
    assert (demo / RIDERS).read_text("utf-8") != editor.texts[name]


async def test_one_may_choose_among_texts_that_differ_upstream(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / "models/intermediate/int_models.yaml")
    await editor.planned(name)

    actions = await editor.actions(name, editor.place(name, "payment_id"))
    assert len([action for action in actions if action.title.startswith("Use the description of")]) == 2
    chosen = titled(actions, "Use the description of `billing.wallet_debits.debit_id`: Reference of the debit")
    chosen = await editor.client.code_action_resolve_async(chosen)
    assert chosen.edit is not None
    assert editor.apply(chosen.edit)

    line = """            description: "Reference of the debit in the wallet's own ledger."\n"""
    assert "- name: payment_id\n" + line in editor.texts[name]
    assert llm.requests == []
