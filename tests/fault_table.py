"""The fault table: for each provider and each fault what the user sees, how often a server is asked, and what is kept.

``python tests/fault_table.py`` makes each fault happen to each provider, in a run of the engine on a small project, and
writes what came of it to ``docs/faults.md``.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import servers
from clock import Clock
from osmosis_synthesize import errors
from osmosis_synthesize.cache import Cache
from osmosis_synthesize.calling import make_caller
from osmosis_synthesize.engine.model import NodeOutcome
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings
from osmosis_synthesize.store import Store
from servers import FakeLLMServer, Fault, config_for
from small_projects import build, table

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
PROVIDERS = ("openai", "azure", "anthropic", "ollama", "openai-compatible")
KEY = "tests0123456789abc"
TIMEOUT = 60.0
TRIES = 3
"""With ``max_retries=2``."""


@dataclass(frozen=True)
class Row:
    """One fault that does not go away, and what comes of one call after ``max_retries=2``."""

    fault: Callable[[], Fault]
    error: type[errors.ProviderError] | None
    """``None``: it is no fault to the provider, its reply is for the engine to judge."""
    requests: int
    says: str = ""
    ends_by_time: bool = False
    asked_again: bool = False
    """Whether the engine asks once more for what a reply lacks."""


CUT_OFF = '{"columns": [{"name": "a", "description": "Number of the order."}, {"name": "b", "descr'
WRONG_COLUMNS = """{"columns": [
    {"name": "a", "description": "Number of the order."}, {"name": "z", "description": "Nobody asked for this."}
]}"""

TABLE: dict[str, Row] = {
    "429 without Retry-After": Row(servers.rate_limited, errors.ProviderRateLimited, TRIES, "too fast (429)"),
    "429 with Retry-After": Row(
        lambda: servers.rate_limited(0.02), errors.ProviderRateLimited, TRIES, "asks to wait 0.02 s"
    ),
    "429 with a Retry-After of an hour": Row(
        lambda: servers.rate_limited(3600), errors.ProviderRateLimited, 1, "asks to wait 3600 s"
    ),
    "quota used up": Row(servers.out_of_quota, errors.ProviderQuotaError, 1, "no credit left"),
    "wrong key": Row(
        lambda: servers.wrong_key(KEY), errors.ProviderAuthError, 1, "refused the key from A_TEST (401)"
    ),
    "408": Row(lambda: servers.failing(408), errors.ProviderServerError, TRIES, "failed (408)"),
    "409": Row(lambda: servers.failing(409), errors.ProviderServerError, TRIES, "failed (409)"),
    "500": Row(servers.failing, errors.ProviderServerError, TRIES, "failed (500)"),
    "503": Row(lambda: servers.failing(503), errors.ProviderServerError, TRIES, "failed (503)"),
    "no answer in time": Row(
        servers.hang, errors.ProviderTimeout, 2, "gave no whole answer within 60 s", ends_by_time=True
    ),
    "slow drip": Row(
        lambda: servers.drip(0.01),
        errors.ProviderTimeout,
        2,
        "gave no whole answer within 60 s",
        ends_by_time=True,
    ),
    "connection reset in the body": Row(servers.reset_mid_body, errors.ProviderConnectionError, TRIES, "or broke"),
    "body shorter than announced": Row(servers.cut_off_body, errors.ProviderConnectionError, TRIES, "or broke"),
    "answer that is no JSON": Row(lambda: servers.raw('{"cho'), errors.ProviderServerError, TRIES, "is no "),
    "answer that is other JSON": Row(lambda: servers.raw('{"ok": 1}'), errors.ProviderServerError, TRIES, "is no "),
    "a web page": Row(
        lambda: servers.raw("<html>Welcome</html>", content_type="text/html"),
        errors.ProviderRejected,
        1,
        "Check base_url",
    ),
    "redirect to another host": Row(
        lambda: servers.redirect("https://elsewhere.example/v1"),
        errors.ProviderSetupError,
        1,
        "redirects to elsewhere.example (307)",
    ),
    "unknown model": Row(
        lambda: servers.refusing("The model does not exist", status=404),
        errors.ProviderRejected,
        1,
        "(404): The model",
    ),
    "prompt too long": Row(
        lambda: servers.refusing(
            "This model's maximum context length is 8192 tokens", code="context_length_exceeded"
        ),
        errors.ProviderRejected,
        1,
        "prompt is too long",
    ),
    "reply whose JSON is cut off": Row(lambda: servers.says(CUT_OFF, finish="length"), None, 1, asked_again=True),
    "reply whose JSON is invalid": Row(lambda: servers.says("Sure! Order id is the key."), None, 1, asked_again=True),
    "reply with wrong columns": Row(lambda: servers.says(WRONG_COLUMNS), None, 1, asked_again=True),
    "refusal": Row(lambda: servers.says("I can't help with that.", finish="refusal"), None, 1),
    "empty reply": Row(lambda: servers.says(""), None, 1, asked_again=True),
}


@dataclass(frozen=True)
class Happened:
    """What came of a run that asks for the columns ``a`` and ``b`` of one model, in one call."""

    requests: int
    sees: str
    """Why a gap stays one."""
    filled: tuple[str, ...]
    cached: int
    """Replies in the cache afterwards."""
    ledger: str
    """The ledger's rows by their outcome."""

    def line(self, fault: str) -> str:
        filled = ", ".join(f"`{name}`" for name in self.filled) or "–"
        sees = self.sees.replace("|", "\\|")
        return f"| {fault} | {sees} | {self.requests} | {filled} | {self.cached} | {self.ledger} |"


