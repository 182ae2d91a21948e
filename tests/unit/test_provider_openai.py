from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

import servers
from osmosis_synthesize import errors
from osmosis_synthesize.providers.base import Message, Request
from osmosis_synthesize.providers.chat import read_completion
from osmosis_synthesize.providers.registry import create
from servers import FakeLLMServer, config_for

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "description": {"type": "string"},
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string", "enum": ["a", "b"]}, "description": {"type": "string"}},
                "required": ["name", "description"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["description", "columns"],
    "additionalProperties": False,
}
MESSAGES = (
    Message("system", "You describe tables.", stable=True),
    Message("user", "select a, b from t", stable=True),
    Message("user", "Describe these 2 columns: a, b."),
)
ASK = Request(MESSAGES, schema=SCHEMA, max_tokens=500, temperature=0.2)


async def test_the_request_is_what_the_protocol_wants_and_the_reply_is_read() -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "openai"))
        first = await provider.complete(ASK)
        second = await provider.complete(ASK)
        await provider.aclose()

    sent = server.requests[0]
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer tests0123456789abc"
    assert sent.body == {
        "model": "openai-model",
        "messages": [{"role": message.role, "content": message.content} for message in MESSAGES],
        "max_completion_tokens": 500,
        "temperature": 0.2,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "descriptions", "strict": True, "schema": SCHEMA},
        },
    }
    assert [column["name"] for column in json.loads(first.text)["columns"]] == ["a", "b"]
    assert (first.model, first.finish) == ("openai-model", "stop")
    assert (first.usage + second.usage).input_tokens == server.input_tokens
    assert (first.usage + second.usage).output_tokens == server.output_tokens
    assert first.usage.cached_input_tokens == 0 < second.usage.cached_input_tokens


async def test_what_is_not_asked_for_is_not_sent() -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "openai"))
        await provider.complete(Request(MESSAGES))
        await provider.aclose()

    assert server.requests[0].body.keys() == {"model", "messages"}


async def test_a_part_that_the_model_refuses_is_left_out_from_then_on() -> None:
    with FakeLLMServer() as server:
        server.dislike("temperature", "Unsupported value: 'temperature' does not support 0.2 with this model.")
        server.dislike("max_completion_tokens", "Unrecognized request argument supplied: max_completion_tokens")
        server.dislike("json_schema", "Invalid parameter: 'response_format' of type 'json_schema' is not supported")
        provider = create(config_for(server, "openai", max_retries=0))
        reply = await provider.complete(ASK)
        await provider.aclose()
        another = create(config_for(server, "openai", max_retries=0))
        await another.complete(ASK)
        await another.aclose()

    assert [column["name"] for column in json.loads(reply.text)["columns"]] == ["a", "b"]
    assert len(server.requests) == 5  # three refusals, an answer, and the other provider's answer
    last = server.requests[-1].body
    assert (last.get("temperature"), last.get("max_completion_tokens"), last["max_tokens"]) == (None, None, 500)
    assert last["response_format"] == {"type": "json_object"}
    assert json.dumps(SCHEMA) in last["messages"][-1]["content"]
    assert last["messages"][:2] == server.requests[0].body["messages"][:2]  # the stable part stays what it was


async def test_a_server_without_any_json_mode_is_asked_in_words() -> None:
    with FakeLLMServer() as server:
        server.dislike("response_format")
        provider = create(config_for(server, "openai", max_retries=0))
        reply = await provider.complete(ASK)
        await provider.aclose()

    assert [column["name"] for column in json.loads(reply.text)["columns"]] == ["a", "b"]
    assert "response_format" not in server.requests[-1].body
    assert len(server.requests) == 3


async def test_a_limit_that_is_too_high_is_an_error_and_not_lifted() -> None:
    with FakeLLMServer() as server:
        message = "max_tokens is too large: 500. This model supports at most 100 completion tokens"
        server.dislike("max_completion_tokens", message)
        provider = create(config_for(server, "openai"))
        with pytest.raises(errors.ProviderRejected, match="too large: 500"):
            await provider.complete(ASK)
        await provider.aclose()

    assert len(server.requests) == 1


async def test_a_refusal_and_a_cut_off_reply_are_told_apart() -> None:
    with FakeLLMServer() as server:
        server.script(servers.says("No.", finish="refusal"), servers.says("{", finish="length"), servers.says(""))
        provider = create(config_for(server, "openai"))
        replies = [await provider.complete(ASK) for _ in range(3)]
        await provider.aclose()

    assert [(reply.text, reply.finish) for reply in replies] == [("No.", "refusal"), ("{", "length"), ("", "stop")]
    assert all(reply.usage.input_tokens for reply in replies)


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ({"choices": [{"message": {"content": "x"}, "finish_reason": None}]}, ("x", "stop")),
        ({"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}, ("", "refusal")),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "x"}, {"text": "y"}]}}]}, ("xy", "stop")),
        ({"choices": [{"message": {"content": [{"type": "thinking", "text": "h"}, "z"]}}]}, ("", "stop")),
        ({"choices": [{"message": None}], "usage": None, "model": None}, ("", "stop")),
        ({"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "7"}}, ("x", "stop")),
        ({"choices": []}, None),
        ({"choices": [None]}, None),
        ({"choices": "x"}, None),
        ({}, None),
    ],
)
def test_completions_that_lack_something_are_read_all_the_same(
    completion: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    reply = read_completion(completion)

    assert (reply and (reply.text, reply.finish)) == expected


async def test_an_error_inside_a_good_status_is_an_error() -> None:
    with FakeLLMServer() as server:
        server.script(servers.raw('{"error": {"code": 402, "message": "Insufficient credits"}}'))
        server.script(servers.raw('{"error": {"message": "Provider returned error"}}'))
        provider = create(config_for(server, "openai", max_retries=0))
        with pytest.raises(errors.ProviderQuotaError):
            await provider.complete(ASK)
        with pytest.raises(errors.ProviderServerError, match="Provider returned error"):
            await provider.complete(ASK)
        await provider.aclose()


async def test_a_gateway_of_the_user_s_needs_no_key() -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "openai", api_key=None))
        await provider.complete(ASK)
        await provider.aclose()

    assert "tests0123" not in json.dumps(server.requests[0].headers)


def test_openai_itself_needs_a_key() -> None:
    with FakeLLMServer() as server:
        config = config_for(server, "openai", api_key=None, base_url=None)
    with pytest.raises(errors.ProviderSetupError, match="Set OPENAI_API_KEY"):
        create(config)


async def test_many_calls_share_one_client_and_one_start() -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "openai"))
        replies = await asyncio.gather(*(provider.complete(ASK) for _ in range(20)))
        await provider.aclose()

    assert len(server.requests) == server.answered == len(replies) == 20


def test_making_a_provider_loads_no_sdk() -> None:
    code = """
import sys
from osmosis_synthesize.providers.base import ProviderConfig
from osmosis_synthesize.providers.registry import create, names
from osmosis_synthesize.secret import Secret
for name in ("openai", "anthropic", "ollama"):
    create(ProviderConfig(name, "m", Secret("k", origin="X")))
loaded = {"openai", "anthropic", "httpx2", "stamina", "pydantic"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)
