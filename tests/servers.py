"""A server for tests that speaks the providers' protocols on loopback, and fails in every way one asks it to.

It answers OpenAI's chat completions (also below Azure's paths), Anthropic's messages and Ollama's ``/api/chat``, records
each request, counts the tokens that it claims, and describes whatever the request's schema or words ask for::

    with FakeLLMServer() as server:
        server.script(rate_limited(retry_after=0.01), says("not JSON"))  # what the next requests get, in order
        ...  # server.url, server.requests, server.answered, server.input_tokens, server.output_tokens

By hand: ``python tests/servers.py --port 8080 --delay 0.2``.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from osmosis_synthesize.providers.base import ProviderConfig

Protocol = Literal["openai", "anthropic", "ollama"]
Behaviour = Literal["answer", "hang", "reset", "drip", "cut off"]


@dataclass(frozen=True)
class Recorded:
    """One request as it came in. Header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float

    @property
    def prompt(self) -> str:
        """All text of the request's messages."""
        return "\n".join(_texts(self.body))


@dataclass(frozen=True)
class Fault:
    """What one request gets instead of a plain answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""
    message: str = ""
    raw: str | None = None
    """The whole body, in place of what the protocol would say."""
    text: str | None = None
    """The reply's text, inside a proper answer."""
    finish: str = "stop"
    behaviour: Behaviour = "answer"
    seconds: float = 0.0


def rate_limited(retry_after: float | str | None = None, *, milliseconds: int | None = None) -> Fault:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if milliseconds is not None:
        headers["retry-after-ms"] = str(milliseconds)
    return Fault(429, headers, "rate_limit_exceeded", "Rate limit reached for requests")


def failing(status: int = 500) -> Fault:
    return Fault(status, code="server_error", message="The server had an error while processing your request")


def out_of_quota() -> Fault:
    return Fault(429, code="insufficient_quota", message="You exceeded your current quota, please check your plan.")


def wrong_key(key: str = "") -> Fault:
    return Fault(401, code="invalid_api_key", message=f"Incorrect API key provided: {key}.")


def redirect(to: str, status: int = 307) -> Fault:
    return Fault(status, {"Location": to}, raw="")


def refusing(message: str, *, status: int = 400, code: str = "invalid_request_error") -> Fault:
    return Fault(status, code=code, message=message)


def hang(seconds: float = 30.0) -> Fault:
    return Fault(behaviour="hang", seconds=seconds)


def drip(seconds: float = 0.05) -> Fault:
    """A good answer, one byte every so many seconds."""
    return Fault(behaviour="drip", seconds=seconds)


def reset_mid_body() -> Fault:
    return Fault(behaviour="reset")


def cut_off_body() -> Fault:
    """The connection ends in the middle of the body, without a reset."""
    return Fault(behaviour="cut off")


def raw(body: str, *, status: int = 200, content_type: str = "application/json") -> Fault:
    return Fault(status, {"Content-Type": content_type}, raw=body)


def says(text: str, *, finish: str = "stop") -> Fault:
    """A proper answer whose text is ``text``; ``finish``: ``stop``, ``length`` or ``refusal``."""
    return Fault(text=text, finish=finish)


