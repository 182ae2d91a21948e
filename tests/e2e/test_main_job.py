"""The main job, end to end, on the demo project: gaps go in, nothing but descriptions comes out."""

from __future__ import annotations

import difflib
import itertools
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from osmosis_hooks.cli import main
from osmosis_synthesize.document import is_placeholder
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.names import short_name
from projects import copy_demo, schema_files, strip_descriptions, texts
from servers import FakeLLMServer, Recorded

# Read at import: the tests' own environment is free of OSMOSIS_… variables.
DBT = shutil.which(os.environ.get("OSMOSIS_TEST_DBT") or "dbt")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLLMServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
    with FakeLLMServer() as server:
        yield server


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A copy of the demo without a single description."""
    root = copy_demo(tmp_path / "demo")
    assert strip_descriptions(root) > 50
    return root


def options(root: Path, server: FakeLLMServer) -> list[str]:
    chosen = ["--llm-provider", "openai", "--llm-model", "made-up", "--llm-base-url", server.url + "/v1"]
    return ["--all", "--project-dir", str(root), *chosen]


def node_of(request: Recorded) -> str:
    found = re.search(r"^# \w+ (\S+)", request.prompt, re.MULTILINE)
    assert found is not None
    return found[1]


def added(before: str, after: str) -> list[str]:
    """The lines that were added; that none was removed or changed is asserted."""
    lines = list(difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True)))
    kept = "".join(line[2:] for line in lines if line.startswith("  "))
    assert kept == before
    return [line[2:] for line in lines if line.startswith("+ ")]


def test_every_gap_is_filled_with_at_most_one_call_a_node_in_dependency_order(
    bare: Path, server: FakeLLMServer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = texts(bare)
    assert main(["run", *options(bare, server), "--json", "-"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["gaps"] == []
    assert main(["check", "--all", "--project-dir", str(bare)]) == 0

    asked = [node_of(request) for request in server.requests]
    assert max(Counter(asked).values()) == 1
    assert report["usage"]["calls"] == len(asked) == server.answered
    index = load(bare / "target/manifest.json")
    finished = {name: place for place, name in enumerate(asked)}
    for unique_id in index.nodes:
        for ancestor in index.ancestors_by_distance(unique_id):
            if {short_name(unique_id), short_name(ancestor)} <= finished.keys():
                assert finished[short_name(ancestor)] < finished[short_name(unique_id)]

    after = texts(bare)
    assert after.keys() == before.keys()
    assert sorted(report["changed_files"]) == sorted(
        str(bare / path) for path in after if after[path] != before[path]
    )
    lines = [line for path, text in after.items() for line in added(before[path], text)]
    # Each description is on a line of its own: these texts are too short to be folded.
    descriptions = [line for line in lines if re.fullmatch(r"\s+description: \S.*\n", line)]
    assert len(descriptions) == len(report["filled"])
    # The one node without an entry got one.
    assert [line for line in lines if line not in descriptions] == ["\n", "    - name: int_repairs_by_bike\n"]

    origins = Counter(item["origin"] for item in report["filled"])
    assert origins["inherited"] > 10
    assert origins["generated"] > 10
    assert not origins["cached"]


def test_a_second_run_changes_nothing_and_calls_nobody(bare: Path, server: FakeLLMServer) -> None:
    assert main(["run", *options(bare, server)]) == 1
    asked, after = len(server.requests), texts(bare)
    assert main(["run", *options(bare, server)]) == 0
    assert len(server.requests) == asked
    assert texts(bare) == after


def test_the_same_gaps_again_are_answered_by_the_cache(
    tmp_path: Path, bare: Path, server: FakeLLMServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *options(bare, server)]) == 1
    asked, after = len(server.requests), texts(bare)
    again = copy_demo(tmp_path / "again")
    strip_descriptions(again)
    capsys.readouterr()
    assert main(["run", *options(again, server), "--offline", "--json", "-"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert len(server.requests) == asked
    assert texts(again) == after
    assert report["usage"] == {"calls": 0, "input_tokens": 0, "output_tokens": 0, "cost": 0, "cached_calls": asked}


def test_the_estimate_agrees_with_the_run(
    bare: Path, server: FakeLLMServer, capsys: pytest.CaptureFixture[str]
) -> None:
    number = itertools.count()
    server.describe = lambda name: f"Text {next(number)} about {name or 'it'}."  # no two are the same
    assert main(["estimate", *options(bare, server)]) == 0
    said = capsys.readouterr().out
    assert not server.requests
    assert main(["run", *options(bare, server), "--json", "-"]) == 1
    report = json.loads(capsys.readouterr().out)
    inherited = sum(item["origin"] == "inherited" for item in report["filled"])
    calls = len(server.requests)
    asked = len(report["filled"]) - inherited
    summary = f"{inherited} inherited, 0 cached, 0 stated as facts, {asked} asked in {calls} calls, 0 left."
    assert summary in said


def test_human_texts_stay(tmp_path: Path, server: FakeLLMServer) -> None:
    """On the demo as it is, half documented, only lines are added, or empty and placeholder values replaced."""
    root = copy_demo(tmp_path / "demo")
    before = texts(root)
    assert main(["run", *options(root, server)]) == 1
    for path, text in texts(root).items():
        for line in difflib.ndiff(before[path].splitlines(), text.splitlines()):
            if line.startswith("- "):
                removed = re.fullmatch(r"-\s+description:\s*['\"]?(.*?)['\"]?\s*", line)
                assert removed is not None, line
                assert is_placeholder(removed[1]) or removed[1] in {"null", "~"}
    assert main(["check", "--all", "--project-dir", str(root)]) == 0


@pytest.mark.xdist_group("dbt")
@pytest.mark.skipif(DBT is None, reason="no dbt: name one in OSMOSIS_TEST_DBT, or have one on the PATH")
def test_dbt_reads_the_result(bare: Path, server: FakeLLMServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *options(bare, server), "--json", "-"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert DBT is not None
    command = [
        DBT,
        "--no-send-anonymous-usage-stats",
        "parse",
        "--project-dir",
        str(bare),
        "--profiles-dir",
        str(bare),
    ]
    parsed = subprocess.run(command, cwd=bare, capture_output=True, text=True, timeout=300, check=False)
    assert parsed.returncode == 0, parsed.stdout + parsed.stderr
    assert "[WARNING]" not in parsed.stdout
    index = load(bare / "target/manifest.json")
    for item in report["filled"]:
        node = index.nodes[item["unique_id"]]
        column = node.column(item["column"]) if item["column"] is not None else None
        described = node.description if item["column"] is None else column.description if column is not None else None
        assert described == item["text"]


# --- the demo command ---


def test_the_demo_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    assert main(["demo", str(folder)]) == 0
    first = capsys.readouterr().out
    for part in (
        "\nThe plan was:\n",
        "\nWhat was done:\n",
        "inherited from",
        "generated by facts",
        "+++ b/",
        "$0.00",
    ):
        assert part in first
    before = {path: path.read_bytes() for path in schema_files(folder)}
    original = copy_demo(tmp_path / "original")
    assert texts(folder) != texts(original)
    assert main(["demo", str(folder)]) == 0
    second = capsys.readouterr().out
    assert {path: path.read_bytes() for path in schema_files(folder)} == before
    assert "+++" not in second


def test_the_demo_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    assert main(["demo", str(tmp_path)]) == 2
    assert "is not the demo" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert main(["demo", str(tmp_path / "notes.txt")]) == 2


def test_the_demo_cares_for_nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSMOSIS_LLM_PROVIDER", "openai")
    monkeypatch.setenv("OSMOSIS_LLM_DRY_RUN", "1")
    assert main(["demo", str(tmp_path / "demo")]) == 0
    assert main(["demo", str(tmp_path / "demo")]) == 0
