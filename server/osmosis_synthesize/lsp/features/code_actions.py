"""What can be done about the gaps at the cursor or in the selection.

What is free is an edit, worked out when it is chosen. What calls a provider is a command: some editors resolve every
action they list, to show what it would do, and that must not cost anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from lsprotocol import types

from osmosis_synthesize.document.model import Entry
from osmosis_synthesize.engine.inherit import Doubtful
from osmosis_synthesize.engine.model import Alternative, Gap, PlannedCall, Proposal, Upstream
from osmosis_synthesize.lsp import convert, messages
from osmosis_synthesize.lsp.edits import propose, workspace_edit
from osmosis_synthesize.lsp.features.diagnostics import MISSING, SOURCE
from osmosis_synthesize.lsp.messages import Message, Target, plain
from osmosis_synthesize.lsp.outlook import inheritance
from osmosis_synthesize.lsp.session import Reading, Session
from osmosis_synthesize.lsp.wording import cost_of, count, money
from osmosis_synthesize.lsp.workspace import label_of

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


class Texts(Message, frozen=True):
    """What a free action will put in place: the ``data`` by which it is resolved."""

    uri: str
    label: str
    texts: tuple[Text, ...]


async def offer(session: Session, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The actions for a place or a selection."""
    reading = await session.read(params.text_document.uri)
    if reading is None or not reading.ready.has_manifest or reading.document.broken:
        return []
    offers = _Offers(session, reading, params)
    await offers.look_upstream()
    actions = [action for action in offers.all() if _is_wanted(action, params.context.only)]
    if not session.abilities.resolves_edits:
        return [await resolve(session, action) for action in actions]
    return actions


async def resolve(session: Session, action: types.CodeAction) -> types.CodeAction:
    """Give an action its edit, for the document as it is now."""
    if action.data is None:
        return action
    wanted = msgspec.convert(action.data, Texts)
    reading = await session.read(wanted.uri)
    if reading is None:
        return action
    by_id = {gap.id: gap for gap in reading.gaps}
    texts = [(by_id[item.node, item.column], item.text) for item in wanted.texts if (item.node, item.column) in by_id]
    proposed = await propose(session, session.refreshed(reading.project), texts)
    if proposed.files:
        confirm = proposed.count > 1
        action.edit = workspace_edit(proposed.files, session.abilities, wanted.label, confirm=confirm)
    return action


def _is_wanted(action: types.CodeAction, only: Sequence[str] | None) -> bool:
    """Whether an action is of a kind that was asked for; a kind includes those below it."""
    kind = _value(action.kind)
    return only is None or any(
        kind == wanted or kind.startswith(f"{_value(wanted)}.") for wanted in map(_value, only)
    )


def _value(kind: object) -> str:
    return str(getattr(kind, "value", kind))


