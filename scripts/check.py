"""Everything that has to hold, in one command: installs what it needs into .venv and .venv-dbt, then checks.

    python3 scripts/check.py            all of it
    python3 scripts/check.py lint       one step: install, lint, types, imports, tests, wheel

The steps stop at the first failure. Only the standard library is used, so that any Python from 3.11 on can start it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = "Scripts" if os.name == "nt" else "bin"
TOOLS = ROOT / ".venv" / BIN
DBT = ROOT / ".venv-dbt" / BIN


def main() -> int:
    """Run the steps that were asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", choices=[[], *STEPS], metavar="STEP", help=", ".join(STEPS))
    for name in parser.parse_args().steps or STEPS:
        print(f"\n=== {name}", flush=True)
        try:
            STEPS[name]()
        except subprocess.CalledProcessError as error:
            print(f"=== {name} failed: {' '.join(map(str, error.cmd))}", flush=True)
            return 1
    return 0


def install() -> None:
    """Two environments: ours, and one with dbt and dbt-osmosis, on which no release of ours depends."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this may have an older one
        raise SystemExit("Python 3.11 or newer is needed.")
    _environment(".venv", "dev.txt")
    _run(TOOLS / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    _environment(".venv-dbt", "dbt.txt")


def lint() -> None:
    """Style, formatting, and the rules that no formatter knows."""
    _run(TOOLS / "ruff", "check", ".")
    _run(TOOLS / "ruff", "format", "--check", ".")


def types() -> None:
    """Pyright, strict."""
    _run(TOOLS / "pyright")


def imports() -> None:
    """Who may import whom."""
    _run(TOOLS / "lint-imports", "--no-cache")


def tests() -> None:
    """All tests, on all cores, with branch coverage."""
    environment = {
        **os.environ,
        "OSMOSIS_TEST_DBT": str(DBT / "dbt"),
        "OSMOSIS_TEST_DBT_OSMOSIS": str(DBT / "python"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling the SDKs anew in each process takes minutes
    _run(
        *(
            TOOLS / "python",
            "-m",
            "pytest",
            "--numprocesses=auto",
            "--dist=loadgroup",
            "--cov",
            "--cov-report=term:skip-covered",
            "--durations=10",
        ),
        environment=environment,
    )


def wheel() -> None:
    """Build the wheel and do the main job with it, in a clean environment and out of reach of the source tree."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _run(TOOLS / "python", "-m", "build", "--wheel", "--no-isolation", "--outdir", here / "dist", ROOT)
        built = next((here / "dist").glob("*.whl"))
        _look_into(built)
        venv.create(here / "clean", with_pip=True, symlinks=os.name != "nt")
        python = here / "clean" / BIN / "python"
        constraints = ROOT / "requirements" / "dev.txt"
        _run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, built)
        program = here / "clean" / BIN / "osmosis-synthesize"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "OSMOSIS_CACHE_DIR": str(here / "cache"),
        }
        for arguments in (["--version"], ["demo", "shop"], ["demo", "shop"]):
            _run(program, *arguments, folder=here, environment=environment)
        listed = subprocess.run(
            [program, "check", "--all", "--project-dir", "shop"],
            cwd=here,
            env=environment,
            check=False,
            stdout=subprocess.DEVNULL,
        )
        if listed.returncode not in {0, 1}:
            raise subprocess.CalledProcessError(listed.returncode, listed.args)


STEPS: dict[str, Callable[[], None]] = {
    "install": install,
    "lint": lint,
    "types": types,
    "imports": imports,
    "tests": tests,
    "wheel": wheel,
}


def _look_into(wheel: Path) -> None:
    """The wheel brings its two packages and all their data, and nothing that is called ``server`` or ``hooks``."""
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/", 1)[0] for name in names if ".dist-info/" not in name}
    if top != {"osmosis_synthesize", "osmosis_hooks"}:
        raise SystemExit(f"The wheel has {sorted(top)} at its top.")
    data = (
        "py.typed",
        "report.schema.json",
        "demo/dbt_project.yml",
        "demo/target/manifest.json",
        "demo/target/catalog.json",
    )
    missing = [name for name in data if f"osmosis_synthesize/{name}" not in names]
    if missing:
        raise SystemExit(f"The wheel lacks {', '.join(missing)}.")


def _environment(name: str, requirements: str) -> None:
    folder = ROOT / name
    if not (folder / BIN / "python").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    _run(
        folder / BIN / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--requirement",
        ROOT / "requirements" / requirements,
    )


def _run(*command: str | Path, folder: Path = ROOT, environment: dict[str, str] | None = None) -> None:
    words: Sequence[str] = [str(word) for word in command]
    subprocess.run(words, cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    raise SystemExit(main())
