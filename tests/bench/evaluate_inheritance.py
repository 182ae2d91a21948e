"""How good inheritance is, measured on the descriptions that people wrote.

    python tests/bench/evaluate_inheritance.py PROJECT_DIR [--manifest PATH] [--judged FILE] [--json PATH] [--list WHAT]

takes any dbt project that has a manifest (one of ``dbt compile`` tells more than one of ``dbt parse``), hides each column description that a person wrote, one at a time, asks what
the column would inherit, and compares that with the hidden text. Beside it stands inheritance by name alone, as
dbt-osmosis does it: the text of the nearest ancestor that documents a column of that name (compared without case), the
alphabetically first one among equally near ones. dbt-osmosis itself finds less than that: it does not walk through
snapshots, and skips a generation in which the first ancestor with such a column has no text for it.

Only nodes that are built from others are asked about. A text that describes all versions of a model is hidden, and
counted, once.

Each hidden text is in one of five counts:

exact           what was inherited is the hidden text, apart from case, white space and final punctuation; references to
                doc blocks are compared by what they stand for
near            it says the same in other words: half of the words that matter are shared (Dice's coefficient of the two
                sets is 0.5 or more), or one text holds all of the other's, at least two; and neither names a unit or a way
                of counting that the other does not. Or a person has read both texts and found so: see ``--judged``
wrong           it is another text. Not all of these are false: of two people who describe a column, both may be right
missing         nothing was inherited, though some ancestor documents a column with a text that is the same or near
not inheritable nothing was inherited, and no ancestor has such a text

    precision = (exact + near) / (exact + near + wrong)
    recall    = (exact + near) / hidden texts for which some ancestor has the same text or a near one

The second denominator looks at every documented column of every ancestor, whatever it is called and whether or not it
is related. Texts that agree by chance ("Name of the customer.") count as inheritable too, so nobody can reach 1.0
everywhere, and both ways of inheriting have the same denominator.

``--judged FILE`` is JSON: a list of pairs of texts that somebody has read and found to be two true descriptions of one
column; ``judged.json`` beside this file has those of the demo project.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from osmosis_synthesize.engine.compare import plain
from osmosis_synthesize.engine.descriptions import Descriptions
from osmosis_synthesize.engine.inherit import Inheritable, Known, inherit
from osmosis_synthesize.engine.prepare import Work
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.names import fold, short_name
from osmosis_synthesize.project import Project
from osmosis_synthesize.settings import load_settings

Verdict = Literal["exact", "near", "wrong", "missing", "not inheritable"]
VERDICTS: tuple[Verdict, ...] = ("exact", "near", "wrong", "missing", "not inheritable")

_WORD = re.compile(r"[^\W_]+|%")
_STOP_WORDS = (
    "a an and are as at be been being by can could does for from has have if in into is it its of on or s such than that "
    "the their then there these this those to was were when where whether which who will with would"
)
_STOP = frozenset(_STOP_WORDS.split())
_MEASURE_WORDS = (
    "average avg cent count day hour km kilometre kilometer maximum mean median mile millisecond minimum minute month "
    "number per percent % quarter second sum total week year"
)
_MEASURES = frozenset(_MEASURE_WORDS.split())
_LIKE = 0.5


class Judge:
    """Says whether two texts say the same."""

    def __init__(self, descriptions: Descriptions, judged: Iterable[tuple[str, str]] = ()) -> None:
        self._docs = descriptions.docs
        self._own = descriptions.index.metadata.project_name
        self.plain = cache(self.plain)
        self._judged = {frozenset((self.plain(one), self.plain(other))) for one, other in judged}

    def plain(self, text: str) -> str:
        """What a reader sees, without what makes no difference."""
        return plain(self._docs.rendered(text, of=self._own))

    def __call__(self, one: str, other: str) -> Literal["exact", "near"] | None:
        """``None``: they are different texts."""
        one, other = self.plain(one), self.plain(other)
        if one == other:
            return "exact"
        return "near" if _is_near(words(one), words(other)) or frozenset((one, other)) in self._judged else None


@cache
def words(text: str) -> frozenset[str]:
    """The words that matter, in the singular as far as an ``s`` makes the plural."""
    found = (word[:-1] if len(word) > 3 and word[-1] == "s" != word[-2] else word for word in _WORD.findall(text))
    return frozenset(word for word in found if word not in _STOP)


def _is_near(one: frozenset[str], other: frozenset[str]) -> bool:
    shared = one & other
    if (one ^ other) & _MEASURES:
        return False
    smaller = min(len(one), len(other))
    return 2 * len(shared) >= _LIKE * (len(one) + len(other)) > 0 or (smaller >= 2 and len(shared) == smaller)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A description that a person wrote, and that nobody may look at while it is asked for."""

    unique_id: str
    column: str
    text: str

    @property
    def label(self) -> str:
        return f"{short_name(self.unique_id)}.{self.column}"


