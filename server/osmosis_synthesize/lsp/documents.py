"""Schema files as they were last parsed."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Final

from osmosis_synthesize.document import Document, parse

_KEPT: Final = 64
"""How many files are remembered. A request looks at those of one folder and of its parents."""


class Documents:
    """Remembers the last text of each file and what was found in it. The event loop and the worker share it."""

    def __init__(self) -> None:
        self._known: Final = OrderedDict[Path, Document]()

    def read(self, path: Path, text: str) -> Document:
        """The document that ``text``, the text of the file at ``path``, is."""
        known = self._known.get(path)
        if known is None or known.text != text:
            known = self._known[path] = parse(text)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return known

    def is_known(self, path: Path, text: str) -> bool:
        """Whether :meth:`read` has its answer at hand."""
        known = self._known.get(path)
        return known is not None and known.text == text
