"""Which descriptions are missing: in the entries of a schema file, and for nodes that no schema file mentions."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from osmosis_synthesize.document import Document, is_gap
from osmosis_synthesize.document.model import Entry, Slot
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.names import EntryKey

if TYPE_CHECKING:
    from osmosis_synthesize.manifest.decode import Card
    from osmosis_synthesize.manifest.index import Index
    from osmosis_synthesize.manifest.model import Node


@dataclass(frozen=True, slots=True)
class Survey:
    """The gaps of some entries, among how many places for a description."""

    gaps: tuple[Gap, ...] = ()
    slots: int = 0
    selected: frozenset[str] = frozenset()
    """Of the names that were asked for, those that something bears."""

    @property
    def coverage(self) -> float:
        """The share that is described, in percent; 100 where there is nothing to describe."""
        return 100.0 * (self.slots - len(self.gaps)) / self.slots if self.slots else 100.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are meant: those that bear one of the names, or are one of the nodes that a selector means."""

    names: tuple[str, ...] = ()
    """``orders``, ``orders.v2``, ``shop.raw_orders``, a ``unique_id``, or a selector. Without any, all entries are meant."""
    nodes: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By selector: the ``unique_id`` of what it means."""

    def __bool__(self) -> bool:
        """Whether not everything is meant."""
        return bool(self.names)

    def by(self, key: EntryKey, unique_id: str) -> set[str]:
        """Those of the names that mean this entry."""
        own = {key.name, str(key), unique_id}
        return {name for name in self.names if name in own or unique_id in self.nodes.get(name, ())}

    def has(self, key: EntryKey, unique_id: str) -> bool:
        """Whether this entry is meant."""
        return not self.names or bool(self.by(key, unique_id))


EVERYTHING: Final = Selection()


@dataclass(frozen=True, slots=True)
class Naming:
    """Gives entries their ``unique_id``: the manifest's, or without one the one that dbt would give."""

    project: str
    project_dir: Path
    index: Index | None = None

    def nodes(self, key: EntryKey, path: str) -> tuple[Node, ...]:
        """The nodes that an entry of the schema file ``path`` (as the manifest writes it) describes."""
        return self.index.find(key, package=self.project, path=path) if self.index is not None else ()

    def only(self, key: EntryKey, path: str) -> str | None:
        """The ``unique_id`` of the only node that an entry describes, as nearly all do; nothing is decoded for it."""
        found = self.index.find_ids(key, package=self.project, path=path) if self.index is not None else ()
        return found[0] if len(found) == 1 else None

    def unique_id(self, key: EntryKey, nodes: Sequence[Node], column: str | None) -> str:
        """Of several versions it is the latest one that has the column."""
        if nodes:
            having = [node for node in nodes if column is None or node.column(column) is not None]
            return latest(having or nodes).unique_id
        stem = f"{key.source_name}.{key.name}" if key.source_name is not None else key.name
        version = f".v{key.version}" if key.version is not None else ""
        return f"{key.resource_type}.{self.project}.{stem}{version}"


def survey(
    document: Document, file: Path, *, naming: Naming, placeholders: Collection[str], select: Selection = EVERYTHING
) -> Survey:
    """The gaps of one schema file, in its order.

    Args:
        document: the parsed file.
        file: its absolute path.
        naming: how its entries are called in the manifest.
        placeholders: texts that are no description.
        select: which entries are meant.
    """
    path = relative(file, naming.project_dir)
    gaps: list[Gap] = []
    total = 0
    selected: set[str] = set()
    for entry in document.entries:
        found = survey_entry(entry, path, naming=naming, placeholders=placeholders)
        if select:
            nodes = naming.nodes(entry.key, path)
            named = select.by(entry.key, naming.unique_id(entry.key, nodes, None))
            if not named:
                continue
            selected |= named
        gaps += found.gaps(document, file)
        total += found.slots
    return Survey(tuple(gaps), total, frozenset(selected))


class Missing(NamedTuple):
    """A slot without a real description, and the node it belongs to."""

    unique_id: str
    slot: Slot


@dataclass(frozen=True, slots=True)
class EntrySurvey:
    """The gaps of one entry. They hold as long as the entry is the very same object, wherever that has moved."""

    entry: Entry
    """As it was read."""
    missing: tuple[Missing, ...]
    ids: tuple[tuple[str, str | None], ...]
    """The :attr:`Gap.id` of each."""
    slots: int
    """Places for a description."""

    def gaps(self, document: Document, file: Path, *, moved: int = 0) -> list[Gap]:
        """The gaps in a document in which the entry stands ``moved`` characters further on than where it was read."""
        key = self.entry.key
        return [
            gap_at(slot.shifted(moved) if moved else slot, key, unique_id, document, file)
            for unique_id, slot in self.missing
        ]


def survey_entry(entry: Entry, path: str, *, naming: Naming, placeholders: Collection[str]) -> EntrySurvey:
    """The gaps of one entry of the schema file ``path`` (as the manifest writes it)."""
    slots = [*((entry.slot,) if entry.slot is not None else ()), *entry.columns]
    missing = [slot for slot in slots if slot.state == "blocked" or is_gap(slot, placeholders)]
    only = naming.only(entry.key, path) if missing else None
    nodes = naming.nodes(entry.key, path) if missing and only is None else ()
    found = tuple(Missing(only or naming.unique_id(entry.key, nodes, slot.column), slot) for slot in missing)
    ids = tuple((unique_id, slot.column) for unique_id, slot in found)
    return EntrySurvey(entry, found, ids, len(slots))


def gap_of_undocumented(node: Node | Card, key: EntryKey, file: Path) -> Gap:
    """The gap of a node that no schema file mentions: its entry would be made in ``file``."""
    return Gap(node.unique_id, None, key, file, 1, 1, None)


def latest(nodes: Sequence[Node]) -> Node:
    """Of several versions of a model, the one that an unversioned ``ref`` means."""
    return next(
        (node for node in nodes if node.version is not None and node.version == node.latest_version), nodes[-1]
    )


def relative(file: Path, project_dir: Path) -> str:
    """A file as the manifest writes it: POSIX, relative to the project, with ``..`` where it lies outside."""
    name, folder = os.fspath(file), os.path.join(project_dir, "")  # noqa: PTH118 - some thousand times a run
    if name.startswith(folder) and os.pardir not in name:
        return name[len(folder) :].replace(os.sep, "/")
    return Path(os.path.relpath(file, project_dir)).as_posix()


def gap_at(
    slot: Slot, key: EntryKey, unique_id: str, document: Document, file: Path, *, replaces: str | None = None
) -> Gap:
    """The gap that a slot of the entry ``key`` is, or is taken for: see :attr:`Gap.replaces`."""
    place = document.lines.position(slot.name_span.start, "utf-32")
    return Gap(unique_id, slot.column, key, file, place.line + 1, place.character + 1, slot, replaces=replaces)
