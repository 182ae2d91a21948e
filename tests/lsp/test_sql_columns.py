"""In the file of a model: what hovers over its output columns, and what can be done about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types

from lsp_editor import Editor, full_capabilities, server_environment, uri
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

SQL = "models/marts/dim_riders.sql"
SCHEMA = "models/marts/dim_riders.yml"


def titled(actions: list[types.CodeAction], words: str) -> types.CodeAction:
    found = [action for action in actions if words in action.title]
    assert found, [action.title for action in actions]
    return found[0]


async def run(editor: Editor, action: types.CodeAction) -> Any:
    assert action.command is not None
    return await editor.command(action.command.command, *(action.command.arguments or []))


async def opened(editor: Editor, path: Path, *, language: str = "sql") -> str:
    """Open the file of a model, and wait until its outlook is known."""
    name = editor.open(path, language=language)

    async def look() -> bool:
        params = types.CodeLensParams(types.TextDocumentIdentifier(name))
        return bool(await editor.client.text_document_code_lens_async(params))

    await editor.until(look)
    return name


async def hovered(editor: Editor, name: str, words: str) -> types.Hover | None:
    params = types.HoverParams(types.TextDocumentIdentifier(name), editor.place(name, words))
    return await editor.client.text_document_hover_async(params)


def said(hover: types.Hover | None) -> str:
    assert hover is not None
    assert isinstance(hover.contents, types.MarkupContent)
    return hover.contents.value


@pytest.mark.parametrize("language", ["sql", "jinja-sql"])
async def test_an_output_column_tells_what_its_yaml_tells(
    editor: Editor, demo: Path, llm: FakeLLMServer, language: str
):
    name = await opened(editor, demo / SQL, language=language)
    schema = editor.open(demo / SCHEMA)
    await editor.planned(schema)

    for words, column in [
        ("full_name as rider_name", "name: rider_name"),
        ("coalesce(trips.lifetime_value", "name: lifetime_value"),
        ("riders.email", "name: email"),
    ]:
        hover = await hovered(editor, name, words)
        assert said(hover) == said(await hovered(editor, schema, column.removeprefix("name: ")))
    assert "`stg_riders.full_name`" in said(await hovered(editor, name, "riders.full_name"))
    assert "tokens in" in said(await hovered(editor, name, "coalesce(trips.lifetime_value"))

    hover = await hovered(editor, name, "coalesce(trips.trip_count, 0)")
    assert hover is not None
    assert hover.range is not None
    assert hover.range.start == editor.place(name, "coalesce(trips.trip_count")
    assert hover.range.end == editor.place(name, "coalesce(trips.trip_count, 0) as trip_count", after=True)
    assert llm.requests == []


async def test_elsewhere_in_sql_nothing_is_told(editor: Editor, demo: Path):
    name = await opened(editor, demo / SQL)

    for words in ("with riders", "ref('riders_history')", "left join plans", "count(*) as trip_count"):
        assert await hovered(editor, name, words) is None


async def test_a_column_at_the_cursor_is_inherited_into_the_schema_file(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = await opened(editor, demo / SQL, language="jinja-sql")

    action = titled(
        await editor.actions(name, editor.place(name, "full_name as rider_name")),
        "Inherit description from `stg_riders.full_name`",
    )
    assert (action.edit, action.command, action.kind) == (None, None, "quickfix")
    action = await editor.client.code_action_resolve_async(action)
    assert action.edit is not None
    (change,) = action.edit.document_changes or []
    assert isinstance(change, types.TextDocumentEdit)
    assert (change.text_document.uri, change.text_document.version) == (uri(demo / SCHEMA), None)
    before = (demo / SCHEMA).read_text("utf-8")
    assert editor.apply(action.edit)

    assert (demo / SCHEMA).read_text("utf-8") == before.replace(
        "- name: rider_name\n",
        "- name: rider_name\n        description: 'Name as the rider entered it. Not for reports.'\n",
    )
    assert llm.requests == []


async def test_a_column_at_the_cursor_is_generated(editor: Editor, demo: Path, llm: FakeLLMServer):
    schema = editor.open(demo / SCHEMA)
    name = await opened(editor, demo / SQL)

    action = titled(
        await editor.actions(name, editor.place(name, "lifetime_value, 0)")),
        "Generate description for `lifetime_value`",
    )
    assert llm.requests == []
    assert (await run(editor, action))["filled"] == 1

    assert "- name: lifetime_value\n        description: 'Made up for tests: lifetime value.'" in editor.texts[schema]
    assert len(llm.requests) == 1


async def test_a_selection_in_sql_offers_just_its_columns(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = await opened(editor, demo / SQL)
    schema = editor.open(demo / SCHEMA)

    start, end = editor.place(name, "plans.plan_name"), editor.place(name, "riders.home_station_id")
    actions = await editor.actions(name, start, end)
    before = editor.texts[schema]
    outcome = await run(editor, titled(actions, "Generate 2 selected descriptions"))

    assert (outcome["filled"], outcome["inherited"], outcome["calls"]) == (2, 1, 1)
    assert editor.texts[schema].count("description:") == before.count("description:") + 2
    for column in ("plan_name", "monthly_fee"):
        assert f"- name: {column}\n        description:" in editor.texts[schema]


async def test_the_whole_model_can_be_filled_from_anywhere_in_its_sql(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = await opened(editor, demo / SQL)

    actions = await editor.actions(name, editor.place(name, "left join plans"))
    titles = [action.title for action in actions]
    assert any(title.startswith("Inherit 4 descriptions for `dim_riders`") for title in titles)
    assert any(title.startswith("Generate 7 descriptions for `dim_riders`") for title in titles)
    # A file that one is not looking at is not changed on each save.
    assert await editor.actions(name, types.Position(0, 0), only=["source.fixAll"]) == []


async def test_columns_that_the_entry_lacks_are_added_from_sql(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = await opened(editor, demo / SQL)
    schema = editor.open(demo / SCHEMA)
    editor.edit(schema, "      - name: plan_name\n      - name: monthly_fee\n", "")

    async def offered() -> types.CodeAction | None:
        actions = await editor.actions(name, editor.place(name, "left join plans"))
        return next((action for action in actions if action.title == "Add 2 columns that dim_riders.yml lacks"), None)

    action = await editor.client.code_action_resolve_async(await editor.until(offered))
    assert action.edit is not None
    assert editor.apply(action.edit)

    assert editor.texts[schema] == (demo / SCHEMA).read_text("utf-8")
    assert llm.requests == []


async def test_a_described_column_can_be_rewritten_from_sql(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = await opened(editor, demo / SQL)
    schema = editor.open(demo / SCHEMA)
    llm.describe = lambda name: f"From SQL: {name}."

    action = titled(await editor.actions(name, editor.place(name, "riders.email")), "Rewrite description of `email`")
    assert (await run(editor, action))["filled"] == 1

    assert "description: 'From SQL: email.'" in editor.texts[schema]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    """An editor that takes edits of documents only, and resolves nothing."""
    capabilities = full_capabilities()
    assert capabilities.workspace is not None
    assert capabilities.workspace.workspace_edit is not None
    assert capabilities.text_document is not None
    assert capabilities.text_document.code_action is not None
    capabilities.workspace.workspace_edit.resource_operations = None
    capabilities.workspace.workspace_edit.change_annotation_support = None
    capabilities.text_document.code_action.resolve_support = None
    capabilities.text_document.code_action.tag_support = None
    editor = Editor()
    await editor.start(server_environment(tmp_path_factory.mktemp("plain-cache")), capabilities=capabilities)
    yield editor
    assert await editor.stop() == 0


async def test_for_a_client_that_makes_no_files_the_server_does(plain: Editor, demo: Path, llm: FakeLLMServer):
    schema = demo / "models/intermediate/int_models.yaml"
    schema.unlink()
    name = await opened(plain, demo / "models/intermediate/int_repairs_by_bike.sql")
    actions = await plain.actions(name, types.Position(0, 0))
    assert not any(action.tags or action.edit for action in actions)

    assert (await run(plain, titled(actions, "Generate 1 description for `int_repairs_by_bike`")))["filled"] == 1

    assert plain.applied == []
    assert "- name: int_repairs_by_bike\n" in schema.read_text("utf-8")
    plain.close(name)


async def test_a_new_schema_file_that_is_open_but_not_saved_is_edited_there(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    path = demo / "models/intermediate/int_models.yaml"
    path.unlink()
    schema = editor.open(path, "# begun by hand\n")
    name = await opened(editor, demo / "models/intermediate/int_repairs_by_bike.sql")

    actions = await editor.actions(name, types.Position(0, 0))
    assert (await run(editor, titled(actions, "Generate 1 description")))["filled"] == 1

    assert editor.texts[schema].startswith("# begun by hand\nversion: 2\n")
    assert "- name: int_repairs_by_bike\n" in editor.texts[schema]
    assert not path.exists()


async def test_a_new_file_that_somebody_else_makes_meanwhile_is_left_alone(
    plain: Editor, demo: Path, llm: FakeLLMServer
):
    schema = demo / "models/intermediate/int_models.yaml"
    schema.unlink()
    name = plain.open(demo / SCHEMA)
    await plain.planned(name)

    def make() -> None:
        schema.write_text("# mine\n", "utf-8")

    plain.before_apply = make
    outcome = await plain.command("osmosis.generateProject", {"uri": name})

    assert schema.read_text("utf-8") == "# mine\n"
    reasons = {item["label"]: item["reason"] for item in outcome["left"]}
    assert "int_models.yaml" in reasons["int_repairs_by_bike"]
    assert outcome["filled"] > 20
    assert "Made up for tests: lifetime value." in plain.texts[name]
    plain.close(name)
