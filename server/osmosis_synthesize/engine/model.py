"""The engine's words as values: gap, proposal, plan, outcome. All of them immutable and free of behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from osmosis_synthesize.document.model import Slot
from osmosis_synthesize.names import ColumnRef, EntryKey, short_name
from osmosis_synthesize.providers.base import Request, Usage

Origin = Literal["inherited", "cached", "generated"]

How = Literal["pass-through", "renamed", "cast", "union", "same name", "doc block"]
"""How an inherited text belongs to the column that inherits it. ``same name`` is used only where there is no lineage."""


@dataclass(frozen=True, slots=True)
class Addition:
    """The column that a gap is about has no entry yet: where it would be added, and with which type."""

    after: str | None
    """The nearest column before it that the entry lists; ``None`` if there is none."""
    data_type: str | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A slot without a real description, and the node it belongs to."""

    unique_id: str
    """The manifest's; for an entry that the manifest does not know, the one that dbt would give it."""
    column: str | None
    """``None`` for the node's own description."""
    key: EntryKey
    file: Path
    """The schema file in which it stands or would stand; absolute."""
    line: int
    """From 1; for an entry still to be made, 1."""
    character: int
    """From 1, in code points."""
    slot: Slot | None
    """``None`` for an entry, or a column, that the file lacks."""
    addition: Addition | None = None
    """For a column that the file lacks."""
    replaces: str | None = None
    """A description that somebody has asked to have rewritten: this very text may be replaced, and nothing is inherited."""

    @property
    def id(self) -> tuple[str, str | None]:
        """What is unique in a run."""
        return self.unique_id, self.column

    @property
    def label(self) -> str:
        """As people name it: ``orders`` or ``orders.amount``."""
        name = short_name(self.unique_id)
        return name if self.column is None else f"{name}.{self.column}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where an inherited text stands. ``column`` is ``None`` for a doc block, whose name ``unique_id`` then holds."""

    unique_id: str
    column: str | None
    how: How

    @property
    def label(self) -> str:
        """As people name it."""
        if self.column is None:
            return short_name(self.unique_id)
        return str(ColumnRef(self.unique_id, self.column))


@dataclass(frozen=True, slots=True)
class Author:
    """Who generated a text."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A text for one gap. ``cost`` is its share of the call, in USD; ``None`` where the price is unknown."""

    gap: Gap
    text: str
    origin: Origin
    source: Upstream | Author
    cost: Decimal | None = Decimal(0)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A text that might belong to a gap, were it known which of several does."""

    text: str
    upstream: Upstream


@dataclass(frozen=True, slots=True)
class Unfilled:
    """A gap that stays, and why."""

    gap: Gap
    reason: str
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A gap that will inherit a text which is itself still to be generated in the same run."""

    gap: Gap
    upstream: Upstream


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call that a run would make, and what it would cost."""

    unique_id: str
    gaps: tuple[Gap, ...]
    request: Request
    input_tokens: int
    output_tokens: int
    """What is expected."""
    cost: Decimal | None
    """The expected cost in USD; ``None`` where the price is unknown."""
    upper_bound: Decimal | None
    """What would be reserved before the call."""
    exact: bool
    """Whether the prompt is final; otherwise it will also hold texts that are generated before it."""
    reasons: tuple[str, ...] = ()
    """For each gap, why it has to be asked for."""
    alternatives: tuple[tuple[Alternative, ...], ...] = ()
    """For each gap, texts among which a person might choose."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """How the gaps of one node will be filled. Every gap of the request is in exactly one of these."""

    unique_id: str
    proposals: tuple[Proposal, ...] = ()
    """Known already: inherited or cached."""
    waiting: tuple[Waiting, ...] = ()
    calls: tuple[PlannedCall, ...] = ()
    unfilled: tuple[Unfilled, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Every gap of a request, parents before children."""

    nodes: tuple[NodePlan, ...]
    provider: Author

    @property
    def calls(self) -> tuple[PlannedCall, ...]:
        """All calls, in the order of the nodes."""
        return tuple(call for node in self.nodes for call in node.calls)

    @property
    def cost(self) -> Decimal | None:
        """The expected cost of all calls; ``None`` if any price is unknown."""
        costs = [call.cost for call in self.calls]
        known = [cost for cost in costs if cost is not None]
        return sum(known, Decimal(0)) if len(known) == len(costs) else None


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls took. ``cost`` is ``None`` as soon as one price in it is unknown."""

    calls: int = 0
    cached_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = Decimal(0)

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls,
            self.cached_calls + other.cached_calls,
            self.usage + other.usage,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """What a run did for one node."""

    unique_id: str
    proposals: tuple[Proposal, ...]
    unfilled: tuple[Unfilled, ...]
    spent: Spent = Spent()
    failed: bool = False
    """Whether a provider failed (rather than having nothing to say)."""
