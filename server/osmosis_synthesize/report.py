"""The machine-readable report of a run (``--json``). ``report.schema.json`` beside this file is its JSON schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.model import Author, Gap, NodeOutcome, Proposal, Spent, Unfilled, Upstream
from osmosis_synthesize.project import shown

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Finished:
    """A run over one project."""

    outcomes: Sequence[NodeOutcome]
    drafts: Drafts
    changed: Sequence[Path]
    """The files that were written."""


def report(runs: Sequence[Finished]) -> dict[str, Any]:
    """What the runs did, one for each project, as plain data. Of the long lists each item is made when it is asked for.

    Lines count from 1 and are those of the edited files. Costs are numbers of US dollars, ``null`` where the price is
    unknown.
    """
    spent = sum((outcome.spent for run in runs for outcome in run.outcomes), Spent())
    return {
        "version": VERSION,
        "filled": (
            _filled(proposal, run.drafts)
            for run in runs
            for outcome in run.outcomes
            for proposal in outcome.proposals
        ),
        "gaps": (_gap(item, run.drafts) for run in runs for outcome in run.outcomes for item in outcome.unfilled),
        "usage": {
            "calls": spent.calls,
            "input_tokens": spent.usage.input_tokens,
            "output_tokens": spent.usage.output_tokens,
            "cost": _money(spent.cost),
            "cached_calls": spent.cached_calls,
        },
        "changed_files": [shown(path) for run in runs for path in run.changed],
    }


def _filled(proposal: Proposal, drafts: Drafts) -> dict[str, Any]:
    return {
        **_place(proposal.gap, drafts),
        "text": proposal.text,
        "origin": proposal.origin,
        "source": _source(proposal.source),
        "cost": _money(proposal.cost),
    }


def _gap(item: Unfilled, drafts: Drafts) -> dict[str, Any]:
    gap: dict[str, Any] = {**_place(item.gap, drafts), "reason": item.reason}
    if item.alternatives:
        gap["alternatives"] = [{"text": other.text, "source": _source(other.upstream)} for other in item.alternatives]
    return gap


def _place(gap: Gap, drafts: Drafts) -> dict[str, Any]:
    return {"file": shown(gap.file), "line": drafts.line_of(gap), "unique_id": gap.unique_id, "column": gap.column}


def _source(source: Upstream | Author) -> dict[str, Any]:
    if isinstance(source, Upstream):
        return {"unique_id": source.unique_id, "column": source.column, "how": source.how}
    return {"provider": source.provider, "model": source.model}


def _money(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
