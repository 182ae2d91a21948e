"""Hover, code lens, completion, status: what a user reads. None of it may call a provider unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types

from lsp_editor import Editor, full_capabilities, server_environment
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
AUTOMATIC = types.InlineCompletionTriggerKind.Automatic
INVOKED = types.InlineCompletionTriggerKind.Invoked


async def hovered(editor: Editor, name: str, words: str) -> str:
    params = types.HoverParams(types.TextDocumentIdentifier(name), editor.place(name, words))
    found = await editor.client.text_document_hover_async(params)
    assert found is not None
    assert isinstance(found.contents, types.MarkupContent)
    return found.contents.value


async def ghost(editor: Editor, name: str, words: str, kind: types.InlineCompletionTriggerKind) -> str | None:
    """The text that would be shown, after it was put in place."""
    place = editor.place(name, words, after=True)
    params = types.InlineCompletionParams(
        types.InlineCompletionContext(kind), types.TextDocumentIdentifier(name), place
    )
    found = await editor.client.text_document_inline_completion_async(params)
    if found is None:
        return None
    items = found.items if isinstance(found, types.InlineCompletionList) else found
    (item,) = items
    assert item.range is not None
    text = editor.texts[name]
    editor.replace(
        name,
        editor.offset(text, item.range.start),
        editor.offset(text, item.range.end),
        str(item.insert_text),
    )
    return str(item.insert_text)


async def test_hover_tells_a_columns_lineage_tests_and_price(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    inherits = await hovered(editor, name, "rider_name")
    assert "**`dim_riders.rider_name`**" in inherits
    assert "`stg_riders.full_name`" in inherits
    assert "Name as the rider entered it." in inherits
    tested = await hovered(editor, name, "rider_id")
    assert "Tests: not_null, unique" in tested or "Tests: unique, not_null" in tested
    asked = await hovered(editor, name, "lifetime_value")
    assert "1 call for 3 gaps" in asked
    assert "tokens in" in asked
    assert "Not inherited: it is computed." in asked
    counted = await hovered(editor, name, "trip_count")
    assert "coalesce" in counted.lower()
    assert counted.endswith("The description is its own: it is not made of any upstream column.")
    renamed = await hovered(editor, name, "details_valid_from")
    assert renamed.endswith("The description is its own: nothing upstream has one that would fit.")
    described = await hovered(editor, name, "'Address for receipts")
    assert "says: Address that receipts are sent to" in described
    whole = await hovered(editor, name, "dim_riders")
    assert "7 gaps: inherit 4 · generate 3" in whole
    assert llm.requests == []


async def test_hover_has_no_marks_where_only_plain_text_is_shown(tmp_path: Path, demo: Path):
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.hover = types.HoverClientCapabilities(content_format=[types.MarkupKind.PlainText])
    editor = Editor()
    await editor.start(server_environment(tmp_path / "cache"), capabilities=capabilities)
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    inherits = await hovered(editor, name, "rider_name")
    derived = await hovered(editor, name, "lifetime_value")
    described = await hovered(editor, name, "'Address for receipts")
    whole = await hovered(editor, name, "dim_riders")
    assert await editor.stop() == 0

    assert inherits.startswith("dim_riders.rider_name")
    assert "stg_riders.full_name (" in inherits
    assert "Derived: " in derived
    assert whole.startswith("dim_riders · ")
    assert not [text for text in (inherits, derived, described, whole) if "`" in text or "**" in text]


async def test_hover_says_nothing_elsewhere(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    params = types.HoverParams(types.TextDocumentIdentifier(name), editor.place(name, "contains_pii"))

    assert await editor.client.text_document_hover_async(params) is None


async def test_a_lens_over_each_entry_fills_it(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    params = types.CodeLensParams(types.TextDocumentIdentifier(name))
    lenses = list(await editor.client.text_document_code_lens_async(params) or [])

    assert [lens.command.title for lens in lenses if lens.command] == [
        "7 gaps: inherit 4 · generate 3 (1 call, at no cost)",
        "3 gaps: inherit 1 · generate 2 (1 call, at no cost)",
    ]
    assert lenses[0].range.start == editor.place(name, "dim_riders")
    assert llm.requests == []
    command = lenses[1].command
    assert command is not None
    assert (await editor.command(command.command, *(command.arguments or [])))["filled"] == 3


async def test_ghost_text_comes_by_itself_where_it_is_free(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    editor.edit(name, "- name: rider_name\n", "- name: rider_name\n        description: \n")
    before = editor.texts[name]

    text = await ghost(editor, name, "name: rider_name\n        description: ", AUTOMATIC)

    assert text == "'Name as the rider entered it. Not for reports.'"
    assert editor.texts[name] == before.replace("description: \n", f"description: {text}\n", 1)
    assert llm.requests == []


async def test_ghost_text_is_bought_only_where_it_was_asked_for(editor: Editor, demo: Path, llm: FakeLLMServer):
    llm.describe = lambda name: f"Bought: {name}."
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    editor.edit(name, "- name: monthly_fee\n", "- name: monthly_fee\n        description:\n")
    gap = "name: monthly_fee\n        description:"
    await editor.until(lambda: editor.texts[name].count(gap) == 1)
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "monthly_fee"}
    (way,) = (await editor.command("osmosis.preview", target))["gaps"]
    if way["how"] != "call":
        pytest.fail(f"the demo has changed: {way}")

    assert await ghost(editor, name, gap, AUTOMATIC) is None
    assert llm.requests == []
    assert await ghost(editor, name, gap, INVOKED) == " 'Bought: monthly_fee.'"
    assert len(llm.requests) == 1


async def test_ghost_text_that_was_bought_and_left_comes_by_itself_from_then_on(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    llm.describe = lambda name: f"Bought: {name}."
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    editor.edit(name, "- name: lifetime_value\n", "- name: lifetime_value\n        description:\n")
    gap = "name: lifetime_value\n        description:"

    async def shown(kind: types.InlineCompletionTriggerKind) -> str | None:
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(kind),
            types.TextDocumentIdentifier(name),
            editor.place(name, gap, after=True),
        )
        found = await editor.client.text_document_inline_completion_async(params)
        return str(found.items[0].insert_text) if isinstance(found, types.InlineCompletionList) else None

    async def said() -> str:
        return await hovered(editor, name, "lifetime_value")

    assert await shown(AUTOMATIC) is None
    assert "1 call for 3 gaps" in await said()
    assert await shown(INVOKED) == " 'Bought: lifetime_value.'"
    assert await shown(AUTOMATIC) == " 'Bought: lifetime_value.'"
    assert "No description yet: answered by openai-compatible before, free." in await said()
    assert "1 call for 3 gaps" in await hovered(editor, name, "monthly_fee"), "of that nothing was bought"

    editor.edit(name, gap, f"{gap} Wro")
    editor.edit(name, f"{gap} Wro", gap)
    await editor.until(lambda: editor.planned(name))
    assert await shown(AUTOMATIC) == " 'Bought: lifetime_value.'"
    assert len(llm.requests) == 1


async def test_cancelled_ghost_text_stops_the_call(editor: Editor, demo: Path, llm: FakeLLMServer):
    from servers import hang

    llm.always(hang(600))
    (demo / "dbt_project.yml").write_text(
        (demo / "dbt_project.yml").read_text("utf-8") + "      timeout: 600\n      cache: false\n", "utf-8"
    )
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    editor.edit(name, "- name: lifetime_value", "- name: lifetime_value\n        description: ")
    place = editor.place(name, "lifetime_value\n        description: ", after=True)
    params = types.InlineCompletionParams(
        types.InlineCompletionContext(INVOKED), types.TextDocumentIdentifier(name), place
    )
    request = editor.client.protocol.send_request(types.TEXT_DOCUMENT_INLINE_COMPLETION, params, msg_id="ghost-1")
    await editor.until(lambda: llm.requests)
    editor.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams("ghost-1"))

    await editor.until(request.done)

    assert request.exception() is not None
    assert "-32800" in repr(getattr(request.exception(), "code", "")) or "cancel" in str(request.exception()).lower()


async def test_plain_completion_gives_the_free_text_and_the_price_of_another(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    editor.edit(name, "- name: rider_name\n", "- name: rider_name\n        description:\n")
    editor.edit(name, "- name: lifetime_value", "- name: lifetime_value\n        description: ")

    async def items(words: str) -> list[types.CompletionItem]:
        place = editor.place(name, words, after=True)
        params = types.CompletionParams(types.TextDocumentIdentifier(name), place)
        found = await editor.client.text_document_completion_async(params)
        return list(found.items) if isinstance(found, types.CompletionList) else list(found or [])

    (free,) = await items("name: rider_name\n        description:")
    (bought,) = await items("name: lifetime_value\n        description: ")

    assert isinstance(free.text_edit, types.TextEdit)
    assert free.text_edit.new_text == " 'Name as the rider entered it. Not for reports.'"
    assert free.detail == "inheritable from stg_riders.full_name"
    assert bought.command is not None
    assert bought.command.command == "osmosis.generateColumn"
    assert await items("- name: email") == []
    assert llm.requests == []


async def test_the_status_counts_gaps_calls_and_money(editor: Editor, demo: Path, llm: FakeLLMServer):
    llm.describe = lambda name: f"Counted: {name}."
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = await editor.status()
    editor.statuses.clear()

    await editor.command("osmosis.generateModel", {"uri": name, "node": "model.quayside.dim_riders"})
    after = await editor.status()

    mine = next(item for item in after["projects"] if item["root"] == str(demo))
    assert mine["state"] == "ready"
    assert mine["nodes"] > 20
    assert (mine["provider"], mine["model"]) == ("openai-compatible", "gpt-4o-mini")
    assert before["gaps"] - after["gaps"] == 7
    assert after["protocolVersion"] == 1
    assert after["running"] == 0
    told = await editor.until(lambda: editor.statuses)
    assert told[-1]["protocolVersion"] == 1


async def test_what_was_spent_is_listed_and_the_cache_can_be_cleared(editor: Editor, demo: Path, llm: FakeLLMServer):
    llm.describe = lambda name: f"Listed: {name}."
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    target = {"uri": name, "node": "model.quayside.dim_riders"}
    await editor.command("osmosis.generateModel", target)

    lines = await editor.command("osmosis.spend", {"by": "model"})
    assert any(line["label"] == "openai-compatible gpt-4o-mini" and line["calls"] >= 1 for line in lines)
    assert await editor.command("osmosis.cacheClear") >= 1
    assert await editor.command("osmosis.cacheClear") == 0


async def test_a_wrong_argument_is_answered_with_what_is_wrong(editor: Editor):
    with pytest.raises(Exception, match="The command's argument is not understood"):
        await editor.command("osmosis.generateModel", {"uri": 7})
    with pytest.raises(Exception, match="belongs to no dbt project"):
        await editor.command("osmosis.generateModel", {"uri": "file:///nowhere.yml"})
