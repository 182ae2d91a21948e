"""``dbt parse``, run when the user asks for it: their own dbt, in the project's folder, beside everything else."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final

from lsprotocol import types

from osmosis_synthesize import own_dbt
from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.lsp import convert, updates
from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.messages import Parsed, ParseParams, argument, plain
from osmosis_synthesize.lsp.progress import Progress
from osmosis_synthesize.lsp.running import stoppable
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.workspace import Member
from osmosis_synthesize.settings.keys import reveals_secret

_LIMIT: Final = 600.0
"""Seconds after which it is stopped. The largest projects take two or three minutes without partial parsing."""

_GRACE: Final = 2.0
"""Seconds that it has to end in order, once it is asked to."""

_TAIL: Final = 20
"""Lines that the result has."""

_LONGEST_LINE: Final = 2_000
"""Characters. Nobody reads more in a log."""

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


async def parse(session: Session, arguments: list[Any]) -> Any:
    """Have dbt write the manifest anew, then read it. Cancelling the request stops dbt, and whatever it has started."""
    member = _member(session, argument(arguments, ParseParams).uri)
    command = _command(session.configuration.dbt_command)
    if member.parsing:
        raise UsageError(f"`dbt parse` is already running in {member.root}.")
    member.parsing = True
    return plain(await stoppable(session, "dbt parse", lambda run: _parse(session, run, member, command)))


def _member(session: Session, uri: str | None) -> Member:
    """The project that is meant.

    Raises:
        UsageError: there is none, or it is one of several.
    """
    if uri is None:
        members = list(session.workspace)
        if len(members) != 1:
            many = ", ".join(str(member.root) for member in members) or "none"
            raise UsageError(f"It is not clear which dbt project is meant; there are: {many}.", hint="Give a uri.")
        return members[0]
    path = convert.path_of(uri)
    # A folder may be given too: what lies below it has the same project.
    member = session.workspace.member_of(path / "_" if path.is_dir() else path) if path is not None else None
    if member is None:
        raise UsageError(f"{uri} belongs to no dbt project.")
    return member


def _command(chosen: Sequence[str]) -> list[str]:
    """The words that start dbt: those that the user has chosen, else dbt beside this Python, else on the PATH.

    Raises:
        UsageError: it is nowhere.
    """
    name, *words = chosen or ("dbt",)
    beside = None if chosen else own_dbt.program(name, folder=Path(sys.executable).parent)
    found = beside or own_dbt.program(name)
    if found is None:
        where = "" if chosen else f" beside {sys.executable} or"
        raise UsageError(
            f"{name} was not found{where} on the PATH.", hint="Set dbtCommand to the dbt of this project."
        )
    return [found, *words, "parse"]


async def _parse(session: Session, run: Run, member: Member, command: Sequence[str]) -> Parsed:
    started = time.monotonic()
    tail: deque[str] = deque(maxlen=_TAIL)
    title = f"dbt parse ({member.root.name})"
    progress = await Progress.begin(session, run, title, measured=False)
    process: Process | None = None
    said = "stopped"
    try:
        process = await _start(command, member.root)
        session.log(f"{member.root}: {' '.join(command)}")
        following = session.jobs.start(_follow(session, process, tail, progress), name="reading what dbt says")
        in_time = await run.outlasts(following, timeout=_LIMIT)
        if not in_time:
            await _end(process, following)
        seconds = round(time.monotonic() - started, 2)
        exit_code = process.returncode if in_time else None
        problem = None if exit_code == 0 else _problem(run, exit_code)
        said = problem or f"done in {seconds:.1f} s"
        updates.reload(session, member)
        return Parsed(exit_code, seconds, tuple(tail), problem)
    finally:
        if process is not None and process.returncode is None:
            own_dbt.end(process.pid)
        member.parsing = False
        progress.end(said)


async def _start(command: Sequence[str], folder: Path) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,  # ours is the client's
            stdout=PIPE,
            stderr=STDOUT,
            **own_dbt.in_project(folder),
        )
    except OSError as error:
        raise UsageError(
            f"{command[0]} could not be started: {error.strerror or error}.", hint="Set dbtCommand to another dbt."
        ) from error


async def _follow(session: Session, process: Process, tail: deque[str], progress: Progress) -> None:
    """Show what it says, until it ends."""
    assert process.stdout is not None
    async for lines in _lines(process.stdout):
        shown = [
            line if not reveals_secret(line, os.environ) else "(a line that may hold a secret)" for line in lines
        ]
        tail.extend(shown)
        session.log("\n".join(shown), types.MessageType.Log)
        progress.report(shown[-1][:120])
    await process.wait()


async def _lines(stream: asyncio.StreamReader) -> AsyncGenerator[list[str], None]:
    """Whole lines as they come, several at a time if they come so; without colours and empty ones."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    while chunk := await stream.read(65_536):
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        rest = rest[:_LONGEST_LINE]
        if found := [line for line in map(_plain, lines) if line]:
            yield found
    if last := _plain(rest):
        yield [last]


def _plain(line: str) -> str:
    return _COLOURS.sub("", line).rstrip()[:_LONGEST_LINE]


async def _end(process: Process, following: asyncio.Task[None]) -> None:
    """Ask it to end, then make it."""
    own_dbt.end(process.pid, signal.SIGTERM)
    await asyncio.wait({following}, timeout=_GRACE)
    own_dbt.end(process.pid)
    await asyncio.wait({following}, timeout=_GRACE)
    following.cancel()


def _problem(run: Run, exit_code: int | None) -> str:
    if exit_code is not None:
        return f"dbt ended with exit code {exit_code}; its last lines say why."
    return "It was stopped." if run.stopped else f"It was stopped after {_LIMIT:g} seconds."
