"""The demo project is what it promises to be, and its artifacts are what dbt writes for it today.

dbt is the one ``OSMOSIS_TEST_DBT`` names, else the one on the PATH; without one, only what needs none is tested.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "server" / "osmosis_synthesize" / "demo"
# Read at import: the tests' own environment is free of OSMOSIS_… variables.
DBT = shutil.which(os.environ.get("OSMOSIS_TEST_DBT") or "dbt")


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


refresh = _script("refresh_demo")


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return refresh.load(DEMO / "target" / "manifest.json")


@pytest.fixture(scope="module")
def catalog() -> dict[str, Any]:
    return refresh.load(DEMO / "target" / "catalog.json")


class Built(NamedTuple):
    """A copy of the demo in which dbt built and tested everything, and the artifacts it wrote then."""

    project: Path
    artifacts: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    if DBT is None:
        pytest.skip("no dbt: name one in OSMOSIS_TEST_DBT, or have one on the PATH")
    project = refresh.copy_demo(tmp_path_factory.mktemp("built") / "demo")
    refresh.build(DBT, project)
    return Built(project, {name: refresh.load(project / "target" / name) for name in refresh.ARTIFACTS})


# --- with dbt; one group, so that workers side by side build once ---


@pytest.mark.xdist_group("dbt")
def test_the_demo_builds_and_its_tests_pass(built: Built) -> None:
    # Once more, so that the incremental model and the snapshot meet what the first build left.
    refresh.run_dbt(DBT, built.project, "build")
    results = json.loads((built.project / "target" / "run_results.json").read_text("utf-8"))["results"]
    assert Counter(result["unique_id"].split(".")[0] for result in results) >= Counter(
        model=16, seed=2, snapshot=1, test=56, unit_test=1
    )
    assert {result["status"] for result in results} == {"success", "pass"}


@pytest.mark.xdist_group("dbt")
@pytest.mark.parametrize("name", refresh.ARTIFACTS)
def test_the_artifacts_are_current(built: Built, name: str) -> None:
    committed = refresh.load(DEMO / "target" / name)
    fresh = refresh.normalise(built.artifacts[name])
    theirs, ours = refresh.minor_version(committed), refresh.minor_version(fresh)
    if theirs != ours:
        pytest.skip(f"the committed artifacts are of dbt {theirs}, this is dbt {ours}")
    assert refresh.differences(committed, fresh) == [], "run scripts/refresh_demo.py"


# --- without ---


def test_a_difference_is_seen_and_dbts_own_macros_are_not(manifest: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(manifest))
    changed["metadata"]["dbt_version"] = "1.11.99"
    changed["metadata"]["adapter_type"] = "postgres"
    changed["nodes"]["model.quayside.stg_bikes"]["raw_code"] += " "
    changed["macros"]["macro.dbt.is_incremental"]["macro_sql"] += " "
    changed["macros"]["macro.quayside.load_landing_zone"]["macro_sql"] += " "
    changed["exposures"]["exposure.quayside.report"] = {}
    assert refresh.differences(manifest, changed) == [
        "exposures: exposure.quayside.report",
        "macros: macro.quayside.load_landing_zone",
        "metadata: adapter_type",
        "nodes: model.quayside.stg_bikes",
    ]


def test_the_manifest_saw_the_files_as_they_are(manifest: dict[str, Any]) -> None:
    seen = {
        node["original_file_path"]: node["raw_code"]
        for node in manifest["nodes"].values()
        if node["original_file_path"].endswith(".sql") and node["resource_type"] != "snapshot"
    }
    here = {
        path.relative_to(DEMO).as_posix()
        for folder in ("models", "tests")
        for path in DEMO.glob(f"{folder}/**/*.sql")
    }
    assert seen.keys() == here
    for path, code in seen.items():
        assert code == (DEMO / path).read_text("utf-8").strip(), path


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(_strings, chain.from_iterable(cast("dict[str, Any]", value).items())))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(_strings, cast("list[Any]", value)))


ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<>*\\-])/(?:[\w.-]+/)+[\w.-]+|\b[A-Za-z]:\\\w|~/\w|file:/")


@pytest.mark.parametrize(
    "path", [*DEMO.glob("target/*.json"), *ROOT.glob("tests/data/manifests/*.json")], ids=lambda path: path.name
)
def test_no_artifact_tells_of_a_machine_or_a_person(path: Path) -> None:
    artifact = refresh.load(path)
    # The text of dbt's own macros is the same everywhere.
    macros = artifact.get("macros", {})
    artifact["macros"] = {key: macro for key, macro in macros.items() if macro["package_name"] == refresh.PACKAGE}
    assert [string for string in _strings(artifact) if ABSOLUTE_PATH.search(string)] == []
    metadata = artifact["metadata"]
    assert metadata["generated_at"] == refresh.EPOCH
    assert metadata["invocation_id"] is None
    assert metadata.get("user_id") is None
    assert metadata["env"] == {}


@pytest.mark.parametrize("string", ["/home/ann/demo", "in '/srv/x/demo'", "C:\\demo", "~/demo", "file:///x"])
def test_an_absolute_path_would_be_found(string: str) -> None:
    assert ABSOLUTE_PATH.search(string)


def test_nothing_else_that_dbt_writes_is_kept() -> None:
    listed = subprocess.run(["git", "ls-files", "--", "."], cwd=DEMO, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    kept = {name for name in listed.stdout.splitlines() if name.startswith(("target/", "logs/", ".user"))}
    assert kept == {f"target/{name}" for name in refresh.ARTIFACTS}


def test_the_demo_holds_one_of_everything(manifest: dict[str, Any], catalog: dict[str, Any]) -> None:
    nodes = manifest["nodes"]
    kinds = Counter(node["resource_type"] for node in nodes.values())
    assert kinds == Counter(model=17, seed=2, snapshot=1, operation=1, test=56)
    assert len(manifest["sources"]) == 7
    assert len(manifest["unit_tests"]) == 1
    assert {node["config"]["materialized"] for node in nodes.values() if node["resource_type"] == "model"} == {
        "view",
        "table",
        "ephemeral",
        "incremental",
    }
    assert [nodes[f"model.quayside.dim_bikes.v{version}"]["version"] for version in (1, 2)] == [1, 2]
    tests = Counter(
        (node.get("test_metadata") or {"name": "singular"})["name"]
        for node in nodes.values()
        if node["resource_type"] == "test"
    )
    assert tests.keys() == {"unique", "not_null", "accepted_values", "relationships", "singular"}
    docs = {doc["name"] for doc in manifest["docs"].values() if doc["package_name"] == "quayside"}
    assert docs == {"bike_id", "rental_status", "station_id"}
    assert all(node["compiled_code"] for node in nodes.values() if node["resource_type"] == "model")
    in_warehouse = {key for key in nodes if key.startswith(("model.", "seed.", "snapshot."))} | manifest[
        "sources"
    ].keys()
    described = catalog["nodes"].keys() | catalog["sources"].keys()
    assert described == in_warehouse - {"model.quayside.int_payments_unioned"}  # ephemeral: it has no relation


@pytest.mark.parametrize(
    ("model", "sql"),
    [
        ("stg_bikes", "bike_no as bike_id"),
        ("stg_bikes", "cast(purchased_on as date) as purchased_on"),
        ("stg_bikes", "purchase_price_cents / 100 as purchase_price"),
        ("stg_bikes", "select * from final"),
        ("int_payments_unioned", "union all"),
        ("int_rentals_timed", "row_number() over"),
        ("int_rentals_timed", "inner join"),
        ("int_repairs_by_bike", "group by"),
        ("dim_stations", "stations.*,"),
    ],
)
def test_the_demo_speaks_the_usual_sql(manifest: dict[str, Any], model: str, sql: str) -> None:
    assert sql in manifest["nodes"][f"model.quayside.{model}"]["raw_code"]


VERSIONS = {
    "1.5": 9,
    "1.6": 10,
    "1.7": 11,
    **dict.fromkeys(("1.8", "1.9", "1.10", "1.11", "1.12", "2.0"), 12),
}


@pytest.mark.parametrize(("version", "schema"), VERSIONS.items())
def test_there_is_a_whole_small_manifest_of_each_dbt(version: str, schema: int) -> None:
    manifest = refresh.load(ROOT / "tests" / "data" / "manifests" / f"dbt-{version}.json")
    assert refresh.minor_version(manifest) == version
    assert manifest["metadata"]["dbt_schema_version"].endswith(f"/v{schema}.json")
    nodes = manifest["nodes"]
    known = nodes.keys() | manifest["sources"].keys()
    assert {key.split(".")[0] for key in known} == {"model", "seed", "snapshot", "source", "test", "operation"}
    assert {"model.quayside.dim_bikes.v1", "model.quayside.dim_bikes.v2"} <= known
    for node in nodes.values():
        assert known.issuperset(node.get("depends_on", {}).get("nodes", [])), node["unique_id"]
    for test in manifest.get("unit_tests", {}).values():
        assert known.issuperset(test["depends_on"]["nodes"])
