"""From slots and texts to an edited text, proven to differ in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from osmosis_synthesize.document.compose import Unreadable, compose
from osmosis_synthesize.document.model import Change, Document, Edited, NewEntry, Rejected
from osmosis_synthesize.document.parse import parse
from osmosis_synthesize.document.plan import Plan, plan_changes
from osmosis_synthesize.document.prove import is_as_expected
from osmosis_synthesize.document.style import FileStyle, file_style
from osmosis_synthesize.errors import EditRejected
from osmosis_synthesize.names import ResourceType
from osmosis_synthesize.text import apply_edits

_NOT_PROVEN: Final = "the edited text would not read back as the old one with this change and nothing else"


def edit(document: Document, changes: Sequence[Change], *, line_width: int | None = None) -> Edited:
    """Make ``changes`` in the text of ``document``, which stays as it is.

    The edited text is parsed again. It reads as the old one with the texts asked for, every one the very same string, and
    nothing else in it has changed. A change that cannot be made, or would break that, is among :attr:`Edited.rejected` with
    the reason; the others are made. ``line_width`` is where long texts are folded: ``None`` means the file's own habit,
    else 80.
    """
    style = file_style(document, line_width)
    plan = plan_changes(document, changes, style)
    text = _proven(document, plan)
    rejected = plan.rejected
    if text is None:
        sound = _sound(document, plan.made, style)
        rejected = [*rejected, *(Rejected(change, _NOT_PROVEN) for change in plan.made if change not in sound)]
        plan = plan_changes(document, sound, style)
        text = _proven(document, plan)
        if text is None:
            rejected = [*rejected, *(Rejected(change, _NOT_PROVEN) for change in sound)]
            plan, text = Plan(), document.text
    return Edited(text, tuple(plan.edits), tuple(rejected))


def _proven(document: Document, plan: Plan) -> str | None:
    """The text with the planned edits made, if it reads as expected."""
    if not plan.edits:
        return document.text
    try:
        text = apply_edits(document.text, plan.edits)
        root = compose(text)
    except (Unreadable, ValueError):
        return None
    if document.root is None or not is_as_expected(document.root, root, plan.expected):
        return None
    return text


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
        EditRejected: an entry has no name, a text that YAML cannot hold, or a version, or comes twice.
    """
    document = parse("version: 2" + line_ending)
    style = FileStyle(newline=line_ending)
    if resource_type == "source":
        raise EditRejected("a source is declared by people: its tables are added to the file that declares it.")
    plan = plan_changes(document, entries, style)
    text = _proven(document, plan)
    if plan.rejected or text is None:
        reasons = "; ".join(rejected.reason for rejected in plan.rejected)
        raise EditRejected(f"the new schema file cannot be written: {reasons or _NOT_PROVEN}.")
    return text
