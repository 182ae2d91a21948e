"""Asks the client's own language model: the way to it that the provider ``editor`` is given."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from osmosis_synthesize.errors import ProviderError, ProviderRejected, ProviderSetupError
from osmosis_synthesize.lsp.messages import (
    LANGUAGE_MODEL,
    ChatMessage,
    LanguageModelParams,
    LanguageModelResult,
    plain,
)
from osmosis_synthesize.lsp.protocol import Protocol
from osmosis_synthesize.providers.base import Reply, Request, Usage

_THIS_CALL: Final = types.LSPErrorCodes.RequestFailed.value
"""The code of an error that is about one call only; after any other nothing more is asked."""


async def ask_editor(protocol: Protocol, request: Request, model: str) -> Reply:
    """Ask it. Cancelling this cancels the request.

    Raises:
        ProviderError: the client refused, or its answer is none.
    """
    params = LanguageModelParams(
        tuple(ChatMessage(message.role, message.content) for message in request.messages),
        msgspec.to_builtins(request.schema),
        request.max_tokens,
        request.temperature,
        model or None,
    )
    try:
        answer = await protocol.ask(LANGUAGE_MODEL, plain(params), cancellable=True)
    except JsonRpcException as error:
        raise _refusal(error) from error
    try:
        result = msgspec.convert(answer, LanguageModelResult)
    except msgspec.ValidationError as error:
        raise ProviderRejected(f"The editor's answer to {LANGUAGE_MODEL} is not understood: {error}.") from error
    return Reply(result.text, Usage(result.input_tokens or 0, result.output_tokens or 0), model=result.model)


def _refusal(error: JsonRpcException) -> ProviderError:
    found: Any = error  # whose members have no types
    message = f"The editor's language model did not answer: {found.message}"
    return ProviderRejected(message) if found.code == _THIS_CALL else ProviderSetupError(message)
