"""``osmosis-synthesize check``: names each gap and each text that is too long, or what else is asked for; writes nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from osmosis_hooks.findings import Finding, emit
from osmosis_hooks.markdown import add_to_job_page, of_check
from osmosis_hooks.output import quoted, recorded_texts, tell_notes, write_report
from osmosis_hooks.scope import recorded, requests
from osmosis_synthesize.engine.gaps import Survey
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.names import short_name
from osmosis_synthesize.project import Request, shown

if TYPE_CHECKING:
    from osmosis_synthesize.engine.consistency import Described, Difference
    from osmosis_synthesize.engine.lengths import TooLong
    from osmosis_synthesize.recording import Recorded


def main(options: argparse.Namespace) -> int:
    """Exit code 1 if something is found, or with ``--min-coverage`` if too few are described; 2 if a file cannot be read."""
    if options.reviewed:
        return _reviewed(options)
    return _consistency(options) if options.consistency else _gaps(options)


def _reviewed(options: argparse.Namespace) -> int:
    found: list[Recorded] = []
    unreadable = False
    for project, texts in recorded(options):
        found += [one for one in texts if one.wants_review]
        tell_notes(project.notes)
        unreadable = unreadable or project.unreadable
    emit([_unreviewed(one) for one in found], options, lambda: recorded_texts(found))
    return 2 if unreadable else int(bool(found))


def _unreviewed(one: Recorded) -> Finding:
    author = " ".join(filter(None, (one.record.provider, one.record.model)))
    said = f"{one.label} was described by {author}, and nobody has accepted that yet"
    return Finding("unreviewed", one.file, one.line, one.character, one.label, said)


def _consistency(options: argparse.Namespace) -> int:
    found: list[Difference] = []
    unreadable = False
    for project, request in requests(options):
        project.catch_up(request)
        found += project.differences(request)
        tell_notes(project.notes)
        unreadable = unreadable or project.unreadable
    findings = [
        Finding("contradiction", own.file, own.line, own.character, str(own.column), contradiction(one))
        for one in found
        if (own := one.column).file is not None
    ]
    emit(findings, options, lambda: _differences(found))
    return 2 if unreadable else int(bool(found))


def contradiction(one: Difference) -> str:
    """Which two texts differ, and where the other stands."""
    own, other = one.column, one.upstream
    where = _place(other) if other.file is not None else f"package {other.column.unique_id.split('.')[1]}"
    return (
        f"{own.column} is described as {quoted(own.text)}, but {other.column}, of which it is a copy, "
        f"as {quoted(other.text)} ({where})"
    )


def _place(one: Described) -> str:
    return f"{shown(one.file)}:{one.line}:{one.character}" if one.file is not None else str(one.column)


def _differences(found: Sequence[Difference]) -> dict[str, Any]:
    def described(one: Described) -> dict[str, Any]:
        return {
            "file": shown(one.file) if one.file is not None else None,
            "line": one.line if one.file is not None else None,
            "unique_id": one.column.unique_id,
            "column": one.column.column,
            "text": one.text,
        }

    return {
        "version": 1,
        "differences": [{**described(one.column), "upstream": described(one.upstream)} for one in found],
    }


def _gaps(options: argparse.Namespace) -> int:
    gaps: list[Gap] = []
    long: list[TooLong] = []
    slots = 0
    unreadable = False
    for project, request in requests(options):
        needed = _manifest_matters(request)
        if needed:
            project.catch_up(request, upstream=request.add_columns)
        found = project.survey(request, with_manifest=needed)
        long += project.too_long(request, with_manifest=needed)
        gaps += found.gaps
        slots += found.slots
        tell_notes(project.notes)
        unreadable = unreadable or project.unreadable
    survey = Survey(tuple(gaps), slots)
    findings = [Finding("gap", gap.file, gap.line, gap.character, gap.label, message(gap)) for gap in survey.gaps]
    findings += [
        Finding("too-long", text.file, text.line, text.character, _label(text), excess(text)) for text in long
    ]
    emit(findings, options, lambda: _report(survey, long))
    if options.markdown is not None:
        write_report(options.markdown, of_check(survey, findings))
    if options.format == "github":
        add_to_job_page(of_check(survey, ()))
    if options.min_coverage is not None:
        print(f"{survey.coverage:.1f} % described, {options.min_coverage:g} % wanted", file=sys.stderr)
    if unreadable:
        return 2
    missing = bool(survey.gaps) if options.min_coverage is None else survey.coverage < options.min_coverage
    return int(missing or bool(long))


def message(gap: Gap) -> str:
    """What is missing, in words."""
    if gap.slot is not None and gap.slot.blocked_by is not None:
        return f"{gap.label} has no description: {gap.slot.blocked_by}"
    text = gap.slot.text if gap.slot is not None else None
    if text is not None and text.strip():
        return f"{gap.label} has only a placeholder for a description: {' '.join(text.split())!r}"
    return f"{gap.label} has no description"


def excess(text: TooLong) -> str:
    """What is too long, in words."""
    return f"{_label(text)} is described in {text.length:,} characters, {text.adapter} takes {text.limit:,}"


def _label(text: TooLong) -> str:
    return short_name(text.unique_id) if text.column is None else f"{short_name(text.unique_id)}.{text.column}"


def _manifest_matters(request: Request) -> bool:
    """Whether it is to be known which nodes there are: only for those that no schema file mentions."""
    return request.whole_project or any(path.suffix.lower() not in {".yml", ".yaml"} for path in request.files)


def _report(survey: Survey, long: Sequence[TooLong]) -> dict[str, Any]:
    return {
        "version": 1,
        "coverage": round(survey.coverage, 2),
        "descriptions": survey.slots,
        "gaps": [
            {
                "file": shown(gap.file),
                "line": gap.line,
                "unique_id": gap.unique_id,
                "column": gap.column,
                "reason": message(gap),
            }
            for gap in survey.gaps
        ],
        "too_long": [
            {
                "file": shown(text.file),
                "line": text.line,
                "unique_id": text.unique_id,
                "column": text.column,
                "reason": excess(text),
            }
            for text in long
        ],
    }
