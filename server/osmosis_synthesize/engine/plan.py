"""How each gap of a request will be filled and what that will cost; calls nobody."""

from __future__ import annotations

from osmosis_synthesize.engine.call import Caller, Declined
from osmosis_synthesize.engine.descriptions import Progress
from osmosis_synthesize.engine.fill import fill, judge, read_gaps, text_for
from osmosis_synthesize.engine.model import Gap, NodePlan, Plan, PlannedCall, Proposal, Unfilled
from osmosis_synthesize.engine.prepare import Asking, Work, prepare
from osmosis_synthesize.engine.prompts import OUTPUT_TOKENS_A_DESCRIPTION, build, chunks
from osmosis_synthesize.engine.review import Fit


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
                _plan_call(work, asking, gaps, caller, proposals, unfilled, calls)
    for proposal in proposals:
        progress.fill(proposal.gap, proposal.text)
    for call in calls:
        for gap in call.gaps:
            progress.fill(gap, None)
    return NodePlan(unique_id, tuple(proposals), prepared.waiting, tuple(calls), tuple(unfilled))


def _plan_call(
    work: Work,
    asking: Asking,
    gaps: tuple[Gap, ...],
    caller: Caller,
    proposals: list[Proposal],
    unfilled: list[Unfilled],
    calls: list[PlannedCall],
) -> None:
    request = build(asking.context, gaps, work.style)
    cached = caller.peek(request) if asking.exact else None
    if cached is not None:
        reading = read_gaps(cached, gaps)
        left: list[Gap] = []
        for gap in gaps:
            verdict = judge(gap, text_for(gap, reading) or "", work.placeholders, work.style.limit)
            if isinstance(verdict, Fit):
                proposals.append(Proposal(gap, verdict.text, "cached", caller.author))
            else:
                left.append(gap)
        if not left:
            return
        gaps, request = tuple(left), build(asking.context, left, work.style)
    declined = caller.declines()
    if isinstance(declined, Declined):
        for gap in gaps:
            reason = asking.reasons.get(gap.id)
            why = f"{declined.reason}; {reason}" if reason else declined.reason
            unfilled.append(Unfilled(gap, why, asking.alternatives.get(gap.id, ())))
        return
    quote = caller.quote(request, expected_output=OUTPUT_TOKENS_A_DESCRIPTION * len(gaps))
    calls.append(
        PlannedCall(
            gaps[0].unique_id,
            gaps,
            request,
            quote.input_tokens,
            quote.output_tokens,
            quote.cost,
            quote.upper_bound,
            asking.exact,
        )
    )
