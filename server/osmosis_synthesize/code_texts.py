"""Reads a project's files of code and prose, whatever stands in them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.errors import DocumentError
from osmosis_synthesize.files import read_source, shown, stamp_of

LARGEST: Final = 1_000_000
"""Bytes from which on a file is not read; of a seed only so much is."""


class CodeTexts:
    """The texts of files, each read when it is asked for. What is open in an editor stands for its file."""

    def __init__(self, drafts: Drafts) -> None:
        self._drafts: Final = drafts
        self._notes: Final = dict[str, None]()

    @property
    def notes(self) -> tuple[str, ...]:
        """Which files could not be read, and why."""
        return tuple(self._notes)

    def exists(self, path: Path) -> bool:
        """Whether there is a text, or a file that may be one."""
        return self._drafts.buffer(path) is not None or path.is_file()

    def text(self, path: Path) -> str | None:
        """The text of a file; ``None``, and a note, where it cannot be read or is no text."""
        buffer = self._drafts.buffer(path)
        if buffer is not None:
            return buffer
        stamp = stamp_of(path)
        if stamp is None or not path.is_file():  # a pipe, say, would never end
            return None
        if path.suffix.lower() == ".csv":
            return self.head(path)
        if stamp.size > LARGEST:
            return self._refuse(f"{shown(path)} is not read: it is larger than {LARGEST // 1_000_000} MB.")
        try:
            text = read_source(path).text
        except DocumentError as error:
            return self._refuse(str(error))
        return text if "\0" not in text else self._refuse(f"{shown(path)} is not read: it is no text.")

    def head(self, path: Path) -> str:
        """The first part of a seed; what is no UTF-8 in it is no hindrance."""
        buffer = self._drafts.buffer(path)
        if buffer is not None:
            return buffer
        try:
            with path.open("rb") as file:
                return file.read(LARGEST + 1).decode("utf-8", "replace")
        except OSError:
            return ""

    def _refuse(self, note: str) -> None:
        self._notes[note] = None
