"""What the server tells about itself: as much as was asked for, and never a key or a text of the user's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from lsprotocol import types

import servers
from lsp_editor import Editor, full_capabilities, server_environment
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
KEY = "sk-proj-4f1b2c3d4e5f60718293a4b5c6d7e8f9"


class Listening:
    """An editor that keeps all that its server says, in whatever way."""

    def __init__(self, errors: Path) -> None:
        self.editor = Editor()
        self.errors = errors
        self.traces: list[types.LogTraceParams] = []

        @self.editor.client.feature(types.LOG_TRACE)
        def told(params: types.LogTraceParams) -> None:
            self.traces.append(params)

    async def start(self, environment: dict[str, str], trace: types.TraceValue | None) -> None:
        program = "import os, sys; os.dup2(os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT), 2);"
        program += "from osmosis_synthesize.lsp.main import main; raise SystemExit(main())"
        self.editor.capabilities = full_capabilities()
        await self.editor.client.start_io(sys.executable, "-c", program, str(self.errors), env=environment)
        self.editor.result = await self.editor.client.initialize_session(
            types.InitializeParams(capabilities=self.editor.capabilities, trace=trace)
        )

    def all(self) -> str:
        client = self.editor.client
        said = [message.message for message in (*client.messages, *client.log_messages)]
        told = [f"{trace.message} {trace.verbose}" for trace in self.traces]
        progress = [str(report) for reports in client.progress_reports.values() for report in reports]
        return "\n".join([*said, *told, *progress, *map(str, self.editor.statuses), self.errors.read_text("utf-8")])


@pytest_asyncio.fixture(loop_scope="session")
async def listening(tmp_path: Path) -> AsyncIterator[Listening]:
    listening = Listening(tmp_path / "errors.txt")
    yield listening
    assert await listening.editor.stop() == 0


async def test_nothing_is_traced_unless_that_was_asked_for(listening: Listening, tmp_path: Path):
    await listening.start(server_environment(tmp_path / "cache"), None)
    editor = listening.editor
    await editor.status()
    assert listening.traces == []

    editor.client.set_trace(types.SetTraceParams(types.TraceValue.Messages))
    await editor.status()
    # That it was answered is said behind the answer.
    await editor.until(lambda: any(trace.message.startswith("Answered") for trace in listening.traces))
    assert [
        re.sub(r"\(.*\)|[\d.]+", "…", trace.message) for trace in listening.traces if "status" in trace.message
    ] == [
        "Received request osmosis/status …",
        "Answered osmosis/status …: done, … ms",
    ]
    assert {trace.verbose for trace in listening.traces} == {None}

    editor.client.set_trace(types.SetTraceParams(types.TraceValue.Off))
    before = len(listening.traces)
    await editor.status()
    assert [trace.message for trace in listening.traces[before:]] == ["Received notification $/setTrace"]


async def test_a_verbose_trace_says_where_but_not_what(listening: Listening, demo: Path, tmp_path: Path):
    await listening.start(server_environment(tmp_path / "cache"), types.TraceValue.Verbose)
    editor = listening.editor
    name = editor.open(demo / RIDERS)
    editor.edit(name, "version: 2\n", "# words-of-the-user\nversion: 2\n")
    params = types.HoverParams(types.TextDocumentIdentifier(name), types.Position(3, 5))
    await editor.client.text_document_hover_async(params)
    with pytest.raises(Exception, match="There is no command"):
        await editor.command("no.such", {"secret": "words-of-the-user"})

    told = {trace.message.split(" (")[0]: trace.verbose for trace in listening.traces}
    assert told["Received notification textDocument/didOpen"] == f"uri {name}, version 1"
    assert told["Received notification textDocument/didChange"] == f"version 2, uri {name}"
    assert told["Received request textDocument/hover"] == f"uri {name}, line 3, character 5"
    assert told["Received request workspace/executeCommand"] == "command no.such"
    await editor.until(lambda: any(": error -32602, " in trace.message for trace in listening.traces))
    assert "Sent request client/registerCapability" in told
    assert "words-of-the-user" not in listening.all()


FAULTS = {
    "wrong key": servers.wrong_key(KEY),
    "refused": servers.refusing(f"key {KEY} may not use this model"),
    "failed": servers.Fault(500, code="server_error", message=f"upstream said: bad key '{KEY}'"),
    "no JSON": servers.raw(f"<html>Authorization: Bearer {KEY}</html>"),
    "elsewhere": servers.redirect(f"http://127.0.0.1:9/{KEY}"),
    "header": servers.Fault(429, {"X-Echo": KEY, "Retry-After": KEY}, "rate_limit_exceeded", f"slow down, {KEY}"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_key_that_a_provider_echoes_reaches_nobody(
    fault: str, listening: Listening, demo: Path, tmp_path: Path, llm: FakeLLMServer
):
    settings = demo / "dbt_project.yml"
    settings.write_text(
        settings.read_text("utf-8").replace("openai-compatible", "openai") + "      max_retries: 0\n", "utf-8"
    )
    await listening.start(server_environment(tmp_path / "cache") | {"OPENAI_API_KEY": KEY}, types.TraceValue.Verbose)
    llm.always(FAULTS[fault])
    editor = listening.editor
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    outcome = await editor.command("osmosis.generateFile", {"uri": name})
    await editor.until(lambda: editor.client.messages)

    assert llm.requests[0].headers["authorization"] == f"Bearer {KEY}", "it was sent"
    assert len(outcome["left"]) == 5
    said = listening.all() + str(outcome) + str(await editor.status())
    assert "could not be described" in said
    assert KEY not in said
    assert KEY[8:] not in said
    assert not [
        path for path in (tmp_path / "cache").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    if fault == "wrong key":
        assert "OPENAI_API_KEY" in said, "what to do"
    assert os.environ.get("OPENAI_API_KEY") is None
