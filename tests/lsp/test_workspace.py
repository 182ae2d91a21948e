"""Projects that come, go, change and break while they are open; settings that change; clients that can do little."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types

from lsp_editor import Editor, poor_capabilities, server_environment, uri
from projects import copy_demo
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"


def says(found: list[types.Diagnostic], words: str) -> bool:
    return any(words in item.message for item in found)


def saved(editor: Editor, *files: Path, kind: types.FileChangeType = types.FileChangeType.Changed) -> None:
    events = [types.FileEvent(uri(file), kind) for file in files]
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(events))


async def state(editor: Editor, project: Path) -> dict[str, Any]:
    status = await editor.status()
    return next((item for item in status["projects"] if item["root"] == str(project)), {"state": "none"})


async def test_without_a_manifest_gaps_are_still_seen_and_it_is_said_once_what_to_do(editor: Editor, demo: Path):
    manifest = demo / "target/manifest.json"
    text = manifest.read_text("utf-8")
    manifest.unlink()
    first = editor.open(demo / RIDERS)
    second = editor.open(demo / "models/marts/_marts.yml")

    await editor.diagnosed(first, lambda found: says(found, "`dim_riders.rider_name` has no description"))
    await editor.diagnosed(second, lambda found: says(found, "`dim_stations.district` has no description"))
    complaints = [message.message for message in editor.client.messages if "manifest.json" in message.message]
    assert len(complaints) == 1
    assert "dbt parse" in complaints[0]
    assert (await state(editor, demo))["state"] == "without manifest"
    assert await editor.actions(first, editor.place(first, "rider_name")) == []

    manifest.write_text(text, "utf-8")
    saved(editor, manifest, kind=types.FileChangeType.Created)
    await editor.diagnosed(first, lambda found: says(found, "inheritable from stg_riders.full_name"))


async def test_a_half_written_manifest_leaves_the_last_good_one_in_use(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.diagnosed(name, lambda found: says(found, "inheritable from stg_riders.full_name"))
    manifest = demo / "target/manifest.json"

    manifest.write_text(manifest.read_text("utf-8")[:1000], "utf-8")
    saved(editor, manifest)

    await editor.until(lambda: any("manifest.json" in message.message for message in editor.client.messages))
    assert "stays in use" in editor.client.messages[-1].message
    assert says(await editor.diagnostics(name), "inheritable from stg_riders.full_name")
    assert (await state(editor, demo))["state"] == "ready"


async def test_a_model_that_changed_since_the_manifest_is_one_line(editor: Editor, demo: Path):
    for model in ("dim_stations", "fct_rentals", "daily_station_trips"):
        with (demo / f"models/marts/{model}.sql").open("a", encoding="utf-8") as file:
            file.write("\n-- more\n")
    name = editor.open(demo / "models/marts/_marts.yml")

    found = await editor.diagnosed(name, lambda found: says(found, "The manifest is older than 3 nodes"))

    stale = [item for item in found if item.code == "stale-manifest"]
    assert len(stale) == 1
    assert stale[0].severity == types.DiagnosticSeverity.Information


async def test_an_entry_that_the_manifest_does_not_know_is_named(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.diagnosed(name, lambda found: says(found, "rider_name"))
    editor.edit(name, "  - name: monthly_revenue\n", "  - name: monthly_revenues\n")

    found = await editor.diagnosed(name, lambda found: says(found, "does not know `monthly_revenues`"))

    assert [item.code for item in found].count("unknown-node") == 1


async def test_text_that_is_no_yaml_is_said_and_mended_by_typing_on(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.diagnosed(name, lambda found: says(found, "inheritable"))
    editor.edit(name, "columns:\n", "columns: [\n")
    editor.edit(name, "version: 2\n", "# éé\nversion: 2\n")
    found = await editor.diagnosed(name, lambda found: any(item.code == "unreadable" for item in found))
    gap = next(item for item in found if "dim_riders.rider_name" in item.message)
    assert gap.range.start == editor.place(name, "rider_name"), "the last slots are kept, and move along"
    assert await editor.actions(name, gap.range.start) == []

    editor.edit(name, "columns: [\n", "columns:\n")

    await editor.diagnosed(name, lambda found: says(found, "inheritable from stg_riders.full_name"))


async def test_an_upstream_file_that_is_open_counts_as_it_is_in_the_editor(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.diagnosed(name, lambda found: says(found, "inheritable from stg_riders.full_name"))
    other = editor.open(demo / "models/staging/_staging.yml")
    editor.edit(other, "    description: Name as the rider entered it. Not for reports.\n", "")
    editor.edit(name, "version: 2\n", "version: 2 \n")  # the outlook of a file is worked out when it changes

    await editor.diagnosed(name, lambda found: says(found, "inheritable from landing.riders"))


async def test_settings_change_live_and_a_wrong_one_is_named(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.diagnosed(name, lambda found: says(found, "rider_name"))
    configured = {"model": "gpt-4.1", "diagnostics": {"severity": "warning"}, "baseUrl": "https://elsewhere.example"}
    try:
        editor.client.set_configuration(configured, section="osmosis")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))
        found = await editor.diagnosed(
            name, lambda found: any(item.severity == types.DiagnosticSeverity.Warning for item in found)
        )
        assert says(found, "rider_name")

        async def changed() -> bool:
            return (await state(editor, demo)).get("model") == "gpt-4.1"

        await editor.until(changed)
        assert [
            message.message for message in editor.client.messages if "osmosis.baseUrl is not used" in message.message
        ]

        editor.client.set_configuration({"maxCostPerRun": "much"}, section="osmosis")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))
        await editor.until(lambda: any("max_cost_per_run" in item.message for item in editor.client.messages))

        async def without_budget() -> bool:
            return (await state(editor, demo))["budgetRun"] == "0"  # one that cannot be read is none at all

        await editor.until(without_budget)
    finally:
        editor.client.set_configuration({}, section="osmosis")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))


async def test_two_projects_at_once_keep_to_themselves(editor: Editor, demo: Path, tmp_path: Path):
    other = copy_demo(tmp_path / "other/inner")
    manifest = json.loads((other / "target/manifest.json").read_text("utf-8"))
    del manifest["nodes"]["model.quayside.dim_riders"]
    (other / "target/manifest.json").write_text(json.dumps(manifest), "utf-8")

    first, second = editor.open(demo / RIDERS), editor.open(other / RIDERS)

    await editor.diagnosed(second, lambda found: says(found, "does not know `dim_riders`"))
    found = await editor.diagnosed(first, lambda found: says(found, "inheritable"))
    assert not says(found, "does not know")


async def test_other_documents_are_left_alone(editor: Editor, demo: Path, tmp_path: Path):
    (tmp_path / "elsewhere.yml").write_text("models:\n  - name: x\n", "utf-8")
    nowhere = editor.open(tmp_path / "elsewhere.yml")
    project = editor.open(demo / "dbt_project.yml")
    package = demo / "dbt_packages/some/models/x.yml"
    package.parent.mkdir(parents=True)
    package.write_text("version: 2\nmodels:\n  - name: x\n", "utf-8")
    installed = editor.open(package)
    mine = editor.open(demo / RIDERS)
    await editor.diagnosed(mine, lambda found: says(found, "inheritable"))

    for name in (nowhere, project, installed):
        assert await editor.diagnostics(name) == []


async def test_no_key_is_one_message_that_says_what_to_do_and_what_is_free_is_done(editor: Editor, demo: Path):
    settings = demo / "dbt_project.yml"
    text = settings.read_text("utf-8")
    settings.write_text(
        text[: text.index("vars:")] + "vars: {dbt-osmosis: {llm: {provider: openai, model: gpt-4o}}}\n"
    )
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    outcome = await editor.command("osmosis.generateFile", {"uri": name})

    assert outcome["inherited"] == outcome["filled"] == 5
    assert len(outcome["left"]) == 5
    (message,) = [item.message for item in editor.client.messages]
    assert "OPENAI_API_KEY" in message


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def poor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    """An editor that can do next to nothing."""
    editor = Editor()
    await editor.start(server_environment(tmp_path_factory.mktemp("poor-cache")), capabilities=poor_capabilities())
    yield editor
    assert await editor.stop() == 0


async def test_a_poor_client_is_told_gaps_unasked(poor: Editor, demo: Path):
    name = poor.open(demo / RIDERS)

    await poor.until(
        lambda: says(list(poor.client.diagnostics.get(name, ())), "inheritable from stg_riders.full_name")
    )
    poor.close(name)
    await poor.until(lambda: not poor.client.diagnostics[name])


async def test_a_poor_client_gets_commands_and_plain_edits(poor: Editor, demo: Path, llm: FakeLLMServer):
    name = poor.open(demo / RIDERS)
    await poor.until(lambda: says(list(poor.client.diagnostics.get(name, ())), "call"))

    place = poor.place(name, "rider_name")
    params = types.CodeActionParams(
        types.TextDocumentIdentifier(name), types.Range(place, place), types.CodeActionContext([])
    )
    offered = await poor.client.text_document_code_action_async(params) or []
    commands = [item for item in offered if isinstance(item, types.Command)]
    assert len(commands) == len(offered)
    (inherit,) = [command for command in commands if command.title.startswith("Inherit description")]
    assert (await poor.command(inherit.command, *(inherit.arguments or [])))["filled"] == 1
    (edit,) = poor.applied
    assert edit.document_changes is None
    assert llm.requests == []

    outcome = await poor.command("osmosis.generateModel", {"uri": name, "node": "model.quayside.dim_riders"})
    assert outcome["filled"] == 6
    assert poor.applied[-1].changes is not None
    assert poor.client.progress_reports == {}


async def test_a_poor_clients_files_are_looked_after_all_the_same(poor: Editor, demo: Path):
    name = poor.open(demo / RIDERS)
    await poor.until(lambda: says(list(poor.client.diagnostics.get(name, ())), "inheritable"))
    manifest = json.loads((demo / "target/manifest.json").read_text("utf-8"))
    del manifest["nodes"]["model.quayside.dim_riders"]

    async def noticed() -> bool:
        # Once more each time: the first look may come after the first change.
        manifest["metadata"]["invocation_id"] = str(len(str(manifest["metadata"])))
        (demo / "target/manifest.json").write_text(json.dumps(manifest), "utf-8")
        return says(list(poor.client.diagnostics.get(name, ())), "does not know `dim_riders`")

    await poor.until(noticed)
