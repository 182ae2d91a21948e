"""A language server in this process, for tests that look inside it."""

from __future__ import annotations

import json
from typing import Any

from lsp_editor import Editor
from osmosis_synthesize.lsp.server import make_server


class Wired:
    """An initialized server, its memory, and all that it writes."""

    def __init__(self, **params: Any) -> None:
        self.server, self.session = make_server()
        self.messages: list[dict[str, Any]] = []
        self.server.protocol.set_writer(self)
        initialize = {"processId": None, "rootUri": None, "capabilities": {}}
        self.request(1, "initialize", initialize | params)

    def write(self, data: bytes) -> None:
        self.messages.append(json.loads(data.partition(b"\r\n\r\n")[2]))

    def close(self) -> None:
        """Nothing is open."""

    def notify(self, method: str, params: Any) -> None:
        self._handle({"method": method, "params": params})

    def request(self, msg_id: int, method: str, params: Any) -> None:
        self._handle({"id": msg_id, "method": method, "params": params})

    async def answer(self, msg_id: int) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((message for message in self.messages if message.get("id") == msg_id), None)

        return await Editor().until(found)

    def answer_with(self, msg_id: str, result: Any) -> None:
        """Answer a request of the server's."""
        self._handle({"id": msg_id, "result": result})

    async def quiet(self) -> None:
        """Until no task of the server's is left."""
        await Editor().until(lambda: not len(self.session.jobs))

    def _handle(self, message: dict[str, Any]) -> None:
        protocol = self.server.protocol
        text = json.dumps({"jsonrpc": "2.0"} | message)
        protocol.handle_message(json.loads(text, object_hook=protocol.structure_message))
