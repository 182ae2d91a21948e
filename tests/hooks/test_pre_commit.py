"""The hooks under the real pre-commit program, in real git repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_repositories import PROGRAMS, Repository, Tools
from small_projects import SCHEMA, build, table

pytestmark = pytest.mark.xdist_group("pre-commit")  # the environments of the hooks are made once

PRE_COMMIT = PROGRAMS / "pre-commit"
RAW = table("raw.purchases", {"id": "Number of the order."}, description="Orders of the shop.", file="models/raw.yml")
ORDERS = table(
    "orders",
    {"order_id": None, "total": None},
    sql="select id as order_id, id + 1 as total from purchases",
    of=["raw.purchases"],
    description="Orders.",
)


@pytest.fixture
def shop(tools: Tools, tmp_path: Path) -> Repository:
    """A repository that is a dbt project with two gaps, one of which can be inherited. Nothing is committed yet."""
    repository = Repository(build(tmp_path / "shop", RAW, ORDERS), tools.environ)
    repository.git("init", "--quiet")
    (repository.path / ".gitignore").write_text("target/\n", "utf-8")
    return repository


def test_try_repo(shop: Repository, tools: Tools) -> None:
    shop.git("add", "--all")
    done = shop.run(PRE_COMMIT, "try-repo", tools.hooks, "osmosis-inherit", "--all-files", code=1)
    assert f"{SCHEMA}:8: orders.order_id inherited from raw.purchases.id (renamed)" in done.out
    assert 'description: "Number of the order."' in shop.text(SCHEMA)


def test_an_installation(shop: Repository, tools: Tools) -> None:
    (shop.path / ".pre-commit-config.yaml").write_text(tools.config(["osmosis-inherit"]), "utf-8")
    (shop.path / ".git/hooks/pre-commit").unlink()
    shop.run(PRE_COMMIT, "install", code=0)
    shop.git("add", "--all")
    done = shop.git("commit", "--message", "Add orders", code=1)
    assert f"{SCHEMA}:8: orders.order_id inherited from raw.purchases.id (renamed)" in done.out
    shop.git("add", "--all")
    shop.git("commit", "--message", "Add orders")
    assert "Number of the order" in shop.git("show", f"HEAD:{SCHEMA}").out


@pytest.mark.parametrize("name", ["osmosis-inherit", "osmosis-synthesize"])
def test_prek(shop: Repository, tools: Tools, name: str) -> None:
    (shop.path / ".pre-commit-config.yaml").write_text(tools.config([name]), "utf-8")
    shop.git("add", "--all")
    done = shop.run(PROGRAMS / "prek", "run", code=1)
    assert f"{SCHEMA}:8: orders.order_id inherited from raw.purchases.id (renamed)" in done.out
    assert 'description: "Number of the order."' in shop.text(SCHEMA)
