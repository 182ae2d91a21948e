"""From a column to where it is computed and to the columns it is made of, from a node to its file, from ``{{ doc() }}`` to its block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from lsprotocol import types

from osmosis_synthesize.document.model import Slot
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.features import views
from osmosis_synthesize.lsp.reading import Reading
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.manifest.model import Node
from osmosis_synthesize.project import Project
from osmosis_synthesize.text import LineIndex, Span

DOC: Final = re.compile(r"""\bdoc\(\s*(?:['"](?P<package>\w+)['"]\s*,\s*)?['"](?P<name>\w+)['"]\s*\)""")
"""A call of dbt's ``doc``."""


class Found(NamedTuple):
    """A place in a file."""

    path: Path
    lines: LineIndex
    span: Span


async def definition(session: Session, params: types.DefinitionParams) -> list[types.Location]:
    """The places that a place in a schema file stands for; none elsewhere."""
    reading = await session.read(params.text_document.uri)
    if reading is None or not reading.ready.has_manifest:
        return []
    offset = convert.offset(params.position, reading.document.lines, session.abilities.encoding)
    call = doc_call_at(reading, offset)
    project = session.refreshed(reading.project)  # other files may have changed since this one was read
    if call is not None:
        return located(session, await session.worker.do(lambda: list(_block(project, *call))))
    slot = reading.document.slot_at(offset)
    node = views.node_of(reading, slot) if slot is not None and slot.name_span.contains(offset) else None
    if slot is None or node is None:
        return []
    column = slot.column
    if column is None:
        return located(session, _file_of(project, node))
    found = await session.worker.do(lambda: list(_origins(project, node, column)))
    # Several columns that no entry lists lead to one and the same place.
    return located(session, list({(place.path, place.span): place for place in found}.values()))


def doc_call_at(reading: Reading, offset: int) -> tuple[str | None, str] | None:
    """The package, if it is named, and the block of the call of ``doc`` at a place."""
    lines = reading.document.lines
    line = lines.line_span(lines.line_of(offset))
    calls = DOC.finditer(reading.text.text, line.start, line.end)
    call = next((call for call in calls if call.start() <= offset <= call.end()), None)
    return (call["package"], call["name"]) if call is not None else None


def column_at(reading: Reading, offset: int) -> Slot | None:
    """The slot of the column whose name stands at a place."""
    slot = reading.document.slot_at(offset)
    return slot if slot is not None and slot.column is not None and slot.name_span.contains(offset) else None


def located(session: Session, places: list[Found]) -> list[types.Location]:
    """The places as the client counts them."""
    encoding = session.abilities.encoding
    return [
        types.Location(session.uri_of(path), convert.text_range(span, lines, encoding))
        for path, lines, span in places
    ]


def _block(project: Project, package: str | None, name: str) -> Iterator[Found]:
    """The doc block, if it is one of this project's."""
    block = project.index.docs.get((package or project.layout.name, name))
    if block is not None and block.package_name == project.layout.name:
        path = project.root / block.path
        text = project.drafts.text(path) or ""
        found = re.search(rf"\{{%-?\s*docs\s+({re.escape(name)})\s", text)
        if found is not None:
            yield Found(path, LineIndex(text), Span(*found.span(1)))


def _file_of(project: Project, node: Node) -> list[Found]:
    """The file that defines a node of this project; a source has none."""
    if node.resource_type == "source" or not project.index.is_editable(node):
        return []
    return [Found(project.root / node.path, LineIndex(""), Span(0, 0))]


def _origins(project: Project, node: Node, column: str) -> Iterator[Found]:
    """Where a column is computed, then where the columns stand, one step up, that it is made of."""
    yield from computed(project, node, column)
    lineage = project.lineage.get(node.unique_id)
    traced = lineage.column(column) if lineage is not None else None
    for unique_id, above in traced.sources if traced is not None else ():
        upstream = project.index.nodes.get(unique_id)
        if upstream is not None:
            yield from described(project, upstream, above) or computed(project, upstream, above)


def described(project: Project, node: Node, column: str) -> list[Found]:
    """Where a column's entry stands, or at least its node's."""
    spot = views.spot_of(project, node, column)
    if spot is not None:
        return [Found(spot.file, spot.document.lines, spot.slot.name_span)]
    home = views.home_of(project, node)
    return [Found(home.file, home.document.lines, home.entry.name_span)] if home is not None else []


def computed(project: Project, node: Node, column: str) -> list[Found]:
    """Where a column is computed in its node's own file; the query, or the file, where that cannot be told."""
    if node.resource_type == "source" or node.package_name != project.layout.name:
        return []
    path = project.root / node.path
    text = project.drafts.text(path)
    if text is None:
        return []
    span = views.places_of(project, path, text).find(column)
    return [Found(path, LineIndex(text), span if span is not None else Span(0, 0))]
