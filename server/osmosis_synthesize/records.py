"""The file of records of a project on disk: read when it changes, written atomically, by several processes in turn."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Final

from osmosis_synthesize.discovery import is_below
from osmosis_synthesize.engine.provenance import FILE, Place, Record, Records
from osmosis_synthesize.errors import DocumentError, WriteError
from osmosis_synthesize.files import Source, Stamp, read_source, stamp_of, write_source

_PATIENCE: Final = 5.0
"""Seconds to wait for another process's writing, which takes milliseconds."""

_TRIES: Final = 20
"""How often a file that changes under our hands, where nothing can be locked, is read again."""


class RecordFile:
    """``.osmosis/provenance.jsonl`` of one project. Several processes may write it at once: no line is lost."""

    def __init__(self, root: Path, *, forbidden: Callable[[Path], str | None]) -> None:
        """Nothing is read yet.

        Args:
            root: the folder with ``dbt_project.yml``, without symbolic links.
            forbidden: why a file of the project must not be written, if it must not.
        """
        self.path: Final = root / FILE
        self._root: Final = root
        self._forbidden: Final = forbidden
        self._records = Records.parse("")
        self._stamp: Stamp | None = None
        self._hash: int | None = None
        """Of the text that the records are of; ``None`` if they were not written here."""
        self.problem: str | None = None
        """What keeps the file, or a part of it, from being read; ``None`` if it is sound or there is none."""

    def read(self) -> Records:
        """The records as they are now. A file that cannot be read has none, and :attr:`problem` says why."""
        stamp = stamp_of(self.path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._records, self._hash, self.problem = Records.parse(""), None, None
            if stamp is not None:
                try:
                    self._take(Records.parse(read_source(self.path).text))
                except DocumentError as error:
                    self.problem = str(error)
        return self._records

    def put(self, records: Sequence[Record]) -> None:
        """Write these records, in place of those about the same places.

        Raises:
            WriteError: that is not possible; nothing was changed then.
        """
        if records:
            self._change(lambda found: found.put(records))

    def remove(self, places: Sequence[Place]) -> None:
        """Remove what is known of these places.

        Raises:
            WriteError: that is not possible; nothing was changed then.
        """
        if any(place in self.read() for place in places):
            self._change(lambda found: found.without(places))

    def _change(self, change: Callable[[Records], Records]) -> None:
        self._require_home()
        with _turn(self.path.parent):
            for left in reversed(range(_TRIES)):
                source = self._source()
                records = change(self._read_as(source))
                text = records.text()
                try:
                    write_source(self.path, text, expected=source)
                except WriteError:
                    # Where nothing can be locked, somebody else may have written it: what they wrote is read, and kept.
                    if not left or _is(self.path, source):
                        raise
                    continue
                self._take(records)
                self._stamp, self._hash = stamp_of(self.path), hash(text)
                return

    def _read_as(self, source: Source | None) -> Records:
        """What a source says, which is read again only if it is not what was written here last."""
        if source is None:
            return Records.parse("")
        return self._records if hash(source.text) == self._hash else Records.parse(source.text)

    def _source(self) -> Source | None:
        if not self.path.exists():
            return None
        try:
            return read_source(self.path)
        except DocumentError as error:
            raise WriteError(f"Where texts come from was not recorded: {error}", path=self.path) from error

    def _take(self, records: Records) -> None:
        self._records = records
        problem = records.problem
        self.problem = f"{self.path}: {problem}." if problem is not None else None

    def _require_home(self) -> None:
        """Make the folder, and require that it is the project's own: a link may lead anywhere."""
        try:
            self.path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise WriteError(
                f"{self.path.parent} cannot be made: {error.strerror or error}.", path=self.path
            ) from error
        real = Path(os.path.realpath(self.path))
        reason = self._forbidden(real)
        if reason is None and not is_below(real, self._root):
            reason = f"it lies outside the project {self._root}"
        if reason is not None:
            raise WriteError(f"{self.path} was not written: {reason}.", path=self.path)


def _is(path: Path, source: Source | None) -> bool:
    """Whether a file is as it was read: what failed was not a race."""
    try:
        return read_source(path).text == source.text if source is not None else not path.exists()
    except DocumentError:
        return source is not None


@contextlib.contextmanager
def _turn(folder: Path) -> Generator[None]:
    """Wait until no other process writes in ``folder``, and keep them waiting meanwhile.

    The folder itself is locked, so that no file has to lie around for it; the lock goes with the process. Where the
    system knows no such locks (Windows, some network shares), nobody waits: the writing checks by itself that the file
    is the one that was read.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    break  # it has stopped, it seems; the check remains
                time.sleep(0.005)
            except OSError:
                break
        yield
    finally:
        os.close(descriptor)
