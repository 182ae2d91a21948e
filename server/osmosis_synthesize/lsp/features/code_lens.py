"""A line over each entry with gaps: how many, and what filling them takes."""

from __future__ import annotations

from lsprotocol import types

from osmosis_synthesize.lsp import convert, messages
from osmosis_synthesize.lsp.messages import Target, plain
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.wording import count, summed


async def lenses(session: Session, params: types.CodeLensParams) -> list[types.CodeLens]:
    """The lenses of a schema file. Choosing one fills the entry's gaps."""
    reading = await session.read(params.text_document.uri)
    if reading is None or reading.document.broken or not session.configuration.code_lens:
        return []
    found: list[types.CodeLens] = []
    for entry in reading.document.entries:
        gaps = reading.gaps_of(entry.key)
        if gaps:
            known = summed(way for gap in gaps if (way := reading.ways.get(gap.id)) is not None)
            title = count(len(gaps), "gap") + (f": {known}" if known else "")
            target = Target(reading.text.uri, gaps[0].unique_id)
            place = convert.text_range(entry.name_span, reading.document.lines, session.abilities.encoding)
            command = types.Command(title, messages.GENERATE_MODEL, arguments=[plain(target)])
            found.append(types.CodeLens(place, command))
    return found
