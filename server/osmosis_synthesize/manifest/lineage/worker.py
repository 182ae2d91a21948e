"""A process that traces what it is told on standard input, and answers on standard output.

Run as ``python -m osmosis_synthesize.manifest.lineage.worker`` by :mod:`.workers`. Messages are MessagePack, each
after its length as eight bytes. The first is a :class:`Hello`, each later one a list of tasks, answered by the list of
what they come to. The end of the input is the end of the process, so that none outlives its parent.
"""

from __future__ import annotations

import gc
import struct
import sys
from importlib import import_module
from typing import IO, Final

import msgspec

from osmosis_synthesize.manifest.lineage.task import Setting, Solved, Solver, Task

_LENGTH: Final = struct.Struct("<Q")


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """What a worker is told first."""

    code_version: str
    setting: Setting


def send(stream: IO[bytes], message: bytes) -> None:
    """Write one message.

    Raises:
        OSError: the other side is gone.
    """
    stream.write(_LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Read one message; ``None`` at the end.

    Raises:
        OSError: the other side is gone.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length: int = _LENGTH.unpack(head)[0]
    message = stream.read(length)
    return message if len(message) == length else None


def main() -> int:
    """Answer until the input ends. Exit code 1 if this is not the code that the other side runs."""
    from osmosis_synthesize.manifest.lineage.cache import code_version

    import_module("osmosis_synthesize.manifest.lineage.tracing")  # sqlglot loads while the first tasks are written
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whoever prints must not write between messages
    first = receive(source)
    if first is None:
        return 0
    hello = msgspec.msgpack.decode(first, type=Hello)
    if hello.code_version != code_version():
        return 1
    solver = Solver(hello.setting)
    encode = msgspec.msgpack.Encoder().encode
    decode = msgspec.msgpack.Decoder(list[Task]).decode
    # A parsed query is thousands of objects in cycles. Collecting them once a message, with all that was imported set
    # aside, is a quarter faster than whenever Python's counters say so.
    gc.disable()
    gc.freeze()
    while (message := receive(source)) is not None:
        solved: list[Solved] = [solver.solve(task) for task in decode(message)]
        send(answers, encode(solved))
        gc.collect()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
