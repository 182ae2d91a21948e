"""The editor's own language model, which nobody but the language server can ask: it gives us the way to do so.

Whoever uses the editor's model has an agreement with its maker, so a call costs nothing that we could count: its price is
zero, and so budgets let it pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers.faults import timed_out
from osmosis_synthesize.providers.resilient import WHOLE_CALL
from osmosis_synthesize.providers.words import with_schema_in_words

if TYPE_CHECKING:
    from osmosis_synthesize.providers.base import ProviderConfig, Reply, Request

Ask = Callable[["Request", str], Awaitable["Reply"]]
"""Asks the editor's model of that name (empty: whichever it likes); raises only ``ProviderError``."""


class EditorProvider:
    """Asks by way of a function that it is given. The editor tries again where it likes; we do not."""

    def __init__(self, config: ProviderConfig, ask: Ask) -> None:
        self.name: Final = "editor"
        self.model: Final = config.model
        self.local: Final = True
        """Where the editor sends it is between it and its user; a call costs nothing, and may be broken off at any time."""
        self.deterministic: Final = False
        self._ask: Final = ask
        self._patience: Final = config.timeout * WHOLE_CALL  # it may have to ask its user first

    async def complete(self, request: Request) -> Reply:
        """Ask once. The wish for JSON is put into words as well: editors cannot hold a model to a schema.

        Raises:
            ProviderError: the editor said no, or said nothing in time.
        """
        if request.schema is not None:
            request = replace(request, messages=with_schema_in_words(request.messages, request.schema))
        try:
            async with asyncio.timeout(self._patience):
                return await self._ask(request, self.model)
        except TimeoutError:
            raise timed_out("The editor's language model", self._patience) from None

    async def aclose(self) -> None:
        """Nothing is held."""


def create(_config: ProviderConfig) -> EditorProvider:
    """Where there is no editor, there is nobody to ask.

    Raises:
        ProviderSetupError: always.
    """
    raise ProviderSetupError(
        "The provider editor is the language model of an editor, and can be asked only inside one that offers it "
        "(VS Code with the osmosis-synthesize extension).",
        hint="Choose another provider here.",
    )
