"""What stands at a place: in a schema file, or in the file of a node, whose entry stands in a schema file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lsprotocol import types

from osmosis_synthesize.document import is_gap
from osmosis_synthesize.document.model import Document, Entry, Slot
from osmosis_synthesize.engine.descriptions import Descriptions, Located
from osmosis_synthesize.engine.gaps import gap_at, latest, relative
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.engine.provenance import Record
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.messages import Named
from osmosis_synthesize.lsp.reading import Reading
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.texts import OpenText
from osmosis_synthesize.lsp.workspace import NODE_SUFFIXES, GapId, Member, Ready, Way
from osmosis_synthesize.manifest.lineage.places import Places, places_in
from osmosis_synthesize.manifest.model import Node
from osmosis_synthesize.names import EntryKey, fold
from osmosis_synthesize.project import Project
from osmosis_synthesize.text import Span


@dataclass(frozen=True, slots=True)
class Home:
    """The entry that describes a node, and where it stands."""

    node: Node
    file: Path
    document: Document
    entry: Entry
    """For a version of a model, that of the model."""

    def whole(self) -> Sequence[Spot]:
        """All slots of the entry."""
        slots = [*((self.entry.slot,) if self.entry.slot is not None else ()), *self.entry.columns]
        return [Spot(self.node, self.file, self.document, slot) for slot in slots]


@dataclass(frozen=True, slots=True)
class Spot:
    """One slot, and what it describes."""

    node: Node
    file: Path
    document: Document
    slot: Slot

    @property
    def name(self) -> Named:
        """As messages name it."""
        return Named(self.node.unique_id, self.slot.column)

    def is_described(self, project: Project) -> bool:
        """Whether it has a real description."""
        return self.slot.state == "text" and not is_gap(self.slot, project.placeholders)

    def record(self, project: Project) -> Record | None:
        """How its description came about, if that is recorded; for the worker."""
        if self.slot.text is None:
            return None
        return project.record_of(self.slot.key, self.slot.column, self.slot.text, file=self.file)

    def stands_as_generated(self, project: Project) -> Record | None:
        """The same, if no human has changed the text since."""
        record = self.record(project)
        return record if record is not None and record.is_generated_text(self.slot.text) else None

    def as_gap(self) -> Gap:
        """The slot as one whose very text may be replaced, or taken out."""
        slot = self.slot
        return gap_at(slot, slot.key, self.node.unique_id, self.document, self.file, replaces=slot.text)


@dataclass(frozen=True, slots=True)
class Output:
    """An output column in the file of a model."""

    node: Node
    name: str
    span: Span
    """Its expression, name included."""


@dataclass(frozen=True, slots=True)
class View:
    """What a cursor or a selection in a document is about."""

    uri: str
    project: Project
    """With the texts as they were then."""
    ids: Sequence[GapId]
    """All gaps of the document; of a node's file, those of its entry."""
    ways: Mapping[GapId, Way]
    selected: Sequence[Gap]
    """Those in the selection, or at the cursor."""
    beside: Sequence[GapId]
    """Those of the entry at the place, the selected ones among them."""
    label: str
    """What that entry is called; empty where there is none."""
    home: Home | None
    """That entry, if the manifest knows it."""
    spot: Spot | None
    """What stands at the place, if that is one slot."""
    spots: Sequence[Spot]
    """All slots that are meant: that one, those in the selection, or all of the entry if it is the entry's own."""
    is_schema_file: bool = True
    output: Output | None = None
    """In the file of a model, the output column at the cursor, be it in the entry or not."""


async def look_at(session: Session, uri: str, place: types.Range) -> View | None:
    """What stands at a place; ``None`` where the document is neither a schema file nor that of a node."""
    text = session.texts.get(uri)
    if text is not None and text.path.suffix.lower() in NODE_SUFFIXES:
        return await _in_node_file(session, text, place)
    reading = await session.read(uri)
    if reading is None or not reading.ready.has_manifest or reading.document.broken:
        return None
    return _in_schema_file(session, reading, place)


