"""How fast lineage is, against sqlglot's own ``lineage()`` called for each column, and whether both agree.

    python tests/bench/lineage.py [--models 1000] [--columns 30] [--compared 10] [--rounds 5] [--json PATH]

generates a project (see ``generate_manifest.py``), traces all its models on one core, on all cores and from the cache, and
lets sqlglot answer for every column of a few of them, in turns with ours. Times are the process's own, so that a busy
machine matters little, except on all cores: there both what a clock says and what all processes took together are told,
with the start of the processes in both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlglot.lineage
from sqlglot import exp

sys.path.insert(0, str(Path(__file__).parent))
from generate_manifest import Size, write_project

from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.lineage import Lineages, trace
from osmosis_synthesize.manifest.lineage.relations import dialect_of
from osmosis_synthesize.manifest.lineage.workers import useful_workers
from osmosis_synthesize.manifest.load import load
from osmosis_synthesize.manifest.model import Node, NodeLineage

PATIENCE = 60.0
"""Seconds for one node, so that no answer hangs on what else the machine does."""


def trace_everything(index: Index) -> tuple[dict[str, NodeLineage], float]:
    """All lineages, and the seconds it took."""
    started = time.process_time()
    lineages = dict(Lineages(index, time_limit=PATIENCE))
    return lineages, time.process_time() - started


def trace_on_all_cores(index: Index, cache: Path | None = None) -> tuple[dict[str, NodeLineage], float, float]:
    """All lineages, and the seconds it took by the clock and of all processes together."""
    started, worked = time.perf_counter(), _worked()
    lineages = Lineages(index, cache=cache, time_limit=PATIENCE)
    lineages.trace(index.nodes)
    found = dict(lineages)
    return found, time.perf_counter() - started, _worked() - worked


def _worked() -> float:
    """Seconds that this process and those it has ended have worked."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def trace_one(index: Index, node: Node, columns: Mapping[str, Sequence[str]]) -> tuple[NodeLineage, float]:
    """One lineage, and the seconds it took."""
    dialect = dialect_of(index.metadata.adapter_type)
    started = time.process_time()
    lineage = trace(node, dialect=dialect, parents=[index.nodes[one] for one in node.depends_on], schema=columns)
    return lineage, time.process_time() - started


def ask_sqlglot(index: Index, node: Node, tables: dict[str, Any], names: Sequence[str]) -> tuple[list[Any], float]:
    """The table columns each column is made of as sqlglot says, and the seconds it took."""
    dialect = dialect_of(index.metadata.adapter_type)
    started = time.process_time()
    roots = [sqlglot.lineage.lineage(name, node.code, schema=tables, dialect=dialect) for name in names]
    seconds = time.process_time() - started
    found: list[Any] = []
    for root in roots:
        ends = [end for end in root.walk() if not end.downstream and isinstance(end.expression, exp.Table)]
        found.append({(end.expression.name, end.name.rsplit(".", 1)[-1]) for end in ends})
    return found, seconds


def parents_as_sqlglot_wants_them(index: Index, node: Node, columns: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Database → schema → table → column → type, for no more tables than the query reads: each call goes through all."""
    tables: dict[str, Any] = {}
    for parent in (index.nodes[unique_id] for unique_id in node.depends_on):
        schema = tables.setdefault(parent.database, {}).setdefault(parent.schema, {})
        schema[parent.alias] = dict.fromkeys(columns[parent.unique_id], "text")
    return tables


def measure(models: int, columns: int, compared: int, rounds: int) -> dict[str, Any]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        size = Size(models=models, columns=columns, compiled=True, tests=0, macros=0)
        index = load(write_project(Path(folder), size, files=False))
        trace_everything(index)  # the first run imports sqlglot
        runs = [trace_everything(index) for _ in range(rounds)]
        side_by_side = [trace_on_all_cores(index) for _ in range(rounds)]
        cache = Path(folder) / "lineage.sqlite3"
        trace_on_all_cores(index, cache)
        cached = [trace_on_all_cores(index, cache) for _ in range(rounds)]
        lineages = runs[0][0]
        assert all(found == lineages for found, *_ in (*runs, *side_by_side, *cached))
        known = {node.unique_id: [column.name for column in node.columns] for node in index.nodes.values()}
        traced = [node for node in index.nodes.values() if node.resource_type == "model"]
        ratios: list[float] = []
        same = different = 0
        for node in traced[:: max(1, len(traced) // compared)][:compared]:
            ours, our_seconds = trace_one(index, node, known)
            tables = parents_as_sqlglot_wants_them(index, node, known)
            theirs, their_seconds = ask_sqlglot(index, node, tables, [column.name for column in ours.columns])
            ratios.append(their_seconds / our_seconds)
            for column, sources in zip(ours.columns, theirs, strict=True):
                equal = {(index.nodes[unique_id].alias, name) for unique_id, name in column.sources} == sources
                same, different = same + equal, different + (not equal)
    return {
        "models": len(traced),
        "columns": sum(len(lineages[node.unique_id].columns) for node in traced),
        "without_lineage": sum(lineages[node.unique_id].problem is not None for node in traced),
        "models_per_second_on_one_core": round(statistics.median(len(traced) / seconds for _, seconds in runs)),
        "cores": useful_workers(),
        "models_per_second_on_all_cores": round(statistics.median(len(traced) / wall for _, wall, _ in side_by_side)),
        "models_per_second_of_all_processes_together": round(
            statistics.median(len(traced) / worked for *_, worked in side_by_side)
        ),
        "models_per_second_from_the_cache": round(statistics.median(len(traced) / worked for *_, worked in cached)),
        "times_faster_than_sqlglot": round(statistics.median(ratios), 1),
        "times_faster_than_sqlglot_worst_and_best": [round(min(ratios), 1), round(max(ratios), 1)],
        "same_answers": same,
        "different_answers": different,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--compared", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    figures = measure(options.models, options.columns, options.compared, options.rounds)
    width = max(map(len, figures))
    for name, figure in figures.items():
        print(f"{name.replace('_', ' '):<{width}}  {figure}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