async def let_time_pass(call: asyncio.Task[object], server: FakeLLMServer, clock: Clock) -> None:
    """Let the time limit of each try pass, once its request has come, until the call ends."""
    seen = 0
    while not call.done():
        if len(server.requests) == seen:
            await asyncio.sleep(0.005)
            continue
        seen += 1
        for _ in range(4):
            if server.dripping:  # bytes keep coming meanwhile
                dripped = server.dripped
                await asyncio.to_thread(server.wait_until, lambda dripped=dripped: server.dripped > dripped)
            clock.advance(TIMEOUT / 4)


async def happen(provider: str, row: Row, folder: Path) -> Happened:
    """Make a fault happen in a run on a small project in ``folder``."""
    root = build(folder / "shop", table("orders", {"a": None, "b": None}, description="One row per order."))
    with FakeLLMServer() as server, Store.open(folder / "cache") as store:
        server.always(row.fault())
        settings = load_settings(root, overrides={"provider": provider, "model": "a-model"}, environ={})
        # The address is in the configuration only; the run's key is that of the tests.
        config = config_for(server, provider, model="a-model", timeout=TIMEOUT)
        caller = make_caller(settings, store, config=config)
        project = Project(root, settings)

        async def run() -> list[NodeOutcome]:
            gaps = project.survey(Request(whole_project=True)).gaps
            try:
                return [outcome async for outcome in project.run(gaps, caller, write=True)]
            finally:
                await caller.aclose()

        clock = Clock()
        running = asyncio.create_task(run())
        if row.ends_by_time:
            await let_time_pass(running, server, clock)
        [outcome] = await running
        rows = store.read(
            lambda connection: connection.execute(
                "SELECT outcome, count(*), sum(cost IS NULL) FROM ledger GROUP BY outcome"
            ).fetchall()
        )
        return Happened(
            requests=len(server.requests),
            sees=" ".join(dict.fromkeys(item.reason for item in outcome.unfilled)),
            filled=tuple(proposal.gap.column or "" for proposal in outcome.proposals),
            cached=Cache(store).stats().replies,
            ledger=", ".join(
                f"{count} {what}{', perhaps paid' if what == 'failed' and unknown else ''}"
                for what, count, unknown in rows
            ),
        )


HEAD = """\
# When a provider fails

What comes of each fault, with each provider, if the fault does not go away. The request is for the columns `a` and `b` of
one model, with `max_retries: 2`. Made by `python tests/fault_table.py` from runs against a server that fails like this,
and compared with them by the tests.

- *What the user sees* follows the name of the column and "stays a gap".
- *Requests* are all that were sent: a retry after what may pass, none after what cannot; and one more, alone, for what
  a reply lacks.
- *Filled* are the columns that got a description all the same.
- *Cache* is how many replies were kept, so that they are never asked for again. A reply of which nothing could be used
  is not kept.
- *Ledger* is what was entered. A call that may have been paid for although no answer came counts against the budget.
"""


def section(provider: str, lines: list[str]) -> str:
    """One provider's part of the page."""
    head = (
        "| fault | what the user sees | requests | filled | cache | ledger |\n| --- | --- | --- | --- | --- | --- |\n"
    )
    return f"\n## {provider}\n\n{head}" + "".join(f"{line}\n" for line in lines)


def main() -> None:
    page = HEAD
    for provider in PROVIDERS:
        lines: list[str] = []
        for fault, row in TABLE.items():
            with tempfile.TemporaryDirectory() as folder:
                lines.append(asyncio.run(happen(provider, row, Path(folder))).line(fault))
        page += section(provider, lines)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
