from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osmosis_synthesize import store as store_module
from osmosis_synthesize.cache import Cache, CachedReply
from osmosis_synthesize.cost.budget import Budget
from osmosis_synthesize.cost.ledger import Entry, Ledger
from osmosis_synthesize.owner import Owner, has_ended, this_process
from osmosis_synthesize.providers.base import Reply
from osmosis_synthesize.store import FILE_NAME, MIGRATIONS, Store, default_folder

KEYS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(60)]


def fill(folder: Path) -> None:
    with Store.open(folder) as store:
        cache, ledger = Cache(store), Ledger(store)
        for key in KEYS:
            cache.put(key, CachedReply(Reply(f"reply {key} " * 5), "openai", "m", None, time.time()))
            ledger.record(Entry("openai", "m"))


async def use_everything(store: Store) -> None:
    """What a run does; it must work whatever state the file is in."""
    cache, ledger, budget = Cache(store), Ledger(store), Budget(store)
    for key in KEYS[:20]:
        async with cache.claim(key) as claim:
            if claim.reply is None:
                with budget.reserve(None) as reservation:
                    claim.fulfil(Reply("again"), Entry("openai", "m"))
                    reservation.settle(None)
        assert cache.get(key) is not None
    cache.stats()
    list(cache.export_lines())
    ledger.spend()
    cache.clear()


def schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall())


class TestFolder:
    def test_is_the_environments(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("OSMOSIS_CACHE_DIR", str(tmp_path / "here"))
        assert default_folder() == tmp_path / "here"

    def test_is_the_users_otherwise(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("OSMOSIS_CACHE_DIR")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
        assert "osmosis-synthesize" in default_folder().parts

    @pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
    def test_is_for_its_user_alone(self, tmp_path: Path) -> None:
        fill(tmp_path / "new" / "cache")
        with Store.open(tmp_path / "new" / "cache") as store:
            assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
            for file in store.folder.glob(f"{FILE_NAME}*"):
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


class TestMigrations:
    def test_released_ones_are_never_edited(self) -> None:
        digests = [hashlib.sha256(migration.encode()).hexdigest()[:16] for migration in MIGRATIONS]
        assert digests == ["9d493597d50ab612"]

    @pytest.mark.parametrize("version", range(len(MIGRATIONS)))
    def test_each_old_schema_becomes_the_new_one(self, tmp_path: Path, version: int) -> None:
        fill(tmp_path / "new")
        (tmp_path / "old").mkdir()
        with closing(sqlite3.connect(tmp_path / "old" / FILE_NAME)) as connection:
            for migration in MIGRATIONS[:version]:
                connection.executescript(migration)
            connection.execute(f"PRAGMA user_version = {version}")
        Store.open(tmp_path / "old").close()
        assert schema(tmp_path / "old" / FILE_NAME) == schema(tmp_path / "new" / FILE_NAME)

    def test_a_further_one_keeps_what_is_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path)
        with Store.open(tmp_path) as older:
            monkeypatch.setattr(
                store_module, "MIGRATIONS", (*MIGRATIONS, "ALTER TABLE reply ADD COLUMN mood TEXT DEFAULT 'good';")
            )
            with Store.open(tmp_path) as newer:
                assert newer.read(lambda connection: connection.execute("SELECT mood FROM reply").fetchone()) == (
                    "good",
                )
                assert newer.warnings == []
            # A release that does not know the new column goes on working beside the one that does.
            asyncio.run(use_everything(older))
            assert older.warnings == []

    def test_one_that_fails_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path)
        before = schema(tmp_path / FILE_NAME)
        broken = "CREATE TABLE extra (a);\nCREATE UNIQUE INDEX one_reply_a_model ON reply (model);\n"
        monkeypatch.setattr(store_module, "MIGRATIONS", (*MIGRATIONS, broken))
        with Store.open(tmp_path) as store:
            assert not store.shared
            assert "UNIQUE constraint failed" in store.warnings[0]
        assert schema(tmp_path / FILE_NAME) == before

    def test_many_processes_may_create_it_at_once(self, tmp_path: Path) -> None:
        program = (
            "import pathlib, sys; from osmosis_synthesize.store import Store\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "for number in range(30):\n"
            "    with Store.open(pathlib.Path(sys.argv[1], str(number))) as store:\n"
            "        assert store.shared, store.warnings\n"
            "        assert store.warnings == []\n"
        )
        command = [sys.executable, "-W", "error", "-c", program, str(tmp_path)]
        children = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(5)
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        assert [(child.communicate(timeout=300), child.returncode)[1] for child in children] == [0] * 5


