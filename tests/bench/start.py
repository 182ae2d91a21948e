"""How long the program takes to start, and to say that nothing is missing, against a Python that does nothing.

    python tests/bench/start.py [--size small|full] [--turns 15] [--json PATH]

``check`` reads files of a project of 10,000 models of 20 columns: one with 20 of its models and one with 200 of them, in
which everything is described, and the first with one description taken away. Whole processes are timed, by the clock.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from generate_manifest import Size, write_project
from paired import arguments, compare, report


def process(*words: str | Path, expected: int = 0) -> Callable[[], None]:
    """A function that runs Python with these arguments."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        done = subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == expected, (done.stdout + done.stderr).decode()

    return run


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    options = arguments(__doc__, argv)
    models = 10_000 if options.size == "full" else 200
    nothing = process("-c", "pass")
    rows = [
        compare(
            name, run, "python -c pass", nothing, goal=Fraction(goal), turns=options.turns, clock=time.perf_counter
        )
        for name, goal, run in (
            ("import of the package", 2, process("-c", "import osmosis_synthesize")),
            ("--help", 5, process("-m", "osmosis_hooks.cli", "--help")),
        )
    ]
    with tempfile.TemporaryDirectory() as folder:
        for per_file, gap in ((20, False), (200, False), (20, True)):
            project = Path(folder) / f"of_{per_file}"
            if not project.exists():
                write_project(project, Size(models=models, documented=1.0, models_per_file=per_file))
            file = next(project.rglob("_models_0.yml"))
            if gap:
                text = file.read_text("utf-8")
                file.write_text(re.sub(r"description: The key.*", "description:", text, count=1), "utf-8")
            rows.append(
                compare(
                    f"check, {per_file} models, {'one gap' if gap else 'complete'}",
                    process("-m", "osmosis_hooks.cli", "check", file, expected=int(gap)),
                    "python -c pass",
                    nothing,
                    goal=None if gap else Fraction(6),
                    turns=options.turns,
                    clock=time.perf_counter,
                )
            )
        report(rows, options, models=models)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
