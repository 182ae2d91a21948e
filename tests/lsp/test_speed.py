"""What is kept between two keystrokes is what would be found anew, and nothing is said twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_editor import Editor, uri
from lsp_in_process import Wired
from osmosis_synthesize.document import Document, parse
from osmosis_synthesize.engine.gaps import EntrySurvey, Naming, survey
from osmosis_synthesize.engine.model import Unfilled
from osmosis_synthesize.lsp.documents import Documents, joined
from osmosis_synthesize.lsp.reading import Reading, Surveyor
from osmosis_synthesize.lsp.sheet import Item, Sheet
from osmosis_synthesize.lsp.texts import OpenText
from osmosis_synthesize.lsp.workspace import Member, Ready, Way
from osmosis_synthesize.project import Project
from osmosis_synthesize.settings import load_settings
from osmosis_synthesize.text import Span, TextEdit, apply_edits
from projects import DEMO, copy_demo, schema_files

RIDERS = "models/marts/dim_riders.yml"

TYPED = st.sampled_from(
    [
        "x",
        " ",
        "\n",
        "",
        '"',
        "'",
        "#",
        ": ",
        "- ",
        "{",
        "TODO",
        "é\U0001f6b2",
        "description: A text\n",
        "  - name: new\n",
    ]
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), TYPED, st.booleans()), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def project() -> Project:
    """The demo, with its manifest; nothing is written there."""
    return Project(DEMO, load_settings(DEMO))


def say(_: Reading, survey: EntrySurvey, ways: Sequence[Way | None]) -> Iterator[Item]:
    """Something of every gap."""
    yield Item(survey.entry.name_span, {"entry": str(survey.entry.key), "100 %d": "%s"})
    for (unique_id, slot), way in zip(survey.missing, ways, strict=True):
        yield Item(slot.name_span, {"gap": [unique_id, slot.column], "way": None if way is None else str(type(way))})


def typed(text: str, edits: Sequence[tuple[float, int, str, bool]]) -> Iterator[TextEdit]:
    """Edits, each of the text that the one before has left; some go on where that one was."""
    at = 0
    for where, length, new, goes_on in edits:
        start = min(at if goes_on else int(where * len(text)), len(text))
        edit = TextEdit(Span(start, min(start + length, len(text))), new)
        text = apply_edits(text, [edit])
        at = start + len(new)
        yield edit


def read(project: Project, member: Member, text: OpenText, document: Document, before: Reading | None) -> Reading:
    ready = Ready(project, has_manifest=True) if before is None else before.ready
    entries = Surveyor(ready, text, before).survey(document)
    assert entries is not None
    return Reading(text, member, ready, project, document, document.problems, entries)


@pytest.mark.parametrize("path", schema_files(DEMO), ids=lambda path: path.name)
@settings(max_examples=25, deadline=None)
@given(edits=EDITS, waits=st.integers(1, 4), data=st.data())
def test_what_is_kept_is_what_would_be_found(
    project: Project, path: Path, edits: list[tuple[float, int, str, bool]], waits: int, data: st.DataObject
) -> None:
    documents, member = Documents(), Member(project.root)
    text = OpenText("file:///a", path, "yaml", 1, path.read_text("utf-8"))
    reading = read(project, member, text, documents.read(path, text.text), None)
    sheet = Sheet(say, "utf-16")
    sheet.draw(reading)
    for number, edit in enumerate(typed(text.text, edits)):
        text = OpenText(text.uri, path, "yaml", number + 2, apply_edits(text.text, [edit]))
        documents.edited(path, edit)
        if number % waits:
            continue  # several keystrokes are read at once
        document = documents.at_hand(path, text.text) or documents.read(path, text.text)
        reading = read(project, member, text, document, reading)
        if reading.gaps:
            gap = data.draw(st.sampled_from(reading.gaps))
            member.ways[path] = {**reading.ways, gap.id: Unfilled(gap, "nobody knows")}

        whole = parse(text.text)
        fresh = read(project, member, text, document if whole.broken else whole, None)
        naming = Naming(project.index.metadata.project_name, project.root, project.index)
        found = survey(fresh.document, path, naming=naming, placeholders=project.placeholders)
        assert reading.gaps == found.gaps
        assert list(reading.ids) == [gap.id for gap in found.gaps]
        for gap in found.gaps:
            assert gap.id in reading.ids_of(gap.key)
            assert reading.gap(gap.key, gap.column) in [
                one for one in found.gaps if one.id == gap.id or one.key == gap.key
            ]
            last = min(gap.line - 1 + data.draw(st.integers(0, 40)), reading.document.lines.line_count - 1)
            on_lines = [one for one in found.gaps if gap.line - 1 <= one.line - 1 <= last]
            assert reading.gaps_on(gap.line - 1, last) == on_lines
        assert sheet.draw(reading) == Sheet(say, "utf-16").draw(fresh)
        assert isinstance(json.loads(f"[{sheet.draw(reading)}]"), list)
        assert sheet.draw(reading) is sheet.draw(reading)


def test_only_what_was_typed_in_is_looked_at_again(project: Project) -> None:
    path = DEMO / "models/marts/_marts.yml"
    documents, member = Documents(), Member(project.root)
    text = OpenText("file:///a", path, "yaml", 1, path.read_text("utf-8"))
    first = read(project, member, text, documents.read(path, text.text), None)
    edit = TextEdit(Span(at := text.text.index("- name: dim_stations") + 8, at), "x")
    text = OpenText("file:///a", path, "yaml", 2, apply_edits(text.text, [edit]))
    documents.edited(path, edit)

    document = documents.at_hand(path, text.text)

    assert document is not None
    second = read(project, member, text, document, first)
    known = {id(survey) for survey, _ in first.entries}
    new = [str(survey.entry.key) for survey, _ in second.entries if id(survey) not in known]
    assert len(second.entries) == len(first.entries) > 1
    assert new == ["xdim_stations"]


@settings(max_examples=300, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(["a", "bc", "", "\n"]), st.booleans()),
        min_size=2,
        max_size=2,
    )
)
def test_two_keystrokes_that_touch_are_one_edit(edits: list[tuple[float, int, str, bool]]) -> None:
    text = "0123456789"
    first, then = typed(text, edits)

    both = joined(first, then)

    if both is not None:
        assert apply_edits(text, [both]) == apply_edits(apply_edits(text, [first]), [then])
    else:
        assert not edits[1][3]


class Typing:
    """An open file of a server in this process, and the client's own text of it."""

    def __init__(self, demo: Path, **capabilities: Any) -> None:
        self.wired = Wired(capabilities=capabilities)
        self.name = uri(demo / RIDERS)
        self.text = (demo / RIDERS).read_text("utf-8")
        self.version = 1
        self.numbers = iter(range(100, 10_000))
        item = {"uri": self.name, "languageId": "yaml", "version": 1, "text": self.text}
        self.wired.notify("textDocument/didOpen", {"textDocument": item})

    def type(self, old: str, new: str) -> None:
        before, found, behind = self.text.partition(old)
        assert found
        line, start = before.count("\n"), len(before) - before.rfind("\n") - 1
        self.text = before + new + behind
        self.version += 1
        place = {"start": {"line": line, "character": start}, "end": {"line": line, "character": start + len(old)}}
        params = {"uri": self.name, "version": self.version}
        changes = [{"range": place, "text": new}]
        self.wired.notify("textDocument/didChange", {"textDocument": params, "contentChanges": changes})

    async def pull(self, previous: str | None = None) -> dict[str, Any]:
        number = next(self.numbers)
        params: dict[str, Any] = {"textDocument": {"uri": self.name}}
        if previous is not None:
            params["previousResultId"] = previous
        self.wired.request(number, "textDocument/diagnostic", params)
        return (await self.wired.answer(number))["result"]

    async def settled(self) -> dict[str, Any]:
        """The diagnostics once everything is known."""

        async def look() -> dict[str, Any] | None:
            found = await self.pull()
            gaps = [item for item in found["items"] if item["code"] == "missing-description"]
            return found if gaps and all(": " in item["message"] for item in gaps) else None

        found = await Editor().until(look)
        await self.wired.quiet()
        return found

    def published(self) -> list[dict[str, Any]]:
        return [
            item["params"] for item in self.wired.messages if item.get("method") == "textDocument/publishDiagnostics"
        ]

    async def end(self) -> None:
        self.wired.request(next(self.numbers), "shutdown", None)
        await self.wired.quiet()


