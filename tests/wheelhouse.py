"""Wheels of what is installed here, so that a real pip can make a real environment without any network.

A wheel is what its distribution's RECORD lists; so is what lies in site-packages after it was installed. Nothing is
downloaded, and the versions are those that the tests run with.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_OF_THE_INSTALLATION = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}


def make_wheelhouse(folder: Path, requirements: Iterable[str]) -> Path:
    """Put the wheels of these requirements, and of all that they need, into a folder."""
    for found in _closure(requirements):
        _pack(found, folder)
    return folder


def _closure(requirements: Iterable[str]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    todo = [Requirement(text) for text in requirements]
    seen: set[tuple[str, str]] = set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found.setdefault(name, distribution(name))
            needs = map(Requirement, found[name].requires or ())
            todo += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return list(found.values())


def _pack(found: Distribution, folder: Path) -> None:
    tag = next(line for line in (found.read_text("WHEEL") or "").splitlines() if line.startswith("Tag:"))
    name = canonicalize_name(found.name).replace("-", "_")
    info = next(file.parts[0] for file in found.files or () if file.name == "METADATA")
    record: list[str] = []
    with zipfile.ZipFile(folder / f"{name}-{found.version}-{tag.split()[1]}.whl", "w") as wheel:
        for file in found.files or ():
            # Programs are made anew from the entry points; what Python has compiled, it compiles again.
            ours = ".." in file.parts or "__pycache__" in file.parts
            if not ours and not (file.parts[0] == info and file.name in _OF_THE_INSTALLATION):
                wheel.write(str(file.locate()), file.as_posix())
                record.append(f"{file.as_posix()},,")
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,\n"]))
