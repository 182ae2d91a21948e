"""The catalog: optional as a whole and in every part, and what an index makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.manifest.catalog import load_catalog
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.load import load

DEMO = Path(__file__).parents[2] / "server/osmosis_synthesize/demo"


def write_manifest(path: Path, columns: dict[str, Any]) -> Path:
    metadata = {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json", "project_name": "shop"}
    node = {
        "resource_type": "model",
        "name": "m",
        "package_name": "shop",
        "original_file_path": "models/m.sql",
        "columns": columns,
    }
    path.write_text(json.dumps({"metadata": metadata, "nodes": {"model.shop.m": node}}))
    return path


def column(name: str, data_type: str | None, index: int | None) -> dict[str, Any]:
    return {"name": name, "type": data_type, "index": index, "comment": None}


def merged(tmp_path: Path, own: dict[str, Any], warehouse: list[dict[str, Any]]) -> Index:
    catalog = tmp_path / "catalog.json"
    columns = {item["name"]: item for item in warehouse}
    catalog.write_text(json.dumps({"nodes": {"model.shop.m": {"columns": columns}}, "sources": {}}))
    return load(write_manifest(tmp_path / "manifest.json", own), catalog=catalog)


def test_the_demo_s_catalog_knows_every_column_with_its_type() -> None:
    index = load(DEMO / "target/manifest.json", catalog=DEMO / "target/catalog.json")
    written = json.loads((DEMO / "target/catalog.json").read_text())
    tables = written["nodes"] | written["sources"]

    assert tables
    for unique_id, table in tables.items():
        if unique_id not in index.nodes:
            continue
        known = [
            (item["name"], item["type"]) for item in sorted(table["columns"].values(), key=lambda item: item["index"])
        ]
        columns = index.columns(unique_id)
        assert [(item.name, item.data_type) for item in columns[: len(known)]] == known
        texts = {item.name: item.description for item in index.nodes[unique_id].columns}
        assert {item.name: item.description for item in columns if item.name in texts} == texts


def test_names_types_and_order_are_the_warehouse_s_and_texts_the_project_s(tmp_path: Path) -> None:
    own = {
        "gone": {"name": "gone", "description": "Only in YAML."},
        "amount": {"name": "amount", "description": "Money.", "data_type": "int", "meta": {"a": 1}, "tags": ["t"]},
        "order_id": {"name": "order_id", "description": "Key.", "data_type": "text"},
    }
    index = merged(
        tmp_path, own, [column("AMOUNT", "NUMBER", 2), column("ORDER_ID", None, 1), column("EXTRA", "DATE", 3)]
    )

    found = index.columns("model.shop.m")
    assert [(item.name, item.data_type, item.description) for item in found] == [
        ("ORDER_ID", "text", "Key."),
        ("AMOUNT", "NUMBER", "Money."),
        ("EXTRA", "DATE", ""),
        ("gone", None, "Only in YAML."),
    ]
    assert (found[1].meta, found[1].tags) == ({"a": 1}, ("t",))


def test_quoted_names_are_compared_with_case(tmp_path: Path) -> None:
    own = {
        "Id": {"name": "Id", "description": "Quoted.", "quote": True},
        "id": {"name": "id", "description": "Plain."},
    }
    index = merged(tmp_path, own, [column("ID", "INTEGER", 1), column("Id", "INTEGER", 2)])

    assert [(item.name, item.description) for item in index.columns("model.shop.m")] == [
        ("ID", "Plain."),
        ("Id", "Quoted."),
    ]


def test_without_a_catalog_or_an_entry_in_it_the_manifest_s_columns_stand(tmp_path: Path) -> None:
    own = {"id": {"name": "id", "description": "Key."}}
    manifest = write_manifest(tmp_path / "manifest.json", own)
    (tmp_path / "catalog.json").write_text('{"nodes": {}}')

    for catalog in (None, tmp_path / "absent.json", tmp_path / "catalog.json"):
        index = load(manifest, catalog=catalog)
        assert index.warnings == ()
        assert index.columns("model.shop.m") == index.nodes["model.shop.m"].columns


@pytest.mark.parametrize("content", [b"", b'{"nodes": {"a": ', b"[]", b'{"metadata": {}}', b"\xff"])
def test_a_broken_catalog_is_a_warning(tmp_path: Path, content: bytes) -> None:
    catalog = tmp_path / "catalog.json"
    catalog.write_bytes(content)
    index = load(write_manifest(tmp_path / "manifest.json", {"id": {"name": "id"}}), catalog=catalog)

    assert len(index.warnings) == 1
    assert str(catalog) in index.warnings[0]
    assert [item.name for item in index.columns("model.shop.m")] == ["id"]
    with pytest.raises(ManifestError):
        load_catalog(catalog)


def test_one_broken_table_counts_as_unknown(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.json"
    good = {"columns": {"id": column("id", "INTEGER", 1)}}
    catalog.write_text(json.dumps({"nodes": {"model.shop.m": {"columns": 7}, "model.shop.n": good}}))
    read = load_catalog(catalog)

    assert read.columns("model.shop.m") == ()
    assert [item.name for item in read.columns("model.shop.n")] == ["id"]
    assert read.columns("model.shop.absent") == ()


def test_an_absent_catalog_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"absent\.json"):
        load_catalog(tmp_path / "absent.json")
