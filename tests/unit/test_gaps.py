"""Which gaps there are, whose they are, and where a missing entry goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osmosis_synthesize.engine.gaps import Survey
from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings
from small_projects import Table, build, table


def survey(root: Path, *files: str, select: tuple[str, ...] = (), with_manifest: bool = True) -> Survey:
    project = Project(root, load_settings(root))
    request = Request(tuple(root / file for file in files), whole_project=not files, select=select)
    return project.survey(request, with_manifest=with_manifest)


def gaps(root: Path, *files: str, select: tuple[str, ...] = (), with_manifest: bool = True) -> list[str]:
    """Each gap as ``file:line:column unique_id [column]``."""
    found = survey(root, *files, select=select, with_manifest=with_manifest)
    return [
        f"{gap.file.relative_to(root.resolve()).as_posix()}:{gap.line}:{gap.character} "
        + " ".join(filter(None, (gap.unique_id, gap.column)))
        for gap in found.gaps
    ]


def write(root: Path, text: str, file: str = "models/_models.yml") -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text, "utf-8")


SLOTS = [
    ("", True),
    ("description:", True),
    ("description: ''", True),
    ('description: "  "', True),
    ("description: null", True),
    ("description: TODO", True),
    ("description: '- '", True),
    ("description: Pending further documentation.", True),
    ("description: noch nichts", True),  # the project's own placeholder
    ("description: Number.", False),
    ("description: TODO list of the customer", False),
    ("description: \"{{ doc('x') }}\"", False),
    ("description: {{ doc('x') }}", False),
    ("descritpion: A human wrote this.", True),  # blocked: nothing may be written here, but there is no description
]


@pytest.mark.parametrize(("line", "is_gap"), SLOTS)
def test_what_is_a_gap(tmp_path: Path, line: str, is_gap: bool) -> None:
    root = build(tmp_path, table("m", {"a": None}), settings={"placeholders": ["Noch nichts"]})
    write(root, f"models:\n  - name: m\n    description: It.\n    columns:\n      - name: a\n        {line}\n")
    found = survey(root)
    assert [gap.column for gap in found.gaps] == (["a"] if is_gap else [])
    assert found.slots == 2
    assert found.coverage == (50 if is_gap else 100)
    for gap in found.gaps:
        assert (gap.line, gap.character) == (5, 15)
        assert gap.slot is not None
        assert (gap.slot.blocked_by is not None) == line.startswith("descritpion")


def test_nothing_to_describe_is_wholly_described() -> None:
    assert Survey().coverage == 100


def test_all_four_kinds(tmp_path: Path) -> None:
    root = build(
        tmp_path,
        table("raw.t", {"a": None}, file="models/s.yml"),
        table("m", {"b": None}),
        table("p", {"c": None}, kind="seed", file="seeds/p.yml", original_file_path="seeds/p.csv"),
        table("h", {"d": None}, kind="snapshot", file="snapshots/h.yml", original_file_path="snapshots/h.sql"),
    )
    assert gaps(root) == [
        "models/_models.yml:4:11 model.shop.m",
        "models/_models.yml:6:15 model.shop.m b",
        "models/s.yml:6:15 source.shop.raw.t",
        "models/s.yml:8:19 source.shop.raw.t a",
        "seeds/p.yml:4:11 seed.shop.p",
        "seeds/p.yml:6:15 seed.shop.p c",
        "snapshots/h.yml:4:11 snapshot.shop.h",
        "snapshots/h.yml:6:15 snapshot.shop.h d",
    ]
    # Without the manifest they are called what dbt would call them.
    assert gaps(root, "models/s.yml", with_manifest=False) == gaps(root, "models/s.yml")


VERSIONS = """\
models:
  - name: m
    latest_version: 2
    columns:
      - name: a
      - name: gone
    versions:
      - v: 1
      - v: 2
        columns:
          - include: all
            exclude: [gone]
          - name: added
