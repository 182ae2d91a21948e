"""Descriptions of one table and its columns, reviewed as the engine reviews them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from osmosis_synthesize.errors import ProviderError

if TYPE_CHECKING:
    from osmosis_synthesize.engine.model import Gap
    from osmosis_synthesize.engine.prompts import Context, Style
    from osmosis_synthesize.llm.provider import LLMProvider
    from osmosis_synthesize.providers.base import Reply
    from osmosis_synthesize.settings import Settings


@dataclass(slots=True)
class Described:
    """What came of asking. ``None`` as a column is the table itself."""

    texts: dict[str | None, str] = field(default_factory=dict[str | None, str])
    skipped: dict[str | None, str] = field(default_factory=dict[str | None, str])
    """Why there is no text, by column."""

    @property
    def reasons(self) -> str:
        """Why what is missing is missing; empty where nothing is."""
        by_reason: dict[str, list[str]] = {}
        for column, reason in self.skipped.items():
            by_reason.setdefault(reason, []).append("the table" if column is None else column)
        return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())


def style_of(settings: Settings) -> Style:
    """How the project wants its texts."""
    from osmosis_synthesize.engine.prompts import Style

    return Style(
        language=settings.language,
        guide=settings.style_guide,
        max_sql_chars=settings.max_sql_chars,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
    )


async def describe(
    provider: LLMProvider,
    context: Context,
    columns: Sequence[str],
    *,
    table: bool,
    style: Style,
    use_cache: bool = True,
    placeholders: Sequence[str] = (),
    unique_id: str = "",
) -> Described:
    """Descriptions of ``columns`` and, if ``table``, of the table itself: one call, or as many as one reply is too short for.

    Args:
        provider: whom to ask.
        context: what the prompt is made of.
        columns: by the names that the result will have.
        table: whether the table itself is to be described.
        style: how the texts shall be.
        use_cache: False asks anew.
        placeholders: texts that are no description, besides those that never are.
        unique_id: the node's, for the ledger; by default the table's name.

    Raises:
        ProviderError: a call failed before there was any text.
    """
    import asyncio

    from osmosis_synthesize.engine.prompts import chunks

    wanted: list[str | None] = [None] if table else []
    gaps = [_gap(unique_id or context.subject.name, column) for column in (*wanted, *columns)]
    if not gaps:
        return Described()
    asking = _Asking(provider, context, style, _placeholders(placeholders), use_cache=use_cache)
    groups = chunks(gaps, bulk_threshold=1, max_tokens=style.max_tokens)
    parts = await asyncio.gather(*map(asking.ask, groups), return_exceptions=True)
    described = Described()
    failure: BaseException | None = None
    for group, part in zip(groups, parts, strict=True):
        if isinstance(part, BaseException):
            failure = part
            described.skipped.update((gap.column, str(part)) for gap in group)
        else:
            described.texts.update(part.texts)
            described.skipped.update(part.skipped)
    if failure is not None and not (described.texts and isinstance(failure, ProviderError)):
        raise failure
    return described


async def describe_all(provider: LLMProvider, context: Context, *, style: Style, use_cache: bool = True) -> Described:
    """Descriptions of the table and of every column that its SQL gives, as the model reads them from it.

    Raises:
        ProviderError: the call failed.
    """
    from osmosis_synthesize.engine.call import Declined, Purpose
    from osmosis_synthesize.engine.prompts import build
    from osmosis_synthesize.engine.reading import read_reply
    from osmosis_synthesize.engine.review import Fit, review
    from osmosis_synthesize.providers.base import Message

    name = context.subject.name
    asked = build(context, [_gap(name, None)], style)
    request = replace(
        asked,
        messages=(*asked.messages[:-1], Message("user", _ASK_ALL)),
        schema=_OPEN_SCHEMA,
        max_tokens=style.max_tokens,
        subject=None,
    )
    reply = await provider.ask(request, use_cache=use_cache, purpose=Purpose(name, ()))
    if isinstance(reply, Declined):
        return Described(skipped={None: reply.reason})
    if reply.finish == "refusal":
        return Described(skipped={None: f"{provider.config.provider} refused to answer"})
    names = read_reply(reply.text, columns=(), table=True).unexpected
    reading = read_reply(reply.text, columns=names, table=True)
    described = Described()
    for column, text in ((None, reading.table or ""), *reading.columns.items()):
        verdict = review(text, name=column or name, placeholders=_placeholders(()), limit=style.limit)
        if isinstance(verdict, Fit):
            described.texts[column] = verdict.text
        else:
            described.skipped[column] = reading.problem or verdict.reason
    return described


@dataclass(frozen=True, slots=True)
class _Asking:
    provider: LLMProvider
    context: Context
    style: Style
    placeholders: frozenset[str]
    use_cache: bool

    async def ask(self, gaps: Sequence[Gap]) -> Described:
        """One call, and one more for what its reply lacks."""
        from osmosis_synthesize.engine.call import Declined, Purpose
        from osmosis_synthesize.engine.prompts import build

        described = Described()
        todo, use_cache = list(gaps), self.use_cache
        for _ in range(2):
            purpose = Purpose(todo[0].unique_id, tuple(gap.column or "" for gap in todo))
            request = build(self.context, todo, self.style)
            try:
                reply = await self.provider.ask(request, use_cache=use_cache, purpose=purpose)
            except ProviderError as error:
                if not described.texts:
                    raise
                described.skipped.update((gap.column, str(error)) for gap in todo)
                break
            if isinstance(reply, Declined):
                described.skipped.update((gap.column, reply.reason) for gap in todo)
                break
            missing = self._read(reply, todo, described)
            if not missing or reply.finish == "refusal":
                break
            # The very same question would find the very same reply in the cache.
            use_cache = self.use_cache and len(missing) < len(todo)
            todo = missing
        return described

    def _read(self, reply: Reply, gaps: Sequence[Gap], described: Described) -> list[Gap]:
        """Take what a reply says that is fit to be written; gives the gaps it says nothing about."""
        from osmosis_synthesize.engine.fill import judge, read_gaps, text_for

        refused = f"{self.provider.config.provider} refused to answer" if reply.finish == "refusal" else None
        reading = read_gaps(reply, gaps)
        missing: list[Gap] = []
        for gap in gaps:
            text = text_for(gap, reading) if refused is None else None
            if not text or not text.strip():
                missing.append(gap)
                described.skipped[gap.column] = refused or reading.problem or "the reply holds no text for it"
                continue
            verdict = judge(gap, text, self.placeholders, self.style.limit)
            if isinstance(verdict, str):
                described.skipped[gap.column] = verdict
            else:
                described.texts[gap.column] = verdict.text
                described.skipped.pop(gap.column, None)
        return missing


def _placeholders(own: Sequence[str]) -> frozenset[str]:
    from osmosis_synthesize.document import DEFAULT_PLACEHOLDERS

    return DEFAULT_PLACEHOLDERS.union(own)


def _gap(unique_id: str, column: str | None) -> Gap:
    """What is asked for, in the engine's words. There need be no schema file for it."""
    from osmosis_synthesize.engine.model import Gap
    from osmosis_synthesize.names import EntryKey

    return Gap(unique_id, column, EntryKey("model", unique_id), Path(), 1, 1, None)


def _text_properties(*names: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }


_ASK_ALL: Final = "Describe the table itself and every column that the final select gives."
_OPEN_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "description": {"type": "string"},
        "columns": {"type": "array", "items": _text_properties("name", "description")},
    },
    "required": ["description", "columns"],
    "additionalProperties": False,
}
