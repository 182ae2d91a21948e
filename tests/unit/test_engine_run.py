"""A run against a real HTTP server through the real SDK: order, limits, failures, cache, cost."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.model import NodeOutcome, Plan, Proposal, Spent, Unfilled
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.recording import Recorder
from osmosis_synthesize.settings import load_settings
from osmosis_synthesize.store import Store
from servers import FakeLLMServer, Fault, Recorded, failing, hang, out_of_quota, says, wrong_key
from small_projects import Table, build, table

MODEL = "made-up"
PRICE = {"pricing": {MODEL: {"input": 1, "output": 10}}}


@pytest.fixture
def server() -> Iterator[FakeLLMServer]:
    with FakeLLMServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
    monkeypatch.setenv("OSMOSIS_LLM_MAX_RETRIES", "0")


class Shop:
    """A project, and runs over it. The cache is the test's own, so runs of one test share it."""

    def __init__(self, root: Path, server: FakeLLMServer) -> None:
        self.root = root
        self.server = server

    def open(self, **overrides: Any) -> Project:
        given: dict[str, Any] = {"provider": "openai", "model": MODEL, "base_url": self.server.url + "/v1"}
        return Project(self.root, load_settings(self.root, overrides=given | overrides))

    async def run(self, *, mode: Any = "call", write: bool = True, **overrides: Any) -> Done:
        project = self.open(**overrides)
        gaps = project.survey(Request(whole_project=True)).gaps
        with Store.open() as store:
            caller = project.caller(store, mode=mode)
            try:
                async with aclosing(project.run(gaps, caller, write=write)) as found:
                    outcomes = [outcome async for outcome in found]
            finally:
                await caller.aclose()
        return Done([project.settled(outcome) for outcome in outcomes])

    async def plan(self, *, mode: Any = "call", **overrides: Any) -> Plan:
        project = self.open(**overrides)
        with Store.open() as store:
            return await project.plan(
                project.survey(Request(whole_project=True)).gaps, project.caller(store, mode=mode)
            )

    @property
    def asked(self) -> list[str]:
        return [node_of(request) for request in self.server.requests]


class Done:
    def __init__(self, outcomes: list[NodeOutcome]) -> None:
        self.outcomes = outcomes
        self.spent = sum((outcome.spent for outcome in outcomes), Spent())
        self.failed = [outcome.unique_id for outcome in outcomes if outcome.failed]

    @property
    def filled(self) -> dict[str, Proposal]:
        return {proposal.gap.label: proposal for outcome in self.outcomes for proposal in outcome.proposals}

    @property
    def left(self) -> dict[str, Unfilled]:
        return {item.gap.label: item for outcome in self.outcomes for item in outcome.unfilled}

    @property
    def origins(self) -> dict[str, int]:
        origins = [proposal.origin for proposal in self.filled.values()]
        return {origin: origins.count(origin) for origin in sorted(set(origins))}


def node_of(request: Recorded) -> str:
    found = re.search(r"^# \w+ (\S+)", request.prompt, re.MULTILINE)
    assert found is not None
    return found[1]


def derived(name: str, parent: str, **options: Any) -> Table:
    """A model whose one column has to be asked for, and whose own description exists."""
    sql = f"select x + 1 as x from {parent.rpartition('.')[2]}"
    return table(name, {"x": None}, sql=sql, of=[parent], description="A table.", **options)


RAW = table("raw.a", {"x": "Counted by hand."}, description="Raw.")
CHAIN = [RAW, derived("m1", "raw.a"), derived("m2", "m1"), derived("m3", "m2"), derived("m4", "m3")]


def siblings(count: int) -> list[Table]:
    return [RAW, *(derived(f"s{number:02}", "raw.a") for number in range(count))]


async def test_parents_come_first_and_their_new_texts_are_in_their_childrens_prompts(
    tmp_path: Path, server: FakeLLMServer
) -> None:
    shop = Shop(build(tmp_path, *reversed(CHAIN)), server)
    texts = iter(["First text.", "Second text.", "Third text.", "Fourth text."])
    server.describe = lambda _name: next(texts)
    done = await shop.run()
    assert shop.asked == ["m1", "m2", "m3", "m4"]
    assert [outcome.unique_id.rpartition(".")[2] for outcome in done.outcomes] == ["m1", "m2", "m3", "m4"]
    for request, upstream in zip(
        server.requests, ["Counted by hand.", "First text.", "Second text.", "Third text."], strict=True
    ):
        assert f".x: {upstream}" in request.prompt
    assert done.filled["m4.x"].text == "Fourth text."
    assert done.filled["m4.x"].origin == "generated"


