"""A line over each entry with gaps: how many, and what filling them takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lsprotocol import types

from osmosis_synthesize.engine.gaps import EntrySurvey
from osmosis_synthesize.lsp import messages
from osmosis_synthesize.lsp.messages import Target, plain
from osmosis_synthesize.lsp.protocol import Json
from osmosis_synthesize.lsp.reading import Reading
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.sheet import Item
from osmosis_synthesize.lsp.texts import OpenText
from osmosis_synthesize.lsp.wording import count, summed
from osmosis_synthesize.lsp.workspace import NODE_SUFFIXES, Way


async def lenses(session: Session, params: types.CodeLensParams) -> object:
    """The lenses of a schema file. Choosing one fills the entry's gaps."""
    text = session.texts.get(params.text_document.uri)
    if text is not None and text.path.suffix.lower() in NODE_SUFFIXES:
        return _over_model(session, text)
    if not session.configuration.code_lens:
        return []
    drawn = await session.draw(params.text_document.uri, "code lens", _of_entry)
    if drawn is None or drawn[0].document.broken:
        return []
    return Json(("[", drawn[1], "]"))


def _of_entry(_: Session, reading: Reading, survey: EntrySurvey, ways: Sequence[Way | None]) -> Iterator[Item]:
    if survey.missing:
        command = _command(reading.text.uri, survey.missing[0].unique_id, ways)
        yield Item(survey.entry.name_span, {"command": command})


def _over_model(session: Session, text: OpenText) -> list[types.CodeLens]:
    """Over the file of a node: the gaps of its entry, wherever that stands."""
    member = session.workspace.member_of(text.path)
    gaps = member.models.get(text.path, ()) if member is not None else ()
    if member is None or not gaps or not session.configuration.code_lens:
        return []
    ways = member.ways.get(text.path, {})
    command = _command(text.uri, gaps[0].unique_id, [ways.get(gap.id) for gap in gaps])
    start = types.Position(0, 0)
    return [types.CodeLens(types.Range(start, start), types.Command(**command))]


def _command(uri: str, unique_id: str, ways: Sequence[Way | None]) -> dict[str, Any]:
    """What fills the gaps of a node, and what that takes."""
    known = summed(way for way in ways if way is not None)
    title = count(len(ways), "gap") + (f": {known}" if known else "")
    return {"title": title, "command": messages.GENERATE_MODEL, "arguments": [plain(Target(uri, unique_id))]}
