"""The server's end, at any moment and in every way: quick, quiet, and with the exit code that the protocol asks for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from lsprotocol import types

from lsp_editor import PATIENCE, Editor, server_environment
from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.store import Store
from servers import FakeLLMServer, hang

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp-exit")]

RIDERS = "models/marts/dim_riders.yml"
SOON = PATIENCE
"""Seconds. It takes a third of one if nothing else runs; what waits for a call, or for the client, takes three thousand."""


class Leaving:
    """An editor whose server writes its errors to a file."""

    def __init__(self, errors: Path) -> None:
        self.editor = Editor()
        self.errors = errors

    async def start(self, cache: Path, folders: list[Path]) -> None:
        program = "import os, sys; os.dup2(os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT), 2);"
        program += "from osmosis_synthesize.lsp.main import main; raise SystemExit(main())"
        await self.editor.start(
            server_environment(cache), folders=folders, command=(sys.executable, "-c", program, str(self.errors))
        )

    @property
    def process(self) -> asyncio.subprocess.Process:
        process = self.editor.client._server
        assert process is not None
        return process

    async def leave(self, way: str) -> int:
        """End the server, and make sure that it is quiet and quick."""
        start = time.monotonic()
        client = self.editor.client
        assert self.process.stdin is not None
        match way:
            case "in order":
                await asyncio.wait_for(client.shutdown_async(None), SOON)
                client.exit(None)
            case "without a word of warning":
                client.exit(None)
            case "closed pipe":
                self.process.stdin.close()
            case "half a message":
                self.process.stdin.write(b'Content-Length: 1000\r\n\r\n{"jsonrpc": ')
                self.process.stdin.close()
            case _:
                self.process.send_signal(signal.Signals[way])
        code = await asyncio.wait_for(self.process.wait(), SOON)
        assert time.monotonic() - start < SOON
        assert self.errors.read_text("utf-8") == ""
        return code


CODES = {
    "in order": 0,
    "without a word of warning": 1,
    "closed pipe": 1,
    "half a message": 1,
    "SIGTERM": 128 + signal.SIGTERM,
    "SIGINT": 128 + signal.SIGINT,
}
if os.name == "nt":
    del CODES["SIGTERM"], CODES["SIGINT"]


COMMON = [way for way in CODES if way in {"in order", "closed pipe", "SIGTERM"}]


@pytest_asyncio.fixture(loop_scope="session")
async def leaving(tmp_path: Path) -> AsyncIterator[Leaving]:
    leaving = Leaving(tmp_path / "errors.txt")
    yield leaving
    if leaving.process.returncode is None:
        leaving.process.kill()
    client = leaving.editor.client
    client._stop_event.set()
    await asyncio.gather(*client._async_tasks, return_exceptions=True)
    for request in client.protocol._request_futures.values():
        if request.done() and not request.cancelled():
            request.exception()  # nobody waits for it


@pytest.mark.parametrize("way", COMMON)
async def test_while_a_project_is_being_loaded(way: str, leaving: Leaving, demo: Path, tmp_path: Path):
    await leaving.start(tmp_path / "cache", [demo])
    leaving.editor.open(demo / RIDERS)

    assert await leaving.leave(way) == CODES[way]


@pytest.mark.parametrize("way", COMMON)
async def test_while_somebody_types(way: str, leaving: Leaving, demo: Path, tmp_path: Path):
    await leaving.start(tmp_path / "cache", [demo])
    name = leaving.editor.open(demo / RIDERS)
    await leaving.editor.planned(name)
    for _ in range(50):
        leaving.editor.replace(name, 0, 0, "# more\n")
        leaving.editor.client.protocol.send_request(
            types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensParams(types.TextDocumentIdentifier(name))
        )

    assert await leaving.leave(way) == CODES[way]


@pytest.mark.parametrize("way", CODES)
async def test_while_a_provider_is_asked(
    way: str, leaving: Leaving, demo: Path, tmp_path: Path, llm: FakeLLMServer, monkeypatch: pytest.MonkeyPatch
):
    settings = demo / "dbt_project.yml"
    settings.write_text(
        settings.read_text("utf-8").replace("openai-compatible", "openai") + "      timeout: 3000\n", "utf-8"
    )
    llm.always(hang(3000))
    await leaving.start(tmp_path / "cache", [demo])
    name = leaving.editor.open(demo / RIDERS)
    await leaving.editor.planned(name)
    command = types.ExecuteCommandParams("osmosis.generateFile", [{"uri": name}])
    leaving.editor.client.protocol.send_request(types.WORKSPACE_EXECUTE_COMMAND, command)
    await leaving.editor.until(lambda: len(llm.requests) == 2)

    assert await leaving.leave(way) == CODES[way]

    monkeypatch.setenv("OSMOSIS_CACHE_DIR", str(tmp_path / "cache"))
    with Store.open() as store:
        (line,) = Ledger(store).spend(None, "model")
    assert (line.calls, line.unpriced_calls) == (2, 2), "what may have been paid for is in the ledger"


@pytest.mark.parametrize("way", COMMON)
async def test_while_a_text_comes(way: str, leaving: Leaving, demo: Path, tmp_path: Path, llm: FakeLLMServer):
    llm.before_piece = lambda number: number >= 14 and llm.closing.wait(PATIENCE)
    await leaving.start(tmp_path / "cache", [demo])
    editor = leaving.editor
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    target = {"uri": name, "node": "model.quayside.dim_riders", "column": "lifetime_value"}
    command = types.ExecuteCommandParams("osmosis.generateColumn", [target])
    editor.client.protocol.send_request(types.WORKSPACE_EXECUTE_COMMAND, command)

    def some_of_it() -> bool:
        reports = [report for of_run in editor.client.progress_reports.values() for report in of_run]
        return any("Made" in (getattr(report, "message", None) or "") for report in reports)

    await editor.until(some_of_it)
    assert await leaving.leave(way) == CODES[way]


async def test_a_stopped_call_that_goes_on_for_the_cache_does_not_delay_the_end(
    leaving: Leaving, demo: Path, tmp_path: Path, llm: FakeLLMServer
):
    settings = demo / "dbt_project.yml"
    settings.write_text(
        settings.read_text("utf-8").replace("openai-compatible", "openai") + "      timeout: 3000\n", "utf-8"
    )
    llm.always(hang(3000))
    await leaving.start(tmp_path / "cache", [demo])
    name = leaving.editor.open(demo / RIDERS)
    await leaving.editor.planned(name)
    command = asyncio.create_task(leaving.editor.command("osmosis.generateFile", {"uri": name}))
    await leaving.editor.until(lambda: llm.requests)
    await leaving.editor.command("osmosis.cancelAll")
    assert (await command)["cancelled"]

    assert await leaving.leave("in order") == 0


async def test_a_client_that_never_says_a_word(tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "osmosis_synthesize.lsp.main"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=server_environment(tmp_path / "cache"),
    )

    written, errors = await asyncio.wait_for(process.communicate(b""), PATIENCE)

    assert (process.returncode, written, errors) == (1, b"", b"")


async def test_a_client_that_stops_reading_before_it_goes(leaving: Leaving, demo: Path, tmp_path: Path):
    await leaving.start(tmp_path / "cache", [demo])
    name = leaving.editor.open(demo / RIDERS)
    await leaving.editor.planned(name)
    transport = leaving.process._transport  # type: ignore[attr-defined]
    transport.get_pipe_transport(1).close()
    for _ in range(20):
        leaving.editor.replace(name, 0, 0, "# more\n")
        leaving.editor.client.protocol.send_request(
            types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensParams(types.TextDocumentIdentifier(name))
        )

    assert await leaving.leave("closed pipe") == 1


@pytest.mark.parametrize("last", [b"", b"Content-Length: 1000\r\n\r\n{"])
async def test_a_client_on_a_port_that_just_goes_away(last: bytes, tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "osmosis_synthesize.lsp.main", "--tcp", f"127.0.0.1:{port}"),
        stderr=asyncio.subprocess.PIPE,
        env=server_environment(tmp_path / "cache"),
    )

    async def connected() -> asyncio.StreamWriter | None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return None
        return writer

    writer = await Editor().until(connected)
    writer.write(last)
    writer.close()
    await writer.wait_closed()
    _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)

    assert (process.returncode, errors) == (1, b"")


async def test_what_a_library_prints_does_not_get_between_the_messages(tmp_path: Path):
    program = (
        "import osmosis_synthesize.lsp.features.status as status; real = status.request\n"
        "async def loud(session, _):\n    print('hello', flush=True)\n    return await real(session, _)\n"
        "status.request = loud\n"
        "from osmosis_synthesize.lsp.main import main; raise SystemExit(main())"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=server_environment(tmp_path / "cache"),
    )
    initialize = {"processId": None, "rootUri": None, "capabilities": {}}
    messages = [
        {"id": 1, "method": "initialize", "params": initialize},
        {"id": 2, "method": "osmosis/status", "params": None},
    ]
    bodies = [json.dumps({"jsonrpc": "2.0"} | message).encode() for message in messages]

    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    for body in bodies:
        process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert await asyncio.wait_for(process.stderr.readline(), PATIENCE) == b"hello\n"
    process.stdin.close()
    written = await asyncio.wait_for(process.stdout.read(), PATIENCE)
    assert await process.wait() == 1
    answered: list[int] = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        length = re.match(rb"Content-Length: (\d+)", head)
        assert length is not None, head
        answered.append(json.loads(rest[: int(length[1])]).get("id"))
        written = rest[int(length[1]) :]
    assert answered[0] == 1