async def test_one_call_a_node_for_all_its_gaps(tmp_path: Path, server: FakeLLMServer) -> None:
    columns = {f"c{number}": None for number in range(25)}
    sql = "select " + ", ".join(f"x + {number} as c{number}" for number in range(25)) + " from a"
    model = table("wide", columns, sql=sql, of=["raw.a"])
    shop = Shop(build(tmp_path, RAW, model, derived("m1", "raw.a")), server)
    done = await shop.run()
    assert sorted(shop.asked) == ["m1", "wide"]
    assert len(done.filled) == 27
    assert not done.left
    assert done.filled["wide.c7"].text == "Made up for tests: c7."
    assert done.spent.calls == 2 == server.answered
    assert done.spent.usage.input_tokens == server.input_tokens
    assert done.spent.usage.output_tokens == server.output_tokens


async def test_what_is_generated_for_a_parent_is_inherited_by_its_children(
    tmp_path: Path, server: FakeLLMServer
) -> None:
    copy = table("copy", {"y": None}, sql="select x as y from m1", of=["m1"], description="A copy.")
    shop = Shop(build(tmp_path, RAW, derived("m1", "raw.a"), copy), server)
    plan = await shop.plan()
    assert [item.gap.label for node in plan.nodes for item in node.waiting] == ["copy.y"]
    done = await shop.run()
    assert shop.asked == ["m1"]
    assert (done.filled["copy.y"].text, done.filled["copy.y"].origin) == (done.filled["m1.x"].text, "inherited")


async def test_siblings_run_side_by_side_within_the_limit(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, *siblings(9)), server)
    together, lock = threading.Barrier(3), threading.Lock()
    under_way = most = 0

    def describe(_name: str) -> str:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        together.wait(20)  # passes only if three requests are answered at the same time
        with lock:
            under_way -= 1
        return "A text."

    server.describe = describe
    done = await shop.run(concurrency=3)
    assert len(done.filled) == 9
    assert most == 3


async def test_whoever_has_the_longest_line_behind_it_goes_first(tmp_path: Path, server: FakeLLMServer) -> None:
    chain = [derived("z1", "raw.a"), derived("z2", "z1"), derived("z3", "z2"), derived("z4", "z3")]
    shop = Shop(build(tmp_path, *siblings(9), *chain), server)
    await shop.run(concurrency=1)
    assert [shop.asked.index(name) for name in ("z1", "z2", "z3")] == [
        0,
        2,
        4,
    ]  # one is begun while another one is under way


async def test_a_failure_stays_with_its_node(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, *siblings(4), derived("child", "s00")), server)
    server.script(failing(500))
    done = await shop.run(concurrency=1)
    assert done.failed == ["model.shop.s00"]
    assert set(done.left) == {"s00.x"}
    assert "500" in done.left["s00.x"].reason
    assert set(done.filled) == {"s01.x", "s02.x", "s03.x", "child.x"}


@pytest.mark.parametrize("fault", [wrong_key(), out_of_quota()], ids=["key", "quota"])
async def test_what_can_only_fail_again_is_not_tried_again(
    tmp_path: Path, server: FakeLLMServer, fault: Fault
) -> None:
    shop = Shop(build(tmp_path, *siblings(12)), server)
    server.always(fault)
    done = await shop.run(concurrency=2)
    assert len(server.requests) <= 2
    assert len(done.failed) == len(done.left) == 12
    assert len({item.reason for item in done.left.values()}) == 1
    assert done.spent == Spent()


async def test_a_call_that_does_not_fit_into_the_budget_is_not_made(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, *siblings(6), settings=PRICE), server)
    plan = await shop.plan()
    bound = plan.calls[0].upper_bound
    assert bound is not None
    limit = bound * Decimal("1.05")  # a call really costs a few percent of what is reserved for it
    done = await shop.run(max_cost_per_run=limit, concurrency=1)
    assert 1 <= len(server.requests) < 6
    assert done.spent.cost is not None
    assert 0 < done.spent.cost <= limit
    assert len(done.left) == 6 - len(server.requests)
    assert all("max_cost_per_run" in item.reason or "budget" in item.reason for item in done.left.values())
    assert not done.failed
    assert done.spent.cost == sum((proposal.cost or Decimal() for proposal in done.filled.values()), Decimal())


