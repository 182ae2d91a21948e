"""How far a run is, and how much of it one wants."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from osmosis_hooks.cli import main
from osmosis_hooks.progress import Lines, Silence, duration, progress_of
from osmosis_synthesize.engine.model import NodeOutcome, Spent
from projects import copy_demo, strip_descriptions, texts, unfolded
from servers import FakeLLMServer


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = copy_demo(tmp_path / "demo")
    strip_descriptions(root)
    monkeypatch.chdir(root)
    return root


FREE = ("run", "--all", "--offline", "--facts")


def outcome(calls: int, cost: str | None) -> NodeOutcome:
    return NodeOutcome("model.x.y", (), (), spent=Spent(calls, cost=None if cost is None else Decimal(cost)))


def test_lines_come_now_and_then_with_what_is_left() -> None:
    out = io.StringIO()
    now = [0.0]
    with Lines(1000, out, clock=lambda: now[0]) as lines:
        for _ in range(40):
            now[0] += 0.5
            lines.finished(outcome(1, "0.001"))
    assert out.getvalue().splitlines() == [
        "20 of 1,000 nodes, 20 calls, $0.0200, about 8 min left",
        "40 of 1,000 nodes, 40 calls, $0.0400, about 8 min left",
    ]


def test_a_short_run_and_a_quiet_one_say_nothing() -> None:
    out = io.StringIO()
    with progress_of(3, out, quiet=False) as lines:
        lines.finished(outcome(1, None))
    assert out.getvalue() == ""
    assert isinstance(progress_of(3, out, quiet=True), Silence)
    assert (duration(99.4), duration(150), duration(7500)) == ("99 s", "2 min", "2 h 5 min")


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_shows_nodes_calls_and_money(bare: Path, tmp_path: Path, *, no_color: bool) -> None:
    ours, theirs = pty.openpty()
    with FakeLLMServer(delay=0.05) as server:
        chosen = ["--llm-provider", "ollama", "--llm-model", "made-up", "--llm-base-url", server.url]
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        environment |= {"TERM": "xterm-256color", "COLUMNS": "100", "OSMOSIS_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-m", "osmosis_hooks.cli", "run", "--all", *chosen]
        with subprocess.Popen(
            command,
            env=environment | ({"NO_COLOR": "1"} if no_color else {}),
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            stdin=subprocess.DEVNULL,
        ) as process:
            os.close(theirs)
            shown = b""
            while True:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not piece:
                    break
                shown += piece
        os.close(ours)
    assert process.returncode == 1
    text = shown.decode()
    assert re.search(r"\d+/27", text)
    assert re.search(r"\d+ calls?, \$0\.00", text)
    assert ("\x1b[3" in text) is not no_color


@pytest.mark.usefixtures("bare")
def test_quiet_says_nothing_of_what_went_well(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*FREE, "--quiet"]) == 1
    assert capfd.readouterr() == ("", "")


def test_a_limited_run_does_a_part_and_the_next_ones_the_rest(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = copy_demo(tmp_path / "whole")
    strip_descriptions(whole)
    assert main([*FREE, "--project-dir", str(whole)]) == 1
    capsys.readouterr()
    seen: list[set[str]] = []
    for _ in range(30):
        code = main([*FREE, "--limit", "6", "--json", "-"])
        said = capsys.readouterr()
        filled = {item["unique_id"] for item in json.loads(said.out)["filled"]}
        assert len(filled) <= 6
        if code == 0:
            break
        assert ("run again for the next" in said.err) or not seen or len(filled) <= 6
        seen.append(filled)
    assert len(seen) > 2
    assert {path: unfolded(text) for path, text in texts(bare).items()} == {
        path: unfolded(text) for path, text in texts(whole).items()
    }
