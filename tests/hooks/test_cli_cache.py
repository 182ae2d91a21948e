"""``osmosis-synthesize cache``: the replies, carried to and from other machines."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.cache import Cache, CachedReply
from osmosis_synthesize.providers.base import Reply
from osmosis_synthesize.store import FILE_NAME, Store, default_folder
from small_projects import build, table

Call = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]


def keep(number: int, *, folder: Path | None = None, text: str = "a reply") -> None:
    with Store.open(folder) as store:
        for each in range(number):
            key = hashlib.sha256(str(each).encode()).hexdigest()
            Cache(store).put(key, CachedReply(Reply(text), "openai", "m", Decimal("0.5"), time.time()))


def test_path_and_stats(call: Call, tmp_path: Path) -> None:
    result = call("cache", "path")
    assert (result.code, result.out, result.err) == (0, f"{default_folder() / FILE_NAME}\n", "")
    assert call("cache", "stats").out.endswith(": 0 replies, 0.0 MB\n")
    keep(3)
    today = time.strftime("%Y-%m-%d")
    assert call("cache", "stats").out.splitlines()[1] == f"from {today} to {today}; they cost $1.50, once"


def test_clear_leaves_the_ledger(call: Call) -> None:
    keep(2)
    assert call("cache", "clear").out == "2 replies removed; the ledger stays.\n"
    assert call("cache", "clear").out == "0 replies removed; the ledger stays.\n"


@pytest.mark.parametrize("by", ["file", "pipe"])
def test_replies_are_carried_to_another_machine(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    keep(3, text="Übergröße\u2028\n{}")
    file = tmp_path / "replies.jsonl"
    if by == "file":
        assert call("cache", "export", file).out == ""
    else:
        file.write_text(call("cache", "export", "-").out, "utf-8")
        assert call("cache", "export").out == file.read_text("utf-8")
    assert len(file.read_text("utf-8").split("\n")) == 4
    monkeypatch.setenv("OSMOSIS_CACHE_DIR", str(tmp_path / "elsewhere"))
    arguments = [file] if by == "file" else []
    for said in ("3 replies added, 0 not needed.\n", "0 replies added, 3 not needed.\n"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes()), "ascii"))
        result = call("cache", "import", *arguments)
        assert (result.code, result.out, result.err) == (0, said, "")
    assert call("cache", "export").out == file.read_text("utf-8")


GARBAGE = [
    "",
    "{",
    "null",
    "[]",
    '{"version": 2}',
    '{"a":' * 100_000,
    "\x00",
    json.dumps({"version": 1, "key": "../../etc", "provider": "p", "model": "m", "text": "x"}),
    json.dumps(
        {"version": 1, "key": "a" * 64, "provider": "p", "model": "m", "text": 7, "stored_at": "2026-01-01T00:00:00Z"}
    ),
]


def test_garbage_changes_nothing_and_is_named_by_line(call: Call, tmp_path: Path) -> None:
    keep(1)
    good = call("cache", "export").out
    call("cache", "clear")
    file = tmp_path / "replies.jsonl"
    file.write_text("\n".join([*GARBAGE, good]), "utf-8")
    result = call("cache", "import", file)
    assert result.code == 2
    assert result.out == "1 reply added, 0 not needed.\n"
    named = [line.partition(":")[0] for line in result.err.splitlines()]
    assert named == [f"line {number}" for number in range(2, len(GARBAGE) + 1)]  # the first is only empty
    assert len(max(result.err.splitlines(), key=len)) < 200


@pytest.mark.parametrize("content", [b"\xff\xfe\x00binary", b"SQLite format 3\x00\xf0"])
def test_a_file_that_is_no_text(call: Call, start: Start, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    result = call("cache", "import", tmp_path / "file")
    assert result.code == 2
    assert "no UTF-8" in result.err
    with (tmp_path / "file").open() as stream, start("cache", "import", cwd=tmp_path, stdin=stream) as piped:
        assert "no UTF-8" in piped.communicate(timeout=300)[1]
    assert piped.returncode == 2


def test_files_that_cannot_be_opened(call: Call, tmp_path: Path) -> None:
    for action, file in (("import", tmp_path / "absent"), ("import", tmp_path), ("export", tmp_path / "no" / "x")):
        result = call("cache", action, file)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"osmosis-synthesize: {file} ")


@pytest.mark.parametrize("arguments", [[], ["polish"], ["path", "a", "b"], ["stats", "--by", "model"]])
def test_bad_usage(call: Call, arguments: list[str]) -> None:
    result = call("cache", *arguments)
    assert (result.code, result.out) == (2, "")
    assert "usage:" in result.err


def test_whoever_reads_the_export_may_go(start: Start, tmp_path: Path) -> None:
    keep(600, text="x" * 1000)  # far more than a pipe holds
    with start("cache", "export", cwd=tmp_path) as exporting:
        assert exporting.stdout is not None
        assert exporting.stdout.readline().startswith('{"version":1')
        exporting.stdout.close()
        assert exporting.stderr is not None
        assert exporting.stderr.read() == ""
    assert exporting.returncode == 0


def test_a_project_that_keeps_its_own_replies_is_meant_inside_it(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = default_folder()
    monkeypatch.delenv("OSMOSIS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(environ))
    root = build(tmp_path / "shop", table("orders", {"a": None}), settings={"cache_dir": ".osmosis"})
    own = root.resolve() / ".osmosis"
    keep(2, folder=own)
    assert call("cache", "path", "--project-dir", root).out == f"{own / FILE_NAME}\n"
    assert call("cache", "path").out == f"{default_folder() / FILE_NAME}\n"
    monkeypatch.chdir(root / "models")
    assert call("cache", "stats").out.startswith(f"{own / FILE_NAME}: 2 replies, ")
    monkeypatch.setenv("OSMOSIS_CACHE_DIR", str(tmp_path / "mine"))
    assert call("cache", "path").out == f"{tmp_path / 'mine' / FILE_NAME}\n"
