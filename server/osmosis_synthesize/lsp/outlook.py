"""Works out, in the background, how the gaps of the open files would be filled. Calls nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Final

from osmosis_synthesize.engine.descriptions import Descriptions, Progress
from osmosis_synthesize.engine.gaps import EntrySurvey, relative
from osmosis_synthesize.engine.inherit import Inheritance, inherit
from osmosis_synthesize.engine.model import Gap, Plan, PlannedCall
from osmosis_synthesize.garbage import settle
from osmosis_synthesize.lsp.reading import Reading
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.workspace import NODE_SUFFIXES, GapId, Ready, Way
from osmosis_synthesize.manifest.staleness import staleness
from osmosis_synthesize.names import short_name
from osmosis_synthesize.project import Project, Request

_SHOWN_EVERY: Final = 1.0
"""Seconds."""

_MANY: Final = 20
"""Nodes for which so much is read that it is worth a search for garbage."""


def ways_of(plan: Plan) -> dict[GapId, Way]:
    """A plan by gap."""
    ways: dict[GapId, Way] = {}
    for node in plan.nodes:
        ways.update((proposal.gap.id, proposal) for proposal in node.proposals)
        ways.update((item.gap.id, item) for item in node.waiting)
        ways.update((gap.id, call) for call in node.calls for gap in call.gaps)
        ways.update((item.gap.id, item) for item in node.unfilled)
    return ways


def by_node(gaps: Sequence[Gap]) -> Mapping[str, list[Gap]]:
    """Gaps by ``unique_id``, in their order."""
    nodes: dict[str, list[Gap]] = {}
    for gap in gaps:
        nodes.setdefault(gap.unique_id, []).append(gap)
    return nodes


async def work_out(session: Session, uri: str) -> AsyncGenerator[None, None]:
    """Look at one open file node by node, a piece of work for each; yields whenever something is known anew.

    In a large file it yields every now and then, so that what is known can be shown. Nodes are passed over if neither their
    entries nor those of nodes upstream have been edited since the last time.
    """
    reading = await session.read(uri)
    if reading is None or not reading.ready.has_manifest:
        return
    project = session.refreshed(reading.project)
    member, path = reading.member, reading.text.path
    stale = await session.worker.do(lambda: _stale(reading))
    changed = member.stale.get(path, ()) != stale
    member.stale[path] = stale
    shown = time.monotonic()
    before = session.looked_at.pop(uri, ())
    nodes = await session.worker.do(lambda: by_node(_affected(reading, before)))
    for gaps in nodes.values():
        ways = await session.worker.do(lambda gaps=gaps: plan_now(session, project, gaps))
        known = member.ways.get(path, {})
        if any(known.get(gap) != way for gap, way in ways.items()):
            member.ways[path] = {**known, **ways}
            changed = True
        if changed and time.monotonic() - shown >= _SHOWN_EVERY:
            yield
            changed, shown = False, time.monotonic()
    gone = member.ways.get(path, {}).keys() - set(reading.ids)
    if gone:
        member.ways[path] = {gap: way for gap, way in member.ways[path].items() if gap not in gone}
    session.looked_at[uri] = tuple(survey for survey, _ in reading.entries)
    if len(nodes) > _MANY:
        await session.worker.do(settle)
    if changed:
        yield


def _affected(reading: Reading, before: Sequence[EntrySurvey]) -> list[Gap]:
    """The gaps of the nodes whose outlook may be another one than when the entries were as ``before``."""
    now = {id(survey): survey for survey, _ in reading.entries}
    known = {id(survey): survey for survey in before}
    edited = [now.get(key) or known[key] for key in now.keys() ^ known.keys()]
    project, path = reading.project, reading.path
    index, package = project.index, project.layout.name
    reached = {unique_id for survey in edited for unique_id, _ in survey.missing}
    reached |= {
        node.unique_id for survey in edited for node in index.find(survey.entry.key, package=package, path=path)
    }
    stack = list(reached)
    while stack:
        below = set(index.children(stack.pop())) - reached
        reached |= below
        stack += below
    return [
        gap
        for survey, moved in reading.entries
        if not before or any(unique_id in reached for unique_id, _ in survey.missing)
        for gap in survey.gaps(reading.document, reading.text.path, moved=moved)
    ]


async def work_out_model(session: Session, uri: str) -> bool:
    """The same for an open file that defines a node, whose entry stands, or would stand, in a schema file."""
    text = session.texts.get(uri)
    member = session.workspace.member_of(text.path) if text is not None else None
    if text is None or text.path.suffix.lower() not in NODE_SUFFIXES or member is None:
        return False
    if not isinstance(member.state, Ready) or not member.state.has_manifest:
        return False
    path, project = text.path, session.refreshed(member.state.project)
    gaps = await session.worker.do(lambda: gaps_of_model(project, path))
    ways = await session.worker.do(lambda: plan_now(session, project, gaps)) if gaps else {}
    if (member.models.get(path), member.ways.get(path, {})) == (gaps, ways):
        return False
    member.models[path], member.ways[path] = gaps, ways
    return True


def gaps_of_model(project: Project, path: Path) -> tuple[Gap, ...]:
    """The gaps of the nodes that the file at ``path`` defines; for the worker, since it may read every schema file."""
    nodes = project.index.nodes_in_file(relative(path, project.root), project.layout.name)
    ids = {node.unique_id for node in nodes if project.index.is_editable(node)}
    return tuple(gap for gap in project.survey(Request((path,))).gaps if gap.unique_id in ids) if ids else ()


def inheritance(project: Project, unique_id: str, column: str) -> Inheritance:
    """What a column would inherit as things are, whether it has a text of its own or not; for the worker."""
    descriptions = Descriptions(project.index, project.drafts, project.root, project.placeholders)
    return inherit(unique_id, column, graph=project.index, lineage=project.lineage, texts=Progress(descriptions))


def plan_now(session: Session, project: Project, gaps: Sequence[Gap]) -> dict[GapId, Way]:
    """How these gaps would be filled if nothing else were; for the worker."""
    return ways_of(asyncio.run(project.plan(gaps, session.caller(project))))


def may_be_cached_alone(session: Session, project: Project, gap: Gap, way: Way | None) -> bool:
    """Whether the cache may answer for this gap alone, which the outlook has as (one of those of) a call.

    The reply to a call for several gaps is kept under another key than that to a call for one of them. To ask for each of
    them alone as well would take a prompt for each, so that is done only for those that were: here, or as the ledger has it.
    """
    return isinstance(way, PlannedCall) and (project.root, gap.id) in session.asked_alone


def _stale(reading: Reading) -> tuple[str, ...]:
    """The nodes of this file whose own files are not what the manifest saw."""
    project = reading.project
    return tuple(
        short_name(node.unique_id)
        for entry in reading.document.entries
        if entry.slot is not None and entry.key.resource_type != "source"
        for node in project.index.find(entry.key, package=project.layout.name)
        if staleness(node, project.root, manifest=project.manifest_path) in {"changed", "gone"}
    )
