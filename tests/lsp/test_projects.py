"""Projects of a workspace: below its folders, several in one, added and removed, looked after by whoever can; and let go."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types

from lsp_editor import Editor, full_capabilities, poor_capabilities, server_environment, uri
from lsp_in_process import Wired
from osmosis_synthesize.lsp.workspace import Ready
from projects import copy_demo

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
STAGING = "models/staging/_staging.yml"


def says(found: list[types.Diagnostic], words: str) -> bool:
    return any(words in item.message for item in found)


def folders(editor: Editor, *, added: tuple[Path, ...] = (), removed: tuple[Path, ...] = ()) -> None:
    event = types.WorkspaceFoldersChangeEvent(
        [types.WorkspaceFolder(uri(folder), folder.name) for folder in added],
        [types.WorkspaceFolder(uri(folder), folder.name) for folder in removed],
    )
    editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))


async def states(editor: Editor) -> dict[str, str]:
    return {project["root"]: project["state"] for project in (await editor.status())["projects"]}


async def reaches(editor: Editor, project: Path, state: str | None) -> None:
    async def reached() -> bool:
        return (await states(editor)).get(str(project)) == state

    await editor.until(reached)


async def test_a_folder_that_is_added_is_loaded_and_let_go_when_it_is_removed(editor: Editor, demo: Path):
    folders(editor, added=(demo,))
    await reaches(editor, demo, "ready")

    folders(editor, removed=(demo,))
    await reaches(editor, demo, None)


async def test_a_project_of_a_removed_folder_stays_while_a_file_of_it_is_open(editor: Editor, demo: Path):
    folders(editor, added=(demo,))
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    folders(editor, removed=(demo,))
    await editor.status()
    assert says(await editor.diagnostics(name), "inheritable from stg_riders.full_name")

    editor.close(name)
    await reaches(editor, demo, None)


async def test_several_projects_below_one_folder_keep_to_themselves(editor: Editor, tmp_path: Path):
    workspace = tmp_path / "workspace"
    near, far = copy_demo(workspace / "near"), copy_demo(workspace / "deep/down/far")
    inner = copy_demo(near / "inner")  # a project within another one
    manifest = json.loads((far / "target/manifest.json").read_text("utf-8"))
    del manifest["nodes"]["model.quayside.dim_riders"]
    (far / "target/manifest.json").write_text(json.dumps(manifest), "utf-8")
    folders(editor, added=(workspace,))
    try:
        names = [editor.open(project / RIDERS) for project in (near, far, inner)]

        await editor.planned(names[0])
        await editor.diagnosed(names[1], lambda found: says(found, "does not know `dim_riders`"))
        await editor.planned(names[2])
        assert not says(await editor.diagnostics(names[0]), "does not know")
        known = await states(editor)
        assert [known[str(project)] for project in (near, far, inner)] == ["ready"] * 3

        for name in names:
            editor.close(name)
        await editor.status()
        assert set(map(str, (near, far, inner))) <= set(await states(editor)), "they are in the workspace still"
    finally:
        folders(editor, removed=(workspace,))
    for project in (near, far, inner):
        await reaches(editor, project, None)


async def test_a_project_that_comes_into_being_around_open_files_is_taken_up(editor: Editor, demo: Path):
    settings = (demo / "dbt_project.yml").read_text("utf-8")
    (demo / "dbt_project.yml").unlink()
    name = editor.open(demo / RIDERS)
    assert await editor.diagnostics(name) == []

    (demo / "dbt_project.yml").write_text(settings, "utf-8")
    event = types.FileEvent(uri(demo / "dbt_project.yml"), types.FileChangeType.Created)
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))

    await editor.planned(name)


async def test_a_project_file_that_breaks_leaves_the_last_settings_in_use(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    settings = demo / "dbt_project.yml"
    good = settings.read_text("utf-8")

    def saved(text: str) -> None:
        settings.write_text(text, "utf-8")
        event = types.FileEvent(uri(settings), types.FileChangeType.Changed)
        editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))

    async def problem() -> str | None:
        status = await editor.status()
        return next(item["problem"] for item in status["projects"] if item["root"] == str(demo))

    saved("name: [\n")
    await editor.until(problem)
    assert says(await editor.diagnostics(name), "inheritable from stg_riders.full_name")
    saved("name: [\n\n")
    saved(good)

    async def mended() -> bool:
        return await problem() is None

    await editor.until(mended)
    (message,) = {item.message for item in editor.client.messages}
    assert "dbt_project.yml" in message
    assert message.endswith("What could be read last stays in use.")


async def test_a_project_file_that_cannot_be_read_from_the_start_is_said_once(editor: Editor, demo: Path):
    settings = demo / "dbt_project.yml"
    good = settings.read_text("utf-8")
    settings.write_text("name: [\n", "utf-8")
    names = [editor.open(demo / RIDERS), editor.open(demo / STAGING)]
    await reaches(editor, demo, "broken")
    assert [await editor.diagnostics(name) for name in names] == [[], []]
    (message,) = [item.message for item in editor.client.messages]
    assert "dbt_project.yml" in message

    settings.write_text(good, "utf-8")
    event = types.FileEvent(uri(settings), types.FileChangeType.Changed)
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
    await editor.planned(names[0])


async def test_wrong_settings_of_the_project_are_named_once_and_the_rest_works(editor: Editor, demo: Path):
    settings = demo / "dbt_project.yml"
    settings.write_text(settings.read_text("utf-8") + "      concurrency: many\n      provder: openai\n", "utf-8")
    names = [editor.open(demo / RIDERS), editor.open(demo / STAGING)]
    await editor.planned(names[0])
    await editor.planned(names[1])

    messages = [item.message for item in editor.client.messages]
    assert len([message for message in messages if "concurrency" in message]) == 1
    assert len([message for message in messages if "provder" in message]) == 1
    assert len(messages) == 2


# Clients that do not watch files, or not all


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def blind(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    """An editor that asks for diagnostics, and watches no file."""
    capabilities = full_capabilities()
    assert capabilities.workspace is not None
    capabilities.workspace.did_change_watched_files = None
    editor = Editor()
    await editor.start(server_environment(tmp_path_factory.mktemp("blind-cache")), capabilities=capabilities)
    yield editor
    assert await editor.stop() == 0


async def test_a_schema_file_that_changes_on_disk_is_noticed_without_watchers(blind: Editor, demo: Path):
    assert types.WORKSPACE_DID_CHANGE_WATCHED_FILES not in {item.method for item in blind.registrations}
    name = blind.open(demo / RIDERS)
    await blind.diagnosed(name, lambda found: says(found, "inheritable from stg_riders.full_name"))
    staging = demo / STAGING
    text = staging.read_text("utf-8")
    without = text.replace("    description: Name as the rider entered it. Not for reports.\n", "")
    assert without != text
    lines = 0

    async def noticed() -> bool:
        # Once more each time: the first look may come after the first change.
        nonlocal lines
        lines += 1
        staging.write_text(without + "#" * lines + "\n", "utf-8")
        return says(await blind.diagnostics(name), "inheritable from landing.riders")

    await blind.until(noticed)


async def test_a_project_above_the_workspaces_folder_is_looked_after(tmp_path: Path):
    """The client watches below its folder only."""
    demo = copy_demo(tmp_path / "demo")
    editor = Editor()
    await editor.start(server_environment(tmp_path / "cache"), folders=[demo / "models"])
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    manifest = json.loads((demo / "target/manifest.json").read_text("utf-8"))
    del manifest["nodes"]["model.quayside.dim_riders"]

    async def noticed() -> bool:
        manifest["metadata"]["invocation_id"] = str(len(str(manifest["metadata"])))
        (demo / "target/manifest.json").write_text(json.dumps(manifest), "utf-8")
        return says(await editor.diagnostics(name), "does not know `dim_riders`")

    await editor.until(noticed)
    assert await editor.stop() == 0


async def test_settings_that_are_sent_along_are_taken(tmp_path: Path):
    """As by clients that cannot be asked for them."""
    demo = copy_demo(tmp_path / "demo")
    editor = Editor()
    await editor.start(
        server_environment(tmp_path / "cache"),
        capabilities=poor_capabilities(),
        options={"diagnostics": {"severity": "information"}},
    )
    name = editor.open(demo / RIDERS)

    def severities() -> set[types.DiagnosticSeverity | None]:
        found = editor.client.diagnostics.get(name, ())
        return {item.severity for item in found if item.code == "missing-description"}

    await editor.until(lambda: severities() == {types.DiagnosticSeverity.Information})
    for settings in ({"osmosis": {"diagnostics": {"severity": "error"}}}, {"diagnostics": {"severity": "warning"}}):
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings))
        wanted = settings.get("osmosis", settings)["diagnostics"]["severity"]  # type: ignore[index]
        await editor.until(lambda wanted=wanted: severities() == {types.DiagnosticSeverity[wanted.capitalize()]})
    editor.client.workspace_did_change_configuration(
        types.DidChangeConfigurationParams({"osmosis": {"diagnostics": {"severity": "off"}}})
    )
    await editor.until(lambda: severities() == set())
    assert await editor.stop() == 0


# Memory


async def test_nothing_is_kept_of_a_project_that_was_let_go(tmp_path: Path):
    demo = copy_demo(tmp_path / "demo")
    server = Wired()
    folder = {"uri": uri(demo), "name": "demo"}
    server.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [folder], "removed": []}})
    document = {"uri": uri(demo / RIDERS), "languageId": "yaml", "version": 1}
    server.notify("textDocument/didOpen", {"textDocument": document | {"text": (demo / RIDERS).read_text("utf-8")}})
    gone = await worked_on(server)

    server.notify("textDocument/didClose", {"textDocument": document})
    assert [member.ways for member in server.session.workspace] == [{}]
    server.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": [folder]}})
    await server.quiet()

    assert list(server.session.workspace) == []
    await Editor().until(lambda: gc.collect() >= 0 and [ref() for ref in gone] == [None, None])
    assert server.session.documents.below(demo) == []


async def worked_on(server: Wired) -> list[weakref.ref[Any]]:
    """Once all is known of the one open file: what would be kept."""
    member = await Editor().until(lambda: next(iter(server.session.workspace), None))
    await Editor().until(lambda: len(member.ways) == 1)
    await server.quiet()
    assert isinstance(member.state, Ready)
    return [weakref.ref(member.state.project), weakref.ref(member.state.project.index)]


async def test_a_client_that_asks_but_cannot_be_told_to_ask_again_is_told_unasked(tmp_path: Path):
    """As Neovim 0.11: its first question comes before anything is known, and there would be no second one."""
    demo = copy_demo(tmp_path / "demo")
    capabilities = full_capabilities()
    assert capabilities.workspace is not None
    capabilities.workspace.diagnostics = None
    editor = Editor()
    await editor.start(server_environment(tmp_path / "cache"), capabilities=capabilities)
    assert editor.result.capabilities.diagnostic_provider is None, "or each would be shown twice"

    name = editor.open(demo / RIDERS)
    await editor.until(
        lambda: says(list(editor.client.diagnostics.get(name, ())), "inheritable from stg_riders.full_name")
    )
    assert await editor.stop() == 0
