"""``check --consistency``: what it names, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from osmosis_hooks.cli import main
from small_projects import build, table


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Check = Callable[..., Ended]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    def check(*arguments: str) -> Ended:
        try:
            code = main(["check", "--consistency", *arguments])
        except SystemExit as left:  # argparse's way to say that the command line is wrong
            code = int(left.code or 0)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return check


RAW = table("raw.a", {"id": "Number of the order."}, file="models/raw.yml")
GOOD = table("good", {"id": "Number of the order, as on the receipt."}, sql="select id from a", of=["raw.a"])
BAD = table("bad", {"order_id": "Amount."}, sql="select id as order_id from a", of=["raw.a"])
GAP = table("gap", {"id": None}, sql="select id from a", of=["raw.a"])


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = build(tmp_path, RAW, GOOD, BAD, GAP)
    monkeypatch.chdir(root)
    return root


def test_both_places_are_named(shop: Path, check: Check) -> None:
    result = check("--all")
    assert result.code == 1
    (line,) = result.out.splitlines()
    place, message = line.split(": ", 1)
    assert place.startswith("models/_models.yml:")
    assert message.startswith(
        "bad.order_id is described as 'Amount.', but raw.a.id, of which it is a copy, as 'Number"
    )
    assert "(models/raw.yml:" in message
    file, number, character = place.split(":")
    described = (shop / file).read_text("utf-8").split("\n")[int(number) - 1]
    assert "Amount." in described[int(character) - 1 :]


def test_files_and_names_narrow_it_down(shop: Path, check: Check) -> None:
    assert check("models/raw.yml").code == 0
    assert check("models/bad.sql").code == 1
    assert check("--select", "good").code == 0
    assert check("--select", "bad").code == 1
    assert check("--select", "nobody").code == 2


def test_the_report(shop: Path, check: Check) -> None:
    result = check("--all", "--json", "-")
    assert result.code == 1
    report = json.loads(result.out)
    assert report["version"] == 1
    (one,) = report["differences"]
    assert (one["unique_id"], one["column"], one["text"]) == ("model.shop.bad", "order_id", "Amount.")
    assert one["upstream"]["unique_id"] == "source.shop.raw.a"
    assert one["upstream"]["file"] == "models/raw.yml"


def test_a_long_text_is_cut_in_the_message_and_whole_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:
    long = "word " * 50 + "end."
    monkeypatch.chdir(build(tmp_path, RAW, table("bad", {"id": long}, sql="select id from a", of=["raw.a"])))
    assert "word…'" in check("--all").out
    report = json.loads(check("--all", "--json", "-").out)
    assert report["differences"][0]["text"] == long


def test_a_package_is_named_in_place_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: Check) -> None:
    package = table("a", {"id": "Number."}, package_name="lib", patch_path="lib://models/a.yml")
    monkeypatch.chdir(build(tmp_path, package, table("bad", {"id": "Amount."}, sql="select id from a", of=["a"])))
    assert check("--all").out.endswith("(package lib)\n")


def test_it_needs_the_manifest_that_is_named(shop: Path, check: Check) -> None:
    (shop / "target/manifest.json").unlink()
    result = check("--all", "--manifest", "target/manifest.json")
    assert result.code == 2
    assert "manifest.json" in result.err


def test_it_is_not_about_coverage(shop: Path, check: Check) -> None:
    assert check("--min-coverage", "50", "--all").code == 2
