from __future__ import annotations

import pytest

import servers
from osmosis_synthesize import errors
from osmosis_synthesize.providers.base import Message, ProviderConfig, Request
from osmosis_synthesize.providers.registry import create
from osmosis_synthesize.secret import Secret
from servers import FakeLLMServer, Recorded, config_for

ASK = Request((Message("user", "Describe these 2 columns: a, b."),), max_tokens=50)
TOKEN = Secret("eyJ-token", origin="AZURE_OPENAI_AD_TOKEN")


async def sent_with(path: str = "", **changes: object) -> Recorded:
    with FakeLLMServer() as server:
        provider = create(config_for(server, "azure", base_url=server.url + path, **changes))
        assert '"name": "b"' in (await provider.complete(ASK)).text
        await provider.aclose()
    return server.requests[0]


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
async def test_the_v1_endpoint_is_the_rule(path: str) -> None:
    sent = await sent_with(path, options={"deployment": "writer"})

    assert sent.path == "/openai/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer tests0123456789abc"
    assert (sent.body["model"], sent.body["max_completion_tokens"]) == ("writer", 50)


async def test_the_preview_of_v1_is_asked_for_by_its_version() -> None:
    sent = await sent_with(options={"api_version": "preview"})

    assert sent.path == "/openai/v1/chat/completions?api-version=preview"
    assert sent.body["model"] == "azure-model"


async def test_a_dated_version_means_the_deployment_s_own_path() -> None:
    sent = await sent_with(options={"deployment": "writer", "api_version": "2024-10-21"})

    assert sent.path == "/openai/deployments/writer/chat/completions?api-version=2024-10-21"
    assert sent.headers["api-key"] == "tests0123456789abc"
    assert "authorization" not in sent.headers


@pytest.mark.parametrize("options", [{}, {"api_version": "2024-10-21"}])
async def test_an_entra_token_is_sent_as_one(options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-of-something-else")
    sent = await sent_with(options=options, api_key=TOKEN)

    assert sent.headers["authorization"] == "Bearer eyJ-token"
    assert sent.headers.get("api-key") is None


async def test_the_model_is_what_it_is_priced_as() -> None:
    config = ProviderConfig(
        "azure", "gpt-5-mini", TOKEN, base_url="https://ours.openai.azure.com", options={"deployment": "writer"}
    )
    provider = create(config)

    assert (provider.name, provider.model, provider.local) == ("azure", "gpt-5-mini", False)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(errors.ProviderSetupError, match="AZURE_OPENAI_ENDPOINT"):
        create(ProviderConfig("azure", "m", TOKEN))
    with pytest.raises(errors.ProviderSetupError, match="AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN"):
        create(ProviderConfig("azure", "m", base_url="https://ours.openai.azure.com"))


async def test_a_part_that_the_version_does_not_know_is_left_out() -> None:
    with FakeLLMServer() as server:
        server.dislike(
            "json_schema",
            "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later",
        )
        provider = create(config_for(server, "azure", options={"api_version": "2024-02-01"}))
        await provider.complete(Request(ASK.messages, schema={"type": "object", "properties": {}}))
        await provider.aclose()

    assert server.requests[-1].body["response_format"] == {"type": "json_object"}


async def test_a_prompt_that_the_content_filter_stops_is_a_refusal() -> None:
    with FakeLLMServer() as server:
        server.always(servers.refusing("The response was filtered due to the prompt.", code="content_filter"))
        provider = create(config_for(server, "azure"))
        reply = await provider.complete(ASK)
        await provider.aclose()

    assert (reply.text, reply.finish, len(server.requests)) == ("", "refusal", 1)
