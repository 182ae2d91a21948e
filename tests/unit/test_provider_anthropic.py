from __future__ import annotations

import json
from typing import Any

import pytest

import servers
from osmosis_synthesize import errors
from osmosis_synthesize.providers.anthropic import DEFAULT_MAX_TOKENS, read_message
from osmosis_synthesize.providers.base import Message, ProviderConfig, Request
from osmosis_synthesize.providers.registry import create
from servers import FakeLLMServer, config_for

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string", "enum": ["a", "b"]}, "description": {"type": "string"}},
            },
        }
    },
}
MESSAGES = (
    Message("system", "You describe tables.", stable=True),
    Message("user", "select a, b from t", stable=True),
    Message("user", "Describe these 2 columns: a, b."),
)
ASK = Request(MESSAGES, schema=SCHEMA, max_tokens=500)


async def test_the_request_is_what_the_protocol_wants_and_cached_tokens_are_counted() -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "anthropic"))
        first = await provider.complete(ASK)
        second = await provider.complete(ASK)
        await provider.aclose()

    sent = server.requests[0]
    mark = {"type": "ephemeral"}
    assert sent.path == "/v1/messages"
    assert "tests0123456789abc" in {sent.headers.get("x-api-key"), sent.headers.get("authorization", "")[7:]}
    assert sent.body == {
        "model": "anthropic-model",
        "max_tokens": 500,
        "system": [{"type": "text", "text": "You describe tables.", "cache_control": mark}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "select a, b from t", "cache_control": mark},
                    {"type": "text", "text": "Describe these 2 columns: a, b."},
                ],
            }
        ],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }
    assert [column["name"] for column in json.loads(first.text)["columns"]] == ["a", "b"]
    assert (first.model, first.finish) == ("anthropic-model", "stop")
    # The API counts cached tokens apart; here the prompt is counted whole.
    assert (first.usage + second.usage).input_tokens == server.input_tokens
    assert first.usage.cache_write_tokens == second.usage.cached_input_tokens > 0
    assert first.usage.cached_input_tokens == second.usage.cache_write_tokens == 0


async def test_temperature_is_sent_until_a_model_refuses_it() -> None:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "anthropic", model="old"))
        await provider.complete(Request(MESSAGES, temperature=0.2))
        await provider.aclose()
        server.dislike("temperature", "`temperature` is deprecated for this model.")
        provider = create(config_for(server, "anthropic", model="new", max_retries=0))
        for _ in range(2):
            await provider.complete(Request(MESSAGES, temperature=0.2))
        await provider.aclose()

    assert [request.body.get("temperature") for request in server.requests] == [0.2, 0.2, None, None]
    assert server.requests[0].body["max_tokens"] == DEFAULT_MAX_TOKENS


async def test_a_model_without_structured_output_is_asked_in_words() -> None:
    with FakeLLMServer() as server:
        server.dislike("output_config", "output_config.format: this model does not support structured outputs")
        provider = create(config_for(server, "anthropic", max_retries=0))
        reply = await provider.complete(ASK)
        await provider.aclose()

    assert [column["name"] for column in json.loads(reply.text)["columns"]] == ["a", "b"]
    last = server.requests[-1].body
    assert json.dumps(SCHEMA) in last["messages"][0]["content"][1]["text"]
    assert last["messages"][0]["content"][0] == server.requests[0].body["messages"][0]["content"][0]


async def test_a_refusal_and_a_cut_off_reply_are_told_apart() -> None:
    with FakeLLMServer() as server:
        server.script(servers.says("No.", finish="refusal"), servers.says("{", finish="length"), servers.says(""))
        provider = create(config_for(server, "anthropic"))
        replies = [await provider.complete(ASK) for _ in range(3)]
        await provider.aclose()

    assert [(reply.text, reply.finish) for reply in replies] == [("No.", "refusal"), ("{", "length"), ("", "stop")]


async def test_an_empty_account_and_an_overload_are_told_apart() -> None:
    with FakeLLMServer() as server:
        server.script(servers.refusing("Your credit balance is too low to access the Anthropic API."))
        server.script(servers.Fault(529, code="overloaded_error", message="Overloaded"))
        provider = create(config_for(server, "anthropic", max_retries=0))
        with pytest.raises(errors.ProviderQuotaError):
            await provider.complete(ASK)
        with pytest.raises(errors.ProviderServerError, match=r"\(529\): Overloaded"):
            await provider.complete(ASK)
        await provider.aclose()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "x"}]}, ("x", "stop")),
        ({"content": [], "stop_reason": "model_context_window_exceeded"}, ("", "length")),
        ({"content": [{"type": "text"}], "usage": None, "stop_reason": None}, ("", "stop")),
        ({"content": "x"}, None),
        ({}, None),
    ],
)
def test_messages_are_read_whatever_they_lack(message: dict[str, Any], expected: tuple[str, str] | None) -> None:
    reply = read_message({"type": "message", **message})

    assert (reply and (reply.text, reply.finish)) == expected


def test_anthropic_itself_needs_a_key() -> None:
    with pytest.raises(errors.ProviderSetupError, match="Set ANTHROPIC_API_KEY"):
        create(ProviderConfig("anthropic", "m"))


async def test_a_gateway_without_key_gets_none_of_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-of-the-user")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-the-user")
    with FakeLLMServer() as server:
        provider = create(config_for(server, "anthropic", api_key=None))
        await provider.complete(ASK)
        await provider.aclose()

    assert "of-the-user" not in json.dumps(server.requests[0].headers)
