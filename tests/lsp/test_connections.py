"""Ways to be connected: encodings of positions, and TCP."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types

from lsp_editor import PATIENCE, Editor, full_capabilities, server_environment
from osmosis_synthesize.lsp.texts import Change, OpenText
from osmosis_synthesize.text import Position, PositionEncoding

lsp = pytest.mark.asyncio(loop_scope="session")

RIDERS = "models/marts/dim_riders.yml"


@lsp
@pytest.mark.parametrize("encoding", ["utf-8", "utf-32"])
async def test_positions_are_counted_as_the_client_counts_them(encoding: str, demo: Path, tmp_path: Path):
    capabilities = full_capabilities()
    assert capabilities.general is not None
    capabilities.general.position_encodings = [types.PositionEncodingKind(encoding)]
    editor = Editor()
    await editor.start(server_environment(tmp_path / "cache"), capabilities=capabilities)
    assert editor.encoding == encoding
    name = editor.open(demo / RIDERS)
    editor.edit(name, "- name: rider_name\n", "- {name: 'é🚲x', description: ok} # é🚲\n      - name: rider_name\n")
    editor.edit(name, "é🚲x", "é🚲yz")
    editor.edit(name, "# é🚲\n", "# é🚲 end\n")
    editor.edit(name, "- name: rider_name\n", "- {data_type: 'é🚲', name: odd}\n      - name: rider_name\n")
    found = await editor.planned(name)
    before = editor.texts[name]
    marked = [item.range for item in found if item.code == "missing-description" and item.data]
    names = [before[editor.offset(before, span.start) : editor.offset(before, span.end)] for span in marked]
    assert "odd" in names
    assert all(f"name: {name}" in before for name in names)

    actions = await editor.actions(name, editor.place(name, "rider_name"))
    action = next(action for action in actions if action.title.startswith("Inherit description"))
    action = await editor.client.code_action_resolve_async(action)
    assert action.edit is not None
    assert editor.apply(action.edit)

    text = "        description: 'Name as the rider entered it. Not for reports.'\n"
    assert editor.texts[name] == before.replace("- name: rider_name\n", "- name: rider_name\n" + text)
    assert await editor.stop() == 0


TEXTS = st.text(st.sampled_from("ab é\u2028\U0001f6b2\n\r"), max_size=30)


@given(st.data(), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
@settings(max_examples=150, deadline=None)
def test_changes_give_the_text_that_the_editor_has(data: st.DataObject, encoding: PositionEncoding):
    editor = Editor.__new__(Editor)
    editor.result = types.InitializeResult(types.ServerCapabilities(position_encoding=encoding))
    text = data.draw(TEXTS)
    document = OpenText("file:///x.yml", Path("x.yml"), "yaml", 1, text)
    for version in range(2, 5):
        changes: list[Change] = []
        for _ in range(data.draw(st.integers(1, 3))):
            start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
            if any(text[at - 1 : at + 1] == "\r\n" for at in (start, end)):
                continue  # no place of the protocol lies within a line break
            new = data.draw(TEXTS)
            places = [editor.position(text, at) for at in (start, end)]
            changes.append(Change(new, *(Position(place.line, place.character) for place in places)))
            text = text[:start] + new + text[end:]
        document, _ = document.changed(version, changes, encoding)
        assert document.text == text
        assert document.version == version


@lsp
async def test_a_client_is_served_on_a_port(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "osmosis_synthesize.lsp.main", "--tcp", f"127.0.0.1:{port}"),
        env=server_environment(tmp_path / "cache"),
    )
    editor = Editor()

    async def connected() -> bool:
        try:
            await editor.client.start_tcp("127.0.0.1", port)
        except OSError:
            return False
        return True

    await editor.until(connected)
    result = await editor.client.initialize_session(types.InitializeParams(capabilities=full_capabilities()))
    assert result.server_info is not None
    assert (await editor.status())["protocolVersion"] == 1
    await editor.client.shutdown_async(None)
    editor.client.exit(None)

    assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    await editor.client.stop()
    writer = editor.client.protocol.writer
    assert isinstance(writer, asyncio.StreamWriter)
    writer.close()
    await writer.wait_closed()


def test_an_address_that_cannot_be_had_is_told_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], 65536):
            address = f"127.0.0.1:{port}"
            command = [sys.executable, "-m", "osmosis_synthesize.lsp.main", "--tcp", address]
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

            assert done.returncode in (1, 2)
            assert address in done.stderr
            assert "Traceback" not in done.stderr
