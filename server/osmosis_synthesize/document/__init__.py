"""YAML's side: schema files as slots, and edits to them. The only code that knows YAML.

ruamel.yaml is imported when the first text is read, the code that edits when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osmosis_synthesize.document.model import (
    Change,
    Document,
    Edited,
    Entry,
    Fill,
    NewColumn,
    NewEntry,
    Problem,
    Rejected,
    Slot,
    SlotState,
)
from osmosis_synthesize.document.reader import DEFAULT_PLACEHOLDERS, is_gap, is_placeholder, parse

if TYPE_CHECKING:
    from osmosis_synthesize.document.editor import edit, new_schema_file
    from osmosis_synthesize.document.rereading import carried_over, reparse

__all__ = [
    "DEFAULT_PLACEHOLDERS",
    "Change",
    "Document",
    "Edited",
    "Entry",
    "Fill",
    "NewColumn",
    "NewEntry",
    "Problem",
    "Rejected",
    "Slot",
    "SlotState",
    "carried_over",
    "edit",
    "is_gap",
    "is_placeholder",
    "new_schema_file",
    "parse",
    "reparse",
]


def __getattr__(name: str) -> Any:
    if name in {"edit", "new_schema_file"}:
        from osmosis_synthesize.document import editor

        return getattr(editor, name)
    if name in {"carried_over", "reparse"}:
        from osmosis_synthesize.document import rereading

        return getattr(rereading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
