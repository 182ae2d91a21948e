"""What happens when something changes: a text, a file, the editor's settings. Handlers here are quick and never wait."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.discovery import PROJECT_FILE
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.client import abilities_of
from osmosis_synthesize.lsp.configuration import SECTION, Configuration, read_configuration
from osmosis_synthesize.lsp.features import diagnostics, status
from osmosis_synthesize.lsp.outlook import work_out, work_out_model
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.texts import OpenText
from osmosis_synthesize.lsp.workspace import NODE_SUFFIXES, Broken, GapId, Member, Ready, State, Unread

_TYPING: Final = 0.2
"""Seconds without a change after which the outlook is worked out anew. Diagnostics do not wait for it."""

_WATCHED: Final = (
    f"**/{PROJECT_FILE}",
    "**/vars.yml",
    "**/manifest.json",
    "**/catalog.json",
    "**/*.{yml,yaml,sql,md}",
)


# The connection


def initialize(session: Session, params: types.InitializeParams) -> None:
    """Note what the client can do. Nothing is read."""
    session.protocol.tracing.set(params.trace)
    encoding = session.protocol.workspace.position_encoding
    session.abilities = abilities_of(params.capabilities, encoding)
    session.initial_options = params.initialization_options
    session.configuration = read_configuration(None, session.initial_options)


def initialized(session: Session, _: types.InitializedParams) -> None:
    """Begin: configuration first, then the projects that the workspace's folders are."""
    session.jobs.start(_begin(session), name="starting")


async def _begin(session: Session) -> None:
    await _register(session)
    await configure(session)
    for folder in _folders(session):
        _look_into(session, folder)
    session.jobs.start(_poll(session), name="looking for changes")


def _folders(session: Session) -> list[Path]:
    """The workspace's."""
    workspace = session.protocol.workspace
    # Clients from before there were several of them name one as the root.
    uris = [folder.uri for folder in workspace.folders.values()] or [workspace.root_uri]
    paths = (convert.path_of(uri) for uri in uris if uri)
    return [path for path in paths if path is not None]


def _look_into(session: Session, folder: Path) -> None:
    """Load the project that a folder of the workspace is. Those below it are loaded when a file of theirs is opened."""
    if (folder / PROJECT_FILE).is_file():
        look_after(session, folder / PROJECT_FILE)


async def _poll(session: Session) -> None:
    """Look after the files that matter most where the client does not: it cannot, or they are outside its folders."""
    seen: dict[Path, Mapping[Path, object]] = {}
    while True:
        await asyncio.sleep(_POLLING)
        for member in session.workspace:
            if _is_watched(session, member):
                continue
            now = await session.worker.do(partial(member.stamps, session.documents.below(member.root)))
            before = seen.get(member.root, now)
            seen[member.root] = now
            if any(before.get(file, stamp) != stamp for file, stamp in now.items()):
                reload(session, member)


def _is_watched(session: Session, member: Member) -> bool:
    """Whether the client tells of all that matters to a project."""
    folders = _folders(session)
    files = (member.root, *filter(None, member.artifacts or ()))
    return session.abilities.watched_files and all(
        any(_real(file).is_relative_to(folder) for folder in folders) for file in files
    )


_POLLING: Final = 2.0
"""Seconds between two looks."""


async def _register(session: Session) -> None:
    registrations: list[types.Registration] = []
    if session.abilities.configuration_changes:
        method = types.WORKSPACE_DID_CHANGE_CONFIGURATION
        options = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
        registrations.append(types.Registration("osmosis-configuration", method, options))
    if session.abilities.watched_files:
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        watchers = [types.FileSystemWatcher(pattern) for pattern in _WATCHED]
        files = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        registrations.append(types.Registration("osmosis-files", method, files))
    if registrations:
        await _ask(session, types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams(registrations))


async def _ask(session: Session, method: str, params: object) -> Any:
    """A request that a client may refuse; what it offers depends on it, and the rest goes on."""
    try:
        return await session.protocol.ask(method, params)
    except JsonRpcException:
        session.log(f"The client refused {method}, which it had offered.", types.MessageType.Warning)
        return None


def shutdown(session: Session, _: object) -> None:
    """Stop everything."""
    for run in list(session.runs.values()):
        run.stop()
    session.jobs.stop_all()


