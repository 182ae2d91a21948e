"""Lineage on disk: a second start traces nothing, a change exactly what it concerns, damage costs no more than time."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.manifest.lineage import Lineages, cache
from osmosis_synthesize.manifest.lineage.cache import Keys, LineageCache
from osmosis_synthesize.manifest.lineage.task import Setting, Task
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.manifest.model import Node, NodeLineage
from osmosis_synthesize.project import Project
from osmosis_synthesize.settings import load_settings
from projects import copy_demo
from small_projects import Table, build, manifest, table

RAW = table("raw.orders", {"id": None, "amount": None})
OTHER = table("raw.riders", {"id": None})


def shop(**changes: str) -> list[Table]:
    """Two chains: raw.orders → stg → mart → report, and raw.riders → riders."""
    sql = {
        "stg": "select id as order_id, amount from orders",
        "mart": "select * from stg",
        "report": "select order_id from mart",
        "riders": "select id as rider_id from riders",
        **changes,
    }
    return [
        RAW,
        OTHER,
        table("stg", sql=sql["stg"], of=["raw.orders"]),
        table("mart", sql=sql["mart"], of=["stg"]),
        table("report", sql=sql["report"], of=["mart"]),
        table("riders", sql=sql["riders"], of=["raw.riders"]),
    ]


def rows(file: Path) -> int:
    connection = sqlite3.connect(file)
    try:
        return connection.execute("SELECT count(*) FROM lineage").fetchone()[0]
    finally:
        connection.close()


class Traced:
    """What a process that starts now finds, and how many nodes it had to trace for that."""

    def __init__(
        self,
        folder: Path,
        *tables: Table,
        variables: Mapping[str, Any] | None = None,
        change: Mapping[str, Mapping[str, Any]] | None = None,
        macros: Mapping[str, Any] | None = None,
    ) -> None:
        data = manifest(*tables)
        data["macros"] = dict(macros or {})
        for unique_id, fields in (change or {}).items():
            (data["nodes"] if unique_id in data["nodes"] else data["sources"])[unique_id].update(fields)
        path = folder / "manifest.json"
        path.write_text(json.dumps(data), "utf-8")
        file = folder / "cache" / "lineage.sqlite3"
        before = rows(file) if file.exists() else 0
        self.lineages = dict(Lineages(load(path), variables=variables, cache=file))
        self.new = rows(file) - before
        assert self.lineages == dict(Lineages(load(path), variables=variables))


def test_the_second_time_nothing_is_traced(tmp_path: Path) -> None:
    first = Traced(tmp_path, *shop())
    assert first.new == 4
    assert first.lineages["model.shop.report"].columns[0].sources == (("model.shop.mart", "order_id"),)
    assert Traced(tmp_path, *shop()).new == 0
    assert (tmp_path / "cache/lineage.sqlite3").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changes", "traced"),
    [
        ({"riders": "select id as number from riders"}, 1),
        ({"report": "select order_id as id from mart"}, 1),
        ({"stg": "select id as order_id, amount / 100 as amount from orders"}, 1),  # the same columns: no child cares
        ({"mart": "select order_id from stg"}, 2),  # `amount` is gone: so may be what its child has
        ({"stg": "select id, amount from orders"}, 3),
    ],
)
def test_a_change_is_traced_and_whoever_it_concerns(tmp_path: Path, changes: dict[str, str], traced: int) -> None:
    Traced(tmp_path, *shop())
    assert Traced(tmp_path, *shop(**changes)).new == traced
    assert Traced(tmp_path, *shop()).new == 0, "what was known before is known still"


@pytest.mark.parametrize(
    ("unique_id", "fields", "traced"),
    [
        ("model.shop.stg", {"description": "Orders.", "tags": ["new"], "meta": {"owner": "me"}}, 0),
        ("model.shop.stg", {"columns": {"order_id": {"name": "order_id", "description": "Number."}}}, 0),
        ("model.shop.stg", {"raw_code": "select {{ 1 }}"}, 0),  # what dbt made of it is what counts
        ("model.shop.stg", {"alias": "stage"}, 3),  # its child's SQL does not find it any more, nor its columns
        ("source.shop.raw.orders", {"columns": {"number": {"name": "number"}}}, 1),
        ("source.shop.raw.orders", {"identifier": "orders_v2"}, 1),
        ("model.shop.mart", {"language": "python", "compiled_code": "def model(dbt, session): ..."}, 1),
    ],
)
def test_only_what_lineage_looks_at_counts(
    tmp_path: Path, unique_id: str, fields: dict[str, Any], traced: int
) -> None:
    Traced(tmp_path, *shop())
    assert Traced(tmp_path, *shop(), change={unique_id: fields}).new == traced


RAW_SQL = {
    "raw_code": "select {{ column() }} as order_id, {{ var('more', 'amount') }} from orders",
    "compiled_code": None,
}
MACRO = {
    "macro.shop.column": {
        "name": "column",
        "package_name": "shop",
        "macro_sql": "{% macro column() %}id{% endmacro %}",
        "created_at": 1.0,
    }
}


def test_where_jinja_is_rendered_variables_and_macros_count(tmp_path: Path) -> None:
    change = {"model.shop.stg": RAW_SQL}
    first = Traced(tmp_path, *shop(), change=change, macros=MACRO)
    assert [column.name for column in first.lineages["model.shop.stg"].columns] == ["order_id", "amount"]
    assert first.new == 4
    later = {"macro.shop.column": {**MACRO["macro.shop.column"], "created_at": 2.0}}
    assert Traced(tmp_path, *shop(), change=change, macros=later).new == 0
    other = {
        "macro.shop.column": {**MACRO["macro.shop.column"], "macro_sql": "{% macro column() %}amount{% endmacro %}"}
    }
    assert Traced(tmp_path, *shop(), change=change, macros=other).new == 1
    for_all = Traced(tmp_path, *shop(), change=change, macros=MACRO, variables={"more": "id"})
    assert [column.name for column in for_all.lineages["model.shop.stg"].columns] == ["order_id", "id"]
    assert for_all.new == 3
    scoped = Traced(
        tmp_path, *shop(), change=change, macros=MACRO, variables={"shop": {"more": "id"}, "more": "amount"}
    )
    assert scoped.lineages == for_all.lineages


def test_failures_are_known_too_unless_time_was_short(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest(*shop(stg="not a query"))), "utf-8")
    file = tmp_path / "lineage.sqlite3"
    assert Lineages(load(path), cache=file, time_limit=0)["model.shop.riders"].problem is not None
    assert rows(file) == 0
    assert Lineages(load(path), cache=file)["model.shop.riders"].problem is None
    assert Lineages(load(path), cache=file)["model.shop.stg"].problem is not None
    assert rows(file) == 2


def test_only_what_is_asked_for_is_looked_up(tmp_path: Path) -> None:
    Traced(tmp_path, *shop())
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest(*shop(riders="select 1 as n"))), "utf-8")
    file = tmp_path / "cache/lineage.sqlite3"
    assert Lineages(load(path), cache=file)["model.shop.mart"].problem is None
    assert rows(file) == 4


# --- the file -------------------------------------------------------------------------------------------------------


def entry(number: int) -> tuple[bytes, NodeLineage]:
    return number.to_bytes(32, "big"), NodeLineage(f"model.shop.m{number}")


def test_an_entry_comes_back(tmp_path: Path) -> None:
    kept = LineageCache(tmp_path / "new/folder/lineage.sqlite3")
    kept.put([entry(1), entry(2)])
    kept.put([entry(2)])
    again = LineageCache(tmp_path / "new/folder/lineage.sqlite3")
    assert [again.get(entry(number)[0]) for number in (1, 2, 3)] == [entry(1)[1], entry(2)[1], None]


def test_the_oldest_entries_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT", 10)
    kept = LineageCache(tmp_path / "lineage.sqlite3")
    for number in range(25):
        kept.put([entry(number)])
    assert rows(tmp_path / "lineage.sqlite3") == 10
    assert kept.get(entry(14)[0]) is None
    assert kept.get(entry(15)[0]) == entry(15)[1]


def test_a_file_that_is_full_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST_PAGES", 12)
    kept = LineageCache(tmp_path / "lineage.sqlite3")
    noise = random.Random(0)
    for number in range(60):
        key, lineage = entry(number)
        kept.put([(key, NodeLineage(lineage.unique_id, problem=noise.randbytes(1000).hex()))])
    assert (tmp_path / "lineage.sqlite3").stat().st_size <= 12 * 4096
    kept.put([entry(99)])
    assert kept.get(entry(99)[0]) == entry(99)[1]


def test_what_is_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = LineageCache(tmp_path / "lineage.sqlite3")
    kept.put([(bytes(32), NodeLineage("large", problem="x" * 2_000_000))])
    assert kept.get(bytes(32)) is None
    kept.put([entry(1)])
    monkeypatch.setattr(cache, "_MOST", 40)  # as if the entry were a bomb
    assert kept.get(entry(1)[0]) is None


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_never_gives_a_wrong_answer(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "lineage.sqlite3"
    entries = [entry(number) for number in range(200)]
    LineageCache(file).put(entries)
    noise = random.Random(seed)
    data = bytearray(file.read_bytes())
    for _ in range(noise.choice((1, 20, 400))):
        at = noise.randrange(len(data))
        data[at] ^= 1 << noise.randrange(8)
    file.write_bytes(data if seed % 3 else data[: noise.randrange(len(data))])
    kept = LineageCache(file)
    assert all(kept.get(key) in (None, lineage) for key, lineage in entries)
    kept.put(entries)
    kept = LineageCache(file)
    assert all(kept.get(key) in (None, lineage) for key, lineage in entries)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"x", b""])
def test_another_file_of_that_name_is_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "lineage.sqlite3"
    file.write_bytes(content)
    kept = LineageCache(file)
    kept.put([entry(1)])
    assert LineageCache(file).get(entry(1)[0]) == entry(1)[1]


def test_a_row_of_another_key_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "lineage.sqlite3"
    LineageCache(file).put([entry(1)])
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE lineage SET key = ?", (entry(2)[0],))
    connection.close()
    assert LineageCache(file).get(entry(2)[0]) is None


@pytest.mark.parametrize("body", [None, 7, "text", b"", b"\x78\x9c"])
def test_a_row_that_is_no_entry_is_none(tmp_path: Path, body: object) -> None:
    file = tmp_path / "lineage.sqlite3"
    LineageCache(file).put([entry(1)])
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE lineage SET body = ?", (body,))
    connection.close()
    assert LineageCache(file).get(entry(1)[0]) is None


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = LineageCache(tmp_path / "file" / "lineage.sqlite3")
    nowhere.put([entry(1)])
    assert nowhere.get(entry(1)[0]) is None
    folder = LineageCache(tmp_path)
    folder.put([entry(1)])
    assert folder.get(entry(1)[0]) is None


def test_who_waits_too_long_for_another_process_goes_on_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_PATIENCE", 0.01)
    file = tmp_path / "lineage.sqlite3"
    kept = LineageCache(file)
    kept.put([entry(1)])
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    kept.put([entry(2)])
    assert kept.get(entry(1)[0]) == entry(1)[1]
    other.execute("ROLLBACK")
    other.close()
    kept.put([entry(3)])
    assert [kept.get(entry(number)[0]) for number in (2, 3)] == [None, entry(3)[1]]


MANY_WRITERS = """
import sys
from pathlib import Path
from osmosis_synthesize.manifest.lineage.cache import LineageCache
from osmosis_synthesize.manifest.model import NodeLineage
file, first = Path(sys.argv[1]), int(sys.argv[2])
sys.stdin.read(1)
kept = LineageCache(file)
for number in range(first, first + 100):
    kept.put([(number.to_bytes(32, "big"), NodeLineage(f"model.shop.m{number}"))])
    assert kept.get(number.to_bytes(32, "big")) is not None, number
