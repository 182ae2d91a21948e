"""Descriptions that are there: written anew on request, accepted, taken out again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

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


def titles(actions: list[types.CodeAction]) -> list[str]:
    return [action.title for action in actions]


async def run(editor: Editor, action: types.CodeAction) -> Any:
    assert action.command is not None
    return await editor.command(action.command.command, *(action.command.arguments or []))


async def choose(editor: Editor, action: types.CodeAction) -> None:
    """Have an action done as an editor does."""
    action = await editor.client.code_action_resolve_async(action)
    assert action.edit is not None
    assert editor.apply(action.edit)


async def test_a_description_is_rewritten_only_on_request_with_the_old_one_as_context(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    llm.describe = lambda name: f"Better words for {name}."
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = editor.texts[name]

    place = editor.place(name, "'Address for receipts")
    by_itself = titled(await editor.actions(name, place), "Rewrite description")
    assert by_itself.title == "Rewrite description of `email`…"
    action = titled(await editor.actions(name, place, invoked=True), "Rewrite description")
    assert action.title.startswith("Rewrite description of `email`…, at no cost")
    assert action.command is not None
    assert by_itself.command is not None
    assert by_itself.command.command == action.command.command == "osmosis.rewrite"
    assert by_itself.command.arguments == action.command.arguments
    assert action.kind == "refactor.rewrite.osmosis"
    assert list(action.tags or []) == [types.CodeActionTag.LlmGenerated]
    assert llm.requests == []
    outcome = await run(editor, action)

    assert (outcome["filled"], outcome["calls"], outcome["left"]) == (1, 1, [])
    old, new = "'Address for receipts, in lower case.'", "'Better words for email.'"
    assert editor.texts[name] == before.replace(old, new)
    (request,) = llm.requests
    assert "Address for receipts, in lower case." in request.prompt
    assert "to be replaced" in request.prompt
    (edit,) = editor.applied
    (annotation,) = (edit.change_annotations or {}).values()
    assert annotation.needs_confirmation
    (change,) = edit.document_changes or []
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == 1


async def test_a_rewriting_is_kept_under_a_key_of_its_own(editor: Editor, demo: Path, llm: FakeLLMServer):
    llm.describe = lambda name: f"Kept words for {name}."
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "signed_up_at"}
    before = editor.texts[name]

    assert (await editor.command("osmosis.rewrite", target))["generated"] == 1
    after = editor.texts[name]
    editor.replace(name, 0, len(after), before)
    assert (await editor.command("osmosis.rewrite", target))["cached"] == 1

    assert editor.texts[name] == after
    assert len(llm.requests) == 1


async def test_a_text_that_is_changed_meanwhile_stays(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "email"}
    editor.before_apply = lambda: editor.edit(name, "Address for receipts", "Mine, and new")

    outcome = await editor.command("osmosis.rewrite", target)

    assert "'Mine, and new, in lower case.'" in editor.texts[name]
    assert [item["reason"] for item in outcome["left"]] == ["dim_riders.email was changed meanwhile"]


async def test_a_rewriting_is_reviewed_like_any_reply(editor: Editor, demo: Path, llm: FakeLLMServer):
    llm.describe = lambda name: f"Buy {name} at https://example.com"
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = editor.texts[name]
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "trip_count"}

    outcome = await editor.command("osmosis.rewrite", target)

    assert outcome["filled"] == 0
    assert "speaks to its reader" in outcome["left"][0]["reason"]
    assert editor.texts[name] == before


async def test_what_is_no_text_of_its_own_is_not_rewritten(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / "models/marts/_marts.yml")
    await editor.planned(name)

    assert not [
        one for one in await editor.actions(name, editor.place(name, "doc('bike_id')")) if "Rewrite" in one.title
    ]
    assert not [
        one for one in await editor.actions(name, editor.place(name, "name: rider_id")) if "Rewrite" in one.title
    ]
    target = {"uri": name, "node": "model.quayside.fct_rentals", "column": "bike_id"}
    with pytest.raises(Exception, match="no description here that could be rewritten"):
        await editor.command("osmosis.rewrite", target)
    assert llm.requests == []


async def test_a_generated_text_is_taken_out_again_byte_by_byte(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = editor.texts[name]
    target = {"uri": name, "node": "model.quayside.dim_riders"}
    await editor.command("osmosis.generateModel", target | {"column": "lifetime_value"})
    assert editor.texts[name] != before

    actions = await editor.actions(name, editor.place(name, "lifetime_value"))
    undo = titled(actions, "Undo the generated description of `lifetime_value`")
    assert (undo.edit, undo.command) == (None, None)
    await choose(editor, undo)

    assert editor.texts[name] != before  # the whole model was filled
    assert "- name: lifetime_value\n\n" in editor.texts[name]
    assert editor.texts[name].count("description:") == 8 + 6
    await editor.planned(name)
    assert "Generate description for `lifetime_value`" in "".join(
        titles(await editor.actions(name, editor.place(name, "lifetime_value")))
    )


async def test_what_a_human_has_changed_is_not_taken_out(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "lifetime_value"}
    await editor.command("osmosis.generateColumn", target)
    undo = titled(await editor.actions(name, editor.place(name, "lifetime_value")), "Undo the generated")

    editor.edit(name, "Made up for tests: lifetime value.", "My own words.")
    assert not [
        title for title in titles(await editor.actions(name, editor.place(name, "lifetime_value"))) if "Undo" in title
    ]
    late = await editor.client.code_action_resolve_async(undo)

    assert late.edit is None
    assert "My own words." in editor.texts[name]


async def test_nothing_that_a_human_wrote_can_be_undone_or_accepted(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    found = titles(await editor.actions(name, editor.place(name, "name: email")))

    assert not [title for title in found if "Undo" in title or "Accept" in title]
    assert await editor.command("osmosis.accept", {"uri": name}) == 0


async def test_an_accepted_text_is_recorded_as_reviewed_saved_or_not(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    target = {"uri": name, "node": "model.quayside.dim_riders"}
    await editor.command("osmosis.generateModel", target)
    assert "Made up for tests" not in (demo / RIDERS).read_text("utf-8")

    place = editor.place(name, "lifetime_value")
    accept = titled(await editor.actions(name, place), "Accept the generated description of `lifetime_value`")
    assert await run(editor, accept) == 1

    records = [json.loads(line) for line in (demo / ".osmosis/provenance.jsonl").read_text("utf-8").splitlines()]
    assert [one["column"] for one in records if one.get("reviewed")] == ["lifetime_value"]
    assert not [title for title in titles(await editor.actions(name, place)) if "Accept" in title]
    assert await editor.command("osmosis.accept", target) == len(records) - 1
    assert await editor.command("osmosis.accept", {"uri": name}) == 0


async def test_a_text_from_the_cache_that_an_action_puts_in_place_is_recorded_too(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = editor.texts[name]
    target = {"uri": name, "node": "model.quayside.dim_riders"}
    await editor.command("osmosis.generateModel", target)
    editor.replace(name, 0, len(editor.texts[name]), before)
    (demo / ".osmosis/provenance.jsonl").unlink()
    await editor.diagnosed(name, lambda found: any("answered by" in item.message for item in found))

    place = editor.place(name, "lifetime_value")
    action = titled(await editor.actions(name, place), "Use the description of `lifetime_value` from the cache: Made")
    assert list(action.tags or []) == [types.CodeActionTag.LlmGenerated]
    assert not (demo / ".osmosis/provenance.jsonl").exists()
    asked = len(llm.requests)
    assert (await run(editor, action))["filled"] == 1

    assert len(llm.requests) == asked
    assert "Made up for tests: lifetime value." in editor.texts[name]
    titled(await editor.actions(name, editor.place(name, "lifetime_value")), "Undo the generated")


async def hovered(editor: Editor, name: str, words: str) -> str:
    params = types.HoverParams(types.TextDocumentIdentifier(name), editor.place(name, words))
    found = await editor.client.text_document_hover_async(params)
    assert found is not None
    assert isinstance(found.contents, types.MarkupContent)
    return found.contents.value


async def test_hover_tells_where_a_description_comes_from(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    llm.describe = lambda name: f"Hovered {name}."
    target = {"uri": name, "node": "model.quayside.monthly_revenue"}
    await editor.command("osmosis.generateModel", target)
    today = time.strftime("%Y-%m-%d", time.gmtime())

    told = await hovered(editor, name, "running_revenue")
    assert "Generated by openai-compatible gpt-4o-mini on 20" in told
    assert f"on {today}, not reviewed yet." in told or time.strftime("%Y-%m-%d", time.gmtime()) != today
    assert "Generated by openai-compatible" in await hovered(editor, name, "'Hovered .'")
    assert "Generated" not in await hovered(editor, name, "signed_up_at")

    await editor.command("osmosis.accept", {"uri": name})
    assert "accepted by a human." in await hovered(editor, name, "running_revenue")
    editor.edit(name, "Hovered running_revenue.", "My own words.")
    assert "changed by a human since, who accepted it." in await hovered(editor, name, "running_revenue")


async def test_what_is_private_is_not_rewritten(editor: Editor, demo: Path, llm: FakeLLMServer):
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      private: [pii]\n")
    name = editor.open(demo / RIDERS)
    editor.edit(name, "      - name: email\n", "      - name: email\n        config: {tags: [pii]}\n")
    await editor.planned(name)
    place = editor.place(name, "'Address for receipts")

    action = titled(await editor.actions(name, place, invoked=True), "Rewrite description")
    assert action.disabled is not None
    assert "it is private" in action.disabled.reason
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "email"}
    outcome = await editor.command("osmosis.rewrite", target)

    assert (outcome["filled"], outcome["calls"]) == (0, 0)
    assert "it is private" in outcome["left"][0]["reason"]
    assert llm.requests == []


async def test_all_of_an_entry_or_a_selection_is_accepted_or_taken_out_at_once(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = editor.texts[name]
    await editor.command("osmosis.generateModel", {"uri": name, "node": "model.quayside.dim_riders"})

    start, end = editor.place(name, "name: home_station_id"), editor.place(name, "name: lifetime_value", after=True)
    selected = titles(await editor.actions(name, start, end))
    assert "Accept 2 generated descriptions" in selected
    assert "Undo 2 generated descriptions" in selected
    at_name = await editor.actions(name, editor.place(name, "dim_riders"))
    assert await run(editor, titled(at_name, "Accept 3 generated descriptions")) == 3
    again = await editor.actions(name, editor.place(name, "dim_riders"))
    assert not [title for title in titles(again) if "Accept" in title]
    await choose(editor, titled(again, "Undo 3 generated descriptions"))

    assert "Made up for tests" not in editor.texts[name]
    assert editor.texts[name].count("description: ") == before.count("description: ") + 4
