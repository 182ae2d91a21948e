"""Many models on all cores: the same answers, whatever becomes of the processes, and none of them left."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.lineage import Lineages, project, workers
from osmosis_synthesize.manifest.lineage.task import Setting, Task, has_sql
from osmosis_synthesize.manifest.lineage.workers import WorkerLost, Workers, useful_workers
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.manifest.model import Node
from projects import DEMO

COMPILED = DEMO / "target" / "manifest.json"


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "MANY", 4)
    monkeypatch.setattr(project, "FEW", 4)
    monkeypatch.setattr(workers, "useful_workers", lambda: 2)


def index_of(tmp_path: Path, *, compiled: bool) -> Index:
    data = json.loads(COMPILED.read_text("utf-8"))
    for node in data["nodes"].values():
        if not compiled:
            node.pop("compiled_code", None)
    # enough that looks like the rest to keep several processes busy
    for number in range(30):
        node = {**data["nodes"]["model.quayside.stg_rentals"], "name": f"extra_{number}", "alias": f"extra_{number}"}
        data["nodes"][f"model.quayside.extra_{number}"] = {**node, "unique_id": f"model.quayside.extra_{number}"}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(data), "utf-8")
    return load(path)


def count_parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nodes that this process traces itself from now on."""
    seen: list[str] = []
    solve = project.Solver.solve

    def counted(self: project.Solver, task: Task) -> project.Solved:
        seen.append(task.node.unique_id)
        return solve(self, task)

    monkeypatch.setattr(project.Solver, "solve", counted)
    return seen


@pytest.mark.parametrize("compiled", [True, False])
def test_the_answers_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    index = index_of(tmp_path, compiled=compiled)
    expected = dict(Lineages(index, variables={"some": "value"}))
    here = count_parses(monkeypatch)
    lineages = Lineages(index, variables={"some": "value"})
    lineages.trace(index.nodes)
    assert dict(lineages) == expected
    assert all(index.nodes[unique_id].resource_type in {"source", "seed"} for unique_id in here)


def test_what_is_known_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(tmp_path, compiled=True)
    cache = tmp_path / "lineage.sqlite3"
    first = Lineages(index, cache=cache)
    first.trace(index.nodes)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    here = count_parses(monkeypatch)
    second = Lineages(index, cache=cache)
    second.trace(index.nodes)
    assert dict(second) == dict(first)
    assert all(index.nodes[unique_id].resource_type in {"source", "seed"} for unique_id in here)


