"""``osmosis-synthesize review``: lists generated texts that no human has accepted yet, or accepts them."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from osmosis_hooks.findings import Finding, emit, is_machine_read
from osmosis_hooks.output import count, quoted, recorded_texts, tell_notes
from osmosis_hooks.scope import recorded

if TYPE_CHECKING:
    from osmosis_synthesize.recording import Recorded


def main(options: argparse.Namespace) -> int:
    """Exit code 0; 2 if a file cannot be read or written."""
    listed: list[Recorded] = []
    accepted = 0
    unreadable = False
    for project, texts in recorded(options, manifest=options.accept):
        waiting = [one for one in texts if one.wants_review]
        listed += waiting
        if options.accept:
            accepted += project.accept(texts)
            if options.all and not options.select:
                project.forget_gone()
        tell_notes(project.notes)
        unreadable = unreadable or project.unreadable
    findings = [
        Finding("unreviewed", one.file, one.line, one.character, one.label, f"{one.label}: {quoted(one.text)}")
        for one in listed
    ]
    emit(findings, options, lambda: recorded_texts(listed))
    out = sys.stderr if is_machine_read(options) else sys.stdout
    if options.accept:
        print(f"{count(accepted, 'text')} accepted.", file=out)
    elif listed:
        print(
            f"{count(len(listed), 'text')} to review. Mend what is wrong, and accept the rest with --accept.",
            file=out,
        )
    return 2 if unreadable else 0
