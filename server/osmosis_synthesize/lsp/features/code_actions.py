"""What can be done about the descriptions at the cursor or in the selection.

What is free is an edit, worked out when it is chosen. What calls a provider is a command: some editors resolve every
action they list, to show what it would do, and that must not cost anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
from lsprotocol import types

from osmosis_synthesize.engine.inherit import Doubtful
from osmosis_synthesize.engine.model import Alternative, Author, Gap, PlannedCall, Proposal, Unfilled, Upstream
from osmosis_synthesize.engine.provenance import Record
from osmosis_synthesize.lsp import convert, messages
from osmosis_synthesize.lsp.edits import propose, record, workspace_edit
from osmosis_synthesize.lsp.features import views
from osmosis_synthesize.lsp.features.described import rewritable
from osmosis_synthesize.lsp.features.diagnostics import MISSING, SOURCE
from osmosis_synthesize.lsp.features.views import View
from osmosis_synthesize.lsp.messages import ApplyParams, Message, Named, SlotText, Target, plain
from osmosis_synthesize.lsp.outlook import gaps_of_model, inheritance, plan_now
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.wording import cost_of, count, money
from osmosis_synthesize.lsp.workspace import NODE_SUFFIXES, GapId, Way, label_of
from osmosis_synthesize.names import short_name
from osmosis_synthesize.project import Project

REWRITE: Final = "refactor.rewrite.osmosis"
FIX_ALL: Final = "source.fixAll.osmosis"
QUICK_FIX: Final = "quickfix"
KINDS: Final = (QUICK_FIX, REWRITE, FIX_ALL)

_SHOWN: Final = 60
"""Characters of a text that fit into a title."""


class Text(Message, frozen=True):
    """A text for one gap."""

    node: str
    column: str | None
    text: str


class Texts(Message, frozen=True, tag="texts"):
    """Put these texts in place."""

    uri: str
    label: str
    texts: tuple[Text, ...]


class Free(Message, frozen=True, tag="free"):
    """Fill all gaps of a file that cost nothing, or only those that inherit."""

    uri: str
    label: str
    inherited: bool


class Columns(Message, frozen=True, tag="columns"):
    """Add the columns that the entry of a node lacks."""

    uri: str
    label: str
    node: str


class Undo(Message, frozen=True, tag="undo"):
    """Take a generated text out again."""

    uri: str
    label: str
    node: str
    column: str | None


Later = Texts | Free | Columns | Undo
"""The ``data`` by which an action is resolved."""


async def offer(session: Session, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The actions for a place or a selection."""
    only = None if params.context.only is None else [_value(kind) for kind in params.context.only]
    if not any(_is_wanted(kind, only) for kind in KINDS):
        return []
    view = await views.look_at(session, params.text_document.uri, params.range)
    if view is None:
        return []
    looked = _Looked()
    if _is_wanted(QUICK_FIX, only) or _is_wanted(REWRITE, only):
        invoked = params.context.trigger_kind == types.CodeActionTriggerKind.Invoked
        looked = await session.worker.do(lambda: _look(session, view, invoked=invoked))
    actions = [
        action
        for action in _Offers(session, view, looked, params.context.diagnostics).all()
        if _is_wanted(_value(action.kind), only)
    ]
    if not session.abilities.resolves_edits:
        return [await resolve(session, action) for action in actions]
    return actions


async def resolve(session: Session, action: types.CodeAction) -> types.CodeAction:
    """Give an action its edit, for the document as it is now."""
    if action.data is None:
        return action
    wanted = msgspec.convert(action.data, Later)
    texts = await _texts(session, wanted)
    if texts is None:
        return action
    project, changes = texts
    proposed = await propose(session, session.refreshed(project), changes)
    if proposed.files:
        several = proposed.count > 1 and not isinstance(wanted, Columns)
        # What runs on each save must not ask each time.
        confirm = several and not (isinstance(wanted, Free) and wanted.inherited)
        action.edit = workspace_edit(proposed.files, session.abilities, wanted.label, confirm=confirm)
    return action


