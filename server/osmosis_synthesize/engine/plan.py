"""How each gap of a request will be filled and what that will cost; calls nobody."""

from __future__ import annotations

from osmosis_synthesize.engine.call import Caller, Declined
from osmosis_synthesize.engine.descriptions import Progress
from osmosis_synthesize.engine.fill import Filled, fill
from osmosis_synthesize.engine.model import Gap, NodePlan, Plan, PlannedCall, Unfilled
from osmosis_synthesize.engine.prepare import Asking, Work, prepare
from osmosis_synthesize.engine.prompts import OUTPUT_TOKENS_A_DESCRIPTION, build, chunks


async def plan(work: Work, caller: Caller) -> Plan:
    """Walk the graph as a run would, with a note in place of each text that would have to be generated.

    The plan takes the very steps of the run: what it says will be inherited is inherited, and a prompt whose upstream
    texts are all known is the prompt that will be sent. A provider that needs no model and no network is not somebody:
    what it states is part of the plan.
    """
    progress = Progress(work.descriptions)
    return Plan(
        tuple([await _plan_node(work, unique_id, progress, caller) for unique_id in work.order]), caller.author
    )


async def _plan_node(work: Work, unique_id: str, progress: Progress, caller: Caller) -> NodePlan:
    prepared = prepare(work, unique_id, progress)
    proposals = list(prepared.proposals)
    unfilled = list(prepared.unfilled)
    calls: list[PlannedCall] = []
    asking = prepared.asking
    if asking is not None:
        for gaps in chunks(asking.gaps, bulk_threshold=work.bulk_threshold, max_tokens=work.style.max_tokens):
            if caller.deterministic and caller.declines() is None:
                filled = await fill(work, asking, gaps, caller)
                proposals += filled.proposals
                unfilled += filled.unfilled
            else:
                known = (
                    await fill(work, asking, gaps, caller, planning=True) if asking.exact else Filled(unasked=[*gaps])
                )
                proposals += known.proposals
                unfilled += known.unfilled
                declined = caller.declines()
                if declined is not None:
                    unfilled += [_declined(gap, declined, asking) for gap in known.unasked]
                elif known.unasked:
                    calls.append(_call(work, asking, tuple(known.unasked), caller))
    for proposal in proposals:
        progress.fill(proposal.gap, proposal.text)
    for call in calls:
        for gap in call.gaps:
            progress.fill(gap, None)
    return NodePlan(unique_id, tuple(proposals), prepared.waiting, tuple(calls), tuple(unfilled))


def _declined(gap: Gap, declined: Declined, asking: Asking) -> Unfilled:
    reason = asking.reasons.get(gap.id)
    why = f"{declined.reason}; {reason}" if reason else declined.reason
    return Unfilled(gap, why, asking.alternatives.get(gap.id, ()))


def _call(work: Work, asking: Asking, gaps: tuple[Gap, ...], caller: Caller) -> PlannedCall:
    request = build(asking.context, gaps, work.style)
    quote = caller.quote(request, expected_output=OUTPUT_TOKENS_A_DESCRIPTION * len(gaps))
    return PlannedCall(
        gaps[0].unique_id,
        gaps,
        request,
        quote.input_tokens,
        quote.output_tokens,
        quote.cost,
        quote.upper_bound,
        asking.exact,
        tuple(asking.reasons.get(gap.id, "nothing upstream describes it") for gap in gaps),
        tuple(asking.alternatives.get(gap.id, ()) for gap in gaps),
    )
