"""Generates large dbt projects: a manifest as dbt Core 1.11 writes it, and the schema and SQL files it speaks of.

    python tests/bench/generate_manifest.py DIR [--models 10000] [--columns 20] [--seed 0] [--no-files] ...

writes ``DIR/dbt_project.yml``, ``DIR/target/manifest.json`` and, unless told otherwise, the files under
``DIR/models``. The defaults give a manifest of 88 MB. The same arguments give the same bytes.

The graph is shaped like real ones: sources, staging models that each rename and cast one source, layers of
intermediate models over one to three models of the layer below, marts on top. Of a model's columns most are passed on
from its parents, some renamed, some cast, some computed. Each model's SQL is real SQL of its columns. A part of all
descriptions is missing; each layer documents what it adds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = "big"
_TYPES = ("integer", "varchar", "timestamp", "numeric(18, 2)", "boolean", "date")
_WORDS_TEXT = (
    "account amount balance batch billing campaign carrier category channel city country created currency customer "
    "delivered discount email employee event first gross invoice item last ledger margin method month name net order "
    "partner payment period phone price product quantity rate reason refund region segment sent shipment status store "
    "supplier tax team ticket total updated user value vendor visit warehouse weight year"
)
_WORDS = _WORDS_TEXT.split()
_GENERATED_AT = "2026-01-01T00:00:00.000000Z"


@dataclass(frozen=True, slots=True)
class Size:
    """What to generate."""

    models: int = 10_000
    columns: int = 20
    """Columns a model."""
    depth: int = 6
    """Layers of models, staging and marts included; a longest path has as many models."""
    documented: float = 0.5
    """The part of all descriptions that is there."""
    tests: int = 2_000
    """Data tests, on the keys of as many models as it takes (two each)."""
    macros: int = 300
    compiled: bool = False
    """Whether the manifest holds ``compiled_code``, as after ``dbt compile``, or is one of ``dbt parse``."""
    models_per_file: int = 200
    """Models a schema file."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a generated table: what it is called, its type, text and the SQL that computes it."""

    name: str
    data_type: str
    description: str
    sql: str


@dataclass(frozen=True, slots=True)
class Table:
    """A generated source table or model."""

    name: str
    layer: int
    """-1 for sources."""
    number: int
    columns: tuple[Column, ...]
    parents: tuple[Table, ...]
    description: str

    @property
    def unique_id(self) -> str:
        """As dbt has it."""
        return f"source.{PROJECT}.raw.{self.name}" if self.layer < 0 else f"model.{PROJECT}.{self.name}"

    @property
    def folder(self) -> str:
        """The folder of its files, relative to the project."""
        return f"models/layer_{self.layer}" if self.layer >= 0 else "models/layer_0"

    @property
    def sql_path(self) -> str:
        """The file of its SQL, relative to the project."""
        return f"{self.folder}/{self.name}.sql"

    def relation(self, *, compiled: bool) -> str:
        """What stands for it after ``from``."""
        if compiled:
            return f'"{PROJECT}"."main"."{self.name}"'
        return f"{{{{ source('raw', '{self.name}') }}}}" if self.layer < 0 else f"{{{{ ref('{self.name}') }}}}"

    def code(self, *, compiled: bool) -> str:
        """Its SQL: one CTE a parent, a final CTE, a star."""
        ctes = [
            f"p{index} as (\n    select * from {parent.relation(compiled=compiled)}\n)"
            for index, parent in enumerate(self.parents)
        ]
        key = self.columns[0].name
        joins = "".join(
            f"\n    left join p{index} on p0.{self.parents[0].columns[0].name} = p{index}.{parent.columns[0].name}"
            for index, parent in enumerate(self.parents)
            if index
        )
        selected = ",\n        ".join(
            column.sql if column.sql.endswith("." + column.name) else f"{column.sql} as {column.name}"
            for column in self.columns
        )
        final = f"final as (\n    select\n        {selected}\n    from p0{joins}\n    where p0.{self.parents[0].columns[0].name} is not null\n)"
        return f"-- one row for each {key}\nwith " + ",\n".join([*ctes, final]) + "\nselect * from final\n"


