"""Which descriptions an entry of a schema file lacks, found once and kept while the entry is only moved about."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from osmosis_synthesize.document import Document, is_gap
from osmosis_synthesize.document.model import Entry, Slot
from osmosis_synthesize.engine.gaps import Naming, gap_at
from osmosis_synthesize.engine.model import Gap


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
    nodes: tuple[str, ...]
    """The ``unique_id`` of each node that the entry describes."""

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
    nodes = naming.nodes(entry.key, path)
    found = tuple(Missing(naming.unique_id(entry.key, nodes, slot.column), slot) for slot in missing)
    ids = tuple((unique_id, slot.column) for unique_id, slot in found)
    unique_ids = tuple(node.unique_id for node in nodes) or (naming.unique_id(entry.key, (), None),)
    return EntrySurvey(entry, found, ids, len(slots), unique_ids)
