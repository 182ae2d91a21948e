"""The one SQLite file that replies, the ledger and reservations share, used by many processes at once.

The file is a convenience that must never become the user's problem. A damaged file is set aside and replaced;
without room or permission everything goes on in memory. Either way :attr:`Store.warnings` says so, once.

Calls are made directly from the event loop: a read takes some 10 µs and a write less than a millisecond, which
is less than handing them to a thread and back, and a lock is held by nobody for longer than one such write.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

T = TypeVar("T")

FILE_NAME: Final = "cache.sqlite3"

# Once released, a migration is never edited; new ones are appended and only ever add (tables, indexes, columns
# with a default; no triggers, no views), so that an older release goes on working with a file that a newer one has migrated.
MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE reply (
        key TEXT PRIMARY KEY,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        prompt_version TEXT NOT NULL,
        text TEXT NOT NULL,
        finish TEXT NOT NULL,
        answered_by TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cached_input_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        cost INTEGER,
        stored_at REAL NOT NULL,
        size INTEGER NOT NULL
    );
    CREATE INDEX reply_by_age ON reply (stored_at);
    CREATE TABLE reply_total (replies INTEGER NOT NULL, size INTEGER NOT NULL);
    INSERT INTO reply_total VALUES (0, 0);
    CREATE TRIGGER reply_added AFTER INSERT ON reply BEGIN
        UPDATE reply_total SET replies = replies + 1, size = size + new.size;
    END;
    CREATE TRIGGER reply_removed AFTER DELETE ON reply BEGIN
        UPDATE reply_total SET replies = replies - 1, size = size - old.size;
    END;
    CREATE TABLE claim (
        key TEXT PRIMARY KEY,
        token TEXT NOT NULL,
        machine TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        expires_at REAL NOT NULL
    );
    CREATE TABLE ledger (
        id INTEGER PRIMARY KEY,
        time REAL NOT NULL,
        project TEXT NOT NULL,
        node TEXT NOT NULL,
        columns TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cached_input_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        estimated_input_tokens INTEGER,
        cost INTEGER,
        cache_hit INTEGER NOT NULL,
        duration REAL NOT NULL,
        outcome TEXT NOT NULL
    );
    CREATE INDEX ledger_by_time ON ledger (time, cost);
    CREATE INDEX ledger_by_model ON ledger (provider, model, time);
    CREATE TABLE reservation (
        token TEXT PRIMARY KEY,
        amount INTEGER NOT NULL,
        machine TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        expires_at REAL NOT NULL
    );
    CREATE TABLE price (
        source TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        price TEXT NOT NULL,
        PRIMARY KEY (source, provider, model)
    );
    """,
)

_SCRIPT: Final = "".join(MIGRATIONS)

_TABLES: Final = frozenset({"reply", "reply_total", "claim", "ledger", "reservation", "price"})

_BUSY_SECONDS: Final = 5.0
"""How long a write waits for other processes' writes."""

# Result codes of SQLite that speak of the file's content, and of its surroundings (https://sqlite.org/rescode.html).
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNUSABLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


