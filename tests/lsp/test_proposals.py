"""Texts that a client shows before they are applied: proposed, taken up by node and column, asked for anew, paused."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from ruamel.yaml import YAML

from lsp_editor import Editor, as_dict, path_of, uri
from servers import FakeLLMServer, hang

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
MODEL = "model.quayside.dim_riders"


async def propose(editor: Editor, name: str, **target: Any) -> dict[str, Any]:
    return as_dict(await editor.command("osmosis.propose", {"uri": name, **target}))


def slot(item: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    """What a client sends back of a proposal that the user has accepted, or edited."""
    return {name: item[name] for name in ("uri", "node", "column")} | {"text": text or item["new"]}


async def apply(editor: Editor, *texts: dict[str, Any]) -> dict[str, Any]:
    return as_dict(await editor.command("osmosis.applyTexts", {"texts": list(texts)}))


async def test_a_models_gaps_are_proposed_and_nothing_is_changed(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    before = editor.texts[name]

    found = await propose_when_loaded(editor, name, node=MODEL)

    assert [(item["column"], item["origin"]) for item in found["items"]] == [
        ("rider_id", "inherited"),
        ("rider_name", "inherited"),
        ("plan_code", "inherited"),
        ("plan_name", "inherited"),
        ("monthly_fee", "generated"),
        ("home_station_id", "generated"),
        ("lifetime_value", "generated"),
    ]
    assert found["left"] == []
    assert found["calls"] == len(llm.requests) == 1
    assert not found["cancelled"]
    by_column = {item["column"]: item for item in found["items"]}
    assert by_column["rider_name"] == {
        "uri": name,
        "node": MODEL,
        "column": "rider_name",
        "label": "dim_riders.rider_name",
        "line": editor.place(name, "rider_name").line,
        "old": None,
        "new": "Name as the rider entered it. Not for reports.",
        "origin": "inherited",
        "source": "stg_riders.full_name",
        "cost": "0",
    }
    assert by_column["lifetime_value"]["source"] == "openai-compatible gpt-4o-mini"
    assert editor.texts[name] == before
    assert editor.applied == []


async def test_each_text_has_its_share_of_what_the_call_cost(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    try:
        priced = {"pricing": {"gpt-4o-mini": {"input": 1, "output": 4}}}
        editor.client.set_configuration(priced, section="osmosis")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))
        await editor.diagnosed(name, lambda found: any("about $0.0" in item.message for item in found))
        spent = Decimal((await editor.status())["spentSession"])
        editor.statuses.clear()
        llm.delay = 0.5

        found = await propose(editor, name, node=MODEL)

        assert Decimal(found["cost"]) == Decimal(llm.input_tokens + 4 * llm.output_tokens) / 1_000_000
        shares = [Decimal(item["cost"]) for item in found["items"] if item["origin"] == "generated"]
        assert len(shares) == 3
        assert sum(shares) == pytest.approx(Decimal(found["cost"]))
        assert len(set(shares)) == 1
        status = await editor.status()
        assert Decimal(status["spentSession"]) - spent == Decimal(found["cost"])
        # What is shown follows by itself, while it runs and afterwards.
        await editor.until(lambda: [item["running"] for item in editor.statuses][-1:] == [0])
        assert 1 in [item["running"] for item in editor.statuses]
        assert editor.statuses[-1]["spentSession"] == status["spentSession"]
    finally:
        editor.client.set_configuration({}, section="osmosis")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))


async def propose_when_loaded(editor: Editor, name: str, **target: Any) -> dict[str, Any]:
    await editor.planned(name)
    return await propose(editor, name, **target)


async def test_each_scope_means_what_it_says(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    revenue = "model.quayside.monthly_revenue"

    column = await propose_when_loaded(editor, name, node=MODEL, column="lifetime_value")
    assert [item["label"] for item in column["items"]] == ["dim_riders.lifetime_value"]

    own = await propose(editor, name, node=revenue, scope="column")
    assert [(item["label"], item["column"], item["old"]) for item in own["items"]] == [
        ("monthly_revenue", None, "Undefined")
    ]

    model = await propose(editor, name, node=revenue)
    assert [item["column"] for item in model["items"]] == [None, "payment_method", "running_revenue"]

    file = await propose(editor, name)
    assert len(file["items"]) == 10
    assert {item["uri"] for item in file["items"]} == {name}

    project = await propose(editor, name, scope="project")
    assert len(project["items"]) > 30
    files = list(dict.fromkeys(item["uri"] for item in project["items"]))
    assert len(files) > 5
    places = [(files.index(item["uri"]), item["line"]) for item in project["items"] if item["line"] > 0]
    assert places == sorted(places)
    to_be_made = [item["label"] for item in project["items"] if item["line"] == 0]
    assert to_be_made == [item["label"] for item in project["items"]][-len(to_be_made) :]
    assert "int_repairs_by_bike" in to_be_made
    assert {item["label"] for item in file["items"]} < {item["label"] for item in project["items"]}


async def test_a_schema_file_that_is_not_open_is_filled_too(editor: Editor, demo: Path):
    await editor.planned(editor.open(demo / RIDERS))
    closed = demo / "models/marts/_marts.yml"

    found = await propose(editor, uri(closed), node="model.quayside.dim_stations")

    assert {item["uri"] for item in found["items"]} == {uri(closed)}
    applied = await apply(editor, *map(slot, found["items"]))
    assert applied == {"filled": len(found["items"]), "left": []}
    entries = YAML(typ="safe").load(closed.read_text("utf-8"))["models"]
    (entry,) = [entry for entry in entries if entry["name"] == "dim_stations"]
    texts = {column["name"]: column.get("description") for column in entry["columns"]}
    assert all(texts[item["column"]] == item["new"] for item in found["items"])


async def test_texts_are_applied_as_one_edit_where_their_slots_are_now(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / RIDERS)
    found = await propose_when_loaded(editor, name, node=MODEL)
    items = {item["column"]: item for item in found["items"]}
    editor.edit(name, "version: 2\n", "# éé 🚲\n# more\nversion: 2\n")
    editor.edit(name, "- name: plan_name", "- name: plan_name\n        description: 'Mine.'")
    editor.edit(name, "      - name: plan_code\n", "")
    before = editor.texts[name]

    applied = await apply(
        editor,
        slot(items["rider_name"]),
        slot(items["lifetime_value"], "What I made of it: {{ nothing }}"),
        slot(items["plan_name"]),
        slot(items["plan_code"]),
        slot(items["rider_id"], " \n"),
    )

    assert applied["filled"] == 2
    assert {item["label"]: item["reason"] for item in applied["left"]} == {
        "dim_riders.plan_name": "dim_riders.plan_name was described meanwhile",
        "dim_riders.plan_code": "dim_riders.plan_code is not in the file any more",
        "dim_riders.rider_id": "the text is empty",
    }
    assert {(item["node"], item["column"]) for item in applied["left"]} == {
        (MODEL, "plan_name"),
        (MODEL, "plan_code"),
        (MODEL, "rider_id"),
    }
    (edit,) = editor.applied
    (change,) = edit.document_changes or []
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == editor.versions[name] - len(change.edits)
    assert edit.change_annotations is not None
    assert [note.needs_confirmation for note in edit.change_annotations.values()] == [False]
    assert editor.texts[name] == before.replace(
        "- name: rider_name\n",
        "- name: rider_name\n        description: 'Name as the rider entered it. Not for reports.'\n",
    ).replace(
        "- name: lifetime_value\n",
        "- name: lifetime_value\n        description: 'What I made of it: {{ nothing }}'\n",
    )
    assert len(llm.requests) == 1


async def test_where_a_text_comes_from_is_recorded_unless_the_user_has_changed_it(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    found = await propose_when_loaded(editor, name, node=MODEL)
    items = {item["column"]: item for item in found["items"]}
    records = demo / ".osmosis/provenance.jsonl"
    assert not records.exists(), "nothing is in place yet"

    texts = [slot(items["lifetime_value"]), slot(items["monthly_fee"], "Mine."), slot(items["rider_name"])]
    assert (await apply(editor, *texts))["filled"] == 3

    (record,) = [json.loads(line) for line in records.read_text("utf-8").splitlines()]
    assert (record["node"], record["column"]) == (MODEL, "lifetime_value")
    assert (record["origin"], record["provider"], record["model"]) == (
        "generated",
        "openai-compatible",
        "gpt-4o-mini",
    )
    assert record["reviewed"] is False


async def test_what_a_human_writes_in_the_last_moment_stays(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    def write() -> None:
        editor.edit(name, "- name: lifetime_value", "- name: lifetime_value\n        description: 'Mine.'")

    editor.before_apply = write
    texts = [
        {"uri": name, "node": MODEL, "column": column, "text": "Yours."} for column in ("rider_id", "lifetime_value")
    ]
    applied = await apply(editor, *texts)

    assert applied["filled"] == 1
    assert [item["reason"] for item in applied["left"]] == ["dim_riders.lifetime_value was described meanwhile"]
    assert editor.texts[name].count("Yours.") == 1
    assert "description: 'Mine.'" in editor.texts[name]


async def test_two_texts_for_one_slot_are_never_both_written(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    applied = await apply(
        editor,
        *({"uri": name, "node": MODEL, "column": "rider_id", "text": text} for text in ("First.", "Second.")),
    )

    assert applied["filled"] == 1
    assert len(applied["left"]) == 1
    assert ("First." in editor.texts[name]) != ("Second." in editor.texts[name])


async def test_an_entry_that_no_file_has_is_made(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    found = await propose(editor, name, scope="project")
    (item,) = [item for item in found["items"] if item["label"] == "int_repairs_by_bike"]

    applied = await apply(editor, slot(item))

    assert applied == {"filled": 1, "left": []}
    assert "- name: int_repairs_by_bike\n" in path_of(item["uri"]).read_text("utf-8")


async def test_one_text_is_asked_for_anew_and_the_new_one_is_kept(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    target = {"node": MODEL, "column": "lifetime_value"}
    (first,) = (await propose_when_loaded(editor, name, **target))["items"]
    (cached,) = (await propose(editor, name, **target))["items"]
    assert (cached["origin"], cached["cost"], cached["new"]) == ("cached", "0", first["new"])

    llm.describe = lambda column: f"Another text about {column}."
    (anew,) = (await propose(editor, name, **target, again=True))["items"]

    assert (anew["origin"], anew["new"]) == ("generated", "Another text about lifetime_value.")
    assert len(llm.requests) == 2
    (kept,) = (await propose(editor, name, **target))["items"]
    assert (kept["origin"], kept["new"]) == ("cached", anew["new"])
    assert len(llm.requests) == 2


async def test_what_fails_to_be_asked_anew_leaves_the_old_reply_in_the_cache(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      max_retries: 0\n")
    name = editor.open(demo / RIDERS)
    target = {"node": MODEL, "column": "lifetime_value"}
    (first,) = (await propose_when_loaded(editor, name, **target))["items"]
    llm.key = "another"

    failed = await propose(editor, name, **target, again=True)

    assert failed["items"] == []
    assert [item["label"] for item in failed["left"]] == ["dim_riders.lifetime_value"]
    (cached,) = (await propose(editor, name, **target))["items"]
    assert cached["new"] == first["new"]


async def test_cancel_all_ends_a_run_at_once_and_no_call_is_repeated(editor: Editor, demo: Path, llm: FakeLLMServer):
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      timeout: 3000\n      concurrency: 1\n")
    llm.script(None, hang(3000))
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    command = asyncio.create_task(propose(editor, name))
    await editor.until(lambda: len(llm.requests) == 2)
    assert (await editor.status())["running"] == 1

    assert await editor.command("osmosis.cancelAll") == 1
    assert await editor.at_once(command)
    found = await command

    assert found["cancelled"]
    assert found["calls"] == 1
    assert {item["origin"] for item in found["items"]} == {"inherited", "generated"}
    assert (await editor.status())["running"] == 0
    assert editor.applied == []
    asked = len(llm.requests)
    (model,) = {item["node"] for item in found["items"] if item["origin"] == "generated"}
    again = await propose(editor, name, node=model)
    assert again["calls"] == 0
    assert len(llm.requests) == asked


async def test_while_all_is_paused_only_what_is_free_is_filled(editor: Editor, demo: Path, llm: FakeLLMServer):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    assert await editor.command("osmosis.pause", {"paused": True}) is True
    try:
        await editor.until(lambda: editor.statuses and editor.statuses[-1]["paused"])
        assert (await editor.status())["paused"]

        found = await propose(editor, name, node=MODEL)

        assert {item["origin"] for item in found["items"]} == {"inherited"}
        assert {item["reason"] for item in found["left"]} == {"generation is paused"}
        outcome = as_dict(await editor.command("osmosis.generateModel", {"uri": name, "node": MODEL}))
        assert (outcome["inherited"], outcome["generated"], len(outcome["left"])) == (4, 0, 3)
        assert llm.requests == []
        assert any("call" in item.message for item in await editor.diagnostics(name)), (
            "what it would take is still shown"
        )
    finally:
        assert await editor.command("osmosis.pause", {"paused": False}) is False
    assert (await propose(editor, name, node=MODEL))["calls"] == 1


async def test_wrong_arguments_are_answered_with_what_is_wrong(editor: Editor, demo: Path, tmp_path: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    for command, argument, words in [
        ("osmosis.propose", {"uri": name, "scope": "all"}, "The command's argument is not understood"),
        ("osmosis.propose", {"uri": uri(tmp_path / "x.yml")}, "belongs to no dbt project"),
        ("osmosis.applyTexts", {}, "The command's argument is not understood"),
        (
            "osmosis.applyTexts",
            {"texts": [{"uri": "untitled:1", "node": MODEL, "column": None, "text": "x"}]},
            "belongs to no dbt project",
        ),
        ("osmosis.pause", {"paused": "yes"}, "The command's argument is not understood"),
    ]:
        with pytest.raises(Exception, match=words):
            await editor.command(command, argument)
    assert await apply(editor) == {"filled": 0, "left": []}
