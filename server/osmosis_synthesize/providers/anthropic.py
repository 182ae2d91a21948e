"""Anthropic's Messages API, over the ``anthropic`` SDK.

Facts: https://platform.claude.com/docs/en/api/messages, and the SDK's own types.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple
from urllib.parse import quote

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers import endpoint, faults
from osmosis_synthesize.providers.base import BatchState, Finish, Message, Reply, Usage
from osmosis_synthesize.providers.http import make_client
from osmosis_synthesize.providers.remote import (
    Answer,
    RemoteProvider,
    answer_of,
    child,
    count,
    joined_texts,
    json_lines,
    text,
)
from osmosis_synthesize.providers.words import with_schema_in_words

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

    from osmosis_synthesize.providers.base import ProviderConfig, Request
    from osmosis_synthesize.providers.capabilities import Part

DEFAULT_MAX_TOKENS: Final = 4096
"""The API wants a limit in every request; every model that it serves can write this much."""

_FINISH: Final[dict[str, Finish]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class AnthropicProvider(RemoteProvider["AsyncAnthropic"]):
    """Claude, by Anthropic or by a gateway that the user chose."""

    limit_names: ClassVar[tuple[Part, ...]] = ()  # never optional here
    format_names: ClassVar[tuple[Part, ...]] = ("json_schema",)
    expected: ClassVar[str] = "message"

    def __init__(self, config: ProviderConfig) -> None:
        checked = endpoint.resolve(config)
        if checked.own and config.api_key is None:
            raise ProviderSetupError(
                "The provider anthropic has no key.",
                hint="Set ANTHROPIC_API_KEY in your environment, or choose another provider.",
            )
        super().__init__(
            config, checked, key_hint="Check ANTHROPIC_API_KEY: https://platform.claude.com/settings/keys"
        )

    def _make_client(self) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic

        client = AsyncAnthropic(
            # Without one the SDK would look for a key, or for a profile on disk, by itself.
            api_key=self._config.api_key.reveal() if self._config.api_key else "none",
            base_url=self._endpoint.url.removesuffix("/v1"),
            max_retries=0,
            timeout=self._config.timeout,
            http_client=make_client(self._endpoint, timeout=self._config.timeout),
        )
        _ = client.messages  # loads the modules behind it here, in the thread that may wait
        return client

    async def _close_client(self, client: AsyncAnthropic) -> None:
        await client.close()

    def _body(self, request: Request, parts: tuple[Part, ...]) -> dict[str, Any]:
        messages = request.messages
        if request.schema is not None and "json_schema" not in parts:
            messages = with_schema_in_words(messages, request.schema)
        system = [message for message in messages if message.role == "system"]
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
            "messages": _turns([message for message in messages if message.role != "system"]),
        }
        if system:
            body["system"] = _blocks(system)
        if "json_schema" in parts:
            body["output_config"] = {"format": {"type": "json_schema", "schema": request.schema}}
        if "temperature" in parts:
            # No argument of the SDK any more, since newer models refuse it; older ones still take it.
            body["extra_body"] = {"temperature": request.temperature}
        return body

    async def _send(self, client: AsyncAnthropic, body: dict[str, Any]) -> httpx2.Response:
        create: Any = client.messages.with_raw_response.create  # typed for literal arguments only
        return await self._response(create(**body))

    async def _answer(self, sending: Awaitable[Any]) -> Answer:
        """What the server says to one of the SDK's raw requests."""
        return answer_of(await self._response(sending))

    async def _response(self, sending: Awaitable[Any]) -> httpx2.Response:
        import anthropic

        try:
            response: httpx2.Response = (await sending).http_response
        except anthropic.APIStatusError as error:
            response = error.response
        except anthropic.APITimeoutError:
            raise faults.timed_out(self._caller, self._config.timeout) from None
        except anthropic.APIConnectionError as error:
            raise faults.no_connection(self._caller, error.__cause__ or error) from None
        return response

    def _reply(self, data: dict[str, Any]) -> Reply | None:
        return read_message(data)

    def _piece(self, event: dict[str, Any]) -> str:
        return text(child(event, "delta"), "text")

    def _joined(self, events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        return joined_message(events)

    # Batches: https://platform.claude.com/docs/en/api/creating-message-batches

    async def submit_batch(self, requests: Mapping[str, Request]) -> str:
        """Hand in requests by their keys; gives the batch's name."""
        batches: Any = (await self._started()).messages.batches.with_raw_response
        items: list[dict[str, Any]] = []
        for key, request in requests.items():
            body = self.body_of(request)
            items.append({"custom_id": key, "params": {**body, **body.pop("extra_body", {})}})
        return text(self.json_in(await self._answer(batches.create(requests=items))), "id")

    async def batch_state(self, batch: str) -> BatchState:
        """How far it is."""
        batches: Any = (await self._started()).messages.batches.with_raw_response
        data = self.json_in(await self._answer(batches.retrieve(batch)))
        counts = child(data, "request_counts")
        waiting = count(counts, "processing")
        done = sum(count(counts, name) for name in ("succeeded", "errored", "canceled", "expired"))
        status = text(data, "processing_status")
        return BatchState(status, status == "ended", done, done + waiting)

    async def batch_replies(self, batch: str) -> Mapping[str, Reply | str]:
        """Of a batch that has ended: by key the reply, or why there is none."""
        import httpx2

        client = await self._started()
        # Not from the address that the batch names: the key goes to the host that the user has chosen, and no other.
        path = f"/v1/messages/batches/{quote(batch, safe='')}/results"
        getting: Any = client.with_options(max_retries=0).get(path, cast_to=httpx2.Response)
        lines = json_lines((await self._answer(_as_raw(getting))).body)
        replies: dict[str, Reply | str] = {}
        for line in lines:
            result = child(line, "result")
            reply = read_message(child(result, "message")) if result.get("type") == "succeeded" else None
            why = text(child(child(result, "error"), "error"), "message") or text(result, "type") or "no reply"
            replies[text(line, "custom_id")] = reply or why
        return replies


class _Raw(NamedTuple):
    """A response as the SDK's raw requests give it."""

    http_response: httpx2.Response


async def _as_raw(getting: Awaitable[httpx2.Response]) -> _Raw:
    return _Raw(await getting)


def _turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as turns: neighbours of the same role are one turn of several blocks."""
    turns: list[tuple[str, list[Message]]] = []
    for message in messages:
        if turns and turns[-1][0] == message.role:
            turns[-1][1].append(message)
        else:
            turns.append((message.role, [message]))
    return [{"role": role, "content": _blocks(parts)} for role, parts in turns]


def _blocks(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Text blocks, with a mark for the server's prompt cache at the end of the stable ones."""
    blocks: list[dict[str, Any]] = [{"type": "text", "text": message.content} for message in messages]
    stable = [number for number, message in enumerate(messages) if message.stable]
    if stable:
        blocks[stable[-1]]["cache_control"] = {"type": "ephemeral"}
    return blocks


def joined_message(events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The message whose pieces these are; ``None`` if its end is not among them.

    The first event counts what was read, the last ones what was written: https://platform.claude.com/docs/en/build-with-claude/streaming.
    """
    if not any(event.get("type") == "message_stop" for event in events):
        return None
    begun = child(next((event for event in events if event.get("type") == "message_start"), events[0]), "message")
    ends = [event for event in events if event.get("type") == "message_delta"]
    usage = child(begun, "usage")
    for event in ends:
        usage = usage | {name: number for name, number in child(event, "usage").items() if number is not None}
    said = "".join(text(child(event, "delta"), "text") for event in events)
    stop = next((reason for event in ends if (reason := text(child(event, "delta"), "stop_reason"))), "")
    content = [{"type": "text", "text": said}]
    return {"type": "message", "model": text(begun, "model"), "content": content, "stop_reason": stop, "usage": usage}


def read_message(data: dict[str, Any]) -> Reply | None:
    """The reply in a message; ``None`` where it is none."""
    if data.get("type") != "message" or not isinstance(data.get("content"), list):
        return None
    usage = child(data, "usage")
    read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    return Reply(
        text=joined_texts(data["content"]),
        usage=Usage(
            # The API counts what it read from and wrote to its cache apart from the rest.
            input_tokens=count(usage, "input_tokens") + read + written,
            output_tokens=count(usage, "output_tokens"),
            cached_input_tokens=read,
            cache_write_tokens=written,
        ),
        model=text(data, "model"),
        finish=_FINISH.get(text(data, "stop_reason"), "stop"),
    )
