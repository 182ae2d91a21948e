"""Questions to an index: the graph, what an entry stands for, keys, stale files, and keeping up with dbt."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.manifest.loader import Loader
from osmosis_synthesize.manifest.model import Node
from osmosis_synthesize.manifest.staleness import staleness
from osmosis_synthesize.names import EntryKey

TESTS = Path(__file__).parents[1]
DEMO = TESTS.parent / "server/osmosis_synthesize/demo"
MANIFESTS = sorted((TESTS / "data/manifests").glob("*.json"))


def model(unique_id: str, *parents: str, **fields: Any) -> dict[str, Any]:
    kind, package, name = unique_id.split(".")[:3]
    return {
        "resource_type": kind,
        "name": name,
        "package_name": package,
        "original_file_path": f"models/{name}.sql",
        "patch_path": f"{package}://models/_models.yml",
        "depends_on": {"nodes": list(parents), "macros": []},
    } | fields


def write(path: Path, nodes: dict[str, Any], sources: dict[str, Any] | None = None) -> Path:
    metadata = {
        "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
        "dbt_version": "1.11.16",
        "project_name": "shop",
    }
    path.write_text(json.dumps({"metadata": metadata, "nodes": nodes, "sources": sources or {}}), encoding="utf-8")
    return path


def graph(path: Path, edges: dict[str, list[str]]) -> Index:
    nodes = {
        f"model.shop.{name}": model(f"model.shop.{name}", *(f"model.shop.{p}" for p in edges[name])) for name in edges
    }
    return load(write(path, nodes))


def names(unique_ids: tuple[str, ...]) -> str:
    return " ".join(unique_id.rpartition(".")[2] for unique_id in unique_ids)


def test_the_graph(tmp_path: Path) -> None:
    edges = {"e": ["d", "b"], "d": ["c", "b"], "c": ["a"], "b": ["a"], "a": []}
    index = graph(tmp_path / "manifest.json", edges)

    assert names(index.order) == "a b c d e"
    assert names(index.parents("model.shop.e")) == "b d"
    assert names(index.children("model.shop.a")) == "b c"
    assert names(index.ancestors_by_distance("model.shop.e")) == "b d a c"
    for ask in (index.parents, index.children, index.ancestors_by_distance, index.tests_of):
        assert ask("model.shop.unknown") == ()


def test_parents_and_children_are_sorted_whatever_dbt_s_order(tmp_path: Path) -> None:
    many = [f"p{at}" for at in (7, 2, 9, 0, 4, 6, 1, 8, 3, 5)]
    index = graph(tmp_path / "manifest.json", {"child": many} | {name: ["root"] for name in many} | {"root": []})

    assert (
        names(index.parents("model.shop.child")) == names(index.children("model.shop.root")) == " ".join(sorted(many))
    )
    assert index.nodes["model.shop.child"].depends_on == index.parents("model.shop.child")


def test_a_cycle_does_no_harm(tmp_path: Path) -> None:
    index = graph(tmp_path / "manifest.json", {"a": ["c"], "b": ["a"], "c": ["b"], "d": ["c"]})

    assert sorted(names(index.order).split()) == ["a", "b", "c", "d"]
    assert names(index.order).endswith("d")
    assert names(index.ancestors_by_distance("model.shop.a")) == "c b"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), size=st.integers(min_value=1, max_value=12))
def test_order_has_every_node_once_after_its_parents_whatever_the_file_says_first(
    tmp_path: Path, data: st.DataObject, size: int
) -> None:
    edges = {
        f"n{child:02}": [f"n{parent:02}" for parent in data.draw(st.sets(st.integers(0, child - 1), max_size=3))]
        if child
        else []
        for child in range(size)
    }
    shuffled = dict(data.draw(st.permutations(list(edges.items()))))
    path = tmp_path / "manifest.json"
    index = graph(path, shuffled)

    assert sorted(index.order) == sorted(index.nodes)
    for at, unique_id in enumerate(index.order):
        assert set(index.parents(unique_id)) <= set(index.order[:at])
    assert graph(path, edges).order == index.order


def test_a_long_chain_is_no_deep_recursion(tmp_path: Path) -> None:
    edges = {f"n{at:05}": [f"n{at + 1:05}"] if at < 4_999 else [] for at in range(5_000)}
    index = graph(tmp_path / "manifest.json", edges)

    assert index.order[0] == "model.shop.n04999"
    assert len(index.ancestors_by_distance("model.shop.n00000")) == 4_999


@pytest.fixture
def entries(tmp_path: Path) -> Index:
    """One name in many places: versions, a snapshot, a package; a source in two files."""
    nodes = {
        unique_id: model(unique_id, **fields)
        for unique_id, fields in {
            "model.shop.orders.v1": {"version": 1, "patch_path": "shop://models/orders.yml"},
            "model.shop.orders.v2": {"version": 2, "patch_path": "shop://models/orders.yml"},
            "model.shop.orders.vlegacy": {"version": "legacy", "patch_path": "shop://models/orders.yml"},
            "snapshot.shop.orders": {"original_file_path": "snapshots/orders.yml", "patch_path": None},
            "model.util.orders": {},
            "model.shop.plain": {"patch_path": None},
            "seed.shop.codes": {"original_file_path": "seeds/codes.csv", "patch_path": "shop://seeds/codes.yml"},
        }.items()
    }
    table = {"resource_type": "source", "name": "raw", "package_name": "shop", "original_file_path": "models/s.yml"}
    sources = {
        "source.shop.erp.raw": table | {"source_name": "erp"},
        "source.shop.web.raw": table | {"source_name": "web"},
        "source.util.erp.raw": table
        | {"source_name": "erp", "package_name": "util", "patch_path": "shop://models/overrides.yml"},
    }
    return load(write(tmp_path / "manifest.json", nodes, sources))


@pytest.mark.parametrize(
    ("key", "package", "path", "expected"),
    [
        (EntryKey("model", "orders"), "shop", "models/orders.yml", "orders.v1 orders.v2 orders.vlegacy"),
        (EntryKey("model", "orders"), "shop", None, "orders.v1 orders.v2 orders.vlegacy"),
        (EntryKey("model", "orders", version="2"), "shop", "models/orders.yml", "orders.v2"),
        (EntryKey("model", "orders", version="legacy"), "shop", None, "orders.vlegacy"),
        (EntryKey("model", "orders", version="3"), "shop", "models/orders.yml", ""),
        (EntryKey("model", "orders"), "util", "models/_models.yml", "orders"),
        (EntryKey("snapshot", "orders"), "shop", "snapshots/orders.yml", "orders"),
        (EntryKey("model", "plain"), "shop", "models/new.yml", "plain"),  # an entry written since the manifest
        (EntryKey("seed", "codes"), "shop", "elsewhere.yml", "codes"),  # an entry moved since the manifest
        (EntryKey("model", "codes"), "shop", None, ""),
        (EntryKey("source", "raw", source_name="web"), "shop", "models/s.yml", "web.raw"),
        (EntryKey("source", "raw", source_name="erp"), "shop", "models/s.yml", "erp.raw"),
        (EntryKey("source", "raw"), "shop", "models/s.yml", ""),
        (EntryKey("model", "orders"), "other", None, ""),
    ],
)
def test_which_nodes_an_entry_stands_for(
    entries: Index, key: EntryKey, package: str, path: str | None, expected: str
) -> None:
    found = entries.find(key, package=package, path=path)

    assert " ".join(node.unique_id.split(".", 2)[2] for node in found) == expected
    assert {node.resource_type for node in found} <= {key.resource_type}


def test_the_file_tells_an_override_from_the_project_s_own_source(entries: Index) -> None:
    key = EntryKey("source", "raw", source_name="erp")

    (override,) = entries.find(key, package="shop", path="models/overrides.yml")
    (own,) = entries.find(key, package="shop", path="models/s.yml")
    assert (override.unique_id, own.unique_id) == ("source.util.erp.raw", "source.shop.erp.raw")


@pytest.mark.parametrize(
    ("path", "package", "expected"),
    [
        ("models/orders.yml", "shop", ["model.shop.orders.v1", "model.shop.orders.v2", "model.shop.orders.vlegacy"]),
        ("models/plain.sql", "shop", ["model.shop.plain"]),
        ("models/orders.sql", "util", ["model.util.orders"]),
        ("seeds/codes.csv", "shop", ["seed.shop.codes"]),
        ("seeds/codes.yml", "shop", ["seed.shop.codes"]),
        ("snapshots/orders.yml", "shop", ["snapshot.shop.orders"]),  # its SQL and its entry are one file
        ("models/s.yml", "shop", ["source.shop.erp.raw", "source.shop.web.raw"]),
        ("models/overrides.yml", "shop", ["source.util.erp.raw"]),
        ("models/none.sql", "shop", []),
    ],
)
def test_nodes_in_a_file(entries: Index, path: str, package: str, expected: list[str]) -> None:
    assert [node.unique_id for node in entries.nodes_in_file(path, package)] == expected


def test_packages_are_not_editable(entries: Index) -> None:
    editable = {unique_id for unique_id, node in entries.nodes.items() if entries.is_editable(node)}

    assert set(entries.nodes) - editable == {"model.util.orders", "source.util.erp.raw"}


def generic(kind: str, column: str | None, **fields: Any) -> dict[str, Any]:
    return {
        "resource_type": "test",
        "name": kind,
        "package_name": "shop",
        "original_file_path": "models/_models.yml",
        "attached_node": "model.shop.m",
        "column_name": column,
        "test_metadata": {"name": kind, "kwargs": {}, "namespace": fields.pop("namespace", None)},
    } | fields


@pytest.mark.parametrize(
    ("fields", "tests", "expected"),
    [
        ({}, [generic("unique", "b"), generic("not_null", "b")], ("b",)),
        (
            {},
            [generic("unique", "B"), generic("not_null", "b"), generic("unique", "a"), generic("not_null", "a")],
            ("a",),
        ),
        ({}, [generic("unique", "b"), generic("not_null", "a")], ()),
        ({}, [generic("unique", "b"), generic("not_null", "b", config={"where": "x > 1"})], ()),
        ({}, [generic("unique", "b", namespace="own"), generic("not_null", "b")], ()),
        ({}, [generic("unique", None), generic("not_null", None)], ()),
        ({"constraints": [{"type": "primary_key", "columns": ["a", "b"]}]}, [], ("a", "b")),
        ({"constraints": [{"type": "unique", "columns": ["a"]}]}, [], ()),
        (
            {"columns": {"a": {"name": "a"}, "b": {"name": "b", "constraints": [{"type": "primary_key"}]}}},
            [generic("unique", "a"), generic("not_null", "a")],
            ("b",),
        ),
    ],
)
def test_the_primary_key(
    tmp_path: Path, fields: dict[str, Any], tests: list[dict[str, Any]], expected: tuple[str, ...]
) -> None:
    node = model("model.shop.m", **{"columns": {"a": {"name": "a"}, "b": {"name": "b"}}} | fields)
    nodes = {"model.shop.m": node} | {f"test.shop.t{at}": test for at, test in enumerate(tests)}

    assert load(write(tmp_path / "manifest.json", nodes)).primary_key("model.shop.m") == expected


def test_nodes_are_a_mapping_that_keeps_what_it_decoded(entries: Index) -> None:
    assert len(entries.nodes) == len(list(entries.nodes)) == 10
    assert "model.shop.plain" in entries.nodes
    assert "model.shop.none" not in entries.nodes
    assert entries.nodes.get("model.shop.none") is None
    assert entries.nodes["model.shop.plain"] is entries.nodes["model.shop.plain"]


def test_threads_share_an_index() -> None:
    index = load(DEMO / "target/manifest.json")
    seen: list[list[Node]] = []
    begin = threading.Barrier(8)

    def look() -> None:
        begin.wait()
        seen.append(list(index.nodes.values()))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Of two that read a node at once, either's may be kept.
    assert seen == [list(load(DEMO / "target/manifest.json").nodes.values())] * 8


# Stale files


@pytest.mark.parametrize("manifest", [*MANIFESTS, DEMO / "target/manifest.json"], ids=lambda path: path.stem)
def test_the_demo_s_files_are_what_every_dbt_saw(manifest: Path) -> None:
    index = load(manifest)
    found = {
        unique_id: staleness(node, DEMO, manifest=manifest)
        for unique_id, node in index.nodes.items()
        if node.resource_type != "source"
    }

    assert found == dict.fromkeys(found, "fresh")
    assert len(found) >= 8


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The demo's sources with the manifest of dbt 1.11, old enough that no file's time says anything."""
    for file in DEMO.rglob("*"):
        if file.suffix in {".sql", ".csv", ".yml"} and "target" not in file.parts:
            copy = tmp_path / file.relative_to(DEMO)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    (tmp_path / "manifest.json").write_bytes((DEMO / "target/manifest.json").read_bytes())
    os.utime(tmp_path / "manifest.json", (1e9, 1e9))
    return tmp_path


