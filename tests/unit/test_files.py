from __future__ import annotations

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.errors import DocumentError, WriteError
from osmosis_synthesize.files import Source, read_source, stamp_of, write_source

if TYPE_CHECKING:
    from pathlib import Path

# At full size: FULL_SIZE_TESTS=1 pytest tests/unit/test_files.py
KILLS = 1000 if os.environ.get("FULL_SIZE_TESTS") else 20
IS_ROOT = os.name != "nt" and os.geteuid() == 0


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a: 1",
        b"\xef\xbb\xbfa: 1\r\n",
        b"a: 1\r\nb: 2\n c\r",
        "é: 雪 🦉 \u2028 \x00".encode(),
    ],
)
def test_every_byte_survives_reading_and_writing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(data)
    source = read_source(path)
    assert source.text.encode() == data
    write_source(path, source.text + "x", expected=source)
    assert path.read_bytes() == data + b"x"


def test_a_byte_order_mark_is_the_first_character(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(b"\xef\xbb\xbfa")
    assert read_source(path).text == "\ufeffa"


@settings(max_examples=60, deadline=None)
@given(old=st.text(max_size=40), new=st.text(max_size=40))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, old: str, new: str) -> None:
    path = tmp_path_factory.mktemp("round") / "a.yml"
    write_source(path, old, expected=None)
    write_source(path, new, expected=read_source(path))
    assert read_source(path).text == new


@pytest.mark.parametrize(
    ("data", "offset", "byte"),
    [
        (b"abc\xff", 3, "0xff"),
        ("a: 1".encode("utf-16"), 0, "0xff"),
        (b"caf\xe9: 1", 3, "0xe9"),
        (b"a\xe2\x82", 1, "0xe2"),
    ],
)
def test_what_is_not_utf_8_is_refused_with_its_place(tmp_path: Path, data: bytes, offset: int, byte: str) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(data)
    with pytest.raises(DocumentError, match=rf"a\.yml is not UTF-8: byte {offset} is {byte}"):
        read_source(path)


def test_what_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="No such file"):
        read_source(tmp_path / "none.yml")
    with pytest.raises(DocumentError, match="Is a directory"):
        read_source(tmp_path)


def test_the_stamp_tells_of_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    source = read_source(path)
    assert stamp_of(path) == source.stamp
    write_source(path, "new", expected=source)
    assert stamp_of(path) != source.stamp
    path.unlink()
    assert stamp_of(path) is None


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o664, 0o755, 0o777])
def test_the_mode_is_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    path.chmod(mode)
    write_source(path, "new", expected=read_source(path))
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert names(tmp_path) == ["a.yml"]


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_owner_and_group_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    os.chown(path, 1234, 2345)
    path.chmod(0o4640)
    write_source(path, "new", expected=read_source(path))
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 2345, 0o4640)


def test_an_owner_that_cannot_be_kept_stops_the_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    source = read_source(path)

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    real_fstat = os.fstat

    def someone_else(descriptor: int) -> os.stat_result:
        fields = list(real_fstat(descriptor))
        fields[stat.ST_UID] += 1
        return os.stat_result(fields)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fchown", refused)
        patch.setattr(os, "fstat", someone_else)
        with pytest.raises(WriteError, match="belongs to another user"):
            write_source(path, "new", expected=source)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.yml"]


def test_a_symbolic_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    real = tmp_path / "real" / "a.yml"
    real.parent.mkdir()
    real.write_text("old")
    second = tmp_path / "second.yml"
    second.symlink_to("real/a.yml")
    link = tmp_path / "link.yml"
    link.symlink_to("second.yml")
    write_source(link, "new", expected=read_source(link))
    assert link.is_symlink()
    assert second.is_symlink()
    assert real.read_text() == "new"
    assert names(real.parent) == ["a.yml"]
    assert names(tmp_path) == ["link.yml", "real", "second.yml"]


def test_a_read_only_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(WriteError, match="read-only") as caught:
        write_source(path, "new", expected=read_source(path))
    assert caught.value.path == path
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.yml"]


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    source = read_source(path)
    status = path.stat()
    path.write_text("ole")  # the same size,
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # and the same time
    with pytest.raises(WriteError, match="changed since it was read"):
        write_source(path, "new", expected=source)
    assert path.read_text() == "ole"
    assert names(tmp_path) == ["a.yml"]


def test_a_file_that_was_touched_but_says_the_same_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    source = read_source(path)
    os.utime(path, (1, 1))
    write_source(path, "new", expected=source)
    assert path.read_text() == "new"


def test_a_file_that_disappeared_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    source = read_source(path)
    path.unlink()
    with pytest.raises(WriteError, match="No such file"):
        write_source(path, "new", expected=source)
    assert names(tmp_path) == []


def test_the_same_text_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    source = read_source(path)
    write_source(path, "old", expected=source)
    assert stamp_of(path) == source.stamp


def test_a_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="lone surrogate"):
        write_source(tmp_path / "a.yml", "\ud800", expected=None)
    assert names(tmp_path) == []


