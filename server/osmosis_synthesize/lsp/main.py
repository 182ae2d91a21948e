"""``osmosis-lsp``: the language server on standard input and output, or on a TCP port."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from osmosis_synthesize import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one client until it leaves. Exit code 0 after an orderly end, 1 if the client just went away."""
    parser = argparse.ArgumentParser(prog="osmosis-lsp", description="Describes dbt columns where you read them.")
    parser.add_argument("--version", action="version", version=f"osmosis-lsp {__version__}")
    parser.add_argument("--stdio", action="store_true", help="speak on standard input and output (the default)")
    parser.add_argument("--tcp", metavar="HOST:PORT", type=_address, help="wait for one client on this address")
    options = parser.parse_args(arguments)

    from osmosis_synthesize.lsp.protocol import Protocol
    from osmosis_synthesize.lsp.server import make_server

    server, _ = make_server()
    if options.tcp is not None:
        server.start_tcp(*options.tcp)
    else:
        server.start_io()
    protocol = server.protocol
    assert isinstance(protocol, Protocol)
    return 0 if protocol.was_shut_down else 1


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


if __name__ == "__main__":
    raise SystemExit(main())
