"""``osmosis-synthesize estimate``: what ``run`` would do, call by call, and cost."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from osmosis_hooks.output import count, usd
from osmosis_hooks.run import mode_of
from osmosis_hooks.scope import requests
from osmosis_synthesize.engine.model import Plan, PlannedCall, Proposal, Upstream
from osmosis_synthesize.names import short_name
from osmosis_synthesize.store import Store


def main(options: argparse.Namespace) -> int:
    """Exit code 0, whatever a run would find."""
    with Store.open() as store:
        for project, request in requests(options):
            plan = project.plan(project.survey(request).gaps, project.caller(store, mode=mode_of(options)))
            for note in dict.fromkeys(project.notes):
                print(note, file=sys.stderr)
            for line in lines(plan):
                print(line)
        for warning in store.warnings:
            print(warning, file=sys.stderr)
    return 0


def lines(plan: Plan) -> list[str]:
    """A plan in words: each call, what is free, what stays open, and the sum."""
    free = [proposal for node in plan.nodes for proposal in node.proposals]
    waiting = [item for node in plan.nodes for item in node.waiting]
    unfilled = [item for node in plan.nodes for item in node.unfilled]
    said = [f"free  {proposal.gap.label}: {proposal.origin}" + _from(proposal) for proposal in free]
    said += [
        f"free  {item.gap.label}: inherited from {item.upstream.label}, once that is generated" for item in waiting
    ]
    said += [_call(number, call, plan) for number, call in enumerate(plan.calls, 1)]
    said += [f"gap   {item.gap.label}: {item.reason}" for item in unfilled]
    origins = Counter(proposal.origin for proposal in free)
    generated = sum(len(call.gaps) for call in plan.calls)
    total = len(free) + len(waiting) + len(unfilled) + generated
    if not total:
        return ["No gaps: everything is described."]
    said.append(
        f"{count(total, 'gap')}: {origins['inherited'] + len(waiting)} inherited, {origins['cached']} cached, "
        f"{generated} in {count(len(plan.calls), 'call')} to {plan.provider.provider}, {len(unfilled)} left. "
        f"Expected cost {usd(plan.cost)}."
    )
    return said


def _from(proposal: Proposal) -> str:
    return f" from {proposal.source.label}" if isinstance(proposal.source, Upstream) else ""


def _call(number: int, call: PlannedCall, plan: Plan) -> str:
    names = ", ".join(gap.column or "itself" for gap in call.gaps)
    about = "" if call.exact else " (its prompt will also hold texts that are generated before it)"
    return (
        f"call {number}: {plan.provider.provider} {plan.provider.model}, {short_name(call.unique_id)} ({names}), "
        f"about {call.input_tokens:,} tokens in and {call.output_tokens:,} out, {usd(call.cost)}{about}"
    )
