"""How a run is put into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from osmosis_hooks.output import count, usd
from osmosis_synthesize.engine.model import Author, NodeOutcome, Proposal, Spent


def summary(outcomes: Sequence[NodeOutcome]) -> str:
    """One line: how many gaps were filled how, and at what cost."""
    origins = Counter(proposal.origin for outcome in outcomes for proposal in outcome.proposals)
    left = sum(len(outcome.unfilled) for outcome in outcomes)
    filled = origins.total()
    if not filled and not left:
        return "No gaps: everything is described."
    how = ", ".join(
        f"{origins[origin]} {origin}" for origin in ("inherited", "cached", "generated") if origins[origin]
    )
    spent = sum((outcome.spent for outcome in outcomes), Spent())
    calls = f"; {count(spent.calls, 'call')}, {usd(spent.cost)}" if spent.calls else "; no calls, $0.00"
    return f"{filled} of {count(filled + left, 'gap')} filled{f' ({how})' if how else ''}, {left} left{calls}."


def origin_of(proposal: Proposal) -> str:
    """Where a text comes from, in words."""
    source = proposal.source
    if isinstance(source, Author):
        model = f" {source.model}" if source.provider != "facts" else ""
        cost = f" for {usd(proposal.cost)}" if proposal.cost != 0 else ""
        return f"{proposal.origin} by {source.provider}{model}{cost}"
    return f"inherited from {source.label} ({source.how})"
