"""Our types as the protocol's. The only code that turns one into the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lsprotocol import types
from pygls.uris import from_fs_path, to_fs_path

from osmosis_synthesize.lsp.texts import Change
from osmosis_synthesize.text import LineIndex, Position, PositionEncoding, Span, TextEdit


def uri_of(path: Path) -> str:
    """A file's URI."""
    return from_fs_path(str(path)) or path.as_uri()


def path_of(uri: str) -> Path | None:
    """The file that a URI means, without symbolic links; ``None`` where it is none."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return Path(os.path.realpath(path)) if path else None


def position(offset: int, lines: LineIndex, encoding: PositionEncoding) -> types.Position:
    """A place in a text."""
    place = lines.position(offset, encoding)
    return types.Position(place.line, place.character)


def text_range(span: Span, lines: LineIndex, encoding: PositionEncoding) -> types.Range:
    """A span of a text."""
    return types.Range(position(span.start, lines, encoding), position(span.end, lines, encoding))


def offset(place: types.Position, lines: LineIndex, encoding: PositionEncoding) -> int:
    """A place as an offset."""
    return lines.offset(_place(place), encoding)


def change(event: types.TextDocumentContentChangeEvent) -> Change:
    """One change of a document."""
    if isinstance(event, types.TextDocumentContentChangePartial):
        return Change(event.text, _place(event.range.start), _place(event.range.end))
    return Change(event.text)


def text_edits(edits: Sequence[TextEdit], lines: LineIndex, encoding: PositionEncoding) -> list[types.TextEdit]:
    """Edits of one text."""
    return [types.TextEdit(text_range(edit.span, lines, encoding), edit.new_text) for edit in edits]


def _place(place: types.Position) -> Position:
    return Position(place.line, place.character)
