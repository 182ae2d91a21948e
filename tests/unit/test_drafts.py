"""Schema files while they are edited: in which order what is new comes, and how many are held whole."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from osmosis_synthesize.document import parse
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.names import EntryKey
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


NEW = ("model.n0", "seed.n1", "model.n2", "source.raw.n3", "model.n4", "seed.n5", "source.raw.n6", "model.n7")
OLD = ("", "version: 2\n\nmodels:\n  - name: old\n\nsources:\n  - name: raw\n    tables:\n      - name: old\n")


def key_of(name: str) -> EntryKey:
    kind, *source, own = name.split(".")
    return EntryKey("model" if kind == "model" else "seed" if kind == "seed" else "source", own, *source)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    finished=st.permutations(range(len(NEW))), cuts=st.sets(st.integers(1, len(NEW) - 1)), old=st.sampled_from(OLD)
)
@example(finished=list(reversed(range(len(NEW)))), cuts=set(range(1, len(NEW))), old=OLD[1])
def test_new_entries_come_in_the_order_of_the_gaps_whichever_is_finished_first(
    tmp_path: Path, finished: list[int], cuts: set[int], old: str
) -> None:
    file = tmp_path / "new.yml"
    names = [name for name in NEW if old or not name.startswith("source")]
    gaps = [Gap(name, None, key_of(name), file, 1, 1, None) for name in names]
    order = {file: [gap.key for gap in gaps]}
    turns = [number for number in finished if number < len(gaps)]

    def filled(heaps: list[list[Gap]]) -> str | None:
        drafts = Drafts({file: old} if old else None)
        for heap in heaps:
            assert drafts.fill([(gap, f"About {gap.key.name}.") for gap in heap], order) == [None] * len(heap)
        return drafts.text(file)

    heaps: list[list[Gap]] = [[]]
    for place, number in enumerate(turns):
        if place in cuts:
            heaps.append([])
        heaps[-1].append(gaps[number])
    text = filled([sorted(heap, key=gaps.index) for heap in heaps])
    sections = {
        kind: [name.rpartition(".")[2] for name in names if name.startswith(kind)] for kind in ("model", "seed")
    }
    document = parse(text or "")
    for kind, expected in sections.items():
        found = [entry.key.name for entry in document.entries if entry.key.resource_type == kind]
        assert [name for name in found if name != "old"] == expected
        assert found[: len(found) - len(expected)] == [name for name in found if name == "old"]
    if old:  # without it, which section is begun first decides which comes first
        assert text == filled([gaps])


def described(project: Project, gap: Gap) -> str | None:
    document = project.drafts.get(gap.file)
    entry = document.entry(gap.key) if document is not None else None
    slot = entry.column(gap.column or "") if entry is not None else None
    assert slot is not None
    return slot.text
