"""Ollama's native API, which takes a JSON schema and the size of the context; its OpenAI-like one lacks the latter.

Facts: https://docs.ollama.com/api/chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from osmosis_synthesize.providers import endpoint, faults
from osmosis_synthesize.providers.base import Reply, Usage
from osmosis_synthesize.providers.http import make_client
from osmosis_synthesize.providers.remote import DONE, RemoteProvider, child, count, text
from osmosis_synthesize.providers.words import with_schema_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

    from osmosis_synthesize.providers.base import ProviderConfig, Request
    from osmosis_synthesize.providers.capabilities import Part

SMALLEST_CONTEXT: Final = 4096
"""Tokens; Ollama's own default."""

_CHARACTERS_A_TOKEN: Final = 3
"""On the safe side for SQL and English."""

_ROOM_FOR_REPLY: Final = 2048
"""Tokens left for a reply whose length is not limited."""


class OllamaProvider(RemoteProvider["httpx2.AsyncClient"]):
    """A model that Ollama runs.

    The size of the context is made to fit the prompt, in steps of powers of two, since Ollama loads the model anew for
    each size; without that it would cut a longer prompt without a word.
    """

    limit_names: ClassVar[tuple[Part, ...]] = ("max_tokens",)
    format_names: ClassVar[tuple[Part, ...]] = ("json_schema", "json_object")
    expected: ClassVar[str] = "chat reply"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(
            config,
            endpoint.resolve(config),
            key_hint="Check OLLAMA_API_KEY.",
            model_hint=f"Is the model there? Get it with: ollama pull {config.model}",
        )

    @property
    def local(self) -> bool:
        """Whether Ollama runs on this machine."""
        return self._endpoint.loopback

    def _make_client(self) -> httpx2.AsyncClient:
        client = make_client(self._endpoint, timeout=self._config.timeout)
        if self._config.api_key is not None:
            client.headers["Authorization"] = f"Bearer {self._config.api_key.reveal()}"
        return client

    async def _close_client(self, client: httpx2.AsyncClient) -> None:
        await client.aclose()

    def _body(self, request: Request, parts: tuple[Part, ...]) -> dict[str, Any]:
        messages = request.messages
        if request.schema is not None and "json_schema" not in parts:
            messages = with_schema_in_words(messages, request.schema)
        options: dict[str, Any] = {"num_ctx": context_for(request)}
        if "temperature" in parts:
            options["temperature"] = request.temperature
        if "max_tokens" in parts:
            options["num_predict"] = request.max_tokens
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": False,
            "options": options,
        }
        if "json_schema" in parts:
            body["format"] = request.schema
        elif "json_object" in parts:
            body["format"] = "json"
        return body

    async def _send(self, client: httpx2.AsyncClient, body: dict[str, Any]) -> httpx2.Response:
        import httpx2

        request = client.build_request("POST", f"{self._endpoint.url}/api/chat", json=body)
        try:
            return await client.send(request, stream=body["stream"])
        except httpx2.TimeoutException:
            raise faults.timed_out(self._caller, self._config.timeout) from None
        except httpx2.RequestError as error:
            raise faults.no_connection(self._caller, error) from None

    def _reply(self, data: dict[str, Any]) -> Reply | None:
        return read_chat(data)

    def _piece(self, event: dict[str, Any]) -> str:
        return text(child(event, "message"), "content")

    def _joined(self, events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        if not events or not events[-1].get(DONE):
            return None
        return events[-1] | {"message": {"content": "".join(map(self._piece, events))}}


def context_for(request: Request) -> int:
    """Tokens of context that hold the prompt and the reply: a power of two, at least :data:`SMALLEST_CONTEXT`."""
    # Scripts without spaces between words take about a token a character, which their bytes stand for well enough.
    size = sum(len(message.content.encode("utf-8", "surrogatepass")) for message in request.messages)
    needed = size // _CHARACTERS_A_TOKEN + (request.max_tokens or _ROOM_FOR_REPLY)
    return max(SMALLEST_CONTEXT, 1 << (needed - 1).bit_length())


def read_chat(data: dict[str, Any]) -> Reply | None:
    """The reply in a chat answer; ``None`` where it is none."""
    if not isinstance(data.get("message"), dict):
        return None
    return Reply(
        text=text(child(data, "message"), "content"),
        usage=Usage(input_tokens=count(data, "prompt_eval_count"), output_tokens=count(data, "eval_count")),
        model=text(data, "model"),
        finish="length" if data.get("done_reason") == "length" else "stop",
    )