"""


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    file = tmp_path / "lineage.sqlite3"
    writers = [
        subprocess.Popen([sys.executable, "-c", MANY_WRITERS, str(file), str(first)], stdin=subprocess.PIPE)
        for first in (0, 50, 150)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b".")
        writer.stdin.close()
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0, 0]
    kept = LineageCache(file)
    assert all(kept.get(entry(number)[0]) == entry(number)[1] for number in range(250))


ENDS_WHILE_WRITING = """
import sys, threading
from pathlib import Path
from osmosis_synthesize.manifest.lineage.cache import LineageCache
from osmosis_synthesize.manifest.model import NodeLineage
kept = LineageCache(Path(sys.argv[1]))
begun = threading.Event()
kept._connection.set_trace_callback(lambda sql: begun.set())
rows = [(number.to_bytes(32, "big"), NodeLineage(f"model.shop.m{number}")) for number in range(20_000)]
threading.Thread(target=kept.put, args=(rows,), daemon=True).start()
begun.wait()
"""


def test_a_process_ends_well_while_a_thread_of_it_writes(tmp_path: Path) -> None:
    """As the language server does. Closed under the hands of that thread, the connection took one process in fifteen with it."""
    file = tmp_path / "lineage.sqlite3"
    for _ in range(20):
        done = subprocess.run(
            [sys.executable, "-c", ENDS_WHILE_WRITING, str(file)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    kept = LineageCache(file)
    kept.put([entry(1)])
    assert kept.get(entry(1)[0]) == entry(1)[1]


# --- keys -----------------------------------------------------------------------------------------------------------


def test_the_code_has_a_say(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node("model.shop.a", "model", "a", "shop", "a.sql", None, "shop", compiled_code="select 1 as n")
    task = Task.of(node, [], {}, {})
    key = Keys(Setting("duckdb")).of(task)
    assert Keys(Setting("duckdb", time_limit=9)).of(task) == key
    assert Keys(Setting("snowflake")).of(task) != key
    monkeypatch.setattr(cache, "code_version", lambda: "another")
    assert Keys(Setting("duckdb")).of(task) != key


def test_the_code_version_says_whose(tmp_path: Path) -> None:
    version = cache.code_version()
    assert "sqlglot-" in version
    assert "jinja2-" in version


@pytest.mark.parametrize("value", ["\ud800", 2**70])
def test_what_cannot_be_written_down_is_not_kept(tmp_path: Path, value: object) -> None:
    node = Node(
        "model.shop.a",
        "model",
        "a",
        "shop",
        "a.sql",
        None,
        "shop",
        raw_code="select 1 as n",
        config={"unique_key": value},
    )
    assert Keys(Setting("duckdb")).of(Task.of(node, [], {}, {})) is None


# --- a whole start --------------------------------------------------------------------------------------------------

SECOND_START = """
import sys
from osmosis_hooks.cli import main
try:
    main(["run", "--all", "--inherit-only", "--diff"])
