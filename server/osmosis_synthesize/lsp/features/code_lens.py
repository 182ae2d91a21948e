"""A line over each entry with gaps: how many, and what filling them takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsprotocol import types

from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.lsp import convert, messages
from osmosis_synthesize.lsp.messages import Target, plain
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.texts import OpenText
from osmosis_synthesize.lsp.wording import count, summed
from osmosis_synthesize.lsp.workspace import NODE_SUFFIXES, GapId, Way


async def lenses(session: Session, params: types.CodeLensParams) -> list[types.CodeLens]:
    """The lenses of a schema file. Choosing one fills the entry's gaps."""
    text = session.texts.get(params.text_document.uri)
    if text is not None and text.path.suffix.lower() in NODE_SUFFIXES:
        return _over_model(session, text)
    reading = await session.read(params.text_document.uri)
    if reading is None or reading.document.broken or not session.configuration.code_lens:
        return []
    found: list[types.CodeLens] = []
    for entry in reading.document.entries:
        gaps = reading.gaps_of(entry.key)
        if gaps:
            place = convert.text_range(entry.name_span, reading.document.lines, session.abilities.encoding)
            found.append(_lens(place, reading.text.uri, gaps, reading.ways))
    return found


def _over_model(session: Session, text: OpenText) -> list[types.CodeLens]:
    """Over the file of a node: the gaps of its entry, wherever that stands."""
    member = session.workspace.member_of(text.path)
    gaps = member.models.get(text.path, ()) if member is not None else ()
    if member is None or not gaps or not session.configuration.code_lens:
        return []
    start = types.Position(0, 0)
    return [_lens(types.Range(start, start), text.uri, gaps, member.ways.get(text.path, {}))]


def _lens(place: types.Range, uri: str, gaps: Sequence[Gap], ways: Mapping[GapId, Way]) -> types.CodeLens:
    known = summed(way for gap in gaps if (way := ways.get(gap.id)) is not None)
    title = count(len(gaps), "gap") + (f": {known}" if known else "")
    target = Target(uri, gaps[0].unique_id)
    return types.CodeLens(place, types.Command(title, messages.GENERATE_MODEL, arguments=[plain(target)]))
