"""Snapshots: the same answers, only sooner; and never an answer from a file that is not what was written."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.manifest import snapshot
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.manifest.loader import Loader

TESTS = Path(__file__).parents[1]
DEMO = TESTS.parent / "server/osmosis_synthesize/demo"
MANIFEST = TESTS / "data/manifests/dbt-1.11.json"
GENERATE = TESTS / "bench/generate_manifest.py"


def generate(folder: Path, *options: str) -> Path:
    subprocess.run([sys.executable, str(GENERATE), str(folder), *options], check=True, capture_output=True)
    return folder / "target/manifest.json"


@pytest.fixture(autouse=True)
def _even_a_small_manifest_is_worthwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "WORTHWHILE", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def everything(index: Index) -> dict[str, object]:
    return {
        "metadata": index.metadata,
        "warnings": index.warnings,
        "path": index.path,
        "nodes": dict(index.nodes),
        "order": index.order,
        "tests": {unique_id: index.tests_of(unique_id) for unique_id in index.nodes},
        "columns": {unique_id: index.columns(unique_id) for unique_id in index.nodes},
        "docs": dict(index.docs),
        "macros": dict(index.macros),
    }


def test_a_snapshot_answers_like_its_manifest(folder: Path) -> None:
    first = snapshot.load(MANIFEST, folder=folder)
    (file,) = files(folder)
    written = file.stat()
    again = snapshot.load(MANIFEST, folder=folder)

    assert file.stat().st_mtime_ns == written.st_mtime_ns
    assert isinstance(again.contents.docs, memoryview)  # it does come from the snapshot
    assert everything(first) == everything(again) == everything(load(MANIFEST))


def test_a_catalog_is_part_of_it(folder: Path) -> None:
    manifest, catalog = DEMO / "target/manifest.json", DEMO / "target/catalog.json"
    snapshot.load(manifest, catalog=catalog, folder=folder)
    again = snapshot.load(manifest, catalog=catalog, folder=folder)

    assert isinstance(again.contents.docs, memoryview)
    assert everything(again) == everything(load(manifest, catalog=catalog))
    without = snapshot.load(manifest, folder=folder)
    assert everything(without) == everything(load(manifest))


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_it_is_for_its_owner_alone(folder: Path) -> None:
    snapshot.load(MANIFEST, folder=folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in files(folder)] == [0o600]


@pytest.mark.parametrize("more", [0, 1])
def test_a_small_manifest_needs_none(folder: Path, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    monkeypatch.setattr(snapshot, "WORTHWHILE", MANIFEST.stat().st_size + more)
    snapshot.load(MANIFEST, folder=folder)

    assert len(files(folder)) == 1 - more


def test_a_changed_manifest_gets_a_new_one_in_place_of_the_old(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(MANIFEST.read_bytes())
    snapshot.load(path, folder=folder)
    (old,) = files(folder)

    path.write_bytes(MANIFEST.read_bytes().replace(b'"1.11.16"', b'"1.11.17"'))
    assert snapshot.load(path, folder=folder).metadata.dbt_version == "1.11.17"
    (new,) = files(folder)
    assert new != old
    assert snapshot.load(path, folder=folder).metadata.dbt_version == "1.11.17"


def test_who_writes_one_uses_it_at_once(folder: Path) -> None:
    assert isinstance(snapshot.load(MANIFEST, folder=folder).contents.docs, memoryview), (
        "it is mapped, not in memory twice"
    )


def test_another_version_of_this_package_writes_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot.load(MANIFEST, folder=folder)
    (old,) = files(folder)
    monkeypatch.setattr(snapshot, "__version__", "999")
    snapshot.load(MANIFEST, folder=folder)

    assert files(folder) != [old]
    assert len(files(folder)) == 1


def test_only_some_are_kept_and_nothing_unfinished(tmp_path: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "old.tmp").touch()
    os.utime(folder / "old.tmp", (0, 0))
    (folder / "new.tmp").touch()
    (folder / "unrelated").touch()
    for number in range(snapshot.KEPT + 2):
        path = tmp_path / str(number) / "manifest.json"
        path.parent.mkdir()
        path.write_bytes(MANIFEST.read_bytes())
        snapshot.load(path, folder=folder)
        for file in files(folder):  # each a day older than it was
            if file.suffix == ".snapshot":
                os.utime(file, (file.stat().st_mtime - 86_400,) * 2)

    left = files(folder)
    assert len([file for file in left if file.suffix == ".snapshot"]) == snapshot.KEPT
    assert {file.name for file in left if file.suffix != ".snapshot"} == {"new.tmp", "unrelated"}
    last = tmp_path / str(snapshot.KEPT + 1) / "manifest.json"
    snapshot.load(last, folder=folder)
    assert files(folder) == left
    first = tmp_path / "0" / "manifest.json"
    snapshot.load(first, folder=folder)
    assert files(folder) != left


@pytest.mark.parametrize("keep", [0, 3, 19, 200, 10_000, -1])
def test_a_shortened_one_is_ignored_and_written_anew(folder: Path, keep: int) -> None:
    snapshot.load(MANIFEST, folder=folder)
    (file,) = files(folder)
    whole = file.read_bytes()
    file.write_bytes(whole[:keep])

    assert everything(snapshot.load(MANIFEST, folder=folder)) == everything(load(MANIFEST))
    assert file.read_bytes() == whole


def test_an_older_one_under_the_same_name_is_ignored(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(MANIFEST.read_bytes().replace(b"1.11.16", b"1.11.15"))
    snapshot.load(path, folder=folder)
    (other,) = files(folder)
    snapshot.load(MANIFEST, folder=folder)
    (file,) = (file for file in files(folder) if file != other)
    file.write_bytes(other.read_bytes())

    assert snapshot.load(MANIFEST, folder=folder).metadata.dbt_version == "1.11.16"


@pytest.mark.parametrize("text", [b"osmosis", b"1.11.16", b"quayside", b"models/staging/stg_bikes.sql"])
def test_one_with_a_damaged_header_is_ignored_and_written_anew(folder: Path, text: bytes) -> None:
    snapshot.load(MANIFEST, folder=folder)
    (file,) = files(folder)
    whole = file.read_bytes()
    file.write_bytes(whole.replace(text, text.swapcase() if text.islower() else b"1.11.99", 1))

    assert everything(snapshot.load(MANIFEST, folder=folder)) == everything(load(MANIFEST))
    assert file.read_bytes() == whole


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(min_value=0, max_value=1, exclude_max=True), flip=st.integers(1, 255))
def test_one_damaged_byte_never_gives_a_wrong_answer(folder: Path, part: float, flip: int) -> None:
    snapshot.load(MANIFEST, folder=folder)
    (file,) = files(folder)
    damaged = bytearray(file.read_bytes())
    damaged[int(len(damaged) * part)] ^= flip
    file.write_bytes(damaged)

    index = snapshot.load(MANIFEST, folder=folder)
    try:
        found = everything(index)
    except ManifestError:
        assert not file.exists()  # so that the next one is made from the manifest
        found = everything(snapshot.load(MANIFEST, folder=folder))
    assert found == everything(load(MANIFEST))


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    index = snapshot.load(MANIFEST, folder=tmp_path / "file" / "cache")
    assert everything(index) == everything(load(MANIFEST))


def test_a_manifest_that_is_broken_is_an_error_with_snapshots_too(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ManifestError, match="There is no manifest"):
        snapshot.load(tmp_path / "manifest.json", folder=folder)


def test_a_loader_uses_snapshots(folder: Path) -> None:
    assert Loader(MANIFEST, snapshots=folder).refresh()
    loader = Loader(MANIFEST, snapshots=folder)
    assert loader.refresh()
    assert loader.index is not None
    assert isinstance(loader.index.contents.docs, memoryview)


def test_generated_projects_are_the_same_every_time_and_whole(tmp_path: Path) -> None:
    options = ("--models=40", "--columns=6", "--depth=4", "--compiled", "--models-per-file=10")
    first, second = generate(tmp_path / "a", *options), generate(tmp_path / "b", *options)
    assert first.read_bytes() == second.read_bytes()

    index = load(first)
    assert index.warnings == ()
    project = first.parents[1]
    assert {node.resource_type for node in index.nodes.values()} == {"model", "source"}
    for unique_id, node in index.nodes.items():
        assert len(node.columns) == 6
        assert (project / node.path).is_file()
        assert node.schema_path is not None
        assert f"name: {node.name}\n" in (project / node.schema_path).read_text()
        assert bool(index.parents(unique_id)) == (node.resource_type == "model")
    depths = dict.fromkeys(index.order, 0)
    for unique_id in index.order:
        depths[unique_id] = max((depths[parent] + 1 for parent in index.parents(unique_id)), default=0)
    assert max(depths.values()) == 4
    assert json.loads(first.read_text())["parent_map"][index.order[-1]]
