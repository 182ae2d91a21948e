"""``dbt parse`` at the user's wish: a stand-in that does what each test tells it to, and the real one where there is one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types

from lsp_editor import PATIENCE, Editor, as_dict, server_environment, uri
from osmosis_synthesize.lsp.configuration import Configuration
from osmosis_synthesize.lsp.features import dbt
from osmosis_synthesize.lsp.server import make_server
from projects import copy_demo

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
DBT = shutil.which(os.environ.get("OSMOSIS_TEST_DBT") or "dbt")
CANCELLED = -32800
KEY = "tests0123456789abcdefghijkl"
STAND_IN = "import pathlib, sys; exec(pathlib.Path('stand_in.py').read_text('utf-8'))"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def parser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    """An editor whose user has named a dbt: a Python that does what ``stand_in.py`` in the working folder says."""
    editor = Editor()
    await editor.start(
        server_environment(tmp_path_factory.mktemp("dbt-cache")) | {"OPENAI_API_KEY": KEY, "OTHER_TOKEN": KEY[::-1]},
        options={"dbtCommand": [sys.executable, "-u", "-c", STAND_IN]},
    )
    yield editor
    assert await editor.stop() == 0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_demo(tmp_path / "demo")


async def parse(editor: Editor, name: str) -> dict[str, Any]:
    return as_dict(await editor.command("osmosis.dbtParse", {"uri": name}))


def logged(editor: Editor) -> list[str]:
    return [
        line
        for message in editor.client.log_messages
        if message.type == types.MessageType.Log
        for line in message.message.split("\n")
    ]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:  # it may go between the two, or while it is read
        return False
    except FileNotFoundError:  # so it may; and where there is no /proc, the signal is all there is
        return not Path("/proc/self/stat").exists()
    return state != "Z"  # ended, and not buried yet


async def test_what_dbt_says_is_shown_and_the_manifest_is_read_anew(parser: Editor, project: Path):
    name = parser.open(project / RIDERS)
    await parser.diagnosed(name, bool)
    (project / "stand_in.py").write_text(
        "import json\n"
        "print(sys.argv[1:], pathlib.Path.cwd().name)\n"
        "for number in range(30): print(f'\\x1b[32mline {number}\\x1b[0m')\n"
        "print('é' * 5000)\n"
        "print('to stderr', file=sys.stderr)\n"
        "path = pathlib.Path('target/manifest.json')\n"
        "manifest = json.loads(path.read_text('utf-8'))\n"
        "del manifest['nodes']['model.quayside.dim_riders']\n"
        "path.write_text(json.dumps(manifest), 'utf-8')\n",
        "utf-8",
    )
    known = set(parser.client.progress_reports)

    result = await parse(parser, name)

    assert (result["exitCode"], result["problem"]) == (0, None)
    assert 0 < result["seconds"] < PATIENCE
    assert len(result["tail"]) == 20
    assert result["tail"][0] == "line 12"
    assert result["tail"][-2:] == ["é" * 2000, "to stderr"]
    await parser.until(lambda: "to stderr" in logged(parser))
    assert logged(parser)[:2] == ["['parse'] demo", "line 0"]
    (token,) = set(parser.client.progress_reports) - known
    begin, *_, end = parser.client.progress_reports[token]
    assert isinstance(begin, types.WorkDoneProgressBegin)
    assert (begin.title, begin.cancellable, begin.percentage) == ("dbt parse (demo)", True, None)
    assert isinstance(end, types.WorkDoneProgressEnd)
    assert (end.message or "").startswith("done in ")
    await parser.diagnosed(name, lambda found: any("does not know `dim_riders`" in item.message for item in found))


async def test_a_failure_is_told_with_its_last_lines(parser: Editor, project: Path):
    (project / "stand_in.py").write_text("print('Compilation Error'); sys.exit(2)", "utf-8")

    result = await parse(parser, uri(project))

    assert result["exitCode"] == 2
    assert result["tail"] == ["Compilation Error"]
    assert result["problem"] == "dbt ended with exit code 2; its last lines say why."


async def test_keys_reach_neither_dbt_nor_the_log(parser: Editor, project: Path):
    parser.client.log_messages.clear()
    (project / "stand_in.py").write_text(
        "import os; print(os.environ.get('OPENAI_API_KEY')); print('found', os.environ['OTHER_TOKEN'])", "utf-8"
    )

    result = await parse(parser, uri(project))

    assert result["tail"] == ["None", "(a line that may hold a secret)"]
    await parser.until(lambda: "None" in logged(parser))
    assert KEY[::-1] not in "\n".join(message.message for message in parser.client.log_messages)


HANGS = """
import os, signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN) if pathlib.Path('stubborn').exists() else None
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3000)'])
pathlib.Path('pids').write_text(f'{os.getpid()} {child.pid} ')
child.wait()
"""


async def hanging(editor: Editor, project: Path, msg_id: str) -> tuple[asyncio.Future[Any], list[int]]:
    """A dbt that never ends, nor does what it has started; and their process ids."""
    (project / "stand_in.py").write_text(HANGS, "utf-8")
    params = types.ExecuteCommandParams("osmosis.dbtParse", [{"uri": uri(project)}])
    request = editor.client.protocol.send_request(types.WORKSPACE_EXECUTE_COMMAND, params, msg_id=msg_id)
    pids = project / "pids"
    await editor.until(lambda: pids.exists() and pids.read_text().endswith(" "))
    return asyncio.wrap_future(request), [int(pid) for pid in pids.read_text().split()]


async def test_cancelling_the_request_kills_dbt_and_all_that_it_started(parser: Editor, project: Path):
    command, pids = await hanging(parser, project, "dbt-1")
    assert all(map(is_alive, pids))

    parser.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams("dbt-1"))

    with pytest.raises(Exception) as caught:
        await asyncio.wait_for(command, PATIENCE)
    assert getattr(caught.value, "code", None) == CANCELLED
    await parser.until(lambda: not any(map(is_alive, pids)))


@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancel_all_stops_it_however_it_takes_it(parser: Editor, project: Path, stubborn: bool):
    if stubborn:
        (project / "stubborn").touch()
    command, pids = await hanging(parser, project, f"dbt-2-{stubborn}")
    with pytest.raises(Exception, match="is already running in"):
        await parse(parser, uri(project))
    assert (await parser.status())["running"] == 1

    assert await parser.command("osmosis.cancelAll") == 1

    result = as_dict(await asyncio.wait_for(command, PATIENCE))
    assert (result["exitCode"], result["problem"]) == (None, "It was stopped.")
    await parser.until(lambda: not any(map(is_alive, pids)))
    assert (await parser.status())["running"] == 0
    (project / "stand_in.py").write_text("print('again')", "utf-8")
    assert (await parse(parser, uri(project)))["tail"] == ["again"]


async def test_it_is_stopped_when_it_takes_too_long(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(dbt, "_LIMIT", 0.5)
    _, session = make_server()
    session.configuration = Configuration(dbt_command=(sys.executable, "-c", STAND_IN))
    (project / "stand_in.py").write_text(HANGS, "utf-8")

    class Mute:
        def write(self, data: bytes) -> None:
            """Nobody listens."""

    session.protocol.set_writer(Mute())
    result = await dbt.parse(session, [{"uri": uri(project)}])

    assert (result["exitCode"], result["problem"]) == (None, "It was stopped after 0.5 seconds.")
    pids = [int(pid) for pid in (project / "pids").read_text().split()]
    await Editor().until(lambda: not any(map(is_alive, pids)) and not len(session.jobs))


@pytest.mark.parametrize("orderly", [True, False])
async def test_nothing_of_it_outlives_the_server(tmp_path: Path, project: Path, orderly: bool):
    editor = Editor()
    await editor.start(
        server_environment(tmp_path / "cache"), options={"dbtCommand": [sys.executable, "-c", STAND_IN]}
    )
    command, pids = await hanging(editor, project, "dbt-3")

    if orderly:
        assert await editor.stop() == 0
        with pytest.raises(Exception) as caught:
            await asyncio.wait_for(command, PATIENCE)
        assert getattr(caught.value, "code", None) == CANCELLED
    else:
        server = editor.client._server
        assert server is not None
        assert server.stdin is not None
        server.stdin.close()
        await asyncio.wait_for(server.wait(), PATIENCE)
        await editor.client.stop()
    await editor.until(lambda: not any(map(is_alive, pids)))


async def test_no_repository_names_an_executable(parser: Editor, project: Path):
    parser.client.messages.clear()
    marker = project / "executed"
    evil = [sys.executable, "-c", f"open({str(marker)!r}, 'w')"]
    (project / "stand_in.py").write_text("print('the chosen one')", "utf-8")
    try:
        parser.client.set_configuration({"dbtCommand": evil}, section="osmosis")
        parser.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))
        await parser.until(lambda: [item for item in parser.client.messages if "osmosis.dbtCommand" in item.message])
        assert "is not used" in parser.client.messages[-1].message

        assert (await parse(parser, uri(project)))["tail"] == ["the chosen one"]
        assert not marker.exists()
    finally:
        parser.client.set_configuration({}, section="osmosis")
        parser.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))


async def test_a_dbt_that_is_not_there_is_told_with_what_to_do(tmp_path: Path, project: Path):
    editor = Editor()
    await editor.start(server_environment(tmp_path / "cache"), options={"dbtCommand": str(tmp_path / "no such dbt")})
    with pytest.raises(Exception, match=r"It is not clear which dbt project is meant; there are: none\."):
        await editor.command("osmosis.dbtParse")
    with pytest.raises(Exception, match="belongs to no dbt project"):
        await editor.command("osmosis.dbtParse", {"uri": uri(tmp_path)})
    editor.open(project / RIDERS)

    with pytest.raises(Exception, match=r"no such dbt was not found on the PATH\. Set dbtCommand"):
        await editor.command("osmosis.dbtParse")

    assert await editor.stop() == 0


@pytest.mark.skipif(DBT is None, reason="no dbt: name one in OSMOSIS_TEST_DBT, or have one on the PATH")
async def test_the_real_dbt_writes_a_manifest_that_is_read(tmp_path: Path, project: Path):
    shutil.rmtree(project / "target")
    editor = Editor()
    await editor.start(server_environment(tmp_path / "cache"), options={"dbtCommand": DBT}, folders=[project])
    name = editor.open(project / RIDERS)
    await editor.diagnosed(name, bool)
    assert (await editor.status())["projects"][0]["state"] == "without manifest"

    result = await parse(editor, name)

    assert result["exitCode"] == 0, result["tail"]
    assert json.loads((project / "target/manifest.json").read_text("utf-8"))["nodes"]
    await editor.diagnosed(
        name, lambda found: any("inheritable from stg_riders.full_name" in item.message for item in found)
    )
    assert (await editor.status())["projects"][0]["state"] == "ready"
    assert await editor.stop() == 0
