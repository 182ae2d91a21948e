"""What pygls does under stress and we do otherwise. Each remedy is one method; each has a test that fails without it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import JsonRPCResponseMessage, LanguageServerProtocol

from osmosis_synthesize.errors import OsmosisError
from osmosis_synthesize.lsp.client import abilities_of
from osmosis_synthesize.lsp.messages import PROTOCOL_VERSION, Plain
from osmosis_synthesize.lsp.tracing import Trace

if TYPE_CHECKING:
    from cattrs import Converter
    from pygls.lsp.server import LanguageServer

Command = Callable[[list[Any]], Awaitable[Any]]


class Json(NamedTuple):
    """A result, or the parameters of a notification, that are JSON already."""

    pieces: tuple[str, ...]


class RequestFailed(JsonRpcException):
    """A request that makes sense could not be done; the message says why, for the user."""

    CODE = types.LSPErrorCodes.RequestFailed.value


# Of open texts pygls would keep a second copy, broken into lines at U+2028 too, so that edits land in the wrong place.
_OUR_OWN: Final = (
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
)


def _heard(answer: asyncio.Future[Any]) -> None:
    """Nobody may be waiting for an answer any more, and then an error in it is none of anybody's."""
    if not answer.cancelled():
        answer.exception()


class Protocol(LanguageServerProtocol):
    """The language server protocol over our own texts, with requests that can be cancelled and always get an answer."""

    was_shut_down = False
    """Whether the client has asked for an orderly end."""

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        """Take over what pygls's own handlers do wrong."""
        super().__init__(server, converter)
        # Of what a client answers to requests of ours pygls would make named tuples, which are no objects to anybody else.
        converter.register_structure_hook(JsonRPCResponseMessage, lambda answer, kind: kind(**answer))
        converter.register_unstructure_hook(Plain, lambda message: message)
        self._features: Any = self.fm  # whose members have no types
        builtin: dict[str, Any] = self._features.builtin_features
        for method in _OUR_OWN:
            del builtin[method]
        builtin[types.INITIALIZE] = self._initialize
        builtin[types.WORKSPACE_EXECUTE_COMMAND] = self._execute_command
        builtin[types.SHUTDOWN] = self._shut_down
        builtin[types.SET_TRACE] = self._set_trace
        self.tracing = Trace(self.notify)

    def _initialize(self, params: types.InitializeParams) -> Generator[Any, Any, types.InitializeResult]:
        """Say which version of our own messages is spoken, before anything else is."""
        result = yield from self.lsp_initialize(params)
        if not abilities_of(params.capabilities, None).pull_diagnostics:
            result.capabilities.diagnostic_provider = None  # they are sent, and would be shown twice
        result.capabilities.experimental = {"osmosis": {"protocolVersion": PROTOCOL_VERSION}}
        return result

    async def _execute_command(self, params: types.ExecuteCommandParams) -> Any:
        """Run a command as what it is, a request: ``$/cancelRequest`` stops it, and it is answered whatever happens.

        pygls starts a second future for the command, which a cancellation never reaches.
        """
        commands: dict[str, Command] = self._features.commands
        if params.command not in commands:
            raise JsonRpcInvalidParams(f"There is no command {params.command!r}.")
        arguments = list(params.arguments or ())
        try:
            # Some clients say so where they have no argument to give.
            return await commands[params.command]([] if arguments == [None] else arguments)
        except OsmosisError as error:
            raise RequestFailed(str(error)) from error

    def _shut_down(self, _: object) -> None:
        """Cancel what is under way. pygls changes the very dictionary it walks through."""
        handler = self._features.features.get(types.SHUTDOWN)
        if handler is not None:
            handler(None)
        this = self.msg_id
        for msg_id, future in list(self._request_futures.items()):
            if msg_id != this and not future.done():
                future.cancel()
        self.was_shut_down = self._shutdown = True

    def _set_trace(self, params: types.SetTraceParams) -> None:
        self.tracing.set(params.value)

    def _execute_handler(self, msg_id: str | int, *args: Any, **kwargs: Any) -> None:
        """Keep the future of what is handled only for as long as that takes; pygls keeps those of notifications for ever."""
        super()._execute_handler(msg_id, *args, **kwargs)
        future = self._request_futures.get(msg_id)
        if future is not None:
            future.add_done_callback(lambda _: self._request_futures.pop(msg_id, None))

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Read a message that leaves out ``params``, as one without any may; answer a request that cannot be read.

        pygls takes the former for an error, and does not answer the latter.
        """
        if "jsonrpc" not in data or "method" not in data:
            return super().structure_message(data)
        try:
            return super().structure_message({"params": None} | data)
        except JsonRpcException as error:
            if "id" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise

    def _handle_request(self, msg_id: str | int, method_name: str, params: Any) -> None:
        self.tracing.received(method_name, params, msg_id)
        super()._handle_request(msg_id, method_name, params)

    def _handle_notification(self, method_name: str, params: Any) -> None:
        self.tracing.received(method_name, params)
        super()._handle_notification(method_name, params)

    def _send_response(
        self, msg_id: str | int, result: Any | None = None, error: types.ResponseError | None = None
    ) -> None:
        super()._send_response(msg_id, result, error)
        self.tracing.answered(msg_id, error)

    def _send_data(self, data: Any) -> None:
        """Send what is JSON already as it is: to make thousands of objects of the protocol, and JSON of these, takes long."""
        name = "result" if hasattr(data, "result") else "params"
        ready = getattr(data, name, None)
        if not isinstance(ready, Json) or self.writer is None:
            super()._send_data(data)
            return
        what = {"id": data.id} if name == "result" else {"method": data.method}
        envelope = json.dumps({"jsonrpc": self.VERSION} | what)
        pieces = [piece.encode() for piece in (envelope[:-1], f', "{name}": ', *ready.pieces, "}")]
        header = b"Content-Length: %d\r\n\r\n" % sum(map(len, pieces))
        self.writer.write(b"".join((header, *pieces)))  # many bytes, copied no more often than they must

    def _serialize_message(self, data: Any) -> Any:
        """Make something of any value: what cannot become JSON would never be answered."""
        try:
            return super()._serialize_message(data)
        except AttributeError:
            return str(data)

    async def ask(self, method: str, params: object, *, cancellable: bool = False) -> Any:
        """Send a request to the client and wait for its answer.

        The wait may be cancelled or time out. If the request is ``cancellable``, the client is then told that nobody waits
        any more; otherwise it is left alone. Its answer still comes in either case.

        Raises:
            JsonRpcException: the client refused.
        """
        msg_id = str(uuid.uuid4())
        answer = asyncio.wrap_future(self.send_request(method, params, msg_id=msg_id))
        answer.add_done_callback(_heard)
        self.tracing.sent(method)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if cancellable and not answer.done():
                self.notify(types.CANCEL_REQUEST, types.CancelParams(msg_id))
            raise
