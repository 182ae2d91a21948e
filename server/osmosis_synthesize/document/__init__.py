"""YAML's side: schema files as slots, and edits to them. The only code that knows YAML."""

from __future__ import annotations

from osmosis_synthesize.document.edit import edit, new_schema_file
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
from osmosis_synthesize.document.parse import DEFAULT_PLACEHOLDERS, is_gap, is_placeholder, parse

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
    "edit",
    "is_gap",
    "is_placeholder",
    "new_schema_file",
    "parse",
]
