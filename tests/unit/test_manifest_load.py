"""From dbt's files to an index: every version of dbt alike, and everything that can be wrong with a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.load import load

TESTS = Path(__file__).parents[1]
DEMO = TESTS.parent / "server/osmosis_synthesize/demo"
BY_DBT = TESTS / "data/manifests"
VERSIONS = ["1.5", "1.6", "1.7", "1.8", "1.9", "1.10", "1.11", "1.12", "2.0"]


def by_dbt(version: str) -> Path:
    return BY_DBT / f"dbt-{version}.json"


def write(path: Path, **parts: Any) -> Path:
    """A manifest of dbt 1.11 with these parts; ``metadata`` adds to what is there."""
    metadata = {
        "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
        "dbt_version": "1.11.16",
        "project_name": "shop",
        "adapter_type": "duckdb",
        "generated_at": "2026-01-01T00:00:00Z",
    }
    manifest = {
        "metadata": metadata | parts.pop("metadata", {}),
        "nodes": {},
        "sources": {},
        "macros": {},
        "docs": {},
    }
    path.write_text(json.dumps(manifest | parts), encoding="utf-8")
    return path


def model(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "package_name": "shop",
        "original_file_path": f"models/{name}.sql",
    } | fields


def comparable(index: Index) -> dict[str, Any]:
    """What all versions of dbt have to agree on. A version's columns have no common order: 2.x has its own."""
    nodes = {
        unique_id: {
            "type": node.resource_type,
            "path": node.path,
            "schema file": (node.schema_package, node.schema_path),
            "source": node.source_name,
            "version": (node.version, node.latest_version),
            "description": node.description,
            "columns": {column.name: column for column in node.columns},
            "parents": index.parents(unique_id),
            "code": node.raw_code.strip(),
            "materialized": node.config.get("materialized"),
            "alias": node.alias,
            "tags": node.tags,
            "meta": node.meta,
        }
        for unique_id, node in index.nodes.items()
    }
    tests = {
        (
            test.node,
            test.column,
            test.name,
            test.namespace,
            json.dumps(test.arguments, sort_keys=True),
            test.refers_to,
        )
        for unique_id in index.nodes
        for test in index.tests_of(unique_id)
    }
    docs = {key: block.text for key, block in index.docs.items() if key[0] != "dbt"}
    return {"nodes": nodes, "tests": tests, "docs": docs, "order": index.order}


