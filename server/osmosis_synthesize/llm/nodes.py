"""Fills what is undocumented in dbt-osmosis's nodes. Knows dbt-osmosis 1.5 and the nodes of dbt-core, but imports neither
before dbt-osmosis itself has.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from osmosis_synthesize.errors import ProviderError
from osmosis_synthesize.llm.describe import describe, style_of
from osmosis_synthesize.llm.loop import run
from osmosis_synthesize.names import fold, short_name

if TYPE_CHECKING:
    from concurrent.futures import Future

    from osmosis_synthesize.engine.prepare import Privacy
    from osmosis_synthesize.engine.prompts import Context, UpstreamColumn
    from osmosis_synthesize.llm.provider import LLMProvider
    from osmosis_synthesize.settings import Settings

_log = logging.getLogger(__name__)


def fill_all(provider: LLMProvider, context: Any) -> None:
    """Fill every node that was selected, each after the nodes that it depends on, in the context's threads."""
    from concurrent.futures import FIRST_COMPLETED, wait
    from graphlib import TopologicalSorter

    selection: Any = import_module("dbt_osmosis.core.node_filters")
    nodes: dict[str, Any] = dict(selection._iter_candidate_nodes(context))  # noqa: SLF001 - dbt-osmosis's one way to select
    order = TopologicalSorter({name: _ancestors(context, node, nodes) for name, node in nodes.items()})
    order.prepare()
    under_way: dict[Future[None], str] = {}
    while order.is_active():
        for name in order.get_ready():
            under_way[context.pool.submit(fill, provider, context, nodes[name])] = name
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            order.done(under_way.pop(future))
            future.result()


def fill(provider: LLMProvider, context: Any, node: Any) -> None:
    """Inherit, as dbt-osmosis does, then ask for the rest in one call. A node that cannot be filled is left as it is."""
    transforms: Any = import_module("dbt_osmosis.core.transforms")
    transforms.inherit_upstream_column_knowledge(context, node)
    settings = provider.config.resolve()[0]
    privacy = _privacy(settings)
    private = frozenset(
        fold(name)
        for one in (node, *_parents(context, node))
        for name, column in one.columns.items()
        if privacy.covers(*_marks(column))
    )
    known = _Known(context)
    columns = [name for name, column in node.columns.items() if not known.text(column) and fold(name) not in private]
    table = not known.text(node)
    if not columns and not table:
        return
    from osmosis_synthesize.engine.review import ADAPTER_LIMITS

    style = replace(style_of(settings), limit=ADAPTER_LIMITS.get(context.project.runtime_cfg.credentials.type))
    prompt = _context(context, node, known, columns, private, table=table)
    try:
        described = run(
            describe(
                provider,
                prompt,
                columns,
                table=table,
                style=style,
                placeholders=tuple(context.placeholders),
                unique_id=node.unique_id,
            )
        )
    except ProviderError as error:
        _log.warning("%s: %s", node.unique_id, error)
        return
    for column, text in described.texts.items():
        (node if column is None else node.columns[column]).description = text
    if described.skipped:
        _log.warning("%s: %s", node.unique_id, described.reasons)


class _Known:
    """Which descriptions are real, by dbt-osmosis's placeholders and ours."""

    def __init__(self, context: Any) -> None:
        from osmosis_synthesize.document import is_placeholder

        self._placeholders = frozenset(context.placeholders)
        self._is_placeholder = is_placeholder

    def text(self, described: Any) -> str:
        """The description of a node or a column; empty where it has none."""
        text: str = described.description or ""
        return "" if text in self._placeholders or self._is_placeholder(text) else text


def _context(
    context: Any, node: Any, known: _Known, asked: list[str], private: frozenset[str], *, table: bool
) -> Context:
    from osmosis_synthesize.engine.prompts import Context, select_upstream
    from osmosis_synthesize.providers.base import ColumnFacts, Subject

    name = short_name(node.unique_id)
    own = [(name, known.text(node)), *((name, known.text(column)) for name, column in node.columns.items())]
    facts = [
        ColumnFacts(column, asked=column in asked, data_type=described.data_type)
        for column, described in node.columns.items()
    ]
    parents = list(_parents(context, node))
    return Context(
        Subject(
            name,
            node.resource_type.value,
            asked=table,
            columns=tuple(facts),
            sources=tuple(short_name(parent.unique_id) for parent in parents),
            materialization=getattr(node.config, "materialized", None),
        ),
        # A source has neither; before `dbt compile`, a model has only the second.
        getattr(node, "compiled_code", None) or getattr(node, "raw_code", None) or "",
        select_upstream([item for parent in parents for item in _upstream(parent, known, set(asked))]),
        tuple((name, text) for name, text in own if text),
        private,
    )


def _upstream(parent: Any, known: _Known, asked: set[str]) -> Iterator[UpstreamColumn]:
    from osmosis_synthesize.engine.prompts import UpstreamColumn

    table = short_name(parent.unique_id)
    if text := known.text(parent):
        yield UpstreamColumn(parent.unique_id, table, None, text, relevance=3)
    for name, column in parent.columns.items():
        if text := known.text(column):
            yield UpstreamColumn(parent.unique_id, table, name, text, relevance=1 if name in asked else 0)


def _parents(context: Any, node: Any) -> Iterator[Any]:
    manifest = context.project.manifest
    for name in node.depends_on_nodes:
        parent = manifest.nodes.get(name) or manifest.sources.get(name)
        if parent is not None:
            yield parent


def _ancestors(context: Any, node: Any, nodes: Mapping[str, Any]) -> set[str]:
    """The nearest ancestors of ``node`` among ``nodes``; ephemeral models, which are never among them, are seen through."""
    nearest: set[str] = set()
    seen: set[str] = set()
    waiting = list(_parents(context, node))
    while waiting:
        parent = waiting.pop()
        if parent.unique_id in nodes:
            nearest.add(parent.unique_id)
        elif parent.unique_id not in seen:
            seen.add(parent.unique_id)
            waiting += _parents(context, parent)
    return nearest


def _privacy(settings: Settings) -> Privacy:
    from osmosis_synthesize.engine.prepare import Privacy

    return Privacy(frozenset(settings.private), frozenset(settings.private))


def _marks(column: Any) -> tuple[list[str], dict[str, Any]]:
    """A column's tags and ``meta``, wherever this release of dbt keeps them."""
    config = getattr(column, "config", None)
    tags = [*(getattr(column, "tags", None) or ()), *(getattr(config, "tags", None) or ())]
    return tags, {**(getattr(column, "meta", None) or {}), **(getattr(config, "meta", None) or {})}
