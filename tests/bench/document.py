"""How fast a long schema file is read, read again after a keystroke, and filled, against ruamel.yaml.

    python tests/bench/document.py [--size small|full] [--turns 7] [--json PATH]

The file has 200 models of 20 columns each, 12,600 lines; half of its descriptions are plain, the others quoted or folded.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parent))
from paired import Comparison, arguments, compare, report

from osmosis_synthesize.document import Document, Fill, edit, is_gap, parse, reparse
from osmosis_synthesize.text import Span, TextEdit

DESCRIPTION = "What column {column} of model {model} holds"


def schema_file(models: int, columns: int, *, described: bool = True) -> str:
    """A schema file; without descriptions it has gaps instead, one a model and one a column."""
    lines = ["version: 2", "", "models:"]
    for model in range(models):
        lines.append(f"  - name: model_{model}")
        if described:
            lines.append(f"    description: Model {model} of the shop")
        lines.append("    columns:")
        for column in range(columns):
            lines.append(f"      - name: column_{model}_{column}")
            text = DESCRIPTION.format(column=column, model=model)
            if described and column % 4 == 3:
                lines += ["        description: >-", f"          {text}"]
            elif described:
                lines.append(f"        description: {(text, repr(text))[column % 4 == 1]}")
            if column % 4 != 3:
                lines.append("        data_type: varchar")
    return "\n".join(lines) + "\n"


def round_trip(text: str) -> str:
    """What ruamel.yaml makes of the text without any change."""
    yaml: Any = YAML()
    written = io.StringIO()
    yaml.dump(yaml.load(text), written)
    return written.getvalue()


def fill_by_ruamel(text: str) -> str:
    """The text with all its gaps filled by loading and dumping."""
    yaml: Any = YAML()
    data = yaml.load(text)
    for model in data["models"]:
        model.insert(1, "description", f"What {model['name']} holds")
        for column in model["columns"]:
            column.insert(1, "description", f"What {column['name']} holds")
    written = io.StringIO()
    yaml.dump(data, written)
    return written.getvalue()


def fill_by_us(text: str) -> str:
    """The text with all its gaps filled, and the proof that nothing else has changed."""
    document = parse(text)
    fills = [Fill(slot, f"What {slot.column or slot.key.name} holds") for slot in document.slots() if is_gap(slot)]
    edited = edit(document, fills)
    assert not edited.rejected
    return edited.text


def typist(document: Document, places: Sequence[tuple[Span, str]]) -> Callable[[], Document]:
    """A function that makes the next of the edits over and over, in the document that the one before left, and asks for
    the slot there, as an editor would.
    """
    state = document
    state.lines  # noqa: B018 - whoever holds a document for an editor knows its lines
    edits: Iterator[tuple[Span, str]] = cycle(places)

    def type_on() -> Document:
        nonlocal state
        span, new_text = next(edits)
        state = reparse(state, TextEdit(span, new_text))
        state.slot_at(span.start)
        return state

    return type_on


def there_and_back(text: str, old: str, new: str) -> list[tuple[Span, str]]:
    """The edit that puts ``new`` in place of ``old``, and the one that takes it back."""
    start = text.index(old)
    return [(Span(start, start + len(old)), new), (Span(start, start + len(new)), old)]


def measure(models: int, columns: int, turns: int) -> list[Comparison]:
    """All rows."""
    text = schema_file(models, columns)
    composer: Any = YAML(typ="safe")
    rows = [
        compare(
            "all slots",
            lambda: sum(1 for _ in parse(text).slots()),
            "ruamel.yaml's C composer",
            lambda: composer.compose(text),
            goal=Fraction(3, 2),
            turns=turns,
        ),
        compare(
            "all slots",
            lambda: sum(1 for _ in parse(text).slots()),
            "its round trip",
            lambda: round_trip(text),
            goal=Fraction(1, 15),
            turns=turns,
        ),
    ]
    document = parse(text)
    for name, model in (("start", 0), ("middle", models // 2), ("end", models - 1)):
        rows.append(
            _keystroke(
                f"a keystroke at the {name}",
                document,
                f"column 0 of model {model} ",
                f"column x0 of model {model} ",
                turns,
            )
        )
    model = models // 2
    line = f"      - name: column_{model}_1\n"
    rows += [
        _keystroke(
            "a column added, and taken away",
            document,
            line,
            f"      - name: new\n        description: x\n{line}",
            turns,
        ),
        _keystroke(
            "a quote opened, and taken away", document, f"Model {model} ", f'"Model {model} ', turns, goal=None
        ),
    ]
    gaps = schema_file(models, columns, described=False)
    assert composer.load(fill_by_us(gaps)) == composer.load(fill_by_ruamel(gaps)), "both do the same"
    filled = f"{models * (columns + 1):,} descriptions inserted and proven"
    rows.append(
        compare(
            filled,
            lambda: fill_by_us(gaps),
            "ruamel.yaml's load and dump",
            lambda: fill_by_ruamel(gaps),
            goal=Fraction(1, 8),
            turns=turns,
        )
    )
    return rows


def _keystroke(
    name: str, document: Document, old: str, new: str, turns: int, goal: Fraction | None = Fraction(1, 50)
) -> Comparison:
    type_on = typist(document, there_and_back(document.text, old, new))
    return compare(
        name, type_on, "a full parse", lambda: parse(document.text), goal=goal, turns=max(turns, 15), ours_times=20
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    options = arguments(__doc__, argv)
    models, columns = (200, 20) if options.size == "full" else (10, 5)
    rows = measure(models, columns, options.turns)
    text = schema_file(models, columns)
    slots = sum(1 for _ in parse(text).slots())
    report(rows, options, models=models, columns=columns, lines=text.count("\n"), slots=slots)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
