"""Ghost text and plain completion that call a provider: progress, stopping, and what is kept of a call that was stopped."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

import servers
from lsp_editor import PATIENCE, Editor, server_environment
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
MODEL = "model.quayside.dim_riders"
CANCELLED = -32800


@pytest.fixture
def demo(demo: Path) -> Path:
    """The demo, asking a provider that is paid wherever its host is."""
    settings = demo / "dbt_project.yml"
    settings.write_text(settings.read_text("utf-8").replace("openai-compatible", "openai"), "utf-8")
    return demo


class Gate:
    """Holds the provider's answers back until it is opened."""

    def __init__(self, llm: FakeLLMServer, says: str) -> None:
        self.opened = threading.Event()
        self.says = says
        llm.describe = self._describe

    def _describe(self, name: str) -> str:
        assert self.opened.wait(PATIENCE)
        return f"{self.says}: {name}."


@pytest.fixture
def gate(llm: FakeLLMServer, request: pytest.FixtureRequest) -> Iterator[Gate]:
    gate = Gate(llm, request.node.name)
    yield gate
    gate.opened.set()


async def opened(editor: Editor, demo: Path) -> str:
    """The schema file, with the cursor's line ready in a gap that only a provider can fill."""
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    editor.edit(name, "- name: lifetime_value\n", "- name: lifetime_value\n        description: \n")
    return name


def asked(
    editor: Editor,
    name: str,
    msg_id: str,
    token: str | None = None,
    after: str = "lifetime_value",
    kind: types.InlineCompletionTriggerKind = types.InlineCompletionTriggerKind.Invoked,
) -> asyncio.Future[Any]:
    """Ghost text, by default one that the user has invoked, as a request that is under way."""
    params = types.InlineCompletionParams(
        types.InlineCompletionContext(kind),
        types.TextDocumentIdentifier(name),
        editor.place(name, f"- name: {after}\n        description: ", after=True),
        work_done_token=token,
    )
    request = editor.client.protocol.send_request(types.TEXT_DOCUMENT_INLINE_COMPLETION, params, msg_id=msg_id)
    return asyncio.wrap_future(request)


async def text_of(request: asyncio.Future[Any]) -> str | None:
    found = await asyncio.wait_for(request, PATIENCE)
    if found is None:
        return None
    (item,) = found.items
    return str(item.insert_text)


async def test_stopped_ghost_text_is_answered_at_once_and_its_reply_is_kept(
    editor: Editor, demo: Path, llm: FakeLLMServer, gate: Gate
):
    name = await opened(editor, demo)
    request = asked(editor, name, "kept-1")
    await editor.until(lambda: llm.requests)

    editor.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams("kept-1"))
    assert await editor.at_once(request)
    with pytest.raises(Exception) as caught:
        await request

    assert getattr(caught.value, "code", None) == CANCELLED
    await editor.until(lambda: nothing_runs(editor))
    gate.opened.set()
    assert await text_of(asked(editor, name, "kept-2")) == f"'{gate.says}: lifetime_value.'"
    assert len(llm.requests) == 1, "what was paid for is not paid for again"


async def nothing_runs(editor: Editor) -> bool:
    return (await editor.status())["running"] == 0


async def test_ghost_text_that_was_bought_for_one_gap_comes_by_itself_after_a_restart(
    tmp_path: Path, demo: Path, llm: FakeLLMServer, gate: Gate
):
    gate.opened.set()
    texts: list[str | None] = []
    for kind in (types.InlineCompletionTriggerKind.Invoked, types.InlineCompletionTriggerKind.Automatic):
        editor = Editor()
        await editor.start(server_environment(tmp_path / "cache"))
        name = await opened(editor, demo)
        await editor.diagnosed(name, lambda found: any("1 call for 3 gaps" in item.message for item in found))
        texts += [await text_of(asked(editor, name, f"{kind}-{number}", kind=kind)) for number in range(2)]
        neighbour = "      - name: monthly_fee\n"
        editor.edit(name, neighbour, f"{neighbour}        description: \n")
        automatic = types.InlineCompletionTriggerKind.Automatic
        assert await text_of(asked(editor, name, f"{kind}-other", after="monthly_fee", kind=automatic)) is None
        assert await editor.stop() == 0

    assert texts == [f"'{gate.says}: lifetime_value.'"] * 4
    assert len(llm.requests) == 1


