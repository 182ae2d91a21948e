"""Many processes over one cache, against a real server that counts for itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from osmosis_synthesize.cache import Cache
from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.providers.base import Reply, Usage
from osmosis_synthesize.store import Store

# At full size: FULL_SIZE_TESTS=1 pytest tests/unit/test_cache_processes.py
FULL_SIZE = bool(os.environ.get("FULL_SIZE_TESTS"))
PROCESSES, REQUESTS, DISTINCT, KILLS = (8, 500, 700, 100) if FULL_SIZE else (4, 60, 80, 6)


class CountingServer(ThreadingHTTPServer):
    """Answers ``POST /KEY`` with a usage, and knows how often it was asked for each and what it has charged."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CountingHandler)
        self.asked: Counter[str] = Counter()
        self.input_tokens = 0
        self.lock = threading.Lock()


class CountingHandler(BaseHTTPRequestHandler):
    server: CountingServer

    def do_POST(self) -> None:
        tokens = 50 + int(self.path[1:9], 16) % 500
        with self.server.lock:
            self.server.asked[self.path[1:]] += 1
            self.server.input_tokens += tokens
        time.sleep(0.002)  # a window in which others come with the same question
        body = json.dumps({"text": f"answer to {self.path[1:]}", "input_tokens": tokens}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@pytest.fixture
def server() -> Iterator[CountingServer]:
    with CountingServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# argv: folder, port, seed, requests, distinct. Prints "ready", waits for a line, then "answered KEY" for each answer
# once the cache has it. 16 requests are under way at a time.
WORKER = """
import asyncio, hashlib, json, pathlib, random, sys
from decimal import Decimal
from osmosis_synthesize.cache import Cache
from osmosis_synthesize.cost.ledger import Entry, Ledger
from osmosis_synthesize.providers.base import Reply, Usage
from osmosis_synthesize.store import Store

folder, port, seed, requests, distinct = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
chance = random.Random(seed)
keys = [hashlib.sha256(str(chance.randrange(distinct)).encode()).hexdigest() for _ in range(requests)]

async def post(key):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /{key} HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n".encode())
    reply = await reader.read()
    writer.close()
    await writer.wait_closed()
    return json.loads(reply.partition(b"\\r\\n\\r\\n")[2])

async def ask(cache, ledger, key, limit):
    async with limit, cache.claim(key) as claim:
        if claim.reply is None:
            body = await post(key)
            usage = Usage(body["input_tokens"])
            cost = Decimal(body["input_tokens"]) / 1_000_000
            claim.fulfil(Reply(body["text"], usage), Entry("p", "m", usage, cost, node=str(seed)))
            print("answered", key, flush=True)
        else:
            ledger.record(Entry("p", "m", claim.reply.reply.usage, Decimal(0), node=str(seed), cache_hit=True))
        assert claim.reply.reply.text == "answer to " + key

async def main():
    with Store.open(folder) as store:
        cache, ledger, limit = Cache(store), Ledger(store), asyncio.Semaphore(16)
        print("ready", flush=True)
        sys.stdin.readline()
        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(ask(cache, ledger, key, limit))
        assert store.warnings == [], store.warnings

asyncio.run(main())
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def test_each_request_is_sent_once_and_the_ledger_agrees_with_the_server(
    server: CountingServer, tmp_path: Path
) -> None:
    children = [start(WORKER, tmp_path, server.server_port, seed, REQUESTS, DISTINCT) for seed in range(PROCESSES)]
    for child in children:
        go(child)
    for child in children:
        child.communicate(timeout=300)
        assert child.returncode == 0
    assert set(server.asked.values()) == {1}
    with Store.open(tmp_path) as store:
        rows = Ledger(store).spend(by="node")
        assert sum(row.calls for row in rows) == len(server.asked)
        assert sum(row.calls + row.cached_calls for row in rows) == PROCESSES * REQUESTS
        assert sum(row.usage.input_tokens for row in rows) == server.input_tokens
        assert sum((row.cost for row in rows), Decimal(0)) == Decimal(server.input_tokens) / 1_000_000
        assert Cache(store).stats().replies == len(server.asked)
        assert store.read(lambda connection: connection.execute("SELECT count(*) FROM claim").fetchone()) == (0,)


def test_what_was_answered_before_a_kill_is_never_asked_again(server: CountingServer, tmp_path: Path) -> None:
    """A run is killed at a moment of its own each time, and begun again, until one gets through."""
    answered: set[str] = set()
    for attempt in range(KILLS):
        child = start(WORKER, tmp_path, server.server_port, 1, REQUESTS, REQUESTS)
        go(child)
        assert child.stdout is not None
        before = server.asked.copy()
        for _ in range(attempt % 7):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        output, _ = child.communicate(timeout=300)
        asked = server.asked - before
        assert not answered & set(asked)
        with Store.open(tmp_path) as store:
            answered = {json.loads(line)["key"] for line in Cache(store).export_lines()}
        assert {line.split()[1] for line in output.splitlines()} <= answered
    before = server.asked.copy()
    last = start(WORKER, tmp_path, server.server_port, 1, REQUESTS, REQUESTS)
    begun = time.monotonic()
    go(last)
    last.communicate(timeout=300)
    assert last.returncode == 0
    assert not answered & set(server.asked - before)
    assert time.monotonic() - begun < 15  # the leases of the killed are 20 seconds long, and nobody waited for them


HOLDER = """
import asyncio, pathlib, sys
from osmosis_synthesize.cache import Cache
from osmosis_synthesize.cost.ledger import Entry
from osmosis_synthesize.providers.base import Reply
from osmosis_synthesize.store import Store

async def main():
    with Store.open(pathlib.Path(sys.argv[1])) as store:
        async with Cache(store).claim(sys.argv[2]) as claim:
            print("ready", flush=True)
            if await asyncio.to_thread(sys.stdin.readline):
                claim.fulfil(Reply("theirs"), Entry("p", "m"))

asyncio.run(main())
"""

KEY = "a" * 64


async def answer(cache: Cache) -> str:
    async with cache.claim(KEY) as claim:
        return "ours" if claim.reply is None else claim.reply.reply.text


@pytest.mark.parametrize(
    ("end", "expected"), [("answers", "theirs"), ("is killed", "ours"), ("gives up", "ours")], ids=str
)
async def test_waits_for_another_process_until_it(end: str, expected: str, tmp_path: Path) -> None:
    with start(HOLDER, tmp_path, KEY) as child, Store.open(tmp_path) as store:
        waiting = asyncio.create_task(answer(Cache(store)))
        # While it waits the event loop is free: this would never end otherwise.
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert not waiting.done()
        if end == "answers":
            go(child)
        elif end == "is killed":
            child.send_signal(signal.SIGKILL)
        else:
            assert child.stdin is not None
            child.stdin.close()
        assert await asyncio.wait_for(waiting, 10) == expected  # well before the lease of 20 s runs out


def test_what_was_fulfilled_outlives_the_process(tmp_path: Path) -> None:
    program = HOLDER.replace(
        'Entry("p", "m"))', 'Entry("p", "m", Usage(7)))\n                os.kill(os.getpid(), 9)'
    )
    program = program.replace("import Reply", "import Reply, Usage").replace("import asyncio,", "import asyncio, os,")
    with start(program, tmp_path, KEY) as child:
        go(child)
        assert child.wait(timeout=300) == -signal.SIGKILL
    with Store.open(tmp_path) as store:
        cached = Cache(store).get(KEY)
        assert cached is not None
        assert cached.reply == Reply("theirs")
        assert Ledger(store).spend()[0].usage == Usage(7)
        assert store.warnings == []