def test_there_is_a_manifest_of_each_dbt() -> None:
    assert {path.name for path in BY_DBT.glob("*.json")} == {f"dbt-{version}.json" for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_dbt_gives_the_same_index(version: str) -> None:
    index = load(by_dbt(version))

    assert index.warnings == ()
    assert index.metadata.dbt_version.startswith(f"{version}.")
    assert index.metadata.project_name == "quayside"  # 1.5 tells only its MD5
    assert index.metadata.adapter_type == "duckdb"
    assert comparable(index) == comparable(load(by_dbt("1.11")))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_dbt_gives_versions_seeds_snapshots_sources_and_tests(version: str) -> None:
    index = load(by_dbt(version))
    types = {node.resource_type for node in index.nodes.values()}

    assert types == {"model", "seed", "snapshot", "source"}
    assert index.nodes["model.quayside.dim_bikes.v2"].version == "2"
    assert index.nodes["source.quayside.landing.bikes"].schema_path == "models/staging/_landing__sources.yml"
    assert [test.name for test in index.tests_of("source.quayside.landing.bikes")] == [
        "accepted_values",
        "not_null",
        "relationships",
        "unique",
    ]


def test_the_demo_is_whole() -> None:
    index = load(DEMO / "target/manifest.json", catalog=DEMO / "target/catalog.json")

    assert index.warnings == ()
    assert index.metadata.schema_version == 12
    written = json.loads((DEMO / "target/manifest.json").read_text())
    kinds = {"model", "seed", "snapshot"}
    expected = {unique_id for unique_id, node in written["nodes"].items() if node["resource_type"] in kinds}
    assert set(index.nodes) == expected | set(written["sources"])
    generic = {unique_id for unique_id, node in written["nodes"].items() if node.get("test_metadata")}
    assert {test.unique_id for unique_id in index.nodes for test in index.tests_of(unique_id)} == generic
    assert set(index.macros) == set(written["macros"])
    for unique_id, node in index.nodes.items():
        raw = written["nodes"].get(unique_id) or written["sources"][unique_id]
        assert node.description == raw["description"]
        assert {column.name: column.description for column in node.columns} == {
            name: column["description"] for name, column in raw["columns"].items()
        }
        assert node.code == (raw.get("compiled_code") or raw.get("raw_code") or "")


def test_meta_and_tags_stand_in_two_places(tmp_path: Path) -> None:
    columns = {
        "id": {
            "name": "id",
            "meta": {"a": 1, "b": 1},
            "tags": ["x"],
            "config": {"meta": {"b": 2}, "tags": ["x", "y"]},
        }
    }
    node = model(
        "m", meta={"a": 1}, tags=["t"], columns=columns, config={"meta": {"a": 2}, "tags": "u", "enabled": True}
    )
    index = load(write(tmp_path / "manifest.json", nodes={"model.shop.m": node}))

    read = index.nodes["model.shop.m"]
    assert (read.meta, read.tags) == ({"a": 2}, ("t", "u"))
    assert (read.columns[0].meta, read.columns[0].tags) == ({"a": 1, "b": 2}, ("x", "y"))


def test_what_is_null_is_as_good_as_left_out(tmp_path: Path) -> None:
    optional = ("patch_path", "version", "latest_version", "description", "columns", "depends_on", "raw_code", "tags")
    optional += ("compiled_code", "language", "checksum", "meta", "config", "alias", "constraints", "relation_name")
    nodes = {"model.shop.a": model("a"), "model.shop.b": model("b", **dict.fromkeys(optional))}
    index = load(write(tmp_path / "manifest.json", nodes=nodes))

    first, second = (
        {field: getattr(node, field) for field in optional if hasattr(node, field)} for node in index.nodes.values()
    )
    assert first == second
    assert first["description"] == ""
    assert first["language"] == "sql"


def test_numbers_that_json_does_not_have_are_null(tmp_path: Path) -> None:
    # dbt 1.11 writes such a manifest where ``meta: {a: .nan, b: .inf}`` stands in a schema file
    meta = {"a": float("nan"), "b": [float("inf"), -float("inf")], "text": "NaN, -Infinity"}
    index = load(write(tmp_path / "manifest.json", nodes={"model.shop.m": model("m", meta=meta)}))

    assert index.nodes["model.shop.m"].meta == {"a": None, "b": [None, None], "text": "NaN, -Infinity"}


def test_windows_paths_are_posix(tmp_path: Path) -> None:
    node = model("m", original_file_path="models\\sub\\m.sql", patch_path="shop://models\\sub\\_m.yml")
    index = load(write(tmp_path / "manifest.json", nodes={"model.shop.m": node}))

    read = index.nodes["model.shop.m"]
    assert (read.path, read.schema_path) == ("models/sub/m.sql", "models/sub/_m.yml")


@pytest.mark.parametrize(
    ("patch_path", "expected"),
    [
        (None, ("util", "models/s.yml")),
        ("models/s.yml", ("util", "models/s.yml")),  # dbt 2.x
        ("shop://models/overrides.yml", ("shop", "models/overrides.yml")),
    ],
)
def test_the_schema_file_of_a_source(tmp_path: Path, patch_path: str | None, expected: tuple[str, str]) -> None:
    source = {
        "resource_type": "source",
        "name": "t",
        "source_name": "s",
        "package_name": "util",
        "original_file_path": "models/s.yml",
        "identifier": "t_2024",
        "patch_path": patch_path,
    }
    index = load(write(tmp_path / "manifest.json", sources={"source.util.s.t": source}))

    node = index.nodes["source.util.s.t"]
    assert (node.schema_package, node.schema_path) == expected
    assert node.alias == "t_2024"


def generic_test(model_argument: str, depends_on: list[str], **fields: Any) -> dict[str, Any]:
    return {
        "resource_type": "test",
        "name": "some_test",
        "package_name": "shop",
        "original_file_path": "models/s.yml",
        "depends_on": {"nodes": depends_on, "macros": []},
        "column_name": "id",
        "test_metadata": {
            "name": "relationships",
            "kwargs": {"column_name": "id", "model": model_argument, "to": "ref('x')", "field": "id"},
        },
    } | fields


@pytest.mark.parametrize(
    ("test", "attached"),
    [
        (generic_test("", ["model.shop.a", "model.shop.b"], attached_node="model.shop.b"), "model.shop.b"),
        (
            generic_test("{{ get_where_subquery(source('s', 't')) }}", ["model.shop.a", "source.shop.s.t"]),
            "source.shop.s.t",
        ),
        (
            generic_test("{{ get_where_subquery(source('s', 'u')) }}", ["source.shop.s.t", "source.shop.s.u"]),
            "source.shop.s.u",
        ),
        (generic_test("{{ get_where_subquery(ref('b')) }}", ["model.shop.a", "model.shop.b"]), "model.shop.b"),
        (
            generic_test("{{ get_where_subquery(ref('shop', 'b')) }}", ["model.shop.a", "model.shop.b"]),
            "model.shop.b",
        ),
        (generic_test("", ["model.shop.a"]), "model.shop.a"),
        (generic_test("", ["model.shop.a", "model.shop.b"]), None),
        (generic_test("", [], attached_node="model.shop.disabled"), None),
        (generic_test("", ["model.shop.a"], test_metadata=None), None),  # a singular test
    ],
)
def test_what_a_test_is_attached_to(tmp_path: Path, test: dict[str, Any], attached: str | None) -> None:
    source = {
        "resource_type": "source",
        "package_name": "shop",
        "source_name": "s",
        "original_file_path": "models/s.yml",
    }
    index = load(
        write(
            tmp_path / "manifest.json",
            nodes={"model.shop.a": model("a"), "model.shop.b": model("b"), "test.shop.t": test},
            sources={"source.shop.s.t": source | {"name": "t"}, "source.shop.s.u": source | {"name": "u"}},
        )
    )

    found = {unique_id for unique_id in index.nodes if index.tests_of(unique_id)}
    assert found == ({attached} if attached else set())


def test_a_test_says_what_it_proves(tmp_path: Path) -> None:
    test = generic_test("", ["model.shop.b", "model.shop.a"], attached_node="model.shop.a", column_name='"Id"')
    itself = generic_test("", ["model.shop.a"], attached_node="model.shop.a", config={"where": "id > 0"})
    nodes = {"model.shop.a": model("a"), "model.shop.b": model("b"), "test.shop.t": test, "test.shop.u": itself}
    index = load(write(tmp_path / "manifest.json", nodes=nodes))

    other, own = index.tests_of("model.shop.a")
    assert (other.column, other.name, other.where) == ("Id", "relationships", None)
    assert other.arguments == {"to": "ref('x')", "field": "id"}
    assert other.refers_to == ("model.shop.b",)
    assert (own.refers_to, own.where) == (("model.shop.a",), "id > 0")


@pytest.mark.parametrize("version", [8, 13, 20])
def test_an_unknown_version_is_read_with_a_warning(tmp_path: Path, version: int) -> None:
    schema = f"https://schemas.getdbt.com/dbt/manifest/v{version}.json"
    nodes = {"model.shop.a": model("a")}
    index = load(write(tmp_path / "manifest.json", nodes=nodes, metadata={"dbt_schema_version": schema}))

    assert list(index.nodes) == ["model.shop.a"]
    assert index.metadata.schema_version == version
    assert len(index.warnings) == 1
    assert f"schema version {version}" in index.warnings[0]


def test_a_node_that_is_not_what_dbt_writes_is_left_out(tmp_path: Path) -> None:
    nodes = {"model.shop.a": model("a"), "model.shop.b": {"name": 7}}
    index = load(write(tmp_path / "manifest.json", nodes=nodes))

    assert list(index.nodes) == ["model.shop.a"]
    assert "model.shop.b" in index.warnings[0]


def test_a_broken_field_fails_that_node_alone(tmp_path: Path) -> None:
    nodes = {"model.shop.a": model("a"), "model.shop.b": model("b", raw_code=["no", "text"])}
    path = write(tmp_path / "manifest.json", nodes=nodes)
    index = load(path)

    assert index.nodes["model.shop.a"].name == "a"
    with pytest.raises(ManifestError, match=r"model\.shop\.b") as caught:
        index.nodes["model.shop.b"]
    assert caught.value.path == path


def test_other_kinds_of_nodes_are_none_of_ours(tmp_path: Path) -> None:
    nodes = {
        f"{kind}.shop.x": model("x") | {"resource_type": kind}
        for kind in ("analysis", "operation", "function", "new")
    }
    nodes["model.shop.y"] = model("y", depends_on={"nodes": ["function.shop.x", "model.shop.gone", "model.shop.y"]})
    index = load(write(tmp_path / "manifest.json", nodes=nodes))

    assert list(index.nodes) == ["model.shop.y"]
    assert index.parents("model.shop.y") == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "There is no manifest at"),
        (b"", "half-written"),
        (b"{", "half-written"),
        (b"no json", "half-written"),
        (b"\xff\xfe{", "half-written"),
        (b'{"a": NaN', "half-written"),
        (b"[" * 100_000, "no manifest|half-written"),
        (b"[]", "no manifest"),
        (b"{}", "no manifest"),
        (b'{"metadata": {"dbt_schema_version": 12}}', "no manifest"),
        (b'{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json"}}', "dbt/catalog/v1"),
    ],
)
def test_what_is_no_manifest_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ManifestError, match=says) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert caught.value.path == path
    assert caught.value.hint


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        load(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_manifest_cut_off_anywhere_is_half_written(tmp_path: Path, part: float) -> None:
    whole = by_dbt("1.5").read_bytes().rstrip()
    path = tmp_path / "manifest.json"
    path.write_bytes(whole[: int(len(whole) * part)])

    with pytest.raises(ManifestError, match="half-written"):
        load(path)


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys; import osmosis_synthesize.manifest; print([m for m in ('msgspec', 'sqlglot') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
