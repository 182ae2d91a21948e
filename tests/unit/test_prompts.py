"""What a prompt holds, and what it never holds: real projects, from the files to the request."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_synthesize.engine.descriptions import Progress
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.engine.prepare import prepare
from osmosis_synthesize.engine.prompts import (
    MOST_COLUMNS_A_DEPENDENCY,
    MOST_UPSTREAM_LINES,
    Context,
    Style,
    UpstreamColumn,
    build,
    chunks,
    cut_in_the_middle,
    select_upstream,
)
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.project import Project
from osmosis_synthesize.project import Request as Wish
from osmosis_synthesize.providers.base import ColumnFacts, Request, Subject
from osmosis_synthesize.settings import load_settings
from small_projects import SCHEMA, Table, table
from small_projects import build as build_project


def requests(folder: Path, *tables: Table, **options: Any) -> list[Request]:
    """What would be asked about the last table."""
    return requests_in(build_project(folder, *tables, **options), tables[-1].unique_id)


def requests_in(root: Path, unique_id: str) -> list[Request]:
    project = Project(root, load_settings(root))
    work = project.work(project.survey(Wish(whole_project=True)).gaps)
    asking = prepare(work, unique_id, Progress(work.descriptions)).asking
    if asking is None:
        return []
    groups = chunks(asking.gaps, bulk_threshold=work.bulk_threshold, max_tokens=work.style.max_tokens)
    return [build(asking.context, gaps, work.style) for gaps in groups]


def prompt(folder: Path, *tables: Table, **options: Any) -> str:
    [request] = requests(folder, *tables, **options)
    return said(request)


def said(request: Request) -> str:
    return "\n".join(message.content for message in request.messages)


RAW = table(
    "raw.orders", {"id": "Number of the order.", "amount": "What it cost."}, description="Orders of the shop."
)


def orders(sql: str = "select sum(amount) as total from orders", **options: Any) -> Table:
    options = {"of": ["raw.orders"], "columns": {"total": None}} | options
    return table("orders_daily", sql=sql, **options)


def test_the_sql_is_in_it(tmp_path: Path) -> None:
    sql = "select\n    sum(amount) as total -- of the day\nfrom orders"
    assert sql in prompt(tmp_path, RAW, orders(sql))


def test_compiled_sql_wins_over_raw(tmp_path: Path) -> None:
    compiled = "select sum(amount) as total from db.raw.orders"
    written = "select sum(amount) as total from {{ source('raw', 'orders') }}"
    both = prompt(tmp_path / "a", RAW, orders(compiled, raw_code=written))
    assert compiled in both
    assert written not in both
    assert written in prompt(tmp_path / "b", RAW, orders(compiled, raw_code=written, compiled_code=None))


def test_long_sql_is_cut_in_the_middle(tmp_path: Path) -> None:
    lines = [f"-- line {number} of the query" for number in range(400)]
    sql = "\n".join([*lines, "select sum(amount) as total from orders"])
    text = prompt(tmp_path, RAW, orders(sql), settings={"max_sql_chars": 2000})
    assert "-- line 0 of" in text
    assert "select sum(amount) as total from orders" in text
    assert "-- line 200 of" not in text
    assert (note := re.search(r"^-- … (\d+) characters of SQL are left out here …$", text, re.MULTILINE))
    assert len(sql) - 2000 <= int(note[1]) <= len(sql) - 2000 + 60
    assert sql in prompt(tmp_path / "b", RAW, orders(sql), settings={"max_sql_chars": len(sql)})


@given(st.text(alphabet="ab\n", max_size=200), st.integers(0, 220))
@settings(deadline=None)
def test_a_cut_keeps_start_and_end_and_counts_what_is_missing(code: str, longest: int) -> None:
    cut = cut_in_the_middle(code, longest)
    if len(code) <= longest:
        assert cut == code
        return
    head, number, tail = re.fullmatch(r"(.*?)-- … (\d+) characters .*? …\n(.*)", cut, re.DOTALL).groups()  # type: ignore[union-attr]
    assert code.startswith(head)
    assert code.endswith(tail)
    assert len(head) + len(tail) <= longest
    assert len(head) + len(tail) + int(number) == len(code)


def test_columns_come_with_all_that_is_proven(tmp_path: Path) -> None:
    customers = table("customers", {"id": "Number of the customer."}, sql="select 1 as id")
    model = table(
        "invoices",
        {
            "id": {"data_type": "bigint", "tests": ["unique", "not_null"]},
            "customer": {
                "data_type": "varchar",
                "tests": ["not_null", {"name": "relationships", "to": "customers", "arguments": {"field": "id"}}],
            },
            "status": {"tests": [{"name": "accepted_values", "arguments": {"values": ["open", "paid"]}}]},
            "code": {"tests": ["unique"]},
            "total": None,
            "maybe": {"tests": [{"name": "not_null", "where": "id > 5"}]},
        },
        sql="select o.id as id, cust as customer, status, code, amount / 100 as total, maybe from orders as o",
        of=["raw.orders"],
    )
    raw = table("raw.orders", dict.fromkeys(("id", "cust", "status", "code", "amount", "maybe")))
    text = prompt(tmp_path, raw, customers, model)
    for line in (
        "- id (bigint; primary key; pass-through from raw.orders.id)",
        "- customer (varchar; not null; foreign key to customers.id; renamed from raw.orders.cust)",
        "- status (one of: open, paid; pass-through from raw.orders.status)",
        "- code (unique; pass-through from raw.orders.code)",
        "- total (derived from raw.orders.amount)",
        "- maybe (pass-through from raw.orders.maybe)",
    ):
        assert f"\n{line}\n" in text
    assert "# model invoices (view)\n\nOne row per: id\n" in text
    asked = "these 6 columns: id, customer, status, code, total, maybe."
    assert text.endswith(f"Describe the model invoices itself and {asked}")


def test_upstream_and_own_descriptions(tmp_path: Path) -> None:
    model = orders(columns={"total": None, "day": "Day of the order,\n in local time."}, description="Sales a day.")
    text = prompt(tmp_path, RAW, model)
    upstream, own = text.split("## Upstream descriptions\n")[1].split(
        "## Descriptions that exist (follow their style)\n"
    )
    assert upstream.strip().splitlines() == [
        "- raw.orders: Orders of the shop.",
        "- raw.orders.amount: What it cost.",
        "- raw.orders.id: Number of the order.",
    ]
    assert own.splitlines()[:2] == ["- orders_daily: Sales a day.", "- day: Day of the order, in local time."]


def test_doc_blocks_are_read_out(tmp_path: Path) -> None:
    raw = table("raw.orders", {"amount": "{{ doc('amount') }} Gross.", "id": '{{ doc("nowhere") }}'})
    model = orders(description="{{ doc('shop', 'daily') }}")
    text = prompt(tmp_path, raw, model, docs={"amount": "What it cost.", "daily": "Sales a day."})
    assert "- raw.orders.amount: What it cost. Gross." in text
    assert "- orders_daily: Sales a day." in text
    assert '- raw.orders.id: {{ doc("nowhere") }}' in text


def test_style_guide_language_and_limit(tmp_path: Path) -> None:
    options = {"style_guide": "Write like {Hemingway}.", "language": "日本語", "temperature": 0.2, "max_tokens": 900}
    [request] = requests(tmp_path, RAW, orders(), settings=options, adapter="bigquery")
    system = request.messages[0].content
    assert "Write like {Hemingway}." in system
    assert "Write in 日本語. At most 1024 characters a description." in system
    assert (request.temperature, request.max_tokens) == (0.2, 900)


def test_upstream_limits() -> None:
    wide = [UpstreamColumn(f"m.s.t{at}", f"t{at}", f"c{n}", "Text.", n % 3) for at in range(9) for n in range(40)]
    tables = [UpstreamColumn(f"m.s.t{at}", f"t{at}", None, "Text.", 3) for at in range(9)]
    taken = select_upstream([*wide, *tables])
    assert len(taken) == MOST_UPSTREAM_LINES == 100
    assert sum(item.column is None for item in taken) == 9
    for at in range(9):
        of_table = [item for item in taken if item.table == f"t{at}" and item.column is not None]
        assert len(of_table) <= MOST_COLUMNS_A_DEPENDENCY == 20
        # the most relevant come first, and there are 13 of them in each table
        assert all(item.relevance == 2 for item in of_table[:13])
    assert [item.relevance for item in taken] == sorted((item.relevance for item in taken), reverse=True)


def test_columns_that_the_asked_ones_are_made_of_are_the_most_relevant(tmp_path: Path) -> None:
    names = [f"c{number:02}" for number in range(40)]
    raw = table("raw.orders", {name: f"Text of {name}." for name in names})
    text = prompt(tmp_path, raw, orders("select sum(c37) as total, c39 as other from orders"))
    lines = text.split("## Upstream descriptions\n")[1].splitlines()
    assert "- raw.orders.c37: Text of c37." in lines
    assert "- raw.orders.c39: Text of c39." in lines
    assert sum(line.startswith("- raw.orders.c") for line in lines) == 20


def test_the_same_project_gives_the_same_prompt(tmp_path: Path) -> None:
    assert requests(tmp_path / "a", RAW, orders()) == requests(tmp_path / "b", RAW, orders())


def test_chunks_of_a_model_share_their_stable_messages(tmp_path: Path) -> None:
    model = orders(
        "select " + ", ".join(f"sum(amount) + {n} as c{n}" for n in range(30)) + " from orders",
        columns={f"c{number}": None for number in range(30)},
    )
    made = requests(tmp_path, RAW, model, settings={"max_tokens": 500})
    assert len(made) > 1
    stable = [[message for message in request.messages if message.stable] for request in made]
    assert all(messages == stable[0] for messages in stable)
    assert all([message.stable for message in request.messages] == [True, True, False] for request in made)
    asked = [column.name for request in made for column in request.subject.columns if column.asked]  # type: ignore[union-attr]
    assert sorted(asked) == sorted(f"c{number}" for number in range(30))
    assert [request.subject.asked for request in made] == [True] + [False] * (len(made) - 1)  # type: ignore[union-attr]


def gaps_named(*names: str | None) -> list[Gap]:
    return [Gap("model.shop.m", name, EntryKey("model", "m"), Path("m.yml"), 1, 1, None) for name in names]


@pytest.mark.parametrize(
    ("count", "threshold", "max_tokens", "sizes"),
    [
        (1, 2, None, [1]),
        (2, 2, None, [2]),
        (5, 2, None, [5]),
        (5, 6, None, [1] * 5),
        (5, 5, None, [5]),
        (5, 1, None, [5]),
        (450, 2, None, [200, 200, 50]),
        (5, 2, 10, [1] * 5),
        (10, 2, 225, [4, 4, 2]),
        (0, 2, None, []),
    ],
)
def test_chunks(count: int, threshold: int, max_tokens: int | None, sizes: list[int]) -> None:
    gaps = gaps_named(*(f"c{number}" for number in range(count)))
    made = chunks(gaps, bulk_threshold=threshold, max_tokens=max_tokens)
    assert [len(chunk) for chunk in made] == sizes
    assert [gap for chunk in made for gap in chunk] == gaps


@pytest.mark.parametrize("names", [(None,), ("a",), (None, "a", "b"), ("a", "b", "a")])
def test_the_schema_is_one_that_strict_servers_take(names: tuple[str | None, ...]) -> None:
    context = Context(Subject("m", "model", asked=True, columns=(ColumnFacts("a"), ColumnFacts("b"))), "select 1")
    schema = json.loads(json.dumps(build(context, gaps_named(*names), Style()).schema))
    jsonschema.Draft202012Validator.check_schema(schema)

    def closed(part: Any) -> bool:
        if isinstance(part, dict):
            if part.get("type") == "object" and (
                part.get("additionalProperties") is not False or part["required"] != list(part["properties"])
            ):
                return False
            if len(part.get("enum", [])) != len(set(part.get("enum", []))):
                return False
            return all(closed(value) for value in part.values())
        return True

    assert closed(schema)
    columns = [{"name": name, "description": "x"} for name in dict.fromkeys(names) if name is not None]
    reply = ({"description": "x"} if None in names else {}) | ({"columns": columns} if columns else {})
    jsonschema.validate(reply, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(reply | {"more": 1}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**reply, "columns": [{"name": "z", "description": "x"}]}, schema)


@given(st.text(max_size=60) | st.sampled_from(["=== data 0123456789abcdef ===", "=== data", "==="]))
@settings(deadline=None)
def test_no_data_can_forge_the_mark(text: str) -> None:
    context = Context(Subject("m", "model", asked=True), f"select 1 -- {text}", own=(("a", text),))
    system, data, _ = build(context, gaps_named(None), Style()).messages
    named = re.match(r"The data stands between two marks: (=== data [0-9a-f]{16} ===)\n", data.content)
    assert named is not None
    inside = data.content[named.end() :].split(named[1])
    assert [part.strip() for part in (inside[0], inside[-1])] == ["", ""]
    assert len(inside) == 3
    assert named[1] not in system.content


def test_the_instructions_are_the_same_for_all_models(tmp_path: Path) -> None:
    [one] = requests(tmp_path / "a", RAW, orders())
    [other] = requests(tmp_path / "b", table("m", {"y": None}, sql="select 1 as y"))
    assert one.messages[0] == other.messages[0]


# --- what is private ---

SECRET = "geheimzahl"


def private_projects() -> dict[str, list[Table]]:
    """Projects in which a private column could reach the prompt about the last table by one way each."""
    tagged = {"tags": ["pii"]}
    unsent = {"meta": {"osmosis": {"send": False}}}
    raw = table("raw.people", {SECRET: tagged | {"description": f"The {SECRET}."}, "id": None})
    body = f"select id, length({SECRET}) as size, {SECRET.upper()} as x from people -- {SECRET}"
    shows = {"id": None, "size": None, "y": None}
    return {
        "a parent's, in SQL, lineage and upstream texts": [raw, table("m", shows, sql=body, of=["raw.people"])],
        "its own": [table("m", {SECRET: tagged, "y": None}, sql=f"select 1 as {SECRET}, 2 as y")],
        "its own, quoted": [table("m", {SECRET: tagged, "y": None}, sql=f'select 1 as "{SECRET}", [{SECRET}] as y')],
        "by meta": [table("m", {SECRET: unsent, "y": None}, sql=f"select 1 as {SECRET}, 2 as y")],
        "by config.meta": [table("m", {SECRET: {"config": unsent}, "y": None}, sql=f"select 1 as {SECRET}, 2 as y")],
        "by config.tags": [table("m", {SECRET: {"config": tagged}, "y": None}, sql=f"select 1 as {SECRET}, 2 as y")],
        "in its own texts": [table("m", {SECRET: tagged, "z": f"Not the {SECRET}!", "y": None}, sql="select 1 as y")],
        "under an ephemeral parent": [
            raw,
            table("mid", {"id": None}, of=["raw.people"], config={"materialized": "ephemeral"}),
            table("m", shows, sql=f"with mid as (select id, {SECRET} from people) select id from mid", of=["mid"]),
        ],
        "the target of a relationship": [
            raw,
            table(
                "m",
                {"y": {"tests": [{"name": "relationships", "to": "raw.people", "arguments": {"field": SECRET}}]}},
                sql="select 1 as y",
            ),
        ],
        "asked for under its own name downstream": [
            raw,
            table("m", {SECRET: None, "y": None}, sql=f"select {SECRET}, id as y from people", of=["raw.people"]),
        ],
    }


@pytest.mark.parametrize("way", private_projects())
def test_a_private_column_is_never_named(tmp_path: Path, way: str) -> None:
    *before, model = private_projects()[way]
    made = requests(tmp_path, *before, model)
    assert made
    for request in made:
        assert SECRET not in said(request).lower()
        assert SECRET not in json.dumps(request.schema).lower()
        assert "y" in said(request)


def test_a_column_is_private_as_soon_as_the_file_says_so(tmp_path: Path) -> None:
    """The manifest may be older than the file."""
    root = build_project(tmp_path, table("m", {SECRET: None, "y": None}, sql=f"select 1 as {SECRET}, 2 as y"))
    assert SECRET in said(requests_in(root, "model.shop.m")[0])
    file = root / SCHEMA
    file.write_text(
        file.read_text("utf-8").replace(f"- name: {SECRET}", f"- name: {SECRET}\n        tags: pii"), "utf-8"
    )
    assert SECRET not in said(requests_in(root, "model.shop.m")[0])


def test_a_setting_names_what_is_private(tmp_path: Path) -> None:
    model = table("m", {SECRET: {"meta": {"confidential": True}}, "y": None}, sql=f"select 1 as {SECRET}, 2 as y")
    assert SECRET in prompt(tmp_path / "a", model)
    assert SECRET not in prompt(tmp_path / "b", model, settings={"private": ["confidential"]})


@given(
    private=st.lists(st.from_regex(r"[a-z]{3}q[a-z_0-9]{0,6}", fullmatch=True), min_size=1, max_size=4, unique=True),
    glue=st.lists(
        st.sampled_from([" ", ".", ",", '"', "(", ")", "\n", "`", "::", "'", "-- ", "=", "/*"]), min_size=1
    ),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_no_private_name_survives_wherever_it_stands(
    private: list[str], glue: list[str], data: st.DataObject
) -> None:
    words = st.lists(st.sampled_from([*private, *map(str.upper, private), "select", "a", "b"]), max_size=12)
    code = "".join(f"{word}{glue[at % len(glue)]}" for at, word in enumerate(data.draw(words)))
    columns = tuple(
        ColumnFacts(name, kind="derived", sources=(("t", name),), references=("t", name), accepted_values=(name,))
        for name in ("a", *private)
    )
    context = Context(
        Subject("m", "model", asked=True, columns=columns, grain=tuple(private), sources=("t",)),
        code,
        upstream=tuple(UpstreamColumn("m.s.t", "t", name, f"Text with {name}.") for name in private),
        own=tuple((name, f"({name})") for name in private),
        private=frozenset(private),
    )
    text = said(build(context, gaps_named(None, "a"), Style())).lower()
    for name in private:
        assert re.search(rf"(?<!\w){name}(?!\w)", text) is None
    assert "- a (derived from t.withheld_1" in text or "- a (" in text


def test_what_a_computed_column_is_made_of_comes_first_however_far_upstream_its_text_stands(tmp_path: Path) -> None:
    staged = table(
        "staged",
        {"id": "Order.", "paid": None},
        sql="select id, amount as paid from orders",
        of=["raw.orders"],
    )
    model = table("totals", {"total": None}, sql="select sum(paid) as total from staged", of=["staged"])
    text = prompt(tmp_path, RAW, staged, model)
    lines = text.split("## Upstream descriptions\n")[1].splitlines()
    assert lines[:2] == ["- staged.paid: What it cost.", "- staged.id: Order."]
