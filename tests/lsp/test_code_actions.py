from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from lsprotocol import types

from lsp_editor import Editor, full_capabilities, server_environment
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"


def titled(actions: list[types.CodeAction], words: str) -> types.CodeAction:
    found = [action for action in actions if words in action.title]
    assert found, [action.title for action in actions]
    return found[0]


async def loaded(editor: Editor, project: Path) -> None:
    """Until the server has read a project."""

    async def ready() -> bool:
        projects = (await editor.status())["projects"]
        return any((one["root"], one["state"]) == (str(project), "ready") for one in projects)

    await editor.until(ready)


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
    assert action.title.endswith("`, at no cost")
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
    action = await editor.client.code_action_resolve_async(titled(actions, "Inherit 2 selected descriptions"))
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


async def choose(editor: Editor, action: types.CodeAction) -> types.WorkspaceEdit:
    """Have an action's edit made as an editor does."""
    action = await editor.client.code_action_resolve_async(action)
    assert action.edit is not None
    assert editor.apply(action.edit)
    return action.edit


async def test_the_columns_that_an_entry_lacks_are_added_for_free(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    whole = editor.texts[name]
    for column in (
        "rider_id\n        data_tests:\n          - unique\n          - not_null",
        "plan_code",
        "lifetime_value",
    ):
        editor.edit(name, f"      - name: {column}\n", "")
    before = editor.texts[name]

    action = titled(await editor.actions(name, editor.place(name, "dim_riders")), "Add 3 columns")
    assert action.title == "Add 3 columns that dim_riders.yml lacks"
    assert (action.kind, action.edit, action.command, action.tags) == ("quickfix", None, None, None)
    edit = await choose(editor, action)

    data_tests = "        data_tests:\n          - unique\n          - not_null\n"
    assert editor.texts[name] == whole.replace(data_tests, "", 1)
    (change,) = edit.document_changes or []
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == editor.versions[name] - len(change.edits)
    assert llm.requests == []
    found = await editor.diagnosed(
        name,
        lambda items: any("`dim_riders.plan_code` has no description: inheritable" in item.message for item in items),
    )
    assert len(found) > before.count("description:")
    titles = [item.title for item in await editor.actions(name, editor.place(name, "dim_riders"))]
    assert not any(title.startswith("Add") for title in titles)


async def test_columns_that_nobody_knows_are_not_offered(editor: Editor, demo: Path):
    name = editor.open(demo / "models/intermediate/int_models.yaml")
    await editor.planned(name)
    sql = demo / "models/intermediate/int_payments_unioned.sql"
    assert "select *" in sql.read_text("utf-8")

    titles = [item.title for item in await editor.actions(name, editor.place(name, "int_payments_unioned"))]

    assert not any(title.startswith("Add 0") for title in titles)


@pytest.mark.parametrize(
    ("only", "kinds"),
    [
        (None, {"quickfix", "refactor.rewrite.osmosis", "source.fixAll.osmosis"}),
        (["quickfix"], {"quickfix"}),
        (["refactor"], {"refactor.rewrite.osmosis"}),
        (["refactor.rewrite"], {"refactor.rewrite.osmosis"}),
        (["refactor.rewrite.osmosis"], {"refactor.rewrite.osmosis"}),
        (["source"], {"source.fixAll.osmosis"}),
        (["source.fixAll.osmosis"], {"source.fixAll.osmosis"}),
        (["quickfix", "source.fixAll"], {"quickfix", "source.fixAll.osmosis"}),
        (["source.organizeImports"], set[str]()),
        (["source.fixAll.other"], set[str]()),
        (["refactor.rewr"], set[str]()),
        ([""], {"quickfix", "refactor.rewrite.osmosis", "source.fixAll.osmosis"}),
    ],
)
async def test_only_what_is_asked_for_is_offered(editor: Editor, demo: Path, only: list[str] | None, kinds: set[str]):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    actions = await editor.actions(name, editor.place(name, "rider_name"), only=only)

    assert {str(action.kind) for action in actions} == kinds


async def test_fixing_all_inherits_everything_and_asks_nothing(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    # A text in the cache is free too, but nobody has chosen it: it stays where it is.
    llm.describe = lambda name: f"Cached: {name}."
    before = editor.texts[name]
    await editor.command("osmosis.generateFile", {"uri": name})
    editor.replace(name, 0, len(editor.texts[name]), before)
    await editor.diagnosed(name, lambda found: sum("answered by" in item.message for item in found) == 5)
    asked = len(llm.requests)

    (action,) = await editor.actions(name, types.Position(0, 0), only=["source.fixAll.osmosis"])
    assert (action.title, action.tags) == ("Inherit 5 descriptions in this file", None)
    edit = await choose(editor, action)

    assert editor.texts[name].count("description:") == before.count("description:") + 5
    assert "Cached" not in editor.texts[name]
    assert not any(one.needs_confirmation for one in (edit.change_annotations or {}).values())
    assert len(llm.requests) == asked
    titles = [one.title for one in await editor.actions(name, types.Position(0, 0))]
    assert titles == ["Generate all 5 in this file, for free"]


async def test_fixing_all_right_after_typing_leaves_out_nothing(editor: Editor, demo: Path, llm: FakeLLMServer):
    whole = (demo / RIDERS).read_text("utf-8")
    name = editor.open(demo / RIDERS, "version: 2\n")
    await loaded(editor, demo)

    editor.replace(name, 0, len(editor.texts[name]), whole)
    (action,) = await editor.actions(name, types.Position(0, 0), only=["source.fixAll"])
    assert action.title == "Inherit 5 descriptions in this file"
    await choose(editor, action)

    assert editor.texts[name].count("description:") == whole.count("description:") + 5
    assert llm.requests == []


async def test_a_selection_can_be_generated_alone(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = editor.texts[name]

    start = editor.place(name, "lifetime_value")
    end = editor.place(name, "running_revenue", after=True)
    action = titled(await editor.actions(name, start, end), "selected descriptions")
    assert action.title.startswith("Generate 4 selected descriptions")
    assert action.command is not None
    outcome = await editor.command(action.command.command, *(action.command.arguments or []))

    assert outcome["filled"] == 4
    assert editor.texts[name].count("description:") == before.count("description:") + 3  # one was a placeholder
    assert "- name: rider_name\n      - name" in editor.texts[name]


async def test_what_cannot_be_had_is_shown_with_the_reason(editor: Editor, demo: Path, llm: FakeLLMServer):
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      private: [pii]\n")
    name = editor.open(demo / RIDERS)
    editor.edit(
        name, "      - name: lifetime_value\n", "      - name: lifetime_value\n        config: {tags: [pii]}\n"
    )
    await editor.diagnosed(name, lambda found: any("it is private" in item.message for item in found))

    action = titled(await editor.actions(name, editor.place(name, "lifetime_value")), "Generate description for")

    assert action.disabled is not None
    assert "it is private" in action.disabled.reason
    assert (action.command, action.data, action.edit) == (None, None, None)


async def test_nothing_is_offered_while_the_text_is_no_yaml(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    editor.edit(name, "version: 2\n", "version: 2\n  x: [\n")

    assert await editor.actions(name, editor.place(name, "rider_name")) == []


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    """An editor that knows code actions, and none of what was added to them since."""
    capabilities = full_capabilities()
    assert capabilities.text_document is not None
    capabilities.text_document.code_action = types.CodeActionClientCapabilities(
        code_action_literal_support=types.ClientCodeActionLiteralOptions(types.ClientCodeActionKindOptions([]))
    )
    editor = Editor()
    await editor.start(server_environment(tmp_path_factory.mktemp("plain-cache")), capabilities=capabilities)
    yield editor
    assert await editor.stop() == 0


async def test_a_client_that_resolves_nothing_gets_whole_actions(plain: Editor, demo: Path, llm: FakeLLMServer):
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      private: [pii]\n")
    name = plain.open(demo / RIDERS)
    plain.edit(name, "      - name: plan_code\n", "")
    plain.edit(
        name, "      - name: lifetime_value\n", "      - name: lifetime_value\n        config: {tags: [pii]}\n"
    )
    await plain.diagnosed(name, lambda found: any("it is private" in item.message for item in found))

    actions = await plain.actions(name, plain.place(name, "rider_name"))
    actions += await plain.actions(name, plain.place(name, "lifetime_value"))

    assert all((action.edit is None) != (action.command is None) for action in actions)
    assert "source.fixAll.osmosis" not in {action.kind for action in actions}
    (fix_all,) = await plain.actions(name, plain.place(name, "rider_name"), only=["source.fixAll"])
    assert fix_all.edit is not None
    assert not any(action.tags or action.disabled for action in actions)
    added = titled(actions, "Add 1 column that")
    assert added.edit is not None
    assert plain.apply(added.edit)
    assert "      - name: plan_code\n" in plain.texts[name]
    assert llm.requests == []
    plain.close(name)


async def test_an_editor_that_fails_at_an_edit_is_told_that_nothing_is_lost(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = editor.texts[name]
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "lifetime_value"}

    editor.fail_edits = True
    outcome = await editor.command("osmosis.generateColumn", target)
    editor.fail_edits = False

    assert outcome["filled"] == 0
    assert "asking again is free" in outcome["left"][0]["reason"]
    assert editor.texts[name] == before
    assert not (demo / ".osmosis").exists()
    assert (await editor.command("osmosis.generateColumn", target))["cached"] == 1


async def test_an_entry_that_serves_several_versions_is_filled_as_a_whole(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / "models/marts/dim_bikes.yml")
    await editor.planned(name)

    actions = await editor.actions(name, editor.place(name, "dim_bikes"))
    action = titled(actions, "Generate")
    wanted = int(action.title.split()[1])
    assert action.title.endswith("for `dim_bikes`, at no cost")
    assert action.command is not None
    outcome = await editor.command(action.command.command, *(action.command.arguments or []))

    assert (outcome["filled"], outcome["left"]) == (wanted, [])
    own = editor.texts[name].split("    versions:")[0]
    assert own.count("- name: ") == own.count("description:")


async def test_the_price_of_several_versions_is_told_where_it_is_known_only_with_that_of_other_gaps(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    settings = demo / "dbt_project.yml"
    settings.write_text(settings.read_text("utf-8").replace("openai-compatible", "openai"), "utf-8")
    name = editor.open(demo / "models/marts/dim_bikes.yml")
    await editor.planned(name)

    actions = await editor.actions(name, editor.place(name, "dim_bikes"))

    assert re.search(r"for `dim_bikes`, at most about \$0\.\d+$", titled(actions, "Generate 5").title)
    assert llm.requests == []
