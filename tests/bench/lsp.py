"""How fast the language server answers in a large project, against an empty request, over standard input and output.

    python tests/bench/lsp.py [--small] [--project DIR] [--turns 200] [--json PATH]

The project has 10,000 models; the open schema file has 200 models of 20 columns, 12,600 lines, and a gap at each of its
4,200 places. Every request is followed by an empty one (A B A B …): a custom request, registered for the benchmark alone,
whose handler does nothing. What is compared is the 95th percentile of both in the same run. Times are those of a client:
from before the request is written until its whole answer has been read, not yet parsed.

Before that, the server is started again and again: until `initialize` is answered, from the start of the process, and from
then until `osmosis/status` says that the manifest is loaded, without a snapshot of it and from one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from generate_manifest import Size, Table, tables, write_project

EMPTY = "bench/empty"
FILE = "models/layer_2/_models_18.yml"

# The client


class Client:
    """An editor that does one thing at a time, and as little as possible itself."""

    def __init__(self, cache: Path, *, pull: bool) -> None:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("OSMOSIS_")}
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ours | {"OSMOSIS_CACHE_DIR": str(cache)},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.to_server, self.from_server = self.process.stdin, self.process.stdout
        self.numbers = itertools.count(1)
        self.versions: dict[str, int] = {}
        self.texts: dict[str, list[str]] = {}
        """The lines of each open document."""
        self.result_ids: dict[str, str] = {}
        self.capabilities = _capabilities(pull=pull)

    def initialize(self, root: Path) -> None:
        """Begin the session."""
        folder = {"uri": root.as_uri(), "name": root.name}
        params = {"processId": None, "rootUri": None, "capabilities": self.capabilities, "workspaceFolders": [folder]}
        self.request("initialize", params)
        self.notify("initialized", {})

    def end(self) -> None:
        """End the session in order."""
        self.request("shutdown", None)
        self.notify("exit", None)
        self.to_server.close()
        if self.process.wait(60) != 0:
            raise SystemExit("the server did not end in order")

    def request(self, method: str, params: Any) -> Any:
        """What the server answers."""
        return json.loads(self.ask(method, params)).get("result")

    def ask(self, method: str, params: Any) -> bytes:
        """The answer as it comes."""
        number = next(self.numbers)
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return self.wait_for(f'"id":{number},'.encode())

    def notify(self, method: str, params: Any) -> None:
        """Tell the server something."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def wait_for(self, words: bytes) -> bytes:
        """The next message with these words, without blanks, at one of its ends; what the server asks meanwhile is answered."""
        while True:
            body = self._receive()
            # Only both ends are looked at: parsing a large answer would be time of the client's.
            if words in (body[:200] + b" " + body[-200:]).replace(b": ", b":").replace(b"}", b","):
                return body
            if len(body) < 10_000:
                message = json.loads(body)
                if "method" in message and "id" in message:
                    empty: Any = [None] if message["method"] == "workspace/configuration" else None
                    self._send({"jsonrpc": "2.0", "id": message["id"], "result": empty})
                elif message.get("method") == "window/showMessage":
                    raise SystemExit(message["params"]["message"])

    def wait_until_loaded(self) -> None:
        """Until the server says that it knows a project's nodes."""
        while True:
            message = json.loads(self.wait_for(b'"method":"osmosis/status"'))
            if any(project["nodes"] for project in message["params"]["projects"]):
                return

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        self.to_server.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.to_server.flush()

    def _receive(self) -> bytes:
        length = 0
        while (header := self.from_server.readline()) != b"\r\n":
            if not header:
                raise SystemExit("the server is gone")
            name, _, value = header.partition(b":")
            if name == b"Content-Length":
                length = int(value)
        return self.from_server.read(length)

    # Documents

    def open(self, uri: str, text: str) -> None:
        """Open a document."""
        self.versions[uri] = 1
        self.texts[uri] = text.split("\n")
        item = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def type(self, uri: str, line: int, start: int, end: int, new: str) -> None:
        """Replace a part of one line."""
        lines = self.texts[uri]
        old = lines[line]
        lines[line : line + 1] = (old[:start] + new + old[end:]).split("\n")
        self._changed(uri, {"line": line, "character": start}, {"line": line, "character": end}, new)

    def join(self, uri: str, line: int) -> None:
        """Take the break behind a line away."""
        lines = self.texts[uri]
        place = {"line": line, "character": len(lines[line])}
        lines[line : line + 2] = [lines[line] + lines[line + 1]]
        self._changed(uri, place, {"line": line + 1, "character": 0}, "")

    def _changed(self, uri: str, start: dict[str, int], end: dict[str, int], new: str) -> None:
        self.versions[uri] += 1
        self.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": uri, "version": self.versions[uri]},
                "contentChanges": [{"range": {"start": start, "end": end}, "text": new}],
            },
        )

    def pull(self, uri: str) -> bytes:
        """The document's diagnostics, or that they have not changed."""
        params: dict[str, Any] = {"textDocument": {"uri": uri}, "identifier": "osmosis"}
        if uri in self.result_ids:
            params["previousResultId"] = self.result_ids[uri]
        return self.ask("textDocument/diagnostic", params)

    def keep(self, uri: str, answer: bytes) -> Any:
        """Note the answer's id, as an editor does; gives the report."""
        report = json.loads(answer)["result"]
        if "resultId" in report:
            self.result_ids[uri] = report["resultId"]
        return report


