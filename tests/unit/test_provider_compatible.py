from __future__ import annotations

import json

import pytest

from osmosis_synthesize import errors
from osmosis_synthesize.providers.base import Message, ProviderConfig, Request
from osmosis_synthesize.providers.known import KNOWN_PROVIDERS
from osmosis_synthesize.providers.registry import create
from osmosis_synthesize.secret import Secret
from servers import FakeLLMServer, config_for

ASK = Request((Message("user", "Describe these 2 columns: a, b."),), schema={"type": "object"}, max_tokens=50)


async def test_only_the_key_and_what_http_needs_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-user")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-the-user")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "admin-of-the-user")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: token-of-the-user")
    with FakeLLMServer() as server:
        provider = create(config_for(server, "openai-compatible"))
        await provider.complete(ASK)
        await provider.aclose()

    sent = server.requests[0].headers
    assert "of-the-user" not in json.dumps(sent)
    assert sent["authorization"] == "Bearer tests0123456789abc"


async def test_without_a_key_none_is_sent_though_the_environment_holds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    with FakeLLMServer() as server:
        provider = create(config_for(server, "openai-compatible", api_key=None))
        await provider.complete(ASK)
        await provider.aclose()

    assert "authorization" not in server.requests[0].headers
    assert "of-the-user" not in json.dumps(server.requests[0].headers)


async def test_the_limit_is_called_max_tokens_first_and_otherwise_if_need_be() -> None:
    with FakeLLMServer() as server:
        server.dislike(
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        )
        provider = create(config_for(server, "openai-compatible"))
        await provider.complete(ASK)
        await provider.aclose()

    assert [("max_tokens" in r.body, "max_completion_tokens" in r.body) for r in server.requests] == [
        (True, False),
        (False, True),
    ]


async def test_loopback_goes_past_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeLLMServer() as proxy, FakeLLMServer() as server:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        provider = create(config_for(server, "openai-compatible"))
        await provider.complete(ASK)
        await provider.aclose()

    assert (len(server.requests), len(proxy.requests)) == (1, 0)


async def test_other_hosts_are_reached_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeLLMServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        provider = create(config_for(proxy, "openai-compatible", base_url="http://llm.example:8000/v1"))
        await provider.complete(ASK)
        await provider.aclose()

    assert proxy.requests[0].path == "http://llm.example:8000/v1/chat/completions"


async def test_it_is_local_where_its_server_is() -> None:
    here = create(ProviderConfig("openai-compatible", "m", base_url="http://127.0.0.1:9/v1"))
    there = create(ProviderConfig("openai-compatible", "m", base_url="https://llm.example/v1"))

    assert (here.local, there.local, here.deterministic) == (True, False, False)


@pytest.mark.parametrize("name", ["gemini", "openrouter"])
def test_a_preset_s_host_is_its_own_and_wants_its_own_key(name: str) -> None:
    row = KNOWN_PROVIDERS[name]
    with pytest.raises(errors.ProviderSetupError, match=f"Set {row.key_variables[0]}"):
        create(ProviderConfig(name, "m"))

    provider = create(ProviderConfig(name, "m", Secret("k", origin=row.key_variables[0]), base_url_trusted=False))
    assert (provider.name, provider.local) == (name, False)


@pytest.mark.parametrize("name", ["lm-studio", "vllm", "llama.cpp"])
def test_local_presets_need_no_key(name: str) -> None:
    assert create(ProviderConfig(name, "m")).local


def test_without_preset_an_address_is_needed() -> None:
    with pytest.raises(errors.ProviderSetupError, match="OSMOSIS_LLM_BASE_URL"):
        create(ProviderConfig("openai-compatible", "m"))
