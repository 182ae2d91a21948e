"""What can be done about the descriptions at the cursor or in the selection.

What is inherited is an edit, worked out when it is chosen. What calls a provider is a command: some editors resolve every
action they list, to show what it would do, and that must not cost anything. What was generated before is a command too,
so that it is recorded as such once it is in place, and only then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, TypeGuard

import msgspec
from lsprotocol import types

from osmosis_synthesize.engine.inherit import Doubtful
from osmosis_synthesize.engine.model import (
    Alternative,
    Author,
    Gap,
    PlannedCall,
    Proposal,
    Unfilled,
    Upstream,
    Waiting,
)
from osmosis_synthesize.engine.provenance import Record
from osmosis_synthesize.lsp import convert, messages
from osmosis_synthesize.lsp.edits import propose, workspace_edit
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


class Inherit(Message, frozen=True, tag="inherit"):
    """Fill all gaps of a file that inherit."""

    uri: str
    label: str


class Columns(Message, frozen=True, tag="columns"):
    """Add the columns that the entry of a node lacks."""

    uri: str
    label: str
    node: str


class Undo(Message, frozen=True, tag="undo"):
    """Take generated texts out again."""

    uri: str
    label: str
    places: tuple[Named, ...]


Later = Texts | Inherit | Columns | Undo
"""The ``data`` by which an action is resolved."""


async def offer(session: Session, params: types.CodeActionParams) -> list[types.CodeAction] | list[types.Command]:
    """The actions for a place or a selection; to a client that knows no actions, those of them that are commands."""
    only = None if params.context.only is None else [_value(kind) for kind in params.context.only]
    if not any(_is_wanted(kind, only) for kind in KINDS):
        return []
    view = await views.look_at(session, params.text_document.uri, params.range)
    if view is None:
        return []
    if only is not None and _is_wanted(FIX_ALL, only) and any(gap not in view.ways for gap in view.ids):
        view = replace(view, ways=await _all_ways(session, view) or view.ways)
    looked = _Looked()
    if _is_wanted(QUICK_FIX, only) or _is_wanted(REWRITE, only):
        invoked = params.context.trigger_kind == types.CodeActionTriggerKind.Invoked
        if _is_at_hand(view):
            looked = _look(session, view, invoked=invoked)
        else:
            looked = await session.worker.do(lambda: _look(session, view, invoked=invoked))
    actions = [
        action
        for action in _Offers(session, view, looked, params.context.diagnostics).all()
        if _is_wanted(_value(action.kind), only)
    ]
    if not session.abilities.action_literals:
        return [action.command for action in actions if action.command is not None]
    if session.abilities.resolves_edits:
        return actions
    # Nobody has asked for the edit of a whole file, which takes longest, unless by its kind.
    return [await resolve(session, action) for action in actions if only is not None or action.kind != FIX_ALL]


async def resolve(session: Session, action: types.CodeAction) -> types.CodeAction:
    """Give an action its edit, for the document as it is now."""
    if action.data is None:
        return action
    try:
        wanted = msgspec.convert(action.data, Later)
    except msgspec.ValidationError:  # another server's, or an older one's
        return action
    texts = await _texts(session, wanted)
    if texts is None:
        return action
    project, changes = texts
    proposed = await propose(session, session.refreshed(project), changes)
    if proposed.files:
        several = proposed.count > 1 and not isinstance(wanted, Columns)
        # What runs on each save must not ask each time.
        confirm = several and not isinstance(wanted, Inherit)
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
            return project, [*texts]
        case Inherit():
            ways = await _completed(session, project, gaps, ways)
            proposals = ((gap, ways.get(gap.id)) for gap in gaps)
            return project, [(gap, way.text) for gap, way in proposals if _is_inherited(way)]
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


async def _all_ways(session: Session, view: View) -> Mapping[GapId, Way] | None:
    """How all gaps of a document would be filled; ``None`` if it is none any more of which that could be said."""
    found = await _gaps(session, view.uri)
    return await _completed(session, *found) if found is not None else None


async def _completed(
    session: Session, project: Project, gaps: Sequence[Gap], ways: Mapping[GapId, Way]
) -> Mapping[GapId, Way]:
    """How all of the gaps would be filled: whoever saves right after typing is not told of what is not known yet."""
    new = [gap for gap in gaps if gap.id not in ways]
    if not new:
        return ways
    now = session.refreshed(project)
    return {**ways, **await session.worker.do(lambda: plan_now(session, now, new))}


def _missing(project: Project, unique_id: str) -> list[tuple[Gap, str | None]]:
    home = views.home_of(project, project.index.nodes[unique_id]) if unique_id in project.index.nodes else None
    return [(gap, None) for gap in project.missing_columns(home.file, home.entry.key)] if home is not None else []


def _undone(project: Project, wanted: Undo) -> list[tuple[Gap, str | None]]:
    """The texts to be taken out, as far as they still are those that were generated."""
    nodes = ((project.index.nodes.get(place.node), place.column) for place in wanted.places)
    spots = (views.spot_of(project, node, column) for node, column in nodes if node is not None)
    return [
        (spot.as_gap(), None) for spot in spots if spot is not None and spot.stands_as_generated(project) is not None
    ]


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
    generated: Sequence[tuple[Named, Record]] = ()
    """Which of the descriptions that are meant stand as they were generated, and how that was."""


def _is_at_hand(view: View) -> bool:
    """Whether :func:`_look` finds everything known: no file has to be read, no SQL traced and no prompt made for it."""
    home = view.home
    return (
        all(spot.slot.text is None for spot in view.spots)
        and (len(view.selected) != 1 or _alternatives(view.selected[0], view.ways) is not None)
        and (home is None or (home.node.version is None and view.project.lineage.is_traced(home.node.unique_id)))
    )


def _alternatives(gap: Gap, ways: Mapping[GapId, Way]) -> Sequence[Alternative] | None:
    """The texts upstream among which the user may choose, as far as the outlook has looked for them."""
    match ways.get(gap.id):
        case PlannedCall(gaps=gaps, alternatives=of_gaps):
            found = next(its for one, its in zip(gaps, of_gaps, strict=True) if one.id == gap.id)
        case Unfilled(alternatives=found):
            pass
        case Proposal(origin="inherited") | Waiting():
            found = ()
        case _:
            return None
    return [one for one in found if one.upstream.how != "doc block"]


def _look(session: Session, view: View, *, invoked: bool) -> _Looked:
    """For the worker, unless all is at hand."""
    project, home, spot = view.project, view.home, view.spot
    missing = len(project.missing_columns(home.file, home.entry.key, home.document)) if home is not None else 0
    alternatives: Sequence[Alternative] | None = None
    if len(view.selected) == 1 and (column := view.selected[0].column) is not None:
        unique_id = view.selected[0].unique_id
        alternatives = _alternatives(view.selected[0], view.ways)
        if alternatives is None and unique_id in project.index.nodes:
            found = inheritance(project, unique_id, column)
            alternatives = found.alternatives if isinstance(found, Doubtful) else ()
    records = ((one.name, one.stands_as_generated(project)) for one in view.spots)
    generated = [(name, record) for name, record in records if record is not None]
    gap = rewritable(spot) if spot is not None and spot.is_described(project) else None
    rewriting = plan_now(session, project, [gap])[gap.id] if gap is not None and invoked else None
    return _Looked(alternatives or (), missing, gap is not None, rewriting, generated)


class _Offers:
    def __init__(
        self, session: Session, view: View, looked: _Looked, diagnostics: Sequence[types.Diagnostic]
    ) -> None:
        self.session: Final = session
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
            yield from self._several([gap.id for gap in selected])
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
            target = Target(self.view.uri, gap.unique_id, gap.column)
            title = f"Generate description for `{name}`{self._price([gap.id])}"
            yield self._paid(title, messages.GENERATE_COLUMN, target)
        elif isinstance(way, Unfilled) and self.abilities.disabled_actions:
            title = f"Generate description for `{name}`"
            yield types.CodeAction(title, kind=QUICK_FIX, disabled=types.CodeActionDisabled(way.reason))

    def _several(self, gaps: Sequence[GapId]) -> Iterator[types.CodeAction]:
        inherited = self._inherited(gaps)
        if inherited:
            yield self._free(f"Inherit {count(len(inherited), 'selected description')}", inherited)
        if len(inherited) < len(gaps):
            title = f"Generate {len(gaps)} selected descriptions{self._price(gaps)}"
            yield self._paid(title, messages.GENERATE_FILE, self._just(gaps))

    def _described(self) -> Iterator[types.CodeAction]:
        """What can be done with a description that is there."""
        spot = self.view.spot
        yield from self._generated()
        if spot is None or spot.slot.text is None:
            return
        name = spot.slot.column or short_name(spot.node.unique_id)
        target = Target(self.view.uri, spot.node.unique_id, spot.slot.column)
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

    def _generated(self) -> Iterator[types.CodeAction]:
        """What can be done with descriptions that stand as they were generated."""
        uri = self.view.uri
        every = tuple(name for name, _ in self.looked.generated)
        fresh = tuple(name for name, record in self.looked.generated if not record.reviewed)
        if fresh:
            title = f"Accept {_descriptions(fresh)}"
            yield self._command(title, messages.ACCEPT, Target(uri, only=fresh), kind=REWRITE)
        if every:
            yield self._later(Undo(uri, f"Undo {_descriptions(every)}", every), kind=REWRITE)

    def _entry(self) -> Iterator[types.CodeAction]:
        gaps, home = self.view.beside, self.view.home
        name = str(home.entry.key) if home is not None else self.view.label
        if len(gaps) > 1 or (gaps and not self.view.is_schema_file):
            inherited = self._inherited(gaps)
            if inherited:
                title = f"Inherit {count(len(inherited), 'description')} for `{name}`"
                yield self._free(title, inherited, kind=REWRITE)
            if len(inherited) < len(gaps):
                title = f"Generate {count(len(gaps), 'description')} for `{name}`{self._price(gaps)}"
                if len({unique_id for unique_id, _ in gaps}) == 1:
                    target = Target(self.view.uri, gaps[0][0])
                    yield self._paid(title, messages.GENERATE_MODEL, target, kind=REWRITE)
                else:  # the columns of several versions of a model
                    yield self._paid(title, messages.GENERATE_FILE, self._just(gaps), kind=REWRITE)
        if home is not None and self.looked.missing:
            title = f"Add {count(self.looked.missing, 'column')} that {home.file.name} lacks"
            yield self._later(Columns(self.view.uri, title, home.node.unique_id), kind=QUICK_FIX)

    def _file(self) -> Iterator[types.CodeAction]:
        known = _tally(_File(self.view.ids, self.view.ways))
        total = len(self.view.ids)
        uri = self.view.uri
        if known.inherited:
            title = f"Inherit {count(known.inherited, 'description')} in this file"
            yield self._later(Inherit(uri, title), kind=FIX_ALL)
        if total > 1 and known.inherited < total:
            # Not of the kind that an editor may run on each save: that would be spending unasked.
            title = f"Generate all {total} in this file{known.price}"
            yield self._paid(title, messages.GENERATE_FILE, Target(uri), kind=REWRITE)

    def _just(self, gaps: Sequence[GapId]) -> Target:
        return Target(self.view.uri, only=tuple(Named(*gap) for gap in gaps))

    def _inherited(self, gaps: Sequence[GapId]) -> list[Proposal]:
        return [way for gap in gaps if _is_inherited(way := self.view.ways.get(gap))]

    def _calls(self, gaps: Sequence[GapId]) -> list[PlannedCall]:
        calls = {id(way): way for gap in gaps if isinstance(way := self.view.ways.get(gap), PlannedCall)}
        return list(calls.values())

    def _price(self, gaps: Sequence[GapId]) -> str:
        """What the calls cost; where the outlook has them for other gaps too, calls for fewer cost no more than they."""
        calls = self._calls(gaps)
        alone = {gap.id for call in calls for gap in call.gaps} <= set(gaps)
        if not calls:
            known = any(isinstance(self.view.ways.get(gap), Proposal) for gap in gaps)
            return ", for free" if known else ""
        cost = cost_of(calls)
        return f", {'at most ' if cost and not alone else ''}{money(cost)}"

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
        mended = self._mended([item.gap for item in proposals])
        if not self.abilities.action_literals or any(
            isinstance(item.source, Author) or self._cannot_make(item.gap) for item in proposals
        ):
            project = self.view.project
            self.session.proposed.update(((project.root, item.gap.id), item) for item in proposals)
            slots = (SlotText(convert.uri_of(item.gap.file), *item.gap.id, item.text) for item in proposals)
            return types.CodeAction(
                title,
                kind=kind,
                diagnostics=mended,
                is_preferred=preferred or None,
                command=types.Command(title, messages.APPLY_TEXTS, arguments=[plain(ApplyParams(tuple(slots)))]),
                tags=self._tags(generated=any(_is_generated(item) for item in proposals)),
            )
        texts = tuple(Text(item.gap.unique_id, item.gap.column, item.text) for item in proposals)
        return types.CodeAction(
            title,
            kind=kind,
            diagnostics=mended,
            is_preferred=preferred or None,
            data=plain(Texts(self.view.uri, title, texts)),
        )

    def _cannot_make(self, gap: Gap) -> bool:
        """Whether a text would need a file to be made, and the client cannot: then the server does it."""
        return gap.slot is None and not self.abilities.makes_files and self.view.project.drafts.text(gap.file) is None

    def _later(self, data: Later, *, kind: str) -> types.CodeAction:
        return types.CodeAction(data.label, kind=kind, data=plain(data))

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
    inherited = known = 0
    calls: dict[int, PlannedCall] = {}
    for gap in file.ids:
        way = file.ways.get(gap)
        if _is_inherited(way):
            inherited += 1
        elif isinstance(way, Proposal):
            known += 1
        elif isinstance(way, PlannedCall):
            calls[id(way)] = way
    price = f", {money(cost_of(calls.values()))}" if calls else ", for free" if known else ""
    return _Tally(inherited, price)


def _is_inherited(way: Way | None) -> TypeGuard[Proposal]:
    return isinstance(way, Proposal) and way.origin == "inherited"


def _descriptions(places: Sequence[Named]) -> str:
    """Generated ones, as a title names them."""
    if len(places) > 1:
        return f"{len(places)} generated descriptions"
    (place,) = places
    return f"the generated description of `{place.column or short_name(place.node)}`"


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
