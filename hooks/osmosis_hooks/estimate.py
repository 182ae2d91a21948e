"""``osmosis-synthesize estimate``: what ``run`` would do, call by call, and cost."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter

from osmosis_hooks.output import count, tell_notes, usd
from osmosis_hooks.run import mode_of
from osmosis_hooks.scope import gaps_of, requests
from osmosis_synthesize.engine.model import Gap, Plan, PlannedCall, Proposal, Upstream
from osmosis_synthesize.engine.upstream import Shared
from osmosis_synthesize.names import short_name
from osmosis_synthesize.store import Store


def main(options: argparse.Namespace) -> int:
    """Exit code 0, whatever a run would find."""
    with Store.open() as store:
        for project, request in requests(options):
            caller = project.caller(store, mode=mode_of(options))
            gaps = gaps_of(project, request, upstream=options.upstream)
            plan = asyncio.run(project.plan(gaps, caller))
            tell_notes(project.notes)
            if plan.calls and (problem := caller.problem()) is not None:
                print(f"As things are, a run could make no call. {problem}", file=sys.stderr)
            said = lines(plan)
            if not options.upstream:
                said[-1:-1] = [_saving(shared) for shared in project.shared_upstream(gaps)]
            for line in said:
                print(line)
        for warning in store.warnings:
            print(warning, file=sys.stderr)
    return 0


def lines(plan: Plan) -> list[str]:
    """A plan in words: node by node what is free and what stays open, each call, and the sum."""
    said: list[str] = []
    origins: Counter[str] = Counter()
    for node in plan.nodes:
        origins.update(proposal.origin for proposal in node.proposals)
        origins["inherited"] += len(node.waiting)
        origins["left"] += len(node.unfilled)
        free = [f"{_name(proposal.gap)} {_origin(proposal)}" for proposal in node.proposals]
        free += [
            f"{_name(item.gap)} inherited from {item.upstream.label} once that has a text" for item in node.waiting
        ]
        said += [f"{short_name(node.unique_id)}: {part}" for part in free]
        said += [f"{short_name(node.unique_id)}: {_call(call, plan)}" for call in node.calls]
        said += [
            f"{short_name(node.unique_id)}: {_name(item.gap)} stays a gap: {item.reason}" for item in node.unfilled
        ]
    asked = sum(len(call.gaps) for call in plan.calls)
    total = origins.total() + asked
    if not total:
        return ["No gaps: everything is described."]
    said.append(
        f"{count(total, 'gap')}: {origins['inherited']} inherited, {origins['cached']} cached, {origins['generated']} "
        f"stated as facts, {asked} asked in {count(len(plan.calls), 'call')}, {origins['left']} left. "
        f"Expected cost: {usd(plan.cost)}."
    )
    return said


def _saving(shared: Shared) -> str:
    served = ", ".join(gap.label for gap in shared.serves)
    return f"{shared.gap.label}: described first (--upstream), it would save {count(shared.saves, 'description')}: {served}"


def _name(gap: Gap) -> str:
    return gap.column if gap.column is not None else "its own description"


def _origin(proposal: Proposal) -> str:
    if isinstance(proposal.source, Upstream):
        return f"inherited from {proposal.source.label} ({proposal.source.how})"
    return "answered from the cache" if proposal.origin == "cached" else f"stated by {proposal.source.provider}, free"


def _call(call: PlannedCall, plan: Plan) -> str:
    why = dict(zip(call.gaps, call.reasons, strict=True))
    names = ", ".join(f"{_name(gap)} ({why[gap]})" if gap.column is not None else _name(gap) for gap in call.gaps)
    about = "; its prompt will also hold texts generated before it" if not call.exact else ""
    return (
        f"1 call to {plan.provider.provider} {plan.provider.model} for {names}: about {call.input_tokens:,} tokens in, "
        f"{call.output_tokens:,} out, {usd(call.cost)}{about}"
    )
