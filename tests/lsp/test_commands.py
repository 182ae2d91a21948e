"""The commands that fill no gaps: coverage, spend, cache, refresh; and the status that tells how things are."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

import osmosis_synthesize
from lsp_editor import Editor, as_dict, opened_by_a_reader, server_environment, uri
from osmosis_synthesize.lsp.messages import PROTOCOL_VERSION
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
MODEL = "model.quayside.dim_riders"


async def project_status(editor: Editor, project: Path) -> dict[str, Any]:
    return next(item for item in (await editor.status())["projects"] if item["root"] == str(project))


async def told(editor: Editor, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first status that the server tells of itself and that is as wanted."""
    return await editor.until(lambda: next((status for status in editor.statuses if enough(status)), None))


async def test_a_client_knows_before_all_else_whether_it_speaks_with_the_right_server(shared: Editor):
    assert shared.result.server_info is not None
    assert shared.result.server_info.version == osmosis_synthesize.__version__
    experimental = as_dict(shared.result.capabilities.experimental)
    assert experimental == {"osmosis": {"protocolVersion": PROTOCOL_VERSION}}


# Coverage


async def coverage(editor: Editor, project: Path) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """The whole answer, and what it says of one project, by folder."""
    found = as_dict(await editor.command("osmosis.coverage"))
    mine = {
        folder["folder"]: (folder["described"], folder["total"])
        for folder in found["folders"]
        if folder["root"] == str(project)
    }
    return found, mine


