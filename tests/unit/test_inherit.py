"""What a column inherits: real schema files, a real manifest, real lineage.

An answer reads like this::

    = Number of the order. | raw.orders.id renamed 1    inherited: text, from where, how, steps upstream
    = … | stg.id renamed 1                              to be inherited once that text is generated
    ? it is made of … | stg_a.x, stg_b.x                doubtful: why, and the candidates
    - it is computed: …                                 nothing: why
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from osmosis_synthesize.document import DEFAULT_PLACEHOLDERS
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.descriptions import Descriptions, Progress
from osmosis_synthesize.engine.inherit import Doubtful, Inheritable, Inheritance, Known, inherit
from osmosis_synthesize.manifest.lineage import Lineages
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.manifest.model import UNRESOLVED, ColumnLineage, NodeLineage
from small_projects import Table, build, table

NUMBER = "Number of the order."
RAW = table(
    "raw.orders", {"id": NUMBER, "status": "Where it stands.", "note": None, "amount": "What it cost, in cents."}
)


def in_short(found: Inheritance) -> str:
    if isinstance(found, Inheritable):
        return f"= {found.text or '…'} | {found.upstream.label} {found.upstream.how} {found.depth}"
    if isinstance(found, Doubtful):
        return f"? {found.reason} | {', '.join(other.upstream.label for other in found.alternatives)}"
    return f"- {found.reason}"


def ask(folder: Path, tables: list[Table], column: str, docs: dict[str, str] | None = None) -> str:
    """What ``column`` of the last table inherits."""
    root = build(folder, *tables, docs=docs)
    index = load(root / "target/manifest.json")
    texts = Progress(Descriptions(index, Drafts(), root, DEFAULT_PLACEHOLDERS))
    return in_short(
        inherit(tables[-1].unique_id, column, graph=index, lineage=Lineages(index), texts=texts),
    )


def raw(text: str | None, column: str = "x", name: str = "raw.a") -> Table:
    return table(name, {column: text})


def child(sql: str, *of: str, kind: str = "model", name: str = "child") -> Table:
    return table(name, {"x": None}, sql=sql, of=of, kind=kind)


def python(name: str, *of: str, columns: dict[str, str | None] | None = None) -> Table:
    """A model whose SQL nobody knows: columns are matched by name."""
    return table(name, columns or {}, sql="def model(dbt, session): ...", of=of, language="python")


ONE_PARENT = [
    ("select id as x from orders", "= Number of the order. | raw.orders.id renamed 1"),
    (
        "with a as (select * from orders), b as (select * from a) select id as x from b",
        "= Number of the order. | raw.orders.id renamed 1",
    ),
    ("select ID as X from orders", "= Number of the order. | raw.orders.id renamed 1"),
    ("select cast(id as varchar) as x from orders", "= Number of the order. | raw.orders.id cast 1"),
    ("select id::bigint as x from orders", "= Number of the order. | raw.orders.id cast 1"),
    (
        "select cast(amount as decimal(18, 2)) as x from orders",
        "= What it cost, in cents. | raw.orders.amount cast 1",
    ),
    (
        "select amount::integer as x from orders",
        "? it is a cast of raw.orders.amount, whose text speaks of its type or format | raw.orders.amount",
    ),
    ("select amount / 100 as x from orders", "- it is computed: amount / 100"),
    ("select sum(amount) as x from orders", "- it is computed: SUM(amount)"),
    ("select upper(status) as x from orders", "- it is computed: UPPER(status)"),
    ("select id + amount as x from orders", "- it is computed: id + amount"),
    ("select 1 as x from orders", "- it is not made of any upstream column"),
    ("select current_timestamp as x", "- it is not made of any upstream column"),
    ("select note as x from orders", "- no upstream column of that name has a description"),
    ("select id as other from orders", "- its SQL does not return this column"),
    ("select coalesce(status, 'none') as x from orders", "- it is computed: COALESCE(status, 'none')"),
    (
        "select coalesce(id, status) as x from orders",
        "? it is made of several columns whose descriptions differ | raw.orders.id, raw.orders.status",
    ),
    (
        "select coalesce(id, note) as x from orders",
        "? it is made of several columns, and not all of them are described | raw.orders.id",
    ),
    (
        "select id as x from orders union all select id from orders where status = 'a'",
        "= Number of the order. | raw.orders.id renamed 1",
    ),
    ("select not valid sql ((", "- no upstream column of that name has a description"),
]


@pytest.mark.parametrize(("sql", "expected"), ONE_PARENT, ids=[sql for sql, _ in ONE_PARENT])
def test_one_parent(tmp_path: Path, sql: str, expected: str) -> None:
    assert ask(tmp_path, [RAW, child(sql, "raw.orders")], "x") == expected


TEXTS_AND_CASTS = [
    ("bigint", "Order number.", True),
    ("bigint", "Order number, stored as text.", False),
    ("varchar", "Order number, a numeric string.", False),
    ("varchar", "UTC.", False),
    ("timestamp", "When it was paid, in ISO 8601.", False),
    ("timestamp", "When it was paid, formatted YYYY-MM-DD.", False),
    ("timestamp", "Seconds since 1970.", False),
    ("timestamp", "When it was paid.", True),
    ("date", "When it was paid.", True),
    ("date", "Moment of the payment.", False),
    ("date", "Date and time of the payment.", False),
    ("timestamp", "Moment of the payment.", True),
    ("integer", "Price in dollars and cents.", False),
    ("integer", "Share in percent.", False),
    ("decimal(18, 2)", "Share in percent.", True),
    ("boolean", "Whether it was paid.", True),
    ("boolean", "The strings 'Y' or 'N'.", False),
]


@pytest.mark.parametrize(("data_type", "text", "inherited"), TEXTS_AND_CASTS)
def test_a_cast_inherits_what_it_leaves_true(tmp_path: Path, data_type: str, text: str, inherited: bool) -> None:
    found = ask(tmp_path, [raw(text), child(f"select cast(x as {data_type}) as x from a", "raw.a")], "x")
    assert found.startswith("= " if inherited else "? it is a cast of raw.a.x")


def test_a_doubt_about_a_cast_reaches_further_down(tmp_path: Path) -> None:
    stg = table("stg", {"x": None}, sql="select cast(x as bigint) as x from a", of=["raw.a"])
    found = ask(tmp_path, [raw("A numeric string."), stg, child("select x from stg", "stg")], "x")
    assert found.startswith("? it is a cast of raw.a.x")


UNION = "select x from a union all select x from b"
UNIONS = [
    ("Same.", "Same.", "= Same. | raw.a.x union 1"),
    ("Same  text.", "Same text.", "= Same  text. | raw.a.x union 1"),
    ("One.", "Other.", "? it is made of several columns whose descriptions differ | raw.a.x, raw.b.x"),
    ("One.", None, "? it is made of several columns, and not all of them are described | raw.a.x"),
    ("One.", "TODO", "? it is made of several columns, and not all of them are described | raw.a.x"),
    (None, None, "- none of the columns it is made of has a description"),
]


@pytest.mark.parametrize(("one", "other", "expected"), UNIONS)
@pytest.mark.parametrize("sql", [UNION, "select coalesce(a.x, b.x) as x from a join b using (k)"])
def test_several_sources(tmp_path: Path, one: str | None, other: str | None, expected: str, sql: str) -> None:
    tables = [raw(one), raw(other, name="raw.b"), child(sql, "raw.a", "raw.b")]
    assert ask(tmp_path, tables, "x") == expected


def test_a_diamond_of_one_text_is_no_doubt(tmp_path: Path) -> None:
    left = table("left_side", {"x": None}, sql="select x from a", of=["raw.a"])
    right = table("right_side", {"x": None}, sql="select x from a", of=["raw.a"])
    sql = "select x from left_side union all select x from right_side"
    tables = [raw("One."), left, right, child(sql, "left_side", "right_side")]
    assert ask(tmp_path, tables, "x") == "= One. | raw.a.x union 2"


def test_a_nearer_undocumented_column_never_hides_a_farther_one(tmp_path: Path) -> None:
    stg = table("stg", {"y": None}, sql="select x as y from a", of=["raw.a"])
    mid = table("mid", {"z": "Pending further documentation"}, sql="select y as z from stg", of=["stg"])
    tables = [raw("One."), stg, mid, child("select z as x from mid", "mid")]
    assert ask(tmp_path, tables, "x") == "= One. | raw.a.x renamed 3"


def test_the_nearest_documented_column_wins(tmp_path: Path) -> None:
    stg = table("stg", {"x": "Nearer."}, sql="select x from a", of=["raw.a"])
    tables = [raw("Farther."), stg, child("select x from stg", "stg")]
    assert ask(tmp_path, tables, "x") == "= Nearer. | stg.x pass-through 1"


def test_a_column_that_no_schema_file_lists_is_walked_through(tmp_path: Path) -> None:
    stg = table("stg", sql="select x as y from a", of=["raw.a"], file=None)
    tables = [raw("One."), stg, child("select y as x from stg", "stg")]
    assert ask(tmp_path, tables, "x") == "= One. | raw.a.x renamed 2"


@pytest.mark.parametrize("kind", ["snapshot", "seed"])
def test_snapshots_and_seeds_do_not_cut_the_chain(tmp_path: Path, kind: str) -> None:
    if kind == "seed":
        tables = [table("plans", {"x": "One."}, kind="seed"), child("select x from plans", "plans")]
        assert ask(tmp_path, tables, "x") == "= One. | plans.x pass-through 1"
        return
    history = table("history", {"x": None}, sql="select * from a", of=["raw.a"], kind="snapshot")
    tables = [raw("One."), history, child("select x, dbt_valid_from from history", "history")]
    assert ask(tmp_path, tables, "x") == "= One. | raw.a.x pass-through 2"
    assert ask(tmp_path, tables, "dbt_valid_from") == "- it is not made of any upstream column"


def test_a_reference_to_a_doc_block_stays_one(tmp_path: Path) -> None:
    tables = [raw("{{ doc('x') }}"), child("select x from a", "raw.a")]
    found = ask(tmp_path, tables, "x", docs={"x": "The block's text."})
    assert found == "= {{ doc('x') }} | raw.a.x pass-through 1"


def test_a_package_gives_its_rendered_text(tmp_path: Path) -> None:
    package = table("a", {"x": "{{ doc('x') }}"}, package_name="other", patch_path="other://models/a.yml")
    found = ask(tmp_path, [package, child("select x from a", "a")], "x", docs={"x": "The block's text."})
    assert found == "= The block's text. | a.x pass-through 1"


def test_an_incremental_model_inherits_through_itself(tmp_path: Path) -> None:
    tables = [raw("One."), child("select x from a where x > (select max(x) from db.main.child)", "raw.a")]
    assert ask(tmp_path, tables, "x") == "= One. | raw.a.x pass-through 1"
    tables = [raw("One."), child("select x from a union all select x from db.main.child", "raw.a")]
    assert ask(tmp_path, tables, "x") == "= One. | raw.a.x pass-through 1"


# --- by name, where there is no lineage ---


def test_by_name_and_said_so(tmp_path: Path) -> None:
    assert ask(tmp_path, [raw("One."), python("child", "raw.a")], "X") == "= One. | raw.a.X same name 1"


def test_by_name_the_nearest_wins(tmp_path: Path) -> None:
    stg = python("stg", "raw.a", columns={"x": "Nearer."})
    tables = [raw("Farther."), stg, python("child", "raw.a", "stg"), python("grandchild", "child")]
    assert ask(tmp_path, tables[:-1], "x").startswith("? it is made of several columns whose descriptions differ")
    far = python("far", "raw.a")
    tables = [raw("Farther."), far, table("raw.b", {"x": "Nearer."}), python("child", "far", "raw.b")]
    assert ask(tmp_path, tables, "x") == "= Nearer. | raw.b.x same name 1"


def test_by_name_a_nearer_gap_never_hides_a_farther_text(tmp_path: Path) -> None:
    stg = python("stg", "raw.a", columns={"x": None})
    assert ask(tmp_path, [raw("One."), stg, python("child", "stg")], "x") == "= One. | raw.a.x same name 2"


def test_by_name_equals_that_differ_are_a_doubt(tmp_path: Path) -> None:
    tables = [raw("One."), raw("Other.", name="raw.b"), python("child", "raw.a", "raw.b")]
    assert (
        ask(tmp_path, tables, "x") == "? it is made of several columns whose descriptions differ | raw.a.x, raw.b.x"
    )
    tables = [raw("Same."), raw("Same.", name="raw.b"), python("child", "raw.a", "raw.b")]
    assert ask(tmp_path, tables, "x") == "= Same. | raw.a.x same name 1"


@pytest.mark.parametrize(
    "sql",
    [
        f"select {UNRESOLVED} as x from a",  # {{ dbt_utils.generate_surrogate_key(['k', 'l']) }} where dbt_utils is not known
        f"with keyed as (select {UNRESOLVED} as x from a) select * from keyed",
    ],
)
def test_what_a_macro_makes_that_nobody_knows_is_not_matched_by_name(tmp_path: Path, sql: str) -> None:
    tables = [raw("Key of a."), child(sql, "raw.a")]
    assert ask(tmp_path, tables, "x").startswith("- it is made by Jinja that could not be resolved")
    passed_on = [*tables, table("below", {"x": None}, sql="select x from child", of=["child"])]
    assert ask(tmp_path / "below", passed_on, "x").startswith("- it is made by Jinja")


def test_by_name_stops_where_an_expression_changes_the_meaning(tmp_path: Path) -> None:
    stg = table("stg", {"x": None}, sql="select x / 100 as x from a", of=["raw.a"])
    assert ask(tmp_path, [raw("In cents."), stg, python("child", "stg")], "x").startswith("- ")


def test_a_path_is_as_sure_as_its_weakest_step(tmp_path: Path) -> None:
    stg = python("stg", "raw.a", columns={"x": None})
    tables = [raw("One."), stg, child("select x from stg", "stg")]
    assert ask(tmp_path, tables, "x") == "= One. | raw.a.x same name 2"


# --- what a text says, and what a query does not ---

JOINED = "select b.x as x, a.id from a join b on b.x = a.x"


@pytest.mark.parametrize(
    ("text", "inherited"),
    [
        ("Primary key.", False),
        ("Surrogate key, generated from two columns.", False),
        ("Primary key for this table.", False),
        ("Auto-incremented ID in this table.", False),
        ("Primary key of the customers.", True),
        ("The unique key for each customer.", True),
        ("When this row was loaded.", True),
        ("Name of the customer.", True),
    ],
)
def test_a_joined_table_does_not_pass_on_that_it_has_a_key(tmp_path: Path, text: str, inherited: bool) -> None:
    tables = [raw("Other.", "id", "raw.a"), raw(text, name="raw.b")]
    found = ask(tmp_path / "joined", [*tables, child(JOINED, "raw.a", "raw.b")], "x")
    assert found.startswith("= " if inherited else "? the text of raw.b.x speaks of its own table's key")
    alone = ask(tmp_path / "alone", [tables[1], child("select x from b", "raw.b")], "x")
    assert alone.startswith(f"= {text}")


def test_a_joined_table_passes_on_a_key_that_is_its_own_too(tmp_path: Path) -> None:
    tables = [raw("Other.", "id", "raw.a"), raw("Primary key.", name="raw.b")]
    tested = {"x": {"tests": ["unique", "not_null"]}}
    last = table("child", tested, sql=JOINED, of=["raw.a", "raw.b"])
    assert ask(tmp_path, [*tables, last], "x") == "= Primary key. | raw.b.x pass-through 1"


@pytest.mark.parametrize("null", ["null", "cast(null as varchar)", "cast(null as decimal(16, 2))", "null::bigint"])
def test_a_column_compiled_to_null_is_matched_by_name(tmp_path: Path, null: str) -> None:
    """dbt compiles helper macros to that where the warehouse has no tables."""
    tables = [raw("One."), child(f"with f as (select {null} as x from a) select x from f", "raw.a")]
    assert ask(tmp_path, tables, "x") == "= One. | raw.a.x same name 1"


@pytest.mark.parametrize("other", ["same text", "Same text.", "  SAME   text "])
def test_trivial_differences_are_no_ambiguity(tmp_path: Path, other: str) -> None:
    union = child("select x from a union all select x from b", "raw.a", "raw.b")
    found = ask(tmp_path, [raw("Same text."), raw(other, name="raw.b"), union], "x")
    assert found == "= Same text. | raw.a.x union 1"


# --- shapes of the graph; only here the graph and the texts are made up, for no dbt would write such a manifest ---


class Made:
    """A graph and its texts. ``edges``: node → parents; ``known``: node → the text of its column ``x``."""

    def __init__(self, edges: dict[str, list[str]], known: dict[str, str | None]) -> None:
        self.edges = edges
        self.texts = known

    def parents(self, unique_id: str) -> list[str]:
        return self.edges.get(unique_id, [])

    def primary_key(self, unique_id: str) -> list[str]:  # noqa: ARG002 - nobody asks, for no text speaks of keys
        return []

    def known(self, unique_id: str, column: str) -> Known | None:  # noqa: ARG002 - the protocol has it; all columns are x
        return Known(self.texts[unique_id]) if unique_id in self.texts else None

    def ask(self, unique_id: str, lineage: dict[str, NodeLineage] | None = None) -> Inheritance:
        return inherit(unique_id, "x", graph=self, lineage=lineage or {}, texts=self)

    def traced(self) -> dict[str, NodeLineage]:
        """Lineage that says of each node that its ``x`` is its parents' ``x``."""
        return {
            node: NodeLineage(node, (ColumnLineage("x", "pass-through", tuple((parent, "x") for parent in parents)),))
            for node, parents in self.edges.items()
        }


