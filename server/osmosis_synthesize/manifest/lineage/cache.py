"""Lineage on disk: what was traced once is not traced again, by any process, whatever manifest asks.

An entry's key is a hash of all that its lineage hangs on: the node's SQL, its parents' names and columns, for Jinja
also variables and macros, and the code that reads them. So an entry is never wrong, at most useless: nothing has to
be invalidated, a branch that is switched back to is known still, and one changed model adds one row. The file is data
and nobody's only copy: a damaged one is begun anew, and where none can be written there is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import sys
import threading
import weakref
import zlib
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from osmosis_synthesize import __version__
from osmosis_synthesize.manifest.lineage.task import Setting, Task
from osmosis_synthesize.manifest.model import NodeLineage

KEPT: Final = 50_000
"""Entries; the oldest go first. One of 30 columns takes about 1 kB."""

_PAGE: Final = 4096
_MOST_PAGES: Final = 65_536
"""256 MB: what no honest project comes near, and at which the file is begun anew."""

_MOST: Final = 1_000_000
"""Bytes of one entry, unpacked; what is larger is not kept, and what claims to be larger is not read."""

_PATIENCE: Final = 0.5
"""Seconds to wait for another process's write."""

# Result codes after which a new file helps, and those of another process's write that took too long, which passes
# (https://sqlite.org/rescode.html).
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FULL})
_PASSING: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_LIBRARIES: Final = ("sqlglot", "jinja2")

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode
_decode: Final = msgspec.msgpack.Decoder(NodeLineage).decode


class LineageCache:
    """Lineages by key. May be used from several threads; closes itself when it is no longer needed. Never raises."""

    def __init__(self, file: Path) -> None:
        """``file`` is made where there is none, readable by its owner alone."""
        self._file: Final = file
        self._lock: Final = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._recover(error)

    def get(self, key: bytes) -> NodeLineage | None:
        """The lineage that was kept under ``key``; ``None`` where there is none, or a damaged one."""
        with self._lock:
            if self._connection is None:
                return None
            try:
                row = self._connection.execute("SELECT body FROM lineage WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                self._recover(error)
                return None
        try:
            return _unpacked(row[0], key) if row is not None else None
        except (zlib.error, msgspec.MsgspecError, ValueError, TypeError):
            return None

    def put(self, entries: Iterable[tuple[bytes, NodeLineage]]) -> None:
        """Keep some lineages by their keys."""
        bodies = ((key, key + _encode(lineage)) for key, lineage in entries)
        rows = [(key, zlib.compress(body, 1)) for key, body in bodies if len(body) <= _MOST]
        with self._lock:
            if self._connection is None or not rows:
                return
            try:
                with self._connection:  # one transaction
                    self._connection.executemany("INSERT OR REPLACE INTO lineage (key, body) VALUES (?, ?)", rows)
                    self._connection.execute(
                        "DELETE FROM lineage WHERE id <= (SELECT max(id) FROM lineage) - ?", (KEPT,)
                    )
            except sqlite3.Error as error:
                self._recover(error)

    def _open(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._file, timeout=_PATIENCE, check_same_thread=False)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")  # the file may be a stranger's
            # Never wait for the disk: what a power cut spoils is noticed, and computed again.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(f"PRAGMA max_page_count = {_MOST_PAGES}")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS lineage (id INTEGER PRIMARY KEY, key BLOB UNIQUE, body BLOB)"
            )
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._close = weakref.finalize(self, connection.close)
        # When the process ends, a thread for which it does not wait may be writing: it would be closed under its hands.
        self._close.atexit = False

    def _recover(self, error: Exception) -> None:
        """Go on with the file, with a new one where that helps, or without."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if self._connection is not None:
            if code in _PASSING:
                return
            self._close()
            self._connection = None
        if code not in _DAMAGED:
            return
        with contextlib.suppress(sqlite3.Error, OSError):
            for suffix in ("-journal", ""):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
            self._open()


def _unpacked(packed: bytes, key: bytes) -> NodeLineage:
    """The lineage of the row of ``key``, which the row repeats; zlib keeps a checksum of all that it packs.

    Raises:
        zlib.error: it is damaged.
        ValueError: it is too large, or not of this key.
        TypeError: it is no bytes.
    """
    unpacking = zlib.decompressobj()
    body = unpacking.decompress(packed, _MOST)
    if not unpacking.eof or not body.startswith(key):
        raise ValueError("it is cut off, too large, or another key's")
    return _decode(memoryview(body)[len(key) :])


class Keys:
    """The keys of tasks in one setting."""

    def __init__(self, setting: Setting) -> None:
        # how long a task may take decides whether there is an answer, not which one
        shared = msgspec.structs.replace(setting, time_limit=0)
        self._shared: Final = hashlib.sha256(_encode((code_version(), shared)))

    def of(self, task: Task) -> bytes | None:
        """The key of a task; ``None`` if it holds what cannot be written down: half a character, a huge number."""
        digest = self._shared.copy()
        try:
            digest.update(_encode(task))
        except (OverflowError, TypeError, ValueError):
            return None
        return digest.digest()


@cache
def code_version() -> str:
    """Stands for all code that has a say in what a lineage is: changes with any of it.

    Ours is known by its content, so that nobody has to remember to count a version up; the libraries by the names of
    their metadata folders, which say their versions and are found in a hundredth of what ``importlib.metadata`` takes.
    """
    manifest = Path(__file__).parent.parent
    ours = [*manifest.glob("lineage/*.py"), *manifest.glob("jinja/*.py"), manifest / "model.py"]
    digest = hashlib.sha256()
    for file in sorted(ours):
        digest.update(file.read_bytes() if file.exists() else b"")
    return f"{__version__} {sys.version_info[:2]} {digest.hexdigest()} {sorted(map(_version, _LIBRARIES))}"


def _version(library: str) -> str:
    spec = find_spec(library)
    folder = Path(spec.origin).parent.parent if spec is not None and spec.origin is not None else None
    # `sqlglotc` beside `sqlglot` is the same code compiled, but need not be the same version
    names = [entry.name for entry in folder.iterdir()] if folder is not None and folder.is_dir() else []
    found = sorted(name for name in names if name.endswith(".dist-info") and name.lower().startswith(library))
    if found:
        return " ".join(found)
    from importlib.metadata import version  # an installation of another kind

    return f"{library} {version(library)}"