"""


def versioned(root: Path) -> Path:
    shared = {"latest_version": 2, "package_name": "shop"}
    build(
        root,
        table("m", {"a": None, "gone": None}, version="1", **shared),
        table("m", {"a": None, "added": None}, version="2", **shared),
    )
    write(root, VERSIONS)
    return root


def test_of_several_versions_the_latest_that_has_the_column(tmp_path: Path) -> None:
    root = versioned(tmp_path)
    assert gaps(root) == [
        "models/_models.yml:2:11 model.shop.m.v2",
        "models/_models.yml:5:15 model.shop.m.v2 a",
        "models/_models.yml:6:15 model.shop.m.v1 gone",
        "models/_models.yml:13:19 model.shop.m.v2 added",
    ]


SELECTIONS = [
    ("m", ["m", "m a"]),
    ("model.shop.m", ["m", "m a"]),
    ("raw.t", ["raw.t x"]),
    ("t", ["raw.t x"]),
    ("source.shop.raw.t", ["raw.t x"]),
    ("lonely", ["lonely"]),
    ("model.shop.lonely", ["lonely"]),
]


@pytest.mark.parametrize(("name", "expected"), SELECTIONS)
def test_select(tmp_path: Path, name: str, expected: list[str]) -> None:
    raw = table("raw.t", {"x": None}, description="Raw.", file="models/s.yml")
    other = table("raw.other", {"x": None}, description="Raw.", file="models/t.yml")
    root = build(tmp_path, raw, other, table("m", {"a": None}), table("lonely", file=None), table("alone", file=None))
    found = [gap.partition(".shop.")[2] for gap in gaps(root, select=(name,))]
    assert found == expected


def test_select_by_version(tmp_path: Path) -> None:
    root = versioned(tmp_path)
    assert [gap.rpartition(" ")[2] for gap in gaps(root, select=("m.v2",))] == ["added"]
    with pytest.raises(UsageError, match=r"Nothing here is called m\.v3"):
        gaps(root, select=("m", "m.v3"))


# --- nodes that no schema file mentions ---


def lonely(path: str = "models/mart/lonely.sql") -> Table:
    return table("lonely", file=None, original_file_path=path)


def at_home(name: str, file: str, folder: str = "models/mart") -> Table:
    return table(name, file=file, description="It.", original_file_path=f"{folder}/{name}.sql")


FILES: list[tuple[str, list[Table], str]] = [
    ("the only one", [], "models/mart/_models.yml"),
    ("its folder's file", [at_home("a", "models/mart/marts.yml")], "models/mart/marts.yml"),
    (
        "the file that most of its folder use",
        [at_home("a", "models/x.yml"), at_home("b", "models/mart/y.yml"), at_home("c", "models/mart/y.yml")],
        "models/mart/y.yml",
    ),
    ("a file elsewhere", [at_home("a", "models/schema.yaml")], "models/schema.yaml"),
    ("not that of another folder", [at_home("a", "models/stg.yml", "models/staging")], "models/mart/_models.yml"),
    (
        "one file a node",
        [at_home("a", "models/mart/a.yml"), at_home("b", "models/mart/b.yml")],
        "models/mart/lonely.yml",
    ),
    (
        "one file a node, marked and in a folder of their own",
        [at_home("a", "models/mart/docs/_a.yaml"), at_home("b", "models/mart/docs/_b.yaml")],
        "models/mart/docs/lonely.yaml",
    ),
]


@pytest.mark.parametrize(("others", "expected"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_where_a_missing_entry_goes(tmp_path: Path, others: list[Table], expected: str) -> None:
    root = build(tmp_path, *others, lonely())
    assert gaps(root) == [f"{expected}:1:1 model.shop.lonely"]
    assert gaps(root, "models/mart/lonely.sql")[-1] == f"{expected}:1:1 model.shop.lonely"


def test_the_name_of_a_new_file_is_a_setting(tmp_path: Path) -> None:
    root = build(tmp_path, lonely(), settings={"schema_file": "schema.yml"})
    assert gaps(root) == ["models/mart/schema.yml:1:1 model.shop.lonely"]


def test_an_entry_that_the_manifest_does_not_know_of_yet(tmp_path: Path) -> None:
    """Written since the manifest was: it is the node's, wherever it stands."""
    root = build(tmp_path, lonely())
    write(root, "models:\n  - name: lonely\n    columns:\n      - name: a\n", "models/elsewhere.yml")
    expected = ["models/elsewhere.yml:2:11 model.shop.lonely", "models/elsewhere.yml:4:15 model.shop.lonely a"]
    assert gaps(root) == gaps(root, "models/elsewhere.yml") == expected
    assert gaps(root, "models/mart/lonely.sql") == expected


def test_an_entry_that_was_moved(tmp_path: Path) -> None:
    root = build(tmp_path, table("m", {"a": None}))
    (root / "models/_models.yml").rename(root / "models/moved.yml")
    expected = ["models/moved.yml:4:11 model.shop.m", "models/moved.yml:6:15 model.shop.m a"]
    assert gaps(root) == gaps(root, "models/moved.yml") == expected
    # The file that the manifest names is gone: that is nobody's fault, and the model's file stands for the new one.
    project = Project(root, load_settings(root))
    found = project.survey(Request((root / "models/m.sql",))).gaps
    assert [(gap.file.name, gap.column) for gap in found] == [("moved.yml", None), ("moved.yml", "a")]
    assert not project.unreadable
    assert project.notes == []


def test_a_model_that_nobody_has_parsed_yet(tmp_path: Path) -> None:
    root = build(tmp_path, table("m", {"a": "Text."}, description="It."))
    write(root, "models:\n  - name: brand_new\n", "models/new.yml")
    assert gaps(root) == ["models/new.yml:2:11 model.shop.brand_new"]


def test_sources_and_packages_get_no_entries(tmp_path: Path) -> None:
    package = table("theirs", file=None, package_name="other", patch_path=None)
    source = table("raw.t", file="models/s.yml", description="Raw.")
    root = build(tmp_path, package, source)
    assert gaps(root) == []


def test_two_nodes_of_one_name(tmp_path: Path) -> None:
    """A snapshot and a model may share theirs: each entry is its own node's."""
    model = table("t", {"a": None}, description="It.", file="models/t.yml")
    snapshot = table(
        "t",
        {"b": None},
        description="It.",
        kind="snapshot",
        file="snapshots/t.yml",
        original_file_path="snapshots/t.sql",
    )
    assert [gap.partition(" ")[2] for gap in gaps(build(tmp_path, model, snapshot))] == [
        "model.shop.t a",
        "snapshot.shop.t b",
    ]


def test_a_file_of_another_kind_has_none(tmp_path: Path) -> None:
    root = build(tmp_path, table("m", {"a": "Text."}, description="It."))
    write(root, json.dumps({"metrics": [{"name": "m"}], "exposures": [{"name": "m"}]}), "models/metrics.yml")
    assert survey(root, "models/metrics.yml") == Survey()
