"""Which descriptions are missing: in the entries of a schema file, and for nodes that no schema file mentions."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from osmosis_synthesize.document import Document, is_gap
from osmosis_synthesize.document.model import Entry, Slot
from osmosis_synthesize.engine.descriptions import entry_key
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import Node
from osmosis_synthesize.names import EntryKey


def gaps_in(
    document: Document, file: Path, *, index: Index, project_dir: Path, placeholders: Collection[str]
) -> Iterator[Gap]:
    """The gaps of one schema file, in its order.

    Args:
        document: the parsed file.
        file: its absolute path.
        index: names the nodes; entries it does not know get the ``unique_id`` that dbt would give them.
        project_dir: the root project's folder.
        placeholders: texts that are no description.
    """
    path = relative(file, project_dir)
    for entry in document.entries:
        slots = ([entry.slot] if entry.slot is not None else []) + list(entry.columns)
        missing = [slot for slot in slots if slot.state == "blocked" or is_gap(slot, placeholders)]
        if missing:
            unique_id = unique_id_of(entry.key, path, index)
            yield from (_gap(slot, entry, unique_id, document, file) for slot in missing)


def gap_of_undocumented(node: Node, file: Path) -> Gap:
    """The gap of a node that no schema file mentions: its entry would be made in ``file``."""
    return Gap(node.unique_id, None, entry_key(node), file, 1, 1, None)


def unique_id_of(key: EntryKey, path: str, index: Index) -> str:
    """The node that an entry of the schema file ``path`` describes; of a versioned model's own entry, its latest version."""
    project = index.metadata.project_name
    nodes = index.find(key, package=project, path=path)
    if nodes:
        return latest(nodes).unique_id
    stem = f"{key.source_name}.{key.name}" if key.source_name is not None else key.name
    version = f".v{key.version}" if key.version is not None else ""
    return f"{key.resource_type}.{project}.{stem}{version}"


def latest(nodes: Sequence[Node]) -> Node:
    """Of several versions of a model, the one that an unversioned ``ref`` means."""
    return next(
        (node for node in nodes if node.version is not None and node.version == node.latest_version), nodes[-1]
    )


def relative(file: Path, project_dir: Path) -> str:
    """A file as the manifest writes it: POSIX, relative to the project, with ``..`` where it lies outside."""
    return Path(os.path.relpath(file, project_dir)).as_posix()


def _gap(slot: Slot, entry: Entry, unique_id: str, document: Document, file: Path) -> Gap:
    place = document.lines.position(slot.name_span.start, "utf-32")
    return Gap(unique_id, slot.column, entry.key, file, place.line + 1, place.character + 1, slot)
