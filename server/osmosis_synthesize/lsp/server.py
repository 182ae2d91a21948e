"""Puts the server together: which handler answers which message. Nothing else happens here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from osmosis_synthesize import __version__
from osmosis_synthesize.lsp import messages, updates
from osmosis_synthesize.lsp.features import diagnostics, status
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
    messages.STATUS: (status.request, None),
}


def make_server() -> tuple[LanguageServer, Session]:
    """A server that is ready to be started, and its memory."""
    # pygls logs whole messages, texts and all.
    logging.getLogger("pygls").addHandler(logging.NullHandler())
    logging.getLogger("pygls").propagate = False
    server = LanguageServer("osmosis-lsp", __version__, protocol_cls=Protocol)
    protocol = server.protocol
    assert isinstance(protocol, Protocol)
    session = Session(protocol)
    for method, notification in _NOTIFICATIONS.items():
        server.feature(method)(partial(notification, session))
    for method, (request, options) in _REQUESTS.items():
        server.feature(method, options)(partial(request, session))
    return server, session
