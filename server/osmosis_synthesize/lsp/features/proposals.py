"""Texts that are shown before they are applied: the two commands of a client with a preview of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from osmosis_synthesize.engine.descriptions import entry_key
from osmosis_synthesize.engine.model import Author, Gap, NodeOutcome, Proposal, Spent
from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.asking import ask
from osmosis_synthesize.lsp.edits import apply, record
from osmosis_synthesize.lsp.features.generate import chosen, left_over, narrowest, title_of
from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.messages import (
    Applied,
    ApplyParams,
    Left,
    Proposals,
    Proposed,
    ProposeParams,
    SlotText,
    Target,
    argument,
    plain,
)
from osmosis_synthesize.lsp.progress import Progress
from osmosis_synthesize.lsp.running import stoppable
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.wording import count
from osmosis_synthesize.lsp.workspace import Member, Ready
from osmosis_synthesize.names import short_name
from osmosis_synthesize.project import Project, Request


async def propose(session: Session, arguments: list[Any]) -> Any:
    """Find texts as the ``generate`` commands do, and change nothing."""
    wanted = argument(arguments, ProposeParams)
    return plain(await stoppable(session, "describing", lambda run: _propose(session, run, wanted)))


async def _propose(session: Session, run: Run, wanted: ProposeParams) -> Proposals:
    target = Target(wanted.uri, wanted.node, wanted.column)
    project, gaps = await chosen(session, wanted.scope or narrowest(target), target)
    progress = await Progress.begin(session, run, title_of(gaps))
    said = "stopped"
    try:
        outcomes = await ask(session, run, project, gaps, progress, anew=wanted.again)
        found = await _proposals(session, session.refreshed(project), gaps, outcomes)
        said = f"{count(len(found), 'text')} for {count(len(gaps), 'gap')}"
        spent = sum((outcome.spent for outcome in outcomes), Spent())
        return Proposals(
            tuple(found),
            tuple(left_over(item.gap, item.reason) for outcome in outcomes for item in outcome.unfilled),
            spent.calls,
            None if spent.cost is None else str(spent.cost),
            cancelled=run.stopped,
        )
    finally:
        progress.end(said)


async def _proposals(
    session: Session, project: Project, gaps: Sequence[Gap], outcomes: Sequence[NodeOutcome]
) -> list[Proposed]:
    """What was found, in the order of the gaps. ``project`` has the open texts as they are now."""
    order = {gap.id: number for number, gap in enumerate(gaps)}
    found = [proposal for outcome in outcomes for proposal in outcome.proposals]
    found.sort(key=lambda proposal: order[proposal.gap.id])
    session.proposed.update(((project.root, proposal.gap.id), proposal) for proposal in found)
    lines = await session.worker.do(lambda: [project.drafts.line_of(proposal.gap) for proposal in found])
    return [_proposed(session, proposal, line) for proposal, line in zip(found, lines, strict=True)]


def _proposed(session: Session, proposal: Proposal, line: int) -> Proposed:
    gap, source = proposal.gap, proposal.source
    return Proposed(
        session.uri_of(gap.file),
        gap.unique_id,
        gap.column,
        gap.label,
        line - 1,
        gap.slot.text if gap.slot is not None else None,
        proposal.text,
        _origin(proposal),
        f"{source.provider} {source.model}".strip() if isinstance(source, Author) else source.label,
        None if proposal.cost is None else str(proposal.cost),
    )


def _origin(proposal: Proposal) -> Literal["inherited", "cached", "stated", "generated"]:
    is_stated = isinstance(proposal.source, Author) and proposal.source.provider == "facts"
    return "stated" if is_stated else proposal.origin


async def apply_texts(session: Session, arguments: list[Any]) -> Any:
    """Put texts in place that the user has seen: one edit for each project, which asks nothing more."""
    wanted = argument(arguments, ApplyParams)
    members: dict[Path, tuple[Member, list[SlotText]]] = {}
    for text in wanted.texts:
        member = _member(session, text.uri)
        members.setdefault(member.root, (member, []))[1].append(text)
    filled = 0
    left: list[Left] = []
    for member, texts in members.values():
        assert isinstance(member.state, Ready)
        project = session.refreshed(member.state.project)
        found = await session.worker.do(lambda project=project, texts=texts: _find(project, texts))
        placed = [(gap, text.text) for text, gap in zip(texts, found, strict=True) if isinstance(gap, Gap)]
        label = f"Describe {placed[0][0].label if len(placed) == 1 else count(len(placed), 'gap')}"
        reasons = await apply(session, session.refreshed(project), placed, label, confirm="never")
        in_place = [one for one, reason in zip(placed, reasons, strict=True) if reason is None]
        await record(session, project, [*_as_proposed(session, project, in_place)])
        filled += len(in_place)
        left += [
            left_over(gap, reason) for (gap, _), reason in zip(placed, reasons, strict=True) if reason is not None
        ]
        left += [
            Left(_label(text), reason, text.node, text.column)
            for text, reason in zip(texts, found, strict=True)
            if isinstance(reason, str)
        ]
    return plain(Applied(filled, tuple(left)))


def _as_proposed(session: Session, project: Project, texts: Iterable[tuple[Gap, str]]) -> Iterator[Proposal]:
    """Those of the texts that are as they were proposed. What the user has changed is theirs, and nobody else wrote it."""
    for gap, text in texts:
        known = session.proposed.get((project.root, gap.id))
        if known is not None and known.text == text:
            yield replace(known, gap=gap)


def _member(session: Session, uri: str) -> Member:
    path = convert.path_of(uri)
    member = session.workspace.member_of(path) if path is not None else None
    if member is None or not isinstance(member.state, Ready) or not member.state.has_manifest:
        raise UsageError(f"{uri} belongs to no dbt project that is loaded.")
    return member


def _find(project: Project, texts: Sequence[SlotText]) -> list[Gap | str]:
    """The gap that each text is for, as things are now, or why there is none; for the worker."""
    files = {path: None for text in texts if (path := convert.path_of(text.uri)) is not None}
    nodes = {text.node: node for text in texts if (node := project.index.nodes.get(text.node)) is not None}
    # A node that no schema file mentions is found by its own file.
    files |= {project.root / node.path: None for node in nodes.values() if node.resource_type != "source"}
    gaps = {gap.id: gap for gap in project.survey(Request(tuple(files))).gaps}
    return [_gap_or_reason(project, gaps.get((text.node, text.column)), text) for text in texts]


def _gap_or_reason(project: Project, gap: Gap | None, text: SlotText) -> Gap | str:
    if not text.text.strip():
        return "the text is empty"
    if gap is not None:
        return gap
    node = project.index.nodes.get(text.node)
    path = convert.path_of(text.uri)
    document = project.drafts.get(path) if path is not None else None
    entry = document.entry(entry_key(node)) if document is not None and node is not None else None
    slot = (entry.slot if text.column is None else entry.column(text.column)) if entry is not None else None
    return (
        f"{_label(text)} was described meanwhile"
        if slot is not None
        else f"{_label(text)} is not in the file any more"
    )


def _label(text: SlotText) -> str:
    name = short_name(text.node)
    return name if text.column is None else f"{name}.{text.column}"
