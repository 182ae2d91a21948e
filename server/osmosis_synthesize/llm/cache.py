"""Replies by messages and model, for code that asks a model by itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from osmosis_synthesize.llm.messages import to_request

if TYPE_CHECKING:
    from types import TracebackType

    from osmosis_synthesize.llm.messages import Messages


class LLMCache:
    """Texts on disk, shared by all processes of the user.

    It stands beside the cache that a provider uses by itself: there a question also has a provider, a schema and
    parameters, so neither answers for the other.
    """

    def __init__(self, cache_dir: Path | str | None = None) -> None:
        """Open the cache in ``cache_dir``; by default in the user's cache folder (or ``OSMOSIS_CACHE_DIR``)."""
        from osmosis_synthesize.cache import Cache
        from osmosis_synthesize.store import Store

        self._store = Store.open(None if cache_dir is None else Path(cache_dir))
        self._cache = Cache(self._store)

    def get(self, messages: Messages, model: str) -> str | None:
        """The text that was kept for these messages and this model; ``None`` where there is none."""
        found = self._cache.get(_key(messages, model))
        return found.reply.text if found is not None else None

    def set(self, messages: Messages, model: str, response: str) -> None:
        """Keep a text, in place of an older one."""
        from osmosis_synthesize.cache import CachedReply
        from osmosis_synthesize.providers.base import Reply

        cached = CachedReply(Reply(response), _OWNER, model, cost=None, stored_at=time.time())
        self._cache.put(_key(messages, model), cached)

    def close(self) -> None:
        """Give the file back."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_OWNER = "LLMCache"
"""Stands where other entries have their provider, so that keys never meet."""


def _key(messages: Messages, model: str) -> str:
    from osmosis_synthesize.cache import request_key

    return request_key(_OWNER, model, to_request(messages))