def state(project: Path, unique_id: str) -> str:
    manifest = project / "manifest.json"
    return staleness(load(manifest).nodes[unique_id], project, manifest=manifest)


def rewrite(file: Path, content: bytes | None) -> None:
    """Change a file but not its time: content alone decides."""
    if content is None:
        file.unlink()
        return
    file.write_bytes(content)
    os.utime(file, (0, 0))


@pytest.mark.parametrize(
    "unique_id", ["model.quayside.stg_bikes", "snapshot.quayside.riders_history", "seed.quayside.bike_models"]
)
def test_content_decides_whatever_the_time(project: Path, unique_id: str) -> None:
    file = project / load(project / "manifest.json").nodes[unique_id].path
    original = file.read_bytes()

    for content, expected in [
        (original, "fresh"),
        (b"\n" + original + b"\n\n", "fresh"),  # dbt strips
        (original.replace(b"select", b"select distinct") + b"more", "changed"),
        (original.replace(b"e", b"\xff"), "unknown"),
        (None, "gone"),
    ]:
        rewrite(file, content)
        assert state(project, unique_id) == expected


def test_line_endings_alone_are_no_change(project: Path) -> None:
    file = project / "models/staging/stg_bikes.sql"
    rewrite(file, file.read_bytes().replace(b"\n", b"\r\n"))

    assert state(project, "model.quayside.stg_bikes") == "fresh"


