"""Texts as edits of the files as they are now. Places are found by node and column, never by what they were before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from osmosis_synthesize.document import edit, is_gap, parse
from osmosis_synthesize.drafts import changes_for
from osmosis_synthesize.engine.model import Author, Gap, Proposal
from osmosis_synthesize.errors import WriteError
from osmosis_synthesize.files import write_source
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.client import Abilities
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.project import Project
from osmosis_synthesize.text import LineIndex, TextEdit, apply_edits

Texts = Sequence[tuple[Gap, str | None]]
"""Without a text, a column is added that the file lacks, or the text that stands there is taken out."""

_TRIES: Final = 3
"""How often an edit is made anew because the user went on typing."""


@dataclass(frozen=True, slots=True)
class FileEdit:
    """The edits of one file at one version."""

    path: Path
    uri: str
    version: int | None
    """``None`` for a file that is not open."""
    is_new: bool
    lines: LineIndex
    edits: tuple[TextEdit, ...]


@dataclass(frozen=True, slots=True)
class Proposed:
    """The edits that put some texts in place, and why the others could not be."""

    files: tuple[FileEdit, ...]
    reasons: tuple[str | None, ...]
    """For each text; ``None`` where it is among the edits."""

    @property
    def count(self) -> int:
        """How many texts are put in place."""
        return self.reasons.count(None)


async def propose(session: Session, project: Project, texts: Texts) -> Proposed:
    """The edits of the files as they are now. ``project`` has the open texts as they are now."""
    open_files = {path: text for path in {gap.file for gap, _ in texts} if (text := session.texts.at(path))}
    uris = {path: (text.uri, text.version) for path, text in open_files.items()}
    return await session.worker.do(lambda: _propose(project, texts, uris))


def _propose(project: Project, texts: Texts, uris: Mapping[Path, tuple[str, int]]) -> Proposed:
    files: list[FileEdit] = []
    reasons: list[str | None] = [None] * len(texts)
    for path in dict.fromkeys(gap.file for gap, _ in texts):
        numbers = [number for number, (gap, _) in enumerate(texts) if gap.file == path]
        found = project.drafts.get(path)
        if found is None and path in project.drafts.unreadable:
            for number in numbers:
                reasons[number] = project.drafts.unreadable[path]
            continue
        document = found if found is not None else parse("")
        changes = changes_for(document, [texts[number] for number in numbers])
        for number, change in zip(numbers, changes, strict=True):
            reasons[number] = change if isinstance(change, str) else None
            gap = texts[number][0]
            entry = document.entry(gap.key)
            slot = None if entry is None else entry.slot if gap.column is None else entry.column(gap.column)
            if gap.replaces is not None and slot is not None:
                if slot.text != gap.replaces:
                    reasons[number] = f"{gap.label} was changed meanwhile"
            elif slot is not None and not is_gap(slot, project.placeholders):
                reasons[number] = f"{gap.label} was described meanwhile"
        wanted = {
            id(change): change
            for number, change in zip(numbers, changes, strict=True)
            if reasons[number] is None and not isinstance(change, str)
        }
        edited = edit(document, list(wanted.values()))
        rejected = {id(item.change): item.reason for item in edited.rejected}
        for number, change in zip(numbers, changes, strict=True):
            if reasons[number] is None:
                reasons[number] = rejected.get(id(change))
        if edited.edits:
            uri, version = uris.get(path, (convert.uri_of(path), None))
            files.append(FileEdit(path, uri, version, found is None, document.lines, edited.edits))
    return Proposed(tuple(files), tuple(reasons))


def workspace_edit(
    files: Sequence[FileEdit], abilities: Abilities, label: str, *, confirm: bool
) -> types.WorkspaceEdit:
    """The edits as the client takes them. With ``confirm`` the user is shown them first, where the client can do that."""
    encoding = abilities.encoding
    if not abilities.document_changes:
        return types.WorkspaceEdit(
            changes={file.uri: convert.text_edits(file.edits, file.lines, encoding) for file in files}
        )
    annotated = abilities.change_annotations
    changes: list[types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile] = []
    for file in files:
        if file.is_new and abilities.create_files:
            changes.append(types.CreateFile(uri=file.uri, options=types.CreateFileOptions(ignore_if_exists=True)))
        edits = convert.text_edits(file.edits, file.lines, encoding)
        changes.append(
            types.TextDocumentEdit(
                types.OptionalVersionedTextDocumentIdentifier(file.uri, file.version),
                [types.AnnotatedTextEdit(_ANNOTATION, one.range, one.new_text) for one in edits]
                if annotated
                else edits,
            )
        )
    annotation = types.ChangeAnnotation(label, needs_confirmation=confirm, description="osmosis")
    return types.WorkspaceEdit(
        document_changes=changes, change_annotations={_ANNOTATION: annotation} if annotated else None
    )


_ANNOTATION: Final = "osmosis"


Confirm = Literal["never", "several", "always"]
"""When the user is shown texts before they are in place, where the client can do that: ``several`` is more than one."""


async def apply(
    session: Session, project: Project, texts: Texts, label: str, *, confirm: Confirm = "several"
) -> tuple[str | None, ...]:
    """Have the client put texts in place, in one edit that one undo takes back. Gives, for each, why it is not there.

    A file that is still to be made, by a client that cannot, is written by the server, once the rest is in place.
    A document that changes meanwhile is looked at anew; what a human has written by then stays.
    """
    if not texts:
        return ()
    reasons: tuple[str | None, ...] = ()
    for _ in range(_TRIES):
        proposed = await propose(session, project, texts)
        reasons = proposed.reasons
        if not proposed.files:
            return reasons
        if _is_current(session, proposed.files):
            shown = confirm == "always" or (confirm == "several" and proposed.count > 1)
            own = [file for file in proposed.files if file.is_new and not session.abilities.makes_files]
            others = [file for file in proposed.files if file not in own]
            wanted = workspace_edit(others, session.abilities, label, confirm=shown)
            if not others or await _applied(session, wanted, label):
                failed = await session.worker.do(lambda own=own: _make(own)) if own else {}
                return tuple(reason or failed.get(gap.file) for (gap, _), reason in zip(texts, reasons, strict=True))
            if _is_current(session, proposed.files):
                break
        project = session.refreshed(project)
    return tuple(reason or _NOT_TAKEN for reason in reasons)


async def _applied(session: Session, wanted: types.WorkspaceEdit, label: str) -> bool:
    """Whether the client has made an edit."""
    try:
        answer = await session.protocol.ask(types.WORKSPACE_APPLY_EDIT, types.ApplyWorkspaceEditParams(wanted, label))
    except JsonRpcException:  # it does not know how, or failed at it
        return False
    return bool(answer.applied)


def _make(files: Sequence[FileEdit]) -> dict[Path, str]:
    """Write new files; gives why some could not be."""
    failed: dict[Path, str] = {}
    for file in files:
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            write_source(file.path, apply_edits("", file.edits), expected=None)
        except (OSError, WriteError) as error:
            failed[file.path] = str(error)
    return failed


async def record(session: Session, project: Project, proposals: Sequence[Proposal]) -> None:
    """Keep where texts come from that are in place, or about to be. What cannot be kept is told, and stops nothing."""
    if any(isinstance(proposal.source, Author) for proposal in proposals):
        now = session.refreshed(project)
        try:
            await session.worker.do(lambda: now.record(proposals))
        except WriteError as error:
            session.tell(str(error))


_NOT_TAKEN: Final = "the editor did not make the edit; the text is in the cache, so that asking again is free"


def _is_current(session: Session, files: Sequence[FileEdit]) -> bool:
    """Whether the documents still are the ones that the edits are for."""
    for file in files:
        text = session.texts.at(file.path)
        if (text.version if text is not None else None) != file.version:
            return False
    return True