async def _texts(session: Session, wanted: Later) -> tuple[Project, list[tuple[Gap, str | None]]] | None:
    """What an action is to put where; ``None`` as a text adds a column, or takes a text out."""
    found = await _gaps(session, wanted.uri)
    if found is None:
        return None
    project, gaps, ways = found
    by_id = {gap.id: gap for gap in gaps}
    match wanted:
        case Texts():
            texts = [(by_id[item.node, item.column], item.text) for item in wanted.texts if _key(item) in by_id]
            proposals = [
                way for gap, text in texts if isinstance(way := ways.get(gap.id), Proposal) and way.text == text
            ]
            await record(session, project, proposals)
            return project, [*texts]
        case Free():
            proposals = [way for gap in gaps if isinstance(way := ways.get(gap.id), Proposal)]
            chosen = [way for way in proposals if not wanted.inherited or way.origin == "inherited"]
            await record(session, project, chosen)
            return project, [(by_id[way.gap.id], way.text) for way in chosen]
        case Columns():
            return project, await session.worker.do(lambda: _missing(project, wanted.node))
        case Undo():
            return project, await session.worker.do(lambda: _undone(project, wanted))


async def _gaps(session: Session, uri: str) -> tuple[Project, Sequence[Gap], Mapping[GapId, Way]] | None:
    """The gaps of a schema file, or of the entry of a node's file, as they are now, and how they would be filled."""
    text = session.texts.get(uri)
    if text is not None and text.path.suffix.lower() in NODE_SUFFIXES:
        member, project = views.project_of(session, text.path)
        if member is None or project is None:
            return None
        gaps = await session.worker.do(lambda: gaps_of_model(project, text.path))
        return project, gaps, member.ways.get(text.path, {})
    reading = await session.read(uri)
    return (reading.project, reading.gaps, reading.ways) if reading is not None else None


def _missing(project: Project, unique_id: str) -> list[tuple[Gap, str | None]]:
    home = views.home_of(project, project.index.nodes[unique_id]) if unique_id in project.index.nodes else None
    return [(gap, None) for gap in project.missing_columns(home.file, home.entry.key)] if home is not None else []


def _undone(project: Project, wanted: Undo) -> list[tuple[Gap, str | None]]:
    """The text to be taken out, if it still is the one that was generated."""
    node = project.index.nodes.get(wanted.node)
    spot = views.spot_of(project, node, wanted.column) if node is not None else None
    return [(spot.as_gap(), None)] if spot is not None and spot.stands_as_generated(project) is not None else []


def _key(text: Text) -> GapId:
    return text.node, text.column


def _is_wanted(kind: str, only: Sequence[str] | None) -> bool:
    """Whether a kind was asked for; one includes those below it."""
    return only is None or any(wanted in ("", kind) or kind.startswith(f"{wanted}.") for wanted in only)


