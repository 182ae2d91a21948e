"""Documenting the demo project with all its descriptions removed: ours against dbt-osmosis 1.5.0, from process start.

    python tests/bench/rival.py --dbt-osmosis PYTHON [--size small|full] [--turns 5] [--json PATH]

``PYTHON`` is an interpreter with requirements/dbt.txt installed. Both are told that the tests' server on loopback is an Ollama; at
first it answers at once, then it takes 300 ms a call; both are then killed once half of their calls are answered, and started
again. Small leaves the slow server out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from paired import Comparison, compare, report

from projects import copy_demo, strip_descriptions
from servers import FakeLLMServer

PATHS = '\nvars:\n  dbt_osmosis_default_path: "_{parent}_more.yml"\n'
"""Where dbt-osmosis is to put what has no schema file yet; it writes nothing without."""
MODEL = "made-up"
_ON_THE_WAY = 0.2
"""Seconds before the end from which on a call may not have been answered yet; the server takes a tenth of it."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one run did."""

    calls: int
    prompt_tokens: int
    gaps_left: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """What two runs did, of which the first was killed at half its calls."""

    calls: int
    repeated: int
    """Prompts that were answered, a while before the end, and were sent again."""
    gaps_left: int


class Tool:
    """One of the two programs, and a fresh project for each of its runs."""

    def __init__(self, name: str, command: Callable[[FakeLLMServer], list[str]], folder: Path) -> None:
        self.name = name
        self._command = command
        self._folder = folder / name
        self._numbers = count()

    def project(self) -> Path:
        """A bare copy of the demo."""
        project = copy_demo(self._folder / str(next(self._numbers)) / "demo")
        strip_descriptions(project)
        settings = project / "dbt_project.yml"
        settings.write_text(settings.read_text("utf-8") + PATHS, "utf-8")
        return project

    def start(self, project: Path, server: FakeLLMServer) -> subprocess.Popen[bytes]:
        """Start it on a project, with a cache of the project's own."""
        keep = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TMPDIR", "SYSTEMROOT"}}
        environment = keep | {
            "OSMOSIS_CACHE_DIR": str(project.parent / "cache"),
            "LLM_PROVIDER": "ollama",  # the one whose address can be set in both
            "OLLAMA_BASE_URL": f"{server.url}/v1",
            "OLLAMA_MODEL": MODEL,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        return subprocess.Popen(
            self._command(server),
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def run(self, project: Path, server: FakeLLMServer) -> None:
        """Run it to its end."""
        process = self.start(project, server)
        _, said = process.communicate(timeout=600)
        if process.returncode not in {0, 1}:
            raise SystemExit(f"{self.name} failed:\n{said.decode()}")


def tools(folder: Path, dbt_osmosis: str) -> tuple[Tool, Tool]:
    """Ours and theirs."""

    def ours(server: FakeLLMServer) -> list[str]:
        chosen = ["--llm-provider", "ollama", "--llm-model", MODEL, "--llm-base-url", server.url]
        return [sys.executable, "-m", "osmosis_hooks.cli", "run", "--all", *chosen]

    def theirs(_: FakeLLMServer) -> list[str]:
        options = ["--project-dir", ".", "--profiles-dir", ".", "--catalog-path", "target/catalog.json"]
        script = str(Path(dbt_osmosis).parent / "dbt-osmosis")
        return [script, "yaml", "document", "--synthesize", "--disable-introspection", *options]

    return Tool("osmosis-synthesize", ours, folder), Tool("dbt-osmosis", theirs, folder)


def gaps_of(project: Path) -> int:
    """How many descriptions are missing."""
    command = [sys.executable, "-m", "osmosis_hooks.cli", "check", "--all", "--json", "-", "--project-dir", project]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return len(json.loads(done.stdout)["gaps"])


def work_of(tool: Tool, server: FakeLLMServer) -> Work:
    """What one run does, from nothing."""
    project = tool.project()
    calls, tokens = len(server.requests), server.input_tokens
    tool.run(project, server)
    return Work(len(server.requests) - calls, server.input_tokens - tokens, gaps_of(project))


def resumed(tool: Tool, calls: int) -> Resumed:
    """What it does when it is killed once half of ``calls`` are answered, and started again."""
    project = tool.project()
    with FakeLLMServer(delay=0.02) as server:
        process = tool.start(project, server)
        server.wait_until(lambda: server.answered >= calls // 2)
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        process.communicate()
        answered = [request.prompt for request in server.requests if request.at < killed - _ON_THE_WAY]
        before = len(server.requests)
        tool.run(project, server)
        again = [request.prompt for request in server.requests[before:]]
        return Resumed(len(server.requests), sum(prompt in answered for prompt in again), gaps_of(project))


def timed(name: str, ours: Tool, theirs: Tool, server: FakeLLMServer, turns: int) -> Comparison:
    """Both, by the clock, in turns; the copies of the project are made before."""
    projects = {tool.name: [tool.project() for _ in range(turns + 1)] for tool in (ours, theirs)}
    return compare(
        name,
        lambda: ours.run(projects[ours.name].pop(), server),
        "dbt-osmosis 1.5.0",
        lambda: theirs.run(projects[theirs.name].pop(), server),
        goal=Fraction(1, 10),
        turns=turns,
        clock=time.perf_counter,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dbt-osmosis", required=True, metavar="PYTHON", help="a Python with dbt-osmosis 1.5.0")
    parser.add_argument("--size", choices=("small", "full"), default="full", help="small: only to see that it runs")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file, too")
    options = parser.parse_args(argv)
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = tools(Path(folder), options.dbt_osmosis)
        with FakeLLMServer() as server:
            works = {tool.name: work_of(tool, server) for tool in (ours, theirs)}
            rows = [timed("the demo, a server without delay", ours, theirs, server, options.turns)]
        if options.size == "full":
            with FakeLLMServer(delay=0.3) as server:
                rows.append(timed("the demo, 300 ms a call", ours, theirs, server, options.turns))
        cut = {tool.name: resumed(tool, works[tool.name].calls) for tool in (ours, theirs)}
        facts["work"] = {name: asdict(work) for name, work in works.items()}
        facts["killed at half and run again"] = {name: asdict(one) for name, one in cut.items()}
        report(rows, options, **facts)
    for title, figures in facts.items():
        print(f"\n{title}")
        for name, values in figures.items():
            print(f"  {name}: " + ", ".join(f"{value:,} {what.replace('_', ' ')}" for what, value in values.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