class _Offers:
    def __init__(self, session: Session, reading: Reading, params: types.CodeActionParams) -> None:
        self.session = session
        self.reading = reading
        self.diagnostics = params.context.diagnostics
        lines, encoding = reading.document.lines, session.abilities.encoding
        self.start = convert.offset(params.range.start, lines, encoding)
        self.end = convert.offset(params.range.end, lines, encoding)
        self.alternatives: Sequence[Alternative] = ()

    async def look_upstream(self) -> None:
        """Find the texts among which the user may choose for the one gap that is selected."""
        selected = self._selected()
        project = self.reading.project
        if len(selected) == 1 and (column := selected[0].column) is not None:
            unique_id = selected[0].unique_id
            if unique_id in project.index.nodes:
                found = await self.session.worker.do(lambda: inheritance(project, unique_id, column))
                self.alternatives = found.alternatives if isinstance(found, Doubtful) else ()

    def all(self) -> Iterator[types.CodeAction]:
        """From the nearest to the widest."""
        selected = self._selected()
        if len(selected) == 1:
            yield from self._one(selected[0])
        elif selected:
            yield from self._several(selected)
        entry = self.reading.entry_at(self.start)
        if entry is not None:
            gaps = self.reading.gaps_of(entry.key)
            if len(gaps) > 1:
                yield from self._entry(entry, gaps)
        if len(self.reading.gaps) > 1:
            yield from self._file()

    def _selected(self) -> list[Gap]:
        """The gaps whose names stand on the lines of the selection, else the one at the cursor."""
        lines = self.reading.document.lines
        first, last = lines.line_of(self.start), lines.line_of(self.end)
        on_lines = [gap for gap in self.reading.gaps if gap.slot is not None and first <= gap.line - 1 <= last]
        if on_lines:
            return on_lines
        slot = self.reading.document.slot_at(self.start)
        if slot is None:
            return []
        gap = self.reading.gap(slot.key, slot.column)
        return [gap] if gap is not None else []

    def _one(self, gap: Gap) -> Iterator[types.CodeAction]:
        way = self.reading.ways.get(gap.id)
        name = label_of(gap)
        if isinstance(way, Proposal):
            yield self._free(_title(way, name), [way], preferred=True)
        if gap.slot is not None and gap.slot.blocked_by is None:
            for alternative in self.alternatives:
                proposal = Proposal(gap, alternative.text, "inherited", alternative.upstream)
                yield self._free(
                    f"Use the description of `{alternative.upstream.label}`: {_cut(alternative.text)}", [proposal]
                )
        block = self._doc_block(gap)
        if block is not None:
            yield block
        if isinstance(way, PlannedCall):
            alone = f", {money(way.cost)}" if way.gaps == (gap,) else ""
            target = Target(self.reading.text.uri, gap.unique_id, gap.column)
            yield self._paid(f"Generate description for `{name}`{alone}", messages.GENERATE_COLUMN, target)

    def _several(self, gaps: list[Gap]) -> Iterator[types.CodeAction]:
        free = self._proposals(gaps)
        if free:
            yield self._free(f"Fill the {count(len(free), 'selected gap')} that cost nothing", free)

    def _entry(self, entry: Entry, gaps: Sequence[Gap]) -> Iterator[types.CodeAction]:
        free = self._proposals(gaps)
        if free:
            yield self._free(f"Inherit {count(len(free), 'description')} for `{entry.key}`", free, kind=REWRITE)
        if len(free) < len(gaps):
            target = Target(self.reading.text.uri, gaps[0].unique_id)
            title = f"Generate {count(len(gaps), 'description')} for `{entry.key}`{self._price(gaps)}"
            yield self._paid(title, messages.GENERATE_MODEL, target, kind=REWRITE)

    def _file(self) -> Iterator[types.CodeAction]:
        gaps = self.reading.gaps
        free = self._proposals(gaps)
        if free:
            title = f"Fill the {count(len(free), 'gap')} in this file that cost nothing"
            yield self._free(title, free, kind=FIX_ALL)
        if len(free) < len(gaps):
            # Not of the kind that an editor may run on each save: that would be spending unasked.
            title = f"Generate all {len(gaps)} in this file{self._price(gaps)}"
            target = Target(self.reading.text.uri)
            yield self._paid(title, messages.GENERATE_FILE, target, kind=REWRITE)

    def _proposals(self, gaps: Sequence[Gap]) -> list[Proposal]:
        ways = self.reading.ways
        return [way for gap in gaps if isinstance(way := ways.get(gap.id), Proposal)]

    def _price(self, gaps: Sequence[Gap]) -> str:
        calls = {id(way): way for gap in gaps if isinstance(way := self.reading.ways.get(gap.id), PlannedCall)}
        return f", {money(cost_of(calls.values()))}" if calls else ""

    def _doc_block(self, gap: Gap) -> types.CodeAction | None:
        """The doc block of the project that bears the column's name."""
        if gap.column is None or gap.slot is None or gap.slot.blocked_by is not None:
            return None
        project = self.reading.project
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
        texts = tuple(Text(item.gap.unique_id, item.gap.column, item.text) for item in proposals)
        return types.CodeAction(
            title,
            kind=kind,
            diagnostics=self._mended([item.gap for item in proposals]),
            is_preferred=preferred or None,
            data=plain(Texts(self.reading.text.uri, title, texts)),
        )

    def _paid(
        self,
        title: str,
        command: str,
        target: Target,
        *,
        kind: str = QUICK_FIX,
    ) -> types.CodeAction:
        tagged = self.session.abilities.llm_tag
        return types.CodeAction(
            title,
            kind=kind,
            command=types.Command(title, command, arguments=[plain(target)]),
            tags=[types.CodeActionTag.LlmGenerated] if tagged else None,
        )

    def _mended(self, gaps: Sequence[Gap]) -> list[types.Diagnostic] | None:
        """Those of the diagnostics at hand that the action does away with."""
        ids = {gap.id for gap in gaps}
        found = [
            item
            for item in self.diagnostics
            if item.source == SOURCE and item.code == MISSING and _id(item.data) in ids
        ]
        return found or None


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
