"""How fast a large manifest is loaded, cold and from its snapshot, against one typed decode of the same bytes.

    python tests/bench/manifest.py [--size small|full] [--turns 7] [--json PATH]

The manifest has 10,000 models of 20 columns each: 88 MB. What it takes in memory is measured in processes of their own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))
from generate_manifest import Size, write_project
from paired import arguments, compare, report

from osmosis_synthesize.manifest import load, snapshot


class _Column(msgspec.Struct):
    name: str
    description: str | None = None
    data_type: str | None = None
    quote: bool | None = None
    tags: list[str] = []
    meta: dict[str, Any] = {}


class _DependsOn(msgspec.Struct):
    nodes: list[str] = []
    macros: list[str] = []


class _Node(msgspec.Struct):
    unique_id: str
    name: str
    resource_type: str
    package_name: str
    original_file_path: str
    path: str = ""
    description: str | None = None
    columns: dict[str, _Column] = {}
    depends_on: _DependsOn | None = None
    raw_code: str | None = None
    compiled_code: str | None = None
    patch_path: str | None = None
    source_name: str | None = None
    relation_name: str | None = None
    tags: list[str] = []
    meta: dict[str, Any] = {}


class _Manifest(msgspec.Struct):
    """What a straightforward reader would decode: every node, with its columns and its SQL."""

    nodes: dict[str, _Node]
    sources: dict[str, _Node]


_MEMORY = """
import sys
from pathlib import Path
{imports}
index = {loaded}
assert index is None or len(index.nodes)
# Not getrusage: what that says begins with the size of the process that started this one.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak(imports: str, loaded: str, *paths: Path) -> int:
    """The most memory, in KiB, that a process takes in which ``loaded`` is evaluated."""
    program = _MEMORY.format(imports=imports, loaded=loaded)
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    return int(done.stdout)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures, and write them as JSON where asked to."""
    options = arguments(__doc__, argv)
    size = Size() if options.size == "full" else Size(models=300)
    with tempfile.TemporaryDirectory() as folder:
        path = write_project(Path(folder), size, files=False)
        kept = Path(folder) / "snapshots"
        whole: Callable[[bytes], _Manifest] = msgspec.json.Decoder(_Manifest).decode

        def typed() -> None:
            assert len(whole(path.read_bytes()).nodes) >= size.models

        def cold() -> None:
            assert len(load.load(path).nodes) >= size.models

        def warm() -> None:
            assert len(snapshot.load(path, folder=kept).nodes) >= size.models

        rows = [
            compare("cold", cold, "a typed decode", typed, goal=Fraction(3, 2), turns=options.turns),
            compare("from the snapshot", warm, "a typed decode", typed, goal=Fraction(1, 10), turns=options.turns),
        ]
        bare = peak("", "None")
        arguments_of = "Path(sys.argv[1])"
        of_cold = peak("from osmosis_synthesize.manifest.load import load", f"load({arguments_of})", path) - bare
        of_warm = (
            peak(
                "from osmosis_synthesize.manifest.snapshot import load",
                f"load({arguments_of}, folder=Path(sys.argv[2]))",
                path,
                kept,
            )
            - bare
        )
        report(
            rows,
            options,
            models=size.models,
            megabytes=round(path.stat().st_size / 1e6, 1),
            kept_megabytes=sum(file.stat().st_size for file in kept.iterdir()) // 1_000_000 if kept.exists() else 0,
            memory_mib_cold=of_cold // 1024,
            memory_mib_snapshot=of_warm // 1024,
        )
    print(
        f"memory above the bare interpreter: {of_cold / 1024:.0f} MiB cold, {of_warm / 1024:.0f} MiB from the snapshot"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
