"""From a column to the columns downstream that are made of it, and from a doc block to the places that use it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lsprotocol import types

from osmosis_synthesize.document.model import Slot
from osmosis_synthesize.engine.gaps import relative
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.features import views
from osmosis_synthesize.lsp.features.definition import DOC, Found, column_at, computed, doc_call_at, located
from osmosis_synthesize.lsp.reading import Reading
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.names import fold
from osmosis_synthesize.project import Project
from osmosis_synthesize.text import LineIndex, Span

_BLOCK: Final = re.compile(r"\{%-?\s*docs\s+(\w+)\s*-?%\}")

_AT_ONCE: Final = 50
"""Schema files that are searched in one piece of work."""


async def references(session: Session, params: types.ReferenceParams) -> list[types.Location]:
    """The places that a column in a schema file leads to, or a doc block in whatever file; none elsewhere."""
    uri = params.text_document.uri
    reading = await session.read(uri)
    if reading is None:
        return await _of_block_in(session, uri, params.position)
    if not reading.ready.has_manifest:
        return []
    offset = convert.offset(params.position, reading.document.lines, session.abilities.encoding)
    project = session.refreshed(reading.project)  # other files may have changed since this one was read
    call = doc_call_at(reading, offset)
    if call is not None:
        return await _uses(session, project, *call)
    slot = column_at(reading, offset)
    if slot is None:
        return []
    own = [Found(reading.text.path, reading.document.lines, slot.name_span)]
    found = own if params.context.include_declaration else []
    for child, columns in await session.worker.do(lambda: _children(reading, slot)):
        # Each is a piece of work of its own: to trace it may take a while.
        found += await session.worker.do(lambda child=child, columns=columns: _made_of(project, columns, child))
    return located(session, found)


async def _of_block_in(session: Session, uri: str, place: types.Position) -> list[types.Location]:
    """The uses of the doc block that begins on a line of some Markdown."""
    text = session.texts.get(uri)
    if text is None:
        return []
    _, project = views.project_of(session, text.path)
    line = text.lines.line_span(text.lines.line_of(convert.offset(place, text.lines, session.abilities.encoding)))
    block = _BLOCK.search(text.text, line.start, line.end)
    return await _uses(session, project, None, block[1]) if project is not None and block is not None else []


async def _uses(session: Session, project: Project, package: str | None, name: str) -> list[types.Location]:
    """The calls of ``doc`` in the project's schema files that mean a block."""
    own = project.layout.name
    found: list[Found] = []
    files = await session.worker.do(lambda: project.mentions.files)
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        found += await session.worker.do(
            lambda some=some: [use for path in some for use in _uses_in(project, path, package or own, name)]
        )
    return located(session, found)


def _uses_in(project: Project, path: Path, package: str, name: str) -> list[Found]:
    text = project.drafts.text(path)
    if text is None or name not in text:
        return []
    lines = LineIndex(text)
    own = project.layout.name
    calls = (call for call in DOC.finditer(text) if (call["package"] or own, call["name"]) == (package, name))
    return [Found(path, lines, Span(*call.span())) for call in calls]


def _children(reading: Reading, slot: Slot) -> list[tuple[str, frozenset[tuple[str, str]]]]:
    """The nodes built from those that a slot describes, and which of their columns that is, folded."""
    index = reading.project.index
    path = relative(reading.text.path, reading.project.root)
    nodes = index.find(slot.key, package=reading.project.layout.name, path=path)
    columns = frozenset((node.unique_id, fold(slot.column or "")) for node in nodes)
    children = sorted({child for node in nodes for child in index.children(node.unique_id)})
    return [(child, columns) for child in children]


def _made_of(project: Project, columns: frozenset[tuple[str, str]], child: str) -> Sequence[Found]:
    """Where the columns of a node stand that are made of some others; where they are computed if no entry lists them."""
    node = project.index.nodes[child]
    lineage = project.lineage.get(child)
    found: list[Found] = []
    for traced in lineage.columns if lineage is not None else ():
        if any((unique_id, fold(column)) in columns for unique_id, column in traced.sources):
            spot = views.spot_of(project, node, traced.name)
            found += (
                [Found(spot.file, spot.document.lines, spot.slot.name_span)]
                if spot is not None
                else computed(project, node, traced.name)
            )
    return found
