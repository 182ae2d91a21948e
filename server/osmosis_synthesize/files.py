"""Reads source files exactly, writes them atomically, and says their names."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from osmosis_synthesize.errors import DocumentError, WriteError


class Stamp(NamedTuple):
    """Tells cheaply whether a file may have changed. Equal stamps are a strong hint, and no proof."""

    size: int
    mtime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read. Written as UTF-8, ``text`` gives the file's bytes: BOM and line endings are part of it."""

    path: Path
    text: str
    stamp: Stamp


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of what is at ``path`` now; ``None`` where nothing can be looked at."""
    try:
        return _stamp(path.stat())
    except OSError:
        return None


def shown(path: Path) -> str:
    """A path as messages and reports have it: relative to the working folder if it lies below, else absolute; POSIX."""
    return _shown(path, os.getcwd())  # noqa: PTH109 - it is asked for each line of a report, and the key of a cache


@lru_cache(maxsize=4096)
def _shown(path: Path, folder: str) -> str:
    here = Path(os.path.realpath(folder))
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def read_source(path: Path) -> Source:
    """Read a file whole. Nothing is translated; a byte-order mark is the text's first character.

    Raises:
        DocumentError: it cannot be read, or is not UTF-8 (the message gives the first wrong byte).
    """
    try:
        with path.open("rb") as file:
            stamp = _stamp(os.fstat(file.fileno()))
            data = file.read()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {_reason(error)}.") from error
    try:
        return Source(path, data.decode("utf-8"), stamp)
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{path} is not UTF-8: byte {error.start} is {data[error.start]:#04x}.",
            hint="Save the file as UTF-8; dbt reads it as that too.",
        ) from error


def write_source(path: Path, text: str, *, expected: Source | None) -> None:
    """Write ``text`` to ``path``, so that at any moment the file is either wholly old or wholly new.

    The text goes to a new file in the same folder, which then takes the old one's place; mode, owner and group stay.
    A symbolic link stays one: the file that it leads to is written. ``expected`` is what was read and edited: a file
    that has other content by now is left alone. ``None`` means a new file, in a folder that exists; a file that is
    there already is left alone.

    Raises:
        WriteError: the file changed or disappeared meanwhile, is there although it should be new, is read-only, or
            cannot be written. Nothing was changed then, and nothing is left behind.
    """
    real = Path(os.path.realpath(path))
    try:
        data = text.encode("utf-8")
        if expected is None:
            _create(path, real, data)
        elif text != expected.text:
            _replace(path, real, data, expected.text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise WriteError(f"{path} was not written: the text has a lone surrogate.", path=path) from error
    except OSError as error:
        raise WriteError(f"{path} was not written: {_reason(error)}.", path=path) from error


def _create(path: Path, real: Path, data: bytes) -> None:
    temporary = _write_beside(real, data, like=None)
    try:
        _link_new(temporary, real)
    except FileExistsError as error:
        raise WriteError(
            f"{path} was not written: it exists by now.", path=path, hint="Run again to work on it as it is."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(real.parent)


def _link_new(temporary: Path, real: Path) -> None:
    """Give the written file its name, unless there is a file of that name."""
    try:
        os.link(temporary, real)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # Some file systems (FAT, some network shares) know no hard links: reserve the name, then take its place.
        os.close(os.open(real, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            temporary.replace(real)
        except OSError:
            real.unlink()
            raise


_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def _replace(path: Path, real: Path, data: bytes, expected: bytes) -> None:
    old = real.stat()
    if not stat.S_ISREG(old.st_mode):
        raise WriteError(f"{path} was not written: it is no regular file.", path=path)
    # The folder's permissions would let us replace a read-only file, and root may write any; its owner meant it.
    if not old.st_mode & 0o222 or not os.access(real, os.W_OK):
        raise WriteError(
            f"{path} was not written: it is read-only.", path=path, hint="Make it writable and run again."
        )
    temporary = _write_beside(real, data, like=old)
    try:
        _require_unchanged(path, real, expected)
        temporary.replace(real)
    except BaseException:  # also a cancelled or interrupted run leaves nothing behind
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(real.parent)


def _require_unchanged(path: Path, real: Path, expected: bytes) -> None:
    if real.read_bytes() != expected:
        raise WriteError(
            f"{path} was not written: it changed since it was read.", path=path, hint="Run again on the new text."
        )


_TEMPORARY: Final = re.compile(r"\.osmosis-[0-9a-f]{16}\.tmp")

_ABANDONED_AFTER: Final = 60.0
"""Seconds. A file is written in a fraction of one; what is as old as this was left by a process that was killed."""


@cache
def _sweep(folder: Path) -> None:
    """Remove what killed processes have left in a folder. Once is enough, and large folders take a while to list."""
    with contextlib.suppress(OSError):  # whoever may not look, or comes too late, has nothing to remove
        for name in filter(_TEMPORARY.fullmatch, os.listdir(folder)):  # noqa: PTH208 - a path for each name takes long
            left = folder / name
            if time.time() - left.lstat().st_mtime > _ABANDONED_AFTER:
                left.unlink()


def _write_beside(real: Path, data: bytes, *, like: os.stat_result | None) -> Path:
    """A new file in the folder of ``real`` with ``data`` on disk, and mode and owner of ``like`` if there is one."""
    _sweep(real.parent)
    temporary = real.with_name(f".osmosis-{os.urandom(8).hex()}.tmp")
    mode = 0o666 if like is None else 0o600  # the former is cut by the user's umask, as for any new file
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if like is not None:
                _take_after(file.fileno(), like)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:  # as above
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _take_after(descriptor: int, old: os.stat_result) -> None:
    """Give a new file the owner, group and mode of the old one (where the system knows such things)."""
    if os.name == "nt":
        return
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except PermissionError as error:
            raise PermissionError(error.errno, "it belongs to another user or group, which cannot be kept") from error
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))  # after the owner: a change of owner clears bits of the mode


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system can do that for a folder."""
    with contextlib.suppress(OSError):  # the file is complete by now; some systems refuse to open or sync folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
