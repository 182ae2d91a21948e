"""dbt's node selectors, as far as they are about names, paths, tags and the graph.

The grammar and what each method means are dbt's own: https://docs.getdbt.com/reference/node-selection/syntax
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from osmosis_synthesize.errors import UsageError

if TYPE_CHECKING:
    from osmosis_synthesize.manifest.index import Index
    from osmosis_synthesize.manifest.model import Node

METHODS: Final = ("fqn", "path", "file", "tag", "source", "package", "resource_type")
"""What may stand before the colon."""

_PART: Final = re.compile(
    r"(?P<at>@)?(?:(?P<up>\d*)\+)?(?:(?P<method>[a-z_.]+):)?(?P<value>.*?)(?:\+(?P<down>\d*))?", re.DOTALL
)
_NODE_FILE: Final = re.compile(r"\.(?:sql|py|csv)\Z")


class _Part(NamedTuple):
    """One selector: which nodes, and how far to go from them; ``None`` for not at all, 0 for to the end."""

    method: str
    value: str
    up: int | None
    down: int | None
    around: bool
    """``@``: the descendants, and the ancestors of all those."""


def is_name(selector: str) -> bool:
    """Whether a selector is a plain name: nothing has to be known about the project to understand it."""
    return re.fullmatch(r"[\w.$-]+", selector) is not None and _NODE_FILE.search(selector) is None


def select(selector: str, index: Index, root: Path) -> frozenset[str]:
    """The nodes that a selector means, by ``unique_id``: all words of it together, and of one word what all its parts mean.

    ``staging+ tag:daily,path:models/marts`` are two words, of which the second has two parts. ``root`` is the project's folder,
    which paths are relative to.

    Raises:
        UsageError: the selector cannot be understood.
    """
    found: set[str] = set()
    for word in selector.split():
        parts = [_reach(_parse(part, selector), index, root) for part in word.split(",")]
        found |= set[str].intersection(*parts)
    return frozenset(found)


def _parse(text: str, selector: str) -> _Part:
    match = _PART.fullmatch(text)
    if match is None or not match["value"]:
        raise UsageError(f"--select {selector!r} cannot be understood: {text!r} names nothing.")
    value = match["value"]
    method = match["method"] or _method_of(value)
    if method not in METHODS:
        raise UsageError(
            f"--select {selector!r} cannot be understood: there is no method {method!r} here.",
            hint=f"Those of dbt's that are known: {', '.join(METHODS)}.",
        )
    up, down = (None if depth is None else int(depth or 0) for depth in (match["up"], match["down"]))
    return _Part(method, value, up, down, match["at"] is not None)


def _method_of(value: str) -> str:
    if "/" in value:
        return "path"
    return "file" if _NODE_FILE.search(value) else "fqn"


def _reach(part: _Part, index: Index, root: Path) -> set[str]:
    """The nodes that a part means, with those that its pluses lead to."""
    matched = set(_MATCHING[part.method](part.value, index, root))
    found = set(matched)
    if part.around:
        found |= _walk(matched, index.children, 0)
        return found | _walk(found, index.parents, 0)
    if part.up is not None:
        found |= _walk(matched, index.parents, part.up)
    if part.down is not None:
        found |= _walk(matched, index.children, part.down)
    return found


def _walk(start: set[str], neighbours: Callable[[str], Sequence[str]], depth: int) -> set[str]:
    """All that is reached in ``depth`` steps; 0 for as many as there are."""
    found: set[str] = set()
    level = start
    while level:
        level = {other for one in level for other in neighbours(one)} - found
        found |= level
        depth -= 1
        if depth == 0:
            break
    return found


def _by_fqn(value: str, index: Index, _: Path) -> Iterator[str]:
    """By name, by the folders that a node lies in, or by both; with the package before them or without."""
    wanted = value.split(".")
    for node in index.nodes.values():
        if node.resource_type == "source":
            # dbt takes `source:` only; a table by its name is what reports call it.
            if value in {node.unique_id, f"{node.source_name}.{node.name}"}:
                yield node.unique_id
        elif value == node.unique_id or any(_is_under(wanted, parts, node) for parts in _fully_qualified(node)):
            yield node.unique_id


def _fully_qualified(node: Node) -> tuple[list[str], list[str]]:
    """A node's package, folders below the first one, and name; and the same without the package."""
    folders = node.path.split("/")[1:-1]
    parts = [*folders, node.name, *([f"v{node.version}"] if node.version is not None else [])]
    return [node.package_name, *parts], parts


def _is_under(wanted: Sequence[str], parts: Sequence[str], node: Node) -> bool:
    whole = ".".join(wanted)
    if whole == parts[-1] or fnmatchcase(node.name, whole):
        return True
    if node.version is not None and whole in {f"{node.name}.v{node.version}", f"{node.name}_v{node.version}"}:
        return True
    # A name may hold dots itself.
    flat = [piece for part in parts for piece in part.split(".")]
    return len(wanted) <= len(flat) and all(fnmatchcase(one, part) for part, one in zip(wanted, flat, strict=False))


def _by_path(value: str, index: Index, root: Path) -> Iterator[str]:
    """By the file of a node, the schema file that describes it, or a folder above it."""
    try:
        paths = {path.relative_to(root).as_posix() for path in root.glob(value.removeprefix("./"))}
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"--select path:{value} is no path in the project: {error}.") from error
    for node in index.nodes.values():
        files = (node.path, node.schema_path if index.is_editable(node) else None)
        if any(file is not None and not paths.isdisjoint(_upward(file)) for file in files):
            yield node.unique_id


def _upward(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _by_file(value: str, index: Index, _: Path) -> Iterator[str]:
    for node in index.nodes.values():
        name = node.path.rsplit("/", 1)[-1]
        if fnmatchcase(name, value) or fnmatchcase(name.rpartition(".")[0], value):
            yield node.unique_id


def _by_tag(value: str, index: Index, _: Path) -> Iterator[str]:
    return (node.unique_id for node in index.nodes.values() if any(fnmatchcase(tag, value) for tag in node.tags))


def _by_source(value: str, index: Index, _: Path) -> Iterator[str]:
    """``source``, ``source.table`` or ``package.source.table``."""
    parts = value.split(".")
    if len(parts) > 3:
        raise UsageError(
            f"--select source:{value} cannot be understood.", hint="Write source:NAME or source:NAME.TABLE."
        )
    package, source, table = {1: ("*", parts[0], "*"), 2: ("*", *parts), 3: tuple(parts)}[len(parts)]
    for node in index.nodes.values():
        if (
            node.resource_type == "source"
            and fnmatchcase(node.package_name, package)
            and fnmatchcase(node.source_name or "", source)
            and fnmatchcase(node.name, table)
        ):
            yield node.unique_id


def _by_package(value: str, index: Index, _: Path) -> Iterator[str]:
    package = index.metadata.project_name if value == "this" else value
    return (node.unique_id for node in index.nodes.values() if fnmatchcase(node.package_name, package))


def _by_resource_type(value: str, index: Index, _: Path) -> Iterator[str]:
    return (node.unique_id for node in index.nodes.values() if node.resource_type == value)


_MATCHING: Final[dict[str, Callable[[str, Index, Path], Iterator[str]]]] = {
    "fqn": _by_fqn,
    "path": _by_path,
    "file": _by_file,
    "tag": _by_tag,
    "source": _by_source,
    "package": _by_package,
    "resource_type": _by_resource_type,
}
