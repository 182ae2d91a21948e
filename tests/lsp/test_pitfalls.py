"""What pygls does under stress. Each test fails without the remedy that the server has for it.

Of the fifteen that were met, 9 (the document changes while somebody waits) is tested with the code actions, and 15 is about
the tests' own client.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_editor import PATIENCE, Editor, server_environment, uri
from lsp_in_process import Wired
from osmosis_synthesize.lsp.server import make_server
from projects import copy_demo
from servers import FakeLLMServer, hang

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
CANCELLED = -32800
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


def patiently(demo: Path) -> None:
    """Settings under which a call that hangs is given up by nobody but us."""
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      timeout: 3000\n      cache: false\n")


async def hanging_command(editor: Editor, name: str, llm: FakeLLMServer, msg_id: str) -> asyncio.Future[Any]:
    """A command whose call is under way."""
    await editor.planned(name)
    params = types.ExecuteCommandParams("osmosis.generateModel", [{"uri": name, "node": "model.quayside.dim_riders"}])
    request = editor.client.protocol.send_request(types.WORKSPACE_EXECUTE_COMMAND, params, msg_id=msg_id)
    await editor.until(lambda: llm.requests)
    return asyncio.wrap_future(request)


async def test_1_and_2_a_cancelled_command_is_answered_and_its_work_stops(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    patiently(demo)
    llm.always(hang(3000))
    name = editor.open(demo / RIDERS)
    command = await hanging_command(editor, name, llm, "pitfall-1")

    editor.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams("pitfall-1"))

    with pytest.raises(Exception) as caught:
        await asyncio.wait_for(command, PATIENCE)
    assert getattr(caught.value, "code", None) == CANCELLED

    async def stopped() -> bool:
        return (await editor.status())["running"] == 0

    await editor.until(stopped)


async def test_3_the_server_ends_in_order_while_a_command_is_under_way(
    tmp_path: Path, demo: Path, llm: FakeLLMServer
):
    patiently(demo)
    llm.always(hang(3000))
    editor = Editor()
    await editor.start(server_environment(tmp_path / "cache"))
    name = editor.open(demo / RIDERS)
    command = await hanging_command(editor, name, llm, "pitfall-3")

    assert await editor.stop() == 0

    with pytest.raises(Exception) as caught:
        await asyncio.wait_for(command, PATIENCE)
    assert getattr(caught.value, "code", None) == CANCELLED


async def test_4_giving_up_on_an_answer_of_the_clients_is_no_error():
    server = Wired(capabilities={"workspace": {"configuration": True}})

    def asked() -> list[dict[str, Any]]:
        return [message for message in server.messages if message.get("method") == types.WORKSPACE_CONFIGURATION]

    for number in (1, 2, 3):  # each gives up on the question that the one before has asked
        server.notify(types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"settings": {}})
        await Editor().until(lambda number=number: len(asked()) == number)
    for question in asked():
        server.answer_with(question["id"], [None])
    await server.quiet()

    assert [message for message in server.messages if message.get("method") == types.WINDOW_SHOW_MESSAGE] == []


class Wire:
    """What a server in this process writes."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self.messages.append(json.loads(data.partition(b"\r\n\r\n")[2]))

    def close(self) -> None:
        """Nothing is open."""


def served() -> tuple[Any, Any, Wire]:
    """A server in this process, initialized, with its memory and what it writes."""
    server, session = make_server()
    wire = Wire()
    server.protocol.set_writer(wire)
    send(
        server, {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}}
    )
    return server, session, wire


def send(server: Any, message: dict[str, Any]) -> None:
    text = json.dumps({"jsonrpc": "2.0"} | message)
    server.protocol.handle_message(json.loads(text, object_hook=server.protocol.structure_message))


async def quiet(session: Any) -> None:
    await Editor().until(lambda: not len(session.jobs))


async def test_5_nothing_is_left_behind_by_notifications_and_commands(tmp_path: Path):
    server, session, wire = served()
    name = uri(copy_demo(tmp_path / "demo") / RIDERS)
    item = {"uri": name, "languageId": "yaml", "version": 1, "text": "version: 2\n"}
    send(server, {"method": "textDocument/didOpen", "params": {"textDocument": item}})
    for version in range(2, 30):
        change = {"textDocument": {"uri": name, "version": version}, "contentChanges": [{"text": f"# {version}\n"}]}
        send(server, {"method": "textDocument/didChange", "params": change})
        send(
            server,
            {"id": 100 + version, "method": "workspace/executeCommand", "params": {"command": "osmosis.spend"}},
        )
    for _ in range(3):
        send(server, {"method": "window/workDoneProgress/cancel", "params": {"token": "a run of the past"}})
        send(server, {"method": "$/setTrace", "params": {"value": "off"}})
        event = {"added": [], "removed": []}
        send(server, {"method": "workspace/didChangeWorkspaceFolders", "params": {"event": event}})
    await quiet(session)

    answered = {message["id"] for message in wire.messages if "id" in message and "result" in message}
    assert answered >= set(range(102, 130))
    assert server.protocol._request_futures == {}
    assert server.workspace.text_documents == {}, "a second copy of each text, in lines of pygls's own"
    assert [task for task in asyncio.all_tasks() if "osmosis" in repr(task.get_coro())] == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that can be read later")
async def test_6_and_7_a_read_that_never_ends_blocks_neither_the_server_nor_its_end(tmp_path: Path, demo: Path):
    (demo / "target/manifest.json").unlink()
    os.mkfifo(demo / "target/manifest.json")
    editor = Editor()
    await editor.start(server_environment(tmp_path / "cache"), folders=[demo])
    name = editor.open(demo / RIDERS)

    status = await asyncio.wait_for(editor.status(), PATIENCE)
    assert [project["state"] for project in status["projects"]] == ["unread"]
    assert await asyncio.wait_for(editor.diagnostics(name), PATIENCE) == []
    assert await asyncio.wait_for(editor.stop(), PATIENCE) == 0