def _in_schema_file(session: Session, reading: Reading, place: types.Range) -> View:
    document, lines = reading.document, reading.document.lines
    start = convert.offset(place.start, lines, session.abilities.encoding)
    end = convert.offset(place.end, lines, session.abilities.encoding)
    slot = document.slot_at(start)
    entry = document.entry_at(start)
    if entry is not None and entry.slot is None:  # a version, whose model's entry answers for it
        entry = document.entry(EntryKey(entry.key.resource_type, entry.key.name)) or entry
    selected = reading.gaps_on(lines.line_of(start), lines.line_of(end))
    if not selected and slot is not None and (gap := reading.gap(slot.key, slot.column)) is not None:
        selected = [gap]
    keys = [entry.key] if entry is not None else []
    keys += [slot.key] if slot is not None and slot.key not in keys else []
    node = node_of(reading, entry.slot) if entry is not None and entry.slot is not None else None
    described = node if slot is None or slot.column is None else node_of(reading, slot)
    path = reading.text.path
    home = Home(node, path, document, entry) if node is not None and entry is not None else None
    spot = Spot(described, path, document, slot) if described is not None and slot is not None else None
    spots: Sequence[Spot] = [spot] if spot is not None else []
    first, last = lines.line_of(start), lines.line_of(end)
    if home is not None and (first < last or slot is None or slot.column is None):
        spots = home.whole()
        if first < last:
            spots = [one for one in spots if first <= lines.line_of(one.slot.name_span.start) <= last]
    return View(
        reading.text.uri,
        reading.project,
        reading.ids,
        reading.ways,
        selected,
        [gap for key in keys for gap in reading.ids_of(key)],
        str(keys[0]) if keys else "",
        home,
        spot,
        spots,
    )


def node_of(reading: Reading, slot: Slot) -> Node | None:
    """The node that a slot describes; of several versions the latest that has the column."""
    project = reading.project
    nodes = project.index.find(slot.key, package=project.layout.name, path=reading.path)
    having = [node for node in nodes if slot.column is None or node.column(slot.column) is not None]
    return latest(having or nodes) if nodes else None


async def _in_node_file(session: Session, text: OpenText, place: types.Range) -> View | None:
    member, project = project_of(session, text.path)
    if member is None or project is None:
        return None
    start = convert.offset(place.start, text.lines, session.abilities.encoding)
    end = convert.offset(place.end, text.lines, session.abilities.encoding)
    found = await session.worker.do(lambda: _at_columns(project, text, start, end))
    if found is None:
        return None
    names, home, spots, output = found
    spot = spots[0] if len(spots) == 1 else None
    if not names and home is not None:
        spots = home.whole()
    gaps = member.models.get(text.path, ())
    selected = [gap for gap in gaps if gap.column is not None and fold(gap.column) in names]
    ways = member.ways.get(text.path, {})
    ids = [gap.id for gap in gaps]
    return View(
        text.uri,
        project,
        ids,
        ways,
        selected,
        ids,
        str(gaps[0].key) if gaps else "",
        home,
        spot,
        spots,
        is_schema_file=False,
        output=output,
    )


def project_of(session: Session, path: Path) -> tuple[Member, Project] | tuple[None, None]:
    """The project that a file belongs to, with the open texts as they are now; none while its manifest is not loaded."""
    member = session.workspace.member_of(path)
    if member is None or not isinstance(member.state, Ready) or not member.state.has_manifest:
        return None, None
    return member, session.refreshed(member.state.project)


def _at_columns(
    project: Project, text: OpenText, start: int, end: int
) -> tuple[Sequence[str], Home | None, Sequence[Spot], Output | None] | None:
    """The output columns in a selection, by folded name, the node's entry, their slots, and of just one its expression."""
    node = node_in(project, text.path)
    if node is None:
        return None
    places = places_of(project, text.path, text.text)
    at_cursor = places.at(start)
    names = places.between(start, end) if end > start else [at_cursor] if at_cursor is not None else []
    home = home_of(project, node)
    spots = [spot for name in names if (spot := spot_of(project, node, name)) is not None]
    if len(names) != 1:
        return names, home, spots, None
    (name,) = names
    lineage = project.lineage.get(node.unique_id)
    traced = lineage.column(name) if lineage is not None else None
    output = Output(node, traced.name if traced is not None else name, places.columns[name])
    return names, home, spots, output


def node_in(project: Project, path: Path) -> Node | None:
    """The node of the project itself that the file at ``path`` defines."""
    nodes = project.index.nodes_in_file(relative(path, project.root), project.layout.name)
    return next((node for node in nodes if project.index.is_editable(node)), None)


def places_of(project: Project, path: Path, text: str) -> Places:
    """Where the output columns stand in the file of a model; for the worker, since the text may be long."""
    return _places(text, project.index.metadata.adapter_type) if path.suffix.lower() == ".sql" else Places()


_places = lru_cache(maxsize=16)(places_in)


def home_of(project: Project, node: Node) -> Home | None:
    """The entry of a node; for the worker, since it may read every schema file."""
    located = _locate(project, node)
    return Home(node, located.file, located.document, located.entry) if located is not None else None


def spot_of(project: Project, node: Node, column: str | None) -> Spot | None:
    """The slot of a node, or of one of its columns; for the worker."""
    located = _locate(project, node)
    slot = located.slot(column) if located is not None else None
    return Spot(node, located.file, located.document, slot) if located is not None and slot is not None else None


def _locate(project: Project, node: Node) -> Located | None:
    mentions = project.mentions
    return Descriptions(project.index, project.drafts, project.root, project.placeholders, mentions).locate(node)
