"""How much of the workspace's projects is described, folder by folder, and which gaps would be filled most cheaply."""

from __future__ import annotations

import posixpath
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from osmosis_synthesize.document import Document, parse
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.gaps import relative
from osmosis_synthesize.engine.model import Author, Gap, PlannedCall, Proposal
from osmosis_synthesize.lsp.messages import CheapGap, Coverage, FolderCoverage, plain
from osmosis_synthesize.lsp.outlook import by_node, plan_now
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.workspace import Ready, Way
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.threads import in_thread

_SHOWN: Final = 50
"""Of the gaps that are filled most cheaply."""

_LOOKING: Final = 3.0
"""Seconds for which cheap gaps are looked for in a project, as long as there are not enough that cost nothing."""

_AT_A_TIME: Final = 0.1
"""Seconds' worth of files that are read before the next request has its turn, if they are many."""


async def coverage(session: Session, _: list[Any]) -> Any:
    """Survey all projects that are loaded; calls nobody."""
    folders: list[FolderCoverage] = []
    cheapest: list[tuple[Decimal, CheapGap]] = []
    for member in session.workspace:
        if isinstance(member.state, Ready):
            project = _apart(session, member.state.project)
            found = await _survey(project, with_manifest=member.state.has_manifest)
            folders += _folders(project, found)
            if member.state.has_manifest:
                cheapest += await _cheapest(session, project, found.gaps)
    cheapest.sort(key=lambda priced: priced[0])
    return plain(
        Coverage(
            tuple(folders),
            tuple(gap for _, gap in cheapest[:_SHOWN]),
            sum(folder.described for folder in folders),
            sum(folder.total for folder in folders),
        )
    )


@dataclass(slots=True)
class _Found:
    """What was found in a project's schema files."""

    slots: Counter[Path] = field(default_factory=Counter[Path])
    """Places for a description, by schema file."""
    gaps: list[Gap] = field(default_factory=list[Gap])


def _apart(session: Session, project: Project) -> Project:
    """The project as it is now, with open texts in place of files, for one thread that reads all of it."""
    buffers = session.texts.buffers()

    def read(path: Path, text: str) -> Document:
        # Of the others there are too many to be remembered: the open ones would be forgotten for them.
        return session.documents.read(path, text) if path in buffers else parse(text)

    return project.with_drafts(Drafts(buffers, read=read))


async def _survey(project: Project, *, with_manifest: bool) -> _Found:
    found = _Found()
    files = list(reversed(await in_thread(lambda: project.mentions.files)))
    while files:
        await in_thread(partial(_look, project, files, found, with_manifest=with_manifest))
    if with_manifest:
        await in_thread(partial(_look_for_entries, project, found))
    return found


def _look(project: Project, files: list[Path], found: _Found, *, with_manifest: bool) -> None:
    """Look at the next files, and take them from the end of the list."""
    until = time.monotonic() + _AT_A_TIME
    while files and time.monotonic() < until:
        path = files.pop()
        survey = project.survey(Request((path,)), with_manifest=with_manifest)
        found.slots[path] += survey.slots
        found.gaps += survey.gaps


def _look_for_entries(project: Project, found: _Found) -> None:
    """Add the nodes that no schema file mentions."""
    documents = (project.drafts.get(path) for path in project.mentions.files)
    there = {entry.key for document in documents if document is not None for entry in document.entries}
    nodes = [node for node in project.index.nodes.values() if node.resource_type != "source"]
    lacking = [node for node in nodes if EntryKey(node.resource_type, node.name) not in there]
    files = tuple(project.root / node.path for node in lacking if project.index.is_editable(node))
    for gap in project.survey(Request(files)).gaps if files else ():
        if gap.slot is None:
            found.slots[gap.file] += 1
            found.gaps.append(gap)


def _folders(project: Project, found: _Found) -> list[FolderCoverage]:
    def folder_of(path: Path) -> str:
        return posixpath.dirname(relative(path, project.root)) or "."

    total: Counter[str] = Counter()
    missing = Counter(folder_of(gap.file) for gap in found.gaps)
    for path, slots in found.slots.items():
        total[folder_of(path)] += slots
    return [
        FolderCoverage(str(project.root), folder, total[folder] - missing[folder], total[folder])
        for folder in sorted(total)
        if total[folder]
    ]


async def _cheapest(session: Session, project: Project, gaps: Sequence[Gap]) -> list[tuple[Decimal, CheapGap]]:
    """What the gaps would cost, cheapest first; not all of them in a project where that would take long."""
    priced: list[tuple[Decimal, CheapGap]] = []
    free = 0
    until = time.monotonic() + _LOOKING
    for some in by_node(gaps).values():
        ways = await session.worker.do(partial(plan_now, session, project, some))
        found = _priced(session, some, ways)
        priced += found
        free += sum(not cost for cost, _ in found)
        if free >= _SHOWN or time.monotonic() > until:
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
