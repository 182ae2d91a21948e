"""Records of where texts came from, as lines that merge."""

from __future__ import annotations

import json
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.engine.provenance import (
    Made,
    Place,
    Record,
    Records,
    as_word,
    entry_id,
    place_of,
    text_hash,
)
from osmosis_synthesize.names import EntryKey

WORDS = st.text(string.ascii_letters + string.digits + "_. é💡\u2028\"'\\", min_size=1, max_size=12)
HASHES = st.text("0123456789abcdef", min_size=16, max_size=16)
MADE = st.builds(
    Made,
    st.none() | HASHES,
    st.none() | HASHES,
    st.dictionaries(WORDS, HASHES, max_size=3),
    st.sampled_from(["", "1"]),
)
RECORDS = st.builds(
    Record,
    WORDS,
    st.none() | WORDS,
    HASHES,
    st.sampled_from(["generated", "cached", "edited"]),
    st.sampled_from(["openai", "facts", "my-own"]),
    st.sampled_from(["", "gpt-5-mini", "org/llama:70b@v2"]),
    st.sampled_from(["2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z"]),
    st.booleans(),
    MADE,
)


def record(node: str = "orders", column: str | None = "total", text: str = "Sum.", at: str = "2026-01-31") -> Record:
    return Record(f"model.shop.{node}", column, text_hash(text), "generated", "openai", "gpt-5-mini", at)


def written(*records: Record) -> str:
    return Records.parse("").put(records).text()


# --- lines -------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=8))
def test_what_is_written_is_read_back(records: list[Record]) -> None:
    last = {one.place: one for one in records}
    found = Records.parse(written(*records))
    assert {place: found.of(place) for place in found} == last
    assert found.problem is None
    assert found.text() == written(*records)


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=6, unique_by=lambda one: one.place).flatmap(st.permutations))
def test_the_order_of_writing_makes_no_difference(records: list[Record]) -> None:
    one_by_one = Records.parse("")
    for one in records:
        one_by_one = Records.parse(one_by_one.put([one]).text())
    assert one_by_one.text() == written(*reversed(records))
    places = [Records.parse(line) for line in one_by_one.text().split("\n") if line]
    assert [next(iter(one)) for one in places] == sorted(one.place for one in records)


def test_a_line_is_a_record_and_nothing_else() -> None:
    made = Made("4b8f", "0a7d", {"model.shop.b.x": "02", "model.shop.a.x": "01"}, "1")
    one = Record(
        "model.shop.orders", "total", "a714", "generated", "openai", "gpt-5-mini", "2026-01-31", made_from=made
    )
    assert written(one) == (
        '{"node":"model.shop.orders","column":"total","text":"a714","origin":"generated","provider":"openai",'
        '"model":"gpt-5-mini","at":"2026-01-31","reviewed":false,"made_from":{"sql":"4b8f","expression":"0a7d",'
        '"upstream":{"model.shop.a.x":"01","model.shop.b.x":"02"},"prompt":"1"}}\n'
    )


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_any_name_can_be_recorded(name: str) -> None:
    one = Record("n", None, "00", "generated", as_word(name), as_word(name), "2026-01-31")
    assert Records.parse(written(one)).of(one.place) == one
    assert as_word("org/llama:70b@v2") == "org/llama:70b@v2"


def test_a_nodes_own_text_comes_before_those_of_its_columns() -> None:
    text = written(record(column="b"), record(column=None), record("customers", "z"), record(column="A"))
    assert [json.loads(line)["column"] for line in text.splitlines()] == ["z", None, "A", "b"]


def test_a_new_text_takes_the_place_of_the_old_one() -> None:
    old, new = record(text="Old."), record(text="New.")
    assert Records.parse(written(old)).put([new]).text() == written(new)


def test_a_column_is_the_same_in_capitals() -> None:
    found = Records.parse(written(record(column="Total")))
    assert found.of(place_of(EntryKey("model", "orders"), "TOTAL", "shop")) is not None
    assert len(found.put([record(column="total")]).text().splitlines()) == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (EntryKey("model", "orders"), "model.shop.orders"),
        (EntryKey("model", "orders", version="2"), "model.shop.orders.v2"),
        (EntryKey("source", "orders", source_name="raw"), "source.shop.raw.orders"),
    ],
)
def test_entries_are_called_as_dbt_calls_them(key: EntryKey, name: str) -> None:
    assert entry_id(key, "shop") == name


def test_white_space_is_no_other_text() -> None:
    assert record(text="One row\n  per order.").is_of("One row per order. ")
    assert not record(text="One row per order.").is_of("One row per Order.")


@pytest.mark.parametrize(
    ("origin", "text", "own"),
    [
        ("generated", "Sum.", True),
        ("cached", " Sum.", True),
        ("generated", "Total.", False),
        ("edited", "Sum.", False),
        ("generated", None, False),
    ],
)
def test_a_humans_text_is_none_that_was_generated(origin: str, text: str | None, own: bool) -> None:
    one = Record("model.shop.orders", None, text_hash("Sum."), origin, "openai", "gpt-5-mini", "2026-01-31")
    assert one.is_generated_text(text) == own


# --- what others wrote -------------------------------------------------------------------------------------------


def with_unknown(text: str) -> str:
    data = json.loads(text)
    data["signature"] = {"by": "a newer version"}
    data["made_from"]["catalog"] = "ff"
    return json.dumps(data) + "\n"