async def test_a_stopped_command_keeps_the_reply_that_was_under_way(
    editor: Editor, demo: Path, llm: FakeLLMServer, gate: Gate
):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    known = set(editor.client.progress_reports)
    target = {"uri": name, "node": MODEL}
    command = asyncio.create_task(editor.command("osmosis.generateModel", target))
    (token,) = await editor.until(lambda: set(editor.client.progress_reports) - known)
    await editor.until(lambda: llm.requests)

    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    assert await editor.at_once(command)
    outcome = await command

    assert (outcome["cancelled"], outcome["generated"], outcome["calls"]) == (True, 0, 0)
    reports = len(editor.client.progress_reports[token])
    gate.opened.set()
    outcome = await editor.command("osmosis.generateModel", target)
    assert (outcome["filled"], outcome["generated"], outcome["calls"]) == (7, 0, 0)
    assert editor.texts[name].count(f"'{gate.says}: ") == outcome["cached"] == 3
    assert len(llm.requests) == 1
    assert len(editor.client.progress_reports[token]) == reports, "an ended progress says nothing more"


async def test_a_stopped_run_asks_nothing_further(editor: Editor, demo: Path, llm: FakeLLMServer, gate: Gate):
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      concurrency: 1\n")
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    command = asyncio.create_task(editor.command("osmosis.generateProject", {"uri": name}))
    await editor.until(lambda: llm.requests)

    assert await editor.command("osmosis.cancelAll") == 1
    assert (await asyncio.wait_for(command, PATIENCE))["cancelled"]
    (request,) = llm.requests
    gate.opened.set()

    outcome = await editor.command("osmosis.generateProject", {"uri": name})
    assert [other for other in llm.requests if other.prompt == request.prompt] == [request]
    assert len(llm.requests) == 1 + outcome["calls"], "whatever else was asked was asked by the second run"


def runs_here(demo: Path, llm: FakeLLMServer) -> None:
    """Have the demo ask a model on this machine."""
    settings = demo / "dbt_project.yml"
    text = settings.read_text("utf-8")
    settings.write_text(
        text[: text.index("vars:")]
        + f"vars: {{dbt-osmosis: {{llm: {{provider: ollama, model: small, base_url: '{llm.url}'}}}}}}\n",
        "utf-8",
    )


async def test_a_model_that_runs_here_is_really_stopped(editor: Editor, demo: Path, llm: FakeLLMServer, gate: Gate):
    runs_here(demo, llm)
    name = await opened(editor, demo)
    request = asked(editor, name, "local-1")
    await editor.until(lambda: llm.requests)
    editor.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams("local-1"))
    with pytest.raises(Exception, match="is canceled"):
        await asyncio.wait_for(request, PATIENCE)
    await editor.until(lambda: llm.hung_up)  # while its answer was still held back
    gate.opened.set()

    assert await text_of(asked(editor, name, "local-2")) == f"'{gate.says}: lifetime_value.'"
    assert len(llm.requests) == 2, (
        "the first call was broken off: nothing would have been lost but this machine's time"
    )


