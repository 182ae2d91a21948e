"""Small dbt projects for tests: schema files, SQL and a manifest, written from a compact description.

::

    build(
        folder,
        table("raw.orders", {"id": "Number of the order."}),
        table("stg_orders", {"order_id": None}, sql="select id as order_id from orders", of=["raw.orders"]),
    )

writes a project called ``shop``: ``dbt_project.yml``, ``target/manifest.json`` and ``models/…``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = "shop"
SCHEMA = "models/_models.yml"


@dataclass(frozen=True)
class Table:
    """One node, and its entry in a schema file."""

    name: str
    columns: Mapping[str, Mapping[str, Any]]
    sql: str
    of: tuple[str, ...]
    kind: str
    file: str | None
    description: str | None
    version: str | None
    tests: tuple[Mapping[str, Any], ...]
    fields: Mapping[str, Any]

    @property
    def unique_id(self) -> str:
        stem = f"{self.kind}.{self.fields.get('package_name', PROJECT)}.{self.name}"
        return stem if self.version is None else f"{stem}.v{self.version}"

    @property
    def short(self) -> str:
        return self.unique_id.split(".", 2)[2]

    @property
    def path(self) -> str:
        ending = {"seed": "csv"}.get(self.kind, "sql")
        return self.fields.get("original_file_path", f"models/{self.short.replace('.', '_')}.{ending}")


def table(
    name: str,
    columns: Mapping[str, str | Mapping[str, Any] | None] | None = None,
    *,
    sql: str = "",
    of: Iterable[str] = (),
    kind: str | None = None,
    file: str | None = SCHEMA,
    description: str | None = None,
    version: str | None = None,
    tests: Iterable[Mapping[str, Any]] = (),
    **fields: Any,
) -> Table:
    """A node.

    Args:
        name: ``stg_orders``; a name with a dot is a table of a source.
        columns: name → description, or the column's properties (``description``, ``data_type``, ``tags``, ``tests``, …).
        sql: compiled SQL; parents by their bare names.
        of: names of the parents.
        kind: ``model`` unless the name says otherwise.
        file: the schema file with its entry; ``None``: it has none.
        description: its own.
        version: of a versioned model.
        tests: of the whole table: ``{"name": …, "arguments": …}``.
        fields: of the manifest's node, in place of those made up here.
    """
    properties = {
        column: dict(given) if isinstance(given, Mapping) else ({} if given is None else {"description": given})
        for column, given in (columns or {}).items()
    }
    kind = kind or ("source" if "." in name else "model")
    return Table(name, properties, sql, tuple(of), kind, file, description, version, tuple(tests), fields)


RAW = table("raw.purchases", {"id": "Number of the order."}, description="Orders of the shop.", file="models/raw.yml")
ORDERS = table(
    "orders",
    {"order_id": None, "total": None},
    sql="select id as order_id, id + 1 as total from purchases",
    of=["raw.purchases"],
    description="Orders.",
)
"""Two gaps: `order_id` can be inherited from :data:`RAW`, `total` is computed."""


def build(
    folder: Path,
    *tables: Table,
    adapter: str = "duckdb",
    docs: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write the project, and give its folder. ``settings`` are those of ``vars: dbt-osmosis: llm:``."""
    folder.mkdir(parents=True, exist_ok=True)
    project = {"name": PROJECT, "version": "1.0", "profile": "shop"}
    if settings:
        project["vars"] = {"dbt-osmosis": {"llm": dict(settings)}}  # pyright: ignore[reportArgumentType]
    (folder / "dbt_project.yml").write_text(json.dumps(project, indent=2), "utf-8")
    for path, text in _schema_files(tables).items():
        _write(folder / path, text)
    for one in tables:
        if one.kind != "source" and "package_name" not in one.fields:
            _write(folder / one.path, one.sql)
    _write(folder / "target/manifest.json", json.dumps(manifest(*tables, adapter=adapter, docs=docs)))
    return folder


