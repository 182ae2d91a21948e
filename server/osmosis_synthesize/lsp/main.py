"""``osmosis-lsp``: the language server on standard input and output, or on a TCP port."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from osmosis_synthesize import __version__

if TYPE_CHECKING:
    import asyncio

    from pygls.lsp.server import LanguageServer

_CHUNK: Final = 65536
"""Bytes; what a pipe holds on most systems."""

_TURN: Final = 0.001
"""Seconds, a fifth of what Python has by itself, after which the worker lets the event loop go on: somebody is typing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one client until it leaves.

    The exit code is 0 after an orderly end, 1 if the client just went away, and 128 and its number after a signal.
    """
    parser = argparse.ArgumentParser(prog="osmosis-lsp", description="Describes dbt columns where you read them.")
    parser.add_argument("--version", action="version", version=f"osmosis-lsp {__version__}")
    parser.add_argument("--stdio", action="store_true", help="speak on standard input and output (the default)")
    parser.add_argument("--tcp", metavar="HOST:PORT", type=_address, help="wait for one client on this address")
    options = parser.parse_args(arguments)

    import asyncio

    from osmosis_synthesize.lsp.protocol import Protocol
    from osmosis_synthesize.lsp.server import make_server

    server, _ = make_server()
    sys.setswitchinterval(_TURN)
    try:
        asyncio.run(_serve(server, options.tcp))
    except SystemExit:
        pass  # how pygls answers `exit`
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    protocol = server.protocol
    assert isinstance(protocol, Protocol)
    return 0 if protocol.was_shut_down else 1


async def _serve(server: LanguageServer, address: tuple[str, int] | None) -> None:
    """Until the client says so, or is gone. Whatever is under way then is cancelled, and so entered in the ledger."""
    import asyncio

    from pygls.io_ import run_async

    this = asyncio.current_task()
    assert this is not None
    with suppress(NotImplementedError):  # as on Windows, where a process is ended without being told
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    reader = _on_standard_streams(server) if address is None else await _on_port(server, *address)
    try:
        await run_async(threading.Event(), reader, server.protocol, error_handler=server.report_server_error)
    except asyncio.IncompleteReadError:
        pass  # the client went away in the middle of a message
    finally:
        assert server.protocol.writer is not None
        server.protocol.writer.close()


def _on_standard_streams(server: LanguageServer) -> asyncio.StreamReader:
    """Read and write there.

    pygls would read in a thread for which the process waits at its end, as long as the client keeps the pipe open.
    """
    import asyncio

    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()

    def pump() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            while data := os.read(source, _CHUNK):
                loop.call_soon_threadsafe(reader.feed_data, data)
            loop.call_soon_threadsafe(reader.feed_eof)

    source = sys.stdin.fileno()
    server.protocol.set_writer(_Output(sys.stdout.fileno()))
    sys.stdout = sys.stderr  # whatever a library prints must not get between the messages
    threading.Thread(target=pump, name="osmosis-reader", daemon=True).start()
    return reader


async def _on_port(server: LanguageServer, host: str, port: int) -> asyncio.StreamReader:
    """Wait for one client, and take no other."""
    import asyncio

    connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    connected = asyncio.get_running_loop().create_future()

    def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if connected.done():
            writer.close()
        else:
            connected.set_result((reader, writer))

    try:
        listener = await asyncio.start_server(connect, host, port)
    except OSError as error:
        sys.stderr.write(
            f"osmosis-lsp: {host}:{port} cannot be listened on: {error.strerror}. Choose another address.\n"
        )
        raise SystemExit(1) from None
    reader, writer = await connected
    listener.close()
    server.protocol.set_writer(writer)  # pyright: ignore[reportArgumentType]  # as pygls itself does: `write` gives nothing to await
    return reader


class _Output:
    """Standard output. A client that has stopped reading is no error: that it is gone will be seen on the other stream."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: Final = descriptor

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        with suppress(BrokenPipeError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Nothing is held back."""


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


if __name__ == "__main__":
    raise SystemExit(main())