@pytest.mark.asyncio
async def test_a_client_that_has_the_diagnostics_is_told_just_that(tmp_path: Path) -> None:
    typing = Typing(copy_demo(tmp_path / "demo"), textDocument={"diagnostic": {}})
    found = await typing.settled()

    again = await typing.pull(found["resultId"])
    assert again == {"kind": "unchanged", "resultId": found["resultId"]}

    typing.type("models:", "models: # all of them")
    assert (await typing.pull(found["resultId"]))["kind"] == "unchanged"

    typing.type("- name: rider_name", "- name: rider_nam")
    changed = await typing.pull(found["resultId"])
    assert changed["kind"] == "full"
    assert changed["resultId"] != found["resultId"]
    assert "`dim_riders.rider_nam` has no description" in [item["message"] for item in changed["items"]]
    await typing.end()


@pytest.mark.asyncio
async def test_what_has_been_sent_is_not_sent_again(tmp_path: Path) -> None:
    typing = Typing(copy_demo(tmp_path / "demo"))
    await typing.settled()
    sent = len(typing.published())
    assert sent

    typing.type("models:", "models: # all of them")
    await typing.wired.quiet()
    assert len(typing.published()) == sent

    typing.type("- name: rider_name", "- name: rider_nam")
    await Editor().until(lambda: len(typing.published()) > sent)
    assert "`dim_riders.rider_nam` has no description" in str(typing.published()[-1])

    typing.wired.notify("textDocument/didClose", {"textDocument": {"uri": typing.name}})
    assert typing.published()[-1] == {"uri": typing.name, "diagnostics": []}
    await typing.end()
