"""How much of the workspace's projects is described, folder by folder, and which gaps would be filled most cheaply."""

from __future__ import annotations

import posixpath
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from osmosis_synthesize.document import Document, parse
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.gaps import relative
from osmosis_synthesize.engine.model import Author, Gap, PlannedCall, Proposal
from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.garbage import unsearched
from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.messages import CheapGap, Coverage, FolderCoverage, plain
from osmosis_synthesize.lsp.outlook import by_node, plan_now
from osmosis_synthesize.lsp.progress import Progress
from osmosis_synthesize.lsp.running import stoppable
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.workspace import Ready, Way
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.threads import in_thread

_SHOWN: Final = 50
"""Of the gaps that are filled most cheaply."""

_CONSIDERED: Final = 2_000
"""The gaps of a project among which these are looked for: its first ones. Working all out takes minutes in a large one."""

_LOOKING: Final = 3.0
"""Seconds for which they are looked for in a project, as long as there are not enough that cost nothing."""

_AT_A_TIME: Final = 0.1
"""Seconds' worth of files that are read before the next request has its turn, if they are many."""


async def coverage(session: Session, _: list[Any]) -> Any:
    """Survey all projects that are loaded; calls nobody."""
    return plain(await stoppable(session, "surveying", lambda run: _coverage(session, run)))


async def _coverage(session: Session, run: Run) -> Coverage:
    folders: list[FolderCoverage] = []
    cheapest: list[tuple[Decimal, CheapGap]] = []
    progress = await Progress.begin(session, run, "Looking at all schema files")
    try:
        for member in session.workspace:
            if isinstance(member.state, Ready):
                with unsearched():
                    found = await _survey(session, member.state, run, progress)
                folders += found.folders(member.root)
                if member.state.has_manifest:
                    cheapest += await _cheapest(session, _apart(session, member.state.project), found.first, run)
    finally:
        progress.end("stopped" if run.stopped else "done")
    if run.stopped:
        raise UsageError("The survey was stopped before all schema files were looked at.", hint="Ask for it again.")
    cheapest.sort(key=lambda priced: priced[0])
    return Coverage(
        tuple(folders),
        tuple(gap for _, gap in cheapest[:_SHOWN]),
        sum(folder.described for folder in folders),
        sum(folder.total for folder in folders),
    )


class _Found:
    """What was found in a project's schema files. No document is kept: in a large project they would fill the memory."""

    def __init__(self, project: Project) -> None:
        self._root: Final = project.root
        self._total: Final = Counter[str]()
        self._missing: Final = Counter[str]()
        self.first: Final[list[Gap]] = []
        """Gaps among which the cheapest are looked for."""
        self.keys: Final = set[EntryKey]()
        """Of the entries that there are."""

    def add(self, file: Path, gaps: Sequence[Gap], slots: int) -> None:
        """Add what was found in one file."""
        folder = posixpath.dirname(relative(file, self._root)) or "."
        self._total[folder] += slots
        self._missing[folder] += len(gaps)
        if len(self.first) < _CONSIDERED:
            self.first.extend(gaps)

    def folders(self, root: Path) -> list[FolderCoverage]:
        """Each folder's sums."""
        return [
            FolderCoverage(str(root), folder, total - self._missing[folder], total)
            for folder, total in sorted(self._total.items())
            if total
        ]


def _apart(session: Session, project: Project) -> Project:
    """The project as it is now, with open texts in place of files, for somebody who reads a great deal of it."""
    buffers = session.texts.buffers()

    def read(path: Path, text: str) -> Document:
        # Of the others there are too many to be remembered: the open ones would be forgotten for them.
        return session.documents.read(path, text) if path in buffers else parse(text)

    return project.with_drafts(Drafts(buffers, read=read))


async def _survey(session: Session, ready: Ready, run: Run, progress: Progress) -> _Found:
    """What was found in a project, or up to where the run was stopped."""
    project = _apart(session, ready.project)
    found = _Found(project)
    files = list(reversed(await in_thread(lambda: project.mentions.files)))
    total = len(files)
    while files and not run.stopped:
        done = total - len(files)
        progress.report(f"{done} of {total} in {project.root.name}", 100 * done // total)
        await in_thread(partial(_look, _apart(session, project), files, found, with_manifest=ready.has_manifest))
    if ready.has_manifest and not run.stopped:
        await in_thread(partial(_look_for_entries, project, found))
    return found


def _look(project: Project, files: list[Path], found: _Found, *, with_manifest: bool) -> None:
    """Look at the next files, and take them from the end of the list."""
    until = time.monotonic() + _AT_A_TIME
    while files and time.monotonic() < until:
        path = files.pop()
        survey = project.survey(Request((path,)), with_manifest=with_manifest)
        found.add(path, survey.gaps, survey.slots)
        document = project.drafts.get(path)
        found.keys.update(entry.key for entry in (document.entries if document is not None else ()))


def _look_for_entries(project: Project, found: _Found) -> None:
    """Add the nodes that no schema file mentions."""
    index = project.index
    nodes = [node for node in index.nodes.values() if node.resource_type != "source" and index.is_editable(node)]
    lacking = [node for node in nodes if EntryKey(node.resource_type, node.name) not in found.keys]
    files = tuple(project.root / node.path for node in lacking)
    for gap in project.survey(Request(files)).gaps if files else ():
        if gap.slot is None:
            found.add(gap.file, (gap,), 1)


async def _cheapest(
    session: Session, project: Project, gaps: Sequence[Gap], run: Run
) -> list[tuple[Decimal, CheapGap]]:
    """What the gaps would cost, cheapest first; not all of them in a project where that would take long."""
    priced: list[tuple[Decimal, CheapGap]] = []
    free = 0
    until = time.monotonic() + _LOOKING
    for some in by_node(gaps).values():
        ways = await session.worker.do(partial(plan_now, session, project, some))
        found = _priced(session, some, ways)
        priced += found
        free += sum(not cost for cost, _ in found)
        if free >= _SHOWN or time.monotonic() > until or run.stopped:
            break
    priced.sort(key=lambda one: one[0])
    return priced[:_SHOWN]


def _priced(
    session: Session, gaps: Sequence[Gap], ways: Mapping[tuple[str, str | None], Way]
) -> list[tuple[Decimal, CheapGap]]:
    priced: list[tuple[Decimal, CheapGap]] = []
    for gap in gaps:
        match ways.get(gap.id):
            case Proposal(origin="cached"):
                how, cost = "cached", Decimal(0)
            case Proposal(source=Author()):
                how, cost = "stated", Decimal(0)
            case Proposal():
                how, cost = "inherited", Decimal(0)
            case PlannedCall(cost=Decimal() as whole, gaps=together):
                how, cost = "call", whole / len(together)
            case _:
                continue
        place = CheapGap(session.uri_of(gap.file), gap.line - 1, gap.label, gap.unique_id, gap.column, how, str(cost))
        priced.append((cost, place))
    return priced
