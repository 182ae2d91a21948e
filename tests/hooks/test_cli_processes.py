"""Runs that are killed, and runs side by side: what was answered is never asked again."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from osmosis_synthesize.cache import Cache
from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.names import short_name
from osmosis_synthesize.store import Store
from projects import copy_demo, strip_descriptions, texts
from servers import FakeLLMServer, Recorded
from small_projects import build, table

# At full size: FULL_SIZE_TESTS=1 pytest tests/hooks/test_cli_processes.py
FULL_SIZE = bool(os.environ.get("FULL_SIZE_TESTS"))
KILLS, PROCESSES, MODELS, COLUMNS = (100, 8, 100, 5) if FULL_SIZE else (4, 3, 8, 3)

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLLMServer]:
    with FakeLLMServer(delay=0.01) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
        monkeypatch.setenv("OSMOSIS_LLM_BASE_URL", server.url + "/v1")
        monkeypatch.setenv("OSMOSIS_LLM_MODEL", "made-up")
        monkeypatch.setenv("OSMOSIS_LLM_PRICING", json.dumps({"made-up": {"input": 2, "output": 10}}))
        yield server


SECOND_KEY = "sk-made-up-too"


def node_of(request: Recorded) -> str:
    found = re.search(r"^# \w+ (\S+)", request.prompt, re.MULTILINE)
    assert found is not None
    return found[1]


PROGRESS = re.compile(r"[\d,]+ of [\d,]+ nodes?, .* left")
"""What a run says now and then where it takes long, as on a machine that has much else to do."""


def ended(process: subprocess.Popen[str]) -> str:
    """What a run that fills gaps says at its end."""
    out, err = process.communicate(timeout=300)
    said = [line for line in err.splitlines() if not PROGRESS.fullmatch(line)]
    assert (process.returncode, said) == (1, []), err
    return out


def in_ledger() -> set[str]:
    """The nodes whose answers are kept: an answer and its row are written as one."""
    with Store.open() as store:
        assert store.warnings == []
        return {short_name(row.label) for row in Ledger(store).spend(by="node") if row.usage.output_tokens}


def test_what_was_answered_before_a_kill_is_not_asked_again(
    server: FakeLLMServer, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_demo(tmp_path / "demo")
    strip_descriptions(root)
    before = texts(root)
    ended(start("run", "--all", cwd=root))
    after, all_requests = texts(root), len(server.requests)
    chance = random.Random(int(os.environ.get("PYTEST_XDIST_TESTRUNUID", "1")[:8], 16))
    for attempt in range(KILLS):
        for path, text in before.items():
            (root / path).write_text(text, "utf-8")
        monkeypatch.setenv("OSMOSIS_CACHE_DIR", str(tmp_path / f"cache{attempt}"))
        sent = len(server.requests)
        process = start("run", "--all", cwd=root)
        wanted = sent + chance.randrange(all_requests)
        server.wait_until(lambda wanted=wanted: len(server.requests) >= wanted)
        time.sleep(chance.random() * 0.05)  # the moment is a random one, so no sleep is the right one
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=300)
        answered = in_ledger()
        monkeypatch.setenv("OPENAI_API_KEY", SECOND_KEY)
        if texts(root) != after:
            ended(start("run", "--all", cwd=root))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
        # Of a request that the kill cut in half only the head has come; and one may come late, so keys tell the runs apart.
        both = [request for request in server.requests[sent:] if request.body]
        second = [request for request in both if SECOND_KEY in request.headers.get("authorization", "")]
        first = [request for request in both if request not in second]
        again = Counter(map(node_of, second))
        # Neither the very request, nor another one about the same node because some files were written already.
        assert not answered & again.keys()
        assert set(again.values()) <= {1}
        assert answered | again.keys() == set(map(node_of, [*first, *second]))
        assert texts(root) == after


def test_each_request_is_sent_once_whoever_asks_and_the_ledger_agrees_with_the_server(
    server: FakeLLMServer, start: Start, tmp_path: Path
) -> None:
    tables = [
        table(f"m{number}", {f"c{number}_{each}": None for each in range(COLUMNS)}, description=f"Table {number}.")
        for number in range(MODELS)
    ]
    roots = [build(tmp_path / f"copy{number}" / "shop", *tables) for number in range(PROCESSES)]
    said = [ended_diff(process) for process in [start("run", "--all", "--diff", cwd=root) for root in roots]]

    assert len(set(said)) == 1  # the same diff from all
    assert said[0].count("+        description: ") == MODELS * COLUMNS
    assert Counter(map(node_of, server.requests)) == {f"m{number}": 1 for number in range(MODELS)}
    with Store.open() as store:
        [spend] = Ledger(store).spend()
        assert spend.calls == server.answered == MODELS
        assert spend.calls + spend.cached_calls == PROCESSES * MODELS
        assert spend.usage.input_tokens == server.input_tokens
        assert spend.usage.output_tokens == server.output_tokens
        cost = Decimal(2 * server.input_tokens + 10 * server.output_tokens) / 1_000_000
        # The server counts what it has cached as input; whoever sets no price for that pays it in full.
        assert spend.cost == cost
        assert Cache(store).stats().replies == MODELS
        assert store.read(lambda connection: connection.execute("SELECT count(*) FROM claim").fetchone()) == (0,)
        assert store.read(lambda connection: connection.execute("SELECT count(*) FROM reservation").fetchone()) == (
            0,
        )


def ended_diff(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert f"{MODELS * COLUMNS} of {MODELS * COLUMNS} gaps filled" in err
    return out


def test_what_is_written_already_changes_no_request(server: FakeLLMServer, start: Start, tmp_path: Path) -> None:
    """The parent's entry is made by the run, so that the manifest does not know it."""
    tables = [
        table("parent", sql="select 1 as a", file=None),
        table("child", {"b": None}, sql="select a + 1 as b from parent", of=["parent"], description="Child."),
    ]
    root = build(tmp_path / "shop", *tables)
    ended(start("run", "--all", cwd=root))
    build(root, *tables)
    ended(start("run", "--all", "--select", "parent", cwd=root))
    assert "(1 cached)" in ended(start("run", "--all", cwd=root))
    assert len(server.requests) == 2
