"""Whether ``check`` can say at a glance that nothing is missing: most commits bring files that are complete.

Whatever is out of the ordinary (a setting, a link, a project in a project, an option) is left to the command itself.
"""

# ruff: noqa: PTH100, PTH110, PTH118, PTH120, PTH123, PTH206 - pathlib takes longer to load than a schema file to read

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from osmosis_synthesize.document.glance import described_slots, is_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORBIDDEN: Final = frozenset({"dbt_packages", "target", ".git"})
_FOLDER: Final = re.compile(r"(?m)^(?:target-path|packages-install-path):(.*)$")
_FOLDER_NAME: Final = re.compile(r" +([\"']?)([\w-]+)\1 *\r?")
_PATHS_IN_JINJA: Final = re.compile(r"(?m)^[\w-]+-paths?:.*\{")


def all_described(arguments: Sequence[str]) -> bool:
    """Whether ``check`` with these arguments is of schema files of dbt projects, none with a gap; ``False`` where in doubt."""
    files = [argument for argument in arguments if argument != "--hook"]
    if not files or any(file.startswith("-") for file in files):
        return False
    if "DBT_TARGET_PATH" in os.environ or any(name.startswith("OSMOSIS_LLM_") for name in os.environ):
        return False
    ordinary: dict[str, bool] = {}
    for file in files:
        path = os.path.realpath(file)
        folder, name = os.path.split(path)
        if path != os.path.abspath(file) or not name.lower().endswith((".yml", ".yaml")) or name == "dbt_project.yml":
            return False
        if folder not in ordinary:
            ordinary[folder] = _is_ordinary(folder)
        text = _text(path) if ordinary[folder] else None
        if text is None or described_slots(text) is None:
            return False
    return True


def _is_ordinary(folder: str) -> bool:
    """Whether a folder is one of a project's own, and the project one that sets nothing of ours."""
    roots = [parent for parent in _upward(folder) if os.path.exists(os.path.join(parent, "dbt_project.yml"))]
    if len(roots) != 1 or os.path.exists(os.path.join(roots[0], "vars.yml")):
        return False
    text = _text(os.path.join(roots[0], "dbt_project.yml"))
    if text is None or "osmosis" in text.lower() or _PATHS_IN_JINJA.search(text) is not None or not is_plain(text):
        return False
    forbidden = set(_FORBIDDEN)
    for value in _FOLDER.findall(text):
        match = _FOLDER_NAME.fullmatch(value)
        if match is None:
            return False
        forbidden.add(match[2].casefold())
    return forbidden.isdisjoint(os.path.relpath(folder, roots[0]).casefold().split(os.sep))


def _upward(folder: str) -> list[str]:
    """A folder, and those that it lies in."""
    found = [folder]
    while (parent := os.path.dirname(found[-1])) != found[-1]:
        found.append(parent)
    return found


def _text(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