def manifest(*tables: Table, adapter: str = "duckdb", docs: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A manifest as dbt would write it for these tables."""
    ids = {one.short: one.unique_id for one in tables}
    nodes = {one.unique_id: _node(one, ids, docs or {}) for one in tables}
    sources = {key: node for key, node in nodes.items() if key.startswith("source.")}
    nodes = {key: node for key, node in nodes.items() if key not in sources}
    for one in tables:
        for number, test in enumerate(_tests(one)):
            nodes[f"test.{PROJECT}.{test['name']}_{one.short}.{number}"] = _test(one, test, ids)
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "dbt_version": "1.11.0",
            "adapter_type": adapter,
            "project_name": PROJECT,
        },
        "nodes": nodes,
        "sources": sources,
        "docs": {
            f"doc.{PROJECT}.{name}": {"name": name, "package_name": PROJECT, "block_contents": text}
            for name, text in (docs or {}).items()
        },
    }


def _node(one: Table, ids: Mapping[str, str], docs: Mapping[str, str]) -> dict[str, Any]:
    def rendered(text: str) -> str:
        for name, block in docs.items():
            text = text.replace(f"{{{{ doc('{name}') }}}}", block)
        return text

    source, _, bare = one.name.rpartition(".")
    columns = {
        name: {"name": name, **given, "description": rendered(given.get("description", ""))}
        for name, given in one.columns.items()
    }
    node: dict[str, Any] = {
        "resource_type": one.kind,
        "name": bare,
        "package_name": PROJECT,
        "original_file_path": one.file if one.kind == "source" else one.path,
        "patch_path": f"{PROJECT}://{one.file}" if one.file else None,
        "description": rendered(one.description or ""),
        "columns": columns,
        "depends_on": {"nodes": [ids[name] for name in one.of]},
        "compiled_code": one.sql or None,
        "raw_code": one.sql,
        "language": "sql",
        "database": "db",
        "schema": source or "main",
        "alias": bare,
        "config": {"materialized": "view"},
    }
    if one.kind == "source":
        node |= {"source_name": source, "identifier": bare}
    if one.version is not None:
        node |= {"version": one.version, "alias": f"{bare}_v{one.version}"}
    return node | dict(one.fields)


def _tests(one: Table) -> list[dict[str, Any]]:
    """Of its columns (``tests:`` in their properties) and its own; a plain string is a test without arguments."""
    found: list[dict[str, Any]] = []
    for column, given in one.columns.items():
        found += [
            {**({"name": test} if isinstance(test, str) else test), "column": column}
            for test in given.get("tests", ())
        ]
    return [*found, *(dict(test) for test in one.tests)]


def _test(one: Table, test: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    arguments = dict(test.get("arguments", {}))
    target = ids[test["to"]] if "to" in test else None
    return {
        "resource_type": "test",
        "name": f"{test['name']}_{one.short}",
        "package_name": PROJECT,
        "original_file_path": one.file or SCHEMA,
        "attached_node": one.unique_id,
        "column_name": test.get("column"),
        "test_metadata": {"name": test["name"], "namespace": test.get("namespace"), "kwargs": arguments},
        "depends_on": {"nodes": [*([target] if target else []), one.unique_id]},
        "config": {"where": test.get("where"), "severity": test.get("severity", "ERROR")},
    }


def _schema_files(tables: Iterable[Table]) -> dict[str, str]:
    entries: dict[str, dict[str, list[str]]] = {}
    for one in tables:
        if one.file is not None and "package_name" not in one.fields and one.version is None:
            key = {"source": "sources"}.get(one.kind, f"{one.kind}s")
            entries.setdefault(one.file, {}).setdefault(key, []).append(_entry(one))
    return {
        file: "version: 2\n" + "".join(f"\n{key}:\n" + "".join(parts) for key, parts in groups.items())
        for file, groups in entries.items()
    }


def _entry(one: Table) -> str:
    source, _, bare = one.name.rpartition(".")
    lines = [f"- name: {bare}"]
    if one.description is not None:
        lines.append(f"  description: {json.dumps(one.description, ensure_ascii=False)}")
    if one.columns:
        lines.append("  columns:")
    for name, given in one.columns.items():
        lines.append(f"    - name: {json.dumps(name, ensure_ascii=False) if ' ' in name else name}")
        for key, value in given.items():
            if key != "tests":
                lines.append(f"      {key}: {json.dumps(value, ensure_ascii=False)}")
    if source:
        lines = [f"- name: {source}", "  tables:", *(f"    {line}" for line in lines)]
    return "".join(f"  {line}\n" for line in lines)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
