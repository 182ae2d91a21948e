"""Whether ``check`` can say at a glance that nothing is missing: most commits bring files that are complete.

Whatever is out of the ordinary (a setting, a link, a project in a project, an option) is left to the command itself.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Final

from osmosis_synthesize.document.glance import described_slots, is_plain

_ORDINARY: Final = {"command": "check", "format": "text", "hook": True}
"""Options that change nothing, with the value that they have then; no other may be given."""

_FORBIDDEN: Final = frozenset({"dbt_packages", "target", ".git"})
_FOLDER: Final = re.compile(r"(?m)^(?:target-path|packages-install-path):(.*)$")
_FOLDER_NAME: Final = re.compile(r" +([\"']?)([\w-]+)\1 *\r?")
_PATHS_IN_JINJA: Final = re.compile(r"(?m)^[\w-]+-paths?:.*\{")


def all_described(options: argparse.Namespace) -> bool:
    """Whether all files that are to be checked are schema files of a dbt project without a gap; ``False`` where in doubt."""
    given = {name: value for name, value in vars(options).items() if value not in (None, False, [])}
    files: list[Path] = given.pop("files", [])
    if not files or any(_ORDINARY.get(name) != value for name, value in given.items()):
        return False
    if "DBT_TARGET_PATH" in os.environ or any(name.startswith("OSMOSIS_LLM_") for name in os.environ):
        return False
    ordinary: dict[Path, bool] = {}
    for file in files:
        path = Path(os.path.realpath(file))
        if path != file.absolute() or path.suffix.lower() not in {".yml", ".yaml"} or path.name == "dbt_project.yml":
            return False
        if path.parent not in ordinary:
            ordinary[path.parent] = _is_ordinary(path.parent)
        text = _text(path) if ordinary[path.parent] else None
        if text is None or described_slots(text) is None:
            return False
    return True


def _is_ordinary(folder: Path) -> bool:
    """Whether a folder is one of a project's own, and the project one that sets nothing of ours."""
    roots = [parent for parent in (folder, *folder.parents) if (parent / "dbt_project.yml").exists()]
    if len(roots) != 1 or (roots[0] / "vars.yml").exists():
        return False
    text = _text(roots[0] / "dbt_project.yml")
    if text is None or "osmosis" in text.lower() or _PATHS_IN_JINJA.search(text) is not None or not is_plain(text):
        return False
    forbidden = set(_FORBIDDEN)
    for value in _FOLDER.findall(text):
        match = _FOLDER_NAME.fullmatch(value)
        if match is None:
            return False
        forbidden.add(match[2].casefold())
    return forbidden.isdisjoint(part.casefold() for part in folder.relative_to(roots[0]).parts)


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
