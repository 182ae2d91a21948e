"""dbt-osmosis after this, as docs/dbt-osmosis.md recommends it: it undoes none of our texts, and both come to rest.

The program beside the one that ``OSMOSIS_TEST_DBT_OSMOSIS`` names is dbt-osmosis, with requirements/dbt.txt installed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from osmosis_hooks.cli import main
from projects import copy_demo, schema_files

# Read at import: the tests' own environment is free of OSMOSIS_… variables.
GIVEN = os.environ.get("OSMOSIS_TEST_DBT_OSMOSIS")

pytestmark = [
    pytest.mark.skipif(GIVEN is None, reason="OSMOSIS_TEST_DBT_OSMOSIS names no environment with dbt-osmosis"),
    pytest.mark.xdist_group("dbt-osmosis"),
]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dbt-osmosis.md"
NO_WAREHOUSE = ("--disable-introspection", "--catalog-path", "target/catalog.json")
PATHS = '\nvars:\n  dbt_osmosis_default_path: "_{parent}_more.yml"\n'


def recommended() -> list[str]:
    """The options that the page recommends."""
    found = re.search(r"^\$ dbt-osmosis yaml document (--[^#\n]*)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1].split()


def osmosis(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert GIVEN is not None
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "SYSTEMROOT", "TMPDIR"}}
    command = [Path(GIVEN).with_name("dbt-osmosis"), "yaml", "document", "--project-dir", ".", "--profiles-dir", "."]
    return subprocess.run(
        [*map(str, command), *NO_WAREHOUSE, *options],
        cwd=project,
        env=kept | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def descriptions(project: Path) -> dict[tuple[str, ...], str]:
    """Each description as YAML reads it, by where it stands; dbt-osmosis ends texts of several lines with a line break."""
    found: dict[tuple[str, ...], str] = {}
    for path in schema_files(project):
        found |= _descriptions(YAML(typ="safe").load(path.read_text("utf-8")))
    return found


def _descriptions(data: Any, *place: str) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    if isinstance(data, dict):
        place = (*place, str(data.get("name", data.get("v", ""))))
        if data.get("description"):
            found[place] = data["description"].strip()
        for key, value in data.items():
            if key not in {"unit_tests", "data_tests", "tests", "meta", "config"}:
                found |= _descriptions(value, *place, key)
    elif isinstance(data, list):
        for item in data:
            found |= _descriptions(item, *place)
    return found


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The demo with what can be filled for free."""
    project = copy_demo(tmp_path / "demo")
    settings = project / "dbt_project.yml"
    settings.write_text(settings.read_text("utf-8") + PATHS, "utf-8")
    assert run(project) == 1
    return project


def run(project: Path) -> int:
    return main(["run", "--all", "--offline", "--facts", "--project-dir", str(project)])


def test_with_the_recommended_options_no_text_is_undone_and_both_come_to_rest(filled: Path) -> None:
    ours = descriptions(filled)
    assert len(ours) > 150
    done = osmosis(filled, *recommended())
    assert done.returncode == 0, done.stdout + done.stderr
    after = descriptions(filled)
    assert {place: after.get(place) for place in ours} == ours
    # The manifest that dbt-osmosis leaves names neither the project nor the warehouse.
    metadata = json.loads((filled / "target/manifest.json").read_text("utf-8"))["metadata"]
    assert (metadata["project_name"], metadata["adapter_type"]) == (None, None)
    texts = {path: path.read_bytes() for path in schema_files(filled)}
    assert run(filled) == 0
    check = osmosis(filled, *recommended(), "--dry-run", "--check")
    assert check.returncode == 0, check.stdout + check.stderr
    assert {path: path.read_bytes() for path in schema_files(filled)} == texts


def test_without_them_references_to_doc_blocks_are_replaced(filled: Path) -> None:
    ours = descriptions(filled)
    assert osmosis(filled).returncode == 0
    after = descriptions(filled)
    undone = {place: text for place, text in ours.items() if after.get(place) != text}
    assert undone
    assert all("{{ doc(" in text for text in undone.values())
