"""A manifest on disk in a form that loads in a small part of the time: for programs that start often.

A snapshot is one file: a short header, the cards of all nodes and tests as MessagePack, and the nodes' own JSON, one
after the other. Reading it decodes the cards and maps the rest, so that only the nodes asked for are read from disk.
It is bound to the very manifest and catalog it was made from, and to this version of this package. It is checked
whenever something is read from it, and it is data: nothing in it is ever executed.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator
from itertools import accumulate, chain
from pathlib import Path
from typing import Final

import msgspec

from osmosis_synthesize import __version__
from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.files import stamp_of
from osmosis_synthesize.manifest import load as cold
from osmosis_synthesize.manifest.catalog import Catalog
from osmosis_synthesize.manifest.decode import Body, Card, TestCard
from osmosis_synthesize.manifest.index import Contents, Index
from osmosis_synthesize.manifest.model import Metadata

KEPT: Final = 4
"""How many snapshots a folder holds at most; of one manifest it holds one."""

WORTHWHILE: Final = 2_000_000
"""Bytes of a manifest from which on a snapshot is worth its place: a smaller one loads in some milliseconds."""

_MAPPED: Final = 16_000_000
"""Bytes of a snapshot that count as this process's memory at most, roughly."""

_SUFFIX: Final = ".snapshot"
_PREFIX: Final = struct.Struct("<8sQI")
"""Magic, length of the cards, CRC-32 of the cards."""
_MAGIC: Final = b"osmosis\x01"
_ABANDONED: Final = 3600
"""Seconds after which a file that was never finished may be removed."""


class _Cards(msgspec.Struct, frozen=True, array_like=True, gc=False):
    identity: str
    metadata: Metadata
    warnings: tuple[str, ...]
    nodes: tuple[Card, ...]
    tests: tuple[TestCard, ...]
    catalog_path: str | None
    catalog: tuple[str, ...]
    lengths: list[int]
    """Of the bodies: doc blocks, macros, nodes, tests, tables of the catalog."""
    checksums: list[int]
    """CRC-32 of each body."""


_decode = msgspec.msgpack.Decoder(_Cards).decode


def load(path: Path, *, catalog: Path | None = None, folder: Path) -> Index:
    """What :func:`osmosis_synthesize.manifest.load.load` gives, from a snapshot in ``folder`` where there is one.

    Where there is none, or a damaged one, one is written (unless the manifest is small) for the next time. A folder
    that cannot be written is no error.

    Raises:
        ManifestError: the manifest is absent, half-written or no manifest.
    """
    identity = _identity(path, catalog)
    index = read(_file(folder, path, identity), path, identity)
    if index is not None:
        return index
    index = cold.load(path, catalog=catalog)
    stamp = stamp_of(path)
    if stamp is not None and stamp.size >= WORTHWHILE and identity == _identity(path, catalog):
        written = _file(folder, path, identity)
        write(written, index, identity)
        # Mapped, it takes a fifth of the memory.
        return read(written, path, identity) or index
    return index


def read(file: Path, path: Path, identity: str) -> Index | None:
    """The index of the manifest at ``path``, if ``file`` is a whole snapshot of it."""
    try:
        with file.open("rb") as opened:
            # Mapped files must never shrink; ours are only ever written anew under another name and then moved.
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        view = memoryview(mapped)
        magic, length, checksum = _PREFIX.unpack_from(view)
        encoded = view[_PREFIX.size : _PREFIX.size + length]
        if magic != _MAGIC or zlib.crc32(encoded) != checksum:
            return None
        cards = _decode(encoded)
    except (OSError, ValueError, struct.error, msgspec.MsgspecError):
        return None
    offsets = list(accumulate(cards.lengths, initial=_PREFIX.size + length))
    if cards.identity != identity or offsets[-1] != len(view):
        return None
    bodies = _Bodies(file, mapped, offsets, cards.checksums)
    tests_from = 2 + len(cards.nodes)
    catalog = None
    if cards.catalog_path is not None:
        at = {unique_id: at for at, unique_id in enumerate(cards.catalog)}
        catalog = Catalog(Path(cards.catalog_path), at, bodies.starting(tests_from + len(cards.tests)))
    try:
        docs, macros = bodies[0], bodies[1]
    except ManifestError:
        return None
    return Index(
        Contents(
            path=path,
            metadata=cards.metadata,
            warnings=cards.warnings,
            nodes=cards.nodes,
            node_bodies=bodies.starting(2),
            tests=cards.tests,
            test_bodies=bodies.starting(tests_from),
            docs=docs,
            macros=macros,
            catalog=catalog,
        )
    )