class TestDamage:
    def assert_replaced(self, folder: Path) -> None:
        with Store.open(folder) as store:
            assert len(store.warnings) == 1
            assert "was set aside as cache.sqlite3.damaged" in store.warnings[0]
            assert store.shared
            asyncio.run(use_everything(store))
        with Store.open(folder) as store:
            assert store.warnings == []
        assert (folder / f"{FILE_NAME}.damaged").exists()

    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / FILE_NAME).write_bytes(b"not a database at all " * 100)
        self.assert_replaced(tmp_path)
        assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes().startswith(b"not a database")

    def test_another_programs_database(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
            connection.execute("CREATE TABLE reply (mine)")
        self.assert_replaced(tmp_path)

    def test_a_lost_table(self, tmp_path: Path) -> None:
        fill(tmp_path)
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
            connection.execute("DROP TABLE ledger")
        self.assert_replaced(tmp_path)

    def test_an_empty_file_is_not_damaged(self, tmp_path: Path) -> None:
        (tmp_path / FILE_NAME).touch()
        with Store.open(tmp_path) as store:
            assert store.warnings == []
            asyncio.run(use_everything(store))

    def test_while_it_is_open(self, tmp_path: Path) -> None:
        fill(tmp_path)
        with Store.open(tmp_path) as store, Store.open(tmp_path) as other:
            with (tmp_path / FILE_NAME).open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                file.write(b"\xff" * size)
            for each in (store, other):
                asyncio.run(use_everything(each))
                assert each.shared
            # The second finds the file already replaced, and does not throw away the first one's.
            assert len(store.warnings) == 1
            assert other.warnings == []

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.floats(0, 1), st.binary(min_size=1, max_size=300), st.booleans())
    def test_anywhere_never_reaches_the_user(
        self, tmp_path_factory: pytest.TempPathFactory, place: float, junk: bytes, cut: bool
    ) -> None:
        folder = tmp_path_factory.mktemp("damaged")
        (folder / FILE_NAME).write_bytes(self.healthy(tmp_path_factory))
        with (folder / FILE_NAME).open("r+b") as file:
            file.seek(int(place * file.seek(0, os.SEEK_END)))
            file.write(junk)
            if cut:
                file.truncate()
        with Store.open(folder) as store:
            asyncio.run(use_everything(store))

    _healthy: bytes | None = None

    def healthy(self, tmp_path_factory: pytest.TempPathFactory) -> bytes:
        if TestDamage._healthy is None:
            folder = tmp_path_factory.mktemp("healthy")
            fill(folder)
            TestDamage._healthy = (folder / FILE_NAME).read_bytes()
        return TestDamage._healthy


