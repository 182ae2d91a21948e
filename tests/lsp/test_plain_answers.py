"""What goes wrong is answered in words that say what, and what to do: never with silence, and never with a traceback."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from lsprotocol import types

from lsp_editor import Editor, as_dict, server_environment, uri
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"


def no_internal_error(editor: Editor) -> None:
    """The user was shown nothing of the server's own insides."""
    assert [one.message for one in editor.client.messages if "Error in server" in one.message] == []


async def loaded(editor: Editor, project: Path, state: str = "ready") -> None:
    """Until the server has read a project."""

    async def ready() -> bool:
        projects = (await editor.status())["projects"]
        return any(one["root"] == str(project) and one["state"] == state for one in projects)

    await editor.until(ready)


async def refused(editor: Editor, command: str, argument: object) -> str:
    """Why a command was refused."""
    with pytest.raises(Exception) as caught:
        await editor.command(command, argument)
    assert getattr(caught.value, "code", None) == types.LSPErrorCodes.RequestFailed.value
    no_internal_error(editor)
    return str(caught.value)


@pytest.mark.parametrize("command", ["osmosis.generateFile", "osmosis.propose", "osmosis.preview"])
@pytest.mark.parametrize("opened_so", [True, False])
async def test_a_file_that_is_no_yaml_is_refused_with_its_line(
    editor: Editor, demo: Path, llm: FakeLLMServer, command: str, opened_so: bool
):
    text = (demo / RIDERS).read_text("utf-8")
    broken = text.replace("columns:", "columns: [", 1)
    name = editor.open(demo / RIDERS, broken if opened_so else text)
    await loaded(editor, demo)
    if not opened_so:
        await editor.planned(name)
        editor.edit(name, "columns:", "columns: [")

    why = await refused(editor, command, {"uri": name})

    assert re.search(r"dim_riders\.yml cannot be read: line \d+: .*Mend that, then try again\.", why), why
    assert llm.requests == []