def write(file: Path, index: Index, identity: str) -> None:
    """Write a snapshot, readable by its owner alone, and remove what it makes superfluous.

    Nothing happens if the folder cannot be written. Until it is whole, the snapshot bears another name.
    """
    import tempfile

    contents = index.contents
    catalog = contents.catalog
    bodies = list(_all_bodies(contents))
    cards = msgspec.msgpack.encode(
        _Cards(
            identity=identity,
            metadata=contents.metadata,
            warnings=contents.warnings,
            nodes=contents.nodes,
            tests=contents.tests,
            catalog_path=str(catalog.path) if catalog is not None else None,
            catalog=tuple(catalog.at) if catalog is not None else (),
            lengths=[memoryview(body).nbytes for body in bodies],
            checksums=[zlib.crc32(body) for body in bodies],
        )
    )
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb", buffering=1 << 20) as out:
                out.write(_PREFIX.pack(_MAGIC, len(cards), zlib.crc32(cards)))
                out.write(cards)
                out.writelines(bodies)
            Path(temporary).replace(file)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
        _tidy(file)


class _Bodies:
    """Slices of a mapped snapshot, each checked when it is taken."""

    def __init__(
        self, file: Path, mapped: mmap.mmap, offsets: list[int], checksums: list[int], first: int = 0
    ) -> None:
        self._file = file
        self._mapped = mapped
        self._view = memoryview(mapped)
        self._offsets = offsets
        self._checksums = checksums
        self._first = first
        self._read = 0
        """Bytes since the pages were last given back."""

    def starting(self, first: int) -> _Bodies:
        """The same, counted from the body at ``first``."""
        return _Bodies(self._file, self._mapped, self._offsets, self._checksums, first)

    def __getitem__(self, at: int, /) -> Body:
        at += self._first
        self._read += self._offsets[at + 1] - self._offsets[at]
        if self._read > _MAPPED and hasattr(mmap, "MADV_DONTNEED"):
            self._read = 0
            self._mapped.madvise(mmap.MADV_DONTNEED)  # whoever needs a page again has it from the system's cache
        body = self._view[self._offsets[at] : self._offsets[at + 1]]
        if zlib.crc32(body) != self._checksums[at]:
            with contextlib.suppress(OSError):
                self._file.unlink()
            raise ManifestError(
                f"{self._file}, our copy of the manifest, was damaged.",
                path=self._file,
                hint="It has been removed; try again.",
            )
        return body


def _all_bodies(contents: Contents) -> Iterator[Body]:
    yield contents.docs
    yield contents.macros
    yield from (contents.node_bodies[at] for at in range(len(contents.nodes)))
    yield from (contents.test_bodies[at] for at in range(len(contents.tests)))
    if contents.catalog is not None:
        yield from (contents.catalog.bodies[at] for at in range(len(contents.catalog.at)))


def _identity(path: Path, catalog: Path | None) -> str:
    """All that a snapshot depends on. What :mod:`.decode` makes of the bodies is not part of it: they are dbt's own."""
    fields = [kind.__struct_fields__ for kind in (_Cards, Card, TestCard, Metadata)]
    files = [(str(file.absolute()), stamp_of(file)) for file in (path, catalog) if file is not None]
    return ascii((__version__, fields, files))


def _file(folder: Path, path: Path, identity: str) -> Path:
    return folder / f"{_digest(str(path.absolute()))}-{_digest(identity)}{_SUFFIX}"


def _digest(text: str) -> str:
    # only a name: the identity is compared in full when the file is read
    return f"{zlib.crc32(os.fsencode(text)):08x}"


def _tidy(written: Path) -> None:
    """Remove other snapshots of the same manifest, the oldest ones past the limit, and what was never finished."""
    manifest = written.name.partition("-")[0]
    others = [file for file in written.parent.glob(f"*{_SUFFIX}") if file != written]
    same = [file for file in others if file.name.startswith(f"{manifest}-")]
    rest = sorted(set(others) - set(same), key=_age)
    unfinished = [file for file in written.parent.glob("*.tmp") if _age(file) > _ABANDONED]
    for file in chain(same, rest[KEPT - 1 :], unfinished):
        with contextlib.suppress(OSError):  # on Windows, one that is mapped by another process
            file.unlink()


def _age(file: Path) -> float:
    stamp = stamp_of(file)
    return time.time() - stamp.mtime_ns / 1e9 if stamp is not None else 0.0
