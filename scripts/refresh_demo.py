"""Build the demo project with dbt and keep its artifacts, ``target/manifest.json`` and ``target/catalog.json``.

    python scripts/refresh_demo.py [--dbt PATH] [--check]

dbt is the one given, else the one that ``OSMOSIS_TEST_DBT`` names, else the ``dbt`` on the PATH. It works in a
temporary copy (``dbt build``, then ``dbt docs generate``, so that the manifest holds compiled code), and nothing is
written unless the outcome differs from the committed artifacts.

Exit codes: 0 the artifacts are current (or, without ``--check``, were brought up to date); 1 ``--check`` found that
they are not; 2 dbt is not there, failed, or is another minor version than the one that wrote them (then refresh
without ``--check``).

The artifacts are dbt's own, but for what would differ from run to run or tell of a person or a machine
(:func:`normalise`): times are 0 or :data:`EPOCH`, ids of invocations and users are null, so is a seed's
``root_path``, and ``env`` is empty.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

DEMO: Final = Path(__file__).resolve().parent.parent / "server" / "osmosis_synthesize" / "demo"
ARTIFACTS: Final = ("manifest.json", "catalog.json")
EPOCH: Final = "2000-01-01T00:00:00Z"
PACKAGE: Final = "quayside"

_METADATA: Final[dict[str, Any]] = {
    "generated_at": EPOCH,
    "invocation_started_at": EPOCH,
    "run_started_at": EPOCH,
    "invocation_id": None,
    "user_id": None,
    "send_anonymous_usage_stats": None,
    "env": {},
}


class RefreshError(Exception):
    """dbt is not there, or failed. The message says which, with the end of dbt's own words."""


def find_dbt(given: str | None = None) -> str:
    """The dbt executable: ``given``, else ``OSMOSIS_TEST_DBT``, else the one on the PATH.

    Raises:
        RefreshError: there is none.
    """
    wanted = given or os.environ.get("OSMOSIS_TEST_DBT") or "dbt"
    found = shutil.which(wanted)
    if found is None:
        raise RefreshError(f"no dbt at {wanted!r}; install dbt-core and dbt-duckdb, or name one with --dbt")
    return str(Path(found).absolute())


def run_dbt(dbt: str, project: Path, *arguments: str) -> str:
    """Run dbt in ``project``, free of the caller's own dbt settings and without telemetry; its output.

    Raises:
        RefreshError: dbt ended with an exit code other than 0.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    environment |= {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [dbt, *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise RefreshError(f"dbt {' '.join(arguments)} ended with {done.returncode}:\n{tail}")
    return done.stdout


def copy_demo(folder: Path) -> Path:
    """A copy of the demo's sources, without artifacts, at ``folder``."""
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("target", "logs", ".user.yml"))
    return folder


def build(dbt: str, project: Path) -> None:
    """Build and test everything in ``project``, then let dbt write the manifest and the catalog."""
    run_dbt(dbt, project, "build")
    run_dbt(dbt, project, "docs", "generate")


def normalise(artifact: dict[str, Any]) -> dict[str, Any]:
    """``artifact``, changed in place: without what differs from run to run or tells of a person or a machine.

    Only keys that dbt wrote are touched; none is added or removed.
    """
    metadata = artifact["metadata"]
    metadata.update((key, value) for key, value in _METADATA.items() if key in metadata)
    for resource in _resources(artifact):
        if "created_at" in resource:
            resource["created_at"] = 0.0
        if "root_path" in resource:
            resource["root_path"] = None
    return artifact


def _resources(artifact: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for section in artifact.values():
        for resource in _mapping(section).values():
            yield _mapping(resource)


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def load(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object."""
    artifact: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return artifact


def differences(committed: dict[str, Any], fresh: dict[str, Any]) -> list[str]:
    """Where two normalised artifacts differ, as ``section: key``.

    What only a patch release of dbt decides, its own version, macros and docs, counts for nothing.
    """
    old, new = _ours(committed), _ours(fresh)
    return [
        f"{section}: {key}"
        for section in sorted(old.keys() | new.keys())
        for key in _differing_keys(old.get(section), new.get(section))
    ]


def _ours(artifact: dict[str, Any]) -> dict[str, Any]:
    ours = dict(artifact)
    ours["metadata"] = {key: value for key, value in artifact["metadata"].items() if key != "dbt_version"}
    for section in ("macros", "docs"):
        if section in artifact:
            ours[section] = {
                unique_id: resource
                for unique_id, resource in artifact[section].items()
                if resource["package_name"] == PACKAGE
            }
    return ours


def _differing_keys(old: Any, new: Any) -> list[str]:
    before, after = _mapping(old), _mapping(new)
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return keys if keys or old == new else ["(all)"]


def minor_version(manifest: dict[str, Any]) -> str:
    """``1.11`` of a manifest that dbt 1.11.16 wrote."""
    return ".".join(str(manifest["metadata"]["dbt_version"]).split(".")[:2])


def main(argv: list[str] | None = None) -> int:
    """See the module's own words."""
    parser = argparse.ArgumentParser(description="Build the demo with dbt and keep its artifacts.")
    parser.add_argument("--dbt", metavar="PATH", help="the dbt to use")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the artifacts are not current")
    options = parser.parse_args(argv)
    try:
        dbt = find_dbt(options.dbt)
        with tempfile.TemporaryDirectory() as scratch:
            project = copy_demo(Path(scratch) / "demo")
            build(dbt, project)
            fresh = {name: normalise(load(project / "target" / name)) for name in ARTIFACTS}
    except RefreshError as error:
        print(error, file=sys.stderr)
        return 2
    return _check(fresh) if options.check else _write(fresh)


def _check(fresh: dict[str, dict[str, Any]]) -> int:
    committed = {name: load(DEMO / "target" / name) for name in ARTIFACTS}
    theirs, ours = minor_version(committed["manifest.json"]), minor_version(fresh["manifest.json"])
    if theirs != ours:
        print(f"the committed artifacts are of dbt {theirs}, this is dbt {ours}", file=sys.stderr)
        return 2
    stale = {name: differences(committed[name], fresh[name]) for name in ARTIFACTS}
    for name, places in stale.items():
        for place in places:
            print(f"{name} is not current: {place}")
    return 1 if any(stale.values()) else 0


def _write(fresh: dict[str, dict[str, Any]]) -> int:
    for name, artifact in fresh.items():
        path = DEMO / "target" / name
        if (
            path.exists()
            and minor_version(load(path)) == minor_version(artifact)
            and not differences(load(path), artifact)
        ):
            print(f"{name} is current")
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(artifact, ensure_ascii=False) + "\n", "utf-8", newline="\n")
        print(f"{name} written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
