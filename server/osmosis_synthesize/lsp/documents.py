"""Schema files as they were last read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from osmosis_synthesize.document import Document, carried_over, parse, reparse, reparse_quickly
from osmosis_synthesize.document.model import Problem
from osmosis_synthesize.document.style import habits_of
from osmosis_synthesize.text import Span, TextEdit

_KEPT: Final = 64
"""How many files are remembered. A request looks at those of one folder and of its parents."""

_AT_ONCE: Final = 200
"""More edits than these in a row, and the text is read as a whole."""


_LARGE: Final = 20_000
"""Characters from which a text is edited entry by entry, in the style of the whole."""


@dataclass(slots=True)
class _Known:
    """One file."""

    read: Document
    """As it was last read, be it YAML or not."""
    shown: Document
    """The same, or while that is no YAML, what there was before, as far as it still makes sense."""
    pending: list[TextEdit] = field(default_factory=list[TextEdit])
    """What was typed since then; each edit refers to the text that the one before it has left."""
    taken: int = 0
    """How many of these somebody is reading: they stay as they are."""


class Documents:
    """Remembers each file and what was found in it, so that only the entries that were edited are read again.

    The event loop and the worker share it: what one of them does twice is done twice, and nothing worse happens.
    """

    def __init__(self) -> None:
        self._known: Final = OrderedDict[Path, _Known]()

    def edited(self, path: Path, edit: TextEdit) -> None:
        """Note what was typed; it is read when somebody asks."""
        known = self._known.get(path)
        if known is None:
            return
        one = joined(known.pending[-1], edit) if len(known.pending) > known.taken else None
        if one is not None:
            known.pending = [*known.pending[:-1], one]
        elif len(known.pending) < _AT_ONCE:
            known.pending = [*known.pending, edit]
        else:
            del self._known[path]

    def read(self, path: Path, text: str) -> Document:
        """The document that ``text``, the text of the file at ``path``, is.

        Of a text that is no YAML for the moment it has what is left of the last slots, and nothing can be written into it.
        """
        known = self._known.get(path)
        if known is None or (known := _caught_up(known, text, reparse)) is None:
            document = parse(text)
            if not document.broken and len(text) > _LARGE:
                habits_of(document)  # while all of it is at hand, since that takes long afterwards
            known = _Known(document, document)
        return self._remember(path, known)

    def at_hand(self, path: Path, text: str) -> Document | None:
        """What :meth:`read` gives, if that takes no more than reading the entries that were edited."""
        known = self._known.get(path)
        known = _caught_up(known, text, reparse_quickly) if known is not None else None
        return self._remember(path, known) if known is not None else None

    def reader(self) -> Callable[[Path, str], Document]:
        """:meth:`read` for whoever works on the texts as they are now, while they are edited further."""
        now = {path: known.shown for path, known in list(self._known.items()) if not known.pending}

        def read(path: Path, text: str) -> Document:
            document = now.get(path)
            return document if document is not None and document.text == text else self.read(path, text)

        return read

    def _remember(self, path: Path, known: _Known) -> Document:
        self._known[path] = known
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return known.shown

    def below(self, folder: Path) -> list[Path]:
        """The files of a folder that are remembered."""
        return [path for path in list(self._known) if path.is_relative_to(folder)]

    def forget(self, path: Path) -> None:
        """Remember a file no longer."""
        self._known.pop(path, None)

    def problems(self, path: Path) -> tuple[Problem, ...]:
        """What keeps the file, as it was last read, from being read or edited in part or as a whole."""
        known = self._known.get(path)
        return known.read.problems if known is not None else ()


def _caught_up(known: _Known, text: str, reread: Callable[[Document, TextEdit], Document | None]) -> _Known | None:
    """What is known, with the pending edits made; ``None`` if that does not give ``text``, or cannot be read so."""
    document, shown = known.read, known.shown
    made = known.pending
    known.taken = len(made)
    for edit in made:
        new = reread(document, edit) if edit.span.end <= len(document.text) else None
        if new is None:
            return None
        shown = carried_over(document, edit) if new.broken else new
        document = new
    if document.text != text:
        return None
    return _Known(document, shown, known.pending[len(made) :])


def joined(first: TextEdit, then: TextEdit) -> TextEdit | None:
    """Two edits, the second of the text that the first has left, as one; ``None`` if they do not touch."""
    start, end = first.span.start, first.span.start + len(first.new_text)
    if then.span.start > end or then.span.end < start:
        return None
    before = first.new_text[: max(then.span.start - start, 0)]
    behind = first.new_text[then.span.end - start :] if then.span.end < end else ""
    span = Span(min(start, then.span.start), first.span.end + max(then.span.end - end, 0))
    return TextEdit(span, before + then.new_text + behind)
