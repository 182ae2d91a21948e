"""dbt-osmosis's options for inheritance: where they are read, and what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.engine.inherit import Inheritable, inherit
from osmosis_synthesize.engine.osmosis_options import NOTHING_SET, ColumnOptions, Options
from osmosis_synthesize.engine.prepare import Work
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.project import Project
from osmosis_synthesize.project import Request as ProjectRequest
from osmosis_synthesize.settings import load_settings
from small_projects import SCHEMA, Table, build, table

SKIP = ColumnOptions(skip_inherit=True)
RAW = table("raw.a", {"id": "Order.", "name": "Name.", "cents": "In cents, as an integer."})


def options_of(folder: Path, child: Table, variables: dict[str, Any] | None = None) -> ColumnOptions:
    index = load(build(folder, RAW, child) / "target/manifest.json")
    return Options(index, variables).of(child.unique_id, "id")


SPELLINGS: list[dict[str, Any]] = [
    {"dbt-osmosis-skip-inherit-descriptions": True},
    {"dbt_osmosis_skip_inherit_descriptions": True},
    {"dbt-osmosis-options": {"skip-inherit-descriptions": True}},
    {"dbt-osmosis-options": {"skip_inherit_descriptions": True}},
    {"dbt_osmosis_options": {"skip_inherit_descriptions": True}},
    {"dbt_osmosis_options": {"skip-inherit-descriptions": "true"}},
]
BARE: list[dict[str, Any]] = [{"skip-inherit-descriptions": True}, {"skip_inherit_descriptions": "yes"}]


@pytest.mark.parametrize("written", [*SPELLINGS, *BARE], ids=str)
def test_every_place_and_spelling(tmp_path: Path, written: dict[str, Any]) -> None:
    plain = {"id": None}
    of_column = table("child", {"id": {"meta": written}}, of=["raw.a"])
    of_columns_config = table("child", {"id": {"config": {"meta": written}}}, of=["raw.a"])
    of_node = table("child", plain, of=["raw.a"], meta=written)
    of_nodes_config_meta = table("child", plain, of=["raw.a"], config={"meta": written})
    in_config = table("child", plain, of=["raw.a"], config=written)
    for number, child in enumerate([of_column, of_columns_config, of_node, of_nodes_config_meta]):
        assert options_of(tmp_path / str(number), child) == SKIP
    assert options_of(tmp_path / "config", in_config) == (SKIP if written in SPELLINGS else NOTHING_SET)
    for name in ("dbt-osmosis", "dbt_osmosis"):
        assert options_of(tmp_path / name, table("child", plain, of=["raw.a"]), {name: written}) == SKIP


def test_nearer_places_win_and_false_is_said_too(tmp_path: Path) -> None:
    key = "dbt-osmosis-skip-inherit-descriptions"
    child = table("child", {"id": {"meta": {key: False}}}, of=["raw.a"], meta={key: True}, config={key: True})
    assert options_of(tmp_path / "1", child, {"dbt-osmosis": {key: True}}) == NOTHING_SET
    child = table("child", {"id": None}, of=["raw.a"], meta={key: "false"}, config={key: True})
    assert options_of(tmp_path / "2", child) == NOTHING_SET


@pytest.mark.parametrize("odd", [{"dbt-osmosis-options": None}, {"dbt-osmosis-options": "x"}, {"prefix": None}])
def test_odd_values_are_nothing(tmp_path: Path, odd: dict[str, Any]) -> None:
    assert options_of(tmp_path, table("child", {"id": {"meta": odd}}, of=["raw.a"], meta=odd)) == NOTHING_SET


def test_an_unknown_node_has_none(tmp_path: Path) -> None:
    index = load(build(tmp_path, RAW) / "target/manifest.json")
    assert Options(index).of("model.shop.gone", "id") == NOTHING_SET


# --- what they do ---


def open_work(root: Path) -> Work:
    return Project(root, load_settings(root)).work(())


def ask(root: Path, child: Table, column: str) -> str:
    work = open_work(root)
    found = inherit(
        child.unique_id,
        column,
        graph=work.index,
        lineage=work.lineage,
        texts=_Texts(work),
        options=work.options,
    )
    if isinstance(found, Inheritable):
        return f"{found.text} | {found.upstream.label} {found.upstream.how}"
    return f"- {found.reason}"


class _Texts:
    def __init__(self, work: Work) -> None:
        from osmosis_synthesize.engine.descriptions import Progress

        self.known = Progress(work.descriptions).known


def python(columns: dict[str, Any], *of: str, name: str = "child", **fields: Any) -> Table:
    """A model whose SQL nobody knows."""
    return table(name, columns, sql="def model(dbt, session): ...", of=of, language="python", **fields)


def test_skip_keeps_a_column_from_inheriting_and_only_that_one(tmp_path: Path) -> None:
    meta = {"meta": {"dbt-osmosis-options": {"skip-inherit-descriptions": True}}}
    child = table("child", {"id": meta, "name": None}, sql="select id, name from a", of=["raw.a"])
    root = build(tmp_path, RAW, child)
    assert ask(root, child, "id") == "- skip-inherit-descriptions is set for it"
    assert ask(root, child, "name") == "Name. | raw.a.name pass-through"
    grandchild = table("grandchild", {"id": None}, sql="select id from child", of=["child"])
    assert ask(build(tmp_path / "2", RAW, child, grandchild), grandchild, "id") == "Order. | raw.a.id pass-through"


def test_project_wide_in_vars(tmp_path: Path) -> None:
    child = table("child", {"id": None}, sql="select id from a", of=["raw.a"])
    root = build(tmp_path, RAW, child)
    settings = "name: shop\nvars:\n  dbt-osmosis:\n    skip-inherit-descriptions: {}\n"
    for value, expected in (("true", "- skip-inherit-descriptions is set for it"), ("false", "Order. | raw.a.id ")):
        (root / "dbt_project.yml").write_text(settings.format(value), "utf-8")
        assert ask(root, child, "id").startswith(expected)


def test_a_prefix_is_taken_off_where_names_are_matched(tmp_path: Path) -> None:
    child = python({"order_id": None}, "raw.a", meta={"prefix": "ORDER_"})
    assert ask(build(tmp_path / "1", RAW, child), child, "order_id") == "Order. | raw.a.id same name"
    without = python({"order_id": None}, "raw.a")
    assert ask(build(tmp_path / "2", RAW, without), without, "order_id").startswith("- no upstream column")
    by_lineage = table("child", {"order_id": None}, sql="select 1 as order_id from a", of=["raw.a"])
    by_lineage.fields["meta"] = {"prefix": "order_"}  # pyright: ignore[reportIndexIssue]  # a dict, in this test
    found = ask(build(tmp_path / "3", RAW, by_lineage), by_lineage, "order_id")
    assert found == "- it is not made of any upstream column", "a prefix says nothing about what SQL computes"


@pytest.mark.parametrize("name", ["ID", '"id"', "`id`", "[id]"])
def test_names_match_across_case_and_quotes(tmp_path: Path, name: str) -> None:
    child = python({name: None}, "raw.a")
    assert ask(build(tmp_path, RAW, child), child, name).startswith("Order. | raw.a.")


def test_names_match_across_ways_to_write_words(tmp_path: Path) -> None:
    child = python({"order_id": None}, "raw.a")
    root = build(tmp_path, table("raw.a", {"orderId": "Order."}), child)
    assert ask(root, child, "order_id").startswith("Order. | ")


BOTH = "select coalesce(a.x, b.x) as x from a join b on a.k = b.k"
CHOSEN = "source.shop.raw.b"


@pytest.mark.parametrize("of_column", [True, False])
@pytest.mark.parametrize("by_lineage", [True, False])
def test_a_progenitor_decides_between_candidates(tmp_path: Path, of_column: bool, by_lineage: bool) -> None:
    parents = [table("raw.a", {"x": "One."}), table("raw.b", {"x": "Other."})]
    columns: dict[str, Any] = {"x": {"meta": {"column_default_progenitor": CHOSEN}} if of_column else None}
    fields: dict[str, Any] = {} if of_column else {"meta": {"default_progenitor": CHOSEN}}
    child = (
        table("child", columns, sql=BOTH, of=["raw.a", "raw.b"], **fields)
        if by_lineage
        else python(columns, "raw.a", "raw.b", **fields)
    )
    how = "union" if by_lineage else "same name"
    assert ask(build(tmp_path, *parents, child), child, "x") == f"Other. | raw.b.x {how}"


@pytest.mark.parametrize("progenitor", ["source.shop.raw.gone", "model.shop.child", "nonsense"])
def test_a_progenitor_that_is_none_changes_nothing(tmp_path: Path, progenitor: str) -> None:
    child = table(
        "child", {"id": None}, sql="select id from a", of=["raw.a"], meta={"default_progenitor": progenitor}
    )
    assert ask(build(tmp_path, RAW, child), child, "id") == "Order. | raw.a.id pass-through"


def test_a_progenitor_does_not_make_a_computed_column_inherit(tmp_path: Path) -> None:
    meta = {"default_progenitor": "source.shop.raw.a"}
    child = table("child", {"cents": None}, sql="select cents / 100 as cents from a", of=["raw.a"], meta=meta)
    assert ask(build(tmp_path, RAW, child), child, "cents") == "- it is computed: cents / 100"


def test_force_takes_a_single_candidate_in_spite_of_doubt(tmp_path: Path) -> None:
    sql = "select cast(cents as varchar) as cents from a"
    child = table("child", {"cents": None}, sql=sql, of=["raw.a"])
    assert ask(build(tmp_path / "1", RAW, child), child, "cents").startswith("- it is a cast of raw.a.cents")
    forced = table("child", {"cents": None}, sql=sql, of=["raw.a"], meta={"force-inherit-descriptions": True})
    assert ask(build(tmp_path / "2", RAW, forced), forced, "cents") == ("In cents, as an integer. | raw.a.cents cast")
    other = table("raw.b", {"cents": "Other."})
    union = table(
        "child",
        {"cents": None},
        sql="select cents from a union all select cents from b",
        of=["raw.a", "raw.b"],
        meta={"force-inherit-descriptions": True},
    )
    assert ask(build(tmp_path / "3", RAW, other, union), union, "cents").startswith("- it is made of several")


def test_force_never_touches_what_a_person_wrote(tmp_path: Path) -> None:
    meta = {"force-inherit-descriptions": True}
    child = table("child", {"id": "Mine."}, sql="select id from a", of=["raw.a"], meta=meta)
    root = build(tmp_path, RAW, child)
    survey = Project(root, load_settings(root)).survey(ProjectRequest((root / SCHEMA,)))
    assert [gap.label for gap in survey.gaps if gap.column is not None] == []


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "{{ doc('x') }}"), (True, "{{ doc('x') }}"), (False, "Text.")]
)
async def test_references_are_kept_unless_the_project_says_otherwise(
    tmp_path: Path, value: bool | None, expected: str
) -> None:
    from osmosis_synthesize.engine.descriptions import Progress
    from osmosis_synthesize.engine.prepare import prepare

    meta = {} if value is None else {"use-unrendered-descriptions": value}
    parent = table("raw.a", {"id": "{{ doc('x') }}"})
    child = table("child", {"id": None}, sql="select id from a", of=["raw.a"], meta=meta)
    root = build(tmp_path, parent, child, docs={"x": "Text."})
    project = Project(root, load_settings(root))
    gaps = [gap for gap in project.survey(ProjectRequest((root / SCHEMA,))).gaps if gap.column is not None]
    work = project.work(gaps)
    prepared = prepare(work, child.unique_id, Progress(work.descriptions))
    assert [proposal.text for proposal in prepared.proposals] == [expected]


def test_package_nodes_give_texts_and_are_never_edited(tmp_path: Path) -> None:
    """Nodes of packages, and those that dbt-loom adds to the manifest, which have no file here at all."""
    package = table("lib_orders", {"id": "Order, says the package."}, package_name="lib", patch_path="lib://m.yml")
    loom = table(
        "upstream",
        {"name": "Name, says the other project.", "gap": None},
        file=None,
        package_name="other_project",
        original_file_path="",
        raw_code="",
        compiled_code=None,
    )
    sql = "select l.id, u.name, u.gap from lib_orders l join upstream u on true"
    child = table("child", {"id": None, "name": None, "gap": None}, sql=sql, of=["lib_orders", "upstream"])
    root = build(tmp_path, package, loom, child)
    assert ask(root, child, "id") == "Order, says the package. | lib_orders.id pass-through"
    assert ask(root, child, "name") == "Name, says the other project. | upstream.name pass-through"
    project = Project(root, load_settings(root))
    gaps = project.survey(ProjectRequest(whole_project=True)).gaps
    assert {gap.unique_id for gap in gaps} == {"model.shop.child"}
    assert not project.shared_upstream(gaps)
