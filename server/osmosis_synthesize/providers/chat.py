"""The chat completions protocol, which OpenAI, Azure OpenAI and many other servers speak, over the ``openai`` SDK.

Chat completions rather than responses: it is what every compatible server has. The SDK's raw responses are used and
read here, because compatible servers leave out or null what the SDK's types promise.
Facts about the protocol: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from osmosis_synthesize.providers import faults
from osmosis_synthesize.providers.base import Finish, Reply, Usage
from osmosis_synthesize.providers.remote import (
    DONE,
    Answer,
    RemoteProvider,
    answer_of,
    child,
    count,
    joined_texts,
    text,
)
from osmosis_synthesize.providers.words import with_schema_in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    import httpx2
    from openai import AsyncOpenAI

    from osmosis_synthesize.providers.base import Request
    from osmosis_synthesize.providers.capabilities import Part


class ChatProvider(RemoteProvider["AsyncOpenAI"]):
    """What the providers that speak chat completions share; one subclass a provider says how to reach it."""

    format_names: ClassVar[tuple[Part, ...]] = ("json_schema", "json_object")
    expected: ClassVar[str] = "chat completion"
    streamed: ClassVar[dict[str, Any]] = {"stream": True, "stream_options": {"include_usage": True}}

    async def _close_client(self, client: AsyncOpenAI) -> None:
        await client.close()

    @property
    def _addressed(self) -> str:
        """The model's name as it is sent."""
        return self.model

    def _body(self, request: Request, parts: tuple[Part, ...]) -> dict[str, Any]:
        messages = request.messages
        if request.schema is not None and "json_schema" not in parts:
            messages = with_schema_in_words(messages, request.schema)
        body: dict[str, Any] = {
            "model": self._addressed,
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
                case "stream":
                    pass  # is said apart
        return body

    async def _send(self, client: AsyncOpenAI, body: dict[str, Any]) -> httpx2.Response:
        create: Any = client.chat.completions.with_raw_response.create  # typed for literal arguments only
        # What is sent is plain JSON already: as its own arguments, the SDK would look at each part of the schema for what to
        # rewrite, which takes longer than all else that it does. It has to see the model, and whether to stream.
        streamed = {"stream": True} if body.get("stream") else {}
        return await self._response(create(model=body["model"], messages=[], extra_body=body, **streamed))

    async def _answer(self, sending: Awaitable[Any]) -> Answer:
        """What the server says to one of the SDK's raw requests."""
        return answer_of(await self._response(sending))

    async def _response(self, sending: Awaitable[Any]) -> httpx2.Response:
        import openai

        try:
            response: httpx2.Response = (await sending).http_response
        except openai.APIStatusError as error:
            response = error.response
        except openai.APITimeoutError:
            raise faults.timed_out(self._caller, self._config.timeout) from None
        except openai.APIConnectionError as error:
            raise faults.no_connection(self._caller, error.__cause__ or error) from None
        return response

    def _reply(self, data: dict[str, Any]) -> Reply | None:
        return read_completion(data)

    def _piece(self, event: dict[str, Any]) -> str:
        return text(child(_first_choice(event), "delta"), "content")

    def _joined(self, events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        return joined_completion(events)


def joined_completion(events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The chat completion whose pieces these are; ``None`` if its end is not among them."""
    choices = [_first_choice(event) for event in events]
    finish = next((reason for choice in reversed(choices) if (reason := text(choice, "finish_reason"))), "")
    if not finish and not any(event.get(DONE) for event in events):
        return None
    deltas = [child(choice, "delta") for choice in choices]
    message = {name: "".join(text(delta, name) for delta in deltas) for name in ("content", "refusal")}
    # Some servers count in each piece, most in the last one.
    usage = child(next((event for event in reversed(events) if child(event, "usage")), events[-1]), "usage")
    model = next((name for event in events if (name := text(event, "model"))), "")
    return {"model": model, "choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _first_choice(data: dict[str, Any]) -> dict[str, Any]:
    """The first of the choices, and the only one we ask for; empty where there is none."""
    choices: Any = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return {}
    return cast("dict[str, Any]", choices[0])


def read_completion(data: dict[str, Any]) -> Reply | None:
    """The reply in a chat completion; ``None`` where it is none."""
    choice = _first_choice(data)
    if not choice:
        return None
    message = child(choice, "message")
    said = text(message, "content") or joined_texts(message.get("content"))
    refusal = text(message, "refusal")
    finish: Finish = "stop"
    if refusal or choice.get("finish_reason") == "content_filter":
        finish = "refusal"
    elif choice.get("finish_reason") == "length":
        finish = "length"
    usage = child(data, "usage")
    details = child(usage, "prompt_tokens_details")
    return Reply(
        text=said or refusal,
        usage=Usage(
            input_tokens=count(usage, "prompt_tokens"),
            output_tokens=count(usage, "completion_tokens"),
            cached_input_tokens=count(details, "cached_tokens"),
            cache_write_tokens=count(details, "cache_write_tokens"),
        ),
        model=text(data, "model"),
        finish=finish,
    )