async def test_no_call_at_all_fits(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, *siblings(3), settings=PRICE), server)
    done = await shop.run(max_cost_per_run="0.000001")
    assert not server.requests
    assert len(done.left) == 3
    unknown = await Shop(build(tmp_path / "unknown", *siblings(3)), server).run(max_cost_per_run="100")
    assert not server.requests
    assert all("price is unknown" in item.reason for item in unknown.left.values())


THREE = table(
    "three",
    {"a": None, "b": None, "c": None},
    sql="select x + 1 as a, x + 2 as b, x + 3 as c from a",
    of=["raw.a"],
    description="Three.",
)


def replying(finish: str = "stop", **texts: str) -> Fault:
    columns = [{"name": name, "description": text} for name, text in texts.items()]
    return says(json.dumps({"columns": columns}), finish=finish)


async def test_missing_columns_are_asked_for_once_more_alone(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, RAW, THREE), server)
    server.script(replying(a="Text of a."), replying(b="Text of b.", a="Another text of a.", z="Nobody asked."))
    done = await shop.run()
    assert [request.prompt.rpartition("Describe ")[2] for request in server.requests] == [
        "these 3 columns: a, b, c.",
        "these 2 columns: b, c.",
    ]
    assert {label: proposal.text for label, proposal in done.filled.items()} == {
        "three.a": "Text of a.",
        "three.b": "Text of b.",
    }
    assert done.left["three.c"].reason == "the reply holds no text for it"
    assert done.spent.calls == 2
    assert not done.failed


async def test_a_reply_that_is_cut_off_is_continued_while_it_brings_something(
    tmp_path: Path, server: FakeLLMServer
) -> None:
    shop = Shop(build(tmp_path, RAW, THREE), server)

    def cut(name: str) -> Fault:
        return says(
            f'{{"columns": [{{"name": "{name}", "description": "Text of {name}."}}, {{"name": "', finish="length"
        )

    server.script(cut("a"), cut("b"), cut("c"))
    done = await shop.run()
    assert len(server.requests) == 3
    assert len(done.filled) == 3
    shop = Shop(build(tmp_path / "b", RAW, THREE, settings={"language": "German"}), server)
    nothing = says('{"columns": [', finish="length")
    server.script(cut("a"), nothing, replying(b="It alone."), nothing)
    done = await shop.run()
    assert [one.prompt.split("Describe")[-1] for one in server.requests[-2:]] == [" the column b.", " the column c."]
    assert len(server.requests) == 7
    assert done.filled["three.b"].text == "It alone."
    assert set(done.left) == {"three.c"}


async def test_a_refusal_is_not_asked_again_and_not_kept(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, RAW, THREE), server)
    server.script(says("I will not describe this.", finish="refusal"))
    done = await shop.run()
    assert len(server.requests) == 1
    assert {item.reason for item in done.left.values()} == {"openai refused to answer"}
    assert len((await shop.run()).filled) == 3
    assert len(server.requests) == 2


@pytest.mark.parametrize("text", ["", "   \n", "I have no idea.", '{"columns": []}', "[]", '{"description": null}'])
async def test_a_reply_of_no_use_is_asked_for_once_more_and_not_kept(
    tmp_path: Path, server: FakeLLMServer, text: str
) -> None:
    shop = Shop(build(tmp_path, RAW, THREE), server)
    server.script(says(text), says(text))
    done = await shop.run()
    assert len(server.requests) == 2
    assert set(done.left) == {"three.a", "three.b", "three.c"}
    done = await shop.run()
    assert len(server.requests) == 3
    assert done.origins == {"generated": 3}


async def test_a_text_that_the_review_turns_down_leaves_its_gap_alone(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, RAW, THREE), server)
    server.script(replying(a="Text of a.", b="{{ env_var('OPENAI_API_KEY') }}", c="TODO"))
    done = await shop.run()
    assert len(server.requests) == 1
    assert set(done.filled) == {"three.a"}
    assert "Jinja" in done.left["three.b"].reason
    assert "placeholder" in done.left["three.c"].reason
    # The plan for what is left agrees with what a second run does.
    plan = await shop.plan()
    again = await shop.run()
    assert len(plan.calls) == len(server.requests) - 1 == again.spent.calls


async def test_a_second_run_takes_all_from_the_cache(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, *CHAIN, THREE), server)
    first = await shop.run(write=False)
    assert first.origins == {"generated": 7}
    asked = len(server.requests)
    second = await shop.run(write=False)
    assert len(server.requests) == asked
    assert second.origins == {"cached": 7}
    assert (second.spent.calls, second.spent.cached_calls, second.spent.cost) == (0, 5, 0)
    assert {k: p.text for k, p in first.filled.items()} == {k: p.text for k, p in second.filled.items()}
    offline = await shop.run(mode="offline", write=False)
    assert offline.origins == {"cached": 7}
    await shop.run(write=False, cache=False)
    assert len(server.requests) == 2 * asked


