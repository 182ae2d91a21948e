"""What clients can do differs. Each row takes one ability away from a client that has them all, and says what is otherwise then.

Whatever is taken away, gaps are shown and filled; how that is brought about is what differs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from lsp_editor import Editor, full_capabilities, server_environment, uri
from servers import FakeLLMServer

RIDERS = "models/marts/dim_riders.yml"
MODEL = "model.quayside.dim_riders"
NEW = "models/intermediate/int_models.yaml"
"""A schema file that is to be made."""

ACTION = "text_document.code_action"
EDIT = "workspace.workspace_edit"


@dataclass(frozen=True)
class Seen:
    """How a client was served. The defaults are those of one that can do everything."""

    registered: tuple[str, ...] = ("workspace/didChangeConfiguration", "workspace/didChangeWatchedFiles")
    configured: bool = True
    """Whether its settings were asked for."""
    pulled: bool = True
    """Whether diagnostics were left to be asked for, and not sent."""
    lenses_refreshed: bool = True
    hover: str = "markdown"
    inherits_by: str = "an edit, once it is chosen"
    """What the action that inherits holds."""
    disabled: bool = True
    """Whether an action that cannot be had was offered, with the reason."""
    tagged: bool = True
    edit: str = "versioned, annotated, to be confirmed"
    makes_files: str = "the client"
    progress: bool = True
    streamed: bool = True
    """Whether the provider was asked to send its reply in pieces, for somebody to see."""


def without(*paths: str) -> Callable[[types.InitializeParams], None]:
    def take(params: types.InitializeParams) -> None:
        for path in paths:
            value: Any = params.capabilities
            *way, name = path.split(".")
            for step in way:
                value = getattr(value, step)
            setattr(value, name, None)

    return take


def nothing(params: types.InitializeParams) -> None:
    params.capabilities = types.ClientCapabilities()


def one_root(params: types.InitializeParams) -> None:
    assert params.workspace_folders
    params.root_uri, params.workspace_folders = params.workspace_folders[0].uri, None


ALL = Seen()
WHOLE = "an edit"
PLAIN = "by file"

ROWS: dict[str, tuple[Callable[[types.InitializeParams], None], Seen]] = {
    "nothing is lacking": (without(), ALL),
    "no encoding is named": (without("general"), ALL),
    "one root, no folders": (one_root, ALL),
    "code action literals": (
        without(f"{ACTION}.code_action_literal_support", f"{ACTION}.resolve_support"),
        replace(ALL, inherits_by="a command", disabled=False, tagged=False),
    ),
    "resolving": (without(f"{ACTION}.resolve_support"), replace(ALL, inherits_by=WHOLE)),
    "data of actions": (without(f"{ACTION}.data_support"), replace(ALL, inherits_by=WHOLE)),
    "tags and disabled actions": (
        without(f"{ACTION}.tag_support", f"{ACTION}.disabled_support"),
        replace(ALL, tagged=False, disabled=False),
    ),
    "document changes": (without(f"{EDIT}.document_changes"), replace(ALL, edit=PLAIN, makes_files="the server")),
    "annotations": (without(f"{EDIT}.change_annotation_support"), replace(ALL, edit="versioned")),
    "new files": (without(f"{EDIT}.resource_operations"), replace(ALL, makes_files="the server")),
    "edits": (without(EDIT), replace(ALL, edit=PLAIN, makes_files="the server")),
    "progress": (without("window"), replace(ALL, progress=False, streamed=False)),
    "dynamic registration": (
        without("workspace.did_change_configuration", "workspace.did_change_watched_files"),
        replace(ALL, registered=()),
    ),
    "configuration": (without("workspace.configuration"), replace(ALL, configured=False)),
    "pulling diagnostics": (without("text_document.diagnostic"), replace(ALL, pulled=False)),
    "being told to pull": (without("workspace.diagnostics"), replace(ALL, pulled=False)),
    "refreshing lenses, markdown, inline completion": (
        without("workspace.code_lens", "text_document.hover", "text_document.inline_completion"),
        replace(ALL, lenses_refreshed=False, hover="plaintext"),
    ),
    "everything": (
        nothing,
        Seen((), False, False, False, "plaintext", "a command", False, False, PLAIN, "the server", False, False),
    ),
}


@pytest.mark.parametrize("lacks", ROWS)
async def test_a_client_is_served_as_it_can_be(tmp_path: Path, demo: Path, llm: FakeLLMServer, lacks: str):
    take, expected = ROWS[lacks]
    settings = demo / "dbt_project.yml"
    text, _, _ = settings.read_text("utf-8").partition("vars:")
    # Of the providers, the one that is loaded soonest.
    llm_settings = f"{{provider: ollama, model: small, base_url: '{llm.url}', private: [pii]}}"
    settings.write_text(f"{text}vars: {{dbt-osmosis: {{llm: {llm_settings}}}}}\n", "utf-8")
    (demo / NEW).unlink()
    editor = Editor()
    editor.client.set_configuration({"diagnostics": {"severity": "warning"}}, section="osmosis")
    params = types.InitializeParams(copy.deepcopy(full_capabilities()))
    params.workspace_folders = [types.WorkspaceFolder(uri(demo), "demo")]
    take(params)
    await editor.start(server_environment(tmp_path / "cache"), params=params)

    seen = await served(editor, demo, llm)

    assert await editor.stop() == 0
    assert asdict(seen) == asdict(expected)
    assert not [one.message for one in editor.client.messages if "Error in server" in one.message]


async def served(editor: Editor, demo: Path, llm: FakeLLMServer) -> Seen:
    """Do what a user does, and note how the server does its part."""
    text = (demo / RIDERS).read_text("utf-8")
    text = text.replace("- name: lifetime_value\n", "- name: lifetime_value\n        config: {tags: [pii]}\n")
    name = editor.open(demo / RIDERS, f"# éé \U0001f6b2\n{text}")
    pulls = editor.result.capabilities.diagnostic_provider is not None
    found = await shown(editor, name, pulls=pulls)
    hover = await editor.client.text_document_hover_async(
        types.HoverParams(types.TextDocumentIdentifier(name), editor.place(name, "rider_name"))
    )
    assert hover is not None
    assert isinstance(hover.contents, types.MarkupContent)
    assert "full_name" in hover.contents.value
    place = editor.place(name, "- name: rider_name\n", after=True)
    params = types.CodeLensParams(types.TextDocumentIdentifier(name))
    (lens, *_) = await editor.client.text_document_code_lens_async(params) or []
    assert lens.command is not None

    inherits_by = await inherited(editor, name)
    forbidden = titled(await offered(editor, name, "lifetime_value"), "Generate description for `lifetime_value`")
    assert not isinstance(forbidden, types.Command)
    paid = titled(await offered(editor, name, "monthly_fee"), "Generate description for `monthly_fee`")
    assert paid is not None

    editor.edit(name, "- name: plan_code\n", "- name: plan_code\n        description: \n")
    place = editor.place(name, "- name: plan_code\n        description: ", after=True)
    ghost = await editor.client.text_document_inline_completion_async(
        types.InlineCompletionParams(
            types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            types.TextDocumentIdentifier(name),
            place,
        )
    )
    assert isinstance(ghost, types.InlineCompletionList)
    plain = await editor.client.text_document_completion_async(
        types.CompletionParams(types.TextDocumentIdentifier(name), place)
    )
    assert isinstance(plain, types.CompletionList)
    (item,) = plain.items
    assert isinstance(item.text_edit, types.TextEdit)
    assert item.text_edit.new_text == ghost.items[0].insert_text

    assert llm.requests == []
    target = {"uri": name, "node": MODEL, "column": "monthly_fee"}
    assert (await editor.command("osmosis.generateColumn", target))["filled"] == 1
    assert "        description: 'Made up for tests: monthly fee.'\n" in editor.texts[name]
    (request,) = llm.requests
    editor.applied.clear()
    assert (await editor.command("osmosis.generateModel", {"uri": name, "node": MODEL}))["filled"] >= 3
    (edit,) = editor.applied

    sql = editor.open(demo / "models/intermediate/int_repairs_by_bike.sql", language="sql")
    unlisted = {"uri": sql, "node": "model.quayside.int_repairs_by_bike"}
    assert (await editor.command("osmosis.generateModel", unlisted))["filled"] >= 1
    assert "- name: int_repairs_by_bike" in (demo / NEW).read_text("utf-8")
    makes = any(isinstance(change, types.CreateFile) for change in editor.applied[-1].document_changes or [])
    return Seen(
        registered=tuple(sorted(item.method for item in editor.registrations)),
        configured=found[0].severity == types.DiagnosticSeverity.Warning,
        pulled=pulls,
        lenses_refreshed=editor.lens_refreshes > 0,
        hover=str(hover.contents.kind.value),
        inherits_by=inherits_by,
        disabled=forbidden is not None,
        tagged=isinstance(paid, types.CodeAction) and bool(paid.tags),
        edit=shape(edit),
        makes_files="the client" if makes else "the server",
        progress=bool(editor.client.progress_reports),
        streamed=bool(request.body.get("stream")),
    )


async def shown(editor: Editor, name: str, *, pulls: bool) -> list[types.Diagnostic]:
    """The gaps, once it is known what fills them."""

    async def look() -> list[types.Diagnostic] | None:
        sent = list(editor.client.diagnostics.get(name, ()))
        assert not (pulls and sent), "they were sent to a client that asks for them"
        found = await editor.diagnostics(name) if pulls else sent
        gaps = [item for item in found if item.code == "missing-description"]
        return gaps if gaps and all(": " in item.message for item in gaps) else None

    return await editor.until(look)


async def inherited(editor: Editor, name: str) -> str:
    """Have a description inherited; gives how."""
    action = titled(await offered(editor, name, "rider_name"), "Inherit description from `stg_riders.full_name`")
    assert action is not None
    if isinstance(action, types.Command):
        how = "a command"
        await editor.command(action.command, *(action.arguments or []))
    else:
        how = "an edit"
        if action.edit is None:
            how = "an edit, once it is chosen"
            action = await editor.client.code_action_resolve_async(action)
        assert action.edit is not None
        assert editor.apply(action.edit)
    line = "        description: 'Name as the rider entered it. Not for reports.'\n"
    await editor.until(lambda: f"- name: rider_name\n{line}" in editor.texts[name])
    await editor.status()  # the server has the change by now
    return how


async def offered(editor: Editor, name: str, column: str) -> list[types.Command | types.CodeAction]:
    place = editor.place(name, f"- name: {column}\n", after=True)
    place = types.Position(place.line - 1, 12)
    params = types.CodeActionParams(
        types.TextDocumentIdentifier(name), types.Range(place, place), types.CodeActionContext([])
    )
    return list(await editor.client.text_document_code_action_async(params) or [])


def titled(actions: list[types.Command | types.CodeAction], words: str) -> types.Command | types.CodeAction | None:
    return next((action for action in actions if action.title.startswith(words)), None)


def shape(edit: types.WorkspaceEdit) -> str:
    """What an edit of several texts in one open document looks like."""
    if edit.changes is not None:
        assert edit.document_changes is None
        assert edit.change_annotations is None
        return PLAIN
    (change,) = edit.document_changes or []
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version is not None
    if edit.change_annotations is None:
        assert not any(isinstance(one, types.AnnotatedTextEdit) for one in change.edits)
        return "versioned"
    assert all(isinstance(one, types.AnnotatedTextEdit) for one in change.edits)
    (annotation,) = edit.change_annotations.values()
    return "versioned, annotated" + (", to be confirmed" if annotation.needs_confirmation else "")