def _value(kind: object) -> str:
    return str(getattr(kind, "value", kind))


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is known of a place only after some reading."""

    alternatives: Sequence[Alternative] = ()
    """Texts among which the user may choose for the one gap."""
    missing: int = 0
    """Columns that the entry lacks."""
    can_rewrite: bool = False
    """Whether the one description may be written anew."""
    rewriting: Way | None = None
    """How that would be done; looked at only where somebody waits for it, since a whole prompt is made for it."""
    record: Record | None = None
    """How the one description came about, if it stands as it was generated."""


def _look(session: Session, view: View, *, invoked: bool) -> _Looked:
    """For the worker."""
    project, home, spot = view.project, view.home, view.spot
    missing = len(project.missing_columns(home.file, home.entry.key)) if home is not None else 0
    alternatives: Sequence[Alternative] = ()
    if len(view.selected) == 1 and (column := view.selected[0].column) is not None:
        unique_id = view.selected[0].unique_id
        found = inheritance(project, unique_id, column) if unique_id in project.index.nodes else None
        alternatives = found.alternatives if isinstance(found, Doubtful) else ()
    if spot is None or not spot.is_described(project):
        return _Looked(alternatives, missing)
    gap = rewritable(spot)
    rewriting = plan_now(session, project, [gap])[gap.id] if gap is not None and invoked else None
    return _Looked(alternatives, missing, gap is not None, rewriting, spot.stands_as_generated(project))


class _Offers:
    def __init__(
        self, session: Session, view: View, looked: _Looked, diagnostics: Sequence[types.Diagnostic]
    ) -> None:
        self.abilities: Final = session.abilities
        self.view: Final = view
        self.looked: Final = looked
        self.diagnostics: Final = diagnostics

    def all(self) -> Iterator[types.CodeAction]:
        """From the nearest to the widest."""
        selected = self.view.selected
        if len(selected) == 1:
            yield from self._one(selected[0])
        elif selected:
            yield from self._several(selected)
        yield from self._described()
        yield from self._entry()
        if self.view.is_schema_file and self.view.ids:
            yield from self._file()

    def _one(self, gap: Gap) -> Iterator[types.CodeAction]:
        way = self.view.ways.get(gap.id)
        name = label_of(gap)
        if isinstance(way, Proposal):
            yield self._free(_title(way, name), [way], preferred=True)
        if gap.slot is not None and gap.slot.blocked_by is None:
            for alternative in self.looked.alternatives:
                proposal = Proposal(gap, alternative.text, "inherited", alternative.upstream)
                yield self._free(
                    f"Use the description of `{alternative.upstream.label}`: {_cut(alternative.text)}", [proposal]
                )
        block = self._doc_block(gap)
        if block is not None:
            yield block
        if isinstance(way, PlannedCall):
            alone = f", {money(way.cost)}" if way.gaps == (gap,) else ""
            target = Target(self.view.uri, gap.unique_id, gap.column)
            yield self._paid(f"Generate description for `{name}`{alone}", messages.GENERATE_COLUMN, target)
        elif isinstance(way, Unfilled) and self.abilities.disabled_actions:
            title = f"Generate description for `{name}`"
            yield types.CodeAction(title, kind=QUICK_FIX, disabled=types.CodeActionDisabled(way.reason))

    def _several(self, gaps: Sequence[Gap]) -> Iterator[types.CodeAction]:
        free = self._proposals(gaps)
        if free:
            yield self._free(f"Fill the {count(len(free), 'selected gap')} that cost nothing", free)
        if self._calls(gaps):
            names = tuple(Named(gap.unique_id, gap.column) for gap in gaps)
            title = f"Generate {len(gaps)} selected descriptions{self._price(gaps)}"
            yield self._paid(title, messages.GENERATE_FILE, Target(self.view.uri, only=names))

    def _described(self) -> Iterator[types.CodeAction]:
        """What can be done with a description that is there."""
        spot = self.view.spot
        if spot is None or spot.slot.text is None:
            return
        name = spot.slot.column or short_name(spot.node.unique_id)
        target = Target(self.view.uri, spot.node.unique_id, spot.slot.column)
        record = self.looked.record
        if record is not None:
            if not record.reviewed:
                title = f"Accept the generated description of `{name}`"
                only = (Named(spot.node.unique_id, spot.slot.column),)
                yield self._command(title, messages.ACCEPT, Target(self.view.uri, only=only), kind=REWRITE)
            title = f"Undo the generated description of `{name}`"
            yield self._later(Undo(self.view.uri, title, spot.node.unique_id, spot.slot.column), kind=REWRITE)
        title = f"Rewrite description of `{name}`…"
        match self.looked.rewriting:
            case PlannedCall() as call:
                yield self._paid(f"{title}, {money(call.cost)}", messages.REWRITE, target, kind=REWRITE)
            case Unfilled(reason=reason):
                if self.abilities.disabled_actions:
                    yield types.CodeAction(title, kind=REWRITE, disabled=types.CodeActionDisabled(reason))
            case _ if self.looked.can_rewrite:
                yield self._paid(title, messages.REWRITE, target, kind=REWRITE)
            case _:
                pass

    def _entry(self) -> Iterator[types.CodeAction]:
        gaps, home = self.view.beside, self.view.home
        name = str(home.entry.key) if home is not None else str(gaps[0].key) if gaps else ""
        if len(gaps) > 1 or (gaps and not self.view.is_schema_file):
            free = self._proposals(gaps)
            if len(free) > 1 or (free and not self.view.selected):
                inherited = all(way.origin == "inherited" for way in free)
                title = (
                    f"Inherit {count(len(free), 'description')} for `{name}`"
                    if inherited
                    else f"Fill the {count(len(free), 'gap')} of `{name}` that cost nothing"
                )
                yield self._free(title, free, kind=REWRITE)
            if len(free) < len(gaps):
                target = Target(self.view.uri, gaps[0].unique_id)
                title = f"Generate {count(len(gaps), 'description')} for `{name}`{self._price(gaps)}"
                yield self._paid(title, messages.GENERATE_MODEL, target, kind=REWRITE)
        if home is not None and self.looked.missing:
            title = f"Add {count(self.looked.missing, 'column')} that {home.file.name} lacks"
            yield self._later(Columns(self.view.uri, title, home.node.unique_id), kind=QUICK_FIX)

    def _file(self) -> Iterator[types.CodeAction]:
        known = _tally(_File(self.view.ids, self.view.ways))
        total = len(self.view.ids)
        uri = self.view.uri
        if known.inherited:
            title = f"Inherit {count(known.inherited, 'description')} in this file"
            yield self._later(Free(uri, title, inherited=True), kind=FIX_ALL)
        if total > 1 and known.free > known.inherited:
            title = f"Fill the {count(known.free, 'gap')} in this file that cost nothing"
            yield self._later(Free(uri, title, inherited=False), kind=REWRITE, generated=True)
        if total > 1 and known.free < total:
            # Not of the kind that an editor may run on each save: that would be spending unasked.
            title = f"Generate all {total} in this file{known.price}"
            yield self._paid(title, messages.GENERATE_FILE, Target(uri), kind=REWRITE)

    def _proposals(self, gaps: Sequence[Gap]) -> list[Proposal]:
        ways = self.view.ways
        return [way for gap in gaps if isinstance(way := ways.get(gap.id), Proposal)]

    def _calls(self, gaps: Sequence[Gap]) -> list[PlannedCall]:
        calls = {id(way): way for gap in gaps if isinstance(way := self.view.ways.get(gap.id), PlannedCall)}
        return list(calls.values())

    def _price(self, gaps: Sequence[Gap]) -> str:
        """What the calls cost, unless they are for other gaps too."""
        calls = self._calls(gaps)
        ids = {gap.id for gap in gaps}
        alone = all(gap.id in ids for call in calls for gap in call.gaps)
        return f", {money(cost_of(calls))}" if calls and alone else ""

    def _doc_block(self, gap: Gap) -> types.CodeAction | None:
        """The doc block of the project that bears the column's name."""
        if gap.column is None or gap.slot is None or gap.slot.blocked_by is not None:
            return None
        project = self.view.project
        block = project.index.docs.get((project.layout.name, gap.column))
        if block is None:
            return None
        proposal = Proposal(
            gap, f"{{{{ doc('{block.name}') }}}}", "inherited", Upstream(block.name, None, "doc block")
        )
        return self._free(f"Use doc block `{block.name}`", [proposal])

    def _free(
        self,
        title: str,
        proposals: Sequence[Proposal],
        *,
        kind: str = QUICK_FIX,
        preferred: bool = False,
    ) -> types.CodeAction:
        """Put texts in place that are known."""
        generated = any(_is_generated(item) for item in proposals)
        mended = self._mended([item.gap for item in proposals])
        if any(self._cannot_make(item.gap) for item in proposals):
            uri_of = convert.uri_of
            slots = (SlotText(uri_of(item.gap.file), *item.gap.id, item.text) for item in proposals)
            command = types.Command(title, messages.APPLY_TEXTS, arguments=[plain(ApplyParams(tuple(slots)))])
            return types.CodeAction(
                title, kind=kind, diagnostics=mended, command=command, tags=self._tags(generated=generated)
            )
        texts = tuple(Text(item.gap.unique_id, item.gap.column, item.text) for item in proposals)
        return types.CodeAction(
            title,
            kind=kind,
            diagnostics=mended,
            is_preferred=preferred or None,
            data=plain(Texts(self.view.uri, title, texts)),
            tags=self._tags(generated=generated),
        )

    def _cannot_make(self, gap: Gap) -> bool:
        """Whether a text would need a file to be made, and the client cannot: then the server does it."""
        return gap.slot is None and not self.abilities.makes_files and self.view.project.drafts.text(gap.file) is None

    def _later(self, data: Later, *, kind: str, generated: bool = False) -> types.CodeAction:
        return types.CodeAction(data.label, kind=kind, data=plain(data), tags=self._tags(generated=generated))

    def _paid(self, title: str, command: str, target: Target, *, kind: str = QUICK_FIX) -> types.CodeAction:
        action = self._command(title, command, target, kind=kind)
        action.tags = self._tags(generated=True)
        return action

    def _command(self, title: str, command: str, target: Target, *, kind: str) -> types.CodeAction:
        return types.CodeAction(title, kind=kind, command=types.Command(title, command, arguments=[plain(target)]))

    def _tags(self, *, generated: bool) -> list[types.CodeActionTag] | None:
        return [types.CodeActionTag.LlmGenerated] if generated and self.abilities.llm_tag else None

    def _mended(self, gaps: Sequence[Gap]) -> list[types.Diagnostic] | None:
        """Those of the diagnostics at hand that the action does away with."""
        ids = {gap.id for gap in gaps}
        found = [
            item
            for item in self.diagnostics
            if item.source == SOURCE and item.code == MISSING and _id(item.data) in ids
        ]
        return found or None


