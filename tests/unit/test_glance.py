"""What is said at a glance is what the parser says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from osmosis_synthesize.document import is_gap, parse
from osmosis_synthesize.document.glance import described_slots, is_plain

SCHEMA = """\
version: 2

# the shop
models:
  - name: orders
    description: All orders of the shop
    config:
      tags: [daily, 'not null']
    columns:
      - name: order_id
        description: "{{ doc('order_id') }}"
        data_tests:
          - unique
          - relationships: {to: x, field: id}
          - accepted_values:
              arguments:
                values:
                - 1
                - two # comment
      - name: 'it''s'
        description: |
          What it is.

          # no comment
        quote: true
      - name: amount
        description: In dollars, and
          on two lines
  - description: >-
      Folded
    name: "customers"
seeds:
- name: countries
  description: Two-letter codes: no
  columns: []
sources:
  - name: raw
    database: x
    tables:
    - name: t
      description: A table
      columns:
      - name: id
        description: its id
exposures:
  - name: board
    depends_on:
      - ref('orders')
""".replace("codes: no", "codes")


def by_the_parser(text: str) -> int | None:
    """How many slots there are, if each is described and nothing is odd."""
    document = parse(text)
    slots = list(document.slots())
    if document.broken or document.problems or any(slot.state == "blocked" or is_gap(slot) for slot in slots):
        return None
    return len(slots)


def test_a_plain_file_is_told_at_a_glance() -> None:
    assert described_slots(SCHEMA) == by_the_parser(SCHEMA) == 8
    assert described_slots(SCHEMA.replace("\n", "\r\n")) == 8


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("description: All orders of the shop", "description:"),
        ("description: All orders of the shop", "description: TODO"),
        ("description: All orders of the shop", "description: ''"),
        ("description: All orders of the shop", "description: ~"),
        ("description: All orders of the shop", "meta: x"),
        ("description: All orders of the shop", "descripton: x"),
        ("description: All orders of the shop", "description: x\n    description: y"),
        ("description: its id", "description: |"),
        ("name: amount", "name: order_id"),
        ("name: amount", "name: null"),
        ("name: amount", "nam: amount"),
        ("      - name: amount", "     - name: amount"),
        ("      - unique", "    - unique"),
        ("columns: []", "columns: *x"),
        ("  - name: orders", "  - &o\n    name: orders"),
        ("  - name: orders", "  - name: orders\n    versions:\n      - v: 1"),
        ("version: 2", "version: 2\n---"),
        ("version: 2", "version: 2\nmodels: []"),
        ("description: A table", "description: A: table"),
        ("on two lines", "on two: lines"),
        ("on two lines", "# on two lines\n          x"),
        ("data_tests:", "data_tests: x"),
        ("- two # comment", "- [two"),
        ("tags: [daily", "tags: [daily\t"),
    ],
)
def test_whatever_is_missing_or_odd_is_left_to_the_parser(old: str, new: str) -> None:
    assert old in SCHEMA
    assert described_slots(SCHEMA.replace(old, new, 1)) is None


PIECES = st.sampled_from(
    [
        *"\n :-#'\"[]{}&*!|>%@`?,~xé\t",
        "\n  ",
        "\n      ",
        "- ",
        ": ",
        " #",
        "''",
        "null",
        "description: ",
        "\r\n",
        "\u2028",
        "---",
    ]
)
EDITS = st.lists(
    st.tuples(st.integers(0, len(SCHEMA)), st.integers(0, 12), st.just("") | PIECES), min_size=1, max_size=3
)


@settings(max_examples=800, deadline=None)
@given(EDITS)
@example([(0, 0, "\ufeff")])
def test_a_glance_never_says_what_the_parser_would_not(edits: list[tuple[int, int, str]]) -> None:
    text = SCHEMA
    for start, length, piece in edits:
        text = text[:start] + piece + text[start + length :]
    glance = described_slots(text)
    assert glance is None or glance == by_the_parser(text)


ITEMS = [
    f"{blanks}- name: {name}\n{blanks}  description: {text}\n{more}"
    for blanks in ("", "  ", "      ")
    for name, text, more in (
        ("x", "What it is, and where it comes from in the end", ""),
        ("y", "'No.'", f"{blanks}  data_type: date\n"),
        ("z", "x", "\n"),
        ("z", '"[to do, or not to do: that is the question here]"', f"{blanks}    goes on\n"),
        ("x", "To do", ""),
    )
]


LINES = st.sampled_from(SCHEMA.splitlines(keepends=True))
COLUMNS = "models:\n  - name: m\n    description: >\n      M.\n    columns:\n"


@settings(max_examples=600, deadline=None)
@given(st.builds("".join, st.lists(LINES | st.sampled_from([*ITEMS, COLUMNS, "models:\n"]), max_size=9)))
@example("models:\n" + ITEMS[5] + "    columns:\n" + ITEMS[10] + ITEMS[11] + ITEMS[5])
@example("models:\n" + ITEMS[0] + "\n\n    and more\n")
@example(COLUMNS.replace("M.", "M:\n" + ITEMS[10]) + ITEMS[10] + ITEMS[11])
@example(COLUMNS + ITEMS[10] + ITEMS[10])
@example(COLUMNS + ITEMS[11] + ITEMS[14])
@example(COLUMNS + ITEMS[11].replace(": y", ": NULL"))
def test_nor_of_lines_in_any_order(text: str) -> None:
    glance = described_slots(text)
    assert glance is None or glance == by_the_parser(text)


def test_items_of_a_name_and_a_text_are_told_at_a_glance() -> None:
    column = "      - name: w\n        description: |\n          W.\n"
    text = COLUMNS + column + ITEMS[10] + ITEMS[11] + "\n" + ITEMS[5]
    assert described_slots(text) == by_the_parser(text) == 5


def test_is_plain_tells_mappings_in_block_form() -> None:
    assert is_plain("name: shop\nmodels:\n  shop:\n    +materialized: view\nclean-targets: [target, dbt_packages]\n")
    assert not is_plain("name: [shop\n")
    assert not is_plain("name: &shop x\n")


def check(file: Path, *options: str) -> tuple[int, str, list[str]]:
    """Exit code, output and the modules of ours or of others that were loaded."""
    program = (
        "import sys; from osmosis_hooks.cli import main; code = main(sys.argv[1:]);"
        "print(*sorted(sys.modules), sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "check", *options, str(file)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr.split()


@pytest.fixture
def schema_file(tmp_path: Path) -> Path:
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\nmodel-paths: ['models']\n")
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "shop.yml"
    file.write_text(SCHEMA)
    return file


def test_check_loads_no_parser_for_a_file_that_is_complete(schema_file: Path) -> None:
    code, output, modules = check(schema_file)
    assert (code, output) == (0, "")
    assert not {"ruamel.yaml", "msgspec", "sqlglot", "osmosis_synthesize.project"}.intersection(modules)


def test_a_setting_of_the_project_makes_it_look_closely(schema_file: Path) -> None:
    with (schema_file.parents[1] / "dbt_project.yml").open("a") as project:
        project.write('vars: {dbt-osmosis: {llm: {placeholders: ["All orders of the shop"]}}}\n')
    code, output, modules = check(schema_file)
    assert code == 1
    assert "orders has only a placeholder" in output
    assert "ruamel.yaml" in modules


def test_a_file_of_a_package_is_passed_over_as_ever(schema_file: Path) -> None:
    package = schema_file.parents[1] / "dbt_packages" / "models" / "shop.yml"
    package.parent.mkdir(parents=True)
    schema_file.rename(package)
    code, _, messages = check(package)
    assert code == 0
    assert "ruamel.yaml" in messages
    assert "package." in messages
