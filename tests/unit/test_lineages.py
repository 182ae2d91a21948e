"""Lineage of a whole project, from a manifest that dbt wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import osmosis_synthesize
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.lineage import Lineages
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.manifest.model import NodeLineage

TARGET = Path(osmosis_synthesize.__file__).parent / "demo" / "target"


def demo(tmp_path: Path, *, compiled: bool = True, catalog: bool = False, **changes: dict[str, Any]) -> Index:
    """The demo's manifest, with some nodes' values changed, and with or without what dbt compiled."""
    manifest = json.loads((TARGET / "manifest.json").read_text(encoding="utf-8"))
    for unique_id, node in manifest["nodes"].items():
        if not compiled and "compiled_code" in node:
            node["compiled_code"] = None
        node.update(changes.get(unique_id.split(".", 2)[2], {}))
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return load(path, catalog=TARGET / "catalog.json" if catalog else None)


def traced(index: Index) -> dict[str, NodeLineage]:
    return dict(Lineages(index))


def test_every_model_of_the_demo_has_a_whole_lineage(tmp_path: Path) -> None:
    index = demo(tmp_path)
    for unique_id, lineage in traced(index).items():
        if index.nodes[unique_id].resource_type in {"model", "snapshot"}:
            assert lineage.problem is None
            assert lineage.complete
            assert lineage.columns
            assert {column.kind for column in lineage.columns} <= {"pass-through", "renamed", "cast", "derived"}


def test_the_catalog_only_confirms_it(tmp_path: Path) -> None:
    assert traced(demo(tmp_path)) == traced(demo(tmp_path, catalog=True))


def test_without_compiled_code_it_is_the_same(tmp_path: Path) -> None:
    compiled, raw = traced(demo(tmp_path)), traced(demo(tmp_path, compiled=False))
    for unique_id, lineage in compiled.items():
        assert raw[unique_id].columns == lineage.columns
        assert raw[unique_id].complete == lineage.complete
        assert raw[unique_id].problem is None


@pytest.mark.parametrize("compiled", [True, False])
def test_columns_through_stars_ephemeral_models_versions_and_snapshots(tmp_path: Path, compiled: bool) -> None:
    lineages = Lineages(demo(tmp_path, compiled=compiled))
    expected = {
        ("model.quayside.stg_riders", "rider_id"): ("renamed", ["riders.id"]),
        ("snapshot.quayside.riders_history", "rider_id"): ("pass-through", ["stg_riders.rider_id"]),
        ("model.quayside.dim_riders", "rider_name"): ("renamed", ["riders_history.full_name"]),
        ("model.quayside.dim_riders", "details_valid_from"): ("renamed", ["riders_history.dbt_valid_from"]),
        ("model.quayside.int_payments_unioned", "amount"): (
            "pass-through",
            ["stg_card_payments.amount", "stg_wallet_debits.amount"],
        ),
        ("model.quayside.monthly_revenue", "payment_method"): (
            "pass-through",
            ["int_payments_unioned.payment_method"],
        ),
        ("model.quayside.dim_bikes.v2", "bike_id"): ("pass-through", ["stg_bikes.bike_id"]),
        ("model.quayside.fct_rentals", "status"): ("renamed", ["int_rentals_timed.rental_status"]),
        ("model.quayside.stg_rentals", "started_at"): ("cast", ["rentals.started_at"]),
    }
    for (unique_id, name), (kind, sources) in expected.items():
        column = lineages[unique_id].column(name)
        assert column is not None
        found = [f"{source.split('.')[-1]}.{source_column}" for source, source_column in column.sources]
        assert (column.kind, found) == (kind, sources)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    broken = {"compiled_code": "not a query", "raw_code": "not a query"}
    lineages = Lineages(demo(tmp_path, catalog=True, stg_repairs=broken))
    assert lineages["model.quayside.int_repairs_by_bike"].problem is None
    assert lineages["model.quayside.stg_repairs"].problem is not None


def test_a_parent_without_lineage_lends_the_columns_of_its_schema_file(tmp_path: Path) -> None:
    python = {"language": "python", "compiled_code": "def model(dbt, session): ..."}
    lineages = Lineages(demo(tmp_path, stg_repairs=python, stg_bikes={"compiled_code": "select from"}))
    repairs = lineages["model.quayside.int_repairs_by_bike"]
    assert lineages["model.quayside.stg_repairs"].problem == "it is written in Python"
    assert repairs.problem is None
    bike_id = repairs.column("bike_id")
    assert bike_id is not None
    assert bike_id.sources == (("model.quayside.stg_repairs", "bike_id"),)
    # Which of two joined tables has this column would be a guess, were it not qualified.
    assert lineages["model.quayside.dim_bikes.v2"].column("bike_id") is not None


def test_a_cycle_ends(tmp_path: Path) -> None:
    loop = {"depends_on": {"nodes": ["model.quayside.int_repairs_by_bike"], "macros": []}}
    lineages = Lineages(demo(tmp_path, stg_repairs=loop))
    assert lineages["model.quayside.int_repairs_by_bike"].problem is None


def test_an_unknown_node_is_a_key_error(tmp_path: Path) -> None:
    lineages = Lineages(demo(tmp_path))
    assert lineages.get("model.quayside.nowhere") is None
    assert len(lineages) == len(list(lineages))


def test_jinja_that_cannot_be_resolved_is_said(tmp_path: Path) -> None:
    hopeless = {"compiled_code": None, "raw_code": "{{ all_of_it_is_a_macro() }}"}
    lineages = Lineages(
        demo(tmp_path, stg_repairs=hopeless, stg_bikes={"compiled_code": None, "raw_code": "{% if %}"})
    )
    problem = lineages["model.quayside.stg_repairs"].problem
    assert problem == (
        "its SQL is not one query (dbt has not compiled it, and not all of its Jinja could be resolved)"
    )
    assert str(lineages["model.quayside.stg_bikes"].problem).startswith("its Jinja is not resolved: ")
