"""From slots and texts to an edited text, proven to differ in nothing else."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final, NamedTuple

from osmosis_synthesize.document.compose import Composed, Unreadable, compose_whole
from osmosis_synthesize.document.model import Change, Clear, Document, Edited, Fill, NewEntry, Rejected, SetMeta, Slot
from osmosis_synthesize.document.parts import key_of, named_lines, part_of
from osmosis_synthesize.document.plan import Plan, plan_changes
from osmosis_synthesize.document.prove import is_as_expected
from osmosis_synthesize.document.reader import parse
from osmosis_synthesize.document.style import FileStyle, file_style, habits_of
from osmosis_synthesize.errors import EditRejected
from osmosis_synthesize.garbage import unsearched
from osmosis_synthesize.names import ResourceType
from osmosis_synthesize.text import Span, TextEdit, apply_edits, line_ending

_FIRST_LINE: Final = "version: 2"

_LARGE: Final = 20_000
"""Characters from which it pays to read single entries again instead of all."""

_FEW: Final = 8
"""Entries up to which it does."""

_NOT_PROVEN: Final = "the edited text would not read back as the old one with this change and nothing else"


def edit(document: Document, changes: Sequence[Change], *, line_width: int | None = None) -> Edited:
    """Make ``changes`` in the text of ``document``, which stays as it is.

    The edited text is parsed again. It reads as the old one with the texts asked for, every one the very same string, and
    nothing else in it has changed. A change that cannot be made, or would break that, is among :attr:`Edited.rejected` with
    the reason; the others are made. ``line_width`` is where long texts are folded: ``None`` means the file's own habit,
    else 80.
    """
    if len(document.text) > _LARGE and line_width is None:
        edited = edit_alone(document, changes)
        if edited is not None:
            return edited
    with unsearched():
        if not document.whole:
            document = parse(document.text)
        if document.root is None and not document.problems:
            return _begin(document, changes, line_width)
        return _edit(document, changes, file_style(document, line_width))


def edit_alone(document: Document, changes: Sequence[Change]) -> Edited | None:
    """The same, with no more than the entries that are edited read and proven; ``None`` where the whole text is needed.

    An entry that can be read alone (see :mod:`.parts`) means what it means alone, before the edit and after it. So does an
    item of its list of columns.
    """
    if len({key_of(change).name for change in changes}) > _FEW:
        return None
    found = [part_of(document, change) for change in changes]
    numbers = sorted({number for number in found if number is not None})
    if None in found or not 0 < len(numbers) <= _FEW:
        return None
    edits: list[TextEdit] = []
    for number in numbers:
        here = [change for change, at in zip(changes, found, strict=True) if at == number]
        made = _edits_of_column(document, here[0], number) if len(here) == 1 else None
        if made is None:
            made = _edits_of_entry(document, here, number)
        if made is None:
            return None
        edits += made
    return Edited(apply_edits(document.text, edits), tuple(edits))


def _edits_of_entry(document: Document, changes: Sequence[Change], number: int) -> list[TextEdit] | None:
    """The edits of one part."""
    frame = document.layout.parts[number].frame
    assert frame is not None
    lines = Span(document.layout.starts[number], document.layout.end(number))
    return _edits_of_lines(document, changes, named_lines(frame), lines)


def _edits_of_column(document: Document, change: Change, number: int) -> list[TextEdit] | None:
    """The edit of a column's description, read without the rest of its entry; ``None`` where that cannot be told."""
    frame = document.layout.parts[number].frame
    assert frame is not None
    if not isinstance(change, Fill) or change.slot.column is None or change.slot.key.version is not None:
        return None
    lines = lines_of_column(document, change.slot, document.layout.end(number))
    if lines is None:
        return None
    entry = f"{' ' * frame.dash}- name: {json.dumps(change.slot.key.name)}\n{' ' * frame.dash}  columns:\n"
    return _edits_of_lines(document, [change], named_lines(frame) + entry, lines)


def lines_of_column(document: Document, slot: Slot, end: int) -> Span | None:
    """The lines from a column's dash up to what closes it, at most to ``end``; ``None`` where it has no dash of its own."""
    entry = document.entry(slot.key)
    if entry is None:
        return None
    at = bisect_right(entry.column_spans, slot.name_span.start, key=attrgetter("start")) - 1
    if at < 0 or entry.columns[at] != slot:
        return None
    own = entry.column_spans[at]
    begin = _behind_dash(document, own)
    if begin is None:
        return None
    start, dash = begin
    if at + 1 < len(entry.columns):
        following = _behind_dash(document, entry.column_spans[at + 1])
        return Span(start, following[0]) if following is not None and following[1] == dash else None
    line = document.lines.line_of(own.end) + 1
    while line < document.lines.line_count and document.lines.line_start(line) < end:
        text = document.lines.line_text(line)
        bare = text.lstrip(" ")
        if bare and not bare.startswith("#") and len(text) - len(bare) <= dash:
            return Span(start, document.lines.line_start(line))
        line += 1
    return Span(start, end)