_FAILURES: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What Python's sqlite3 raises; the second when a message of SQLite's quotes a damaged name."""


def default_folder() -> Path:
    """``OSMOSIS_CACHE_DIR``, or the user's cache folder as the operating system has it."""
    if chosen := os.environ.get("OSMOSIS_CACHE_DIR"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path  # only where nobody chose a folder

    return user_cache_path("osmosis-synthesize", appauthor=False)


class Store:
    """An open store. One is enough for a process; it may be used from several threads.

    It must not be carried into a forked child (SQLite forbids it); a child opens its own.
    """

    def __init__(self, folder: Path, warnings: list[str] | None = None) -> None:
        self.folder = folder
        self.warnings: list[str] = [] if warnings is None else warnings
        """What the user should know about the store, each thing once."""
        self._beside: dict[Path, Self] = {}
        self._lock = threading.RLock()
        self._shared = True
        self._replaced = False
        self._inode: tuple[int, int] = (0, 0)
        self._connection = self._open()

    @classmethod
    def open(cls, folder: Path | None = None) -> Self:
        """Open the store in ``folder`` (by default :func:`default_folder`), creating both. Never raises."""
        return cls(folder if folder is not None else default_folder())

    def beside(self, folder: Path) -> Self:
        """The store in another folder. It is closed with this one, and what there is to say about it is said here."""
        with self._lock:
            if folder not in self._beside:
                self._beside[folder] = type(self)(folder, self.warnings)
            return self._beside[folder]

    @property
    def path(self) -> Path:
        """The store's file, whether or not it could be used."""
        return self.folder / FILE_NAME

    @property
    def shared(self) -> bool:
        """Whether other processes see this store; False once it had to go on in memory."""
        return self._shared

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``work``, which reads.

        ``work`` is a function, and not a ``with`` block, because it is called again if the file turns out to be
        damaged or unusable in the middle of it. It must have no effect but on the connection.
        """
        with self._lock:
            while True:
                try:
                    return work(self._connection)
                except _FAILURES as error:
                    self._mend(error)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``work``, done as one transaction that no other process's write can come between.

        When this returns, the transaction survives the death of this process. As in :meth:`read`, ``work`` may be
        called again; what its earlier call did is then undone.
        """
        return self.read(lambda connection: _transaction(connection, work))

    def close(self) -> None:
        """Give the file back. The store is not used afterwards, nor those beside it."""
        with self._lock:
            for other in self._beside.values():
                other.close()
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_file()
        except (*_FAILURES, OSError) as error:
            return self._open_after(error, damaged=_code(error) in _DAMAGED)

    def _open_after(self, error: Exception, *, damaged: bool) -> sqlite3.Connection:
        """The next best connection: a new file in place of a damaged one, else one in memory."""
        if damaged and not self._replaced:
            self._replaced = True  # once; a file that is damaged again has a cause that a third one would share
            try:
                self._set_aside()
                return self._open_file()
            except (*_FAILURES, OSError) as again:
                error = again
        return self._open_memory(error)

    def _open_file(self) -> sqlite3.Connection:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Replies are the user's own whatever the folder's mode; SQLite gives its side files the same mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = _connect(self.path)
        try:
            if _version(connection) < len(MIGRATIONS):
                with _exclusive(self.folder):
                    connection.execute("PRAGMA journal_mode = WAL")
                    _migrate(connection)
            status = self.path.stat()
        except BaseException:
            connection.close()
            raise
        self._inode = (status.st_dev, status.st_ino)
        return connection

    def _open_memory(self, error: Exception) -> sqlite3.Connection:
        self._shared = False
        self.warnings.append(
            f"The cache at {self.path} cannot be used ({error}); going on without it, so nothing is remembered "
            "after this run. Free some space, make the folder writable, or set OSMOSIS_CACHE_DIR to another one."
        )
        connection = _connect(":memory:")
        _migrate(connection)
        return connection

    def _mend(self, error: Exception) -> None:
        """Replace a connection that failed; raises ``error`` again if that would not help."""
        code = _code(error)
        # A damaged name shows as an error in our SQL.
        damaged = code in _DAMAGED or (code == sqlite3.SQLITE_ERROR and not _has_our_schema(self._connection))
        if not self._shared or not (damaged or code in _UNUSABLE):
            raise error
        self._connection.close()
        self._connection = self._open_after(error, damaged=damaged)

    def _set_aside(self) -> None:
        """Rename the damaged file, unless another process has already replaced it by a good one."""
        with _exclusive(self.folder):
            try:
                status = self.path.stat()
            except FileNotFoundError:
                return
            opened = self._inode == (status.st_dev, status.st_ino)
            if not opened and not _is_damaged(self.path):
                return
            aside = self.path.with_name(f"{FILE_NAME}.damaged")
            for suffix in ("-wal", "-shm", ""):
                source = self.path.with_name(FILE_NAME + suffix)
                target = aside.with_name(aside.name + suffix)
                target.unlink(missing_ok=True)
                if source.exists():
                    source.replace(target)
            self.warnings.append(
                f"The cache at {self.path} was damaged. It was set aside as {aside.name} and begun anew: replies are "
                "asked for again, and earlier spend is no longer counted."
            )


def _connect(path: Path | str) -> sqlite3.Connection:
    # Transactions are begun by hand (isolation_level=None): Python's own begin too late to keep others out.
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # In WAL mode, NORMAL loses nothing when a process dies; a power cut may cost the last replies, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        # The folder may lie in a project, and so the file may be a stranger's: see also _version.
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has already rolled it back
            connection.execute("ROLLBACK")
        raise
    return result


def _version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has had: its ``user_version``.

    Raises:
        sqlite3.DatabaseError: SQLITE_NOTADB if it is not ours, has lost a table, or would do what no migration says.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    schema = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
    tables = {name for kind, name, _ in schema if kind == "table"}
    # Migrations add no triggers and views but those that are known; a stranger's could run for ever.
    foreign = any(kind in {"trigger", "view"} and sql not in _SCRIPT for kind, _, sql in schema)
    if (tables and version == 0) or (version >= len(MIGRATIONS) and not tables >= _TABLES) or foreign:
        error = sqlite3.DatabaseError("it is another program's database, or parts of it are missing or strange")
        error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
        raise error
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    """Give the schema the migrations that it has not had, all or none."""

    def step(connection: sqlite3.Connection) -> None:
        for migration in MIGRATIONS[_version(connection) :]:
            for statement in _statements(migration):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    if _version(connection) < len(MIGRATIONS):
        _transaction(connection, step)


def _statements(script: str) -> Iterator[str]:
    # sqlite3's executescript would commit the transaction that makes a migration all or nothing. A statement ends
    # with its line.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _has_our_schema(connection: sqlite3.Connection) -> bool:
    query = "SELECT name, sql FROM sqlite_schema"
    with closing(_connect(":memory:")) as fresh:
        _migrate(fresh)
        try:
            return set(fresh.execute(query)) <= set(connection.execute(query))
        except _FAILURES:
            return False


def _is_damaged(path: Path) -> bool:
    try:
        with closing(_connect(path)) as connection:
            _version(connection)
            return connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok"
    except _FAILURES as error:
        return _code(error) in _DAMAGED


def _code(error: Exception) -> int | None:
    """SQLite's primary result code, the low byte of the extended one; None if the error is not SQLite's."""
    if isinstance(error, UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and type(error) is sqlite3.OperationalError:
        return sqlite3.SQLITE_CORRUPT  # Python's own: a text in the file is no UTF-8
    return code & 0xFF if isinstance(code, int) else None


@contextmanager
def _exclusive(folder: Path) -> Generator[None]:
    """Keep other processes from creating, migrating or replacing the store meanwhile.

    SQLite's own lock on an empty database beside it works on every system and ends with its holder.
    """
    path = folder / "lock.sqlite3"
    try:
        lock = _locked(path)
    except sqlite3.DatabaseError as error:
        if _code(error) not in _DAMAGED:
            raise
        path.unlink(missing_ok=True)  # it holds nothing; whoever else has it open is just as badly off
        lock = _locked(path)
    with closing(lock):
        yield


def _locked(path: Path) -> sqlite3.Connection:
    lock = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except BaseException:
        lock.close()
        raise
    return lock
