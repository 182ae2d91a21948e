"""From a column to the columns it is made of, and from ``{{ doc() }}`` to its block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lsprotocol import types

from osmosis_synthesize.document.model import Slot
from osmosis_synthesize.engine.descriptions import Descriptions
from osmosis_synthesize.errors import DocumentError
from osmosis_synthesize.files import read_source
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.features.hover import node_of
from osmosis_synthesize.lsp.session import Reading, Session
from osmosis_synthesize.text import LineIndex, Span

_DOC: Final = re.compile(r"""\bdoc\(\s*(?:['"](?P<package>\w+)['"]\s*,\s*)?['"](?P<name>\w+)['"]\s*\)""")


async def definition(session: Session, params: types.DefinitionParams) -> list[types.Location]:
    """The places that a place in a schema file stands for; none elsewhere."""
    reading = await session.read(params.text_document.uri)
    if reading is None or not reading.ready.has_manifest:
        return []
    lines = reading.document.lines
    offset = convert.offset(params.position, lines, session.abilities.encoding)
    line = lines.line_span(lines.line_of(offset))
    calls = _DOC.finditer(reading.text.text, line.start, line.end)
    call = next((call for call in calls if call.start() <= offset <= call.end()), None)
    if call is not None:
        return await session.worker.do(lambda: list(_block(session, reading, call["package"], call["name"])))
    slot = reading.document.slot_at(offset)
    if slot is None or slot.column is None or not slot.name_span.contains(offset):
        return []
    return await session.worker.do(lambda: list(_sources(session, reading, slot)))


def _block(session: Session, reading: Reading, package: str | None, name: str) -> Iterator[types.Location]:
    """The doc block, if it is one of this project's."""
    project = reading.project
    block = project.index.docs.get((package or project.layout.name, name))
    if block is not None and block.package_name == project.layout.name:
        path = project.root / block.path
        try:
            text = read_source(path).text
        except DocumentError:
            return
        found = re.search(rf"\{{%-?\s*docs\s+({re.escape(name)})\s", text)
        if found is not None:
            yield _location(session, path, LineIndex(text), Span(*found.span(1)))


def _sources(session: Session, reading: Reading, slot: Slot) -> Iterator[types.Location]:
    """Where the columns stand, one step up, that a column is made of: their own entries, else the nodes' own files."""
    project = reading.project
    node = node_of(reading, slot)
    lineage = project.lineage.get(node.unique_id) if node is not None else None
    traced = lineage.column(slot.column or "") if lineage is not None else None
    descriptions = Descriptions(project.index, project.drafts, project.root, project.placeholders)
    for unique_id, column in traced.sources if traced is not None else ():
        upstream = project.index.nodes.get(unique_id)
        located = descriptions.locate(upstream) if upstream is not None else None
        above = located.slot(column) if located is not None else None
        if located is not None:
            span = above.name_span if above is not None else located.entry.name_span
            yield _location(session, located.file, located.document.lines, span)
        elif upstream is not None and upstream.package_name == project.layout.name:
            yield _location(session, project.root / upstream.path, LineIndex(""), Span(0, 0))


def _location(session: Session, path: Path, lines: LineIndex, span: Span) -> types.Location:
    open_text = session.texts.at(path)
    uri = open_text.uri if open_text is not None else convert.uri_of(path)
    return types.Location(uri, convert.text_range(span, lines, session.abilities.encoding))
