"""``osmosis-synthesize run``: fills gaps."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TextIO

from osmosis_hooks.findings import Finding, emit, is_machine_read
from osmosis_hooks.limit import TimeLimit, TimeUp
from osmosis_hooks.markdown import add_to_job_page, of_run
from osmosis_hooks.output import count, quoted, tell_notes, unified_diff, write_report
from osmosis_hooks.parsing import dbt_parse
from osmosis_hooks.progress import progress_of
from osmosis_hooks.scope import gaps_of, is_complete, requests
from osmosis_hooks.wording import origin_of, summary
from osmosis_synthesize.engine.call import Caller, Mode
from osmosis_synthesize.engine.model import Gap, NodeOutcome, Unfilled
from osmosis_synthesize.errors import OsmosisError, ProjectError, ProviderError
from osmosis_synthesize.files import shown
from osmosis_synthesize.garbage import seldom_searched
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.report import Finished, report
from osmosis_synthesize.store import Store

_TOLD_EACH_TIME, _LONG = 3, 80
"""A reason that more gaps than this have in common, or that is longer than so many characters, is told once, above the list
of the gaps."""


def main(options: argparse.Namespace) -> int:
    """Exit code 1 if files were changed; 2 and 3 as ``--help`` says."""
    machine = is_machine_read(options)
    out = sys.stderr if machine or options.diff else sys.stdout
    finished: list[Finished] = []
    limit = TimeLimit(options.timeout)
    code = 0
    try:
        with Store.open() as store:
            if options.batch is not None:
                from osmosis_hooks import batch

                if options.batch == "submit":
                    return batch.hand_in(options, store)
                if options.batch == "status":
                    return batch.status(options, store)
                batch.fetch(options, store)
                options.offline = True  # what came is in the cache now
            for project, request in requests(options):
                records = project.records.path
                begun = options.hook and not records.exists()
                try:
                    outcomes = _fill(project, request, store, options, limit)
                except TimeUp:
                    print(f"Nothing was filled in {shown(project.root)}: {limit.reason}.", file=sys.stderr)
                    continue
                if begun and records.exists():
                    project.notes.append(
                        f"{shown(records)} is new: it records where these texts come from; commit it too."
                    )
                tell(
                    project,
                    outcomes,
                    out,
                    listed=not options.quiet and options.format != "github",
                    ended=not options.quiet,
                )
                if options.diff:
                    (sys.stderr if machine else sys.stdout).writelines(unified_diff(project.drafts.changes()))
                changed = project.drafts.written
                finished.append(Finished(outcomes, project.drafts, changed))
                code = max(code, _exit_code(project, outcomes, changed=bool(changed), strict=options.strict))
            for warning in store.warnings:
                print(warning, file=sys.stderr)
    except OsmosisError:
        # What was done in other projects is done, and reported.
        if finished:
            _report(finished, options)
        raise
    _report(finished, options)
    return code


def _report(finished: Sequence[Finished], options: argparse.Namespace) -> None:
    """Say in the forms that were asked for what was filled and what was not; as text that is said already."""
    findings = [] if options.format == "text" else sorted(_findings(finished), key=lambda one: (one.file, one.line))
    emit(findings, options, lambda: report(finished))
    if options.markdown is not None:
        write_report(options.markdown, of_run(finished))
    if options.format == "github":
        add_to_job_page(of_run(finished, texts=False))


def _findings(finished: Sequence[Finished]) -> Iterator[Finding]:
    for run in finished:
        for outcome in run.outcomes:
            for proposal in outcome.proposals:
                gap = proposal.gap
                said = f"{gap.label} {origin_of(proposal)}: {quoted(proposal.text)}"
                yield Finding("filled", gap.file, run.drafts.line_of(gap), 1, gap.label, said)
            for item in outcome.unfilled:
                gap = item.gap
                said = f"{gap.label} stays a gap: {item.reason}{_candidates(item)}"
                yield Finding("left", gap.file, run.drafts.line_of(gap), 1, gap.label, said)


def _fill(
    project: Project, request: Request, store: Store, options: argparse.Namespace, limit: TimeLimit
) -> list[NodeOutcome]:
    """Fill what a request asks for, as far as the time limit allows.

    Raises:
        TimeUp: it was reached before anything could be filled.
        ProjectError: dbt could not parse the project, under --strict.
    """
    write: bool = not options.diff
    with limit.enforced():
        if is_complete(project, request):
            return []
    if options.parse:
        _parse(project, strict=options.strict, seconds=limit.left)
    with limit.enforced():
        gaps = gaps_of(project, request, upstream=options.upstream, calls=mode_of(options) == "call")
        if options.limit is not None:
            gaps = _first(project, gaps, store, options)
    caller = project.caller(store, mode=mode_of(options), prompts=options.debug_prompts)
    with seldom_searched():
        outcomes = asyncio.run(fill(project, gaps, caller, write=write, until=limit.ends, quiet=options.quiet))
    outcomes += _not_reached(gaps, outcomes, limit)
    if options.facts and project.settings.provider != "facts" and limit.left != 0:
        left = [item.gap for outcome in outcomes for item in outcome.unfilled]
        if any(gap.slot is None for gap in left):  # columns and entries that the files lacked are there by now
            open_ids = {gap.id for gap in left}
            left = [gap for gap in gaps_of(project, request, upstream=options.upstream) if gap.id in open_ids]
        proven = asyncio.run(fill(project, left, project.prover(store), write=write, until=limit.ends))
        outcomes = _joined(outcomes, proven)
    return outcomes


def _first(project: Project, gaps: Sequence[Gap], store: Store, options: argparse.Namespace) -> tuple[Gap, ...]:
    """The gaps of the first nodes for which something can be done, as many as ``--limit`` says."""
    callers = [project.caller(store, mode=mode_of(options)), *([project.prover(store)] if options.facts else [])]
    plans = [asyncio.run(project.plan(gaps, caller)) for caller in callers]
    fillable = {
        node.unique_id for plan in plans for node in plan.nodes if node.proposals or node.waiting or node.calls
    }
    able = [node.unique_id for node in plans[0].nodes if node.unique_id in fillable]
    chosen = set(able[: options.limit])
    if len(able) > len(chosen):
        project.notes.append(
            f"{count(len(able) - len(chosen), 'node')} more can be described; run again for the next."
        )
    return tuple(gap for gap in gaps if gap.unique_id in chosen)


def _parse(project: Project, *, strict: bool, seconds: float | None) -> None:
    problem = dbt_parse(project.root, seconds=seconds)
    if problem is not None and strict:
        raise ProjectError(f"{shown(project.root)}: {problem}")
    if problem is not None:
        project.notes.append(f"{shown(project.root)}: {problem} The manifest is taken as it is.")


def _not_reached(gaps: Sequence[Gap], outcomes: Sequence[NodeOutcome], limit: TimeLimit) -> list[NodeOutcome]:
    """The outcomes of the nodes that were not finished in time."""
    finished = {outcome.unique_id for outcome in outcomes}
    left: dict[str, list[Unfilled]] = {}
    for gap in gaps:
        if gap.unique_id not in finished:
            left.setdefault(gap.unique_id, []).append(Unfilled(gap, limit.reason))
    return [NodeOutcome(unique_id, (), tuple(unfilled)) for unique_id, unfilled in left.items()]


def _joined(outcomes: Sequence[NodeOutcome], later: Sequence[NodeOutcome]) -> list[NodeOutcome]:
    """The outcomes with the texts that were found later for gaps that they left."""
    found = {outcome.unique_id: outcome.proposals for outcome in later}
    filled = {proposal.gap.id for proposals in found.values() for proposal in proposals}
    return [
        replace(
            outcome,
            proposals=(*outcome.proposals, *found.get(outcome.unique_id, ())),
            unfilled=tuple(item for item in outcome.unfilled if item.gap.id not in filled),
        )
        for outcome in outcomes
    ]


def mode_of(options: argparse.Namespace) -> Mode:
    """Which calls the options allow."""
    if options.inherit_only:
        return "inherit-only"
    return "offline" if options.offline else "call"


async def fill(
    project: Project,
    gaps: Sequence[Gap],
    caller: Caller,
    *,
    write: bool,
    until: float | None = None,
    quiet: bool = True,
) -> list[NodeOutcome]:
    """Fill these gaps and give the outcome of each node, parents first; of those that are finished in time."""
    outcomes: list[NodeOutcome] = []
    progress = progress_of(len({gap.unique_id for gap in gaps}), sys.stderr, quiet=quiet)
    try:
        with progress:
            async with aclosing(project.run(gaps, caller, write=write, until=until)) as finished:
                async for outcome in finished:
                    outcomes.append(outcome)
                    progress.finished(outcome)
    finally:
        await caller.aclose()
    return [project.settled(outcome) for outcome in outcomes]


def tell(
    project: Project, outcomes: Sequence[NodeOutcome], out: TextIO, *, listed: bool = True, ended: bool = True
) -> None:
    """What was filled from where, what was not and why (``listed``), what went wrong, and the sum (``ended``)."""
    if listed:
        _list(project, outcomes, out)
    tell_notes([*project.notes, *map(str, project.unwritten)])
    if ended:
        print(summary(outcomes) if outcomes or project.seen else "Nothing to describe was found.", file=out)


def _list(project: Project, outcomes: Sequence[NodeOutcome], out: TextIO) -> None:
    unfilled = [item for outcome in outcomes for item in outcome.unfilled]
    times = Counter(item.reason for item in unfilled)
    common = {reason for reason in times if times[reason] > (_TOLD_EACH_TIME if len(reason) < _LONG else 1)}
    said = [
        (_place(proposal.gap, project), f"{proposal.gap.label} {origin_of(proposal)}")
        for outcome in outcomes
        for proposal in outcome.proposals
    ]
    said += [
        (_place(item.gap, project), f"{item.gap.label} stays a gap: {item.reason}{_candidates(item)}")
        for item in unfilled
        if item.reason not in common
    ]
    for (file, line), text in sorted(said):
        print(f"{file}:{line}: {text}", file=out)
    for reason in sorted(common):
        alike = [item for item in unfilled if item.reason == reason]
        print(f"{count(len(alike), 'gap')} stay: {reason}", file=out)
        for (file, line), text in sorted(
            (_place(item.gap, project), f"{item.gap.label}{_candidates(item)}") for item in alike
        ):
            print(f"  {file}:{line}: {text}", file=out)


def _place(gap: Gap, project: Project) -> tuple[str, int]:
    return shown(gap.file), project.drafts.line_of(gap)


def _candidates(item: Unfilled) -> str:
    """The texts upstream of which one might be meant."""
    labels = ", ".join(other.upstream.label for other in item.alternatives)
    return f" (candidates: {labels})" if labels else ""


def _exit_code(project: Project, outcomes: Sequence[NodeOutcome], *, changed: bool, strict: bool) -> int:
    if strict and any(outcome.failed for outcome in outcomes):
        return ProviderError.exit_code
    if project.unwritten or project.unreadable:
        return OsmosisError.exit_code
    return int(changed)
