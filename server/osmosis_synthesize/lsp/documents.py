"""Schema files as they were last read."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from osmosis_synthesize.document import Document, carried_over, parse, reparse
from osmosis_synthesize.document.model import Problem
from osmosis_synthesize.text import TextEdit

_KEPT: Final = 64
"""How many files are remembered. A request looks at those of one folder and of its parents."""

_AT_ONCE: Final = 200
"""More edits than these in a row, and the text is read as a whole."""


@dataclass(slots=True)
class _Known:
    """One file."""

    read: Document
    """As it was last read, be it YAML or not."""
    shown: Document
    """The same, or while that is no YAML, what there was before, as far as it still makes sense."""
    pending: list[TextEdit] = field(default_factory=list[TextEdit])
    """What was typed since then; each edit refers to the text that the one before it has left."""


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
        known.pending.append(edit)
        if len(known.pending) > _AT_ONCE:
            del self._known[path]

    def read(self, path: Path, text: str) -> Document:
        """The document that ``text``, the text of the file at ``path``, is.

        Of a text that is no YAML for the moment it has what is left of the last slots, and nothing can be written into it.
        """
        known = self._known.get(path)
        if known is None or (known := _caught_up(known, text)) is None:
            document = parse(text)
            known = _Known(document, document)
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

    def is_known(self, path: Path, text: str) -> bool:
        """Whether :meth:`read` has its answer at hand."""
        known = self._known.get(path)
        return known is not None and not known.pending and known.read.text == text


def _caught_up(known: _Known, text: str) -> _Known | None:
    """What is known, with the pending edits made; ``None`` if that does not give ``text``."""
    document, shown = known.read, known.shown
    for edit in list(known.pending):
        if edit.span.end > len(document.text):
            return None
        before, document = document, reparse(document, edit)
        shown = carried_over(before, edit) if document.broken else document
    return _Known(document, shown) if document.text == text else None