# Texts


def did_open(session: Session, params: types.DidOpenTextDocumentParams) -> None:
    """Take up a document, and load its project if that is new."""
    document = params.text_document
    path = convert.path_of(document.uri)
    if path is None:
        return
    session.texts.put(OpenText(document.uri, path, document.language_id, document.version, document.text))
    look_after(session, path)
    _text_changed(session, document.uri, at_once=True)


def did_change(session: Session, params: types.DidChangeTextDocumentParams) -> None:
    """Take the changes over."""
    document = params.text_document
    text = session.texts.get(document.uri)
    if text is not None:
        changes = [convert.change(event) for event in params.content_changes]
        changed, edits = text.changed(document.version, changes, session.abilities.encoding)
        session.texts.put(changed)
        for edit in edits:
            session.documents.edited(text.path, edit)
        _text_changed(session, document.uri)
        for name in session.looked_at.keys() - {document.uri}:
            del session.looked_at[name]  # what has been typed here may be inherited there
        for other in session.texts:
            if other.path.suffix.lower() in NODE_SUFFIXES and other.uri != document.uri:
                _text_changed(session, other.uri)  # its entry may stand in the file that was changed


def did_close(session: Session, params: types.DidCloseTextDocumentParams) -> None:
    """Forget a document."""
    uri = params.text_document.uri
    session.jobs.stop(("outlook", uri))
    session.jobs.stop(("diagnostics", uri))
    text = session.texts.drop(uri)
    if text is None:
        return
    status.changed(session)
    if not session.abilities.pull_diagnostics:
        diagnostics.withdraw(session, uri)
    session.forget(uri)
    member = session.workspace.member_of(text.path)
    if member is not None:
        member.forget(text.path)
    session.jobs.restart("let go", lambda: _let_go(session), name="letting go", after=_LINGERING)


_LINGERING: Final = 3.0
"""Seconds for which a project outside the workspace's folders is kept after its last file was closed: the next may follow."""


async def _let_go(session: Session) -> None:
    """Forget the projects of which no file is open and that have nothing to do with the workspace's folders."""
    folders = _folders(session)
    owners = [session.workspace.member_of(text.path) for text in session.texts]
    in_use = {owner.root for owner in owners if owner is not None}
    for member in session.workspace:
        near = any(member.root.is_relative_to(folder) or folder.is_relative_to(member.root) for folder in folders)
        if not near and member.root not in in_use:
            session.jobs.stop(_loading(member))
            session.workspace.forget(member)
            for path in session.documents.below(member.root):
                session.documents.forget(path)
            status.changed(session)


def _text_changed(session: Session, uri: str, *, at_once: bool = False) -> None:
    if not session.abilities.pull_diagnostics:
        session.jobs.restart(("diagnostics", uri), lambda: diagnostics.publish(session, uri), name="diagnostics")
    session.jobs.restart(
        ("outlook", uri), lambda: _look_ahead(session, uri), name="outlook", after=0.0 if at_once else _TYPING
    )


async def _look_ahead(session: Session, uri: str) -> None:
    if await work_out_model(session, uri):
        await announce(session, [uri])
    async with aclosing(work_out(session, uri)) as news:
        async for _ in news:
            await announce(session, [uri])
    status.changed(session)


async def announce(session: Session, uris: Iterable[str]) -> None:
    """Have the client show what is known by now."""
    if not session.abilities.pull_diagnostics:
        for uri in uris:
            await diagnostics.publish(session, uri)
    session.jobs.restart("refresh", lambda: _refresh(session), name="refresh", after=0.02)
    status.changed(session)


async def _refresh(session: Session) -> None:
    if session.abilities.pull_diagnostics:
        await _ask(session, types.WORKSPACE_DIAGNOSTIC_REFRESH, None)
    if session.abilities.lens_refresh:
        await _ask(session, types.WORKSPACE_CODE_LENS_REFRESH, None)


def look_again(session: Session) -> None:
    """What the open files were thought to take may have changed."""
    session.looked_at.clear()
    for text in session.texts:
        uri = text.uri
        session.jobs.restart(("outlook", uri), lambda uri=uri: _look_ahead(session, uri), name="outlook")


# Projects


