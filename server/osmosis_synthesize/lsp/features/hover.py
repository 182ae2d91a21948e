"""What is known of a column, a node or a description, and what filling it would cost. Calls nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lsprotocol import types

from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.cost.money import show
from osmosis_synthesize.engine.inherit import Doubtful, Inheritable
from osmosis_synthesize.engine.model import Gap, PlannedCall, Proposal, Upstream
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.features import views
from osmosis_synthesize.lsp.features.views import Spot
from osmosis_synthesize.lsp.outlook import inheritance, may_be_cached_alone, plan_now
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.texts import OpenText
from osmosis_synthesize.lsp.wording import count, filled_by, summed
from osmosis_synthesize.lsp.workspace import NODE_SUFFIXES, GapId, Way
from osmosis_synthesize.manifest.model import Node
from osmosis_synthesize.names import ColumnRef, short_name
from osmosis_synthesize.project import Project
from osmosis_synthesize.text import LineIndex, Span

_MOST_SOURCES = 5


@dataclass(frozen=True, slots=True)
class _Markup:
    """How names and code are set off. In plain text they are not: its readers would see the marks."""

    markdown: bool

    def title(self, name: str) -> str:
        return f"**`{name}`**" if self.markdown else name

    def name(self, name: str) -> str:
        return f"`{name}`" if self.markdown else name

    def sql(self, code: str) -> str:
        return f"```sql\n{code}\n```" if self.markdown else code


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is hovered over."""

    project: Project
    node: Node
    column: str | None
    spot: Spot | None
    """Where its description stands, or would stand; ``None`` for a column that no entry lists."""
    gap: Gap | None
    beside: Sequence[GapId]
    """The gaps of the whole entry."""
    ways: Mapping[GapId, Way]


async def hover(session: Session, params: types.HoverParams) -> types.Hover | None:
    """What to show at a place: something on names and on descriptions, and on the output columns of a model's SQL."""
    text = session.texts.get(params.text_document.uri)
    if text is not None and text.path.suffix.lower() in NODE_SUFFIXES:
        return await _over_sql(session, text, params.position)
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
    node = views.node_of(reading, slot)
    if entry is None or node is None:
        return None
    gap = reading.gap(slot.key, slot.column)
    spot = Spot(node, reading.text.path, reading.document, slot)
    subject = _Subject(reading.project, node, slot.column, spot, gap, reading.ids_of(entry.key), reading.ways)
    return await _shown(session, subject, slot.name_span if on_name else slot.span, lines)


async def _over_sql(session: Session, text: OpenText, place: types.Position) -> types.Hover | None:
    """The same over an output column in a model's own file."""
    view = await views.look_at(session, text.uri, types.Range(place, place))
    if view is None or view.output is None:
        return None
    spot = view.spot
    gap = view.selected[0] if view.selected else None
    column = spot.slot.column if spot is not None else view.output.name
    subject = _Subject(view.project, view.output.node, column, spot, gap, view.beside, view.ways)
    return await _shown(session, subject, view.output.span, text.lines)


async def _shown(session: Session, subject: _Subject, span: Span, lines: LineIndex) -> types.Hover:
    if _is_at_hand(session, subject):
        said = list(_said(session, subject))
    else:
        said = await session.worker.do(lambda: list(_said(session, subject)))
    kind = types.MarkupKind.Markdown if session.abilities.markdown else types.MarkupKind.PlainText
    place = convert.text_range(span, lines, session.abilities.encoding)
    return types.Hover(types.MarkupContent(kind, "\n\n".join(said)), place)


def _is_at_hand(session: Session, subject: _Subject) -> bool:
    """Whether all that there is to say is known: no file has to be read, no SQL traced and no prompt made for it."""
    gap, project = subject.gap, subject.project
    way = subject.ways.get(gap.id) if gap is not None else None
    return (
        gap is not None
        and _tells_inheritance(gap, way)
        and not may_be_cached_alone(session, project, gap, way)
        and (subject.spot is None or subject.spot.slot.text is None)
        and project.lineage.is_traced(subject.node.unique_id)
    )


def _said(session: Session, subject: _Subject) -> Iterator[str]:
    markup, column = _Markup(session.abilities.markdown), subject.column
    yield from _on_column(subject, column, markup) if column is not None else _on_node(subject, markup)
    yield from _provenance(subject)
    way = _way(session, subject, subject.gap) if subject.gap is not None else None
    if way is not None:
        yield f"No description yet: {filled_by(way)}."
        if isinstance(way, PlannedCall):
            yield _price(session, subject.project, way)
            if subject.gap is not None and column is not None:
                yield f"Not inherited: {_why_asked(subject, way, subject.gap, column)}."


def _way(session: Session, subject: _Subject, gap: Gap) -> Way | None:
    """How the gap would be filled: from the cache, if it was asked for alone, else as the outlook has it."""
    known = subject.ways.get(gap.id)
    if not may_be_cached_alone(session, subject.project, gap, known):
        return known
    alone = plan_now(session, subject.project, [gap]).get(gap.id)
    return alone if isinstance(alone, Proposal) else known


def _why_asked(subject: _Subject, call: PlannedCall, gap: Gap, column: str) -> str:
    """Why a gap has to be asked for."""
    for one, reason, alternatives in zip(call.gaps, call.reasons, call.alternatives, strict=False):
        if one.id == gap.id:
            return _why(subject, column, reason, doubtful=bool(alternatives))
    return _NOTHING_FITS


