"""The descriptions a project has now, and those a run has filled so far.

The open buffer wins over the file, the file over the manifest: a schema file's own text is read wherever there is one,
because the manifest holds rendered text and may be stale.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from osmosis_synthesize.document import Document, is_gap, is_placeholder
from osmosis_synthesize.document.model import Entry, Slot
from osmosis_synthesize.engine.docs import DocBlocks
from osmosis_synthesize.engine.inherit import Known
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import Node
from osmosis_synthesize.names import EntryKey, fold

Owner = tuple[EntryKey, str | None]
"""The entry in which a description stands, and the column it is for. Versions of a model may share one."""


class Documents(Protocol):
    """Schema files by absolute path; a buffer that is open in an editor stands for its file."""

    def get(self, path: Path, /) -> Document | None:
        """The parsed file; ``None`` where there is none, or it cannot be read."""
        ...


class Mentions(Protocol):
    """Where else the entry of a node may stand than where the manifest says."""

    def get(self, name: str, /) -> Sequence[Path]:
        """The schema files in which a node's name stands."""
        ...


@dataclass(frozen=True, slots=True)
class Located:
    """Where a node's properties stand: its entry, and for one version of a model the item of ``versions:`` too."""

    file: Path
    document: Document
    entry: Entry
    item: Entry | None = None

    def slot(self, column: str | None) -> Slot | None:
        """The slot that describes a column of this node (or the node): the version's own before the model's."""
        if column is None:
            return self.entry.slot
        own = self.item.column(column) if self.item is not None else None
        return own if own is not None else self.entry.column(column)


class Descriptions:
    """What is described now. Reads each schema file it needs once, when it is first asked about."""

    def __init__(
        self,
        index: Index,
        documents: Documents,
        project_dir: Path,
        placeholders: Collection[str],
        mentions: Mentions | None = None,
    ) -> None:
        self.index = index
        self.mentions = mentions
        self.documents = documents
        self.project_dir = project_dir
        self.placeholders = placeholders
        self.docs = DocBlocks(index)
        self._files: dict[str, Path] = {}
        self._elsewhere: dict[str, Path | None] = {}

    def locate(self, node: Node) -> Located | None:
        """The entry of a node of this project: in the schema file that the manifest names, or that has it since."""
        located = None
        if node.schema_path is not None and node.schema_package == self.index.metadata.project_name:
            file = self._files.get(node.schema_path)
            if file is None:
                file = self._files[node.schema_path] = Path(os.path.realpath(self.project_dir / node.schema_path))
            located = self._locate_in(file, node)
        if located is None and self.mentions is not None and self.index.is_editable(node):
            if node.unique_id not in self._elsewhere:
                found = (file for file in self.mentions.get(node.name) if self._locate_in(file, node) is not None)
                self._elsewhere[node.unique_id] = next(found, None)
            elsewhere = self._elsewhere[node.unique_id]
            located = self._locate_in(elsewhere, node) if elsewhere is not None else None
        return located

    def _locate_in(self, file: Path, node: Node) -> Located | None:
        document = self.documents.get(file)
        if document is None:
            return None
        entry = document.entry(entry_key(node))
        if entry is None:
            return None
        item = None
        if node.version is not None:
            item = document.entry(EntryKey(node.resource_type, node.name, version=node.version))
        return Located(file, document, entry, item)

    def text(self, unique_id: str, column: str | None) -> str | None:
        """The description as its author wrote it, Jinja and all; ``None`` where there is a gap.

        Of a package's nodes only the rendered text is known. Where that is just a doc block's, it is the reference
        that means this block in the project's own files.
        """
        node = self.index.nodes.get(unique_id)
        if node is None:
            return None
        located = self.locate(node)
        if located is not None:
            slot = located.slot(column)
            return None if slot is None or is_gap(slot, self.placeholders) else slot.text
        described = node if column is None else node.column(column)
        if described is None or is_placeholder(described.description, self.placeholders):
            return None
        text = described.description
        if node.schema_package == self.index.metadata.project_name:
            return text
        return self.docs.reference(text, of=node.schema_package) or text

    def rendered(self, text: str, package: str) -> str:
        """A description with its doc blocks' texts in place of their names, as dbt renders it."""
        return self.docs.rendered(text, of=package)

    def owner(self, unique_id: str, column: str | None) -> Owner:
        """The entry whose text describes this column or node."""
        node = self.index.nodes[unique_id]
        key = entry_key(node)
        if column is None:
            return key, None
        located = self.locate(node)
        if located is not None and located.item is not None and located.item.column(column) is not None:
            key = located.item.key
        return key, fold(column)


class Progress:
    """The descriptions as a run changes them: what it has filled stands before what was there."""

    def __init__(self, descriptions: Descriptions) -> None:
        self._descriptions = descriptions
        self._filled: dict[Owner, str | None] = {}

    def known(self, unique_id: str, column: str | None) -> Known | None:
        """The text of a column or node; ``Known(None)`` while it waits to be generated; ``None`` for a gap."""
        if unique_id not in self._descriptions.index.nodes:
            return None
        if self._filled:
            owner = self._descriptions.owner(unique_id, column)
            if owner in self._filled:
                return Known(self._filled[owner])
        text = self._descriptions.text(unique_id, column)
        return Known(text) if text is not None else None

    def fill(self, gap: Gap, text: str | None) -> None:
        """Note that a gap has this text now, or (``None``) that its text is on the way."""
        self._filled[gap.key, None if gap.column is None else fold(gap.column)] = text


def entry_key(node: Node) -> EntryKey:
    """The entry that describes a node (all versions of a model share one)."""
    return EntryKey(node.resource_type, node.name, source_name=node.source_name)
