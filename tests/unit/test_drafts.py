"""Schema files while they are edited: how many of them are held whole."""

from __future__ import annotations

from pathlib import Path

from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.settings import load_settings
from small_projects import build, table


def test_of_many_files_the_last_ones_are_held_whole_and_the_others_packed(tmp_path: Path) -> None:
    """Three files of 240,000 characters are more than are held whole; what is packed says the same."""
    columns = {f"column_{number}": "x" * 100 for number in range(1_600)} | {"open": None}
    root = build(tmp_path, *(table(f"m{number}", columns, file=f"models/{number}.yml") for number in range(3)))
    project = Project(root, load_settings(root))
    before = {path: path.read_text("utf-8") for path in sorted(root.glob("models/*.yml"))}
    assert all(len(text) > 500_000 / 3 for text in before.values())

    def whole(drafts: Drafts) -> list[bool]:
        return [document.whole for path in before if (document := drafts.get(path)) is not None]

    gaps = project.survey(Request(whole_project=True)).gaps
    assert whole(project.drafts) == [False, True, True]
    (first,) = (gap for gap in gaps if gap.unique_id.endswith("m0") and gap.column)
    assert described(project, first) is None
    assert project.drafts.fill([(first, "Edited.")]) == [None]
    assert whole(project.drafts) == [True, False, True]
    assert described(project, first) == "Edited."
    assert [gap.id for gap in project.survey(Request(whole_project=True)).gaps] == [
        gap.id for gap in gaps if gap is not first
    ]
    assert list(project.drafts.flush()) == [first.file]
    edited = first.file.read_text("utf-8")
    assert edited != before[first.file]
    assert edited.replace("Edited.", "").splitlines()[:3] == before[first.file].splitlines()[:3]


def test_a_file_that_is_too_large_is_packed_at_once(tmp_path: Path) -> None:
    columns = {f"column_{number}": "x" * 100 for number in range(5_000)}
    root = build(tmp_path, table("m", columns), table("n", {"x": None}, file="models/n.yml"))
    project = Project(root, load_settings(root))
    assert len(project.survey(Request(whole_project=True)).gaps) == 3
    documents = [project.drafts.get(path) for path in (root / "models/_models.yml", root / "models/n.yml")]
    assert [document.whole for document in documents if document is not None] == [False, True]


def described(project: Project, gap: Gap) -> str | None:
    document = project.drafts.get(gap.file)
    entry = document.entry(gap.key) if document is not None else None
    slot = entry.column(gap.column or "") if entry is not None else None
    assert slot is not None
    return slot.text