async def test_the_plan_takes_the_very_steps_of_the_run(tmp_path: Path, server: FakeLLMServer) -> None:
    """Whatever the cache holds: nothing, a part of it, a partial reply, or everything."""
    shop = Shop(build(tmp_path, *CHAIN, THREE), server)
    server.script(*[None] * 3, replying(a="Text of a."), replying(b="Text of b."))
    for _ in range(3):
        plan = await shop.plan()
        before = len(server.requests)
        done = await shop.run(write=False)
        calls = len(server.requests) - before
        assert calls in {len(plan.calls), len(plan.calls) + 1}  # one more for what a reply lacked
        assert done.spent.calls == calls
    assert calls == 0
    assert {item.gap.label for node in plan.nodes for item in node.unfilled} == set(done.left)
    assert {p.gap.label for node in plan.nodes for p in node.proposals} == set(done.filled)


@pytest.mark.parametrize("mode", ["inherit-only", "offline", "dry-run"])
async def test_modes_that_ask_nobody(tmp_path: Path, server: FakeLLMServer, mode: str) -> None:
    copy = table("copy", {"y": None}, sql="select x as y from a", of=["raw.a"], description="A copy.")
    shop = Shop(build(tmp_path, *CHAIN, copy), server)
    done = await shop.run(mode=mode, write=False)
    assert not server.requests
    assert done.origins == {"inherited": 1}
    assert set(done.left) == {"m1.x", "m2.x", "m3.x", "m4.x"}
    assert not done.failed
    assert all(item.reason for item in done.left.values())
    plan = await shop.plan(mode=mode)
    assert not plan.calls
    dry = await shop.run(write=False, dry_run=True)
    assert not server.requests
    assert dry.origins == {"inherited": 1}


async def test_closing_a_run_keeps_what_was_finished(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, *CHAIN), server)
    project = shop.open()
    server.script(None, None, hang())
    with Store.open() as store:
        caller = project.caller(store)
        async with aclosing(
            project.run(project.survey(Request(whole_project=True)).gaps, caller, write=True)
        ) as found:
            async for outcome in found:
                if outcome.unique_id.endswith("m2"):
                    break
        await caller.aclose()
    text = (shop.root / "models/_models.yml").read_text("utf-8")
    assert text.count("Made up for tests: x.") == 2
    paid_for = shop.asked[:2]
    await shop.run()
    assert paid_for == ["m1", "m2"]
    assert shop.asked.count("m1") == shop.asked.count("m2") == 1