def _behind_dash(document: Document, item: Span) -> tuple[int, int] | None:
    """Where the line of an item begins, and how far its dash is indented; ``None`` if more stands before the item."""
    start = document.lines.line_start(document.lines.line_of(item.start))
    head = document.text[start : item.start]
    return (start, head.index("-")) if head.strip(" ") == "-" else None


def _edits_of_lines(document: Document, changes: Sequence[Change], before: str, lines: Span) -> list[TextEdit] | None:
    """Edits of some whole lines, read and proven as if ``before`` were all that stands before them."""
    by = len(before) - lines.start
    alone = parse(before + lines.of(document.text))
    edited = _edit(alone, [_moved(change, by) for change in changes], habits_of(document))
    if edited.rejected or any(edit.span.start < len(before) for edit in edited.edits):
        return None
    return [TextEdit(edit.span.shifted(-by), edit.new_text) for edit in edited.edits]


def _moved(change: Change, by: int) -> Change:
    return replace(change, slot=change.slot.shifted(by)) if isinstance(change, Fill | Clear | SetMeta) else change


def _edit(document: Document, changes: Sequence[Change], style: FileStyle) -> Edited:
    plan = plan_changes(document, changes, style)
    proven = _proven(document, plan)
    rejected = plan.rejected
    if proven is None:
        sound = _sound(document, plan.made, style)
        rejected = [*rejected, *(Rejected(change, _NOT_PROVEN) for change in plan.made if change not in sound)]
        plan = plan_changes(document, sound, style)
        proven = _proven(document, plan)
        if proven is None:
            rejected = [*rejected, *(Rejected(change, _NOT_PROVEN) for change in sound)]
            plan, proven = Plan(), _Proven(document.text)
    return Edited(proven.text, tuple(plan.edits), tuple(rejected), proven.composed)


def _begin(document: Document, changes: Sequence[Change], line_width: int | None) -> Edited:
    """Edit a text that holds nothing but blanks and comments: what is written goes behind them."""
    text = document.text
    newline = line_ending(text)
    begun = parse(
        text + ("" if text.endswith(("\n", "\r", "\ufeff")) or not text else newline) + _FIRST_LINE + newline
    )
    if begun.root is None:
        return Edited(text, (), tuple(plan_changes(document, changes, FileStyle()).rejected))
    edited = edit(begun, changes, line_width=line_width)
    if not edited.edits:
        return Edited(text, (), edited.rejected)
    end = Span(len(text), len(text))
    return Edited(edited.text, (TextEdit(end, edited.text[len(text) :]),), edited.rejected)


class _Proven(NamedTuple):
    """A text that reads as expected."""

    text: str
    composed: Composed | None = None
    """What it was read as; ``None`` where nothing had to be read."""


def _proven(document: Document, plan: Plan) -> _Proven | None:
    """The text with the planned edits made, if it reads as expected."""
    if not plan.edits:
        return _Proven(document.text)
    try:
        text = apply_edits(document.text, plan.edits)
        composed = compose_whole(text)
    except (Unreadable, ValueError):
        return None
    if document.root is None or not is_as_expected(document.root, composed.root, plan.expected):
        return None
    return _Proven(text, composed)


def _sound(document: Document, changes: Sequence[Change], style: FileStyle) -> list[Change]:
    """The changes without those that break the proof, found by halving."""
    if _proven(document, plan_changes(document, changes, style)) is not None:
        return list(changes)
    if len(changes) == 1:
        return []
    half = len(changes) // 2
    return _sound(document, changes[:half], style) + _sound(document, changes[half:], style)


def new_schema_file(resource_type: ResourceType, entries: Sequence[NewEntry], line_ending: str = "\n") -> str:
    """The text of a schema file that holds just ``entries``, all of one resource type.

    Raises:
        EditRejected: an entry has no name, a version, or a text that YAML cannot hold; or it comes twice; or it is a source's
            table, which only the file that declares its source can hold.
    """
    strange = [entry for entry in entries if entry.key.resource_type != resource_type]
    if strange:
        raise EditRejected(f"`{strange[0].key}` is no {resource_type}: a new schema file holds entries of one type.")
    edited = edit(parse(_FIRST_LINE + line_ending), entries)
    if edited.rejected:
        reasons = "; ".join(rejected.reason for rejected in edited.rejected)
        raise EditRejected(f"The new schema file cannot be written: {reasons}.")
    return edited.text
