"""Replies that are heard while they come, from real servers that send them in pieces."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

import servers
from osmosis_synthesize import errors
from osmosis_synthesize.providers.base import Message, Reply, Request, Streaming
from osmosis_synthesize.providers.registry import create
from servers import FakeLLMServer, config_for

NAMES = ["openai", "azure", "openai-compatible", "anthropic", "ollama"]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"description": {"type": "string"}}}
ASK = Request((Message("system", "You describe tables.", stable=True), Message("user", "One.")), schema=SCHEMA)
SAID = "One row\u2028per \u0085 rental \U0001f6b2."


class Ear:
    """Hears, and has a server wait until something was heard."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.heard = threading.Event()

    def __call__(self, piece: str) -> None:
        self.pieces.append(piece)
        self.heard.set()


async def asked(server: FakeLLMServer, name: str, ear: Ear | None, **changes: Any) -> Reply:
    provider = create(config_for(server, name, **changes))
    try:
        if ear is None:
            return await provider.complete(ASK)
        assert isinstance(provider, Streaming)
        return await provider.stream(ASK, ear)
    finally:
        await provider.aclose()


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_heard_is_the_reply_and_the_reply_is_what_would_have_come_at_once(name: str) -> None:
    replies: list[Reply] = []
    ear = Ear()
    for listener in (None, ear):
        with FakeLLMServer() as server:
            server.describe = lambda _: SAID
            replies.append(await asked(server, name, listener))
            (request,) = server.requests
            assert bool(request.body.get("stream")) == (listener is not None)

    at_once, streamed = replies
    assert streamed == at_once
    assert streamed.usage.input_tokens > 0
    assert streamed.usage.output_tokens > 0
    assert "".join(ear.pieces) == streamed.text == json.dumps({"description": SAID}, ensure_ascii=False)
    assert len(ear.pieces) > 3


@pytest.mark.parametrize("name", NAMES)
async def test_pieces_are_heard_before_the_last_one_is_sent(name: str) -> None:
    ear = Ear()
    with FakeLLMServer() as server:
        server.before_piece = lambda number: None if number < 6 else ear.heard.wait(60) or pytest.fail("unheard")
        await asked(server, name, ear)


@pytest.mark.parametrize("finish", ["length", "refusal"])
@pytest.mark.parametrize("name", ["openai", "anthropic"])
async def test_how_a_reply_ended_is_known(name: str, finish: str) -> None:
    with FakeLLMServer() as server:
        server.always(servers.says("Half a te", finish=finish))
        reply = await asked(server, name, Ear())

    assert (reply.text, reply.finish) == ("Half a te", finish)


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_that_refuses_to_stream_answers_at_once_and_is_not_bothered_again(name: str) -> None:
    ear = Ear()
    with FakeLLMServer() as server:
        server.script(servers.refusing("Your organization must be verified to stream this model."))
        replies = [await asked(server, name, ear, model="unverified") for _ in range(2)]

    assert [bool(request.body.get("stream")) for request in server.requests] == [True, False, False]
    assert [reply.text for reply in replies] == [replies[0].text] * 2
    assert ear.pieces == []


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_that_knows_nothing_of_streams_is_heard_too(name: str) -> None:
    with FakeLLMServer() as server:
        at_once = await asked(server, name, None)
        body = json.dumps(servers._reply(*plain(name), server)[0])
    ear = Ear()
    with FakeLLMServer() as server:
        server.always(servers.raw(body))
        reply = await asked(server, name, ear)

    assert reply.text == at_once.text
    assert ear.pieces == []


def plain(name: str) -> tuple[Any, Any, str, str]:
    protocol = {"anthropic": "anthropic", "ollama": "ollama"}.get(name, "openai")
    recorded = servers.Recorded("", {}, {"messages": []}, 0.0)
    return protocol, recorded, json.dumps({"description": servers.made_up("")}), "stop"


@pytest.mark.parametrize("behaviour", ["cut off", "reset"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_stream_that_breaks_is_an_error_and_is_not_begun_again(name: str, behaviour: Any) -> None:
    ear = Ear()
    with FakeLLMServer() as server:
        server.always(servers.Fault(behaviour=behaviour))
        with pytest.raises(errors.ProviderConnectionError):
            await asked(server, name, ear, max_retries=3)

    assert ear.pieces
    assert len(server.requests) == 1, "what was heard may have been paid for"


@pytest.mark.parametrize("name", NAMES)
async def test_what_fails_before_anything_is_heard_is_tried_again(name: str) -> None:
    ear = Ear()
    with FakeLLMServer() as server:
        server.script(servers.failing(503), servers.rate_limited())
        reply = await asked(server, name, ear)

    assert "".join(ear.pieces) == reply.text
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("openai", 'data: {"error": {"message": "The server had an error", "type": "server_error"}}\n\n'),
        (
            "anthropic",
            'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}\n\n',
        ),
        ("ollama", '{"error": "the runner has ended"}\n'),
    ],
)
async def test_an_error_in_the_middle_of_a_stream_is_one(name: str, event: str) -> None:
    kind = "application/x-ndjson" if name == "ollama" else "text/event-stream"
    with FakeLLMServer() as server:
        server.always(servers.raw(event, content_type=kind))
        with pytest.raises(errors.ProviderServerError, match="failed \\(500\\)"):
            await asked(server, name, Ear(), max_retries=0)


@pytest.mark.parametrize("name", NAMES)
async def test_giving_up_closes_the_connection(name: str) -> None:
    ear = Ear()
    with FakeLLMServer() as server:
        server.before_piece = lambda number: None if number < 6 else server.closing.wait(60)
        task = asyncio.create_task(asked(server, name, ear))
        assert await asyncio.to_thread(ear.heard.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.wait_for_hang_up)


async def test_a_stream_that_never_ends_runs_out_of_time() -> None:
    ear = Ear()
    with FakeLLMServer() as server:
        server.before_piece = lambda number: None if number < 6 else server.closing.wait(60)
        with pytest.raises(errors.ProviderTimeout):
            await asked(server, "openai", ear, timeout=1.0)

    assert len(server.requests) == 1
