from __future__ import annotations

from osmosis_synthesize.providers.base import Message, ProviderConfig, Request
from osmosis_synthesize.providers.registry import create
from osmosis_synthesize.secret import Secret
from servers import FakeLLMServer


async def test_a_request_is_answered_with_its_usage() -> None:
    with FakeLLMServer() as server:
        provider = create(
            ProviderConfig("openai", "m", Secret("sk-secret", origin="OPENAI_API_KEY"), base_url=f"{server.url}/v1")
        )
        reply = await provider.complete(Request((Message("user", "Describe these 2 columns: a, b."),), max_tokens=5))
        await provider.aclose()
    assert '"name": "b"' in reply.text
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (server.input_tokens, server.output_tokens)
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret"
