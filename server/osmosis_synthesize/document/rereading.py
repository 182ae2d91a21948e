"""Reading a text again after an edit: what was edited is read, the rest is moved.

A part of the text that can be read alone (see :mod:`.parts`) is. Where it cannot be, the whole text is read, so that the
outcome is always that of :func:`~osmosis_synthesize.document.parse`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from osmosis_synthesize.document.compose import NOT_PRINTABLE, NotAlone, Unreadable, compose_lines
from osmosis_synthesize.document.model import HABITS, Document, Entry, Frame, Layout, Part, Problem, Slot
from osmosis_synthesize.document.parts import Stretch, begins_with_item
from osmosis_synthesize.document.reader import parse, read_stretch, unreadable
from osmosis_synthesize.text import Span, TextEdit, apply_edits


class _Change(NamedTuple):
    """All edits as one: everything between the first and the last."""

    text: str
    """The new text."""
    span: Span
    """What is replaced, in the old text."""
    by: int
    """How far the text behind it moves."""


class _Reached(NamedTuple):
    """The parts that a change reaches, by number."""

    first: int
    behind: int
    """The first one that it does not reach any more."""
    stretch: Stretch
    """Where they are in the new text. It has a frame if nothing but they is reached, so that they can be read alone."""


def reparse(document: Document, edits: TextEdit | Sequence[TextEdit]) -> Document:
    """The document that :func:`~osmosis_synthesize.document.parse` makes of the edited text, made from ``document``.

    The spans of ``edits`` refer to the text of ``document``, as for :func:`~osmosis_synthesize.text.apply_edits`. It takes
    the time of reading the entries that were edited, where they and what surrounds them stay entries; else that of reading
    the whole text. The document is not :attr:`~Document.whole`: the first edit made from it reads all of it.

    Raises:
        ValueError: two edits overlap, or one reaches past the end of the text.
    """
    change = _change(document, edits)
    if change is None:
        return document
    layout = document.remains or document.layout
    reached = _reached(layout, change)
    new = _read_again(layout, change, reached)
    if new is None:
        new = parse(change.text)
        if new.broken:
            new = replace(new, remains=_carried(layout, change, reached))
    return _with_lines(new, document, change)


def reparse_quickly(document: Document, edits: TextEdit | Sequence[TextEdit]) -> Document | None:
    """The same, if the entries that were edited tell what it is; ``None`` if more than they would have to be read.

    Raises:
        ValueError: as :func:`reparse` does.
    """
    change = _change(document, edits)
    if change is None:
        return document
    layout = document.remains or document.layout
    try:
        new = _read_alone(layout, change, _reached(layout, change))
    except Unreadable:
        return None
    return _with_lines(new, document, change) if new is not None else None


def carried_over(document: Document, edits: TextEdit | Sequence[TextEdit]) -> Document:
    """What ``document`` held, as far as it still makes sense in the edited text, which is not read.

    Entries and columns that were edited elsewhere keep their places and texts; a slot whose name or description was edited
    is gone, and all of an entry whose name was. This is for editors: while somebody types, a text is often no YAML for a
    moment. With ``new = reparse(old, edits)`` and ``shown = carried_over(old, edits) if new.broken else new``, ``shown``
    has the last slots that were read, however many edits ago: a broken document remembers them.

    The document counts as broken: nothing can be written into it.

    Raises:
        ValueError: two edits overlap, or one reaches past the end of the text.
    """
    layout = document.remains or document.layout
    change = _change(document, edits)
    if change is None:
        return Document(document.text, layout, whole=False, broken=True)
    new = Document(change.text, _carried(layout, change, _reached(layout, change)), whole=False, broken=True)
    return _with_lines(new, document, change)


def _change(document: Document, edits: TextEdit | Sequence[TextEdit]) -> _Change | None:
    """``None`` where there is no edit."""
    if isinstance(edits, TextEdit):
        edits = [edits]
    if not edits:
        return None
    text = apply_edits(document.text, edits)
    span = Span(min(edit.span.start for edit in edits), max(edit.span.end for edit in edits))
    return _Change(text, span, len(text) - len(document.text))


def _with_lines(new: Document, old: Document, change: _Change) -> Document:
    """``new``, whose lines are those of ``old`` but for the change, and its habits the same, if these are known."""
    if HABITS in old.__dict__ and not new.whole:
        new.__dict__[HABITS] = old.__dict__[HABITS]
    if "lines" in old.__dict__:
        new.__dict__["lines"] = old.lines.edited(change.span, change.text)
    return new


def _reached(layout: Layout, change: _Change) -> _Reached:
    """The parts that a change reaches, and any that could not be read before.

    At the border of two parts both are reached.
    """
    first = bisect_left(layout.starts, change.span.start)
    if first > 0 and layout.end(first - 1) >= change.span.start:
        first -= 1
    behind = max(bisect_right(layout.starts, change.span.end), first)
    unread = next((index for index, part in enumerate(layout.parts) if not part.readable), None)
    if unread is not None:
        first, behind = min(first, unread), max(behind, unread + 1)
    start, end = change.span.start, change.span.end
    if behind > first:
        start, end = min(start, layout.starts[first]), max(end, layout.end(behind - 1))
        if not _ends_line(change, end) and behind < len(layout.parts) and layout.starts[behind] == end:
            end, behind = layout.end(behind), behind + 1
    return _Reached(first, behind, Stretch(Span(start, end + change.by), _frame(layout, change, first, behind)))


def _frame(layout: Layout, change: _Change, first: int, behind: int) -> Frame | None:
    """What the reached parts stand in, if it is the same for all of them and nothing else is reached."""
    if first == behind:
        return None
    start, end = layout.starts[first], layout.end(behind - 1)
    frame = layout.parts[first].frame
    joined = all(
        layout.parts[index].frame == frame and layout.end(index - 1) == layout.starts[index]
        for index in range(first + 1, behind)
    )
    inside = start <= change.span.start and change.span.end <= end
    return frame if joined and inside and _ends_line(change, end) else None


def _ends_line(change: _Change, end: int) -> bool:
    """Whether the line break at the end of a part, or that of the text, is still there."""
    end += change.by
    return end == len(change.text) or change.text[end - 1 : end] == "\n"


def _read_again(layout: Layout, change: _Change, reached: _Reached) -> Document | None:
    """The new document; ``None`` if what it is cannot be told without reading the whole text."""
    try:
        return _read_alone(layout, change, reached)
    except Unreadable:
        return _broken(layout, change, reached)


def _read_alone(layout: Layout, change: _Change, reached: _Reached) -> Document | None:
    """The new document; ``None`` if it cannot be told by reading the reached parts alone.

    Raises:
        Unreadable: they are no YAML.
    """
    span, frame = reached.stretch
    # Of several faults in a text the parser finds a forbidden character too early, in a way that depends on where it begins.
    if frame is None or NOT_PRINTABLE.search(change.text, span.start, span.end):
        return None
    try:
        read = read_stretch(change.text, reached.stretch)
    except NotAlone:
        return None
    return Document(change.text, _spliced(layout, change, reached, read.parts), whole=False)


def _broken(layout: Layout, change: _Change, reached: _Reached) -> Document | None:
    """The document of a text that is no YAML; ``None`` if it may be some after all."""
    span, frame = reached.stretch
    if frame is None or not begins_with_item(change.text, span.start, frame):
        return None
    try:
        # Up to these lines all is well. What is open at their end, a quote perhaps, may be closed by what follows.
        compose_lines(change.text, Span(span.start, len(change.text)), frame.before)
    except Unreadable as error:
        broken = Layout(others=(unreadable(change.text, error),))
        return Document(change.text, broken, whole=False, broken=True, remains=_carried(layout, change, reached))
    except NotAlone:
        return None
    return None


def _spliced(layout: Layout, change: _Change, reached: _Reached, parts: Sequence[Part]) -> Layout:
    """The layout of the new text, with ``parts``, that stand where they say, in place of the reached ones."""
    first, behind, _ = reached
    others: list[Problem] = []
    for problem in layout.others:
        if problem.span.start >= change.span.end:
            others.append(Problem(problem.span.shifted(change.by), problem.message))
        elif problem.span.end <= change.span.start:
            others.append(problem)
    return Layout(
        (*layout.parts[:first], *parts, *layout.parts[behind:]),
        (
            *layout.starts[:first],
            *(part.span.start for part in parts),
            *(start + change.by for start in layout.starts[behind:]),
        ),
        tuple(others),
    )


def _carried(layout: Layout, change: _Change, reached: _Reached) -> Layout:
    """The layout of the new text without reading any of it."""
    first, behind, (span, frame) = reached
    left: list[Entry] = []
    for index in range(first, behind):
        by = layout.moved(index)
        kept = (_left_of(entry.shifted(by), change) for entry in layout.parts[index].entries)
        left += [entry for entry in kept if entry is not None]
    touched = [Part(span, tuple(left), frame=frame, readable=False)] if behind > first else []
    carried = _spliced(layout, change, reached, touched)
    if frame is None:  # something between the parts has changed, and nothing can be read alone until that is known
        carried = carried._replace(parts=tuple(replace(part, frame=None) for part in carried.parts))
    return carried


def _left_of(entry: Entry, change: _Change) -> Entry | None:
    """What is left of an entry that was edited somewhere; ``None`` if that was its name."""
    if _meets(entry.name_span, change):
        return None
    columns = [
        (_moved_slot(slot, change), _moved(span, change))
        for slot, span in zip(entry.columns, entry.column_spans, strict=True)
        if not _meets(slot.name_span, change) and not _meets(slot.span, change)
    ]
    slot = entry.slot
    if slot is not None:
        slot = None if _meets(slot.span, change) else _moved_slot(slot, change)
    return replace(
        entry,
        slot=slot,
        columns=tuple(column for column, _ in columns),
        span=_moved(entry.span, change),
        name_span=_moved(entry.name_span, change),
        column_spans=tuple(span for _, span in columns),
    )


def _moved_slot(slot: Slot, change: _Change) -> Slot:
    return replace(slot, span=_moved(slot.span, change), name_span=_moved(slot.name_span, change))


def _meets(span: Span, change: _Change) -> bool:
    return span.start <= change.span.end and change.span.start <= span.end


def _moved(span: Span, change: _Change) -> Span:
    """Where a span is after a change; one in which something has changed grows or shrinks with it."""
    start, end = span.start, span.end
    if start >= change.span.end:
        start += change.by
    elif start > change.span.start:
        start = change.span.start
    if end >= change.span.end > change.span.start or end > change.span.end:
        end += change.by
    elif end > change.span.start:
        end = change.span.end + change.by
    return Span(start, end)
