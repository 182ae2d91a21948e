"""An editor for tests of the language server: a client that keeps its own texts and applies what the server sends.

It speaks to the real server in a process of its own, over standard input and output, and waits for states, never for times.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.uris import from_fs_path, to_fs_path
from pytest_lsp import LanguageClient, make_test_lsp_client

PATIENCE = 60.0
"""Seconds after which a state that never comes is a failure; a loaded machine may be slow."""


_AT_ONCE = 0.1
"""Seconds in which a run stops."""

_FEW = 20


def full_capabilities() -> types.ClientCapabilities:
    """Everything that the server can make use of."""
    return types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf16]),
        window=types.WindowClientCapabilities(work_done_progress=True),
        text_document=types.TextDocumentClientCapabilities(
            diagnostic=types.DiagnosticClientCapabilities(),
            inline_completion=types.InlineCompletionClientCapabilities(),
            hover=types.HoverClientCapabilities(content_format=[types.MarkupKind.Markdown]),
            code_action=types.CodeActionClientCapabilities(
                data_support=True,
                resolve_support=types.ClientCodeActionResolveOptions(properties=["edit"]),
                tag_support=types.CodeActionTagOptions(value_set=[types.CodeActionTag.LlmGenerated]),
                disabled_support=True,
                code_action_literal_support=types.ClientCodeActionLiteralOptions(
                    types.ClientCodeActionKindOptions(value_set=[])
                ),
            ),
        ),
        workspace=types.WorkspaceClientCapabilities(
            apply_edit=True,
            configuration=True,
            workspace_edit=types.WorkspaceEditClientCapabilities(
                document_changes=True,
                resource_operations=[types.ResourceOperationKind.Create],
                change_annotation_support=types.ChangeAnnotationsSupportOptions(),
            ),
            did_change_configuration=types.DidChangeConfigurationClientCapabilities(dynamic_registration=True),
            did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True),
            diagnostics=types.DiagnosticWorkspaceClientCapabilities(refresh_support=True),
            code_lens=types.CodeLensWorkspaceClientCapabilities(refresh_support=True),
        ),
    )


def poor_capabilities() -> types.ClientCapabilities:
    """Nothing at all, as the oldest clients have it."""
    return types.ClientCapabilities()


class Editor:
    """One client with its server. Start it with :meth:`start`, end it with :meth:`stop`."""

    def __init__(self) -> None:
        self.client: LanguageClient = make_test_lsp_client()
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.applied: list[types.WorkspaceEdit] = []
        self.registrations: list[types.Registration] = []
        self.statuses: list[dict[str, Any]] = []
        self.lens_refreshes = 0
        self.refuse_edits = False
        self.fail_edits = False
        """Whether an edit of the server's is answered with an error."""
        self.before_apply: Callable[[], None] | None = None
        """Done, once, before the next edit of the server's is looked at."""
        self.capabilities = full_capabilities()
        self.result: types.InitializeResult
        self._changed = asyncio.Condition()
        self._register()
        self.client.protocol._converter.register_structure_hook(
            types.Command | types.CodeAction, self._command_or_action
        )

    @property
    def encoding(self) -> str:
        return str(self.result.capabilities.position_encoding or "utf-16")

    # The connection

    async def start(
        self,
        environment: dict[str, str],
        *,
        capabilities: types.ClientCapabilities | None = None,
        folders: Iterable[Path] = (),
        options: Any = None,
        command: tuple[str, ...] = (sys.executable, "-X", "faulthandler", "-m", "osmosis_synthesize.lsp.main"),
        params: types.InitializeParams | None = None,
    ) -> None:
        """``params`` takes the place of what the others say."""
        if params is None:
            params = types.InitializeParams(
                capabilities=capabilities or full_capabilities(),
                workspace_folders=[types.WorkspaceFolder(uri(folder), folder.name) for folder in folders],
                initialization_options=options,
            )
        self.capabilities = params.capabilities
        await self.client.start_io(*command, env=environment)
        self.result = await self.client.initialize_session(params)

    async def stop(self) -> int:
        """End in order; gives the server's exit code."""
        server = self.client._server
        assert server is not None
        if server.returncode is None:
            await asyncio.wait_for(self.client.shutdown_session(), PATIENCE)
        await self.client.stop()
        return await asyncio.wait_for(server.wait(), PATIENCE)

    # Documents

    def open(self, path: Path, text: str | None = None, *, language: str = "yaml") -> str:
        name = uri(path)
        self.texts[name] = path.read_bytes().decode("utf-8") if text is None else text
        self.versions[name] = 1
        item = types.TextDocumentItem(name, language, 1, self.texts[name])
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return name

    def close(self, name: str) -> None:
        del self.texts[name]
        params = types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(name))
        self.client.text_document_did_close(params)

    def edit(self, name: str, old: str, new: str) -> None:
        """Type: put ``new`` in place of the first ``old``."""
        start = self.texts[name].index(old)
        self.replace(name, start, start + len(old), new)

    def replace(self, name: str, start: int, end: int, new: str) -> None:
        text = self.texts[name]
        span = types.Range(self.position(text, start), self.position(text, end))
        self.texts[name] = text[:start] + new + text[end:]
        self.versions[name] += 1
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(version=self.versions[name], uri=name),
                [types.TextDocumentContentChangePartial(range=span, text=new)],
            )
        )

    def place(self, name: str, words: str, *, after: bool = False) -> types.Position:
        """Where some words stand first."""
        start = self.texts[name].index(words)
        return self.position(self.texts[name], start + (len(words) if after else 0))

    def position(self, text: str, offset: int) -> types.Position:
        before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
        line = before.count("\n")
        return types.Position(line, self._units(before[before.rfind("\n") + 1 :]))

    def offset(self, text: str, place: types.Position) -> int:
        """The other way round, written on its own: a model to compare the server with."""
        starts = [0]
        for at, character in enumerate(text):
            if character == "\n" or (character == "\r" and text[at + 1 : at + 2] != "\n"):
                starts.append(at + 1)
        if place.line >= len(starts):
            return len(text)
        at = starts[place.line]
        left = place.character
        while left > 0 and at < len(text) and text[at] not in "\r\n":
            left -= self._units(text[at])
            at += 1
        return at

    def _units(self, text: str) -> int:
        return {
            "utf-8": lambda: len(text.encode()),
            "utf-16": lambda: len(text.encode("utf-16-le")) // 2,
            "utf-32": lambda: len(text),
        }[self.encoding]()

    # Requests

    async def diagnostics(self, name: str) -> list[types.Diagnostic]:
        params = types.DocumentDiagnosticParams(types.TextDocumentIdentifier(name))
        report = await self.client.text_document_diagnostic_async(params)
        assert isinstance(report, types.RelatedFullDocumentDiagnosticReport)
        return list(report.items)

    async def diagnosed(self, name: str, enough: Callable[[list[types.Diagnostic]], bool]) -> list[types.Diagnostic]:
        """The diagnostics once they are as wanted."""

        async def look() -> list[types.Diagnostic] | None:
            found = await self.diagnostics(name)
            return found if enough(found) else None

        return await self.until(look)

    async def planned(self, name: str) -> list[types.Diagnostic]:
        """The diagnostics once it is known of every gap how it would be filled."""

        def all_known(found: list[types.Diagnostic]) -> bool:
            gaps = [item for item in found if item.code == "missing-description"]
            return bool(gaps) and all(": " in item.message for item in gaps)

        return await self.diagnosed(name, all_known)

    async def actions(
        self,
        name: str,
        start: types.Position,
        end: types.Position | None = None,
        only: list[str] | None = None,
        *,
        invoked: bool = False,
    ) -> list[types.CodeAction]:
        params = types.CodeActionParams(
            types.TextDocumentIdentifier(name),
            types.Range(start, end or start),
            types.CodeActionContext(
                diagnostics=[], only=only, trigger_kind=types.CodeActionTriggerKind.Invoked if invoked else None
            ),
        )
        found = await self.client.text_document_code_action_async(params)
        return [action for action in found or [] if isinstance(action, types.CodeAction)]

    async def command(self, command: str, *arguments: Any) -> Any:
        params = types.ExecuteCommandParams(command, list(arguments) or None)
        return await asyncio.wait_for(self.client.workspace_execute_command_async(params), PATIENCE)

    async def status(self) -> dict[str, Any]:
        return as_dict(await self.client.protocol.send_request_async("osmosis/status", None))

    async def until(self, look: Callable[[], Any]) -> Any:
        """What ``look`` (plain or async) gives, once that is something."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = look()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.02)

    async def at_once(self, answer: asyncio.Future[Any]) -> bool:
        """Whether an answer comes within a tenth of a second, or on a loaded machine while a few questions are answered."""
        start, questions = time.monotonic(), 0
        while not answer.done():
            if questions >= _FEW and time.monotonic() - start > _AT_ONCE:
                return False
            await self.status()
            questions += 1
        return True

    # Edits

    def apply(self, edit: types.WorkspaceEdit) -> bool:
        """Apply an edit as an editor does: not if a document has another version by now."""
        self.applied.append(edit)
        for change in edit.document_changes or []:
            if isinstance(change, types.CreateFile):
                path = path_of(change.uri)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                continue
            assert isinstance(change, types.TextDocumentEdit)
            document = change.text_document
            if document.version is not None and self.versions.get(document.uri) != document.version:
                return False
            self._edit(document.uri, change.edits)
        for name, edits in (edit.changes or {}).items():
            self._edit(name, edits)
        return True

    def _edit(self, name: str, edits: Iterable[Any]) -> None:
        text = self.texts.get(name)
        content = path_of(name).read_bytes().decode("utf-8") if text is None else text
        spans = [
            (self.offset(content, edit.range.start), self.offset(content, edit.range.end), edit.new_text)
            for edit in edits
        ]
        # Of several insertions at one place the first in the list comes first in the text.
        for at in sorted(range(len(spans)), key=lambda at: (spans[at][0], at), reverse=True):
            start, end, new = spans[at]
            if text is None:
                content = content[:start] + new + content[end:]
                path_of(name).write_bytes(content.encode("utf-8"))
            else:
                self.replace(name, start, end, new)

    def _command_or_action(self, given: Any, _: Any) -> types.Command | types.CodeAction:
        """An action may have a command, which lsprotocol takes for a sign that it is one."""
        kind = types.Command if isinstance(given.get("command"), str) else types.CodeAction
        return self.client.protocol._converter.structure(given, kind)

    def _register(self) -> None:
        client = self.client

        @client.feature(types.WORKSPACE_APPLY_EDIT)
        def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            if self.before_apply is not None:
                act, self.before_apply = self.before_apply, None
                act()
            if self.fail_edits:
                raise RuntimeError("no edits here")
            return types.ApplyWorkspaceEditResult(applied=not self.refuse_edits and self.apply(params.edit))

        @client.feature(types.CLIENT_REGISTER_CAPABILITY)
        def register(params: types.RegistrationParams) -> None:
            self.registrations += params.registrations

        @client.feature(types.WORKSPACE_CODE_LENS_REFRESH)
        def refresh(params: None) -> None:
            self.lens_refreshes += 1

        @client.feature("osmosis/status")
        def status(params: Any) -> None:
            self.statuses.append(as_dict(params))


def opened_by_a_reader(fifo: Path) -> int | None:
    """A descriptor to write into a FIFO with, once somebody wants to read it: until then nobody can have."""
    try:
        descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None
    os.set_blocking(descriptor, True)
    return descriptor


def uri(path: Path) -> str:
    found = from_fs_path(str(path))
    assert found is not None
    return found


def path_of(name: str) -> Path:
    found = to_fs_path(name)
    assert found is not None
    return Path(found)


def as_dict(value: Any) -> Any:
    """What pygls makes of a JSON object that it has no type for, as plain data again."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, dict):
        return {key: as_dict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_dict(item) for item in value]
    return value


def server_environment(cache: Path) -> dict[str, str]:
    """The test's own environment, without any settings of ours, and with a cache of its own."""
    ours = ("OSMOSIS_", "OPENAI_", "ANTHROPIC_", "AZURE_", "OLLAMA_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"OSMOSIS_CACHE_DIR": str(cache), "PYTHONWARNINGS": "default", "PYTHONASYNCIODEBUG": ""}