@pytest.mark.parametrize("by_lineage", [True, False])
def test_a_text_that_is_still_to_come(by_lineage: bool) -> None:
    made = Made({"m.s.child": ["m.s.a"]}, {"m.s.a": None})
    found = made.ask("m.s.child", made.traced() if by_lineage else None)
    assert in_short(found).startswith("= … | a.x")
    both = Made({"m.s.child": ["m.s.a", "m.s.b"]}, {"m.s.a": None, "m.s.b": None})
    assert not isinstance(both.ask("m.s.child", both.traced() if by_lineage else None), Inheritable)


@pytest.mark.parametrize("by_lineage", [True, False])
@pytest.mark.parametrize(
    "edges", [{"m.s.a": ["m.s.a"]}, {"m.s.a": ["m.s.b"], "m.s.b": ["m.s.a"]}], ids=["of itself", "of two"]
)
def test_a_cycle_ends(edges: dict[str, list[str]], by_lineage: bool) -> None:
    made = Made(edges, {})
    assert in_short(made.ask("m.s.a", made.traced() if by_lineage else None)).startswith("- ")


@pytest.mark.parametrize("by_lineage", [True, False])
def test_five_thousand_steps(by_lineage: bool) -> None:
    edges = {f"m.s.n{number}": [f"m.s.n{number + 1}"] for number in range(5000)}
    made = Made(edges, {"m.s.n5000": "One."})
    found = made.ask("m.s.n0", made.traced() if by_lineage else None)
    assert in_short(found).startswith("= One. | n5000.x")


@pytest.mark.parametrize("by_lineage", [True, False])
def test_many_paths_are_walked_once(by_lineage: bool) -> None:
    """Forty diamonds in a row have 2 to the 40 paths."""
    edges: dict[str, list[str]] = {}
    for number in range(40):
        edges[f"m.s.n{number}"] = [f"m.s.l{number}", f"m.s.r{number}"]
        edges[f"m.s.l{number}"] = edges[f"m.s.r{number}"] = [f"m.s.n{number + 1}"]
    made = Made(edges, {"m.s.n40": "One."})
    started = time.monotonic()
    found = made.ask("m.s.n0", made.traced() if by_lineage else None)
    assert in_short(found).startswith("= One. | n40.x")
    assert time.monotonic() - started < 60