def test_time_decides_where_the_manifest_holds_no_content(project: Path) -> None:
    source = "source.quayside.landing.bikes"
    assert state(project, source) == "changed"  # newer than the manifest

    os.utime(project / "models/staging/_landing__sources.yml", (0, 0))
    assert state(project, source) == "unknown"


def test_a_large_seed_has_no_checksum(tmp_path: Path) -> None:
    node = model(
        "seed.shop.codes",
        original_file_path="seeds/codes.csv",
        checksum={"name": "path", "checksum": "seeds/codes.csv"},
    )
    manifest = write(tmp_path / "manifest.json", {"seed.shop.codes": node})
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds/codes.csv").write_text("a\n1\n")
    os.utime(tmp_path / "seeds/codes.csv", (0, 0))
    index = load(manifest)

    assert index.nodes["seed.shop.codes"].checksum is None
    assert staleness(index.nodes["seed.shop.codes"], tmp_path, manifest=manifest) == "unknown"


# Keeping up with dbt


def test_a_loader_keeps_up_with_the_file_and_keeps_the_last_good_index(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    loader = Loader(path)
    assert loader.index is None

    assert not loader.refresh()
    assert isinstance(loader.error, ManifestError)
    assert loader.index is None

    write(path, {"model.shop.a": model("model.shop.a")})
    assert loader.refresh()
    assert loader.error is None
    first = loader.index
    assert first is not None
    assert list(first.nodes) == ["model.shop.a"]
    assert not loader.refresh()
    assert loader.index is first

    whole = write(path, {"model.shop.bb": model("model.shop.bb")}).read_bytes()
    path.write_bytes(whole[:-5])
    assert not loader.refresh()
    assert "half-written" in str(loader.error)
    assert loader.index is first
    assert first.nodes["model.shop.a"].name == "a"

    path.write_bytes(whole)
    assert loader.refresh()
    assert loader.error is None
    assert loader.index is not None
    assert list(loader.index.nodes) == ["model.shop.bb"]


def test_a_loader_notices_the_catalog(tmp_path: Path) -> None:
    path = write(tmp_path / "manifest.json", {"model.shop.a": model("model.shop.a")})
    catalog = tmp_path / "catalog.json"
    loader = Loader(path, catalog=catalog)
    assert loader.refresh()

    columns = {"id": {"name": "id", "type": "INTEGER", "index": 1}}
    catalog.write_text(json.dumps({"nodes": {"model.shop.a": {"columns": columns}}}))
    assert loader.refresh()
    assert loader.index is not None
    assert [column.name for column in loader.index.columns("model.shop.a")] == ["id"]