def tables(size: Size) -> list[Table]:
    """The sources, then the models, parents before children."""
    rng = random.Random(size.seed)
    sources = [_source(rng, number, size) for number in range(max(1, size.models // 20))]
    made: list[Table] = [*sources]
    below = sources
    per_layer = max(1, size.models // size.depth)
    number = 0
    for layer in range(size.depth):
        count = per_layer if layer + 1 < size.depth else size.models - number
        current = [_model(rng, number + index, layer, below, size) for index in range(max(count, 0))]
        number += len(current)
        made.extend(current)
        below = current or below
    return made


def _source(rng: random.Random, number: int, size: Size) -> Table:
    columns = [Column(f"src_{number}_id", "integer", "", "")]
    columns += [
        Column(name, rng.choice(_TYPES), _text(rng, name, size), "") for name in _names(rng, size.columns - 1, set())
    ]
    return Table(f"src_{number}", -1, number, tuple(columns), (), f"Rows of table {number}, as they were exported.")


def _model(rng: random.Random, number: int, layer: int, below: list[Table], size: Size) -> Table:
    parents = tuple(rng.sample(below, 1 if layer == 0 else min(len(below), rng.choice((1, 2, 2, 3)))))
    prefix = "stg" if layer == 0 else "mart" if layer + 1 == size.depth else f"int{layer}"
    key = parents[0].columns[0]
    columns = [Column(f"{prefix}_{number}_id", key.data_type, _text(rng, "key", size), f"p0.{key.name}")]
    taken = {columns[0].name}
    while len(columns) < size.columns:
        index = rng.randrange(len(parents))
        upstream = rng.choice(parents[index].columns[1:] or parents[index].columns)
        column = _column(rng, f"p{index}.{upstream.name}", upstream, size)
        if column.name in taken:
            new = next(iter(_names(rng, 1, taken)))
            column = Column(new, column.data_type, _text(rng, new, size), column.sql)
        taken.add(column.name)
        columns.append(column)
    description = _text(rng, f"{prefix} {number}", size)
    return Table(f"{prefix}_{number}", layer, number, tuple(columns), parents, description)


def _column(rng: random.Random, reference: str, upstream: Column, size: Size) -> Column:
    draw = rng.random()
    if draw < 0.6:
        return Column(upstream.name, upstream.data_type, _text(rng, upstream.name, size), reference)
    name = next(iter(_names(rng, 1, set())))
    if draw < 0.75:
        return Column(name, upstream.data_type, _text(rng, name, size), reference)
    if draw < 0.85:
        return Column(name, "varchar", _text(rng, name, size), f"cast({reference} as varchar)")
    return Column(name, "integer", _text(rng, name, size), f"coalesce(length(cast({reference} as varchar)), 0)")


def _names(rng: random.Random, count: int, taken: set[str]) -> list[str]:
    names: list[str] = []
    seen = set(taken)
    while len(names) < count:
        name = "_".join(rng.sample(_WORDS, 2))
        if name in seen:
            name = f"{name}_{rng.randrange(1_000)}"
        if name not in seen:
            seen.add(name)
            names.append(name)
    return names


def _text(rng: random.Random, about: str, size: Size) -> str:
    if rng.random() >= size.documented:
        return ""
    return f"The {about.replace('_', ' ')} of the {rng.choice(_WORDS)}, {rng.choice(_WORDS)} and {rng.choice(_WORDS)} included."


def schema_path(table: Table, size: Size) -> str:
    """The schema file of a table, relative to the project."""
    if table.layer < 0:
        return f"{table.folder}/_sources.yml"
    return f"{table.folder}/_models_{table.number // size.models_per_file}.yml"


def manifest(made: list[Table], size: Size) -> dict[str, Any]:
    """What dbt Core 1.11 would write to ``manifest.json`` after parsing the project."""
    nodes = {table.unique_id: _node(table, size) for table in made if table.layer >= 0}
    sources = {table.unique_id: _source_node(table, size) for table in made if table.layer < 0}
    tested = [table for table in made if table.layer >= 0][: (size.tests + 1) // 2]
    tests = [_test(table, kind) for table in tested for kind in ("unique", "not_null")][: size.tests]
    nodes |= {test["unique_id"]: test for test in tests}
    parent_map = {table.unique_id: [parent.unique_id for parent in table.parents] for table in made}
    parent_map |= {test["unique_id"]: test["depends_on"]["nodes"] for test in tests}
    child_map: dict[str, list[str]] = {unique_id: [] for unique_id in parent_map}
    for unique_id, parents in parent_map.items():
        for parent in parents:
            child_map[parent].append(unique_id)
    macros = {f"macro.{PROJECT}.macro_{number}": _macro(number) for number in range(size.macros)}
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "dbt_version": "1.11.16",
            "generated_at": _GENERATED_AT,
            "invocation_id": "00000000-0000-0000-0000-000000000000",
            "env": {},
            "project_name": PROJECT,
            "adapter_type": "duckdb",
        },
        "nodes": nodes,
        "sources": sources,
        "macros": macros,
        "docs": {},
        "exposures": {},
        "metrics": {},
        "groups": {},
        "selectors": {},
        "disabled": {},
        "parent_map": parent_map,
        "child_map": child_map,
        "group_map": {},
        "saved_queries": {},
        "semantic_models": {},
        "unit_tests": {},
        "functions": {},
    }


def _columns(table: Table) -> dict[str, Any]:
    return {
        column.name: {
            "name": column.name,
            "description": column.description,
            "meta": {},
            "data_type": column.data_type,
            "constraints": [],
            "quote": None,
            "config": {"meta": {}, "tags": []},
            "tags": [],
            "granularity": None,
            "doc_blocks": [],
        }
        for column in table.columns
    }


def _config(materialized: str) -> dict[str, Any]:
    return {
        "enabled": True,
        "alias": None,
        "schema": None,
        "database": None,
        "tags": [],
        "meta": {},
        "group": None,
        "static_analysis": None,
        "materialized": materialized,
        "incremental_strategy": None,
        "batch_size": None,
        "lookback": 1,
        "begin": None,
        "persist_docs": {},
        "post-hook": [],
        "pre-hook": [],
        "quoting": {},
        "column_types": {},
        "full_refresh": None,
        "unique_key": None,
        "on_schema_change": "ignore",
        "on_configuration_change": "apply",
        "grants": {},
        "packages": [],
        "docs": {"show": True, "node_color": None},
        "contract": {"enforced": False, "alias_types": True},
        "event_time": None,
        "concurrent_batches": None,
        "access": "protected",
        "freshness": None,
    }


def _node(table: Table, size: Size) -> dict[str, Any]:
    raw = table.code(compiled=False).strip()
    compiled: dict[str, Any] = (
        {
            "compiled_path": f"target/compiled/{PROJECT}/{table.sql_path}",
            "compiled": True,
            "compiled_code": table.code(compiled=True).strip(),
            "extra_ctes_injected": True,
            "extra_ctes": [],
        }
        if size.compiled
        else {}
    )
    return {
        "database": PROJECT,
        "schema": "main",
        "name": table.name,
        "resource_type": "model",
        "package_name": PROJECT,
        "path": table.sql_path.removeprefix("models/"),
        "original_file_path": table.sql_path,
        "unique_id": table.unique_id,
        "fqn": [PROJECT, f"layer_{table.layer}", table.name],
        "alias": table.name,
        "checksum": {"name": "sha256", "checksum": hashlib.sha256(raw.encode()).hexdigest()},
        "config": _config("view" if table.layer == 0 else "table"),
        "tags": [],
        "description": table.description,
        "columns": _columns(table),
        "meta": {},
        "group": None,
        "docs": {"show": True, "node_color": None},
        "patch_path": f"{PROJECT}://{schema_path(table, size)}",
        "build_path": None,
        "unrendered_config": {},
        "created_at": 1767225600.0,
        "relation_name": table.relation(compiled=True),
        "raw_code": raw,
        "doc_blocks": [],
        "language": "sql",
        "refs": [
            {"name": parent.name, "package": None, "version": None} for parent in table.parents if parent.layer >= 0
        ],
        "sources": [["raw", parent.name] for parent in table.parents if parent.layer < 0],
        "metrics": [],
        "functions": [],
        "depends_on": {"macros": [], "nodes": [parent.unique_id for parent in table.parents]},
        "compiled_path": None,
        "contract": {"enforced": False, "alias_types": True, "checksum": None},
        **compiled,
        "access": "protected",
        "constraints": [],
        "version": None,
        "latest_version": None,
        "deprecation_date": None,
        "primary_key": [table.columns[0].name],
        "time_spine": None,
    }


def _source_node(table: Table, size: Size) -> dict[str, Any]:
    path = schema_path(table, size)
    return {
        "database": PROJECT,
        "schema": "main",
        "name": table.name,
        "resource_type": "source",
        "package_name": PROJECT,
        "path": path,
        "original_file_path": path,
        "unique_id": table.unique_id,
        "fqn": [PROJECT, "layer_0", "raw", table.name],
        "source_name": "raw",
        "source_description": "",
        "loader": "",
        "identifier": table.name,
        "quoting": {"database": None, "schema": None, "identifier": None, "column": None},
        "description": table.description,
        "columns": _columns(table),
        "meta": {},
        "source_meta": {},
        "tags": [],
        "config": {"enabled": True, "meta": {}, "tags": []},
        "patch_path": None,
        "unrendered_config": {},
        "relation_name": table.relation(compiled=True),
        "created_at": 1767225600.0,
        "doc_blocks": [],
    }


def _test(table: Table, kind: str) -> dict[str, Any]:
    column = table.columns[0].name
    name = f"{kind}_{table.name}_{column}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return {
        "database": PROJECT,
        "schema": "main_dbt_test__audit",
        "name": name,
        "resource_type": "test",
        "package_name": PROJECT,
        "path": f"{name}.sql",
        "original_file_path": f"{table.folder}/_models_0.yml",
        "unique_id": f"test.{PROJECT}.{name}.{digest}",
        "fqn": [PROJECT, f"layer_{table.layer}", name],
        "alias": name,
        "checksum": {"name": "none", "checksum": ""},
        "config": {
            "enabled": True,
            "severity": "ERROR",
            "where": None,
            "materialized": "test",
            "meta": {},
            "tags": [],
        },
        "tags": [],
        "description": "",
        "columns": {},
        "meta": {},
        "raw_code": f"{{{{ test_{kind}(**_dbt_generic_test_kwargs) }}}}",
        "language": "sql",
        "depends_on": {"macros": [f"macro.dbt.test_{kind}"], "nodes": [table.unique_id]},
        "column_name": column,
        "file_key_name": f"models.{table.name}",
        "attached_node": table.unique_id,
        "test_metadata": {
            "name": kind,
            "kwargs": {
                "column_name": column,
                "model": f"{{{{ get_where_subquery(ref('{table.name}')) }}}}",
            },
            "namespace": None,
        },
    }


def _macro(number: int) -> dict[str, Any]:
    body = "\n".join(f"    {{# line {line} of macro {number} #}}" for line in range(40))
    return {
        "name": f"macro_{number}",
        "resource_type": "macro",
        "package_name": PROJECT,
        "path": f"macros/macro_{number}.sql",
        "original_file_path": f"macros/macro_{number}.sql",
        "unique_id": f"macro.{PROJECT}.macro_{number}",
        "macro_sql": f"{{% macro macro_{number}(x) %}}\n{body}\n    {{{{ x }}}}\n{{% endmacro %}}",
        "depends_on": {"macros": []},
        "description": "",
        "meta": {},
        "patch_path": None,
        "arguments": [],
        "created_at": 1767225600.0,
        "supported_languages": None,
    }


def schema_files(made: list[Table], size: Size) -> dict[str, str]:
    """The schema files: path, relative to the project → text. What is undocumented has no ``description``."""
    files: dict[str, list[str]] = {}
    for table in made:
        path = schema_path(table, size)
        if path not in files:
            files[path] = ["version: 2", ""]
            files[path] += ["sources:", "  - name: raw", "    tables:"] if table.layer < 0 else ["models:"]
        files[path] += _entry(table, "      " if table.layer < 0 else "  ")
    return {path: "\n".join(lines) + "\n" for path, lines in files.items()}


def _entry(table: Table, indent: str) -> Iterator[str]:
    yield f"{indent}- name: {table.name}"
    if table.description:
        yield f"{indent}  description: {table.description}"
    yield f"{indent}  columns:"
    for column in table.columns:
        yield f"{indent}    - name: {column.name}"
        if column.description:
            yield f"{indent}      description: {column.description}"
        yield f"{indent}      data_type: {column.data_type}"


def write_project(folder: Path, size: Size, *, files: bool = True) -> Path:
    """Write the project below ``folder`` and return the path of its manifest."""
    made = tables(size)
    target = folder / "target"
    target.mkdir(parents=True, exist_ok=True)
    (folder / "dbt_project.yml").write_text(
        f'name: {PROJECT}\nversion: "1.0"\nprofile: {PROJECT}\n', encoding="utf-8"
    )
    path = target / "manifest.json"
    with path.open("w", encoding="utf-8") as out:
        # dbt writes its manifest without line breaks, and with spaces after separators
        json.dump(manifest(made, size), out)
    if files:
        texts = schema_files(made, size)
        texts |= {table.sql_path: table.code(compiled=False) for table in made if table.layer >= 0}
        for name, text in texts.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return path


def main(argv: list[str] | None = None) -> int:
    """Generate a project from the command line."""
    default = Size()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name in ("models", "columns", "depth", "tests", "macros", "models_per_file", "seed"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(default, name))
    parser.add_argument("--documented", type=float, default=default.documented)
    parser.add_argument("--compiled", action="store_true", help="with compiled_code, as after dbt compile")
    parser.add_argument("--no-files", action="store_true", help="the manifest only")
    chosen = vars(parser.parse_args(argv))
    folder, files = chosen.pop("folder"), not chosen.pop("no_files")
    path = write_project(folder, Size(**chosen), files=files)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
