"""YAML's side: schema files as slots, and edits to them. The only code that knows YAML.

Nothing is imported before it is asked for: ruamel.yaml comes with the first text that is read, the code that edits with
the first edit, and who only glances at a text needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from osmosis_synthesize.document.editor import edit, new_schema_file
    from osmosis_synthesize.document.model import (
        Change,
        Clear,
        Document,
        Edited,
        Entry,
        Fill,
        NewColumn,
        NewEntry,
        Problem,
        Rejected,
        SetMeta,
        Slot,
        SlotState,
    )
    from osmosis_synthesize.document.packed import packed
    from osmosis_synthesize.document.placeholders import DEFAULT_PLACEHOLDERS, is_placeholder
    from osmosis_synthesize.document.reader import is_gap, parse, parse_edited
    from osmosis_synthesize.document.rereading import carried_over, reparse, reparse_quickly

__all__ = [
    "DEFAULT_PLACEHOLDERS",
    "Change",
    "Clear",
    "Document",
    "Edited",
    "Entry",
    "Fill",
    "NewColumn",
    "NewEntry",
    "Problem",
    "Rejected",
    "SetMeta",
    "Slot",
    "SlotState",
    "carried_over",
    "edit",
    "is_gap",
    "is_placeholder",
    "new_schema_file",
    "packed",
    "parse",
    "parse_edited",
    "reparse",
    "reparse_quickly",
]

_MODULES = {
    "DEFAULT_PLACEHOLDERS": "placeholders",
    "carried_over": "rereading",
    "edit": "editor",
    "is_gap": "reader",
    "is_placeholder": "placeholders",
    "new_schema_file": "editor",
    "packed": "packed",
    "parse": "reader",
    "parse_edited": "reader",
    "reparse": "rereading",
    "reparse_quickly": "rereading",
}
"""Where what has another home than ``model`` is defined."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'model')}"), name)
    globals()[name] = value
    return value
