"""A model to ask, from any thread and with or without an event loop."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from osmosis_synthesize.errors import ProviderError
from osmosis_synthesize.llm.cost import CostTracker, SkippedWarning
from osmosis_synthesize.llm.loop import on_loop, run
from osmosis_synthesize.llm.messages import read_object, to_request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from osmosis_synthesize.engine.call import Answer, Caller, Declined, Purpose
    from osmosis_synthesize.llm.config import LLMConfig
    from osmosis_synthesize.llm.messages import Messages
    from osmosis_synthesize.providers.base import JsonSchema, Reply, Request
    from osmosis_synthesize.store import Store


class LLMProvider(ABC):
    """A model to ask. :func:`get_provider` makes one; a subclass of your own needs :meth:`ask` only.

    What is over budget, or would be asked in a dry run, is skipped: with a :class:`SkippedWarning` and an empty result.
    A provider that fails raises a :class:`~osmosis_synthesize.errors.ProviderError`.
    """

    def __init__(self, config: LLMConfig) -> None:
        """Nothing is opened, and no SDK imported, until something is asked."""
        self.config = config
        self.cost_tracker = CostTracker(config.model, provider=config.provider, base_url=config.base_url)
        """What was asked through this object, and what it cost; what came from the cache does not count."""

    @abstractmethod
    async def ask(
        self, request: Request, *, use_cache: bool = True, purpose: Purpose | None = None
    ) -> Reply | Declined:
        """The reply to a request, or why it was not made.

        Args:
            request: what is asked.
            use_cache: False asks anew; the new reply takes the place of the kept one.
            purpose: what it is for, as the ledger will show it.

        Raises:
            ProviderError: it was made, and failed.
        """

    def generate(self, messages: Messages) -> str:
        """What the model says to ``messages``; empty where the call was skipped."""
        return run(self.generate_async(messages))

    def generate_json(self, messages: Messages, *, schema: JsonSchema | None = None) -> dict[str, Any]:
        """The JSON object that the model gives for ``messages``; empty where the call was skipped.

        ``schema`` holds the reply to a JSON schema, on servers that can; without it the model is asked for any object.

        Raises:
            ProviderError: the call failed, or its reply holds no JSON object.
        """
        return run(self.generate_json_async(messages, schema=schema))

    async def generate_async(self, messages: Messages) -> str:
        """As :meth:`generate`."""
        return await self._text(to_request(messages, **self._limits)) or ""

    async def generate_json_async(self, messages: Messages, *, schema: JsonSchema | None = None) -> dict[str, Any]:
        """As :meth:`generate_json`."""
        text = await self._text(to_request(messages, schema=schema, json_only=True, **self._limits))
        if text is None:
            return {}
        found = read_object(text)
        if found is None:
            raise ProviderError(
                f"{self.config.provider} ({self.config.model}) gave no JSON object.",
                hint="Say in the messages what the object shall hold, or give a schema.",
            )
        return found

    async def batch_generate(self, message_batches: Sequence[Messages]) -> list[str]:
        """What the model says to each of ``message_batches``, in their order.

        As many calls are under way at once as the settings allow (``concurrency``). Where some fail, all are still brought to
        their end, and so into the cache, before the first failure is raised.
        """
        import asyncio

        done = await asyncio.gather(*map(self.generate_async, message_batches), return_exceptions=True)
        texts: list[str] = []
        for each in done:
            if isinstance(each, BaseException):
                raise each
            texts.append(each)
        return texts

    def close(self) -> None:  # noqa: B027 - a subclass may have nothing to give back
        """Give back connections and files. The provider is not used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _limits(self) -> dict[str, Any]:
        return {"max_tokens": self.config.max_tokens, "temperature": self.config.temperature}

    async def _text(self, request: Request) -> str | None:
        from osmosis_synthesize.providers.base import Reply

        reply = await self.ask(request)
        if isinstance(reply, Reply):
            return reply.text
        warnings.warn(f"Not asked: {reply.reason}", SkippedWarning, stacklevel=2)
        return None


class EngineProvider(LLMProvider):
    """Asks as the engine does: through the cache, inside the budget, into the ledger."""

    def __init__(self, config: LLMConfig, *, project: str = "") -> None:
        """``project`` is the dbt project's name, for the ledger."""
        super().__init__(config)
        self._project = project
        self._opened: tuple[Store, Caller] | None = None

    async def ask(
        self, request: Request, *, use_cache: bool = True, purpose: Purpose | None = None
    ) -> Reply | Declined:
        """As the base class has it."""
        from osmosis_synthesize.engine.call import Declined

        answer = await on_loop(self._ask(request, use_cache=use_cache, purpose=purpose))
        if isinstance(answer, Declined):
            if answer.error is not None:
                raise answer.error
            return answer
        usage = answer.spent.usage
        self.cost_tracker.add(usage.input_tokens, usage.output_tokens, answer.spent.cost)
        return answer.reply

    def close(self) -> None:
        """Give back connections and the cache's file."""
        if self._opened is not None:
            store, caller = self._opened
            self._opened = None
            run(caller.aclose())
            store.close()

    async def _ask(self, request: Request, *, use_cache: bool, purpose: Purpose | None) -> Answer | Declined:
        from osmosis_synthesize.engine.call import Purpose

        caller = self._caller()
        if not use_cache and caller.declines() is None:
            caller.forget(request)
        return await caller.ask(request, purpose or Purpose("", ()))

    def _caller(self) -> Caller:
        # Only ever on the one loop, so that two threads cannot open it twice.
        if self._opened is None:
            from osmosis_synthesize.calling import make_caller
            from osmosis_synthesize.store import Store

            settings, config = self.config.resolve()
            store = Store.open()
            self._opened = store, make_caller(settings, store, project=self._project, config=config)
        return self._opened[1]


def get_provider(config: LLMConfig) -> LLMProvider:
    """The provider that ``config`` asks for; any that the settings know, third parties' too.

    Use it in a ``with`` block, or call ``close()``. What is wrong with the config shows at the first call, as a
    :class:`~osmosis_synthesize.errors.ProviderSetupError` that says what to do.
    """
    return EngineProvider(config)
