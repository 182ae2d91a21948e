"""The fault table: what the user sees, and how often a server is asked, for each provider and each fault.

Run as a script it prints the table as ``docs/providers.md`` has it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import servers
from osmosis_synthesize import errors
from osmosis_synthesize.providers.base import Message, Reply, Request
from osmosis_synthesize.providers.registry import create
from osmosis_synthesize.secret import Secret
from servers import FakeLLMServer, Fault, config_for

PROVIDERS = ("openai", "azure", "anthropic", "ollama", "openai-compatible")
KEY = "tests0123456789abc"
SECRET_SQL = "select margin from the_secret_board_meeting where salary > 1"
ASK = Request((Message("user", f"Describe these 2 columns: a, b.\n{SECRET_SQL}"),), max_tokens=100)
TRIES = 3


@dataclass(frozen=True)
class Row:
    """One fault that does not go away, and what comes of it after ``max_retries=2``."""

    fault: Callable[[], Fault]
    error: type[errors.ProviderError] | None
    """``None``: it is no fault to the provider, its reply is for the engine to judge."""
    requests: int
    says: str = ""
    config: dict[str, Any] | None = None


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
        servers.hang, errors.ProviderTimeout, 2, "gave no whole answer within 0.3 s", {"timeout": 0.3}
    ),
    "slow drip": Row(servers.drip, errors.ProviderTimeout, 2, "gave no whole answer within 0.3 s", {"timeout": 0.3}),
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
    "reply that was cut off": Row(lambda: servers.says('{"description": "One', finish="length"), None, 1),
    "reply that is no JSON": Row(lambda: servers.says("Sure! Order id is the key."), None, 1),
    "refusal": Row(lambda: servers.says("I can't help with that.", finish="refusal"), None, 1),
    "empty reply": Row(lambda: servers.says(""), None, 1),
}


_loaded: set[str] = set()


async def loaded(name: str) -> None:
    """Load the SDK of a provider, which takes long the first time and would eat up a short time limit."""
    if name in _loaded:
        return
    _loaded.add(name)
    with FakeLLMServer() as server:
        provider = create(config_for(server, name))
        await provider.complete(ASK)
        await provider.aclose()


async def outcome(name: str, row: Row) -> tuple[errors.ProviderError | Reply, FakeLLMServer]:
    with FakeLLMServer() as server:
        await loaded(name)
        server.always(row.fault())
        provider = create(config_for(server, name, **row.config or {}))
        try:
            return await provider.complete(ASK), server
        except errors.ProviderError as error:
            return error, server
        finally:
            await provider.aclose()


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
async def test_each_fault_has_its_error_and_number_of_requests(
    name: str, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    result, server = await outcome(name, row)

    assert len(server.requests) == row.requests
    if row.error is None:
        assert isinstance(result, Reply)
    else:
        assert type(result) is row.error
        assert row.says in str(result)
        assert result.hint
    everything = f"{result!s} {result!r} {result.__cause__ if row.error else ''} {caplog.text}"
    assert KEY not in everything
    assert "the_secret_board_meeting" not in caplog.text
    assert row.error is None or "the_secret_board_meeting" not in everything


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    "fault",
    [
        servers.rate_limited(),
        servers.rate_limited(0.02),
        servers.rate_limited(milliseconds=20),
        servers.rate_limited("Wed, 21 Oct 2015 07:28:00 GMT"),
        servers.failing(503),
        servers.reset_mid_body(),
        servers.raw("{"),
    ],
    ids=["429", "429 seconds", "429 milliseconds", "429 date", "503", "reset", "no JSON"],
)
async def test_a_fault_that_goes_away_is_not_seen(name: str, fault: Fault) -> None:
    with FakeLLMServer() as server:
        server.script(fault)
        provider = create(config_for(server, name))
        reply = await provider.complete(ASK)
        await provider.aclose()

    assert '"name": "b"' in reply.text
    assert len(server.requests) == 2
    assert (server.answered, reply.usage.input_tokens) == (1, server.input_tokens)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_try_that_hangs_is_followed_by_a_whole_one(name: str) -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, name, timeout=1.0))
        await provider.complete(ASK)  # the SDK is loaded now
        server.script(servers.hang())
        start = time.monotonic()
        await provider.complete(ASK)
        await provider.aclose()

    assert 1.0 <= time.monotonic() - start < 1.9
    assert len(server.requests) == 3


@pytest.mark.parametrize("name", PROVIDERS)
async def test_no_server_at_all_is_a_connection_error(name: str) -> None:
    with FakeLLMServer() as server:
        pass
    provider = create(config_for(server, name, max_retries=0))
    with pytest.raises(errors.ProviderConnectionError, match="ConnectError"):
        await provider.complete(ASK)
    await provider.aclose()


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_redirect_is_not_followed_and_carries_no_key_anywhere(name: str) -> None:
    with FakeLLMServer() as other, FakeLLMServer() as server:
        server.always(servers.redirect(f"http://localhost:{other.port}/v1/chat/completions"))
        provider = create(config_for(server, name))
        with pytest.raises(errors.ProviderSetupError, match="redirects to localhost"):
            await provider.complete(ASK)
        await provider.aclose()

    assert other.requests == []


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_server_that_repeats_prompt_and_key_does_not_bring_them_into_the_error(name: str) -> None:
    with FakeLLMServer() as server:
        server.always(servers.refusing(f"Cannot parse {SECRET_SQL!r} with key {KEY}"))
        provider = create(config_for(server, name))
        with pytest.raises(errors.ProviderRejected) as caught:
            await provider.complete(ASK)
        server.always(servers.refusing(f"Key {KEY} is odd.\n" + "x" * 10_000))
        with pytest.raises(errors.ProviderRejected) as long:
            await provider.complete(ASK)
        await provider.aclose()

    assert "repeat the prompt" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert KEY not in str(long.value)
    assert "\n" not in str(long.value)
    assert len(str(long.value)) < 600
    assert "margin" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("key", ["", "clé-secrète", "two words", "line\nbreak", "“quoted”"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(name: str, key: str) -> None:
    with FakeLLMServer() as server, pytest.raises(errors.ProviderSetupError, match="The key from A_TEST") as caught:
        create(config_for(server, name, api_key=Secret(key, origin="A_TEST")))

    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_prompt_that_is_no_unicode_text_is_sent_all_the_same(name: str) -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, name))
        await provider.complete(Request((Message("user", "Describe the column \ud800x."),)))
        await provider.aclose()

    assert "column ?x." in server.requests[0].prompt


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_call_that_is_cancelled_stops_at_once(name: str) -> None:
    with FakeLLMServer() as server:
        server.always(servers.hang())
        provider = create(config_for(server, name))
        call = asyncio.create_task(provider.complete(ASK))
        await asyncio.to_thread(server.first_request.wait)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await provider.aclose()

    assert len(server.requests) == 1


@pytest.mark.parametrize("name", PROVIDERS)
async def test_sdk_loggers_tell_nothing_even_when_the_environment_asks_them_to(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for logger in ("openai", "anthropic", "httpx2", "httpcore2"):
        logging.getLogger(logger).setLevel(logging.DEBUG)  # what OPENAI_LOG=debug and its like do
    caplog.set_level(logging.DEBUG)
    with FakeLLMServer() as server:
        provider = create(config_for(server, name))
        await provider.complete(ASK)
        await provider.aclose()

    assert not [record for record in caplog.records if record.name.partition(".")[0] != "asyncio"]


def render() -> str:
    lines = ["| fault that does not go away | requests of at most 3 | what comes of it |", "| --- | --- | --- |"]
    for fault, row in TABLE.items():
        result = f"`{row.error.__name__}`" if row.error else "a reply; what is complete in it is kept"
        lines.append(f"| {fault} | {row.requests} | {result} |")
    return "\n".join(lines)


def test_the_documentation_has_this_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "providers.md"
    assert render() in page.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(render())
