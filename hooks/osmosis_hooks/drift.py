"""``osmosis-synthesize drift``: names the texts whose origins have changed since; writes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from osmosis_hooks.findings import Finding, emit
from osmosis_hooks.output import plain, tell_notes
from osmosis_hooks.scope import recorded

if TYPE_CHECKING:
    from osmosis_synthesize.engine.drift import Change
    from osmosis_synthesize.recording import Drifted


def main(options: argparse.Namespace) -> int:
    """Exit code 1 if something has drifted; 2 if a file cannot be read. A text that a human has edited has not drifted."""
    found: list[Drifted] = []
    unreadable = False
    for project, texts in recorded(options, manifest=True):
        found += project.drifted(texts)
        tell_notes(project.notes)
        unreadable = unreadable or project.unreadable
    drifted = [one for one in found if one.changes]
    findings = [
        Finding(
            "drift",
            one.text.file,
            one.text.line,
            one.text.character,
            one.text.label,
            f"{one.text.label}: {message(one)}",
        )
        for one in (drifted if options.format in {"github", "gitlab", "sarif"} else found)
    ]
    emit(findings, options, lambda: _report(drifted, [one for one in found if one.text.is_edited]))
    return 2 if unreadable else int(bool(drifted))


def message(one: Drifted) -> str:
    """What has changed, in words."""
    if not one.changes:
        return "a human has edited the description since it was generated"
    since = "reviewed" if one.text.record.reviewed else "written"
    changed = " and ".join(_SAID[change.part].format(upstream=change.upstream) for change in one.changes)
    return f"{changed} changed since the description was {since}"


_SAID = {
    "expression": "its expression has",
    "rows": "which rows it has, or where they come from, has",
    "sql": "the SQL has",
    "upstream": "the description of {upstream} has",
}


def _report(drifted: Sequence[Drifted], edited: Sequence[Drifted]) -> dict[str, Any]:
    return {
        "version": 1,
        "drifted": [{**plain(one.text), "changed": [_change(change) for change in one.changes]} for one in drifted],
        "edited": [plain(one.text) for one in edited],
    }


def _change(change: Change) -> dict[str, Any]:
    return {"part": change.part} if change.upstream is None else {"part": change.part, "of": change.upstream}
