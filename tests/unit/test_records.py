"""The file of records on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from osmosis_synthesize.engine.provenance import FILE, Place, Record, Records
from osmosis_synthesize.errors import WriteError
from osmosis_synthesize.records import RecordFile


def record(node: str, column: str | None = None) -> Record:
    return Record(node, column, "00", "generated", "openai", "gpt-5-mini", "2026-01-31T12:00:00Z")


def allowed(_path: Path) -> str | None:
    return None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "shop"
    folder.mkdir()
    return folder


def test_the_first_record_makes_the_file(root: Path) -> None:
    file = RecordFile(root, forbidden=allowed)
    assert not len(file.read())
    assert not (root / FILE).parent.exists()
    file.put([record("a")])
    assert (root / FILE).read_text("utf-8") == Records.parse("").put([record("a")]).text()
    assert file.read().of(Place("a", "")) == record("a")
    assert [path.name for path in (root / ".osmosis").iterdir()] == ["provenance.jsonl"]


def test_nothing_to_write_makes_nothing(root: Path) -> None:
    RecordFile(root, forbidden=allowed).put([])
    assert list(root.iterdir()) == []


def test_what_others_write_is_seen_and_kept(root: Path) -> None:
    one, other = RecordFile(root, forbidden=allowed), RecordFile(root, forbidden=allowed)
    one.put([record("a")])
    assert len(other.read()) == 1
    other.put([record("b")])
    one.put([record("c")])
    assert len(one.read()) == len(other.read()) == 3
    one.remove([Place("b", "")])
    assert [place.node for place in other.read()] == ["a", "c"]


def test_a_damaged_file_is_used_as_far_as_it_can_be_read(root: Path) -> None:
    file = RecordFile(root, forbidden=allowed)
    file.put([record("a")])
    text = (root / FILE).read_text("utf-8")
    (root / FILE).write_text(f"<<<<<<< HEAD\n{text}=======\n>>>>>>> other\n", "utf-8")
    assert len(file.read()) == 1
    assert file.problem is not None
    assert str(root / FILE) in file.problem
    assert "conflict" in file.problem
    file.put([record("b")])
    assert (root / FILE).read_text("utf-8").startswith(f"<<<<<<< HEAD\n{text}=======\n>>>>>>> other\n")
    assert len(file.read()) == 2
    (root / FILE).write_text(text, "utf-8")
    assert len(file.read()) == 1
    assert file.problem is None


def test_a_file_that_is_no_text_is_left_alone(root: Path) -> None:
    (root / FILE).parent.mkdir()
    (root / FILE).write_bytes(b"\xff\xfe\x00")
    file = RecordFile(root, forbidden=allowed)
    assert not len(file.read())
    assert file.problem is not None
    assert "not UTF-8" in file.problem
    with pytest.raises(WriteError, match="not UTF-8"):
        file.put([record("a")])
    assert (root / FILE).read_bytes() == b"\xff\xfe\x00"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("linked", [".osmosis", FILE])
@pytest.mark.parametrize("exists", [True, False])
def test_no_link_leads_out_of_the_project(root: Path, linked: str, exists: bool) -> None:
    outside = root.parent / "outside"
    if linked == FILE:
        (root / ".osmosis").mkdir()
    if exists:
        outside.mkdir() if linked == ".osmosis" else outside.write_text("", "utf-8")
    (root / linked).symlink_to(outside)
    with pytest.raises(WriteError, match=r"outside the project|cannot be made"):
        RecordFile(root, forbidden=allowed).put([record("a")])
    assert outside.exists() == exists
    assert not exists or not (list(outside.iterdir()) if outside.is_dir() else outside.read_bytes())


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_within_the_project_is_followed(root: Path) -> None:
    (root / "kept").mkdir()
    (root / ".osmosis").symlink_to(root / "kept")
    RecordFile(root, forbidden=allowed).put([record("a")])
    assert (root / "kept/provenance.jsonl").exists()
    assert (root / ".osmosis").is_symlink()


def test_the_layout_may_forbid_it(root: Path) -> None:
    with pytest.raises(WriteError, match="because"):
        RecordFile(root, forbidden=lambda _path: "because").put([record("a")])
    assert not (root / FILE).exists()


WRITER = """
import sys
from pathlib import Path
from osmosis_synthesize.engine.provenance import Record
from osmosis_synthesize.records import RecordFile
{prelude}
name, count, root = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
file = RecordFile(root, forbidden=lambda path: None)
sys.stdin.readline()
for number in range(count):
    file.put([Record(f"{{name}}{{number:03}}", None, "00", "generated", "p", "m", "2026-01-31T12:00:00Z")])
"""
NO_LOCKS = "sys.modules['fcntl'] = None"


@pytest.mark.parametrize("prelude", ["", NO_LOCKS], ids=["locks", "no locks"])
def test_processes_lose_no_line_of_each_other(root: Path, prelude: str) -> None:
    count, names = (40, "abc") if not prelude else (8, "ab")
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER.format(prelude=prelude), name, str(count), str(root)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, error = writer.communicate(timeout=120)
        assert writer.returncode == 0, error
    found = RecordFile(root, forbidden=allowed).read()
    if not prelude:  # without locks a race can be lost between the last look at the file and its replacement
        assert sorted(place.node for place in found) == sorted(f"{n}{k:03}" for n in names for k in range(count))
    assert found.problem is None
    assert found.text() == (root / FILE).read_text("utf-8")
    assert [path.name for path in (root / ".osmosis").iterdir()] == ["provenance.jsonl"]


@pytest.mark.skipif(os.name == "nt", reason="there is no such lock there")
def test_a_lock_that_is_held_keeps_others_waiting_and_goes_with_its_process(root: Path) -> None:
    import fcntl

    (root / ".osmosis").mkdir()
    held = os.open(root / ".osmosis", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(prelude=""), "a", "1", str(root)], stdin=subprocess.PIPE, text=True
    )
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        writer.wait(1)
    assert not (root / FILE).exists()
    os.close(held)
    writer.communicate(timeout=60)
    assert writer.returncode == 0
    assert len(RecordFile(root, forbidden=allowed).read()) == 1