def test_something_that_is_no_file_is_refused(tmp_path: Path) -> None:
    stamp = stamp_of(tmp_path)
    assert stamp is not None
    with pytest.raises(WriteError, match="no regular file"):
        write_source(tmp_path, "new", expected=Source(tmp_path, "", stamp))


def test_a_new_file_has_the_mode_that_new_files_have(tmp_path: Path) -> None:
    path = tmp_path / "_models.yml"
    write_source(path, "a", expected=None)
    reference = tmp_path / "reference"
    reference.write_text("")
    assert path.read_text() == "a"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(reference.stat().st_mode)
    assert path.stat().st_nlink == 1
    assert names(tmp_path) == ["_models.yml", "reference"]


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "_models.yml"
    path.write_text("mine")
    with pytest.raises(WriteError, match="exists by now"):
        write_source(path, "new", expected=None)
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["_models.yml"]


def test_of_many_who_create_a_file_one_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "_models.yml"

    def create(number: int) -> int | None:
        try:
            write_source(path, str(number), expected=None)
        except WriteError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(create, range(32)) if number is not None]
    assert [path.read_text()] == [str(number) for number in winners]
    assert names(tmp_path) == ["_models.yml"]


@pytest.mark.parametrize("there", [False, True])
def test_a_file_system_without_hard_links_works_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "_models.yml"
    if there:
        path.write_text("mine")
        with pytest.raises(WriteError, match="exists by now"):
            write_source(path, "new", expected=None)
    else:
        write_source(path, "new", expected=None)
    assert path.read_text() == ("mine" if there else "new")
    assert names(tmp_path) == ["_models.yml"]


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No such file"):
        write_source(tmp_path / "none" / "a.yml", "a", expected=None)


@pytest.mark.skipif(IS_ROOT, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(WriteError, match="Permission denied"):
            write_source(path, "new", expected=read_source(path))
    finally:
        tmp_path.chmod(0o755)
    assert path.read_text() == "old"


@pytest.mark.parametrize("new_file", [False, True])
def test_a_write_without_room_leaves_all_as_it_was(tmp_path: Path, new_file: bool) -> None:
    """A limit on the size of files stands for a full disk: the write stops half-way with an error of the system."""
    path = tmp_path / "a.yml"
    if not new_file:
        path.write_text("old")
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from osmosis_synthesize.errors import WriteError
        from osmosis_synthesize.files import read_source, write_source
        path = Path(sys.argv[1])
        expected = read_source(path) if path.exists() else None
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        try:
            write_source(path, "x" * 1_000_000, expected=expected)
        except WriteError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True, timeout=300
    )
    assert "was not written: File too large" in done.stdout
    assert names(tmp_path) == ([] if new_file else ["a.yml"])
    if not new_file:
        assert path.read_text() == "old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110 - one look
def test_no_room_at_all_is_told_as_the_system_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yml"
    path.write_text("old")
    source = read_source(path)
    real_open = os.open

    def onto_the_full_device(file: object, flags: int, *rest: int) -> int:
        descriptor = real_open(file, flags, *rest)  # type: ignore[arg-type]
        if flags & os.O_CREAT:
            full = real_open("/dev/full", os.O_WRONLY)
            os.dup2(full, descriptor)
            os.close(full)
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", onto_the_full_device)
        patch.setattr(os, "fchmod", lambda *_: None)  # the device's own mode is none of our business
        patch.setattr(os, "fchown", lambda *_: None)
        with pytest.raises(WriteError, match="No space left on device"):
            write_source(path, "new", expected=source)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.yml"]


WRITER = """
import sys
import time
from pathlib import Path
from osmosis_synthesize.files import read_source, write_source
path, fresh = Path(sys.argv[1]), Path(sys.argv[2])
texts = [letter * 300_000 for letter in "ab"]
print("ready", flush=True)
turn = 0
while True:
    source = read_source(path)
    write_source(path, texts[source.text[0] == "a"], expected=source)
    write_source(fresh / str(turn), texts[0], expected=None)
    turn += 1
"""


def test_a_kill_at_any_moment_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    whole = {b"a" * 300_000, b"b" * 300_000}
    path.write_bytes(b"a" * 300_000)
    moments = random.Random(7)
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", WRITER, path, fresh], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            with pytest.raises(subprocess.TimeoutExpired):  # the moment of the kill is the one thing left to chance
                writer.wait(moments.uniform(0.0005, 0.03))
            writer.send_signal(signal.SIGKILL)
        assert path.read_bytes() in whole
        for created in fresh.iterdir():
            if not created.name.endswith(".tmp"):
                assert created.read_bytes() == b"a" * 300_000
            created.unlink()


def test_what_a_kill_has_left_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    left, present, foreign = (
        tmp_path / name
        for name in (".osmosis-0123456789abcdef.tmp", ".osmosis-fedcba9876543210.tmp", ".osmosis-notes.tmp")
    )
    for file in (left, present, foreign):
        file.write_text("half", "utf-8")
    for file in (left, foreign):
        os.utime(file, (time.time() - 3600,) * 2)
    path = tmp_path / "plain.yml"
    path.write_text("old", "utf-8")
    write_source(path, "new", expected=read_source(path))
    assert not left.exists()
    assert present.exists(), "another process may be writing it"
    assert foreign.exists(), "it is none of ours"