class TestAStrangersFile:
    """A store in a project comes with the project, from whoever wrote that."""

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TRIGGER x AFTER INSERT ON claim BEGIN DELETE FROM reply; END",
            "CREATE TRIGGER x AFTER DELETE ON claim BEGIN UPDATE reply SET text = 'theirs'; END",
            "CREATE VIEW x AS SELECT * FROM reply",
        ],
    )
    def test_nothing_in_it_is_run(self, tmp_path: Path, statement: str) -> None:
        fill(tmp_path)
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as theirs:
            theirs.execute(statement)
        with Store.open(tmp_path) as store:
            assert "was damaged" in store.warnings[0]
            assert Cache(store).stats().replies == 0
            asyncio.run(use_everything(store))

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE reply SET text = x'00ff'",
            "UPDATE reply SET finish = 'never'",
            "UPDATE reply SET input_tokens = 'many'",
            "UPDATE reply SET cost = 'much'",
            "UPDATE reply SET stored_at = 'once'",
            "UPDATE reply SET stored_at = 1e300",
            "DELETE FROM reply_total",
            "UPDATE reply_total SET size = 'big', replies = x'00'",
            "INSERT INTO claim SELECT key, 'x', 'elsewhere', 1, '', 1e300 FROM reply",
        ],
    )
    def test_what_nobody_writes_is_passed_over(self, tmp_path: Path, change: str) -> None:
        fill(tmp_path)
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as theirs:
            theirs.execute(change)
            theirs.commit()
        with Store.open(tmp_path) as store:
            cache = Cache(store)
            for line in list(cache.export_lines()):
                assert json.loads(line)["text"]
            assert cache.stats().saved >= 0
            asyncio.run(use_everything(store))

    def test_one_beside_another_is_closed_with_it_and_warns_through_it(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with Store.open(tmp_path / "own") as store:
            other = store.beside(tmp_path / "other")
            assert store.beside(tmp_path / "other") is other
            assert store.beside(tmp_path / "file").warnings is store.warnings
            assert len(store.warnings) == 1
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            other.read(lambda connection: connection.execute("SELECT 1"))


class TestWithoutAFile:
    def test_an_unusable_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with Store.open(tmp_path / "file" / "cache") as store:
            assert not store.shared
            assert len(store.warnings) == 1
            assert "OSMOSIS_CACHE_DIR" in store.warnings[0]
            asyncio.run(use_everything(store))

    def test_a_full_disk(self, tmp_path: Path) -> None:
        with Store.open(tmp_path) as store:
            cache = Cache(store)
            pages = store.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
            store.read(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone())
            for key in KEYS:
                cached = CachedReply(Reply("x" * 5000), "openai", "m", None, time.time())
                cache.put(key, cached)
                assert cache.get(key) == cached
            assert not store.shared
            assert len(store.warnings) == 1
            assert "full" in store.warnings[0]
            asyncio.run(use_everything(store))

    def test_a_bug_of_ours_is_not_hidden(self, tmp_path: Path) -> None:
        with Store.open(tmp_path) as store:
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                store.read(lambda connection: connection.execute("SELECT * FROM no_table"))
            with pytest.raises(ZeroDivisionError):
                store.write(lambda connection: (connection.execute("DELETE FROM reply"), 1 / 0))
            assert store.shared
            Cache(store).stats()  # the transaction is over


class TestOwner:
    def test_this_process_lives(self) -> None:
        assert not has_ended(this_process())

    def test_a_killed_process_has_ended_even_before_anyone_looked(self) -> None:
        program = "from osmosis_synthesize.owner import this_process; print(*this_process(), sep='\\n', flush=True); input()"
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            machine, pid, started = (child.stdout.readline().rstrip("\n") for _ in range(3))
            owner = Owner(machine, int(pid), started)
            assert owner.pid == child.pid
            assert not has_ended(owner)
            child.send_signal(signal.SIGKILL)
            until = time.monotonic() + 10
            while not has_ended(owner) and time.monotonic() < until:
                time.sleep(0.001)
            assert child.returncode is None  # nobody has waited for it
            assert has_ended(owner)

    def test_the_same_number_again_is_another_process(self) -> None:
        me = this_process()
        if not me.started:
            pytest.skip("this system does not tell when a process started")
        assert has_ended(me._replace(started="1"))

    @pytest.mark.skipif(os.name != "posix", reason="elsewhere a process cannot be asked about")
    def test_where_nobody_tells_when_it_started_the_number_decides(self) -> None:
        assert not has_ended(this_process()._replace(started=""))
        with subprocess.Popen([sys.executable, "-c", ""]) as child:
            child.wait(timeout=300)
        assert has_ended(this_process()._replace(pid=child.pid, started=""))

    def test_another_machines_process_is_not_judged(self) -> None:
        assert not has_ended(Owner("elsewhere", 1, "1"))
