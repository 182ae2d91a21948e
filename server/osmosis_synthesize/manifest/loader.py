"""Keeps an index up to date in a program that runs for long."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Final, final

from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.files import stamp_of
from osmosis_synthesize.manifest import snapshot
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.load import load


@final
class Loader:
    """Holds the last index that could be loaded. Nothing is loaded before the first :meth:`refresh`.

    ``snapshots`` is the folder where snapshots are kept; ``None`` does without them.
    """

    def __init__(self, path: Path, *, catalog: Path | None = None, snapshots: Path | None = None) -> None:
        self.path: Final = path
        self._files: Final = tuple(file for file in (path, catalog) if file is not None)
        self._catalog: Final = catalog
        self._snapshots: Final = snapshots
        self._lock: Final = Lock()
        self._seen: object = None
        self.index: Index | None = None
        """The last good one; ``None`` until there was one."""
        self.error: ManifestError | None = None
        """Why the files as they are now could not be loaded; ``None`` if they could."""

    def refresh(self) -> bool:
        """Load again if manifest or catalog have changed since the last try, and say whether there is a new index.

        A manifest that cannot be loaded leaves the index as it was, and :attr:`error` says why. Threads may call this
        at once; one of them loads while the others wait.
        """
        with self._lock:
            stamps = tuple(stamp_of(file) for file in self._files)
            if stamps == self._seen:
                return False
            self._seen = stamps
            try:
                self.index = self._load()
            except ManifestError as error:
                self.error = error
                return False
            self.error = None
            return True

    def _load(self) -> Index:
        if self._snapshots is None:
            return load(self.path, catalog=self._catalog)
        return snapshot.load(self.path, catalog=self._catalog, folder=self._snapshots)