except SystemExit:
    pass
print(*sorted({"sqlglot", "jinja2"}.intersection(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("compiled", [True, False])
def test_the_demos_second_start_loads_no_parser(tmp_path: Path, compiled: bool) -> None:
    project = copy_demo(tmp_path / "demo")
    if not compiled:
        path = project / "target/manifest.json"
        data = json.loads(path.read_text("utf-8"))
        for node in data["nodes"].values():
            node.pop("compiled_code", None)
        path.write_text(json.dumps(data), "utf-8")
    starts = [
        subprocess.run(
            [sys.executable, "-c", SECOND_START], cwd=project, capture_output=True, text=True, check=True, timeout=120
        )
        for _ in range(2)
    ]
    loaded = [start.stderr.splitlines()[-1] for start in starts]
    assert loaded == ["sqlglot" if compiled else "jinja2 sqlglot", ""]
    assert starts[0].stdout == starts[1].stdout
    assert "inherited" in starts[0].stderr


@pytest.mark.parametrize(
    ("project_vars", "vars_file", "expected"),
    [
        ({"more": "id"}, None, "id"),
        ({"more": "amount", "shop": {"more": "id"}}, None, "id"),
        ({"more": "amount", "other": {"more": "id"}}, None, "amount"),
        (None, "vars: {more: id}", "id"),
        (None, None, "fallback"),
    ],
)
def test_a_projects_own_variables_reach_its_jinja(
    tmp_path: Path, project_vars: dict[str, Any] | None, vars_file: str | None, expected: str
) -> None:
    sql = "select {{ var('more', 'fallback') }} from orders"
    stg = table("stg", of=["raw.orders"], compiled_code=None, raw_code=sql)
    root = build(tmp_path / "shop", RAW, stg)
    file = root / "dbt_project.yml"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "vars": project_vars}), "utf-8")
    if vars_file is not None:
        (root / "vars.yml").write_text(vars_file, "utf-8")
    columns = Project(root, load_settings(root)).lineage["model.shop.stg"].columns
    assert [column.name for column in columns] == [expected]
