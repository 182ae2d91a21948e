"""`run --batch`: calls handed in, collected and written, depth by depth, against servers that speak the batch APIs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batch_servers import BatchServer
from osmosis_hooks.cli import main
from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.store import Store, default_folder
from projects import copy_demo, strip_descriptions, texts
from servers import FakeLLMServer

Run = Callable[..., tuple[int, str, str]]

MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-sonnet-4-6"}
LIMITS = {"openai": "0.004", "anthropic": "0.05"}
"""US dollars for a part of the first batch."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-made-up")
    with BatchServer() as server:
        yield server


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = copy_demo(tmp_path / "demo")
    strip_descriptions(root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture(params=["openai", "anthropic"])
def run(request: pytest.FixtureRequest, server: BatchServer, capsys: pytest.CaptureFixture[str]) -> Run:
    provider = request.param
    chosen = ["--llm-provider", provider, "--llm-model", MODELS[provider], "--llm-base-url", f"{server.url}/v1"]

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["run", "--all", *chosen, *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    run.provider = provider  # type: ignore[attr-defined]
    return run


def documents(run: Run, server: BatchServer) -> int:
    """Submit and collect until nothing is left to ask; says how many batches it took."""
    for batches in range(12):
        _, out, _ = run("--batch", "submit")
        if "Nothing to hand in" in out:
            return batches
        server.finish()
        assert run("--batch", "collect")[0] == 1
    raise AssertionError("it does not end")


def test_a_project_is_described_depth_by_depth_as_a_plain_run_would(
    tmp_path: Path, demo: Path, run: Run, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = documents(run, server)
    assert 2 <= batches <= 6, "one a depth of the graph"
    assert main(["check", "--all"]) == 0
    keys = [request["custom_id"] for request in server.requests]
    assert len(keys) == len(set(keys)), "nothing is asked twice"
    assert not any("made-up" not in key for key in server.keys)

    monkeypatch.setenv("OSMOSIS_CACHE_DIR", str(tmp_path / "other"))
    plain = copy_demo(tmp_path / "plain")
    strip_descriptions(plain)
    provider = run.provider  # type: ignore[attr-defined]
    with FakeLLMServer() as direct:
        base = f"{direct.url}/v1"
        words = ["--llm-provider", provider, "--llm-model", MODELS[provider], "--llm-base-url", base]
        assert main(["run", "--all", "--project-dir", str(plain), *words]) == 1
        assert len(direct.requests) == len(keys)
    assert texts(demo) == texts(plain)


def test_it_costs_half(demo: Path, run: Run, server: BatchServer) -> None:
    _, out, _ = run("--batch", "submit")
    expected = re.search(r"about \$([\d.]+)\.", out)
    assert expected is not None, out
    server.finish()
    run("--batch", "collect")
    with Store.open() as store:
        (spend,) = Ledger(store).spend()
        from osmosis_synthesize.cost.prices import Prices

        price = Prices(store).price_of(*spend.label.split())
    assert price is not None
    assert spend.calls == len(server.requests)
    assert spend.cost > 0
    assert spend.cost == pytest.approx(price.cost(spend.usage) / 2)


def test_status_says_how_far_it_is_and_collect_waits(demo: Path, run: Run, server: BatchServer) -> None:
    before = texts(demo)
    assert run("--batch", "status")[1] == "No batch is under way.\n"
    code, out, _ = run("--batch", "submit")
    assert code == 0
    assert re.match(r"\d+ requests handed in to \w+ \S+ as (msg)?batch_0, about \$", out)
    asked = len(server.requests)
    assert f"in_progress, 0 of {asked} requests answered" in run("--batch", "status")[1]
    again = run("--batch", "submit")[1]
    assert "Nothing to hand in" in again
    assert f"{asked} requests under way" in again
    assert len(server.requests) == asked
    code, _, err = run("--batch", "collect")
    assert "is not done: in_progress" in err
    server.finish()
    assert run("--batch", "collect")[0] == 1
    assert texts(demo) != before
    assert run("--batch", "status")[1] == "No batch is under way.\n"


def test_a_request_without_a_reply_stays_a_gap_and_is_asked_again(demo: Path, run: Run, server: BatchServer) -> None:
    run("--batch", "submit")
    lost = server.requests[0]["custom_id"]
    server.refused.add(lost)
    server.finish()
    _, _, err = run("--batch", "collect")
    assert "The prompt is too long." in err
    server.refused.clear()
    run("--batch", "submit")
    assert [request["custom_id"] for request in server.requests].count(lost) == 2


def test_what_was_collected_is_not_lost_nor_counted_twice_when_the_file_comes_back(
    demo: Path, run: Run, server: BatchServer
) -> None:
    run("--batch", "submit")
    (kept,) = (default_folder() / "batches").glob("*.json")
    text = kept.read_text("utf-8")
    server.finish()
    run("--batch", "collect")
    after = texts(demo)
    kept.write_text(text, "utf-8")  # as if the process had died before it removed the file
    assert run("--batch", "collect")[0] == 0
    assert texts(demo) == after
    with Store.open() as store:
        assert sum(spend.calls for spend in Ledger(store).spend()) == len(server.batches[next(iter(server.batches))])


def test_a_batch_that_is_refused_leaves_nothing_behind(demo: Path, run: Run, server: BatchServer) -> None:
    server.refuse_everything = "Batches are not enabled for you."
    code, _, err = run("--batch", "submit")
    assert code == 3
    assert "Batches are not enabled for you" in err
    assert not list((default_folder() / "batches").glob("*.json"))


def test_the_budget_holds_for_all_batches_under_way(
    demo: Path, run: Run, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, out, _ = run("--batch", "submit", "--llm-max-cost", LIMITS[run.provider])
    some = len(server.requests)
    assert some > 0
    assert "More was left out" in out
    monkeypatch.setenv("OSMOSIS_LLM_MAX_COST_PER_DAY", LIMITS[run.provider])
    _, out, err = run("--batch", "submit")
    assert len(server.requests) == some
    assert "day" in out + err


def test_another_model_or_provider_is_no_reason_to_lose_a_batch(demo: Path, run: Run, server: BatchServer) -> None:
    run("--batch", "submit")
    server.finish()
    code, _, err = run("--batch", "collect", "--llm-model", "another")
    assert code == 2
    assert "--llm-model" in err
    assert run("--batch", "collect")[0] == 1


def test_a_batch_that_was_half_handed_in_is_named(demo: Path, run: Run, server: BatchServer) -> None:
    run("--batch", "submit")
    (kept,) = (default_folder() / "batches").glob("*.json")
    data = json.loads(kept.read_text("utf-8"))
    kept.write_text(json.dumps(data | {"name": None}), "utf-8")
    _, out, _ = run("--batch", "status")
    assert str(kept) in out
    assert "Look with the provider" in out
    kept.write_text("{", "utf-8")
    code, _, err = run("--batch", "status")
    assert code == 2
    assert "mend it, or remove it" in err


@pytest.mark.usefixtures("demo")
def test_a_provider_without_batches_says_which_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--llm-provider", "ollama", "--llm-model", "x", "--batch", "submit"]
    assert main(["run", "--all", *words]) == 2
    assert "openai and anthropic" in capsys.readouterr().err
