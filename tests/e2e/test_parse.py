"""``run --parse`` with a real dbt, which ``OSMOSIS_TEST_DBT`` names or the PATH has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from osmosis_hooks.cli import main
from projects import copy_demo

# Read at import: the tests' own environment is free of OSMOSIS_… variables.
DBT = shutil.which(os.environ.get("OSMOSIS_TEST_DBT") or "dbt")

pytestmark = pytest.mark.skipif(DBT is None, reason="no dbt: name one in OSMOSIS_TEST_DBT, or have one on the PATH")

FILE = "models/marts/_marts.yml"


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert DBT is not None
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(DBT).parent), os.environ["PATH"]]))
    project = copy_demo(tmp_path / "demo")
    (project / "target/manifest.json").unlink()
    return project


def test_a_real_dbt_writes_the_manifest(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--hook", "--parse", "--inherit-only", str(demo / FILE)]) == 1
    out, err = capsys.readouterr()
    assert (demo / "target/manifest.json").stat().st_size > 10_000
    assert "dbt parse" not in err
    assert "9 of 18 gaps filled (9 inherited)" in out


def test_what_a_real_dbt_says_when_it_fails(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (demo / "models/marts/broken.sql").write_text("select {{ nonsense('x') ", "utf-8")
    main(["run", "--hook", "--parse", "--inherit-only", str(demo / FILE)])
    _, err = capsys.readouterr()
    assert "`dbt parse` failed with exit code" in err
    assert "broken.sql" in err, "it says where"
    assert "\x1b" not in err
