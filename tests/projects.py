"""Copies of the demo project for tests to work on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

import osmosis_synthesize

_FOLDED = re.compile(r"^( *)description: >-\n((?:\1 +\S[^\n]*\n)+)", re.MULTILINE)
DEMO = Path(osmosis_synthesize.__file__).parent / "demo"


def copy_demo(folder: Path) -> Path:
    """A fresh copy of the demo in ``folder``."""
    return Path(shutil.copytree(DEMO, folder, dirs_exist_ok=True))


def schema_files(project: Path) -> list[Path]:
    """The schema files of a copy."""
    folders = ("models", "seeds", "snapshots")
    return sorted(path for name in folders for path in (project / name).rglob("*.y*ml"))


def strip_descriptions(project: Path) -> int:
    """Remove every description from a copy, and nothing else; says how many there were."""
    return sum(_strip(path) for path in schema_files(project))


def texts(project: Path) -> dict[str, str]:
    """Every schema file's text by its path in the project."""
    return {path.relative_to(project).as_posix(): path.read_text("utf-8") for path in schema_files(project)}


def unfolded(text: str) -> str:
    """A schema file with each folded text on one line: how wide one is folded depends on what the file had before."""
    return _FOLDED.sub(lambda match: f"{match[1]}description: {' '.join(match[2].split())}\n", text)


def _strip(path: Path) -> int:
    text = path.read_text("utf-8")
    lines = text.split("\n")
    removed: set[int] = set()
    count = 0
    for key, value in _descriptions(YAML(typ="safe", pure=True).compose(text)):
        last = value.end_mark.line if value.end_mark.column else value.end_mark.line - 1
        while not lines[last].strip():
            last -= 1
        removed.update(range(key.start_mark.line, last + 1))
        count += 1
    path.write_text("\n".join(line for number, line in enumerate(lines) if number not in removed), "utf-8")
    return count


def _descriptions(node: Node | None) -> list[tuple[Node, Node]]:
    if isinstance(node, SequenceNode):
        return [pair for item in node.value for pair in _descriptions(item)]
    if not isinstance(node, MappingNode):
        return []
    found: list[tuple[Node, Node]] = []
    for key, value in node.value:
        if key.value == "description":
            found.append((key, value))
        elif key.value != "unit_tests":
            found += _descriptions(value)
    return found
