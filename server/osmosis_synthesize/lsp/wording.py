"""How the server says things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from osmosis_synthesize.cost.money import show
from osmosis_synthesize.document.model import Slot
from osmosis_synthesize.engine.model import PlannedCall, Proposal, Unfilled, Upstream, Waiting
from osmosis_synthesize.lsp.workspace import Way
from osmosis_synthesize.names import short_name


def count(number: int, noun: str) -> str:
    """``1 gap``, ``2 gaps``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def money(amount: Decimal | None) -> str:
    """``about $0.0004``, ``at no cost``, ``at an unknown price``."""
    if amount is None:
        return "at an unknown price"
    return f"about {show(amount)}" if amount else "at no cost"


def lacks(unique_id: str, slot: Slot) -> str:
    """What is missing where a slot is a gap of this node."""
    name = short_name(unique_id)
    label = name if slot.column is None else f"{name}.{slot.column}"
    if slot.text is not None and slot.text.strip():
        return f"`{label}` has only a placeholder for a description"
    return f"`{label}` has no description"


def filled_by(way: Way) -> str:
    """What can fill a gap."""
    match way:
        case Proposal():
            return _known(way)
        case Waiting():
            return f"inheritable from {way.upstream.label}, once that has a text"
        case PlannedCall() if len(way.gaps) > 1:
            return f"1 call for {len(way.gaps)} gaps, {money(way.cost)}"
        case PlannedCall():
            return f"1 call, {money(way.cost)}"
        case Unfilled():
            return way.reason


def _known(proposal: Proposal) -> str:
    if isinstance(proposal.source, Upstream):
        return f"inheritable from {proposal.source.label}"
    if proposal.origin == "cached":
        return f"answered by {proposal.source.provider} before, free"
    return f"stated by {proposal.source.provider}, free"


def summed(ways: Iterable[Way]) -> str:
    """Several gaps in one line: ``inherit 3 · generate 2 (1 call, about $0.001)``; empty where nothing is known."""
    kinds: Counter[str] = Counter()
    calls: dict[int, PlannedCall] = {}
    for way in ways:
        match way:
            case Proposal():
                kinds["inherit" if isinstance(way.source, Upstream) else "free"] += 1
            case Waiting():
                kinds["inherit"] += 1
            case PlannedCall():
                kinds["generate"] += 1
                calls[id(way)] = way
            case Unfilled():
                kinds["leave"] += 1
    parts = [f"inherit {kinds['inherit']}"] if kinds["inherit"] else []
    if kinds["free"]:
        parts.append(f"fill {kinds['free']} for free")
    if calls:
        parts.append(f"generate {kinds['generate']} ({count(len(calls), 'call')}, {money(cost_of(calls.values()))})")
    if kinds["leave"]:
        parts.append(f"leave {kinds['leave']}")
    return " · ".join(parts)


def cost_of(calls: Iterable[PlannedCall]) -> Decimal | None:
    """The expected cost of some calls; ``None`` if one is unknown."""
    total = Decimal(0)
    for call in calls:
        if call.cost is None:
            return None
        total += call.cost
    return total