class FakeLLMServer:
    """See the module's docstring. ``delay`` is how many seconds each answer takes; ``key`` the only key it takes.

    Of the first ``together`` requests none is answered before all of them have come.
    """

    def __init__(self, *, port: int = 0, delay: float = 0.0, key: str | None = None, together: int = 1) -> None:
        self.delay = delay
        self.key = key
        self.together = together
        self.requests: list[Recorded] = []
        self.answered = 0
        """How many requests got a good answer."""
        self.input_tokens = 0
        self.output_tokens = 0
        self.describe: Callable[[str], str] = made_up
        """The description of a column (or, for an empty name, of the table)."""
        self.before_piece: Callable[[int], object] = lambda _: None
        """Done before each piece, counted from 0, of an answer that comes in pieces."""
        self.first_request = threading.Event()
        self.closing = threading.Event()
        self._script: deque[Fault] = deque()
        self._always: Fault | None = None
        self._dislikes: dict[str, str] = {}
        self._seen: set[str] = set()
        self._active = 0
        self._at_once: list[int] = []
        self.dripped = 0
        """How many bytes were dripped."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._connections: set[socket.socket] = set()
        self.lost_a_client = False
        """Whether one was gone when more was to be sent to it."""
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.fake = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="fake-llm")

    @property
    def port(self) -> int:
        return self._http.server_address[1]

    @property
    def url(self) -> str:
        """The root: OpenAI's base URL is ``url + "/v1"``, the others' is this."""
        return f"http://127.0.0.1:{self.port}"

    def most_at_once(self, after: int = 0) -> int:
        """How many requests were under way at once at most, not counting the first ``after`` requests."""
        return max(self._at_once[after:], default=0)

    def script(self, *faults: Fault | None) -> None:
        """What the next requests get, in this order; ``None`` is a plain answer. Afterwards all get plain ones."""
        self._script.extend(fault or Fault() for fault in faults)

    def always(self, fault: Fault | None) -> None:
        """What each request gets that no script is left for."""
        self._always = fault

    def dislike(self, part: str, message: str | None = None) -> None:
        """Refuse, with 400, each request whose body has ``part`` anywhere: ``temperature``, ``json_schema``, …"""
        self._dislikes[part] = message or f"Unsupported parameter: '{part}' is not supported with this model."

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        with self._lock:
            for connection in self._connections:
                _shut(connection)
        self._http.server_close()
        self._thread.join()

    def take(self, recorded: Recorded) -> Fault:
        """Record a request and say what it gets."""
        with self._lock:
            self.requests.append(recorded)
            self.first_request.set()
            self._changed.notify_all()
            if self.key is not None and _key(recorded.headers) != self.key:
                return wrong_key(_key(recorded.headers))
            sent = json.dumps(recorded.body)
            for part, message in self._dislikes.items():
                if f'"{part}"' in sent:
                    return refusing(message)
            if self._script:
                return self._script.popleft()
            return self._always or Fault()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that requests, or bytes that are dripped, bring about."""
        with self._changed:
            assert self._changed.wait_for(condition, 60)

    @property
    def dripping(self) -> bool:
        """Whether what requests get is dripped."""
        return self._always is not None and self._always.behaviour == "drip"

    @property
    def hung_up(self) -> bool:
        """Whether a client has closed a connection on which it still had something to come."""
        with self._lock:
            return self.lost_a_client or any(_is_closed(connection) for connection in self._connections)

    def wait_for_hang_up(self) -> bool:
        """Until that is so, for a minute at most."""
        until = time.monotonic() + 60
        while not self.hung_up and time.monotonic() < until:
            self.closing.wait(0.02)
        return self.hung_up

    def drip(self) -> None:
        with self._changed:
            self.dripped += 1
            self._changed.notify_all()

    def count(self, usage: tuple[int, int]) -> None:
        with self._lock:
            self.answered += 1
            self.input_tokens += usage[0]
            self.output_tokens += usage[1]

    def enter(self, by: int) -> None:
        with self._lock:
            self._active += by
            if by > 0:
                self._at_once.append(self._active)

    def keep(self, connection: socket.socket, *, still: bool) -> None:
        with self._lock:
            (self._connections.add if still else self._connections.discard)(connection)

    def cached(self, prefix: str) -> int:
        """How many tokens of ``prefix`` this server has cached; it has them from now on."""
        with self._lock:
            known = prefix in self._seen
            self._seen.add(prefix)
        return tokens(prefix) if known else 0


BASE_PATHS = {"openai": "/v1", "openai-compatible": "/v1", "azure": "", "anthropic": "", "ollama": ""}
"""Below a server's ``url``, by the providers' names."""