def _capabilities(*, pull: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "inlineCompletion": {},
        "hover": {"contentFormat": ["markdown"]},
        "codeAction": {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}},
    }
    if pull:
        document["diagnostic"] = {}
    return {
        "general": {"positionEncodings": ["utf-16"]},
        "textDocument": document,
        "workspace": {
            "configuration": True,
            "workspaceEdit": {"documentChanges": True},
            "didChangeWatchedFiles": {"dynamicRegistration": True},
            "diagnostics": {"refreshSupport": True},
            "codeLens": {"refreshSupport": True},
        },
    }


# The document


def schema_text(models: Sequence[Table]) -> str:
    """Entries of which nothing is described: three lines a column."""
    lines = ["version: 2", "", "models:"]
    for model in models:
        lines += [f"  - name: {model.name}", "    description:", "    columns:"]
        for column in model.columns:
            lines += [
                f"      - name: {column.name}",
                "        description:",
                f"        data_type: {column.data_type}",
            ]
    return "\n".join(lines) + "\n"


def below(text: str, kind: str) -> list[int]:
    """The lines of that kind, in an order that jumps about."""
    found = [number for number, line in enumerate(text.split("\n")) if line.startswith(kind)]
    return found[::7] + found[3::7]


# Measuring


@dataclass(frozen=True, slots=True)
class Row:
    """One request: times in milliseconds, ratios of the 95th percentiles."""

    name: str
    median: float
    p95: float
    empty_median: float | None = None
    empty_p95: float | None = None
    ratio: float | None = None
    size: int | None = None
    """Bytes of the largest answer."""
    goal: float | None = None
    """Milliseconds."""
    ratio_goal: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether what goals there are, are met."""
        kept = [
            value <= goal
            for value, goal in ((self.p95, self.goal), (self.ratio, self.ratio_goal))
            if goal is not None and value is not None
        ]
        return all(kept) if kept else None


def measure(
    name: str,
    client: Client,
    act: Callable[[], bytes],
    turns: int,
    *,
    goal: float | None,
    ratio_goal: float | None = None,
    after: Callable[[bytes], object] = lambda _: None,
) -> Row:
    """Time ``act`` and an empty request in turns. ``after`` is not timed."""
    taken: list[float] = []
    empty: list[float] = []
    size = 0
    for turn in range(turns + _WARMING):
        started = time.perf_counter()
        answer = act()
        between = time.perf_counter()
        after(answer)
        begun = time.perf_counter()
        client.ask(EMPTY, None)
        ended = time.perf_counter()
        if turn >= _WARMING:
            taken.append((between - started) * 1000)
            empty.append((ended - begun) * 1000)
            size = max(size, len(answer))
    ours, theirs = _p95(taken), _p95(empty)
    return Row(
        name,
        statistics.median(taken),
        ours,
        statistics.median(empty),
        theirs,
        ours / theirs,
        size,
        goal,
        ratio_goal,
    )


_WARMING = 3


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def at(client: Client, uri: str, method: str, places: Iterator[tuple[int, int]], **more: Any) -> Callable[[], bytes]:
    """A request about one place after the other."""

    def act() -> bytes:
        line, character = next(places)
        place = {"line": line, "character": character}
        params: dict[str, Any] = {"textDocument": {"uri": uri}, "position": place}
        if method == "textDocument/codeAction":
            params = {"textDocument": {"uri": uri}, "range": {"start": place, "end": place}}
        return client.ask(method, params | more)

    return act


def wait_until_planned(client: Client, uri: str) -> None:
    """Until it is known of each gap how it would be filled."""
    while True:
        found = client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})["items"]
        gaps = [item for item in found if item["code"] == "missing-description"]
        if gaps and all(": " in item["message"] for item in gaps):
            return
        time.sleep(0.2)


def starts(root: Path, caches: Path, turns: int) -> list[Row]:
    """The rows about starting."""
    answered: list[float] = []
    loaded: dict[str, list[float]] = {"no snapshot": [], "from its snapshot": []}
    for turn in range(turns):
        for times in loaded.values():
            client = Client(caches / f"start {turn}", pull=True)
            client.initialize(root)
            ready = time.perf_counter()
            client.wait_until_loaded()
            times.append((time.perf_counter() - ready) * 1000)
            answered.append((ready - client.started) * 1000)
            client.end()
    size = (root / "target/manifest.json").stat().st_size / 1e6
    rows = [Row("`initialize`, from the start of the process", statistics.median(answered), _p95(answered))]
    for (how, times), goal in zip(loaded.items(), (2000, 300), strict=True):
        rows.append(Row(f"manifest of {size:.0f} MB loaded, {how}", statistics.median(times), _p95(times), goal=goal))
    return rows


def requests(client: Client, uri: str, turns: int) -> list[Row]:
    """The rows about requests."""
    text = "\n".join(client.texts[uri])
    columns = itertools.cycle((line, 16) for line in below(text, "      - name: "))
    models = itertools.cycle((line, 12) for line in below(text, "  - name: "))
    keys = itertools.cycle((line, 20) for line in below(text, "        description:"))
    document = {"textDocument": {"uri": uri}}
    context: dict[str, Any] = {"context": {"diagnostics": []}}
    trigger: dict[str, Any] = {"context": {"triggerKind": 2}}
    rows = [
        ("hover on a column", at(client, uri, "textDocument/hover", columns)),
        ("hover on a model", at(client, uri, "textDocument/hover", models)),
        ("code action on a column", at(client, uri, "textDocument/codeAction", columns, **context)),
        ("code lens", lambda: client.ask("textDocument/codeLens", document)),
        ("inline completion", at(client, uri, "textDocument/inlineCompletion", keys, **trigger)),
        ("diagnostics, nothing new", lambda: client.pull(uri)),
    ]
    client.keep(uri, client.pull(uri))
    return [measure(name, client, act, turns, goal=10, ratio_goal=3) for name, act in rows]


def keystrokes(client: Client, uri: str, turns: int) -> list[Row]:
    """The rows about typing: each time is that of the change and of the diagnostics that follow it."""

    def after(answer: bytes) -> None:
        client.keep(uri, answer)

    def pulled(edits: Iterator[Callable[[], None]]) -> Callable[[], bytes]:
        def act() -> bytes:
            next(edits)()
            return client.pull(uri)

        return act

    text = "\n".join(client.texts[uri])
    lines = below(text, "        description:")
    described = lines[len(lines) // 2]
    client.type(uri, described, 20, 20, " The amount")
    end = 20 + len(" The amount")
    in_text = [
        lambda: client.type(uri, described, end, end, "s"),
        lambda: client.type(uri, described, end, end + 1, ""),
    ]
    names = itertools.cycle(below(text, "      - name: "))

    def in_names() -> Iterator[Callable[[], None]]:
        for line in names:
            yield lambda line=line: client.type(uri, line, 14, 14, "x")
            yield lambda line=line: client.type(uri, line, 14, 15, "")

    first = below(text, "      - name: ")[0]
    breaks = [lambda: client.type(uri, first, 0, 0, "\n"), lambda: client.join(uri, first)]
    return [
        measure(
            "a character in a description", client, pulled(itertools.cycle(in_text)), turns, goal=20, after=after
        ),
        measure("a character in a name", client, pulled(in_names()), turns, goal=20, after=after),
        measure(
            "a line more in the first entry", client, pulled(itertools.cycle(breaks)), turns, goal=20, after=after
        ),
    ]


def pushed(client: Client, uri: str, turns: int) -> list[Row]:
    """The same for a client that is sent its diagnostics."""
    text = "\n".join(client.texts[uri])
    names = itertools.cycle(below(text, "      - name: "))
    state = itertools.cycle((True, False))
    line = 0

    def act() -> bytes:
        nonlocal line
        if next(state):
            line = next(names)
            client.type(uri, line, 14, 14, "x")
        else:
            client.type(uri, line, 14, 15, "")
        return client.wait_for(b'"textDocument/publishDiagnostics"')

    return [measure("a character in a name, diagnostics pushed", client, act, turns, goal=20)]


def _figure(row: Row) -> tuple[str, ...]:
    goal = " ".join(
        [*([f"{row.goal:g} ms"] if row.goal else []), *([f"{row.ratio_goal:g} times"] if row.ratio_goal else [])]
    )
    return (
        row.name,
        f"{row.median:.2f} ms",
        f"{row.p95:.2f} ms",
        f"{row.empty_p95:.2f} ms" if row.empty_p95 is not None else "",
        f"{row.ratio:.2f}" if row.ratio is not None else "",
        f"{row.size / 1000:.1f} kB" if row.size is not None else "",
        ("" if row.met or row.met is None else "missed: ") + goal,
    )


def report(rows: Sequence[Row]) -> None:
    """Print a table."""
    head = ("", "median", "95 %", "empty, 95 %", "ratio", "answer", "goal")
    cells = [head, *map(_figure, rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def serve() -> int:
    """Be the server, with an empty request besides its own."""
    from osmosis_synthesize.lsp import main as program
    from osmosis_synthesize.lsp import server

    make = server.make_server

    async def empty(_: None) -> None:
        """Do nothing."""

    def with_empty() -> Any:
        made, session = make()
        made.feature(EMPTY)(empty)
        return made, session

    server.make_server = with_empty
    return program.main([])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="only to see that it runs")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--project", type=Path, help="where the generated project is kept; else it is made anew")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file, too")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        return serve()
    size = Size(models=120, models_per_file=20, macros=5) if options.small else Size()
    turns = options.turns
    with tempfile.TemporaryDirectory() as temporary:
        root = options.project or Path(temporary, "project")
        if not (root / "target/manifest.json").exists():
            write_project(root, size, files=False)
        path = root / FILE
        models = [table for table in tables(size) if table.layer == 2][: size.models_per_file]
        text = schema_text(models)
        rows: list[Row] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        for model in models:
            (root / model.sql_path).write_text(model.code(compiled=False), encoding="utf-8")
        rows += starts(root.resolve(), Path(temporary), max(turns // 40, 2))
        for pull in (True, False):
            client = Client(Path(temporary, "cache"), pull=pull)
            client.initialize(root.resolve())
            uri = path.resolve().as_uri()
            client.open(uri, text)
            wait_until_planned(client, uri)
            if pull:
                rows += requests(client, uri, turns)
                rows += keystrokes(client, uri, turns)
            else:
                rows += pushed(client, uri, turns)
            client.end()
    report(rows)
    if options.json is not None:
        figures = {
            "small": options.small,
            "turns": turns,
            "models": size.models,
            "lines": text.count("\n"),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "rows": [{**asdict(row), "met": row.met} for row in rows],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
