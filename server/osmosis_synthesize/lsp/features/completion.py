"""A text right after ``description:``, as ghost text and as plain completion.

What comes up by itself is free: inherited, cached, or stated without a model. A provider is called only where the user
has asked for it: by invoking inline completion, or by choosing the item that says what it costs.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import dataclass
from typing import Final

from lsprotocol import types

from osmosis_synthesize.document import edit
from osmosis_synthesize.document.model import Fill
from osmosis_synthesize.engine.model import Gap, PlannedCall, Proposal
from osmosis_synthesize.lsp import convert, messages
from osmosis_synthesize.lsp.asking import ask
from osmosis_synthesize.lsp.features import status
from osmosis_synthesize.lsp.jobs import Run
from osmosis_synthesize.lsp.messages import Target, plain
from osmosis_synthesize.lsp.outlook import may_be_cached_alone, plan_now
from osmosis_synthesize.lsp.progress import Progress
from osmosis_synthesize.lsp.reading import Reading
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.wording import filled_by, money
from osmosis_synthesize.lsp.workspace import Way, label_of
from osmosis_synthesize.text import Span, TextEdit, apply_edits

_KEY: Final = re.compile(r"(?:\s|-)*description[ \t]*:[ \t]*")


@dataclass(frozen=True, slots=True)
class _Spot:
    """A cursor behind the key of an empty description."""

    reading: Reading
    gap: Gap
    offset: int

    def is_current(self, session: Session) -> bool:
        """Whether the document is still the one in which the cursor stood."""
        return session.texts.get(self.reading.text.uri) is self.reading.text

    def insertion(self, text: str) -> tuple[Span, str] | None:
        """What to put from the cursor to the end of its line, so that the file reads back this very text."""
        document = self.reading.document
        assert self.gap.slot is not None
        edited = edit(document, [Fill(self.gap.slot, text)])
        if edited.rejected:
            return None
        line = document.lines.line_span(document.lines.line_of(self.offset))
        if any(one.span.start < line.start or line.end < one.span.end for one in edited.edits):
            return None
        old = line.of(document.text)
        new = apply_edits(old, [TextEdit(one.span.shifted(-line.start), one.new_text) for one in edited.edits])
        kept = self.offset - line.start
        return (Span(self.offset, line.end), new[kept:]) if new.startswith(old[:kept]) else None


async def inline(session: Session, params: types.InlineCompletionParams) -> types.InlineCompletionList | None:
    """Ghost text."""
    spot = await _spot(session, params.text_document.uri, params.position)
    if spot is None:
        return None
    invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    way = await _way(session, spot)
    if isinstance(way, PlannedCall) and invoked:
        way = await _bought(session, spot, params.work_done_token)
    if not isinstance(way, Proposal) or not spot.is_current(session):
        return None
    found = spot.insertion(way.text)
    if found is None:
        return None
    span, text = found
    place = convert.text_range(span, spot.reading.document.lines, session.abilities.encoding)
    return types.InlineCompletionList([types.InlineCompletionItem(text, range=place)])


async def complete(session: Session, params: types.CompletionParams) -> types.CompletionList | None:
    """Plain completion, which editors ask for at any key."""
    spot = await _spot(session, params.text_document.uri, params.position)
    if spot is None:
        return None
    way = await _way(session, spot)
    if not spot.is_current(session):
        return None
    place = types.Range(params.position, params.position)
    item = None
    if isinstance(way, Proposal) and (found := spot.insertion(way.text)) is not None:
        span, text = found
        place = convert.text_range(span, spot.reading.document.lines, session.abilities.encoding)
        item = types.CompletionItem(
            " ".join(way.text.split()),
            kind=types.CompletionItemKind.Text,
            detail=filled_by(way),
            text_edit=types.TextEdit(place, text),
            insert_text_mode=types.InsertTextMode.AsIs,
            filter_text="",
            preselect=True,
        )
    elif isinstance(way, PlannedCall):
        title = f"Generate description for `{label_of(spot.gap)}`"
        target = Target(spot.reading.text.uri, spot.gap.unique_id, spot.gap.column)
        item = types.CompletionItem(
            title,
            kind=types.CompletionItemKind.Event,
            detail=_price_alone(way),
            text_edit=types.TextEdit(place, ""),
            filter_text="",
            command=types.Command(title, messages.GENERATE_COLUMN, arguments=[plain(target)]),
        )
    return types.CompletionList(is_incomplete=False, items=[item]) if item is not None else None


async def _spot(session: Session, uri: str, position: types.Position) -> _Spot | None:
    """The gap at whose key the cursor stands."""
    reading = await session.read(uri)
    if reading is None or not reading.ready.has_manifest:
        return None
    lines = reading.document.lines
    offset = convert.offset(position, lines, session.abilities.encoding)
    line = lines.line_span(lines.line_of(offset))
    if not _KEY.fullmatch(reading.text.text, line.start, offset) or reading.text.text[offset : line.end].strip():
        return None
    slot = reading.document.slot_at(offset)
    if slot is None or slot.state != "empty" or lines.line_of(slot.span.start) != lines.line_of(offset):
        return None
    gap = reading.gap(slot.key, slot.column)
    return _Spot(reading, gap, offset) if gap is not None else None


async def _way(session: Session, spot: _Spot) -> Way | None:
    """How the gap would be filled; worked out now if it is new, or if the cache may have a text for it alone."""
    known = spot.reading.ways.get(spot.gap.id)
    if known is not None and not may_be_cached_alone(session, spot.reading.project, spot.gap, known):
        return known
    project = session.refreshed(spot.reading.project)
    return (await session.worker.do(lambda: plan_now(session, project, [spot.gap]))).get(spot.gap.id)


def _price_alone(call: PlannedCall) -> str:
    """What it takes to ask for one gap, of which the outlook knows only that it is among those of a call."""
    bound = "at most " if len(call.gaps) > 1 and call.cost else ""
    return f"1 call, {bound}{money(call.cost)}"


async def _bought(session: Session, spot: _Spot, token: str | int | None) -> Proposal | None:
    """Have the provider describe this one gap. Cancelling the request stops the run."""
    run = Run(str(uuid.uuid4()) if token is None else token)
    session.runs[run.token] = run
    job = session.jobs.start(_ask(session, run, spot, with_token=token is not None), name="describing")
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        run.stop()
        raise


async def _ask(session: Session, run: Run, spot: _Spot, *, with_token: bool) -> Proposal | None:
    """Progress shows the text as it comes; the item itself comes once, whole: half of it could be taken for all."""
    try:
        progress = await Progress.begin(session, run, f"Describing {spot.gap.label}", asked_for=with_token)
        outcomes = await ask(session, run, session.refreshed(spot.reading.project), [spot.gap], progress)
        progress.end("stopped" if run.stopped else "done")
        for item in (item for outcome in outcomes for item in outcome.unfilled):
            session.tell(f"{item.gap.label} could not be described: {item.reason}")
        return next((proposal for outcome in outcomes for proposal in outcome.proposals), None)
    finally:
        session.runs.pop(run.token, None)
        status.changed(session)
