"""Which copies of a column are described as something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from osmosis_synthesize.document import DEFAULT_PLACEHOLDERS
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.consistency import differences
from osmosis_synthesize.engine.descriptions import Descriptions
from osmosis_synthesize.manifest.lineage import Lineages
from osmosis_synthesize.manifest.load import load
from small_projects import Table, build, table

DOCS = {"order": "Number of the order.", "other": "Something else."}


def found(folder: Path, *tables: Table) -> list[str]:
    """Each difference as ``child.column < parent.column``."""
    root = build(folder, *tables, docs=DOCS)
    index = load(root / "target/manifest.json")
    descriptions = Descriptions(index, Drafts(), root, DEFAULT_PLACEHOLDERS)
    return [
        f"{one.column.column} < {one.upstream.column}"
        for one in differences(index.nodes, descriptions=descriptions, lineage=Lineages(index))
    ]


def raw(text: str | None, name: str = "raw.a") -> Table:
    return table(name, {"id": text})


def child(text: str | None, sql: str = "select id as x from a", *of: str, name: str = "child") -> Table:
    return table(name, {"x": text}, sql=sql, of=of or ["raw.a"])


UPSTREAM = "Number of the order."
TEXTS = [
    ("Number of the order.", True),
    ("number  of the\n  ORDER", True),
    ("Number of the order!", True),
    ("Number of the order. Counts from 1.", True),
    ("Number of the order, as on the receipt.", True),
    ("Number of the orders.", False),
    ("The number of the order.", False),
    ("Number of", False),
    ("Amount.", False),
    ("{{ doc('order') }}", True),
    ("{{ doc('order') }} As on the receipt.", True),
    ("{{ doc('other') }}", False),
]


@pytest.mark.parametrize(("text", "agrees"), TEXTS)
def test_what_is_a_difference(tmp_path: Path, text: str, agrees: bool) -> None:
    expected = [] if agrees else ["child.x < raw.a.id"]
    assert found(tmp_path, raw(UPSTREAM), child(text)) == expected


def test_two_texts_that_refer_to_the_same_block_do_not_differ(tmp_path: Path) -> None:
    upstream = raw("{{ doc('order') }} In the shop's own system.")
    assert found(tmp_path / "1", upstream, child('{{doc("order")}} Of the customer.')) == []
    assert found(tmp_path / "2", upstream, child("{{ doc('other') }} Of the customer.")) == ["child.x < raw.a.id"]


STEPS = [
    ("select id as x from a", True),
    ("with f as (select * from a) select id as x from f", True),
    ("select cast(id as varchar) as x from a", False),
    ("select id + 1 as x from a", False),
    ("select coalesce(id, other) as x from a", False),
    ("select 1 as x from a", False),
    ("not sql ((", False),
]


@pytest.mark.parametrize(("sql", "is_copy"), STEPS)
def test_only_what_is_passed_on_or_renamed_is_a_copy(tmp_path: Path, sql: str, is_copy: bool) -> None:
    assert bool(found(tmp_path, raw(UPSTREAM), child("Amount.", sql))) == is_copy


def test_a_union_may_say_what_none_of_its_branches_says(tmp_path: Path) -> None:
    union = child("Either.", "select id as x from a union all select id from b", "raw.a", "raw.b")
    assert found(tmp_path, raw("One."), raw("Other.", "raw.b"), union) == []


def test_the_nearest_description_is_compared_and_gaps_are_walked_through(tmp_path: Path) -> None:
    stg = child(None, name="stg")
    last = child("Amount.", "select x from stg", "stg", name="last")
    assert found(tmp_path / "gap", raw(UPSTREAM), stg, last) == ["last.x < raw.a.id"]
    todo = child("TODO", name="stg")
    assert found(tmp_path / "todo", raw(UPSTREAM), todo, last) == ["last.x < raw.a.id"]
    own = child("Amount!", name="stg")
    assert found(tmp_path / "own", raw(UPSTREAM), own, last) == ["stg.x < raw.a.id"]


def test_versions_that_share_a_text_are_compared_once_and_not_with_each_other(tmp_path: Path) -> None:
    one = table("m", {"x": "Amount."}, sql="select id as x from a", of=["raw.a"], version="1", latest_version="2")
    two = table("m", {"x": "Amount."}, sql="select x from m_v1", of=["m.v1"], version="2", latest_version="2")
    assert found(tmp_path, raw(UPSTREAM), one, two) == ["m.v1.x < raw.a.id"]


def test_a_description_stands_where_it_is_said_to_stand(tmp_path: Path) -> None:
    root = build(tmp_path, raw(UPSTREAM), child("Amount."))
    index = load(root / "target/manifest.json")
    descriptions = Descriptions(index, Drafts(), root, DEFAULT_PLACEHOLDERS)
    (one,) = differences(["model.shop.child"], descriptions=descriptions, lineage=Lineages(index))
    for described in (one.column, one.upstream):
        assert described.file is not None
        line = described.file.read_text("utf-8").split("\n")[described.line - 1]
        assert line[described.character - 1 :].strip("\"'") == described.text


def test_a_package_has_a_text_but_no_place(tmp_path: Path) -> None:
    package = table("a", {"id": UPSTREAM}, package_name="lib", patch_path="lib://models/a.yml")
    root = build(tmp_path, package, child("Amount.", "select id as x from a", "a"))
    index = load(root / "target/manifest.json")
    descriptions = Descriptions(index, Drafts(), root, DEFAULT_PLACEHOLDERS)
    (one,) = differences(["model.shop.child"], descriptions=descriptions, lineage=Lineages(index))
    assert one.upstream.file is None
    assert one.upstream.text == UPSTREAM
