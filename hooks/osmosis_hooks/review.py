"""``osmosis-synthesize review``: lists generated texts that no human has accepted yet, or accepts them."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from osmosis_hooks.output import count, place, quoted, recorded_texts, write_json
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
        for note in dict.fromkeys(project.notes):
            print(note, file=sys.stderr)
        unreadable = unreadable or project.unreadable
    if str(options.json) != "-":
        for one in listed:
            print(f"{place(one)}: {one.label}: {quoted(one.text)}")
        if options.accept:
            print(f"{count(accepted, 'text')} accepted.")
        elif listed:
            print(f"{count(len(listed), 'text')} to review. Mend what is wrong, and accept the rest with --accept.")
    if options.json is not None:
        write_json(options.json, recorded_texts(listed))
    return 2 if unreadable else 0
