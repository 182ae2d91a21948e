"""Puts the server together: which handler answers which message. Nothing else happens here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from osmosis_synthesize import __version__
from osmosis_synthesize.lsp import messages, progress, updates
from osmosis_synthesize.lsp.features import (
    code_actions,
    code_lens,
    commands,
    completion,
    coverage,
    dbt,
    definition,
    described,
    diagnostics,
    generate,
    hover,
    models,
    proposals,
    references,
    status,
)
from osmosis_synthesize.lsp.protocol import Protocol
from osmosis_synthesize.lsp.session import Session

# What a handler waits for may take turns with other handlers; those of notifications never wait.
_NOTIFICATIONS: dict[str, Callable[[Session, Any], None]] = {
    types.INITIALIZE: updates.initialize,
    types.INITIALIZED: updates.initialized,
    types.SHUTDOWN: updates.shutdown,
    types.TEXT_DOCUMENT_DID_OPEN: updates.did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: updates.did_change,
    types.TEXT_DOCUMENT_DID_CLOSE: updates.did_close,
    types.WINDOW_WORK_DONE_PROGRESS_CANCEL: progress.stop,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: updates.did_change_configuration,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: updates.did_change_watched_files,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: updates.did_change_workspace_folders,
}

_REQUESTS: dict[str, tuple[Callable[[Session, Any], Any], Any]] = {
    types.TEXT_DOCUMENT_DIAGNOSTIC: (
        diagnostics.pull,
        types.DiagnosticOptions(
            identifier=diagnostics.SOURCE, inter_file_dependencies=True, workspace_diagnostics=False
        ),
    ),
    types.TEXT_DOCUMENT_CODE_ACTION: (
        code_actions.offer,
        types.CodeActionOptions(code_action_kinds=code_actions.KINDS, resolve_provider=True),
    ),
    types.CODE_ACTION_RESOLVE: (code_actions.resolve, None),
    types.TEXT_DOCUMENT_CODE_LENS: (code_lens.lenses, types.CodeLensOptions(resolve_provider=False)),
    types.TEXT_DOCUMENT_DEFINITION: (definition.definition, types.DefinitionOptions()),
    types.TEXT_DOCUMENT_REFERENCES: (references.references, types.ReferenceOptions()),
    types.TEXT_DOCUMENT_HOVER: (hover.hover, types.HoverOptions()),
    types.TEXT_DOCUMENT_INLINE_COMPLETION: (
        completion.inline,
        types.InlineCompletionOptions(work_done_progress=True),
    ),
    types.TEXT_DOCUMENT_COMPLETION: (completion.complete, types.CompletionOptions(trigger_characters=[":", " "])),
    messages.STATUS: (status.request, None),
}

_COMMANDS: dict[str, Callable[[Session, list[Any]], Any]] = {
    messages.GENERATE_COLUMN: lambda session, arguments: generate.generate(session, "column", arguments),
    messages.GENERATE_MODEL: lambda session, arguments: generate.generate(session, "model", arguments),
    messages.GENERATE_FILE: lambda session, arguments: generate.generate(session, "file", arguments),
    messages.GENERATE_PROJECT: lambda session, arguments: generate.generate(session, "project", arguments),
    messages.REWRITE: described.rewrite,
    messages.ACCEPT: described.accept,
    messages.PREVIEW: generate.preview,
    messages.PROPOSE: proposals.propose,
    messages.APPLY_TEXTS: proposals.apply_texts,
    messages.COVERAGE: coverage.coverage,
    messages.SPEND: commands.spend,
    messages.CACHE_CLEAR: commands.cache_clear,
    messages.REFRESH: commands.refresh,
    messages.CANCEL_ALL: generate.cancel_all,
    messages.PAUSE: commands.pause,
    messages.MODELS: models.models,
    messages.CHOOSE_PROVIDER: models.choose,
    messages.DBT_PARSE: dbt.parse,
}


def make_server() -> tuple[LanguageServer, Session]:
    """A server that is ready to be started, and its memory."""
    # pygls logs whole messages, texts and all, its errors too.
    logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)
    server = LanguageServer("osmosis-lsp", __version__, protocol_cls=Protocol)
    protocol = server.protocol
    assert isinstance(protocol, Protocol)
    session = Session(protocol)
    for method, notification in _NOTIFICATIONS.items():
        server.feature(method)(partial(notification, session))
    for method, (request, options) in _REQUESTS.items():
        server.feature(method, options)(partial(request, session))
    for name, command in _COMMANDS.items():
        server.command(name)(partial(command, session))
    return server, session
