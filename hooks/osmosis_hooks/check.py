"""``osmosis-synthesize check``: names each gap and each text that is too long, or what else is asked for; writes nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from osmosis_hooks.output import place, quoted, recorded_texts, write_json
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
        for note in dict.fromkeys(project.notes):
            print(note, file=sys.stderr)
        unreadable = unreadable or project.unreadable
    if str(options.json) != "-":
        for one in found:
            author = " ".join(filter(None, (one.record.provider, one.record.model)))
            print(f"{place(one)}: {one.label} was described by {author}, and nobody has accepted that yet")
    if options.json is not None:
        write_json(options.json, recorded_texts(found))
    return 2 if unreadable else int(bool(found))


def _consistency(options: argparse.Namespace) -> int:
    found: list[Difference] = []
    unreadable = False
    for project, request in requests(options):
        project.catch_up(request)
        found += project.differences(request)
        for note in dict.fromkeys(project.notes):
            print(note, file=sys.stderr)
        unreadable = unreadable or project.unreadable
    if str(options.json) != "-":
        for one in found:
            print(f"{_place(one.column)}: {contradiction(one)}")
    if options.json is not None:
        write_json(options.json, _differences(found))
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
    to_stdout = options.json is None or str(options.json) != "-"
    for project, request in requests(options):
        needed = _manifest_matters(request)
        if needed:
            project.catch_up(request, upstream=request.add_columns)
        found = project.survey(request, with_manifest=needed)
        long += project.too_long(request, with_manifest=needed)
        gaps += found.gaps
        slots += found.slots
        for note in dict.fromkeys(project.notes):
            print(note, file=sys.stderr)
        unreadable = unreadable or project.unreadable
    survey = Survey(tuple(gaps), slots)
    if to_stdout:
        for gap in survey.gaps:
            print(f"{shown(gap.file)}:{gap.line}:{gap.character}: {message(gap)}")
        for text in long:
            print(f"{shown(text.file)}:{text.line}:{text.character}: {excess(text)}")
    if options.json is not None:
        write_json(options.json, _report(survey, long))
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
    name = short_name(text.unique_id) if text.column is None else f"{short_name(text.unique_id)}.{text.column}"
    return f"{name} is described in {text.length:,} characters, {text.adapter} takes {text.limit:,}"


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
