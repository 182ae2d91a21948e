"""Descriptions by one call of a function: the new functions, and the old ones of dbt-osmosis.

Two of them share a name. The first argument tells them apart: a provider means the new one, a text the old one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, overload

from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.llm.config import DEFAULT_MODEL, LLMConfig
from osmosis_synthesize.llm.cost import SkippedWarning
from osmosis_synthesize.llm.describe import Described, describe, describe_all, style_of
from osmosis_synthesize.llm.familiar import familiar_environment
from osmosis_synthesize.llm.loop import run
from osmosis_synthesize.llm.provider import LLMProvider, get_provider

if TYPE_CHECKING:
    from osmosis_synthesize.engine.prompts import Context

Docs: TypeAlias = str | Sequence[str] | None
"""What is known upstream: texts, each of one or more lines."""

KnownContext: TypeAlias = str | Mapping[str, Any] | None
"""What is known about a table: in words, or under these names: ``table_name``, ``sql_content``, ``upstream_docs``,
``existing_context``. Anything else in a mapping is passed on as a note."""

_NAMELESS: Final = "table"


def generate_model_docs(
    provider: LLMProvider,
    sql_content: str,
    upstream_docs: Docs = None,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - the promised signature
    *,
    columns: Sequence[str] | None = None,
    context: KnownContext = None,
) -> dict[str, Any]:
    """Descriptions of a model and its columns: ``{"description": …, "columns": [{"name": …, "description": …}, …]}``.

    What could not be described is left out (``description`` is then empty), with a :class:`SkippedWarning` that says why.

    Args:
        provider: whom to ask.
        sql_content: the model's SQL.
        upstream_docs: what is known of the tables it reads.
        use_cache: False asks anew.
        columns: the columns to describe; ``None`` means all that the SQL gives, as the model reads it.
        context: what else is known.

    Raises:
        ProviderError: the call failed.
    """
    known = _mapping(context) | {"sql_content": sql_content, "upstream_docs": upstream_docs}
    return run(_model_docs(provider, known, columns, use_cache=use_cache))


@overload
def generate_column_doc(
    provider: LLMProvider,
    column_name: str,
    context: KnownContext = None,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - the promised signature
) -> str: ...
@overload
def generate_column_doc(
    column_name: str,
    existing_context: str | None = None,
    table_name: str | None = None,
    upstream_docs: list[str] | None = None,
    model_engine: str = DEFAULT_MODEL,
    temperature: float = 0.7,
) -> str: ...
def generate_column_doc(*args: Any, **named: Any) -> str:
    """The description of one column.

    ``generate_column_doc(provider, column_name, context=None, use_cache=True)`` asks ``provider``; ``context`` is what is
    known of the column's table. Where it cannot be described, the result is empty, with a :class:`SkippedWarning`.

    ``generate_column_doc(column_name, existing_context=None, table_name=None, upstream_docs=None, model_engine="gpt-4o",
    temperature=0.7)`` is dbt-osmosis's, and deprecated.

    Raises:
        ProviderError: the call failed.
    """
    if _is_new(args, named):
        return _new_column_doc(*args, **named)
    return _old_column_doc(*args, **named)


@overload
def generate_table_doc(
    provider: LLMProvider,
    sql_content: str,
    table_name: str,
    upstream_docs: Docs = None,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - the promised signature
) -> str: ...
@overload
def generate_table_doc(
    sql_content: str,
    table_name: str,
    upstream_docs: list[str] | None = None,
    model_engine: str = DEFAULT_MODEL,
    temperature: float = 0.7,
) -> str: ...
def generate_table_doc(*args: Any, **named: Any) -> str:
    """The description of one table.

    ``generate_table_doc(provider, sql_content, table_name, upstream_docs=None, use_cache=True)`` asks ``provider``. Where the
    table cannot be described, the result is empty, with a :class:`SkippedWarning`.

    ``generate_table_doc(sql_content, table_name, upstream_docs=None, model_engine="gpt-4o", temperature=0.7)`` is
    dbt-osmosis's, and deprecated.

    Raises:
        ProviderError: the call failed.
    """
    if _is_new(args, named):
        return _new_table_doc(*args, **named)
    return _old_table_doc(*args, **named)


def generate_model_spec_as_json(
    sql_content: str,
    upstream_docs: list[str] | None = None,
    existing_context: str | None = None,
    model_engine: str = DEFAULT_MODEL,
    temperature: float = 0.3,
) -> dict[str, Any]:
    """dbt-osmosis's name for :func:`generate_model_docs`, and deprecated. The provider is the environment's."""
    _deprecated("generate_model_spec_as_json", "generate_model_docs", stacklevel=3)
    with _familiar_provider(model_engine, temperature) as provider:
        return generate_model_docs(provider, sql_content, upstream_docs, context=existing_context)


async def synthesize_columns_async(
    provider: LLMProvider,
    columns: Sequence[str],
    context: KnownContext = None,
    *,
    use_cache: bool = True,
) -> dict[str, str]:
    """Descriptions of ``columns`` of one table, by name: one call, or as many as one reply is too short for.

    A column that could not be described is left out, with a :class:`SkippedWarning` that says why.

    Raises:
        ProviderError: a call failed before there was any text.
    """
    if isinstance(columns, str):
        raise UsageError("columns is one text.", hint="Give a list of names.")
    described = await _describe(provider, _mapping(context), columns, table=False, use_cache=use_cache)
    return {name: described.texts[name] for name in columns if name in described.texts}


def _is_new(args: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    return isinstance(args[0], LLMProvider) if args else "provider" in named


def _new_column_doc(
    provider: LLMProvider,
    column_name: str,
    context: KnownContext = None,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - the promised signature
) -> str:
    work = _describe(provider, _mapping(context), [column_name], table=False, use_cache=use_cache)
    return run(work).texts.get(column_name, "")


def _old_column_doc(
    column_name: str,
    existing_context: str | None = None,
    table_name: str | None = None,
    upstream_docs: list[str] | None = None,
    model_engine: str = DEFAULT_MODEL,
    temperature: float = 0.7,
) -> str:
    _deprecated("generate_column_doc", "generate_column_doc(provider, column_name, context)")
    known = {"existing_context": existing_context, "table_name": table_name, "upstream_docs": upstream_docs}
    with _familiar_provider(model_engine, temperature) as provider:
        return _new_column_doc(provider, column_name, known)


def _new_table_doc(
    provider: LLMProvider,
    sql_content: str,
    table_name: str,
    upstream_docs: Docs = None,
    use_cache: bool = True,  # noqa: FBT001, FBT002 - the promised signature
) -> str:
    known = {"sql_content": sql_content, "table_name": table_name, "upstream_docs": upstream_docs}
    return run(_describe(provider, known, (), table=True, use_cache=use_cache)).texts.get(None, "")


def _old_table_doc(
    sql_content: str,
    table_name: str,
    upstream_docs: list[str] | None = None,
    model_engine: str = DEFAULT_MODEL,
    temperature: float = 0.7,
) -> str:
    _deprecated("generate_table_doc", "generate_table_doc(provider, sql_content, table_name)")
    with _familiar_provider(model_engine, temperature) as provider:
        return _new_table_doc(provider, sql_content, table_name, upstream_docs)


def _deprecated(old: str, new: str, *, stacklevel: int = 4) -> None:
    warnings.warn(
        f"{old} as dbt-osmosis has it is deprecated: use {new} of osmosis_synthesize.llm, with a provider from get_provider.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )


def _familiar_provider(model_engine: str, temperature: float) -> LLMProvider:
    """The provider that the environment names, in dbt-osmosis's variables or ours.

    ``model_engine`` counts unless it was left at its default and the environment names a model, or another provider than
    OpenAI.
    """
    from dataclasses import replace

    from osmosis_synthesize.settings import load_settings, provider_config

    environ = familiar_environment(os.environ)
    settings = load_settings(None, environ=environ)
    named = settings.provider != "openai" or settings.origin("model").kind != "default"
    model = settings.model or "" if named and model_engine == DEFAULT_MODEL else model_engine
    key = provider_config(settings, environ).api_key
    config = replace(LLMConfig.from_settings(settings), model=model, temperature=temperature)
    return get_provider(replace(config, api_key=key.reveal() if key is not None else None))


async def _model_docs(
    provider: LLMProvider, known: Mapping[str, Any], columns: Sequence[str] | None, *, use_cache: bool
) -> dict[str, Any]:
    if columns is None:
        style = style_of(provider.config.resolve()[0])
        described = await describe_all(provider, _context(known, ()), style=style, use_cache=use_cache)
        _warn(described)
    else:
        described = await _describe(provider, known, columns, table=True, use_cache=use_cache)
    return {
        "description": described.texts.get(None, ""),
        "columns": [
            {"name": name, "description": text} for name, text in described.texts.items() if name is not None
        ],
    }


async def _describe(
    provider: LLMProvider, known: Mapping[str, Any], columns: Sequence[str], *, table: bool, use_cache: bool
) -> Described:
    style = style_of(provider.config.resolve()[0])
    context = _context(known, columns, table=table)
    described = await describe(provider, context, columns, table=table, style=style, use_cache=use_cache)
    _warn(described)
    return described


def _warn(described: Described) -> None:
    if described.skipped:
        warnings.warn(f"Not described: {described.reasons}", SkippedWarning, stacklevel=2)


def _mapping(context: KnownContext) -> dict[str, Any]:
    return dict(context) if isinstance(context, Mapping) else {"existing_context": context}


def _context(known: Mapping[str, Any], columns: Sequence[str], *, table: bool = True) -> Context:
    """What a prompt is made of, from what is known under the names of the old functions' arguments."""
    from osmosis_synthesize.engine.prompts import MOST_UPSTREAM_LINES, Context
    from osmosis_synthesize.providers.base import ColumnFacts, Subject

    rest = dict(known)
    name, code = rest.pop("table_name", None), rest.pop("sql_content", None)
    upstream: Docs = rest.pop("upstream_docs", None)
    notes = [str(rest.pop("existing_context", None) or ""), *(f"{key}: {value}" for key, value in rest.items())]
    if upstream:
        lines = (upstream if isinstance(upstream, str) else "\n".join(map(str, upstream))).splitlines()
        notes += ["What is known upstream:", *lines[:MOST_UPSTREAM_LINES]]
    return Context(
        Subject(str(name or _NAMELESS), "model", asked=table, columns=tuple(map(ColumnFacts, columns))),
        str(code or ""),
        notes="\n".join(note for note in notes if note),
    )
