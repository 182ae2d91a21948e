from __future__ import annotations

import json
from typing import Any

import pytest

import servers
from osmosis_synthesize import errors
from osmosis_synthesize.providers.base import Message, ProviderConfig, Request
from osmosis_synthesize.providers.ollama import SMALLEST_CONTEXT, context_for
from osmosis_synthesize.providers.registry import create
from servers import FakeLLMServer, config_for

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"description": {"type": "string"}}}
ASK = Request((Message("user", "Describe the model t itself."),), schema=SCHEMA, max_tokens=500, temperature=0.2)


async def test_the_request_is_what_the_protocol_wants_and_the_reply_is_read() -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "ollama", api_key=None))
        reply = await provider.complete(ASK)
        await provider.aclose()

    sent = server.requests[0]
    assert (sent.path, sent.headers.get("authorization")) == ("/api/chat", None)
    assert sent.body == {
        "model": "ollama-model",
        "messages": [{"role": "user", "content": "Describe the model t itself."}],
        "stream": False,
        "format": SCHEMA,
        "options": {"num_ctx": SMALLEST_CONTEXT, "temperature": 0.2, "num_predict": 500},
    }
    assert list(json.loads(reply.text)) == ["description"]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (server.input_tokens, server.output_tokens)
    assert provider.local


@pytest.mark.parametrize(
    ("characters", "max_tokens", "expected"),
    [("x" * 100, None, 4096), ("x" * 6144, 2048, 4096), ("x" * 6147, 2048, 8192), ("x" * 90_000, 100, 32_768),
     ("語" * 4000, 100, 8192)],
)  # fmt: skip
def test_the_context_holds_prompt_and_reply_in_few_sizes(
    characters: str, max_tokens: int | None, expected: int
) -> None:
    assert context_for(Request((Message("user", characters),), max_tokens=max_tokens)) == expected


async def test_an_old_ollama_that_knows_no_schema_gets_the_json_mode() -> None:
    with FakeLLMServer() as server:
        server.dislike("properties", 'invalid format: expected "json" or a JSON schema')
        # The schema in the prompt's words is escaped, so that the server finds it in `format` only.
        provider = create(config_for(server, "ollama", max_retries=0))
        await provider.complete(ASK)
        await provider.aclose()

    assert [request.body["format"] for request in server.requests] == [SCHEMA, "json"]


async def test_a_model_that_is_not_there_is_said_with_the_command_that_gets_it() -> None:
    with FakeLLMServer() as server:
        server.always(servers.refusing("model 'ollama-model' not found", status=404))
        provider = create(config_for(server, "ollama"))
        with pytest.raises(errors.ProviderRejected, match=r"not found.*ollama pull ollama-model"):
            await provider.complete(ASK)
        await provider.aclose()


async def test_a_reply_that_was_cut_off_says_so() -> None:
    with FakeLLMServer() as server:
        server.script(servers.says("{", finish="length"))
        provider = create(config_for(server, "ollama"))
        reply = await provider.complete(ASK)
        await provider.aclose()

    assert (reply.text, reply.finish) == ("{", "length")


async def test_a_key_is_sent_where_there_is_one() -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "ollama"))
        await provider.complete(ASK)
        await provider.aclose()

    assert server.requests[0].headers["authorization"] == "Bearer tests0123456789abc"


def test_it_is_local_where_its_server_is() -> None:
    assert create(ProviderConfig("ollama", "m")).local
    assert not create(ProviderConfig("ollama", "m", base_url="http://gpu.example:11434")).local
