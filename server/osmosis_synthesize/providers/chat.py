"""The chat completions protocol, which OpenAI, Azure OpenAI and many other servers speak, over the ``openai`` SDK.

Chat completions rather than responses: it is what every compatible server has.
Facts about the protocol: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from osmosis_synthesize.providers import capabilities, faults
from osmosis_synthesize.providers.base import Finish, Reply, Usage
from osmosis_synthesize.providers.words import with_schema_in_words

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

    from osmosis_synthesize.providers.base import ProviderConfig, Request
    from osmosis_synthesize.providers.capabilities import Part
    from osmosis_synthesize.providers.endpoint import Endpoint

_MAY_BE_REFUSED_PART: Final = frozenset({400, 422, 501})
"""Statuses with which servers refuse a parameter that they do not know."""


class ChatProvider(ABC):
    """What the providers that speak chat completions share; one subclass a provider says how to reach it."""

    limit_names: ClassVar[tuple[Part, ...]]
    """Under which names to try the limit on the reply's length, in this order."""

    def __init__(self, config: ProviderConfig, endpoint: Endpoint, *, key_hint: str) -> None:
        self._config = config
        self._endpoint = endpoint
        self._caller = faults.Caller(
            name=config.name, model=config.model, host=endpoint.host, secret=config.api_key, key_hint=key_hint
        )
        self._client: AsyncOpenAI | None = None
        self._starting = asyncio.Lock()

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._config.name

    @property
    def model(self) -> str:
        """The model's name, as sent."""
        return self._config.model

    @property
    def local(self) -> bool:
        """Whether it runs on this machine."""
        return False

    @property
    def deterministic(self) -> bool:
        """Never: a model is asked."""
        return False

    @abstractmethod
    def _make_client(self) -> AsyncOpenAI:
        """The SDK's client: its retries off, its HTTP client ours."""

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def complete(self, request: Request) -> Reply:
        """Ask once. A request that is refused for an optional part of it is sent again without that part.

        Raises:
            ProviderError: see :mod:`osmosis_synthesize.errors`.
        """
        client = await self._started()
        while True:
            parts = self._parts(request)
            status, headers, body = await self._post(client, self._body(request, parts))
            if status in _MAY_BE_REFUSED_PART and (part := capabilities.blame(parts, faults.complaint(body))):
                capabilities.learn(self._endpoint.url, self.model, part)
                continue
            return self._read(status, headers, body, request)

    async def _started(self) -> AsyncOpenAI:
        async with self._starting:
            if self._client is None:
                # Importing the SDK takes a second or more: not on the event loop, an editor is waiting there.
                self._client = await asyncio.to_thread(self._make_client)
            return self._client

    def _parts(self, request: Request) -> tuple[Part, ...]:
        refused = capabilities.rejected(self._endpoint.url, self.model)
        wanted: list[Part | None] = []
        if request.temperature is not None:
            wanted.append(capabilities.pick(("temperature",), refused))
        if request.max_tokens is not None:
            wanted.append(capabilities.pick(self.limit_names, refused))
        if request.schema is not None:
            wanted.append(capabilities.pick(("json_schema", "json_object"), refused))
        return tuple(part for part in wanted if part is not None)

    def _body(self, request: Request, parts: tuple[Part, ...]) -> dict[str, Any]:
        messages = request.messages
        if request.schema is not None and "json_schema" not in parts:
            messages = with_schema_in_words(messages, request.schema)
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
        }
        for part in parts:
            match part:
                case "temperature":
                    body["temperature"] = request.temperature
                case "max_tokens" | "max_completion_tokens":
                    body[part] = request.max_tokens
                case "json_object":
                    body["response_format"] = {"type": "json_object"}
                case "json_schema":
                    body["response_format"] = {
                        "type": "json_schema",
                        "json_schema": {"name": "descriptions", "strict": True, "schema": request.schema},
                    }
        return body

    async def _post(self, client: AsyncOpenAI, body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        import openai

        try:
            create: Any = client.chat.completions.with_raw_response.create  # typed for literal arguments only
            response: httpx2.Response = (await create(**body)).http_response
        except openai.APIStatusError as error:
            response = error.response
        except openai.APITimeoutError:
            raise faults.timed_out(self._caller, self._config.timeout) from None
        except openai.APIConnectionError as error:
            raise faults.no_connection(self._caller, error.__cause__ or error) from None
        return response.status_code, dict(response.headers), response.text

    def _read(self, status: int, headers: dict[str, str], body: str, request: Request) -> Reply:
        try:
            data: Any = json.loads(body) if 200 <= status < 300 else None
        except ValueError:
            data = None
        if 200 <= status < 300:
            if (reply := read_completion(data)) is not None:
                return reply
            # Some gateways answer 200 with an error object that holds the status (OpenRouter documents it).
            status = _inner_status(data)
            if status == 200:
                kind = headers.get("content-type", "")
                raise faults.no_reply(self._caller, kind, len(body), expected="chat completion")
        prompt = [message.content for message in request.messages]
        raise faults.from_response(status, headers, body, caller=self._caller, prompt=prompt)


def _inner_status(data: Any) -> int:
    """The HTTP status that an error object inside a 200 stands for; 200 where there is no error object."""
    if not isinstance(data, dict) or not isinstance(error := cast("dict[str, Any]", data).get("error"), dict):
        return 200
    code: Any = cast("dict[str, Any]", error).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def read_completion(data: Any) -> Reply | None:
    """The reply in a chat completion's JSON; ``None`` where it is none.

    Read by hand: compatible servers leave out or null what OpenAI's own types promise.
    """
    if not isinstance(data, dict):
        return None
    completion = cast("dict[str, Any]", data)
    choices: Any = completion.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    choice = cast("dict[str, Any]", choices[0])
    message = _object(choice, "message")
    text = _text(message.get("content"))
    refusal = _text(message.get("refusal"))
    finish: Finish = "stop"
    if refusal or choice.get("finish_reason") == "content_filter":
        finish = "refusal"
    elif choice.get("finish_reason") == "length":
        finish = "length"
    usage = _object(completion, "usage")
    details = _object(usage, "prompt_tokens_details")
    model = completion.get("model")
    return Reply(
        text=text or refusal,
        usage=Usage(
            input_tokens=count(usage.get("prompt_tokens")),
            output_tokens=count(usage.get("completion_tokens")),
            cached_input_tokens=count(details.get("cached_tokens")),
            cache_write_tokens=count(details.get("cache_write_tokens")),
        ),
        model=model if isinstance(model, str) else "",
        finish=finish,
    )


def _object(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(content: Any) -> str:
    """A message's content: a string, or (some servers) a list of parts with ``text``."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [
        cast("dict[str, Any]", part).get("text") for part in cast("list[Any]", content) if isinstance(part, dict)
    ]
    return "".join(text for text in texts if isinstance(text, str))


def count(value: Any) -> int:
    """A number of tokens as a server gave it; 0 for anything that is none."""
    return value if isinstance(value, int) and value > 0 else 0
