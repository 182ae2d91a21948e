"""One server for all tests of a process, since a start takes a second or two; each test has a project of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from lsp_editor import Editor, server_environment
from projects import copy_demo
from servers import FakeLLMServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    """An editor that can do everything."""
    editor = Editor()
    await editor.start(server_environment(tmp_path_factory.mktemp("lsp-cache")))
    yield editor
    assert await editor.stop() == 0


@pytest_asyncio.fixture(loop_scope="session")
async def editor(shared: Editor) -> AsyncIterator[Editor]:
    """The shared editor, left without open documents and without complaints."""
    shared.client.messages.clear()
    shared.client.log_messages.clear()
    shared.applied.clear()
    shared.statuses.clear()
    yield shared
    for name in list(shared.texts):
        shared.close(name)
    shared.refuse_edits = shared.fail_edits = False
    failures = [message.message for message in shared.client.messages if "failed (" in message.message]
    assert not failures


@pytest.fixture
def llm() -> Iterator[FakeLLMServer]:
    """A provider, over HTTP."""
    with FakeLLMServer() as server:
        yield server


@pytest.fixture
def demo(tmp_path: Path, llm: FakeLLMServer) -> Path:
    """A copy of the demo project that asks that provider."""
    project = copy_demo(tmp_path / "demo")
    with (project / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write(
            "\nvars:\n  dbt-osmosis:\n    llm:\n      provider: openai-compatible\n      model: gpt-4o-mini\n"
            f"      base_url: {llm.url}/v1\n"
        )
    return project
