"""How the commands say things: diffs, sums of money, reports."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from osmosis_synthesize.errors import WriteError
from osmosis_synthesize.project import shown

if TYPE_CHECKING:
    from osmosis_synthesize.recording import Recorded

_LONGEST: Final = 80
"""Characters of a text that a message shows."""


def unified_diff(changes: Mapping[Path, tuple[str | None, str]]) -> Iterator[str]:
    """The lines of a diff that ``patch`` and ``git apply`` read."""
    for path, (before, after) in changes.items():
        name = shown(path)
        old = f"a/{name}" if before is not None else "/dev/null"
        for line in difflib.unified_diff(_lines(before or ""), _lines(after), old, f"b/{name}"):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def usd(amount: Decimal | None) -> str:
    """A sum of money: ``$0.0123``; two digits at least, four significant ones for small sums; unknown stays unknown."""
    if amount is None:
        return "unknown cost"
    if amount == 0:
        return "$0.00"
    if amount >= 1:
        return f"${amount:.2f}"
    digits = max(2, 2 - amount.adjusted())
    return f"${amount:.{min(digits, 8)}f}"


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """``1 gap``, ``2 gaps``; ``nouns`` where the plural is not made by an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {nouns or noun + 's'}"


def quoted(text: str) -> str:
    """A text as a message shows it: on one line, in quotes, its end left out if it is long."""
    line = " ".join(text.split())
    return repr(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1].rstrip()}…")


def recorded_texts(texts: Sequence[Recorded]) -> dict[str, Any]:
    """The report about some texts whose origin is recorded."""
    return {"version": 1, "texts": [plain(one) for one in texts]}


def plain(text: Recorded) -> dict[str, Any]:
    """A recorded text, as reports have it."""
    return {
        "file": shown(text.file),
        "line": text.line,
        "unique_id": text.unique_id,
        "column": text.column,
        "text": text.text,
        "origin": text.record.origin,
        "provider": text.record.provider,
        "model": text.record.model,
        "at": text.record.at,
        "reviewed": text.record.reviewed,
    }


def tell_notes(notes: Iterable[str]) -> None:
    """Say on standard error what the user should know, each thing once."""
    for note in dict.fromkeys(notes):
        print(note, file=sys.stderr)


def write_json(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report to a file, or to standard output if ``path`` is ``-``.

    What is an iterator in it becomes a list, of which no more than one item is in memory.

    Raises:
        WriteError: the file cannot be written.
    """
    if str(path) == "-":
        sys.stdout.writelines(_json(report))
        return
    _write(path, _json(report))


def _json(report: Mapping[str, Any]) -> Iterator[str]:
    """What ``json.dumps`` makes of a report, piece by piece."""
    before = "{\n"
    for name, value in report.items():
        yield f"{before}  {json.dumps(name)}: "
        before = ",\n"
        if isinstance(value, Iterator):
            yield from _json_list(cast("Iterator[object]", value))
        else:
            yield _dumped(value, 2)
    yield "\n}\n"


def _json_list(items: Iterator[object]) -> Iterator[str]:
    between = "[\n    "
    for item in items:
        yield f"{between}{_dumped(item, 4)}"
        between = ",\n    "
    yield "[]" if between[0] == "[" else "\n  ]"


def _dumped(value: object, indent: int) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + " " * indent)


def write_report(path: Path, text: str) -> None:
    """Write a report to a file.

    Raises:
        WriteError: the file cannot be written.
    """
    _write(path, [text])


def _write(path: Path, pieces: Iterable[str]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
    except OSError as error:
        raise WriteError(f"The report {path} was not written: {error.strerror or error}.", path=path) from error


def _lines(text: str) -> list[str]:
    r"""Lines as a diff has them: only ``\n`` ends one, so that a carriage return shows as the change it is."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