def break_workers(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is started be no worker."""
    if program == "is another version":
        monkeypatch.setattr(workers, "code_version", lambda: "another")
    else:
        script = tmp_path / "python"
        said = {"none": "", "ends at once": "exit 3", "talks nonsense": "cat"}[program]
        if said:
            script.write_text(f"#!/bin/sh\n{said}\n")
            script.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(script))


@pytest.mark.parametrize("program", ["none", "ends at once", "talks nonsense", "is another version"])
def test_without_workers_the_work_is_done_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    index = index_of(tmp_path, compiled=True)
    expected = dict(Lineages(index))
    break_workers(program, tmp_path, monkeypatch)
    lineages = Lineages(index)
    lineages.trace(index.nodes)
    assert dict(lineages) == expected


@pytest.mark.parametrize("compiled", [True, False])
async def test_what_is_traced_ahead_is_the_same_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    index = index_of(tmp_path, compiled=compiled)
    expected = dict(Lineages(index, variables={"some": "value"}))
    here = count_parses(monkeypatch)
    lineages = Lineages(index, variables={"some": "value"}, cache=tmp_path / "lineage.sqlite3")
    await lineages.trace_ahead(index.nodes)
    assert dict(lineages) == expected
    assert all(index.nodes[unique_id].resource_type in {"source", "seed"} for unique_id in here)

    here.clear()
    again = Lineages(index, variables={"some": "value"}, cache=tmp_path / "lineage.sqlite3")
    monkeypatch.setattr(workers, "_start", lambda: pytest.fail("all is known"))
    await again.trace_ahead(index.nodes)
    assert dict(again) == expected
    assert all(index.nodes[unique_id].resource_type in {"source", "seed"} for unique_id in here)


async def test_what_is_asked_for_before_its_turn_is_traced_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_of(tmp_path, compiled=True)
    expected = dict(Lineages(index))
    here = count_parses(monkeypatch)
    lineages = Lineages(index)
    ahead = asyncio.create_task(lineages.trace_ahead(index.nodes))
    await asyncio.sleep(0)
    asked = next(unique_id for unique_id in reversed(index.order) if has_sql(index.nodes[unique_id]))
    assert lineages[asked] == expected[asked]
    assert asked in here
    await ahead
    assert dict(lineages) == expected
    assert here.count(asked) == 1


async def test_who_stops_tracing_ahead_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = workers._start

    def counted() -> subprocess.Popen[bytes]:
        started.append(start())
        return started[-1]

    monkeypatch.setattr(workers, "_start", counted)
    index = index_of(tmp_path, compiled=True)
    lineages = Lineages(index)
    ahead = asyncio.create_task(lineages.trace_ahead(index.nodes))
    while not started:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
    ahead.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ahead
    assert [process.poll() is not None for process in started] == [True]
    assert dict(lineages) == dict(Lineages(index))


@pytest.mark.parametrize("program", ["none", "ends at once", "talks nonsense", "is another version"])
async def test_without_a_process_nothing_is_traced_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    index = index_of(tmp_path, compiled=True)
    expected = dict(Lineages(index))
    break_workers(program, tmp_path, monkeypatch)
    lineages = Lineages(index)
    await lineages.trace_ahead(index.nodes)
    assert not all(lineages.is_traced(unique_id) for unique_id in index.nodes)
    assert dict(lineages) == expected


def task(number: int) -> Task:
    unique_id = f"model.shop.m{number}"
    node = Node(unique_id, "model", f"m{number}", "shop", "", None, "", compiled_code=f"select {number} as n")
    return Task.of(node, [], {}, {})


def test_a_worker_that_is_killed_is_noticed() -> None:
    with Workers(2, Setting("duckdb")) as started:
        answered = started.submit([task(1), task(2)]).result(timeout=300)
        assert [solved.lineage.unique_id for solved in answered] == ["model.shop.m1", "model.shop.m2"]
        for process in started._processes:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(timeout=300)
        with pytest.raises(WorkerLost):
            started.submit([task(3)]).result(timeout=300)
        assert not started.is_whole
        with pytest.raises(WorkerLost):
            started.submit([task(4)]).result(timeout=300)


def test_the_repository_cannot_stand_in_for_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sqlglot", "msgspec", "osmosis_synthesize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'was here')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    with Workers(1, Setting("duckdb")) as started:
        assert started.submit([task(1)]).result(timeout=300)[0].lineage.problem is None
    assert not (tmp_path / "was here").exists()


def test_no_more_processes_than_cores() -> None:
    assert 1 <= useful_workers() <= workers.MOST


def test_a_program_that_is_not_python_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert useful_workers() == 1
    monkeypatch.delattr(sys, "frozen")
    monkeypatch.setattr(sys, "executable", "")
    assert useful_workers() == 1


# --- none is left ---------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from osmosis_synthesize.manifest.lineage.task import Setting, Task
from osmosis_synthesize.manifest.lineage.workers import Workers
from osmosis_synthesize.manifest.model import Node

node = Node("model.shop.m", "model", "m", "shop", "", None, "", compiled_code="select 1 as n")
with Workers(2, Setting("duckdb")) as started:
    # no `if __name__ == "__main__"`: whoever runs this again would print again
    started.submit([Task.of(node, [], {}, {})]).result()
    print(*(process.pid for process in started._processes), flush=True)
    if sys.argv[1] == "wait":
        import time
        time.sleep(60)
"""

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked up in /proc")


def start(tmp_path: Path, how: str) -> tuple[subprocess.Popen[str], list[int]]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, script, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until_gone(pids: list[int]) -> None:
    limit = time.monotonic() + 60
    while any(map(is_running, pids)):
        assert time.monotonic() < limit, "a worker is left"
        time.sleep(0.01)


def rest(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.read()


@linux_only
@pytest.mark.parametrize("by", ["itself", signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_whoever_started_it(tmp_path: Path, by: str | signal.Signals) -> None:
    process, pids = start(tmp_path, "end" if by == "itself" else "wait")
    with process:
        assert len(pids) == 2
        if isinstance(by, signal.Signals):
            assert all(map(is_running, pids))
            process.send_signal(by)
        process.wait(timeout=300)
        wait_until_gone(pids)
        assert rest(process.stdout) == "", "the script ran once"
        assert rest(process.stderr).count("Traceback") == (by == signal.SIGINT), "workers say nothing"


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_an_interrupted_trace_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(tmp_path, compiled=True)
    cache = tmp_path / "lineage.sqlite3"
    keep, kept = Lineages._keep, list[str]()

    def interrupted(self: Lineages, question: project._Question, solved: project.Solved) -> None:
        keep(self, question, solved)
        kept.append(question.unique_id)
        if len(kept) == 25:
            raise KeyboardInterrupt

    monkeypatch.setattr(Lineages, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Lineages(index, cache=cache).trace(index.nodes)
    monkeypatch.setattr(Lineages, "_keep", keep)
    here = count_parses(monkeypatch)
    lineages = Lineages(index, cache=cache)
    assert all(lineages[unique_id] for unique_id in kept)
    assert not [unique_id for unique_id in here if unique_id.startswith(("model.", "snapshot."))]
