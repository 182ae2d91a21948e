"""Doc blocks: which one a reference means, how one is inherited, and when one is offered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osmosis_synthesize.document import DEFAULT_PLACEHOLDERS
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.descriptions import Descriptions, Progress
from osmosis_synthesize.engine.docs import DocBlocks
from osmosis_synthesize.engine.model import Alternative, Gap, Upstream
from osmosis_synthesize.engine.prepare import Prepared, Work, prepare
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.lineage import Lineages
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.names import EntryKey
from small_projects import SCHEMA, Table, build, table

BLOCKS = {
    "shop.both": "The shop's own.",
    "lib.both": "The library's.",
    "lib.amount": "Amount, says the library.",
    "other.amount": "Amount, says another.",
    "lib.twin": "Two blocks say this.",
    "lib.twin_too": "Two blocks say this.",
    "lib.nothing": " ",
}


def project(folder: Path, *tables: Table, docs: dict[str, str] = BLOCKS) -> Index:
    """A project whose packages have doc blocks too, each by ``package.name``."""
    root = build(folder, *tables)
    path = root / "target/manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["docs"] = {
        f"doc.{key}": {
            "name": key.split(".")[1],
            "package_name": key.split(".")[0],
            "original_file_path": "docs.md",
            "block_contents": text,
        }
        for key, text in docs.items()
    }
    path.write_text(json.dumps(manifest), "utf-8")
    return load(path)


@pytest.mark.parametrize(
    ("reference", "of", "expected"),
    [
        ("{{ doc('both') }}", "shop", "The shop's own."),
        ("{{ doc('both') }}", "lib", "The shop's own."),
        ("{{ doc('lib', 'both') }}", "shop", "The library's."),
        ('{{doc("lib","both")}} And more.', "shop", "The library's. And more."),
        ("{{ doc('amount') }}", "lib", "Amount, says the library."),
        ("{{ doc('amount') }}", "other", "Amount, says another."),
        ("{{ doc('twin') }}", "shop", "Two blocks say this."),
        ("{{ doc('gone') }}", "shop", "{{ doc('gone') }}"),
        ("{{ doc('shop', 'amount') }}", "shop", "{{ doc('shop', 'amount') }}"),
        ("No reference.", "shop", "No reference."),
    ],
)
def test_a_reference_means_what_it_means_to_dbt(tmp_path: Path, reference: str, of: str, expected: str) -> None:
    assert DocBlocks(project(tmp_path)).rendered(reference, of=of) == expected


PACKAGES_TEXTS = [
    ("Amount, says the library.", "{{ doc('amount') }}"),
    ("The library's.", "{{ doc('lib', 'both') }}"),
    ("The library's. And more.", "The library's. And more."),
    ("The shop's own.", "The shop's own."),
    ("Two blocks say this.", "Two blocks say this."),
    ("Plain.", "Plain."),
]


@pytest.mark.parametrize(("rendered", "inherited"), PACKAGES_TEXTS)
def test_a_packages_block_is_inherited_as_a_reference_that_means_it(
    tmp_path: Path, rendered: str, inherited: str
) -> None:
    parent = table("a", {"x": rendered}, package_name="lib", patch_path="lib://models/a.yml")
    index = project(tmp_path, parent, table("child", {"x": None}, sql="select x from a", of=["a"]))
    prepared = prepare_gap(index, tmp_path, "model.shop.child", "x")
    assert [proposal.text for proposal in prepared.proposals] == [inherited]
    assert DocBlocks(index).rendered(inherited, of="shop") == rendered


def prepare_gap(index: Index, root: Path, unique_id: str, column: str) -> Prepared:
    descriptions = Descriptions(index, Drafts(), root, DEFAULT_PLACEHOLDERS)
    gap = Gap(unique_id, column, EntryKey("model", unique_id.rsplit(".", 1)[1]), root / SCHEMA, 1, 1, None)
    work = Work(index, descriptions, Lineages(index), {unique_id: (gap,)})
    return prepare(work, unique_id, Progress(descriptions))


RAW = table("raw.a", {"id": "Order.", "cents": None})


@pytest.mark.parametrize(
    ("column", "sql", "offered"),
    [
        ("amount", "select cents / 100 as amount from a", "amount"),
        ("AMOUNT", "select cents / 100 as amount from a", "amount"),
        ("amount", "select cents as amount from a", "amount"),
        ("other", "select cents / 100 as other from a", None),
        ("both", "select cents / 100 as both from a", None),
    ],
)
def test_a_block_of_the_columns_name_is_offered_where_nothing_else_is_known(
    tmp_path: Path, column: str, sql: str, offered: str | None
) -> None:
    docs = {"shop.amount": "Amount in euros.", "lib.both": "A package's block is nobody's column."}
    index = project(tmp_path, RAW, table("child", {column: None}, sql=sql, of=["raw.a"]), docs=docs)
    prepared = prepare_gap(index, tmp_path, "model.shop.child", column)
    assert not prepared.proposals, "it is never applied"
    assert prepared.asking is not None
    expected = (Alternative("{{ doc('amount') }}", Upstream("amount", None, "doc block")),) if offered else ()
    assert prepared.asking.alternatives["model.shop.child", column] == expected
    shown = [(item.table, item.text) for item in prepared.asking.context.upstream]
    assert (("doc block amount", "Amount in euros.") in shown) == (offered is not None)


def test_a_text_by_lineage_is_better_than_a_block_of_the_name(tmp_path: Path) -> None:
    child = table("child", {"amount": None}, sql="select id as amount from a", of=["raw.a"])
    index = project(tmp_path, RAW, child, docs={"shop.amount": "Amount in euros."})
    prepared = prepare_gap(index, tmp_path, "model.shop.child", "amount")
    assert [proposal.text for proposal in prepared.proposals] == ["Order."]