async def test_8_whatever_a_command_gives_is_answered():
    server, session, wire = served()

    async def odd(_: list[Any]) -> Any:
        return {"cost": Decimal("0.1"), "path": Path("a")}

    server.command("test.odd")(odd)
    send(server, {"id": 2, "method": "workspace/executeCommand", "params": {"command": "test.odd"}})
    await Editor().until(lambda: any(message.get("id") == 2 for message in wire.messages))

    (answer,) = [message for message in wire.messages if message.get("id") == 2]
    assert answer["result"] == {"cost": "0.1", "path": "a"}
    await quiet(session)


async def test_a_request_may_leave_its_parameters_out():
    server, session, wire = served()

    send(server, {"id": 2, "method": "osmosis/status"})
    await Editor().until(lambda: any(message.get("id") == 2 for message in wire.messages))

    (answer,) = [message for message in wire.messages if message.get("id") == 2]
    assert answer["result"]["projects"] == []
    await quiet(session)


@pytest.mark.parametrize("params", [{}, None, [1]])
async def test_a_request_that_cannot_be_read_is_answered(params: Any):
    server, session, wire = served()

    with pytest.raises(JsonRpcException):
        send(server, {"id": 2, "method": "textDocument/hover", "params": params})

    (answer,) = [message for message in wire.messages if message.get("id") == 2]
    assert answer["error"]["code"] in (INVALID_PARAMS, INTERNAL_ERROR)
    await quiet(session)


async def test_10_lines_are_those_of_the_protocol(editor: Editor, demo: Path):
    path = demo / RIDERS
    name = editor.open(path, "# before\u2028# after \U0001f6b2\n" + path.read_text("utf-8"))
    editor.edit(name, "- name: rider_name\n", "- name: rider_name # \U0001f6b2\u2028# ...\n      - name: added\n")
    editor.edit(name, "version: 2", "version:\u2028  2")
    before = editor.texts[name]
    await editor.diagnosed(name, lambda found: any("full_name" in item.message for item in found))

    actions = await editor.actions(name, editor.place(name, "rider_name"))
    action = next(action for action in actions if action.title.startswith("Inherit description"))
    action = await editor.client.code_action_resolve_async(action)
    assert action.edit is not None
    assert editor.apply(action.edit)

    (line,) = [line for line in editor.texts[name].split("\n") if "Name as the rider entered it" in line]
    assert editor.texts[name].replace(line + "\n", "") == before


async def test_11_no_text_of_the_users_reaches_a_log(demo: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        server, session, wire = served()
        secret = "the-words-of-a-user"
        item = {"uri": uri(demo / RIDERS), "languageId": "yaml", "version": 1, "text": secret}
        send(server, {"method": "textDocument/didOpen", "params": {"textDocument": item}})

        async def echo(arguments: list[Any]) -> Any:
            return arguments

        server.command("test.echo")(echo)
        command = {"command": "test.echo", "arguments": [secret]}
        send(server, {"id": 3, "method": "workspace/executeCommand", "params": command})
        await Editor().until(lambda: any(message.get("result") == [secret] for message in wire.messages))
        await quiet(session)

    assert secret not in caplog.text


async def test_12_what_is_registered_later_is_sent(shared: Editor):
    methods = await shared.until(lambda: {item.method for item in shared.registrations})

    assert methods == {types.WORKSPACE_DID_CHANGE_CONFIGURATION, types.WORKSPACE_DID_CHANGE_WATCHED_FILES}


async def test_13_everything_is_advertised(shared: Editor):
    capabilities = shared.result.capabilities

    assert capabilities.inline_completion_provider is not None
    assert isinstance(capabilities.code_action_provider, types.CodeActionOptions)
    assert capabilities.code_action_provider.resolve_provider
    assert set(capabilities.code_action_provider.code_action_kinds or ()) == {
        "quickfix",
        "refactor.rewrite.osmosis",
        "source.fixAll.osmosis",
    }
    assert capabilities.execute_command_provider is not None
    assert "osmosis.generateModel" in capabilities.execute_command_provider.commands
    assert capabilities.diagnostic_provider is not None


async def test_14_stopping_the_progress_stops_the_run_and_keeps_what_is_done(
    editor: Editor, demo: Path, llm: FakeLLMServer
):
    patiently(demo)
    llm.script(None)
    llm.always(hang(3000))
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    known = set(editor.client.progress_reports)
    command = asyncio.create_task(editor.command("osmosis.generateFile", {"uri": name}))
    (token,) = await editor.until(lambda: set(editor.client.progress_reports) - known)
    reports = editor.client.progress_reports[token]
    await editor.until(lambda: any(" of 10, " in (getattr(report, "message", None) or "") for report in reports))
    await editor.until(lambda: len(llm.requests) == 2)  # one is answered, and the other hangs

    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    outcome = await asyncio.wait_for(command, PATIENCE)

    assert outcome["cancelled"]
    assert outcome["calls"] == 1
    assert outcome["generated"] >= 2
    assert editor.texts[name].count("Made up for tests") == outcome["generated"]
    assert isinstance(reports[0], types.WorkDoneProgressBegin)
    assert reports[0].cancellable
    assert isinstance(reports[-1], types.WorkDoneProgressEnd)


async def test_a_client_that_just_goes_away_is_noticed(tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "osmosis_synthesize.lsp.main",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        env=server_environment(tmp_path / "cache"),
    )
    assert process.stdin is not None
    process.stdin.close()

    assert await asyncio.wait_for(process.wait(), PATIENCE) == 1
