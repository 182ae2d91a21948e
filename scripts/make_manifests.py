"""Make ``tests/data/manifests/dbt-X.Y.json``: small manifests of the demo, each written by that version of dbt.

    python scripts/make_manifests.py [--envs DIR] [VERSION]...

Each version is installed into a virtual environment of its own, ``DIR/X.Y`` (``--envs``, by default a temporary
folder), from the requirements in :data:`VERSIONS`; a second run with the same ``DIR`` installs nothing. It needs the
project's own environment (for ruamel.yaml) and a Python that each of these dbt versions supports: 3.10 or 3.11.

What is done to the demo and to the manifest, and nothing else:

- The copy is put into words that the version knows (:func:`translate`).
- ``dbt docs generate`` over a built project writes the manifest, so that it holds compiled code. dbt 2.x only parses.
- :data:`KEPT` and what they are built from are kept, with the tests of :data:`TESTED`, and the project's own macros
  and doc blocks. What is kept is as dbt wrote it, but for ``refresh_demo.normalise``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from refresh_demo import PACKAGE, build, copy_demo, load, normalise, run_dbt
from ruamel.yaml import YAML

MANIFESTS: Final = Path(__file__).resolve().parent.parent / "tests" / "data" / "manifests"


class Version(NamedTuple):
    """What to install for a version of dbt, and what it does not know yet."""

    requirements: tuple[str, ...]
    arguments: bool = True
    """``arguments:`` below a generic test (1.10.5)."""
    data_tests: bool = True
    """``data_tests:`` and ``unit_tests:`` (1.8)."""
    builds: bool = True


# dbt-core 1.5 to 1.7 import pkg_resources without asking for it.
_PKG_RESOURCES: Final = "setuptools<70"

VERSIONS: Final = {
    "1.5": Version(("dbt-core==1.5.12", "dbt-duckdb==1.5.2", _PKG_RESOURCES), arguments=False, data_tests=False),
    "1.6": Version(("dbt-core==1.6.19", "dbt-duckdb==1.6.2", _PKG_RESOURCES), arguments=False, data_tests=False),
    "1.7": Version(("dbt-core==1.7.20", "dbt-duckdb==1.7.5", _PKG_RESOURCES), arguments=False, data_tests=False),
    "1.8": Version(("dbt-core==1.8.10", "dbt-duckdb==1.8.4"), arguments=False),
    "1.9": Version(("dbt-core==1.9.11", "dbt-duckdb==1.9.6"), arguments=False),
    "1.10": Version(("dbt-core==1.10.23", "dbt-duckdb==1.10.1")),
    "1.11": Version(("dbt-core==1.11.16", "dbt-duckdb==1.11.1")),
    # Later parsers, and so later releases of 1.12, download a binary while they are built.
    "1.12": Version(("dbt-core==1.12.0", "dbt-core-experimental-parser==2.0.0a4", "dbt-duckdb==1.11.1")),
    "2.0": Version(("dbt-core==2.0.0a4",), builds=False),
}

KEPT: Final = (
    "model.quayside.dim_bikes.v1",
    "model.quayside.dim_bikes.v2",
    "snapshot.quayside.riders_history",
    "operation.quayside.quayside-on-run-start-0",
)

TESTED: Final = frozenset(
    {
        "source.quayside.landing.bikes",
        "seed.quayside.bike_models",
        "model.quayside.stg_bikes",
        "model.quayside.dim_bikes.v2",
    }
)


def install(version: Version, folder: Path) -> str:
    """The dbt of ``version``, installed into ``folder`` unless it is there already."""
    dbt = folder / "bin" / "dbt"
    if not dbt.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *version.requirements], check=True)
    return str(dbt)


def translate(project: Path, version: Version) -> None:
    """Put the schema files in ``project`` into words that ``version`` knows."""
    if version.arguments and version.data_tests:
        return
    yaml: Any = YAML(typ="safe", pure=True)
    for path in (*project.glob("*/**/*.yml"), *project.glob("*/**/*.yaml")):
        yaml.dump(_translated(yaml.load(path), version), path)


def _translated(value: Any, version: Version) -> Any:
    if isinstance(value, list):
        return [_translated(item, version) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    entry = cast("dict[str, Any]", value)
    words: dict[str, Any] = {key: _translated(item, version) for key, item in entry.items()}
    if not version.arguments and "arguments" in words:
        words |= words.pop("arguments")
    if not version.data_tests:
        words.pop("unit_tests", None)
        words = {"tests" if key == "data_tests" else key: item for key, item in words.items()}
    return words


def reduce(manifest: dict[str, Any]) -> dict[str, Any]:
    """``manifest`` with :data:`KEPT`, what they are built from, and :data:`TESTED`'s tests; no macros or docs of dbt."""
    nodes: dict[str, Any] = manifest["nodes"]
    kept: set[str] = set()
    waiting = [unique_id for unique_id in KEPT if unique_id in nodes]
    while waiting:
        unique_id = waiting.pop()
        if unique_id not in kept:
            kept.add(unique_id)
            waiting += _parents(nodes.get(unique_id, {}))
    tests = {key: node for key, node in nodes.items() if node["resource_type"] == "test"}
    kept |= {key for key, test in tests.items() if TESTED.issuperset(_parents(test)) and _parents(test)}
    kept |= {
        unique_id
        for section in ("macros", "docs")
        for unique_id, resource in manifest[section].items()
        if resource["package_name"] == PACKAGE
    }
    kept |= manifest.get("unit_tests", {}).keys()  # of a model that is kept
    small = dict(manifest)
    for section in ("nodes", "sources", "macros", "docs", "parent_map", "child_map"):
        if isinstance(manifest.get(section), dict):
            small[section] = {key: value for key, value in manifest[section].items() if key in kept}
    for section in ("parent_map", "child_map"):
        if isinstance(small.get(section), dict):
            small[section] = {
                key: [unique_id for unique_id in value if unique_id in kept] for key, value in small[section].items()
            }
    return small


def _parents(node: dict[str, Any]) -> list[str]:
    parents: list[str] = node.get("depends_on", {}).get("nodes", [])
    return parents


def make(name: str, dbt: str, project: Path) -> None:
    """Let ``dbt`` write a manifest of the demo in ``project`` and keep the small form of it."""
    version = VERSIONS[name]
    translate(copy_demo(project), version)
    if version.builds:
        build(dbt, project)
    else:
        run_dbt(dbt, project, "parse")
    manifest = normalise(reduce(load(project / "target" / "manifest.json")))
    MANIFESTS.mkdir(parents=True, exist_ok=True)
    path = MANIFESTS / f"dbt-{name}.json"
    path.write_text(json.dumps(manifest, ensure_ascii=False) + "\n", "utf-8", newline="\n")
    print(f"{path.name}: dbt {manifest['metadata']['dbt_version']}, {path.stat().st_size:,} bytes")


def main(argv: list[str] | None = None) -> int:
    """See the module's own words."""
    parser = argparse.ArgumentParser(description="Make the small manifests of many dbt versions.")
    parser.add_argument("--envs", type=Path, metavar="DIR", help="where the virtual environments are, or shall be")
    parser.add_argument("versions", nargs="*", metavar="VERSION", default=list(VERSIONS), help=", ".join(VERSIONS))
    options = parser.parse_args(argv)
    if unknown := set(options.versions) - VERSIONS.keys():
        parser.error(f"unknown version: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.versions:
            dbt = install(VERSIONS[name], (options.envs or Path(scratch)).absolute() / name)
            make(name, dbt, Path(scratch) / f"demo-{name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