@dataclass(frozen=True, slots=True)
class _Tally:
    """What the gaps of a whole file would take, as far as that is known."""

    inherited: int
    free: int
    """Those that inherit among them."""
    price: str


class _File:
    """The gaps of a file and their outlook, known again by being the same ones: a large file is counted but once."""

    def __init__(self, ids: Sequence[GapId], ways: Mapping[GapId, Way]) -> None:
        self.ids: Final = ids
        self.ways: Final = ways

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _File) and other.ids is self.ids and other.ways is self.ways

    def __hash__(self) -> int:
        return hash((id(self.ids), id(self.ways)))


@lru_cache(maxsize=16)
def _tally(file: _File) -> _Tally:
    inherited = free = 0
    calls: dict[int, PlannedCall] = {}
    for gap in file.ids:
        way = file.ways.get(gap)
        if isinstance(way, Proposal):
            free += 1
            inherited += way.origin == "inherited"
        elif isinstance(way, PlannedCall):
            calls[id(way)] = way
    return _Tally(inherited, free, f", {money(cost_of(calls.values()))}" if calls else "")


def _is_generated(proposal: Proposal) -> bool:
    """Whether a language model has written a text."""
    return isinstance(proposal.source, Author) and proposal.source.provider != "facts"


def _id(data: Any) -> tuple[Any, Any] | None:
    return (data.get("node"), data.get("column")) if isinstance(data, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]  # JSON


def _title(proposal: Proposal, name: str) -> str:
    if isinstance(proposal.source, Upstream):
        return f"Inherit description from `{proposal.source.label}`"
    if proposal.origin == "cached":
        return f"Use the description of `{name}` from the cache: {_cut(proposal.text)}"
    return f"Describe `{name}` by what the project proves: {_cut(proposal.text)}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
