"""The texts that are open in the editor, exactly as it has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from osmosis_synthesize.text import LineIndex, Position, PositionEncoding, Span, TextEdit


class Change(NamedTuple):
    """Put ``text`` between two places; without places, it is the whole text from now on."""

    text: str
    start: Position | None = None
    end: Position | None = None


@dataclass(frozen=True)
class OpenText:
    """One open document at one version."""

    uri: str
    path: Path
    """Without symbolic links."""
    language: str
    version: int
    text: str = field(repr=False)

    @cached_property
    def lines(self) -> LineIndex:
        """Lines and positions of the text."""
        return LineIndex(self.text)

    def changed(
        self, version: int, changes: Sequence[Change], encoding: PositionEncoding
    ) -> tuple[OpenText, list[TextEdit]]:
        """The document after some changes, and these as edits.

        Each refers to the text that the one before it has left.
        """
        lines = self.lines
        edits: list[TextEdit] = []
        for change in changes:
            span = Span(0, len(lines.text))
            if change.start is not None and change.end is not None:
                start, end = lines.offset(change.start, encoding), lines.offset(change.end, encoding)
                span = Span(start, max(start, end))
            edit = TextEdit(span, change.text)
            if len(span) == len(lines.text):
                edit = _narrowed(edit, lines.text)
            text = lines.text[: edit.span.start] + edit.new_text + lines.text[edit.span.end :]
            lines = lines.edited(edit.span, text)
            edits.append(edit)
        new = OpenText(self.uri, self.path, self.language, version, lines.text)
        new.__dict__["lines"] = lines
        return new, edits


def _narrowed(edit: TextEdit, old: str) -> TextEdit:
    """A new text for the whole of ``old``, as an edit of the lines that differ: some clients send nothing but whole texts.

    Without it all of the file would count as edited, and nothing that was known of it would be left.
    """
    new = edit.new_text
    start = old.rfind("\n", 0, _common(old, new)) + 1
    same = _common(old[start:][::-1], new[start:][::-1])
    line = old.find("\n", len(old) - same)
    same = len(old) - line - 1 if line >= 0 else 0
    return TextEdit(Span(start, len(old) - same), new[start : len(new) - same])


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with in common. By halves, since that compares stretches instead of characters."""
    known, most = 0, min(len(one), len(other))
    while known < most:
        middle = (known + most + 1) // 2
        if one[known:middle] == other[known:middle]:
            known = middle
        else:
            most = middle - 1
    return known


class Texts:
    """All open documents, by the client's URI and by path."""

    def __init__(self) -> None:
        self._by_uri: Final = dict[str, OpenText]()
        self._by_path: Final = dict[Path, str]()

    def __iter__(self) -> Iterator[OpenText]:
        return iter(list(self._by_uri.values()))

    def put(self, text: OpenText) -> None:
        """Take up a document, or a new version of it."""
        self._by_uri[text.uri] = text
        self._by_path[text.path] = text.uri

    def drop(self, uri: str) -> OpenText | None:
        """Forget a document; what is on disk counts again."""
        gone = self._by_uri.pop(uri, None)
        if gone is not None and self._by_path.get(gone.path) == uri:
            del self._by_path[gone.path]
        return gone

    def get(self, uri: str) -> OpenText | None:
        """The document with this URI."""
        return self._by_uri.get(uri)

    def at(self, path: Path) -> OpenText | None:
        """The document that stands for the file at ``path``."""
        uri = self._by_path.get(path)
        return self._by_uri[uri] if uri is not None else None

    def buffers(self) -> Mapping[Path, str]:
        """Every open text by path, as it is now."""
        return {path: self._by_uri[uri].text for path, uri in self._by_path.items()}