def test_fields_of_a_newer_version_stay() -> None:
    line = with_unknown(written(record()))
    found = Records.parse(line)
    assert found.problem is None
    assert found.put([record("customers")]).text().endswith(line)
    accepted = json.loads(found.put([Record(**{**_fields(record()), "reviewed": True})]).text())
    assert accepted["reviewed"] is True
    assert accepted["signature"] == {"by": "a newer version"}
    assert accepted["made_from"]["catalog"] == "ff"


def test_they_say_nothing_of_another_text() -> None:
    found = Records.parse(with_unknown(written(record(text="Old."))))
    assert found.put([record(text="New.")]).text() == written(record(text="New."))


def _fields(one: Record) -> dict[str, object]:
    return {name: getattr(one, name) for name in Record.__struct_fields__}


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\r\n\ufeff", codec="utf-8"), max_size=30), max_size=4))
def test_no_line_is_lost_whatever_it_is(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in [*lines, written(record()).rstrip()])
    found = Records.parse(text).put([record("customers")])
    kept = [line for line in lines if line.strip()]  # blank ones say nothing
    assert [line for line in found.text().split("\n") if line in kept] == kept
    assert found.of(record("customers").place) is not None
    assert found.of(record().place) is not None


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        "{}",
        '{"node": 1}',
        '{"node":"n","column":"c","text":"t","origin":"o","provider":"p","model":"m","at":"a","reviewed":"yes"}',
        '{"node":"n","column":"c","text":"t","origin":"o","provider":"\\u001b[2J","model":"m","at":"a"}',
        '{"node":"n","column":"c","text":"t","origin":"o","provider":"p","model":"[x](http://y)","at":"a"}',
        '{"node":"n","column":"c","text":"t","origin":"o","provider":"p","model":"m\\n","at":"a"}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_a_damaged_line_is_kept_and_named(line: str) -> None:
    text = written(record()) + line + "\n" + written(record("zebras"))
    found = Records.parse(text)
    assert found.problem is not None
    assert "line 2 cannot be read" in found.problem
    assert len(found) == 2
    assert found.text() == text
    assert found.put([record("customers")]).text() == text + written(record("customers"))


def test_the_marks_of_a_merge_stay_where_they_are() -> None:
    ours, theirs = record(text="Ours."), record(text="Theirs.")
    text = f"<<<<<<< HEAD\n{written(ours)}=======\n{written(theirs)}>>>>>>> branch\n"
    found = Records.parse(text)
    assert found.problem is not None
    assert "conflict" in found.problem
    assert "5 lines" not in found.problem
    assert found.text() == text
    assert found.of(ours.place, "Ours.") == ours
    assert found.of(ours.place, "Theirs.") == theirs
    assert found.put([record("customers")]).text() == text + written(record("customers"))


def test_of_two_lines_about_one_text_the_right_one_counts() -> None:
    older, newer = record(text="One.", at="2026-01-01"), record(text="Other.", at="2026-01-02")
    found = Records.parse(written(newer) + written(older))
    assert found.of(older.place, "One.") == older
    assert found.of(older.place, "Other.") == newer
    assert found.of(older.place, "A human's.") == newer
    assert found.put([record(text="Third.")]).text() == written(record(text="Third."))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_endings_stay(newline: str) -> None:
    text = written(record()).replace("\n", newline)
    found = Records.parse(text)
    assert found.problem is None
    assert found.text() == text
    assert found.put([record("customers")]).text().count(newline) == 2


def test_nothing_is_an_empty_file() -> None:
    assert Records.parse("").text() == ""
    assert Records.parse(written(record())).without([record().place]).text() == ""
    assert Place("model.shop.orders", "total") in Records.parse(written(record()))


# --- merging with git --------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def merged(folder: Path, base: list[Record], ours: list[Record], theirs: list[Record], *, code: int = 0) -> Records:
    """What git makes of two branches, each of which adds records."""
    file = folder / "provenance.jsonl"
    git(folder, "init", "-q", "-b", "main")
    file.write_text(written(*base), "utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "base")
    git(folder, "checkout", "-qb", "branch")
    file.write_text(Records.parse(file.read_text("utf-8")).put(theirs).text(), "utf-8")
    git(folder, "commit", "-qam", "theirs")
    git(folder, "checkout", "-q", "main")
    file.write_text(Records.parse(file.read_text("utf-8")).put(ours).text(), "utf-8")
    git(folder, "commit", "-qam", "ours")
    git(folder, "merge", "-q", "-m", "both", "branch", code=code)
    return Records.parse(file.read_text("utf-8"))


def test_branches_that_describe_different_nodes_merge(tmp_path: Path) -> None:
    base = [record(name, column) for name in "bdfh" for column in "xyz"]
    ours = [record("c", "x"), record("g", "x"), record("b", "y", "Anew.")]
    theirs = [record("e", "x"), record("a", "x"), record("h", "z", "Anew.")]
    found = merged(tmp_path, base, ours, theirs)
    assert found.problem is None
    assert found.text() == Records.parse(written(*base)).put([*ours, *theirs]).text()


def test_what_git_cannot_merge_is_still_read(tmp_path: Path) -> None:
    ours, theirs = record(text="Ours."), record(text="Theirs.")
    found = merged(tmp_path, [record("a")], [ours], [theirs], code=1)
    assert found.problem is not None
    assert found.of(ours.place, "Ours.") == ours
    assert found.of(ours.place, "Theirs.") == theirs


def test_with_a_union_everything_merges(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("provenance.jsonl merge=union\n", "utf-8")
    ours, theirs = [record(text="Ours."), record("m")], [record(text="Theirs."), record("n")]
    found = merged(tmp_path, [], ours, theirs)
    assert found.problem is None
    assert len(found) == 3
    assert found.of(record().place, "Theirs.") == theirs[0]
