"""Markdown: a report for a pull request, and a summary for the page of a CI job."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from osmosis_hooks.output import count
from osmosis_hooks.wording import origin_of, summary
from osmosis_synthesize.errors import WriteError
from osmosis_synthesize.project import shown

if TYPE_CHECKING:
    from osmosis_hooks.findings import Finding
    from osmosis_synthesize.engine.gaps import Survey
    from osmosis_synthesize.engine.model import Gap
    from osmosis_synthesize.report import Finished

JOB_PAGE = "GITHUB_STEP_SUMMARY"
"""The environment variable with the file whose text GitHub shows on the page of a job."""


def of_run(finished: Sequence[Finished], *, texts: bool = True) -> str:
    """What runs filled, each text with where it comes from, and what they left; without ``texts`` only how many."""
    outcomes = [outcome for run in finished for outcome in run.outcomes]
    lines = ["## dbt descriptions", "", summary(outcomes)]
    if texts:
        filled = sorted(
            (_place(run, proposal.gap), _row(_code(proposal.gap.label), proposal.text, origin_of(proposal)))
            for run in finished
            for outcome in run.outcomes
            for proposal in outcome.proposals
        )
        left = sorted(
            (_place(run, item.gap), _row(_code(item.gap.label), item.reason))
            for run in finished
            for outcome in run.outcomes
            for item in outcome.unfilled
        )
        if filled:
            lines += ["", "| column | description | origin |", "| --- | --- | --- |", *(row for _, row in filled)]
        if left:
            lines += ["", f"### {count(len(left), 'gap')} left", "", "| column | why |", "| --- | --- |"]
            lines += [row for _, row in left]
    return "\n".join(lines) + "\n"


def of_check(survey: Survey, findings: Sequence[Finding]) -> str:
    """How much is described, and what is wrong."""
    lines = ["## dbt descriptions", "", f"{survey.coverage:.1f} % of {count(survey.slots, 'place')} are described."]
    if findings:
        lines += ["", "| place | what |", "| --- | --- |"]
        lines += [_row(_code(f"{shown(one.file)}:{one.line}"), one.message) for one in findings]
    return "\n".join(lines) + "\n"


def add_to_job_page(text: str) -> None:
    """Add a summary to the page of the job that this is part of, if it is one of GitHub's.

    Raises:
        WriteError: the file cannot be written.
    """
    name = os.environ.get(JOB_PAGE)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as page:
            page.write(text)
    except OSError as error:
        raise WriteError(f"{JOB_PAGE} {name} was not written: {error.strerror or error}.", path=Path(name)) from error


def _place(run: Finished, gap: Gap) -> tuple[str, int]:
    return shown(gap.file), run.drafts.line_of(gap)


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """A text that is read back as it is: descriptions are anybody's words."""
    line = " ".join(text.split())
    if line.startswith("`"):
        return line
    for character in "\\`*_[]<>|#":
        line = line.replace(character, f"\\{character}")
    return line.replace("@", "@\u200b")  # a name in a description calls nobody


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39)).replace('|', chr(0x2502))}`"
