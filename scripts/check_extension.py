"""Everything that has to hold of the VS Code extension, in one command; `scripts/check.py install` comes first.

    python3 scripts/check_extension.py            all of it
    python3 scripts/check_extension.py unit       one step: install, lint, types, unit, package, editor
    python3 scripts/check_extension.py editor --repeat 20

`install` needs Node 20.19 or newer with npm. `editor` runs the packed extension in a real VS Code, which it installs from npm
packages into vscode-extension/.editor, in Chromium, which it installs from Debian's packages where there is none.
$OSMOSIS_TEST_EDITOR chooses another version of the former: 4.139.1, for one. The steps stop at the first failure.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTENSION = ROOT / "vscode-extension"


def main() -> int:
    """Run the steps that were asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", choices=[[], *STEPS], metavar="STEP", help=", ".join(STEPS))
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="do all of it N times, until something fails"
    )
    options = parser.parse_args()
    if shutil.which("npm") is None:
        print("Node 20.19 or newer with npm is needed.")
        return 1
    for name in (options.steps or [*STEPS]) * options.repeat:
        print(f"\n=== {name}", flush=True)
        started = time.monotonic()
        try:
            STEPS[name]()
        except subprocess.CalledProcessError as error:
            print(f"=== {name} failed: {' '.join(map(str, error.cmd))}", flush=True)
            return 1
        print(f"=== {name}: {time.monotonic() - started:.0f} s", flush=True)
    return 0


def install() -> None:
    """What package-lock.json names, no more and no less; nothing where that is there already."""
    lock = hashlib.sha256((EXTENSION / "package-lock.json").read_bytes()).hexdigest()
    done = EXTENSION / "node_modules" / ".installed"
    if not done.exists() or done.read_text() != lock:
        _npm("ci")
        done.write_text(lock)


def lint() -> None:
    """ESLint, strict and with types."""
    _npm("run", "--silent", "lint")


def types() -> None:
    """The TypeScript compiler, strict."""
    _npm("run", "--silent", "types")


def unit() -> None:
    """What can be tested outside of an editor, most of it against the server's own code."""
    _npm("run", "--silent", "build")
    _npm("run", "--silent", "test:unit")


def package() -> None:
    """The .vsix, with the server's wheel in it."""
    _npm("run", "--silent", "package")


def editor() -> None:
    """The packed extension in a real editor."""
    _npm("run", "--silent", "test:editor")


STEPS: dict[str, Callable[[], None]] = {
    "install": install,
    "lint": lint,
    "types": types,
    "unit": unit,
    "package": package,
    "editor": editor,
}


def _npm(*arguments: str) -> None:
    npm = shutil.which("npm")
    assert npm is not None
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([npm, *arguments], cwd=EXTENSION, env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main())
