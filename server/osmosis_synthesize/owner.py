"""Which process holds something in a shared file, and whether that process is still there.

A process that was killed gives nothing back. Others must notice, and must not mistake a new process that
was given the same number for the old one: an owner is a process number together with the process's start
time, on one machine (more exactly: in one process namespace since one boot, so that containers sharing a
folder do not judge each other's numbers).
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

_DEAD_STATES = frozenset("ZXx")
"""Of ``/proc/PID/stat``: a zombie has ended, only its parent has not looked yet (proc(5))."""


class Owner(NamedTuple):
    """A process, named so that no other process of any machine has the same name."""

    machine: str
    pid: int
    started: str
    """When the process started, in the system's own unit; empty where the system does not tell."""


def this_process() -> Owner:
    """The owner that the running process is."""
    return _owner_of(os.getpid())  # by number, so that a forked child does not take itself for its parent


@cache
def _owner_of(pid: int) -> Owner:
    return Owner(_machine(), pid, _start_of(pid) or "")


def has_ended(owner: Owner) -> bool:
    """Whether ``owner`` is known to have ended.

    False where that cannot be told: on another machine, and on systems where a process cannot be asked about
    without harm (on Windows ``os.kill`` ends the process whatever the signal). There, leases run out instead.
    """
    if owner.machine != _machine():
        return False
    if owner.started:
        return _start_of(owner.pid) != owner.started
    if os.name != "posix":
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it exists and is another user's
    return False


@cache
def _machine() -> str:
    import platform  # not needed by a command that holds nothing

    boot = _read("/proc/sys/kernel/random/boot_id").strip()
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{platform.node()} {boot} {namespace}".strip()


def _start_of(pid: int) -> str | None:
    """The start time of a running process in clock ticks since boot; None if it has ended or nobody tells."""
    # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in _DEAD_STATES:
        return None
    return fields[19]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