async def test_coverage_counts_each_folder_as_the_files_and_open_texts_are(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    survey = Project(demo, load_settings(demo)).survey(Request(whole_project=True))

    found, folders = await coverage(editor, demo)

    assert set(folders) == {"models/intermediate", "models/marts", "models/staging", "seeds", "snapshots"}
    assert sum(total for _, total in folders.values()) == survey.slots
    assert sum(total - described for described, total in folders.values()) == len(survey.gaps)
    assert found["total"] == sum(folder["total"] for folder in found["folders"])
    assert found["described"] == sum(folder["described"] for folder in found["folders"])

    editor.edit(name, "- name: rider_name\n", "- name: rider_name\n        description: 'Mine.'\n")
    editor.edit(name, "- name: plan_code\n", "- name: plan_code\n      - name: added\n")
    _, now = await coverage(editor, demo)
    described, total = folders["models/marts"]
    assert now == folders | {"models/marts": (described + 1, total + 1)}
    assert llm.requests == []


async def test_the_cheapest_gaps_are_named_with_what_they_cost(editor: Editor, demo: Path, llm: FakeLLMServer):
    for other in (await editor.status())["projects"]:
        (Path(other["root"]) / "dbt_project.yml").unlink(missing_ok=other["root"] != str(demo))
    await editor.command("osmosis.refresh")
    await editor.until(lambda: no_projects(editor))
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      base_url: https://llm.example.com/v1\n")
        file.write("      pricing: {gpt-4o-mini: {input: 1, output: 4}}\n")
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    plan = as_dict(await editor.command("osmosis.preview", {"uri": name}))
    hows = {(gap["node"], gap["column"]): gap["how"] for gap in plan["gaps"]}

    found, _ = await coverage(editor, demo)

    cheapest = found["cheapest"]
    assert 20 < len(cheapest) <= 50
    costs = [Decimal(gap["cost"]) for gap in cheapest]
    assert costs == sorted(costs)
    assert {gap["how"] for gap, cost in zip(cheapest, costs, strict=True) if not cost} == {"inherited"}
    assert {gap["how"] for gap, cost in zip(cheapest, costs, strict=True) if cost} == {"call"}
    mine = [gap for gap in cheapest if gap["uri"] == name]
    assert {(gap["node"], gap["column"]) for gap in mine if gap["how"] == "inherited"} == {
        gap for gap, how in hows.items() if how == "inherited"
    }
    (rider,) = [gap for gap in mine if gap["column"] == "rider_name"]
    assert rider == {
        "uri": name,
        "line": editor.place(name, "rider_name").line,
        "label": "dim_riders.rider_name",
        "node": MODEL,
        "column": "rider_name",
        "how": "inherited",
        "cost": "0",
    }
    assert llm.requests == []


async def no_projects(editor: Editor) -> bool:
    return not (await editor.status())["projects"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that cannot be read before it is written")
async def test_a_survey_shows_how_far_it_is_and_everything_else_is_answered_meanwhile(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    slow = demo / "models/marts/zzz.yml"
    os.mkfifo(slow)  # who opens it waits until somebody writes
    shown = len(editor.client.progress_reports)

    survey = asyncio.create_task(coverage(editor, demo))
    reports = await editor.until(lambda: reports_of(editor, "Looking at all schema files", since=shown))
    writing = await editor.until(lambda: opened_by_a_reader(slow))

    place = editor.place(name, "- name: rider_name", after=True)
    params = types.HoverParams(types.TextDocumentIdentifier(name), place)
    found = await editor.client.text_document_hover_async(params)
    assert found is not None
    assert "rider_name" in str(found.contents)
    assert not survey.done()
    assert not any(isinstance(report, types.WorkDoneProgressEnd) for report in reports)

    before = demo / "before.txt"
    before.write_text("models:\n  - name: late\n    columns:\n      - name: one\n", "utf-8")
    text = before.read_bytes()
    before.replace(slow)  # for whoever else reads it
    with os.fdopen(writing, "wb") as file:
        file.write(text)
    _, folders = await survey
    assert "models/marts" in folders
    reports = reports_of(editor, "Looking at all schema files", since=shown)
    assert isinstance(reports[-1], types.WorkDoneProgressEnd)


def reports_of(editor: Editor, title: str, *, since: int = 0) -> list[Any]:
    """What was reported of the work of that title, which began after some others had."""
    for reports in list(editor.client.progress_reports.values())[since:]:
        # Room is made for reports before the first of them comes.
        if reports and isinstance(reports[0], types.WorkDoneProgressBegin) and reports[0].title == title:
            return list(reports)
    return []


async def test_coverage_can_be_given_up(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    params = types.ExecuteCommandParams("osmosis.coverage")
    request = editor.client.protocol.send_request(types.WORKSPACE_EXECUTE_COMMAND, params, msg_id="coverage-1")
    editor.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams("coverage-1"))

    with pytest.raises(Exception) as caught:
        await asyncio.wait_for(asyncio.wrap_future(request), 60)

    assert getattr(caught.value, "code", None) == -32800
    assert (await coverage(editor, demo))[0]["total"] > 0


# Spend and cache


async def test_what_was_spent_is_listed_by_day_and_by_model(tmp_path: Path, demo: Path, llm: FakeLLMServer):
    editor = Editor()
    # An Asian midnight: a day is the user's own, whatever UTC says.
    environment = server_environment(tmp_path / "cache") | {
        "OSMOSIS_LLM_PRICING": json.dumps({"gpt-4o-mini": {"input": 1, "output": 4}}),
        "TZ": "Asia/Tokyo",
    }
    await editor.start(environment)
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    before = time.time()
    for _ in range(2):
        await editor.command("osmosis.propose", {"uri": name, "node": MODEL})
    cost = Decimal(llm.input_tokens + 4 * llm.output_tokens) / 1_000_000

    async def spend(**params: Any) -> list[dict[str, Any]]:
        return [as_dict(line) for line in await editor.command("osmosis.spend", params)]

    (by_model,) = await spend(by="model")
    assert by_model["label"] == "openai-compatible gpt-4o-mini"
    assert (by_model["calls"], by_model["cachedCalls"], by_model["unpricedCalls"]) == (1, 1, 0)
    assert (by_model["inputTokens"], by_model["outputTokens"]) == (llm.input_tokens, llm.output_tokens)
    assert Decimal(by_model["cost"]) == cost
    (by_day,) = await spend(by="day", since=before - 1)
    tokyo = {time.strftime("%Y-%m-%d", time.gmtime(moment + 9 * 3600)) for moment in (before, time.time())}
    assert by_day["label"] in tokyo
    assert by_day | {"label": ""} == by_model | {"label": ""}
    assert await spend(by="day", since=time.time() + 60) == []
    status = await editor.status()
    assert (Decimal(status["spentToday"]), Decimal(status["spentSession"])) == (cost, cost)
    assert (status["calls"], status["cachedCalls"]) == (1, 1)

    assert await editor.command("osmosis.cacheClear") == 1
    assert await editor.command("osmosis.cacheClear") == 0
    found = as_dict(await editor.command("osmosis.propose", {"uri": name, "node": MODEL}))
    assert found["calls"] == 1
    assert (await spend(by="node"))[0]["calls"] == 2, "what was spent stays in the ledger"
    assert await editor.stop() == 0


# Status


async def test_changes_are_told_unasked_once_each(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    # The server lets go of the projects of tests before this one some seconds after their files were closed: news of its own.
    status = await told(editor, lambda status: status["gaps"] == 10 and len(status["projects"]) == 1)
    (mine,) = status["projects"]
    assert mine["root"] == str(demo)
    assert (mine["state"], mine["provider"], mine["model"]) == ("ready", "openai-compatible", "gpt-4o-mini")
    assert mine["manifest"] == str(demo / "target/manifest.json")
    assert mine["staleNodes"] == 0

    for number in range(20):
        editor.edit(name, "version: 2\n", f"# {number}\nversion: 2\n")
    editor.edit(name, "- name: rider_name\n", "- name: rider_name\n        description: 'Mine.'\n")
    await told(editor, lambda status: status["gaps"] == 9)

    await quiet(editor)
    known = len(editor.statuses)
    editor.edit(name, "version: 2\n", "version: 2 \n")
    await quiet(editor)
    assert len(editor.statuses) == known, "nothing that it tells has changed"


async def quiet(editor: Editor) -> None:
    """Wait until the server has nothing more to tell of itself: as long as three of its pauses."""
    while True:
        known = len(editor.statuses)
        await asyncio.sleep(0.4)
        await editor.status()
        if len(editor.statuses) == known:
            return


async def test_a_manifest_that_is_older_than_its_models_or_written_anew_is_told(editor: Editor, demo: Path):
    manifest = demo / "target/manifest.json"
    os.utime(manifest, (time.time() - 3600, time.time() - 3600))
    name = editor.open(demo / "models/marts/_marts.yml")
    await editor.planned(name)
    assert 3600 <= (await project_status(editor, demo))["manifestAge"] < 3700
    for model in ("dim_stations", "fct_rentals"):
        with (demo / f"models/marts/{model}.sql").open("a", encoding="utf-8") as file:
            file.write("\n-- more\n")
    editor.edit(name, "version: 2\n", "version: 2 \n")
    await told(editor, lambda status: any(project["staleNodes"] == 2 for project in status["projects"]))

    editor.statuses.clear()
    os.utime(manifest)
    event = types.FileEvent(uri(manifest), types.FileChangeType.Changed)
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))

    def is_young(status: dict[str, Any]) -> bool:
        return any(p["root"] == str(demo) and p["manifestAge"] < 600 for p in status["projects"])

    await told(editor, is_young)


async def test_refresh_reads_everything_anew(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    settings = demo / "dbt_project.yml"
    settings.write_text(settings.read_text("utf-8").replace("gpt-4o-mini", "gpt-4.1"), "utf-8")
    manifest = json.loads((demo / "target/manifest.json").read_text("utf-8"))
    del manifest["nodes"]["model.quayside.monthly_revenue"]
    (demo / "target/manifest.json").write_text(json.dumps(manifest), "utf-8")
    nodes = (await project_status(editor, demo))["nodes"]

    assert await editor.command("osmosis.refresh") is None

    await told(
        editor,
        lambda status: any(
            (project["model"], project["nodes"]) == ("gpt-4.1", nodes - 1) for project in status["projects"]
        ),
    )
    await editor.diagnosed(
        name, lambda found: any("does not know `monthly_revenue`" in item.message for item in found)
    )
    assert await editor.command("osmosis.cancelAll") == 0
