"""The server at this moment, for whoever shows it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

import msgspec

from osmosis_synthesize import __version__
from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.files import stamp_of
from osmosis_synthesize.lsp.messages import PROTOCOL_VERSION, STATUS, ProjectStatus, Status, plain
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.workspace import Broken, Member, Ready


async def request(session: Session, _: object) -> object:
    """Answer ``osmosis/status``."""
    return plain(await status(session))


_AT_MOST_EVERY: Final = 0.1
"""Seconds between two notifications, and from the first of some changes to the one that tells of them."""


def changed(session: Session) -> None:
    """Tell the client soon, if that makes a difference to it; changes that come close together are told as one."""
    if not session.status_is_due:
        session.status_is_due = True
        # A timer, since a task that waits would be left over where the last thing that changes is that all has ended.
        asyncio.get_running_loop().call_later(_AT_MOST_EVERY, _tell, session)


def _tell(session: Session) -> None:
    session.status_is_due = False
    session.jobs.start(_notify(session), name="status")


async def _notify(session: Session) -> None:
    now = await status(session)
    # Ages grow by themselves; that a manifest was written anew is news.
    projects = tuple(msgspec.structs.replace(project, manifest_age=None) for project in now.projects)
    written = [stamp_of(Path(project.manifest)) for project in projects if project.manifest is not None]
    news = msgspec.structs.replace(now, projects=projects), written
    if news != session.status_told:
        session.status_told = news
        session.protocol.notify(STATUS, plain(now))


async def status(session: Session) -> Status:
    """The status. What was spent is what this user's processes have entered since the session began, and today."""
    gaps = 0
    for text in session.texts:
        reading = await session.read(text.uri)
        gaps += len(reading.ids) if reading is not None else 0
    ledger = Ledger(session.store)
    spent = ledger.spend(since=session.started)
    return Status(
        protocol_version=PROTOCOL_VERSION,
        server_version=__version__,
        projects=tuple(_project(member) for member in session.workspace),
        gaps=gaps,
        running=len(session.runs),
        spent_session=str(sum(item.cost for item in spent)),
        spent_today=str(ledger.spent_today()),
        calls=sum(item.calls for item in spent),
        cached_calls=sum(item.cached_calls for item in spent),
        paused=session.paused,
        chosen=session.choice,
    )


def _project(member: Member) -> ProjectStatus:
    root = str(member.root)
    match member.state:
        case Broken() as broken:
            return ProjectStatus(root, "broken", str(broken.error))
        case Ready() as ready:
            settings = ready.project.settings
            stamp = stamp_of(ready.project.manifest_path)
            return ProjectStatus(
                root,
                "ready" if ready.has_manifest else "without manifest",
                str(ready.problem) if ready.problem is not None else None,
                manifest=str(ready.project.manifest_path),
                manifest_age=None if stamp is None else max(0.0, time.time() - stamp.mtime_ns / 1e9),
                stale_nodes=len({name for names in member.stale.values() for name in names}),
                nodes=len(ready.project.index.nodes) if ready.has_manifest else 0,
                provider=settings.provider,
                model=settings.model or "",
                budget_run=_dollars(settings.max_cost_per_run),
                budget_day=_dollars(settings.max_cost_per_day),
            )
        case _:
            return ProjectStatus(root, "unread")


def _dollars(amount: object) -> str | None:
    return None if amount is None else str(amount)
