"""The provider that needs no model: it states what the project itself proves.

It never guesses. A name that sounds like a key is no key; a key is what a test or a constraint says is one. Where
nothing is proven it says nothing, and the gap stays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers.base import ColumnFacts, ProviderConfig, Reply, Request, Subject

WORDING: Final = "facts-2"
"""Changes whenever a sentence below does, so that provenance can tell which wording a text comes from."""

_LONGEST_EXPRESSION: Final = 240
_MOST_VALUES: Final = 20


class FactsProvider:
    """Answers from ``request.subject``; costs nothing and reaches nobody."""

    name: Final = "facts"
    model: Final = WORDING
    local: Final = True
    deterministic: Final = True

    async def complete(self, request: Request) -> Reply:
        """State the proven facts as a JSON reply in the form every provider is asked for.

        Raises:
            ProviderSetupError: the request has no subject, so there is nothing to answer from.
        """
        if request.subject is None:
            raise ProviderSetupError(
                "The provider 'facts' answers only about a project's own tables.",
                hint="Choose another provider for free text.",
            )
        return Reply(json.dumps(state(request.subject), ensure_ascii=False), model=WORDING)

    async def aclose(self) -> None:
        """Nothing is held."""


def create(_config: ProviderConfig) -> FactsProvider:
    """Make one; it needs no configuration."""
    return FactsProvider()


def state(subject: Subject) -> dict[str, object]:
    """What is proven of the table and the columns that were asked for, as ``{"description", "columns"}``."""
    columns = [
        {"name": column.name, "description": text}
        for column in subject.columns
        if column.asked and (text := describe_column(column, subject))
    ]
    return {"description": describe_table(subject) if subject.asked else "", "columns": columns}


def describe_table(subject: Subject) -> str:
    """One to four sentences on grain, sources, filters and materialization; empty if there is nothing to say."""
    sentences: list[str] = []
    if subject.grain:
        sentences.append(f"One row per {_and(subject.grain)}.")
    if subject.sources:
        verb = "Snapshot of" if subject.kind == "snapshot" else "Built from"
        sentences.append(f"{verb} {_and(subject.sources)}.")
    if filters := [text for text in subject.filters if len(text) <= _LONGEST_EXPRESSION]:
        sentences.append(f"Keeps only rows where {_and([f'`{text}`' for text in filters])}.")
    if sentences and subject.materialization == "incremental":
        sentences.append("Built incrementally.")
    return " ".join(sentences)


def describe_column(column: ColumnFacts, subject: Subject) -> str:
    """What is proven of one column; empty if it is nothing.

    Each sentence stays true where the text is inherited: it names the table it speaks of, or speaks of how the value
    came about. That a column is never null would not be true behind the next outer join.
    """
    return " ".join(text for text in (_key(column, subject), _origin(column), _values(column)) if text)


def _key(column: ColumnFacts, subject: Subject) -> str:
    if column.primary_key:
        own = f"Primary key of {subject.name}."
        return f"{own} Refers to {_dotted(column.references)}." if column.references else own
    if column.references:
        return f"Foreign key to {_dotted(column.references)}."
    return f"Unique in {subject.name}." if column.unique else ""


def _origin(column: ColumnFacts) -> str:
    """How the column comes about. That it is merely passed on is no news to anyone who reads its name."""
    if column.kind in {"renamed", "cast"} and len(column.sources) == 1:
        source = f"`{_dotted(column.sources[0])}`"
        if column.kind == "renamed":
            return f"Renamed from {source}."
        return f"{source} cast to {column.data_type}." if column.data_type else f"{source} with its type changed."
    if column.kind != "derived":
        return ""
    if column.expression and len(column.expression) <= _LONGEST_EXPRESSION:
        return f"Computed as `{column.expression}`."
    if column.sources:
        return f"Computed from {_and([f'`{_dotted(source)}`' for source in column.sources])}."
    return ""


def _values(column: ColumnFacts) -> str:
    values = column.accepted_values
    if not values:
        return ""
    if len(values) > _MOST_VALUES:
        return f"One of {len(values)} accepted values, among them {_and(values[:_MOST_VALUES])}."
    # An accepted value is one that a row has if it has any: a null passes the test.
    return f"The only value is {values[0]}." if len(values) == 1 else f"One of: {', '.join(values)}."


def _dotted(pair: tuple[str, str] | None) -> str:
    return ".".join(pair) if pair else ""


def _and(items: Sequence[str]) -> str:
    """``a``; ``a and b``; ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else ""
