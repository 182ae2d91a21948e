"""What comes of each fault, for each provider: see ``fault_table.py``."""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path

import pytest

import servers
from clock import Clock
from fault_table import HEAD, KEY, PAGE, PROVIDERS, TABLE, TIMEOUT, Row, happen, let_time_pass
from osmosis_synthesize import errors
from osmosis_synthesize.providers.base import Message, Reply, Request
from osmosis_synthesize.providers.registry import create
from osmosis_synthesize.secret import Secret
from servers import FakeLLMServer, Fault, config_for

SECRET_SQL = "select margin from the_secret_board_meeting where salary > 1"
ASK = Request((Message("user", f"Describe these 2 columns: a, b.\n{SECRET_SQL}"),), max_tokens=100)


async def outcome(name: str, row: Row) -> tuple[errors.ProviderError | Reply, FakeLLMServer]:
    with FakeLLMServer() as server:
        server.always(row.fault())
        provider = create(config_for(server, name, timeout=TIMEOUT))
        clock = Clock()
        call = asyncio.create_task(provider.complete(ASK))
        if row.ends_by_time:
            await let_time_pass(call, server, clock)
        try:
            return await call, server
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
        server.script(servers.hang())
        provider = create(config_for(server, name, timeout=TIMEOUT))
        clock = Clock()
        call = asyncio.create_task(provider.complete(ASK))
        await asyncio.to_thread(server.first_request.wait)
        clock.advance(TIMEOUT)
        reply = await call
        await provider.aclose()

    assert '"name": "b"' in reply.text
    assert len(server.requests) == 2


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


# ------------------------------------------------------------------------------------------------------------ the page


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("fault", TABLE)
async def test_the_page_says_what_happens(name: str, fault: str, tmp_path: Path) -> None:
    row = TABLE[fault]

    happened = await happen(name, row, tmp_path)

    # Ollama has no mark for a refusal: its words say so, and it is asked once more.
    asked_again = row.asked_again or (name, fault) == ("ollama", "refusal")
    assert happened.requests == row.requests + asked_again
    assert row.says in happened.sees
    assert happened.cached == bool(happened.filled)
    part = PAGE.read_text("utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert happened.line(fault) in part.splitlines(), "write it anew: python tests/fault_table.py"


def test_the_page_has_each_fault_of_each_provider_and_nothing_else() -> None:
    page = PAGE.read_text("utf-8")
    parts = {part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}

    assert page.startswith(HEAD)
    assert list(parts) == list(PROVIDERS)
    for part in parts.values():
        rows = [line.split(" | ")[0].removeprefix("| ") for line in part.splitlines() if line.startswith("| ")]
        assert rows == ["fault", "---", *TABLE]
