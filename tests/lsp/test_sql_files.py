from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types

from lsp_editor import Editor, uri
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]


async def lens_of(editor: Editor, name: str) -> types.CodeLens:
    async def look() -> types.CodeLens | None:
        params = types.CodeLensParams(types.TextDocumentIdentifier(name))
        found = list(await editor.client.text_document_code_lens_async(params) or [])
        return found[0] if found else None

    return await editor.until(look)


async def test_the_lens_over_a_models_sql_fills_its_entry_in_the_schema_file(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / "models/marts/dim_riders.sql", language="jinja-sql")
    schema = demo / "models/marts/dim_riders.yml"
    lens = await lens_of(editor, name)
    assert lens.command is not None
    assert lens.command.title == "7 gaps: inherit 4 · generate 3 (1 call, at no cost)"
    assert lens.range.start == types.Position(0, 0)
    assert llm.requests == []

    outcome = await editor.command(lens.command.command, *(lens.command.arguments or []))

    assert outcome["filled"] == 7
    assert schema.read_text("utf-8").count("description:") == 8 + 7
    (edit,) = editor.applied
    (change,) = edit.document_changes or []
    assert isinstance(change, types.TextDocumentEdit)
    assert (change.text_document.uri, change.text_document.version) == (uri(schema), None)


async def test_a_schema_file_that_is_open_is_edited_there(editor: Editor, demo: Path):
    schema = editor.open(demo / "models/marts/dim_riders.yml")
    editor.edit(schema, "version: 2\n", "version: 2\n\n# not saved yet\n")
    name = editor.open(demo / "models/marts/dim_riders.sql", language="sql")
    lens = await lens_of(editor, name)
    assert lens.command is not None

    await editor.command(lens.command.command, *(lens.command.arguments or []))

    assert editor.texts[schema].count("description:") == 8 + 7
    assert "# not saved yet" in editor.texts[schema]
    assert "not saved" not in (demo / "models/marts/dim_riders.yml").read_text("utf-8")


async def test_a_model_without_an_entry_gets_one(editor: Editor, demo: Path):
    name = editor.open(demo / "models/intermediate/int_repairs_by_bike.sql", language="sql")
    lens = await lens_of(editor, name)
    assert lens.command is not None
    assert lens.command.title.startswith("1 gap: ")

    assert (await editor.command(lens.command.command, *(lens.command.arguments or [])))["filled"] == 1

    text = (demo / "models/intermediate/int_models.yaml").read_text("utf-8")
    assert "    - name: int_repairs_by_bike\n      description:" in text


async def test_a_schema_file_that_is_not_there_is_made(editor: Editor, demo: Path):
    schema = demo / "models/intermediate/int_models.yaml"
    schema.unlink()
    name = editor.open(demo / "models/intermediate/int_repairs_by_bike.sql", language="sql")
    lens = await lens_of(editor, name)
    assert lens.command is not None

    assert (await editor.command(lens.command.command, *(lens.command.arguments or [])))["filled"] == 1

    (edit,) = editor.applied
    assert isinstance((edit.document_changes or [])[0], types.CreateFile)
    assert "- name: int_repairs_by_bike" in schema.read_text("utf-8")
