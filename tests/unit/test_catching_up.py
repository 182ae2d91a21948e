"""An index is brought up to date from files: from those that matter, from nothing outside, and from whatever stands in them.

That it is then what dbt itself would have parsed is shown in ``tests/e2e/test_against_dbt_parse.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings
from projects import copy_demo
from small_projects import build, table

RAW = table("raw.purchases", {"id": "Number of the order.", "amount": "Sum."}, file="models/raw.yml")
ORDERS = table("orders", {"id": None}, sql="select id from purchases", of=["raw.purchases"])


def opened(root: Path, *files: str, buffers: dict[str, str] | None = None, **options: Any) -> Project:
    """The project, brought up to date with some files, or with all."""
    texts = {(root / name).resolve(): text for name, text in (buffers or {}).items()}
    project = Project(root, load_settings(root, environ={}), buffers=texts, **options)
    project.catch_up(Request(tuple(root / name for name in files), whole_project=not files))
    return project


def bare(root: Path, files: dict[str, str | bytes]) -> Path:
    """A project without a manifest."""
    files = {"dbt_project.yml": "name: shop\nprofile: shop\n", **files}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return root


# --- only what matters is read ---

_OPENED: list[str] | None = None


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _OPENED is not None and isinstance(arguments[0], str | os.PathLike):
        _OPENED.append(os.fspath(arguments[0]))


@pytest.fixture
def files_opened() -> Callable[[Path, Callable[[], object]], set[str]]:
    """Runs something, and says which files below a folder Python opened meanwhile."""
    sys.addaudithook(_note_opened)

    def run(folder: Path, action: Callable[[], object]) -> set[str]:
        global _OPENED  # noqa: PLW0603 - an audit hook cannot be removed, so it is switched on and off
        _OPENED = []
        try:
            action()
            return {
                Path(name).relative_to(folder).as_posix() for name in _OPENED if str(name).startswith(f"{folder}/")
            }
        finally:
            _OPENED = None

    return run


def test_what_is_as_the_manifest_saw_it_leaves_the_index_as_it_is(tmp_path: Path) -> None:
    root = build(tmp_path, RAW, ORDERS)
    project = Project(root, load_settings(root, environ={}))
    before = project.index
    project.catch_up(Request((root / "models/orders.sql", root / "models/_models.yml")))
    assert project.index is before
    assert project.notes == []


def test_of_some_files_only_these_and_what_they_are_built_from_are_read(
    tmp_path: Path, files_opened: Callable[[Path, Callable[[], object]], set[str]]
) -> None:
    others = [table(f"other_{number}", sql="select 1 as id") for number in range(20)]
    child = table("child", sql="select id from orders", of=["orders"])
    root = build(tmp_path, RAW, ORDERS, child, *others).resolve()
    (root / "models/child.sql").write_text("select id, id as more from {{ ref('orders') }}", "utf-8")

    def work() -> None:
        assert opened(root, "models/child.sql").index.parents("model.shop.child") == ("model.shop.orders",)

    read = files_opened(root, work)
    assert read >= {"models/child.sql", "models/orders.sql"}
    assert not [name for name in read if "other_" in name]


def test_a_model_that_nobody_knows_is_found_by_its_name(tmp_path: Path) -> None:
    root = build(tmp_path, RAW, ORDERS)
    (root / "models/deep").mkdir()
    (root / "models/deep/new.sql").write_text("select id from {{ source('raw', 'purchases') }}", "utf-8")
    (root / "models/newer.sql").write_text("select id from {{ ref('new') }}", "utf-8")
    index = opened(root, "models/newer.sql").index
    assert index.parents("model.shop.newer") == ("model.shop.new",)
    assert index.parents("model.shop.new") == ("source.shop.raw.purchases",)
    assert index.children("model.shop.new") == ("model.shop.newer",)


def test_columns_come_from_the_sql_as_it_is(tmp_path: Path) -> None:
    root = build(tmp_path, RAW, ORDERS)
    (root / "models/orders.sql").write_text("select id, amount from {{ source('raw', 'purchases') }}", "utf-8")
    project = opened(root, "models/orders.sql")
    assert [column.name for column in project.lineage["model.shop.orders"].columns] == ["id", "amount"]
    request = Request((root / "models/orders.sql",), add_columns=True)
    assert ("model.shop.orders", "amount") in {gap.id for gap in project.survey(request).gaps}
    assert "is older than 1 of the nodes (orders)" in project.notes[-1]


def test_what_is_open_in_an_editor_stands_for_its_file(tmp_path: Path) -> None:
    root = build(tmp_path, RAW, ORDERS)
    project = opened(
        root,
        "models/draft.sql",
        "models/_models.yml",
        buffers={
            "models/draft.sql": "select id from {{ ref('orders') }}",
            "models/_models.yml": "models: [{name: orders, columns: [{name: other}]}]",
        },
    )
    assert project.index.parents("model.shop.draft") == ("model.shop.orders",)
    assert [column.name for column in project.index.nodes["model.shop.orders"].columns] == ["other"]


def test_a_second_look_finds_nothing_new(tmp_path: Path) -> None:
    root = build(tmp_path, RAW, ORDERS)
    (root / "models/new.sql").write_text("select 1 as id", "utf-8")
    project = opened(root, "models/new.sql")
    index = project.index
    project.catch_up(Request((root / "models/new.sql",)))
    assert project.index is index
    project.catch_up(Request((root / "models/new.sql", root / "models/orders.sql")))
    assert project.index is index


# --- without a manifest ---


def test_the_demo_without_a_manifest_has_the_same_gaps_and_inherits_the_same(tmp_path: Path) -> None:
    import asyncio

    from osmosis_synthesize.store import Store

    def inherited(root: Path, catalog: Path | None) -> dict[object, object]:
        project = Project(root, load_settings(root, environ={}), catalog=catalog)
        everything = Request(whole_project=True)
        project.catch_up(everything)
        gaps = project.survey(everything).gaps
        with Store.open() as store:
            plan = asyncio.run(project.plan(gaps, project.caller(store, mode="inherit-only")))
        found: dict[object, object] = {gap.id: None for gap in gaps}
        return found | {one.gap.id: (one.text, one.source) for node in plan.nodes for one in node.proposals}

    root = copy_demo(tmp_path / "demo")
    with_manifest = inherited(root, None)
    shutil.rmtree(root / "target")
    assert inherited(root, None) == with_manifest
    assert sum(value is not None for value in with_manifest.values()) > 40


def test_it_says_once_what_was_not_possible(tmp_path: Path) -> None:
    root = bare(tmp_path, {"models/a.sql": "select 1 as id"})
    project = opened(root)
    project.catch_up(Request((root / "models/a.sql",)))
    [note] = project.notes
    assert "There is no manifest at" in note
    assert "The kind of warehouse is not known" in note
    assert "`dbt parse`" in note


@pytest.mark.parametrize(
    ("profiles", "kind"),
    [
        ("shop: {target: dev, outputs: {dev: {type: bigquery}, prod: {type: snowflake}}}", "bigquery"),
        ("shop: {target: \"{{ env_var('T') }}\", outputs: {a: {type: duckdb}, b: {type: duckdb}}}", "duckdb"),
        ("shop: {target: \"{{ env_var('T') }}\", outputs: {a: {type: duckdb}, b: {type: spark}}}", ""),
        ("other: {target: dev, outputs: {dev: {type: duckdb}}}", ""),
        ("shop: {target: dev, outputs: {dev: {type: [1]}}}", ""),
        ("shop: {target: dev, outputs: {dev: {type: '../../x'}}}", ""),
        ("shop: [", ""),
        ("", ""),
    ],
)
def test_the_kind_of_warehouse_is_that_of_the_project_s_own_profile(tmp_path: Path, profiles: str, kind: str) -> None:
    root = bare(tmp_path, {"profiles.yml": profiles, "models/a.sql": "select 1 as id"})
    assert opened(root).index.metadata.adapter_type == kind


PACKAGE = {
    "dbt_packages/lib/dbt_project.yml": "name: lib\nvars: {lib_on: true}\nmodels: {lib: {+materialized: ephemeral}}\n",
    "dbt_packages/lib/models/far/lib_orders.sql": "{{ config(enabled=var('lib_on', false)) }}select id from {{ source('raw', 't') }}",
    "dbt_packages/lib/models/far/lib.yml": (
        "sources: [{name: raw, tables: [{name: t}]}]\n"
        "models: [{name: lib_orders, columns: [{name: id, description: \"{{ doc('lib_id') }}\"}]}]\n"
    ),
    "dbt_packages/lib/models/far/texts.md": "{% docs lib_id %}\nNumber in the library.\n{% enddocs %}",
    "dbt_packages/lib/macros/m.sql": "{% macro theirs() %}{{ ref('lib_orders') }}{% endmacro %}",
}


def test_installed_packages_are_read(tmp_path: Path) -> None:
    root = bare(tmp_path, {**PACKAGE, "models/a.sql": "select id from {{ lib.theirs() }}"})
    index = opened(root, "models/a.sql").index
    assert index.parents("model.shop.a") == ("model.lib.lib_orders",)
    assert index.parents("model.lib.lib_orders") == ("source.lib.raw.t",)
    node = index.nodes["model.lib.lib_orders"]
    assert (node.path, node.schema_path, node.schema_package) == (
        "models/far/lib_orders.sql",
        "models/far/lib.yml",
        "lib",
    )
    assert [(column.name, column.description) for column in node.columns] == [("id", "Number in the library.")]
    assert node.config["materialized"] == "ephemeral"
    assert not index.is_editable(node)


def test_the_project_s_own_vars_rule_those_of_a_package(tmp_path: Path) -> None:
    own = "name: shop\nvars: {lib: {lib_on: false}}\n"
    root = bare(
        tmp_path, {**PACKAGE, "dbt_project.yml": own, "models/a.sql": "select id from {{ ref('lib_orders') }}"}
    )
    assert [*opened(root).index.nodes] == ["model.shop.a"]


def test_a_node_that_is_not_enabled_is_none(tmp_path: Path) -> None:
    project = "name: shop\nmodels: {shop: {dark: {+enabled: \"{{ var('light', false) }}\"}}}\nvars: {light: false}\n"
    root = bare(
        tmp_path,
        {
            "dbt_project.yml": project,
            "models/dark/a.sql": "select 1 as id",
            "models/b.sql": "{{ config(enabled=false) }}select 1 as id",
            "models/c.sql": "select 1 as id",
            "models/x.yml": "models: [{name: c, config: {enabled: false}}]\nsources: [{name: s, config: {enabled: no}, tables: [{name: t}]}]",
            "models/d.sql": "select * from {{ ref('a') }}, {{ ref('b') }}, {{ source('s', 't') }}",
        },
    )
    index = opened(root).index
    assert [*index.nodes] == ["model.shop.d"]
    left_out = ["model.shop.a", "model.shop.b", "model.shop.c", "source.shop.s.t"]
    assert [one for one in (*left_out, "model.shop.d", "model.shop.e") if index.is_disabled(one)] == left_out


# --- whatever stands in the files, and wherever they are ---


def test_nothing_outside_the_project_is_read(
    tmp_path: Path, files_opened: Callable[[Path, Callable[[], object]], set[str]]
) -> None:
    outside = tmp_path / "outside"
    bare(
        outside,
        {
            "models/secret.sql": "select 1 as id",
            "dbt_project.yml": "name: far\n",
            "s.yml": "models: [{name: secret}]",
        },
    )
    root = bare(tmp_path / "shop", {"models/a.sql": "select * from {{ ref('secret') }}, {{ ref('far') }}"})
    (root / "models/secret.sql").symlink_to(outside / "models/secret.sql")
    (root / "models/s.yml").symlink_to(outside / "s.yml")
    (root / "models/folder").symlink_to(outside / "models", target_is_directory=True)
    (root / "dbt_packages").mkdir()
    (root / "dbt_packages/far").symlink_to(outside, target_is_directory=True)
    bare(root / "dbt_packages/near", {"dbt_project.yml": "name: near\nmodel-paths: [../../../outside/models]\n"})
    (root / "profiles.yml").write_text("shop: {}", "utf-8")

    def work() -> None:
        for project in (opened(root), opened(root, "models/a.sql", "models/secret.sql", "models/folder/secret.sql")):
            assert [*project.index.nodes] == ["model.shop.a"]

    assert files_opened(outside.resolve(), work) == set()


def test_a_manifest_leads_nowhere_else(
    tmp_path: Path, files_opened: Callable[[Path, Callable[[], object]], set[str]]
) -> None:
    outside = bare(tmp_path / "outside", {"x.sql": "select 1 as id", "x.yml": "models: [{name: far}]"})
    far = table(
        "far", sql="select 2 as id", original_file_path="../outside/x.sql", patch_path="shop://../outside/x.yml"
    )
    root = build(tmp_path / "shop", RAW, ORDERS)
    manifest = json.loads((root / "target/manifest.json").read_text("utf-8"))
    from small_projects import manifest as made

    manifest["nodes"] |= made(far)["nodes"]
    (root / "target/manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert files_opened(outside.resolve(), lambda: opened(root)) == set()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"select '\xff\xfe' as id", "is not UTF-8"),
        (b"select 1 as id \0 \0", "it is no text"),
        (b"-- " + b"x" * 1_000_001, "larger than 1 MB"),
        (b"select {{ ref('b') }} {% if %}", "its Jinja is not resolved"),
        (
            b"{% for i in range(10000) %}{% for j in range(10000) %}{{ ref('b') }}{% endfor %}{% endfor %}",
            "its Jinja",
        ),
        (b"{{ ref('b') }}{{ ''.__class__.__mro__[1].__subclasses__() }}", None),
        (b"selekt ((( from {{ ref('b') }}", None),
        (b"{{ config(materialized=ref) }}{{ ref(1) }}{{ ref('b') }}{{ source('x') }}{{ ref('a', 'b', 'c') }}", None),
        (b"", None),
    ],
)
def test_what_cannot_be_read_is_a_node_all_the_same(tmp_path: Path, content: bytes, says: str | None) -> None:
    root = bare(tmp_path, {"models/a.sql": content, "models/b.sql": "select 1 as id"})
    project = opened(root)
    assert [*project.index.nodes] == ["model.shop.a", "model.shop.b"]
    told = [note for note in project.notes if "models/a.sql" in note]
    assert [says in note for note in told] == ([] if says is None else [True])
    assert project.index.parents("model.shop.a") == (("model.shop.b",) if b"ref('b')" in content else ())
    assert project.lineage["model.shop.a"] is not None


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    root = bare(tmp_path, {"models/b.sql": "select * from {{ ref('a') }}"})
    for name in ("models/a.sql", "models/c.md", "macros.sql"):
        os.mkfifo(root / name)
    assert [*opened(root).index.nodes] == ["model.shop.b"]


def test_models_may_depend_on_each_other_in_a_circle(tmp_path: Path) -> None:
    root = bare(
        tmp_path,
        {"models/a.sql": "{{ ref('b') }}", "models/b.sql": "{{ ref('a') }}", "models/c.sql": "{{ ref('c') }}"},
    )
    index = opened(root, "models/a.sql").index
    assert index.parents("model.shop.a") == ("model.shop.b",)
    assert index.parents("model.shop.b") == ("model.shop.a",)
    assert index.parents("model.shop.c") == ()


def test_a_long_chain_is_followed(tmp_path: Path) -> None:
    chain = {f"models/m{number}.sql": f"select * from {{{{ ref('m{number - 1}') }}}}" for number in range(1, 500)}
    root = bare(tmp_path, {"models/m0.sql": "select 1 as id", **chain})
    index = opened(root, "models/m499.sql").index
    assert len(index.ancestors_by_distance("model.shop.m499")) == 499


def test_what_is_gone_is_nobody_s_parent(tmp_path: Path) -> None:
    child = table("child", sql="select id from orders", of=["orders", "raw.purchases"])
    root = build(tmp_path, RAW, ORDERS, child)
    (root / "models/orders.sql").unlink()
    for project in (opened(root), opened(root, "models/child.sql"), opened(root, "models/_models.yml")):
        index = project.index
        assert "model.shop.orders" not in index.nodes
        assert index.parents("model.shop.child") == index.nodes["model.shop.child"].depends_on
        assert index.parents("model.shop.child") == ("source.shop.raw.purchases",)
        assert set(index.order) == set(index.nodes)
        assert index.nodes_in_file("models/orders.sql", "shop") == ()
        assert project.survey(Request(whole_project=True)).gaps
        assert "is older than 1 of the nodes (orders)" in project.notes[0]


def test_a_file_that_was_moved_is_the_same_node(tmp_path: Path) -> None:
    root = build(tmp_path, RAW, ORDERS, table("child", sql="select id from orders", of=["orders"]))
    before = Project(root, load_settings(root, environ={})).index.nodes["model.shop.orders"]
    assert before.compiled_code
    (root / "models/far").mkdir()
    (root / "models/orders.sql").rename(root / "models/far/orders.sql")
    for files in ((), ("models/child.sql",), ("models/far/orders.sql",), ("models/_models.yml",)):
        project = opened(root, *files)
        index = project.index
        assert index.nodes["model.shop.orders"].path == "models/far/orders.sql"
        assert index.nodes["model.shop.orders"].compiled_code == before.compiled_code
        assert index.parents("model.shop.orders") == before.depends_on
        assert project.notes == []
        assert index.nodes["model.shop.orders"].schema_path == "models/_models.yml"
        assert index.parents("model.shop.child") == ("model.shop.orders",)
