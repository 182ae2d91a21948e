"""What all providers that speak HTTP share: one try at one call."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NamedTuple, TypeVar, cast

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers import capabilities, faults
from osmosis_synthesize.providers.base import Reply
from osmosis_synthesize.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import httpx2

    from osmosis_synthesize.providers.base import Hear, ProviderConfig, Request
    from osmosis_synthesize.providers.capabilities import Part
    from osmosis_synthesize.providers.endpoint import Endpoint

_MAY_REFUSE_A_PART: Final = frozenset({400, 422, 501})
"""Statuses with which servers refuse a parameter that they do not know."""

_KEY: Final = re.compile(r"[!-~]+")
"""What can stand in a header. Anything else would fail there, with the key in the error."""

_FILTERED: Final = re.compile(r'"code"\s*:\s*"content_filter"')
"""With this Azure refuses a prompt, instead of answering with a refusal."""

_IN_PIECES: Final = ("text/event-stream", "application/x-ndjson")
"""What servers call an answer that comes in pieces."""

DONE: Final = "done"
"""What Ollama's last event has; it stands here, too, for the last line of OpenAI's streams, which is no JSON."""

Client = TypeVar("Client")


class Answer(NamedTuple):
    """An HTTP response, of whatever status."""

    status: int
    headers: dict[str, str]
    """By names in lower case."""
    body: str


class RemoteProvider(ABC, Generic[Client]):
    """One try at one call, for a protocol that a subclass knows.

    A request that is refused for an optional part of it is sent again without that part, which is remembered.
    """

    limit_names: ClassVar[tuple[Part, ...]]
    """Under which names to try the limit on the reply's length, in this order."""
    format_names: ClassVar[tuple[Part, ...]]
    """Which ways to hold the model to JSON to try, in this order; after the last, words alone."""
    expected: ClassVar[str]
    """What a good answer is called, for messages."""
    streamed: ClassVar[dict[str, Any]] = {"stream": True}
    """What a request says to have its answer in pieces."""

    def __init__(
        self,
        config: ProviderConfig,
        endpoint: Endpoint,
        *,
        key_hint: str,
        model_hint: str = "Check model (OSMOSIS_LLM_MODEL) and base_url.",
    ) -> None:
        key = config.api_key
        if key is not None and not _KEY.fullmatch(key.reveal()):
            raise ProviderSetupError(
                f"The key from {key.origin} is empty or holds characters that no key has.",
                hint="Copy it again: letters, digits and punctuation, without spaces, quotes or line breaks around it.",
            )
        self._config = config
        self._endpoint = endpoint
        self._caller = faults.Caller(
            name=config.name,
            model=config.model,
            host=endpoint.host,
            secret=config.api_key,
            key_hint=key_hint,
            model_hint=model_hint,
        )
        self._starting: asyncio.Task[Client] | None = None

    @property
    def name(self) -> str:
        """The provider's name."""
        return self._config.name

    @property
    def model(self) -> str:
        """The model's name."""
        return self._config.model

    @property
    def local(self) -> bool:
        """Whether it runs on this machine. Hosted services do not, even where a gateway on loopback leads to them."""
        return False

    @property
    def deterministic(self) -> bool:
        """Never: a model is asked."""
        return False

    @abstractmethod
    def _make_client(self) -> Client:
        """The client; an SDK's has its retries off and our HTTP client inside. Called in a thread that may wait."""

    @abstractmethod
    async def _close_client(self, client: Client) -> None: ...

    @abstractmethod
    def _body(self, request: Request, parts: tuple[Part, ...]) -> dict[str, Any]:
        """The request's JSON, with these optional parts and no others."""

    @abstractmethod
    async def _send(self, client: Client, body: dict[str, Any]) -> httpx2.Response:
        """Send it; what comes in pieces is not read yet.

        Raises ProviderTimeout or ProviderConnectionError where there is no response.
        """

    @abstractmethod
    def _reply(self, data: dict[str, Any]) -> Reply | None:
        """The reply in a good answer's JSON; ``None`` where it is none."""

    @abstractmethod
    def _piece(self, event: dict[str, Any]) -> str:
        """The text in one event of an answer that comes in pieces."""

    @abstractmethod
    def _joined(self, events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The JSON of the answer, had it come at once; ``None`` if it has not come to its end."""

    async def aclose(self) -> None:
        """Close the connections."""
        if self._starting is not None:
            await self._close_client(await self._starting)

    async def complete(self, request: Request) -> Reply:
        """Ask once.

        Raises:
            ProviderError: see :mod:`osmosis_synthesize.errors`.
        """
        return await self._ask(request, None)

    async def stream(self, request: Request, hear: Hear) -> Reply:
        """Ask once, and hear the reply's text while it comes, if the server can do that.

        Raises:
            ProviderError: see :mod:`osmosis_synthesize.errors`.
        """
        return await self._ask(request, hear)

    async def _ask(self, request: Request, hear: Hear | None) -> Reply:
        client = await self._started()
        request = _encodable(request)
        while True:
            parts = self._parts(request, streamed=hear is not None)
            body = self._body(request, parts)
            if hear is not None and "stream" in parts:
                answer = await self._listen(client, body | self.streamed, hear)
            else:
                answer = answer_of(await self._send(client, body))
            if answer.status in _MAY_REFUSE_A_PART:
                part = capabilities.blame(parts, faults.complaint(answer.body))
                if part is not None:
                    capabilities.learn(self._endpoint.url, self.model, part)
                    continue
            return self._read(answer, request)

    async def _listen(self, client: Client, body: dict[str, Any], hear: Hear) -> Answer:
        """Send it, and hear the text while it comes. The answer is as if it had come at once."""
        import httpx2

        response = await self._send(client, body)
        try:
            if not response.is_success or not response.headers.get("content-type", "").startswith(_IN_PIECES):
                await response.aread()
                return answer_of(response)
            events: list[dict[str, Any]] = []
            async for event in _events(response):
                if event.get("error"):
                    return Answer(response.status_code, dict(response.headers), json.dumps(event))
                events.append(event)
                if piece := self._piece(event):
                    hear(piece)
            whole = self._joined(events)
        except httpx2.TimeoutException:
            raise faults.timed_out(self._caller, self._config.timeout) from None
        except httpx2.RequestError as error:
            raise faults.no_connection(self._caller, error) from None
        finally:
            await response.aclose()
        if whole is None:
            raise faults.no_connection(self._caller, EOFError())
        return Answer(response.status_code, dict(response.headers), json.dumps(whole))

    def body_of(self, request: Request) -> dict[str, Any]:
        """What would be sent for a request."""
        request = _encodable(request)
        return self._body(request, self._parts(request))

    def json_in(self, answer: Answer) -> dict[str, Any]:
        """The JSON object in a good answer.

        Raises:
            ProviderError: it is none.
        """
        if 200 <= answer.status < 300:
            try:
                data: Any = json.loads(answer.body)
            except ValueError:
                data = None
            if isinstance(data, dict):
                return cast("dict[str, Any]", data)
            kind = answer.headers.get("content-type", "")
            raise faults.no_reply(self._caller, kind, len(answer.body), expected="batch")
        raise faults.from_response(answer.status, answer.headers, answer.body, caller=self._caller)

    async def _started(self) -> Client:
        if self._starting is None:
            # Importing an SDK takes a second or more: not on the event loop, an editor may be waiting there.
            self._starting = asyncio.create_task(in_thread(self._make_client))
        try:
            return await asyncio.shield(self._starting)  # a call that is cancelled leaves it to the others
        except ImportError as error:
            raise ProviderSetupError(
                f"The packages that the provider {self.name} needs could not be loaded: {error}.",
                hint="Install them anew: pip install --upgrade 'osmosis-synthesize[all]'",
            ) from None

    def _parts(self, request: Request, *, streamed: bool = False) -> tuple[Part, ...]:
        refused = capabilities.rejected(self._endpoint.url, self.model)
        wanted: list[Part | None] = []
        if request.temperature is not None:
            wanted.append(capabilities.pick(("temperature",), refused))
        if request.max_tokens is not None:
            wanted.append(capabilities.pick(self.limit_names, refused))
        if request.schema is not None:
            wanted.append(capabilities.pick(self.format_names, refused))
        if streamed:
            wanted.append(capabilities.pick(("stream",), refused))
        return tuple(part for part in wanted if part is not None)

    def _read(self, answer: Answer, request: Request) -> Reply:
        status = answer.status
        if 200 <= status < 300:
            try:
                data: Any = json.loads(answer.body)
            except ValueError:
                data = None
            reply = self._reply(cast("dict[str, Any]", data)) if isinstance(data, dict) else None
            if reply is not None:
                return reply
            status = _status_inside(data)
            if status is None:
                kind = answer.headers.get("content-type", "")
                raise faults.no_reply(self._caller, kind, len(answer.body), expected=self.expected)
        if status == 400 and _FILTERED.search(answer.body):
            return Reply("", model=self.model, finish="refusal")
        prompt = [message.content for message in request.messages]
        raise faults.from_response(status, answer.headers, answer.body, caller=self._caller, prompt=prompt)


def answer_of(response: httpx2.Response) -> Answer:
    """A response that was read."""
    return Answer(response.status_code, dict(response.headers), response.text)


async def _events(response: httpx2.Response) -> AsyncGenerator[dict[str, Any]]:
    """The JSON objects of an answer that comes in pieces: server-sent events, or one object a line."""
    rest = b""
    async for data in response.aiter_bytes():
        # Not by the client's own lines: it takes characters for ends of lines that may stand in a JSON string.
        *lines, rest = (rest + data).split(b"\n")
        for event in filter(None, map(_event, lines)):
            yield event
    if event := _event(rest):
        yield event


def _event(line: bytes) -> dict[str, Any] | None:
    data = line.removeprefix(b"data:").strip()
    if data == b"[DONE]":
        return {DONE: True}
    try:
        found: Any = json.loads(data)
    except ValueError:  # the name of an event, a comment, a blank line
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _encodable(request: Request) -> Request:
    """The request without lone surrogates, which are no text to JSON in UTF-8; files can hold such."""
    contents = [message.content.encode("utf-8", "replace").decode("utf-8") for message in request.messages]
    if all(content == message.content for content, message in zip(contents, request.messages, strict=True)):
        return request
    pairs = zip(request.messages, contents, strict=True)
    return replace(request, messages=tuple(replace(message, content=content) for message, content in pairs))


def _status_inside(data: Any) -> int | None:
    """The status that an error object in a 200's body stands for (OpenRouter's, for one); ``None`` if there is none."""
    error: Any = cast("dict[str, Any]", data).get("error") if isinstance(data, dict) else None
    if not error:
        return None
    code: Any = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def child(data: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under ``key``; empty where there is none."""
    value = data.get(key)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def text(data: dict[str, Any], key: str) -> str:
    """The string under ``key``; empty where there is none."""
    value = data.get(key)
    return value if isinstance(value, str) else ""


def count(data: dict[str, Any], key: str) -> int:
    """The number of tokens under ``key``; 0 where there is none."""
    value = data.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def json_lines(body: str) -> list[dict[str, Any]]:
    """The objects of a text with one on each line; lines that hold none are left out."""
    found: list[dict[str, Any]] = []
    for line in body.split("\n"):
        try:
            data: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict):
            found.append(cast("dict[str, Any]", data))
    return found


def joined_texts(parts: Any) -> str:
    """The texts of a list of parts ``{"type": "text", "text": …}``; other parts (thoughts, …) say nothing to us."""
    if not isinstance(parts, list):
        return ""
    found = [cast("dict[str, Any]", part) for part in cast("list[Any]", parts) if isinstance(part, dict)]
    return "".join(text(part, "text") for part in found if part.get("type", "text") == "text")