async def test_a_cancelled_run_writes_what_it_has(tmp_path: Path, server: FakeLLMServer) -> None:
    shop = Shop(build(tmp_path, *CHAIN), server)
    stuck = threading.Event()

    def describe(_name: str) -> str:
        if len(server.requests) == 3:
            stuck.set()
            server.closing.wait(20)
        return "A text."

    server.describe = describe
    running = asyncio.create_task(shop.run())
    await asyncio.to_thread(stuck.wait, 20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (shop.root / "models/_models.yml").read_text("utf-8").count("A text.") == 2


async def test_a_run_cancelled_while_its_records_are_prepared_writes_what_it_has(
    tmp_path: Path, server: FakeLLMServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(build(tmp_path, *siblings(1)), server)

    def look_up(_recorder: Recorder, _texts: object) -> Iterator[None]:
        running.cancel()
        yield

    monkeypatch.setattr(Recorder, "look_up", look_up)
    running = asyncio.create_task(shop.run())
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "Made up for tests: x." in (shop.root / "models/_models.yml").read_text("utf-8")
    assert '"model.shop.s00"' in (shop.root / ".osmosis/provenance.jsonl").read_text("utf-8")


async def test_a_run_cancelled_between_two_files_writes_both(
    tmp_path: Path, server: FakeLLMServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ["models/a.yml", "models/b.yml"]
    tables = [derived(f"m{number}", "raw.a", file=file) for number, file in enumerate(files)]
    shop = Shop(build(tmp_path, RAW, *tables), server)
    both = threading.Barrier(2, timeout=20)

    def describe(name: str) -> str:
        both.wait()
        return f"Both are answered: {name}."

    edit = Drafts.fill
    edited: list[set[Path]] = []

    def fill(drafts: Drafts, texts: Any, order: Any) -> Any:
        edited.append({gap.file for gap, _ in texts})
        running.cancel()
        return edit(drafts, texts, order)

    server.describe = describe
    monkeypatch.setattr(Drafts, "fill", fill)
    running = asyncio.create_task(shop.run())
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [len(paths) for paths in edited] == [1, 1], "it was cancelled when one of the two was edited"
    for file in files:
        assert "Both are answered: x." in (shop.root / file).read_text("utf-8")


def test_a_killed_run_resumes(tmp_path: Path, server: FakeLLMServer) -> None:
    """The process is killed while its third call is under way: what was answered is not asked again."""
    root = build(tmp_path / "shop", *CHAIN)
    stuck = threading.Event()

    def describe(_name: str) -> str:
        if len(server.requests) == 3:
            stuck.set()
            server.closing.wait(2)
        return "A text."

    server.describe = describe
    command = [sys.executable, "-m", "osmosis_hooks.cli", "run", "--all", "--project-dir", str(root)]
    command += ["--llm-provider", "openai", "--llm-model", MODEL, "--llm-base-url", server.url + "/v1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert stuck.wait(30)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    again = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 1, again.stderr
    asked = [node_of(request) for request in server.requests]
    assert asked == ["m1", "m2", "m3", "m3", "m4"]
    assert (root / "models/_models.yml").read_text("utf-8").count("A text.") == 4


async def test_a_graph_with_a_cycle_loses_no_gap(tmp_path: Path, server: FakeLLMServer) -> None:
    one = table("one", {"x": None}, sql="select x + 1 as x from two", of=["two"], description="One.")
    two = table("two", {"x": None}, sql="select x + 1 as x from one", of=["one"], description="Two.")
    itself = table("itself", {"x": None}, sql="select x + 1 as x from itself", of=["itself"], description="Itself.")
    done = await Shop(build(tmp_path, one, two, itself), server).run()
    assert set(done.filled) == {"one.x", "two.x", "itself.x"}


async def test_a_node_that_the_manifest_does_not_know(tmp_path: Path, server: FakeLLMServer) -> None:
    root = build(tmp_path, *siblings(1))
    file = root / "models/_models.yml"
    file.write_text(file.read_text("utf-8") + "  - name: brand_new\n    columns:\n      - name: y\n", "utf-8")
    done = await Shop(root, server).run()
    assert set(done.filled) == {"s00.x"}
    assert set(done.left) == {"brand_new", "brand_new.y"}
    assert all("dbt parse" in item.reason for item in done.left.values())


async def test_a_file_that_cannot_be_written_leaves_its_gaps(tmp_path: Path, server: FakeLLMServer) -> None:
    root = build(tmp_path, RAW, derived("m1", "raw.a"), derived("m2", "m1", file="models/other.yml"))
    (root / "models/_models.yml").chmod(0o444)
    done = await Shop(root, server).run()
    assert set(done.filled) == {"m2.x"}
    assert "read-only" in done.left["m1.x"].reason
    assert "Made up" in (root / "models/other.yml").read_text("utf-8")


async def test_entries_of_two_kinds_begin_one_new_file(tmp_path: Path, server: FakeLLMServer) -> None:
    history = table("history", sql="select * from a", of=["raw.a"], kind="snapshot", file=None)
    raw = table("raw.a", {"x": "Counted by hand."}, description="Raw.", file="sources/raw.yml")
    model = table("m1", sql="select 1 as x", file=None)
    root = build(tmp_path, raw, model, history)
    done = await Shop(root, server).run()
    assert set(done.filled) == {"m1", "history"}
    text = (root / "models/_models.yml").read_text("utf-8")
    assert "models:\n  - name: m1\n" in text
    assert "snapshots:\n  - name: history\n" in text


async def test_a_call_waits_for_room_that_others_give_back(tmp_path: Path, server: FakeLLMServer) -> None:
    """Each call reserves far more than it costs: side by side they fit only one after the other, and all of them do."""
    many = [table(f"t{at}", {"x": None}, sql="select 1 as x", description="It.") for at in range(6)]
    prices = {"pricing": {MODEL: {"input": 1, "output": 10}}, "max_cost_per_run": 0.035}
    shop = Shop(build(tmp_path, *many, settings=prices), server)
    done = await shop.run()
    assert len(done.filled) == 6
    assert done.spent.cost is not None
    assert done.spent.cost < Decimal("0.035")
    assert server.most_at_once() < 6
