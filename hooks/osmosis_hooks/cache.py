"""``osmosis-synthesize cache path|stats|clear|export|import``: the replies that were paid for."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from osmosis_hooks.output import count, usd
from osmosis_synthesize.cache import Cache
from osmosis_synthesize.discovery import find_project
from osmosis_synthesize.errors import ProjectNotFound, UsageError, WriteError
from osmosis_synthesize.settings import load_settings
from osmosis_synthesize.store import Store


def main(options: argparse.Namespace) -> int:
    """Exit code 0; 2 if a file cannot be read or written."""
    with Store.open() as store:
        code = _ACTIONS[options.action](_with_replies(store, options), options)
        for warning in store.warnings:
            print(warning, file=sys.stderr)
    return code


def _with_replies(store: Store, options: argparse.Namespace) -> Store:
    """The store with the replies: the project's, if there is a project and its settings say that it keeps its own."""
    try:
        root = options.project_dir or find_project(Path.cwd())
    except ProjectNotFound:
        return store
    folder = load_settings(root, tolerant=True).cache_dir
    return store if folder is None else store.beside(folder)


def _path(store: Store, _options: argparse.Namespace) -> int:
    print(store.path)
    return 0


def _stats(store: Store, _options: argparse.Namespace) -> int:
    stats = Cache(store).stats()
    print(f"{store.path}: {count(stats.replies, 'reply', 'replies')}, {stats.size / 1e6:.1f} MB")
    if stats.oldest is not None and stats.newest is not None:
        print(f"from {_day(stats.oldest)} to {_day(stats.newest)}; they cost {usd(stats.saved)}, once")
    return 0


def _clear(store: Store, _options: argparse.Namespace) -> int:
    print(f"{count(Cache(store).clear(), 'reply', 'replies')} removed; the ledger stays.")
    return 0


def _export(store: Store, options: argparse.Namespace) -> int:
    # Always UTF-8, whatever the terminal speaks: another machine will read it.
    lines = (f"{line}\n".encode() for line in Cache(store).export_lines())
    file: Path | None = options.file
    if file is None or str(file) == "-":
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return 0
    try:
        with file.open("wb") as stream:
            stream.writelines(lines)
    except OSError as error:
        raise WriteError(f"{file} was not written: {error.strerror or error}.", path=file) from error
    return 0


def _import(store: Store, options: argparse.Namespace) -> int:
    imported = Cache(store).import_lines(_lines(options.file))
    print(f"{count(imported.added, 'reply', 'replies')} added, {imported.skipped} not needed.")
    for problem in imported.rejected:
        print(problem, file=sys.stderr)
    return 2 if imported.rejected else 0


def _lines(file: Path | None) -> Iterator[str]:
    path = Path("-") if file is None else file
    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as stream:
            for line in stream:
                yield line.decode()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} cannot be read: it is no UTF-8.", hint="Import what export has written.") from error


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))


_ACTIONS = {"path": _path, "stats": _stats, "clear": _clear, "export": _export, "import": _import}