async def test_a_closed_file_that_is_no_yaml_is_refused_too(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    other = demo / "models/marts/broken.yml"
    other.write_text("models: [\n", "utf-8")

    assert "broken.yml cannot be read: line " in await refused(
        editor, "osmosis.generateFile", {"uri": name.replace("dim_riders", "broken")}
    )


@pytest.mark.parametrize("command", ["generateColumn", "generateModel", "generateFile"])
async def test_a_node_that_nobody_knows_is_named(editor: Editor, demo: Path, llm: FakeLLMServer, command: str):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    why = await refused(editor, f"osmosis.{command}", {"uri": name, "node": "model.quayside.dim_ridders"})

    assert "does not know the node 'model.quayside.dim_ridders'. If it is no slip, run `dbt parse`." in why
    assert llm.requests == []


async def test_a_command_for_a_node_needs_one(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    assert "names no node" in await refused(editor, "osmosis.generateModel", {"uri": name})


async def test_a_gap_that_the_manifest_does_not_know_can_still_be_named(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    editor.edit(name, "name: dim_riders", "name: dim_unheard_of")

    plan = await editor.command("osmosis.preview", {"uri": name, "node": "model.quayside.dim_unheard_of"})

    assert plan["gaps"]


@pytest.mark.parametrize("opened_too", [True, False])
async def test_a_node_is_described_where_its_entry_stands_whatever_file_is_named(
    editor: Editor, demo: Path, opened_too: bool
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    other = demo / "models/marts/_marts.yml"
    home = editor.open(other) if opened_too else uri(other)
    target = {"uri": name, "node": "model.quayside.dim_stations", "column": "district"}

    (gap,) = (await editor.command("osmosis.preview", target))["gaps"]
    assert gap["label"] == "dim_stations.district"
    before = editor.texts[name]
    assert (await editor.command("osmosis.generateColumn", target))["filled"] == 1

    text = editor.texts[home] if opened_too else other.read_text("utf-8")
    assert "- name: district\n        description: " in text
    assert editor.texts[name] == before


async def test_a_column_that_no_file_lists_is_named(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "rider_nam"}

    why = await refused(editor, "osmosis.generateColumn", target)

    assert why.startswith("No schema file lists the column 'rider_nam' of dim_riders. If it is no slip, add it")


async def test_a_node_of_a_package_is_said_to_be_one(editor: Editor, demo: Path, llm: FakeLLMServer):
    manifest = demo / "target/manifest.json"
    text = manifest.read_text("utf-8")
    data = json.loads(text)
    node = data["nodes"]["model.quayside.dim_stations"]
    copied = node | {"unique_id": "model.elsewhere.theirs", "name": "theirs", "package_name": "elsewhere"}
    data["nodes"]["model.elsewhere.theirs"] = copied | {"patch_path": "elsewhere://models/theirs.yml"}
    manifest.write_text(json.dumps(data), "utf-8")
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    why = await refused(editor, "osmosis.generateModel", {"uri": name, "node": "model.elsewhere.theirs"})

    assert why.startswith("theirs belongs to the package elsewhere, in which nothing is written.")
    assert llm.requests == []


async def test_what_is_described_already_is_no_error(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    known = set(editor.client.progress_reports)
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "email"}

    outcome = await editor.command("osmosis.generateColumn", target)

    assert (outcome["filled"], outcome["left"], llm.requests) == (0, [], [])
    (token,) = set(editor.client.progress_reports) - known
    assert editor.client.progress_reports[token][-1].message == "nothing was left to describe"


# Files that nothing can be done in


@pytest.mark.parametrize("scope", ["generateFile", "generateProject"])
async def test_a_file_outside_of_all_projects_is_not_sent_to_dbt_parse(editor: Editor, tmp_path: Path, scope: str):
    (tmp_path / "x.yml").write_text("models: []\n", "utf-8")
    name = editor.open(tmp_path / "x.yml")

    why = await refused(editor, f"osmosis.{scope}", {"uri": name})

    assert "x.yml belongs to no dbt project: neither" in why
    assert "dbt parse" not in why


@pytest.mark.parametrize("scope", ["generateFile", "generateProject"])
async def test_a_project_without_a_manifest_is(editor: Editor, demo: Path, scope: str):
    (demo / "target/manifest.json").unlink()
    name = editor.open(demo / RIDERS)
    await loaded(editor, demo, "without manifest")

    why = await refused(editor, f"osmosis.{scope}", {"uri": name})

    assert "manifest" in why
    assert "dbt parse" in why
    assert "no schema file" not in why


async def test_another_file_of_a_project_is_told_from_a_schema_file(editor: Editor, demo: Path):
    editor.open(demo / RIDERS)
    await loaded(editor, demo)

    why = await refused(editor, "osmosis.generateFile", {"uri": uri(demo / "dbt_project.yml")})

    assert "dbt_project.yml is no schema file of the dbt project" in why
    assert "dbt parse" not in why
    assert "is no file on disk" in await refused(editor, "osmosis.generateFile", {"uri": "untitled:1"})


# Code actions


@pytest.mark.parametrize("data", ["somebody else's", 7, [], {"type": "unheard of"}, {"type": "texts", "uri": 1}])
async def test_an_action_that_is_not_ours_stays_as_it_is(shared: Editor, data: object):
    action = types.CodeAction(title="Somebody else's", data=data)

    found = await shared.client.code_action_resolve_async(action)

    assert (found.title, found.edit, as_dict(found.data)) == ("Somebody else's", None, data)
    no_internal_error(shared)


# While a text is no YAML


@pytest.mark.parametrize("whole", [False, True])
async def test_hover_still_tells_of_what_is_not_being_typed_in(editor: Editor, demo: Path, whole: bool):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    place = editor.place(name, "rider_name")
    if whole:
        start, text = 0, editor.texts[name]
        before, _, behind = text.rpartition("columns:")
        editor.replace(name, start, len(text), f"{before}columns: [{behind}")
    else:
        start = editor.texts[name].rindex("columns:") + len("columns:")
        editor.replace(name, start, start, " [")
    assert [one.code for one in await editor.diagnostics(name)][:1] == ["unreadable"]

    params = types.HoverParams(types.TextDocumentIdentifier(name), place)
    found = await editor.client.text_document_hover_async(params)

    assert found is not None
    assert isinstance(found.contents, types.MarkupContent)
    assert "Name as the rider entered it." in found.contents.value


# Arguments


async def test_null_is_no_argument(tmp_path: Path):
    editor = Editor()
    asked: list[str] = []

    def answer(params: types.ShowMessageRequestParams) -> None:  # the user closes the question
        asked.append(params.message)

    editor.client.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)(answer)
    await editor.start(server_environment(tmp_path / "cache"))
    assert await editor.command("osmosis.spend", None) == []
    assert await editor.command("osmosis.cancelAll", None) == 0
    assert as_dict(await editor.command("osmosis.chooseProvider", None)) == {"provider": None, "model": None}
    assert len(asked) == 1
    assert "`uri`" in await refused(editor, "osmosis.generateFile", None)
    assert await editor.stop() == 0
