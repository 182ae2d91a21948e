"""New YAML in the style of a file: descriptions, and whole columns and entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from osmosis_synthesize.document.model import NewColumn, NewEntry
from osmosis_synthesize.document.scalar import folded, folded_flow, literal, on_one_line
from osmosis_synthesize.document.style import FileStyle

Data: TypeAlias = "str | Sequence[Data] | Mapping[str, Data]"
"""What is to be written, and what must be read back."""

KEY = "description: "


def column_data(column: NewColumn) -> dict[str, Data]:
    """A new column's keys, in the order in which they are written."""
    data: dict[str, Data] = {"name": column.name}
    if column.description is not None:
        data["description"] = column.description
    if column.data_type is not None:
        data["data_type"] = column.data_type
    return data


def entry_data(entry: NewEntry) -> dict[str, Data]:
    """A new entry's keys, in the order in which they are written."""
    data: dict[str, Data] = {"name": entry.key.name}
    if entry.description is not None:
        data["description"] = entry.description
    if entry.columns:
        data["columns"] = [column_data(column) for column in entry.columns]
    return data


def description(text: str, column: int, style: FileStyle) -> str:
    """``text`` as the value of a ``description`` key that is indented by ``column``."""
    indent = column + style.body_indent
    block = None
    if "\n" in text:
        block = literal(text, indent, style.newline)
    elif style.always_block:
        block = _block(text, indent, style)
    if block is not None:
        return block
    line = on_one_line(text, style.quote, other=style.other_quote)
    first = column + len(KEY)
    if style.long == "line" or first + len(line) <= style.width:
        return line
    if style.long == "flow" and text == text.strip():
        return folded_flow(line, first, indent, style.width, style.newline)
    return _block(text, indent, style) or line


def _block(text: str, indent: int, style: FileStyle) -> str | None:
    if style.always_block == "|" and indent + len(text) <= style.width:
        return literal(text, indent, style.newline)
    return folded(text, indent, style.width, style.newline)


def block_item(data: Mapping[str, Data], dash: int, gap: int, style: FileStyle) -> str:
    """One item of a block sequence whose dashes stand at ``dash``, with ``gap`` spaces behind; without a last line break."""
    column = dash + 1 + gap
    lines = block_pairs(data, column, style)
    return " " * dash + "-" + " " * gap + lines[column:]


def block_pairs(data: Mapping[str, Data], column: int, style: FileStyle) -> str:
    """Pairs of a block mapping whose keys stand at ``column``; without a last line break."""
    lines: list[str] = []
    for key, value in data.items():
        if isinstance(value, str):
            written = description(value, column, style) if key == "description" else on_one_line(value, "")
            lines.append(f"{' ' * column}{key}: {written}")
        elif isinstance(value, Mapping):
            raise TypeError("nothing we write nests a mapping right under a key")
        else:
            lines.append(f"{' ' * column}{key}:")
            dash = column + style.sequence_indent
            lines.append(block_items([item for item in value if isinstance(item, Mapping)], dash, style))
    return style.newline.join(lines)


def block_items(items: Sequence[Mapping[str, Data]], dash: int, style: FileStyle) -> str:
    """Items of a new block sequence."""
    return style.newline.join(block_item(item, dash, style.dash_gap, style) for item in items)


def flow(data: Data, style: FileStyle) -> str:
    """Anything, on one line, as it stands inside of braces and brackets."""
    if isinstance(data, str):
        return on_one_line(data, style.quote, other=style.other_quote, flow=True)
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{key}: {flow(value, style)}" for key, value in data.items()) + "}"
    return "[" + ", ".join(flow(item, style) for item in data) + "]"
