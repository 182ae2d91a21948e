"""The batch APIs of OpenAI and Anthropic on loopback, over the answers of :class:`servers.FakeLLMServer`.

A batch is done once :meth:`BatchServer.finish` was called. Facts about the APIs: https://platform.openai.com/docs/api-reference/batch
and https://platform.claude.com/docs/en/api/creating-message-batches.
"""

from __future__ import annotations

import json
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from servers import FakeLLMServer, Recorded, _reply, _schema, fill


class BatchServer:
    """Both APIs. ``url`` is the root."""

    def __init__(self) -> None:
        self.batches: dict[str, list[dict[str, Any]]] = {}
        """The requests of each batch: ``custom_id`` and ``body``."""
        self.finished: set[str] = set()
        self.refused: set[str] = set()
        """Keys of requests that get an error in place of a reply."""
        self.refuse_everything: str | None = None
        """What a batch that is handed in gets."""
        self.keys: set[str] = set()
        """The keys of the user that came with requests."""
        self.texts = FakeLLMServer()
        self._files: dict[str, bytes] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.ours = self  # type: ignore[attr-defined]
        self._thread = Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """All requests of all batches."""
        return [request for batch in self.batches.values() for request in batch]

    def finish(self) -> None:
        """Answer all batches."""
        self.finished = set(self.batches)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self.texts._http.server_close()

    def take_file(self, data: bytes) -> str:
        name = f"file-{len(self._files)}"
        self._files[name] = data
        return name

    def take(self, requests: list[dict[str, Any]], prefix: str) -> str:
        name = f"{prefix}_{len(self.batches)}"
        self.batches[name] = requests
        return name

    def file(self, name: str) -> bytes:
        return self._files[name]

    def answer(self, protocol: Any, body: dict[str, Any]) -> dict[str, Any]:
        recorded = Recorded("", {}, body, time.monotonic())
        schema = _schema(body)
        assert schema is not None
        text = json.dumps(fill(schema, self.texts.describe), ensure_ascii=False)
        return _reply(protocol, recorded, text, "stop", self.texts)[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    @property
    def ours(self) -> BatchServer:
        return self.server.ours  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self._note_key()
        if self.ours.refuse_everything is not None:
            self._send({"error": {"message": self.ours.refuse_everything, "type": "invalid_request_error"}}, 400)
        elif self.path == "/v1/files":
            boundary = re.search(r"boundary=(\S+)", self.headers["Content-Type"])
            assert boundary is not None
            parts = data.split(b"--" + boundary[1].encode())
            assert any(b'name="purpose"' in part and part.strip().endswith(b"batch") for part in parts)
            (content,) = (part for part in parts if b'name="file"' in part)
            name = self.ours.take_file(content.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
            self._send({"id": name, "object": "file", "purpose": "batch", "status": "processed"})
        elif self.path == "/v1/batches":
            asked = json.loads(data)
            assert (asked["endpoint"], asked["completion_window"]) == ("/v1/chat/completions", "24h")
            lines = [json.loads(line) for line in self.ours.file(asked["input_file_id"]).splitlines()]
            assert all((line["method"], line["url"]) == ("POST", "/v1/chat/completions") for line in lines)
            name = self.ours.take([{"custom_id": line["custom_id"], "body": line["body"]} for line in lines], "batch")
            self._send(self._openai(name))
        else:
            assert self.path == "/v1/messages/batches"
            asked = [{"custom_id": one["custom_id"], "body": one["params"]} for one in json.loads(data)["requests"]]
            assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one["custom_id"]) for one in asked)
            self._send(self._anthropic(self.ours.take(asked, "msgbatch")))

    def do_GET(self) -> None:
        self._note_key()
        match self.path.strip("/").split("/"):
            case ["v1", "batches", name]:
                self._send(self._openai(name))
            case ["v1", "files", name, "content"]:
                self._send_text(self._openai_lines(name))
            case ["v1", "messages", "batches", name]:
                self._send(self._anthropic(name))
            case ["v1", "messages", "batches", name, "results"]:
                self._send_text(self._anthropic_lines(name))
            case _:
                self._send({"error": {"message": f"no {self.path}"}}, 404)

    def _openai(self, name: str) -> dict[str, Any]:
        requests = self.ours.batches[name]
        done = name in self.ours.finished
        failed = sum(request["custom_id"] in self.ours.refused for request in requests)
        counts = {"total": len(requests), "completed": (len(requests) - failed) * done, "failed": failed * done}
        return {
            "id": name,
            "object": "batch",
            "status": "completed" if done else "in_progress",
            "output_file_id": f"out-{name}" if done else None,
            "error_file_id": f"err-{name}" if done and failed else None,
            "request_counts": counts,
        }

    def _openai_lines(self, file: str) -> str:
        kind, _, name = file.partition("-")
        lines: list[dict[str, Any]] = []
        for request in self.ours.batches[name]:
            refused = request["custom_id"] in self.ours.refused
            if refused and kind == "err":
                error = {"status_code": 400, "body": {"error": {"message": "The prompt is too long."}}}
                lines.append({"custom_id": request["custom_id"], "response": error, "error": None})
            elif not refused and kind == "out":
                reply = self.ours.answer("openai", request["body"])
                response = {"status_code": 200, "request_id": "r", "body": reply}
                lines.append({"custom_id": request["custom_id"], "response": response, "error": None})
        return "\n".join(map(json.dumps, reversed(lines)))

    def _anthropic(self, name: str) -> dict[str, Any]:
        requests = self.ours.batches[name]
        done = name in self.ours.finished
        failed = sum(request["custom_id"] in self.ours.refused for request in requests) * done
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended" if done else "in_progress",
            "request_counts": {
                "processing": 0 if done else len(requests),
                "succeeded": len(requests) - failed if done else 0,
                "errored": failed,
                "canceled": 0,
                "expired": 0,
            },
            # Not an address to be asked with a key.
            "results_url": "http://127.0.0.1:9/results" if done else None,
        }

    def _anthropic_lines(self, name: str) -> str:
        lines: list[dict[str, Any]] = []
        for request in self.ours.batches[name]:
            if request["custom_id"] in self.ours.refused:
                error = {
                    "type": "error",
                    "error": {"type": "invalid_request_error", "message": "The prompt is too long."},
                }
                result: dict[str, Any] = {"type": "errored", "error": error}
            else:
                result = {"type": "succeeded", "message": self.ours.answer("anthropic", request["body"])}
            lines.append({"custom_id": request["custom_id"], "result": result})
        return "\n".join(map(json.dumps, reversed(lines)))

    def _note_key(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ") or self.headers.get("X-Api-Key", "")
        self.ours.keys.add(given)

    def _send(self, value: dict[str, Any], status: int = 200) -> None:
        self._send_text(json.dumps(value), status, "application/json")

    def _send_text(self, text: str, status: int = 200, kind: str = "application/octet-stream") -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
