"""Several processes that trace side by side.

They are started as commands of their own and spoken to through pipes. ``multiprocessing`` would run the main module of
whoever uses this package once more in each of them, and unpickle what they say.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

import msgspec

from osmosis_synthesize.manifest.lineage.cache import code_version
from osmosis_synthesize.manifest.lineage.task import Setting, Solved, Task
from osmosis_synthesize.manifest.lineage.worker import Hello, receive, send

MOST: Final = 8
"""Processes; each takes some 60 MB."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Solved]).decode

_Process = subprocess.Popen[bytes]


class WorkerLost(Exception):
    """A worker ended, or answers nonsense: whoever asked has to do the work."""


def useful_workers() -> int:
    """How many processes can work at the same time here; 1 where no other one should be started."""
    if not sys.executable or getattr(sys, "frozen", False):
        return 1  # what would be started is not Python but the program that holds it
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, MOST)


class Workers:
    """Processes that solve the tasks of one project. As a context manager: none is left at its end."""

    def __init__(self, count: int, setting: Setting) -> None:
        self.count: Final = count
        self.is_whole = True
        """False once a worker was lost; no task is taken any more."""
        self._setting: Final = setting
        self._processes: Final = list[_Process]()
        self._idle: Final = SimpleQueue[_Process]()
        self._greeted: Final = set[int]()
        self._threads: Final = ThreadPoolExecutor(count, thread_name_prefix="lineage")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()  # it holds nothing that could be lost, and may be in the middle of a long query
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what could not be written any more
                    if pipe is not None:
                        pipe.close()

    def submit(self, tasks: Sequence[Task]) -> Future[list[Solved]]:
        """Have some tasks solved, in order. The result raises :class:`WorkerLost` if they are not.

        The first call starts the processes.
        """
        if not self._processes and self.is_whole:
            self._start()
        return self._threads.submit(self._ask, tasks)

    def _ask(self, tasks: Sequence[Task]) -> list[Solved]:
        if not self.is_whole:
            raise WorkerLost
        process = self._idle.get()  # there are as many threads as processes
        try:
            solved = self._exchange(process, _encode(tasks))
        except (
            OSError,
            OverflowError,
            TypeError,
            ValueError,
        ) as error:  # it is gone; something cannot be written down
            self.is_whole = False
            raise WorkerLost from error
        finally:
            self._idle.put(process)
        if len(solved) != len(tasks):
            self.is_whole = False
            raise WorkerLost
        return solved

    def _exchange(self, process: _Process, message: bytes) -> list[Solved]:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.pid not in self._greeted:
            self._greeted.add(process.pid)
            send(process.stdin, self._hello)
        send(process.stdin, message)
        answer = receive(process.stdout)
        return _decode(answer) if answer is not None else []

    def _start(self) -> None:
        try:
            for _ in range(self.count):
                self._processes.append(_start())
                self._idle.put(self._processes[-1])
        except OSError:
            self.is_whole = False

    @cached_property
    def _hello(self) -> bytes:
        return _encode(Hello(code_version(), self._setting))


def _start() -> _Process:
    return subprocess.Popen(
        # -P: a sqlglot.py in the working folder, which is the repository's, is not the one that is meant
        [sys.executable, "-P", "-m", "osmosis_synthesize.manifest.lineage.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process, which ends its workers
    )