async def test_ghost_text_shows_its_progress_where_the_client_has_given_a_token(
    editor: Editor, demo: Path, llm: FakeLLMServer, gate: Gate
):
    gate.opened.set()
    name = await opened(editor, demo)
    editor.client.progress_reports["ghost-1"] = []
    others = set(editor.client.progress_reports)

    assert await text_of(asked(editor, name, "token-1", "ghost-1")) == f"'{gate.says}: lifetime_value.'"

    begin, *reports, end = editor.client.progress_reports["ghost-1"]
    assert isinstance(begin, types.WorkDoneProgressBegin)
    assert (begin.title, begin.cancellable) == ("Describing dim_riders.lifetime_value", True)
    said = [report.message for report in reports if isinstance(report, types.WorkDoneProgressReport)]
    assert said[0] == "Asking openai gpt-4o-mini"
    assert said[-1] is not None
    assert said[-1].startswith("1 of 1, ")
    assert isinstance(end, types.WorkDoneProgressEnd)
    assert set(editor.client.progress_reports) == others


class Halfway:
    """Lets a provider write the first half of its answer, and the second one when told to."""

    def __init__(self, llm: FakeLLMServer, text: str) -> None:
        self.go_on = threading.Event()
        llm.describe = lambda _: text
        llm.before_piece = self._wait

    def _wait(self, number: int) -> None:
        if number == 14:  # of some 7 characters each; the text begins in about the tenth
            assert self.go_on.wait(PATIENCE)


@pytest.fixture
def halfway(llm: FakeLLMServer, request: pytest.FixtureRequest) -> Iterator[Halfway]:
    text = "What the rider has paid in all, in whole cents and without what was given back, since the first rental."
    halfway = Halfway(llm, f"{text} {request.node.name}")
    yield halfway
    halfway.go_on.set()


def said_in(editor: Editor, token: str) -> list[str]:
    reports = editor.client.progress_reports[token]
    return [one.message for one in reports if isinstance(one, types.WorkDoneProgressReport) and one.message]


async def begun(editor: Editor, token: str) -> str:
    """The text as far as it has come, once some of it has."""
    return str(await editor.until(lambda: next((one for one in said_in(editor, token) if one.startswith("W")), None)))


async def test_ghost_text_is_shown_in_its_progress_while_it_comes(
    editor: Editor, demo: Path, llm: FakeLLMServer, halfway: Halfway
):
    name = await opened(editor, demo)
    editor.client.progress_reports["comes"] = []
    request = asked(editor, name, "comes-1", "comes")

    half = await begun(editor, "comes")
    assert not request.done()
    assert "What the rider has paid in all".startswith(half) or half.startswith("What the rider has paid in all")
    halfway.go_on.set()
    whole = llm.describe("")
    assert await text_of(request) == f"'{whole}'"

    texts = [one for one in said_in(editor, "comes") if one.startswith("W")]
    assert all(whole.startswith(one) for one in texts)
    assert said_in(editor, "comes")[0] == "Asking openai gpt-4o-mini"
    spent = said_in(editor, "comes")[-1]
    assert spent.startswith("1 of 1, $0.0")
    assert not spent.startswith("1 of 1, $0.00 "), "what a stream has cost is counted"
    assert await text_of(asked(editor, name, "comes-2")) is not None
    assert len(llm.requests) == 1, "the whole is in the cache"


async def test_a_text_that_is_turned_down_in_the_end_is_not_written_although_it_was_seen_to_begin(
    editor: Editor, demo: Path, llm: FakeLLMServer, halfway: Halfway
):
    llm.describe = lambda _: "What the rider has paid in all, in whole cents, see {{ env_var('HOME') }} and more."
    name = await opened(editor, demo)
    editor.client.progress_reports["turned"] = []
    request = asked(editor, name, "turned-1", "turned")

    await begun(editor, "turned")
    halfway.go_on.set()

    assert await text_of(request) is None
    assert not any("{{" in one for one in said_in(editor, "turned"))
    assert "Jinja" in editor.client.messages[-1].message
    editor.client.messages.clear()


