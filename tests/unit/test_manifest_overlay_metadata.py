"""A manifest without the project's name: dbt writes such a one from the partial parse that dbt-osmosis leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import Settings
from small_projects import SCHEMA, build, table


@pytest.mark.parametrize("profiles", [None, "shop: {target: dev, outputs: {dev: {type: snowflake}}}\n"])
def test_it_is_the_project_s_own(tmp_path: Path, profiles: str | None) -> None:
    root = build(tmp_path / "shop", table("m", {"a": None}, sql="select 1 as a"))
    manifest = root / "target/manifest.json"
    data = json.loads(manifest.read_text("utf-8"))
    data["metadata"] |= {"project_name": None, "project_id": None, "adapter_type": None}
    manifest.write_text(json.dumps(data), "utf-8")
    if profiles is not None:
        (root / "profiles.yml").write_text(profiles, "utf-8")
    project = Project(root, Settings())
    assert project.index.metadata.project_name == "shop"
    assert project.index.metadata.adapter_type == ("snowflake" if profiles else "")
    assert [gap.unique_id for gap in project.survey(Request((root / SCHEMA,))).gaps] == ["model.shop.m"] * 2
