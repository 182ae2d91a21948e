"""What the server does while a project is being loaded: it answers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from bench.generate_manifest import Size, schema_files, tables, write_project
from lsp_editor import Editor, opened_by_a_reader, server_environment

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that is not there before it is written"),
]

# At full size, with a manifest of 88 MB: FULL_SIZE_TESTS=1 pytest tests/lsp/test_loading.py
SIZE = Size() if os.environ.get("FULL_SIZE_TESTS") else Size(models=120, models_per_file=20, macros=5)


async def test_everything_is_answered_while_the_manifest_cannot_have_been_read(tmp_path: Path) -> None:
    manifest = write_project(tmp_path / "project", SIZE, files=False)
    content = manifest.read_bytes()
    manifest.unlink()
    os.mkfifo(manifest)  # who opens it waits until somebody writes
    editor = Editor()

    await editor.start(server_environment(tmp_path / "cache"), folders=[tmp_path / "project"])
    writing = await editor.until(lambda: opened_by_a_reader(manifest))
    name = editor.open(tmp_path / "project/models/_models.yml", next(iter(schema_files(tables(SIZE), SIZE).values())))

    assert [project["state"] for project in await projects(editor)] == ["unread"]
    assert await editor.diagnostics(name) == []

    with os.fdopen(writing, "wb") as file:
        await asyncio.to_thread(file.write, content)
    loaded = await editor.until(lambda: ready(editor))
    assert loaded["nodes"] == len(tables(SIZE))
    assert await editor.stop() == 0


async def projects(editor: Editor) -> list[dict[str, Any]]:
    return (await editor.status())["projects"]


async def ready(editor: Editor) -> dict[str, Any] | None:
    return next((project for project in await projects(editor) if project["state"] == "ready"), None)