async def test_half_a_text_of_a_model_that_runs_here_is_broken_off_and_forgotten(
    editor: Editor, demo: Path, llm: FakeLLMServer, halfway: Halfway
):
    runs_here(demo, llm)
    name = await opened(editor, demo)
    editor.client.progress_reports["half"] = []
    request = asked(editor, name, "half-1", "half")
    await begun(editor, "half")

    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams("half"))

    assert await text_of(request) is None
    await editor.until(lambda: llm.hung_up)
    reports = len(editor.client.progress_reports["half"])
    halfway.go_on.set()
    assert await text_of(asked(editor, name, "half-2")) is not None
    assert len(llm.requests) == 2
    assert len(editor.client.progress_reports["half"]) == reports


async def test_half_a_text_that_is_paid_for_comes_to_its_end_unseen(
    editor: Editor, demo: Path, llm: FakeLLMServer, halfway: Halfway
):
    name = await opened(editor, demo)
    editor.client.progress_reports["paid"] = []
    request = asked(editor, name, "paid-1", "paid")
    await begun(editor, "paid")

    editor.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams("paid-1"))
    with pytest.raises(Exception, match="is canceled"):
        await asyncio.wait_for(request, PATIENCE)
    halfway.go_on.set()

    assert await text_of(asked(editor, name, "paid-2")) is not None
    assert len(llm.requests) == 1
    assert isinstance(editor.client.progress_reports["paid"][-1], types.WorkDoneProgressEnd)


async def test_ghost_text_is_stopped_by_its_progress(editor: Editor, demo: Path, llm: FakeLLMServer, gate: Gate):
    name = await opened(editor, demo)
    editor.client.progress_reports["ghost-2"] = []
    request = asked(editor, name, "token-2", "ghost-2")
    await editor.until(lambda: llm.requests)

    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams("ghost-2"))

    assert await text_of(request) is None
    assert isinstance(editor.client.progress_reports["ghost-2"][-1], types.WorkDoneProgressEnd)


async def test_ghost_text_for_a_document_that_changed_meanwhile_is_not_shown(
    editor: Editor, demo: Path, llm: FakeLLMServer, gate: Gate
):
    name = await opened(editor, demo)
    request = asked(editor, name, "stale-1")
    await editor.until(lambda: llm.requests)
    editor.edit(name, "version: 2\n", "# one line more\nversion: 2\n")
    await editor.status()  # the server has the change by now
    gate.opened.set()

    assert await text_of(request) is None
    assert await text_of(asked(editor, name, "stale-2")) == f"'{gate.says}: lifetime_value.'"
    assert len(llm.requests) == 1


async def test_what_cannot_be_bought_is_said_once(editor: Editor, demo: Path, llm: FakeLLMServer):
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      max_retries: 0\n      cache: false\n")
    llm.always(servers.failing())
    name = await opened(editor, demo)

    for number in range(2):
        assert await text_of(asked(editor, name, f"fails-{number}")) is None

    (message,) = [item.message for item in editor.client.messages]
    assert message.startswith("dim_riders.lifetime_value could not be described: ")
    editor.client.messages.clear()
    assert len(llm.requests) == 2


async def test_plain_completion_buys_by_its_command_what_it_shows_a_price_for(
    editor: Editor, demo: Path, llm: FakeLLMServer, gate: Gate
):
    gate.opened.set()
    name = await opened(editor, demo)
    place = editor.place(name, "- name: lifetime_value\n        description: ", after=True)
    params = types.CompletionParams(types.TextDocumentIdentifier(name), place)
    found = await editor.client.text_document_completion_async(params)
    assert isinstance(found, types.CompletionList)
    (item,) = found.items
    assert llm.requests == []
    assert re.fullmatch(r"1 call, (at most )?about \$0\.0\d+", item.detail or ""), "not what one for three gaps costs"

    assert isinstance(item.text_edit, types.TextEdit)
    assert item.text_edit.new_text == ""
    assert item.command is not None
    outcome = await editor.command(item.command.command, *(item.command.arguments or []))

    assert outcome["filled"] == 1
    assert f"        description: '{gate.says}: lifetime_value.'\n" in editor.texts[name]
