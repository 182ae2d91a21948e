"""Whatever is put in place comes as one edit, with one part for each document, and one undo takes it back."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from lsp_editor import Editor
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
MARTS = "models/marts/_marts.yml"
MODEL = "model.quayside.dim_riders"


async def _model(editor: Editor, name: str) -> None:
    await editor.command("osmosis.generateModel", {"uri": name, "node": MODEL})


async def _file(editor: Editor, name: str) -> None:
    await editor.command("osmosis.generateFile", {"uri": name})


async def _project(editor: Editor, name: str) -> None:
    await editor.command("osmosis.generateProject", {"uri": name})


async def _rewriting(editor: Editor, name: str) -> None:
    await editor.command("osmosis.rewrite", {"uri": name, "node": MODEL, "column": "email"})


async def _texts(editor: Editor, name: str) -> None:
    found: Any = await editor.command("osmosis.propose", {"uri": name})
    texts = [
        {"uri": item["uri"], "node": item["node"], "column": item["column"], "text": item["new"]}
        for item in found["items"]
    ]
    await editor.command("osmosis.applyTexts", {"texts": texts})


def _action(words: str, only: list[str] | None = None) -> Callable[[Editor, str], Awaitable[None]]:
    async def choose(editor: Editor, name: str) -> None:
        actions = await editor.actions(name, editor.place(name, "dim_riders"), only=only)
        (action,) = [action for action in actions if words in action.title]
        action = await editor.client.code_action_resolve_async(action)
        assert action.edit is not None
        assert editor.apply(action.edit)

    return choose


WAYS: dict[str, tuple[Callable[[Editor, str], Awaitable[None]], int]] = {
    "a model": (_model, 1),
    "a file": (_file, 1),
    "a project": (_project, 2),
    "a rewriting": (_rewriting, 1),
    "proposed texts": (_texts, 1),
    "inheriting for an entry": (_action("Inherit 4 descriptions for"), 1),
    "inheriting all": (_action("in this file", ["source.fixAll"]), 1),
    "adding columns": (_action("Add 2 columns"), 1),
}


@pytest.mark.parametrize("way", WAYS)
async def test_one_undo_takes_it_back(editor: Editor, demo: Path, llm: FakeLLMServer, way: str):
    llm.describe = lambda name: f"Zoë's 🚲:\nsays {name or 'all'}."
    act, documents = WAYS[way]
    first = editor.open(demo / RIDERS, (demo / RIDERS).read_text("utf-8").replace("\n", "\r\n"))
    second = editor.open(demo / MARTS)
    if way == "adding columns":
        for column in ("plan_code", "lifetime_value"):
            editor.edit(first, f"      - name: {column}\r\n", "")
    await editor.planned(first)
    gaps = await gaps_of(editor, first)
    before, versions = dict(editor.texts), dict(editor.versions)
    editor.applied.clear()

    await act(editor, first)

    (edit,) = editor.applied
    changes = [change for change in edit.document_changes or [] if isinstance(change, types.TextDocumentEdit)]
    opened = {change.text_document.uri: change for change in changes if change.text_document.uri in before}
    assert len(changes) == len({change.text_document.uri for change in changes})
    assert len(opened) == documents
    assert {name for name in before if editor.texts[name] != before[name]} == set(opened)
    for name, change in opened.items():
        assert change.text_document.version == versions[name]
        undo(editor, name, before[name], change)
        assert editor.texts[name] == before[name]
    await editor.until(lambda: is_so(editor, first, gaps))
    assert second in editor.texts


def undo(editor: Editor, name: str, before: str, change: types.TextDocumentEdit) -> None:
    """Take back what an edit has made of a text, as an editor does that keeps the stretches that were replaced."""
    spans = sorted(
        (editor.offset(before, one.range.start), editor.offset(before, one.range.end), one.new_text)
        for one in change.edits
        if not isinstance(one, types.SnippetTextEdit)
    )
    assert len(spans) == len(change.edits)
    assert all(end <= start for (_, end, _), (start, _, _) in itertools.pairwise(spans)), "they overlap"
    moved = 0
    back: list[tuple[int, int, str]] = []
    for start, end, new in spans:
        back.append((start + moved, start + moved + len(new), before[start:end]))
        moved += len(new) - (end - start)
    for start, end, old in reversed(back):
        editor.replace(name, start, end, old)


async def gaps_of(editor: Editor, name: str) -> list[str]:
    found = await editor.diagnostics(name)
    return [item.message.partition(":")[0] for item in found if item.code == "missing-description"]


async def is_so(editor: Editor, name: str, gaps: list[str]) -> bool:
    return await gaps_of(editor, name) == gaps
