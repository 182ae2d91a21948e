"""What is read from a project's files is what ``dbt parse`` writes of them: without a manifest, and over an old one.

The property: of the project's own nodes (models with all versions, seeds, snapshots, source tables), both know the same,
and each has the same file, schema file, parents, version, alias, language, code, columns (names, types, quoting, tags,
``meta``), tags, ``meta``, texts, constraints and data tests. The exceptions are those named in :func:`facts`.

dbt is the one that ``OSMOSIS_TEST_DBT`` names, else the one on the PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.manifest import model
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings
from projects import copy_demo

# Read at import: the tests' own environment is free of OSMOSIS_… variables.
DBT = shutil.which(os.environ.get("OSMOSIS_TEST_DBT") or "dbt")
pytestmark = [
    pytest.mark.skipif(DBT is None, reason="no dbt: name one in OSMOSIS_TEST_DBT, or have one on the PATH"),
    pytest.mark.xdist_group("dbt"),
]


def parse(project: Path) -> Index:
    """The manifest that dbt writes of the project as it is now; the one in ``target`` stays."""
    assert DBT is not None
    target = project.parent / "parsed"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    environment |= {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [DBT, "parse", "--no-partial-parse", "--target-path", str(target)],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return load(target / "manifest.json")


def read(root: Path, *files: Path, manifest: bool) -> Index:
    """The index as the files have it: of all of them, or of some and what these lead to."""
    if not manifest:
        shutil.rmtree(root / "target", ignore_errors=True)
    project = Project(root, load_settings(root, environ={}))
    project.catch_up(Request(files, whole_project=not files))
    return project.index


def facts(index: Index, node: model.Node, *, texts: bool) -> dict[str, Any]:
    """What must agree.

    Not compared: where a node is in the warehouse (database, schema: the profile decides); macros; the config but for
    its materialization; of texts, white space at their ends. Of a seed that is read, the header's columns follow those
    of its entry. Over a manifest, texts are as old as this where nothing else has changed: they are never taken from it
    where a schema file has them.
    """
    columns = [(c.name, c.data_type, c.quote, c.tags, dict(c.meta)) for c in node.columns]
    described = [node.description.strip(), *(column.description.strip() for column in node.columns)]
    return {
        "path": node.path,
        "schema file": (node.schema_package, node.schema_path),
        "parents": index.parents(node.unique_id),
        "version": (node.version, node.latest_version),
        "alias": node.alias,
        "language": node.language,
        "code": node.raw_code.strip() if node.resource_type != "seed" else "",
        "columns": columns,
        "tags": sorted(node.tags),
        "meta": dict(node.meta),
        "texts": described if texts and node.resource_type != "seed" else [],
        "materialized": node.config.get("materialized"),
        "constraints": [(c.get("type"), tuple(c.get("columns") or ())) for c in node.constraints],
        "tests": sorted(map(as_written, index.tests_of(node.unique_id))),
    }


def as_written(test: model.Test) -> str:
    arguments = sorted((name, str(value)) for name, value in test.arguments.items())
    return repr((test.column, test.namespace, test.name, arguments, test.refers_to, test.where, test.warns))


def agree(found: Index, parsed: Index, *only: str, texts: bool) -> None:
    own = {unique_id for unique_id, node in parsed.nodes.items() if parsed.is_editable(node)}
    if not only:
        assert {unique_id for unique_id, node in found.nodes.items() if found.is_editable(node)} == own
    for unique_id in only or sorted(own):
        ours, theirs = (facts(index, index.nodes[unique_id], texts=texts) for index in (found, parsed))
        if unique_id.startswith("seed."):
            ours["columns"] = ours["columns"][: len(theirs["columns"])]
        assert ours == theirs, unique_id


def write(project: Path, path: str, text: str) -> Path:
    file = project / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def replace(project: Path, path: str, old: str, new: str) -> Path:
    file = project / path
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    return file


def remove(project: Path, path: str) -> str:
    text = (project / path).read_text("utf-8")
    (project / path).unlink()
    return text


# What is done to the demo after it was parsed, and the files that somebody who commits that would name.

MARTS = "models/marts"


def nothing(project: Path) -> list[Path]:
    return [project / MARTS / "fct_rentals.sql"]


def other_sql(project: Path) -> list[Path]:
    return [
        replace(
            project,
            f"{MARTS}/daily_station_trips.sql",
            "select",
            "-- depends_on: {{ ref('bike_models') }} {{ source('landing', 'repairs') }}\nselect",
        )
    ]


def sql_further_up(project: Path) -> list[Path]:
    replace(project, "models/staging/stg_bikes.sql", "select", "select -- {{ ref('membership_plans') }}\n")
    return [project / MARTS / "dim_bikes.yml"]


def renamed(project: Path) -> list[Path]:
    sql = remove(project, f"{MARTS}/monthly_revenue.sql")
    (project / MARTS / "monthly_revenue.yml").unlink(missing_ok=True)
    return [
        write(project, f"{MARTS}/revenue_by_month.sql", sql),
        write(
            project, f"{MARTS}/revenue.yml", "models:\n  - name: revenue_by_month\n    columns: [{name: revenue}]\n"
        ),
    ]


def deleted(project: Path) -> list[Path]:
    remove(project, f"{MARTS}/monthly_revenue.sql")
    return [project / MARTS / "fct_rentals.sql"]


def moved(project: Path) -> list[Path]:
    sql = remove(project, f"{MARTS}/daily_station_trips.sql")
    return [write(project, "models/reports/deep/daily_station_trips.sql", sql)]


def made(project: Path) -> list[Path]:
    return [
        write(project, "seeds/districts.csv", "district,people\nNorth,3\n"),
        write(
            project,
            "models/new/new.yml",
            "version: 2\nsources:\n  - name: weather\n    schema: raw_weather\n    tables:\n      - name: days\n"
            "        identifier: wx_days\n        description: A day.\n        columns:\n"
            "          - {name: day, data_type: date, data_tests: [unique, not_null]}\n"
            "seeds:\n  - name: districts\n    columns:\n      - name: district\n        tests: [not_null]\n"
            "models:\n  - name: by_weather\n    description: '{{ doc(\"station_id\") }}'\n"
            "    config: {tags: [x], meta: {b: 2}}\n    columns:\n      - name: day\n        quote: true\n"
            "        tags: [pii]\n        constraints: [{type: not_null}]\n        data_tests:\n"
            "          - relationships: {arguments: {to: \"source('weather', 'days')\", field: day}}\n"
            "          - accepted_values:\n              name: mine\n              arguments: {values: [1, 2]}\n"
            "              config: {where: 'day > 1', severity: warn}\n",
        ),
        write(
            project,
            "models/new/by_weather.sql",
            "{{ config(materialized='incremental', unique_key='day') }}\n{# {{ ref('stg_bikes') }} #}\n"
            "select * from {{ source('weather', 'days') }}\n"
            "{% if is_incremental() %} where day > (select 1 from {{ ref('stg_riders') }}) {% endif %}\n"
            "{{ also() }} {% for one in ['dim_bikes'] %}join {{ ref('quayside', one, v=1) }}{% endfor %}\n"
            "join {{ ref('districts') }}\n",
        ),
        write(project, "macros/also.sql", "{% macro also() -%} join {{ ref('dim_riders') }} {%- endmacro %}\n"),
        write(
            project,
            "models/new/in_python.py",
            'def model(dbt, session):\n    dbt.config(materialized="table")\n    return dbt.ref("by_weather")\n',
        ),
        write(
            project,
            "snapshots/two.sql",
            "{% snapshot one_more %}{{ config(unique_key='a', strategy='check', check_cols='all', "
            "target_schema='s') }}\nselect * from {{ ref('dim_bikes') }}{% endsnapshot %}\n"
            "{%- snapshot another -%}{{ config(unique_key='a', strategy='check', check_cols='all', "
            "target_schema='s') }}select 1 as a{%- endsnapshot -%}\n",
        ),
        write(
            project,
            "snapshots/yaml.yml",
            "snapshots:\n  - name: all_yaml\n    relation: ref('stg_bikes')\n    description: Of YAML alone.\n    config:\n"
            "      unique_key: bike_id\n      strategy: check\n      check_cols: all\n",
        ),
    ]


def described_otherwise(project: Path) -> list[Path]:
    text = remove(project, f"{MARTS}/dim_riders.yml")
    return [
        write(project, f"{MARTS}/people/riders.yml", text.replace("columns:", "columns:\n      - name: added")),
        replace(
            project, f"{MARTS}/_marts.yml", "      - name: trips\n", "      - name: trips\n        data_type: int\n"
        ),
        replace(
            project, "models/staging/_billing__sources.yml", "    - name: card_brand\n", "    - name: card_make\n"
        ),
    ]


def no_longer_described(project: Path) -> list[Path]:
    text = (project / MARTS / "_marts.yml").read_text("utf-8")
    start = text.index("  - name: dim_stations")
    end = text.index("  - name: daily_station_trips")
    return [write(project, f"{MARTS}/_marts.yml", text[:start] + text[end:])]


def another_version(project: Path) -> list[Path]:
    return [
        replace(
            project,
            f"{MARTS}/dim_bikes.yml",
            "      - v: 1\n",
            "      - v: 1\n      - v: 3\n        defined_in: bikes_of_tomorrow\n        columns:\n"
            "          - include: [bike_id, purchased_on]\n          - name: wheels\n",
        ),
        write(project, f"{MARTS}/bikes_of_tomorrow.sql", "select bike_id from {{ ref('dim_bikes', v=2) }}\n"),
        write(project, f"{MARTS}/newest.sql", "select * from {{ ref('dim_bikes') }}\n"),
    ]


def switched_off(project: Path) -> list[Path]:
    replace(
        project,
        "dbt_project.yml",
        "    marts:\n",
        "    dark:\n      +enabled: \"{{ var('on', false) }}\"\n    tagged:\n      +tags: [t]\n      +meta: {m: 1}\n    marts:\n",
    )
    return [
        replace(project, f"{MARTS}/monthly_revenue.sql", "with", "{{ config(enabled=var('on', false)) }}\nwith"),
        write(project, "models/dark/off.sql", "select 1 as a"),
        write(project, "models/tagged/bright.sql", "{{ config(tags='u', alias='elsewhere') }}select 1 as a"),
    ]


def other_seeds_and_docs(project: Path) -> list[Path]:
    first, *rest = (project / "seeds/bike_models.csv").read_text("utf-8").splitlines()
    table = "\n".join([f"{first},more", *(f"{line},1" for line in rest)])
    glossary = (project / "docs/glossary.md").read_text("utf-8")
    return [
        write(project, "seeds/bike_models.csv", table),
        write(project, "docs/glossary.md", glossary.replace("{% enddocs %}", "It is said.\n{% enddocs %}", 1)),
    ]


SITUATIONS = [
    nothing,
    other_sql,
    sql_further_up,
    renamed,
    deleted,
    moved,
    made,
    described_otherwise,
    no_longer_described,
    another_version,
    switched_off,
    other_seeds_and_docs,
]


@pytest.mark.parametrize("change", SITUATIONS, ids=lambda change: change.__name__)
def test_what_is_read_is_what_dbt_parses(tmp_path: Path, change: Callable[[Path], list[Path]]) -> None:
    project = copy_demo(tmp_path / "demo")
    files = change(project)
    parsed = parse(project)

    over_the_old_manifest = read(project, manifest=True)
    of_some_files = read(project, *files, manifest=True)
    without_a_manifest = read(project, manifest=False)
    of_some_files_alone = read(project, *files, manifest=False)

    agree(over_the_old_manifest, parsed, texts=False)
    agree(without_a_manifest, parsed, texts=True)
    meant = [
        unique_id
        for file in files
        for node in parsed.nodes_in_file(file.relative_to(project).as_posix(), "quayside")
        for unique_id in (node.unique_id, *parsed.ancestors_by_distance(node.unique_id))
    ]
    agree(of_some_files, parsed, *meant, texts=False)
    agree(of_some_files_alone, parsed, *meant, texts=True)
    docs = {key: block.text.strip() for key, block in parsed.docs.items() if key[0] == "quayside"}
    for index in (over_the_old_manifest, without_a_manifest):
        assert {key: block.text.strip() for key, block in index.docs.items() if key[0] == "quayside"} == docs
