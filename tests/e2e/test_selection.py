"""Selectors mean what they mean to dbt itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from osmosis_synthesize.engine.selection import is_name, select
from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.manifest.load import load
from projects import copy_demo

# Read at import: the tests' own environment is free of OSMOSIS_… variables.
DBT = shutil.which(os.environ.get("OSMOSIS_TEST_DBT") or "dbt")

SELECTORS = [
    "fct_rentals",
    "dim_bikes",
    "dim_bikes.v1",
    "dim_bikes_v2",
    "staging",
    "quayside.staging",
    "quayside.staging.stg_bikes",
    "quayside",
    "stg_*",
    "marts.dim_*",
    "+fct_rentals",
    "1+fct_rentals",
    "stg_bikes+",
    "stg_bikes+1",
    "2+dim_riders+1",
    "@stg_riders",
    "path:models/marts",
    "path:models/marts/",
    "path:models/*/stg_*.sql",
    "models/staging/_staging.yml",
    "models/marts/fct_rentals.sql",
    "fct_rentals.sql",
    "file:fct_rentals",
    "tag:finance",
    "tag:fin*",
    "source:*",
    "source:billing",
    "source:billing+",
    "source:billing.card_payments+1",
    "source:quayside.landing.*",
    "staging,+fct_rentals",
    "stg_bikes dim_riders",
    "+dim_riders,path:models/staging stg_bikes",
    "resource_type:seed",
    "package:quayside,tag:finance",
    "package:this,resource_type:snapshot",
    "nothing_of_this_name",
    "path:no/such/folder",
]

_ASK_DBT = """
import contextlib, io, json, sys
from dbt.cli.main import dbtRunner
runner = dbtRunner()
manifest = runner.invoke(["--quiet", "parse", "--profiles-dir", "."]).result
asking = dbtRunner(manifest=manifest)
answers = {}
for selector in json.loads(sys.argv[1]):
    kinds = [word for kind in ("model", "seed", "snapshot", "source") for word in ("--resource-type", kind)]
    with contextlib.redirect_stdout(io.StringIO()):
        found = asking.invoke(
            ["--quiet", "ls", "--profiles-dir", ".", "--select", *selector.split(), *kinds,
             "--output", "json", "--output-keys", "unique_id"])
    answers[selector] = [json.loads(line)["unique_id"] for line in found.result or []]
print(json.dumps(answers))
"""


@pytest.mark.xdist_group("dbt")
@pytest.mark.skipif(DBT is None, reason="no dbt: name one in OSMOSIS_TEST_DBT, or have one on the PATH")
def test_each_selector_means_what_it_means_to_dbt(tmp_path: Path) -> None:
    demo = copy_demo(tmp_path / "demo")
    staging = demo / "models/staging/stg_bikes.sql"
    staging.write_text("{{ config(tags=['finance', 'daily']) }}\n" + staging.read_text("utf-8"), "utf-8")
    assert DBT is not None
    asked = subprocess.run(
        [Path(DBT).parent / "python", "-c", _ASK_DBT, json.dumps(SELECTORS)],
        cwd=demo,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert asked.returncode == 0, asked.stderr
    theirs = json.loads(asked.stdout.splitlines()[-1])
    index = load(demo / "target/manifest.json")
    ours = {selector: sorted(select(selector, index, demo)) for selector in SELECTORS}
    assert ours == {selector: sorted(found) for selector, found in theirs.items()}
    assert sum(map(bool, ours.values())) >= len(SELECTORS) - 2


def test_what_is_no_selector_is_said_to_be_none(tmp_path: Path) -> None:
    demo = copy_demo(tmp_path / "demo")
    index = load(demo / "target/manifest.json")
    for wrong, said in (
        ("state:modified", "no method 'state'"),
        ("tag:", "names nothing"),
        ("+", "names nothing"),
        ("path:/etc", "no path in the project"),
        ("source:a.b.c.d", "source:NAME"),
    ):
        with pytest.raises(UsageError, match=said):
            select(wrong, index, demo)


def test_plain_names_are_told_from_what_needs_the_graph() -> None:
    assert all(map(is_name, ("orders", "orders.v2", "shop.raw_orders", "model.shop.orders")))
    assert not any(map(is_name, ("+orders", "tag:x", "models/x", "stg_*", "a b", "a,b", "orders.sql")))