def config_for(server: FakeLLMServer, name: str, **changes: Any) -> ProviderConfig:
    """The configuration of a provider that speaks to ``server``, with waits that are quick."""
    from osmosis_synthesize.providers.base import ProviderConfig
    from osmosis_synthesize.secret import Secret

    values: dict[str, Any] = {
        "name": name,
        "model": f"{name}-model",
        "api_key": Secret("tests0123456789abc", origin="A_TEST"),
        "base_url": server.url + BASE_PATHS[name],
        "retry_wait": 0.01,
        "timeout": 60.0,
        "max_retries": 2,
    }
    return ProviderConfig(**values | changes)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 256
    fake: FakeLLMServer

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is part of the tests."""
        if isinstance(sys.exception(), ConnectionError):
            self.fake.lost_a_client = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True
    _inside = False

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def setup(self) -> None:
        super().setup()
        self.server.fake.keep(self.connection, still=True)

    def finish(self) -> None:
        self.server.fake.keep(self.connection, still=False)
        super().finish()

    def do_GET(self) -> None:
        self._send(200, {}, "fake LLM server\n", content_type="text/plain")

    def do_POST(self) -> None:
        fake = self.server.fake
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        recorded = Recorded(self.path, headers, json.loads(data or b"{}"), time.monotonic())
        fault = fake.take(recorded)
        fake.enter(1)
        self._inside = True
        try:
            fake.wait_until(lambda: len(fake.requests) >= fake.together)
            self._answer(recorded, fault)
        finally:
            self._leave()

    def _leave(self) -> None:
        """Before the answer leaves: a client that has it may ask again at once."""
        if self._inside:
            self._inside = False
            self.server.fake.enter(-1)

    def _answer(self, recorded: Recorded, fault: Fault) -> None:
        fake = self.server.fake
        protocol = _protocol(recorded.path)
        if protocol is None:
            self._send(404, {}, json.dumps({"error": {"message": f"no such path: {recorded.path}"}}))
            return
        if fake.delay and fake.closing.wait(fake.delay):
            return
        if fault.behaviour == "hang":
            fake.closing.wait(fault.seconds)
            self.close_connection = True
            return
        if fault.raw is not None or fault.status != 200:
            self._send(fault.status, fault.headers, _error(protocol, fault) if fault.raw is None else fault.raw)
            return
        text = fault.text if fault.text is not None else self._describe(recorded)
        payload, usage = _reply(protocol, recorded, text, fault.finish, fake)
        if recorded.body.get("stream"):
            if fault.behaviour == "answer":
                fake.count(usage)
            self._stream(fault, pieces_of(protocol, payload, recorded.body), ndjson=protocol == "ollama")
            return
        body = json.dumps(payload)
        if fault.behaviour != "answer":
            self._misbehave(fault, body.encode())
            return
        fake.count(usage)
        self._send(200, {}, body)

    def _describe(self, recorded: Recorded) -> str:
        schema = _schema(recorded.body)
        describe = self.server.fake.describe
        if schema is not None:
            return json.dumps(fill(schema, describe), ensure_ascii=False)
        names = asked_in_words(_texts(recorded.body)[-1])
        if names is None:
            return describe("")
        columns = [{"name": name, "description": describe(name)} for name in names]
        return json.dumps({"description": describe(""), "columns": columns}, ensure_ascii=False)

    def _misbehave(self, fault: Fault, body: bytes) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault.behaviour == "drip":
            for place in range(len(body)):
                self.wfile.write(body[place : place + 1])
                self.server.fake.drip()
                if self.server.fake.closing.wait(fault.seconds):
                    return
            return
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        if fault.behaviour == "reset":
            # Closing with a lingering time of 0 sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _stream(self, fault: Fault, pieces: list[str], *, ndjson: bool) -> None:
        """An answer in pieces; one that is cut off ends behind half of them."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson" if ndjson else "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, piece in enumerate(pieces):
            if fault.behaviour in {"cut off", "reset"} and number == len(pieces) // 2:
                self.close_connection = True
                if fault.behaviour == "cut off":
                    break  # in good order, as from a proxy that has had enough
                return
            self.server.fake.before_piece(number)
            if number == len(pieces) - 1:
                self._leave()
            self._chunk(piece.encode())
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _send(
        self, status: int, headers: dict[str, str], body: str, *, content_type: str = "application/json"
    ) -> None:
        data = body.encode()
        self._leave()
        self.send_response(status)
        for name, value in {"Content-Type": content_type, **headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def made_up(name: str) -> str:
    return f"Made up for tests: {name.replace('_', ' ')}." if name else "Made up for tests: one row per thing."


def tokens(text: str) -> int:
    """How many tokens this server claims ``text`` to be."""
    return -(-len(text) // 4)


def fill(schema: dict[str, Any], describe: Callable[[str], str], name: str = "") -> Any:
    """A value that follows ``schema``, with a description for each name that it asks for."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {key: fill(inner, describe, name) for key, inner in schema.get("properties", {}).items()}
        case "array":
            items = schema.get("items", {})
            names = items.get("properties", {}).get("name", {}).get("enum")
            if names is None:
                return [fill(items, describe)]
            return [fill(items, describe, each) | {"name": each} for each in names]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case _:
            return describe(name)


def asked_in_words(text: str) -> list[str] | None:
    """The columns that a prompt asks for in words; ``None`` where it asks for none."""
    if match := re.search(r"these \d+ columns: (.+?)\.\s*(?:$|\n)", text):
        return match[1].split(", ")
    if match := re.search(r"the column (.+?)\.\s*(?:$|\n)", text):
        return [match[1]]
    return [] if "itself." in text else None


def _protocol(path: str) -> Protocol | None:
    path = path.partition("?")[0]
    if path.endswith("/chat/completions"):
        return "openai"
    if path.endswith("/v1/messages"):
        return "anthropic"
    return "ollama" if path.endswith("/api/chat") else None


def _key(headers: dict[str, str]) -> str:
    return (
        headers.get("authorization", "").removeprefix("Bearer ")
        or headers.get("x-api-key", "")
        or headers.get("api-key", "")
    )


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The schema a request holds: in its protocol's place, else in the words of its last message."""
    asked = body.get("response_format", {}).get("json_schema", {}).get("schema")
    asked = asked or body.get("output_config", {}).get("format", {}).get("schema")
    if asked is None and isinstance(body.get("format"), dict):
        asked = body["format"]
    if asked is None and "JSON schema: " in (last := _texts(body)[-1]):
        asked = json.JSONDecoder().raw_decode(last.rpartition("JSON schema: ")[2])[0]
    return asked


def _texts(body: dict[str, Any]) -> list[str]:
    """The text of each message, the system's first."""
    found: list[str] = []
    messages = [{"content": body["system"]}] if body.get("system") else []
    for message in [*messages, *body.get("messages", [])]:
        content = message["content"]
        found.append(content if isinstance(content, str) else "\n".join(part["text"] for part in content))
    return found or [""]


def _error(protocol: Protocol, fault: Fault) -> str:
    if protocol == "ollama":
        return json.dumps({"error": fault.message})
    if protocol == "anthropic":
        return json.dumps({"type": "error", "error": {"type": fault.code, "message": fault.message}})
    return json.dumps({"error": {"message": fault.message, "type": fault.code, "code": fault.code, "param": None}})


def _reply(
    protocol: Protocol, recorded: Recorded, text: str, finish: str, fake: FakeLLMServer
) -> tuple[dict[str, Any], tuple[int, int]]:
    body = recorded.body
    asked = tokens(recorded.prompt)
    said = tokens(text)
    model = body.get("model", "fake")
    cached = fake.cached("\n".join(_texts(body)[:-1]))
    if protocol == "ollama":
        reply: dict[str, Any] = {
            "model": model,
            "message": {"role": "assistant", "content": text},
            "done": True,
            "done_reason": "length" if finish == "length" else "stop",
            "prompt_eval_count": asked,
            "eval_count": said,
        }
        return reply, (asked, said)
    if protocol == "anthropic":
        marked = "cache_control" in json.dumps(body)
        read = cached if marked else 0
        written = tokens("\n".join(_texts(body)[:-1])) - read if marked else 0
        reply = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_reason": {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}[finish],
            "usage": {
                "input_tokens": asked - read - written,
                "cache_read_input_tokens": read,
                "cache_creation_input_tokens": written,
                "output_tokens": said,
            },
        }
        return reply, (asked, said)
    message = {"role": "assistant", "content": text, "refusal": None}
    if finish == "refusal":
        message = {"role": "assistant", "content": None, "refusal": text}
    reply = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "length" if finish == "length" else "stop"}],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
            "prompt_tokens_details": {"cached_tokens": min(cached, asked)},
        },
    }
    return reply, (asked, said)


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed it; nothing is taken from what it has sent."""
    readable, _, _ = select.select([connection], [], [], 0)
    try:
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def pieces_of(protocol: Protocol, payload: dict[str, Any], body: dict[str, Any]) -> list[str]:
    """What a whole answer says, in the pieces in which it would have come."""

    def cut(text: str) -> list[str]:
        return [text[at : at + 7] for at in range(0, len(text), 7)]

    if protocol == "ollama":
        said = payload["message"]["content"]
        events = [{"message": {"role": "assistant", "content": piece}, "done": False} for piece in cut(said)]
        return [json.dumps(event) + "\n" for event in [*events, payload | {"message": {"content": ""}}]]
    if protocol == "anthropic":
        usage = payload["usage"]
        begun = payload | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
        said = "".join(part["text"] for part in payload["content"])
        named = [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
                for piece in cut(said)
            ),
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": payload["stop_reason"], "stop_sequence": None},
                "usage": {"input_tokens": None, "output_tokens": usage["output_tokens"]},
            },
            {"type": "message_stop"},
        ]
        return [f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in named]
    (choice,) = payload["choices"]
    name = "refusal" if choice["message"]["refusal"] else "content"
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({name: piece}, None) for piece in cut(choice["message"][name])]
    deltas.append(({}, choice["finish_reason"]))
    common = {"id": payload["id"], "object": "chat.completion.chunk", "model": payload["model"]}
    chunks = [
        common | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}
        for delta, finish in deltas
    ]
    if body.get("stream_options", {}).get("include_usage"):
        chunks.append(common | {"choices": [], "usage": payload["usage"]})
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    return [": a comment\n\n", *(f"data: {line}\n\n" for line in lines), "data: [DONE]\n\n"]


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already


def main() -> int:
    import argparse

    parser = argparse.ArgumentParser(description="A server that answers like an LLM provider, for tests by hand.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each answer takes")
    parser.add_argument("--key", help="the only key to accept")
    options = parser.parse_args()
    with FakeLLMServer(port=options.port, delay=options.delay, key=options.key) as server:
        print(f"{server.url} (chat completions below /v1, messages, /api/chat); Ctrl-C ends it", flush=True)
        try:
            server.closing.wait()
        except KeyboardInterrupt:
            print(
                f"{len(server.requests)} requests, {server.answered} answered, "
                f"{server.input_tokens} tokens in, {server.output_tokens} out"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
