"""What is known of a column, a node or a description, and what filling it would cost. Calls nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from lsprotocol import types

from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.cost.money import show
from osmosis_synthesize.document import is_gap
from osmosis_synthesize.engine.gaps import latest, relative
from osmosis_synthesize.engine.inherit import Inheritable
from osmosis_synthesize.engine.model import PlannedCall
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.outlook import inheritance
from osmosis_synthesize.lsp.session import Reading, Session
from osmosis_synthesize.lsp.wording import count, filled_by, summed
from osmosis_synthesize.names import ColumnRef, short_name

if TYPE_CHECKING:
    from osmosis_synthesize.document.model import Entry, Slot
    from osmosis_synthesize.manifest.model import Node

_MOST_SOURCES = 5


async def hover(session: Session, params: types.HoverParams) -> types.Hover | None:
    """What to show at a place: something on names and on descriptions, nothing elsewhere."""
    reading = await session.read(params.text_document.uri)
    if reading is None or not reading.ready.has_manifest:
        return None
    lines, encoding = reading.document.lines, session.abilities.encoding
    offset = convert.offset(params.position, lines, encoding)
    slot = reading.document.slot_at(offset)
    if slot is None:
        return None
    on_name = slot.name_span.contains(offset)
    if not on_name and not (slot.state == "text" and slot.span.contains(offset)):
        return None
    entry = reading.document.entry(slot.key)
    node = node_of(reading, slot)
    if entry is None or node is None:
        return None
    said = await session.worker.do(lambda: list(_said(session, reading, entry, slot, node)))
    span = slot.name_span if on_name else slot.span
    kind = types.MarkupKind.Markdown if session.abilities.markdown else types.MarkupKind.PlainText
    return types.Hover(types.MarkupContent(kind, "\n\n".join(said)), convert.text_range(span, lines, encoding))


def node_of(reading: Reading, slot: Slot) -> Node | None:
    """The node that a slot describes; of several versions the latest that has the column."""
    project = reading.project
    path = relative(reading.text.path, project.root)
    nodes = project.index.find(slot.key, package=project.layout.name, path=path)
    having = [node for node in nodes if slot.column is None or node.column(slot.column) is not None]
    return latest(having or nodes) if nodes else None


def _said(session: Session, reading: Reading, entry: Entry, slot: Slot, node: Node) -> Iterator[str]:
    yield from _on_column(reading, slot.column, node) if slot.column is not None else _on_node(reading, entry, node)
    gap = reading.gap(slot.key, slot.column)
    way = reading.ways.get(gap.id) if gap is not None else None
    if gap is not None and way is not None:
        yield f"No description yet: {filled_by(way)}."
        if isinstance(way, PlannedCall):
            yield _price(session, reading, way)


def _on_node(reading: Reading, entry: Entry, node: Node) -> Iterator[str]:
    gaps = reading.gaps_of(entry.key)
    yield f"**`{short_name(node.unique_id)}`** · {node.config.get('materialized') or node.resource_type}"
    known = summed(way for gap in gaps if (way := reading.ways.get(gap.id)) is not None)
    yield f"{count(len(gaps), 'gap')}{f': {known}' if known else ''}" if gaps else "Everything is described."


def _on_column(reading: Reading, column: str, node: Node) -> Iterator[str]:
    project = reading.project
    known = next(
        (item for item in project.index.columns(node.unique_id) if item.name.lower() == column.lower()), None
    )
    kind = f" · {known.data_type}" if known is not None and known.data_type else ""
    yield f"**`{ColumnRef(node.unique_id, column)}`**{kind}"
    traced = project.lineage.get(node.unique_id)
    line = traced.column(column) if traced is not None else None
    if line is not None and line.sources:
        yield f"{line.kind.capitalize()}: {_sources(line.sources)}"
    if line is not None and line.kind == "derived" and line.expression:
        yield f"```sql\n{line.expression}\n```"
    tests = [test.name for test in project.index.tests_of(node.unique_id) if _same(test.column, column)]
    if tests:
        yield f"Tests: {', '.join(dict.fromkeys(tests))}"
    yield from _upstream(reading, column, node)


def _upstream(reading: Reading, column: str, node: Node) -> Iterator[str]:
    """The text that the column would inherit, and how the one that it has compares with it."""
    project = reading.project
    found = inheritance(project, node.unique_id, column)
    own = next((slot.text for slot in _slots(reading, node, column) if not is_gap(slot, project.placeholders)), None)
    if isinstance(found, Inheritable) and found.text is not None:
        if own is None:
            yield f"`{found.upstream.label}` ({found.upstream.how}): {found.text}"
        elif own == found.text:
            yield f"The description is the same as that of `{found.upstream.label}`."
        else:
            yield f"The description is its own; `{found.upstream.label}` says: {found.text}"
    elif own is not None:
        yield "The description was written here: nothing upstream has one that would fit."


def _slots(reading: Reading, node: Node, column: str) -> Iterator[Slot]:
    for entry in reading.document.entries:
        if entry.key.name == node.name and entry.key.source_name == node.source_name:
            slot = entry.column(column)
            if slot is not None:
                yield slot


def _price(session: Session, reading: Reading, call: PlannedCall) -> str:
    """Tokens, and what is left of the budget."""
    settings = reading.project.settings
    parts = [f"About {call.input_tokens:,} tokens in and {call.output_tokens:,} out, not in the cache"]
    if settings.max_cost_per_run is not None:
        parts.append(f"at most {show(settings.max_cost_per_run)} a run")
    if settings.max_cost_per_day is not None:
        left = max(settings.max_cost_per_day - Ledger(session.store).spent_today(), Decimal(0))
        parts.append(f"{show(left)} of {show(settings.max_cost_per_day)} left today")
    return "; ".join(parts) + "."


def _sources(sources: Sequence[tuple[str, str]]) -> str:
    named = [f"`{ColumnRef(*source)}`" for source in sources[:_MOST_SOURCES]]
    return ", ".join(named) + (", …" if len(sources) > _MOST_SOURCES else "")


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.lower() == other.lower()