_NOTHING_FITS = "nothing upstream has one that would fit"


def _why(subject: _Subject, column: str, reason: str, *, doubtful: bool) -> str:
    """Why nothing is inherited, without the expression that is shown anyway.

    Where there is no text at all, the reason is that of the column with which the way up has ended.
    """
    traced = subject.project.lineage.get(subject.node.unique_id)
    line = traced.column(column) if traced is not None else None
    is_its_own = line is None or line.kind == "derived" or not line.sources
    return reason.partition(": ")[0] if doubtful or is_its_own else _NOTHING_FITS


def _on_node(subject: _Subject, markup: _Markup) -> Iterator[str]:
    gaps, node = subject.beside, subject.node
    yield f"{markup.title(short_name(node.unique_id))} · {node.config.get('materialized') or node.resource_type}"
    if subject.gap is not None and list(gaps) == [subject.gap.id]:
        return  # what is said of that one is all there is to say
    known = summed(way for gap in gaps if (way := subject.ways.get(gap)) is not None)
    yield f"{count(len(gaps), 'gap')}{f': {known}' if known else ''}" if gaps else "Everything is described."


def _provenance(subject: _Subject) -> Iterator[str]:
    """By whom a description was generated and when, and whether a human has seen to it."""
    record = subject.spot.record(subject.project) if subject.spot is not None else None
    if subject.spot is None or record is None:
        return
    author = f"{record.provider} {record.model}".strip()
    made = f"Generated by {author} on {record.at[:10]}" + (" (from the cache)" if record.origin == "cached" else "")
    if not record.is_generated_text(subject.spot.slot.text):
        yield f"{made}, and changed by a human since" + (", who accepted it." if record.reviewed else ".")
    else:
        yield f"{made}, {'accepted by a human' if record.reviewed else 'not reviewed yet'}."


def _on_column(subject: _Subject, column: str, markup: _Markup) -> Iterator[str]:
    project, node = subject.project, subject.node
    known = next(
        (item for item in project.index.columns(node.unique_id) if item.name.lower() == column.lower()), None
    )
    kind = f" · {known.data_type}" if known is not None and known.data_type else ""
    yield f"{markup.title(str(ColumnRef(node.unique_id, column)))}{kind}"
    traced = project.lineage.get(node.unique_id)
    line = traced.column(column) if traced is not None else None
    if line is not None and line.sources:
        yield f"{line.kind.capitalize()}: {_sources(line.sources, markup)}"
    if line is not None and line.kind == "derived" and line.expression:
        yield markup.sql(line.expression)
    tests = [test.name for test in project.index.tests_of(node.unique_id) if _same(test.column, column)]
    if tests:
        yield f"Tests: {', '.join(dict.fromkeys(tests))}"
    yield from _upstream(subject, column, markup)


def _upstream(subject: _Subject, column: str, markup: _Markup) -> Iterator[str]:
    """The text that the column would inherit, and how the one that it has compares with it."""
    project, spot = subject.project, subject.spot
    found = _inherited(subject, column)
    own = spot.slot.text if spot is not None and spot.is_described(project) else None
    if not isinstance(found, str):
        text, upstream = found
        label = markup.name(upstream.label)
        if own is None:
            yield f"{label} ({upstream.how}): {text}"
        elif own == text:
            yield f"The description is the same as that of {label}."
        else:
            yield f"The description is its own; {label} says: {text}"
    elif own is not None:
        yield f"The description is its own{f': {found}' if found else ''}."


def _inherited(subject: _Subject, column: str) -> tuple[str, Upstream] | str:
    """What the column inherits, or would, and from where; or why it does not, unless that is said elsewhere.

    The outlook has looked for the text of a gap.
    """
    way = subject.ways.get(subject.gap.id) if subject.gap is not None else None
    if subject.gap is not None and _tells_inheritance(subject.gap, way):
        return (way.text, way.source) if isinstance(way, Proposal) and isinstance(way.source, Upstream) else ""
    project, unique_id = subject.project, subject.node.unique_id
    found = inheritance(project, unique_id, column)
    if isinstance(found, Inheritable):
        return (found.text, found.upstream) if found.text is not None else ""
    if not project.index.parents(unique_id):
        return ""
    return _why(subject, column, found.reason, doubtful=isinstance(found, Doubtful))


def _tells_inheritance(gap: Gap, way: Way | None) -> bool:
    """Whether the outlook of a gap has looked upstream; it does not where nothing may be written."""
    return way is not None and (gap.slot is None or gap.slot.blocked_by is None)


def _price(session: Session, project: Project, call: PlannedCall) -> str:
    """Tokens, and what is left of the budget."""
    settings = project.settings
    parts = [f"About {call.input_tokens:,} tokens in and {call.output_tokens:,} out, not in the cache"]
    if settings.max_cost_per_run is not None:
        parts.append(f"at most {show(settings.max_cost_per_run)} a run")
    if settings.max_cost_per_day is not None:
        left = max(settings.max_cost_per_day - Ledger(session.store).spent_today(), Decimal(0))
        parts.append(f"{show(left)} of {show(settings.max_cost_per_day)} left today")
    return "; ".join(parts) + "."


def _sources(sources: Sequence[tuple[str, str]], markup: _Markup) -> str:
    named = [markup.name(str(ColumnRef(*source))) for source in sources[:_MOST_SOURCES]]
    return ", ".join(named) + (", …" if len(sources) > _MOST_SOURCES else "")


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.lower() == other.lower()