def look_after(session: Session, path: Path) -> None:
    """Load the project of a file, if it has one that is neither loaded yet nor being loaded."""
    member = session.workspace.member_of(path)
    if member is not None and isinstance(member.state, Unread) and _loading(member) not in session.jobs:
        reload(session, member)


def _loading(member: Member) -> object:
    """The job that loads a project."""
    return "load", member.root


def reload(session: Session, member: Member, *, after: float = 0.0) -> None:
    """Read a project's files anew, as far as they have changed."""
    session.jobs.restart(
        _loading(member), lambda: _load(session, member), name=f"loading {member.root.name}", after=after
    )


async def _load(session: Session, member: Member) -> None:
    configuration = session.in_force
    state, asked_alone = await session.worker.do(lambda: _loaded(session, member, configuration))
    session.asked_alone.update(asked_alone)
    before = member.state
    match state:
        case Broken(error) if isinstance(before, Ready):
            session.tell(f"{error} What could be read last stays in use.", types.MessageType.Error)
            state = replace(before, problem=error)
        case Broken(error):
            session.tell(str(error), types.MessageType.Error)
        case Ready(problem=problem) if problem is not None:
            kept = " The last one that could be read stays in use." if state.has_manifest else ""
            session.tell(f"{problem}{kept}")
        case _:
            pass
    member.state = state
    if isinstance(state, Ready):
        for note in state.project.notes:
            session.tell(note)
        if state.has_manifest and not (isinstance(before, Ready) and before.has_manifest):
            session.log(f"{member.root}: manifest loaded, {len(state.project.index.nodes)} nodes.")
    mine = [text.uri for text in session.texts if session.workspace.member_of(text.path) is member]
    await announce(session, mine)
    for uri in mine:
        session.jobs.restart(("outlook", uri), lambda uri=uri: _look_ahead(session, uri), name="outlook")


def _loaded(session: Session, member: Member, configuration: Configuration) -> tuple[State, set[tuple[Path, GapId]]]:
    """The project, and those of its gaps for which the cache may hold a text of their own; for the worker."""
    state = member.load(configuration)
    if not isinstance(state, Ready):
        return state, set()
    gaps = Ledger(session.store).asked_alone(state.project.layout.name)
    return state, {(member.root, gap) for gap in gaps}


# Settings and files


def did_change_configuration(session: Session, params: types.DidChangeConfigurationParams) -> None:
    """Take the new settings; a client that is not asked for them sends them along."""
    session.jobs.restart("configure", lambda: configure(session, params.settings), name="configuration")


async def configure(session: Session, pushed: object = None) -> None:
    """Read the editor's settings, and each project anew under them."""
    given: object = None
    if session.abilities.configuration:
        items = [types.ConfigurationItem(section=SECTION)]
        answer = await _ask(session, types.WORKSPACE_CONFIGURATION, types.ConfigurationParams(items))
        given = answer[0] if answer else None
    elif isinstance(pushed, dict):
        sections = cast("dict[str, Any]", pushed)
        given = sections.get(SECTION, sections)
    configuration = read_configuration(given, session.initial_options)
    for problem in configuration.problems:
        session.tell(problem)
    if configuration != session.configuration:
        session.configuration = configuration
        for member in session.workspace:
            reload(session, member)


def did_change_watched_files(session: Session, params: types.DidChangeWatchedFilesParams) -> None:
    """Files have changed on disk. Open documents are not looked at there."""
    for event in params.changes:
        path = convert.path_of(event.uri)
        if path is None:
            continue
        if path.name == PROJECT_FILE:
            session.workspace.forget_folders()
            for text in session.texts:
                look_after(session, text.path)
        for member in session.workspace:
            if path.is_relative_to(member.root) or _is_artifact(member, path):
                reload(session, member, after=_SETTLING)


_SETTLING: Final = 0.1
"""Seconds to wait for more events: dbt writes several files, and none of them at once."""


def _is_artifact(member: Member, path: Path) -> bool:
    return member.artifacts is not None and path in map(_real, filter(None, member.artifacts))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def did_change_workspace_folders(session: Session, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """Load what has been added, and let go what has been removed."""
    for folder in params.event.added:
        path = convert.path_of(folder.uri)
        if path is not None:
            _look_into(session, path)
    session.jobs.restart("let go", lambda: _let_go(session), name="letting go")