@dataclass(frozen=True, slots=True)
class Others:
    """All descriptions but the hidden one, which may describe other versions of its model too."""

    descriptions: Descriptions
    hidden: Hidden

    def known(self, unique_id: str, column: str) -> Known | None:
        if unique_id not in self.descriptions.index.nodes or self._is_hidden(unique_id, column):
            return None
        text = self.descriptions.text(unique_id, column)
        return Known(text) if text is not None else None

    def _is_hidden(self, unique_id: str, column: str) -> bool:
        if fold(column) != fold(self.hidden.column):
            return False
        return place(self.descriptions, unique_id, column) == place(
            self.descriptions, self.hidden.unique_id, self.hidden.column
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What was inherited: from which column, and how."""

    text: str
    source: str
    how: str


Method = Callable[[Hidden, Others], Found | None]


@dataclass(slots=True)
class Score:
    """How one way of inheriting did."""

    counts: Counter[Verdict] = field(default_factory=Counter[Verdict])
    by_how: dict[str, Counter[Verdict]] = field(default_factory=dict[str, Counter[Verdict]])
    cases: dict[Verdict, list[tuple[Hidden, Found | None]]] = field(
        default_factory=dict[Verdict, list[tuple[Hidden, "Found | None"]]]
    )

    def add(self, hidden: Hidden, found: Found | None, verdict: Verdict) -> None:
        self.counts[verdict] += 1
        self.cases.setdefault(verdict, []).append((hidden, found))
        if found is not None:
            self.by_how.setdefault(found.how, Counter())[verdict] += 1

    @property
    def right(self) -> int:
        return self.counts["exact"] + self.counts["near"]

    @property
    def precision(self) -> float | None:
        """``None`` if nothing was inherited."""
        given = self.right + self.counts["wrong"]
        return self.right / given if given else None

    def recall(self, inheritable: int) -> float | None:
        """``None`` if nothing can be inherited."""
        return self.right / inheritable if inheritable else None


@dataclass(slots=True)
class Evaluation:
    """Both ways of inheriting, over the same hidden texts."""

    project: str
    hidden: int
    inheritable: int
    seconds: float
    """For all answers by lineage, the lineage included."""
    lineage: Score
    name_only: Score

    @property
    def methods(self) -> Mapping[str, Score]:
        return {"lineage": self.lineage, "name-only": self.name_only}

    def as_json(self) -> dict[str, Any]:
        return {
            "version": 1,
            "project": self.project,
            "hidden": self.hidden,
            "inheritable": self.inheritable,
            "seconds": round(self.seconds, 3),
            "methods": {
                name: {
                    **{verdict: score.counts[verdict] for verdict in VERDICTS},
                    "precision": score.precision,
                    "recall": score.recall(self.inheritable),
                    "by_how": {how: dict(counts) for how, counts in sorted(score.by_how.items())},
                    "wrong_cases": [
                        {"hidden": asdict(hidden), "inherited": asdict(found) if found else None}
                        for hidden, found in score.cases.get("wrong", ())
                    ],
                }
                for name, score in self.methods.items()
            },
        }


def evaluate(work: Work, *, judged: Iterable[tuple[str, str]] = ()) -> Evaluation:
    """Hide, inherit, compare. ``work`` is what :meth:`~osmosis_synthesize.project.Project.work` gives for no gaps."""
    index = work.index
    same = Judge(work.descriptions, judged)
    every = list(hidden_texts(work.descriptions))
    started = time.perf_counter()
    by_lineage = {hidden: _by_lineage(work, hidden) for hidden in every}
    seconds = time.perf_counter() - started
    evaluation = Evaluation(index.metadata.project_name, len(every), 0, seconds, Score(), Score())
    for hidden in every:
        can = _is_inheritable(hidden, work.descriptions, same)
        evaluation.inheritable += can
        by_name = _by_name(index, hidden, Others(work.descriptions, hidden))
        for score, found in ((evaluation.lineage, by_lineage[hidden]), (evaluation.name_only, by_name)):
            if found is not None:
                score.add(hidden, found, same(hidden.text, found.text) or "wrong")
            else:
                score.add(hidden, None, "missing" if can else "not inheritable")
    return evaluation


def hidden_texts(descriptions: Descriptions) -> Iterator[Hidden]:
    """The descriptions of columns of nodes that are built from others; of a model's versions the latest one's first."""
    index = descriptions.index
    seen: set[tuple[object, ...]] = set()
    for node in sorted(index.nodes.values(), key=lambda node: node.version != node.latest_version):
        if not index.parents(node.unique_id):
            continue
        for column in node.columns:
            at = place(descriptions, node.unique_id, column.name)
            text = descriptions.text(node.unique_id, column.name)
            if text is not None and at not in seen:
                seen.add(at)
                yield Hidden(node.unique_id, column.name, text)


def place(descriptions: Descriptions, unique_id: str, column: str) -> tuple[object, ...]:
    """Where a description stands: versions of a model may share it."""
    return descriptions.index.nodes[unique_id].package_name, *descriptions.owner(unique_id, column)


def _by_lineage(work: Work, hidden: Hidden) -> Found | None:
    texts = Others(work.descriptions, hidden)
    found = inherit(
        hidden.unique_id, hidden.column, graph=work.index, lineage=work.lineage, texts=texts, options=work.options
    )
    if not isinstance(found, Inheritable) or found.text is None:
        return None
    return Found(found.text, found.upstream.label, found.upstream.how)


def _by_name(index: Index, hidden: Hidden, texts: Others) -> Found | None:
    for ancestor in index.ancestors_by_distance(hidden.unique_id):
        known = texts.known(ancestor, hidden.column)
        if known is not None and known.text is not None:
            return Found(known.text, f"{short_name(ancestor)}.{hidden.column}", "same name")
    return None


def _is_inheritable(hidden: Hidden, descriptions: Descriptions, same: Judge) -> bool:
    texts = Others(descriptions, hidden)
    for ancestor in descriptions.index.ancestors_by_distance(hidden.unique_id):
        for column in descriptions.index.nodes[ancestor].columns:
            known = texts.known(ancestor, column.name)
            if known is not None and known.text is not None and same(hidden.text, known.text):
                return True
    return False


def table(evaluation: Evaluation) -> str:
    """The figures, for people."""
    heads = ("", *VERDICTS, "precision", "recall")
    rows = [
        (
            name,
            *(str(score.counts[verdict]) for verdict in VERDICTS),
            _share(score.precision),
            _share(score.recall(evaluation.inheritable)),
        )
        for name, score in evaluation.methods.items()
    ]
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    summary = (
        f"{evaluation.project}: {evaluation.hidden} descriptions hidden in turn, {evaluation.inheritable} of them "
        f"inheritable; {evaluation.seconds:.2f} s for all answers by lineage"
    )
    return "\n".join([summary, *lines])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _listing(evaluation: Evaluation, wanted: Collection[str]) -> Iterator[str]:
    for name, score in evaluation.methods.items():
        for verdict in VERDICTS:
            for hidden, found in score.cases.get(verdict, ()) if verdict in wanted else ():
                yield f"[{name}] {verdict}: {hidden.label}: {_one_line(hidden.text)}"
                if found is not None:
                    yield f"    {found.source} ({found.how}): {_one_line(found.text)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 2 if there is nothing to hide."""
    parser = argparse.ArgumentParser(description="Hide each human description in turn, inherit, and compare.")
    parser.add_argument("project_dir", type=Path)
    parser.add_argument("--manifest", type=Path, help="default: target/manifest.json")
    parser.add_argument("--judged", type=Path, help="JSON: pairs of texts that a person found to say the same")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures and the wrong cases here")
    parser.add_argument("--list", action="append", default=[], choices=VERDICTS, help="name these cases")
    options = parser.parse_args(argv)
    project = Project(options.project_dir, load_settings(options.project_dir), manifest=options.manifest)
    judged: list[tuple[str, str]] = json.loads(options.judged.read_text("utf-8")) if options.judged else []
    evaluation = evaluate(project.work(()), judged=judged)
    for line in _listing(evaluation, options.list):
        print(line)
    print(table(evaluation))
    if options.json is not None:
        options.json.write_text(json.dumps(evaluation.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0 if evaluation.hidden else 2


if __name__ == "__main__":
    sys.exit(main())
