"""Where entries are at home: the schema file that an entry stands in, or in which it is to be made."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from osmosis_synthesize.discovery import Project as Layout
from osmosis_synthesize.discovery import schema_files
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.names import EntryKey

if TYPE_CHECKING:
    from osmosis_synthesize.document import Document
    from osmosis_synthesize.manifest.decode import Card
    from osmosis_synthesize.manifest.index import Index
    from osmosis_synthesize.manifest.model import Node

_WORD: Final = re.compile(r"[\w.$-]+")
"""What a name in a schema file consists of; dbt takes no others for models, seeds and snapshots."""


class Mentions:
    """The schema files of a project, and the words that stand in them. They are read when this is first asked."""

    def __init__(self, layout: Layout, drafts: Drafts) -> None:
        self._layout: Final = layout
        self._drafts: Final = drafts

    @cached_property
    def files(self) -> Sequence[Path]:
        """Every schema file that may be edited, without symbolic links, in a stable order."""
        return [Path(os.path.realpath(path)) for path in schema_files(self._layout)]

    def get(self, name: str, /) -> Sequence[Path]:
        """The schema files in which a node's name stands."""
        return self._by_word.get(name, ())

    def entry_of(self, key: EntryKey) -> Path | None:
        """The first schema file that has this entry."""
        return next((path for path in self.get(key.name) if _has_entry(self._drafts.get(path), key)), None)

    @cached_property
    def _by_word(self) -> Mapping[str, Sequence[Path]]:
        """Reads all schema files, and parses none."""
        found: dict[str, list[Path]] = {}
        for path in self.files:
            for word in set(_WORD.findall(self._drafts.text(path) or "")):
                found.setdefault(word, []).append(path)
        return found


class Homes:
    """Finds the schema file of an entry. Whether it may be edited is for the caller to ask the layout."""

    def __init__(
        self, index: Index, layout: Layout, drafts: Drafts, mentions: Mentions, *, root: Path, schema_file: str
    ) -> None:
        """Nothing is read yet.

        Args:
            index: the manifest.
            layout: the project's layout.
            drafts: its schema files as they are now.
            mentions: where else than in the file that the manifest names an entry may stand.
            root: the project's folder, without symbolic links.
            schema_file: the name of a new schema file, for a folder whose nodes use none.
        """
        self._index: Final = index
        self._layout: Final = layout
        self._drafts: Final = drafts
        self._mentions: Final = mentions
        self._root: Final = root
        self._schema_file: Final = schema_file

    def of(self, node: Node | Card) -> Path | None:
        """The file with a node's entry: the one that the manifest names, or the one it has moved to since.

        ``None`` where no file has one, or the node is none of the project's own.
        """
        if not self._index.is_editable(node):
            return None
        key = EntryKey(node.resource_type, node.name, source_name=node.source_name)
        if node.schema_path is not None:
            named = Path(os.path.realpath(self._root / node.schema_path))
            if named.exists() and _has_entry(self._drafts.get(named), key):
                return named
        return self._mentions.entry_of(key)

    def of_new(self, folder: str, name: str) -> Path:
        """The file in which the entry of a node is to be made: the one that its folder's nodes use, in their style.

        Args:
            folder: where the node's own file is, as the manifest writes it.
            name: the node's name.
        """
        used = self._used_in.get(folder)
        if not used:
            return self._root / folder / self._schema_file
        path, described = max(used.items(), key=lambda item: (len(item[1]), item[0]))
        if len(used) > 1 and len(described) == 1 and all(_is_named_after(*item) for item in used.items()):
            return self._root / posixpath.dirname(path) / f"{name}{posixpath.splitext(path)[1]}"
        return Path(os.path.realpath(self._root / path))

    @cached_property
    def _used_in(self) -> Mapping[str, Mapping[str, Sequence[Card]]]:
        """By folder: the schema files that its nodes use, each with those nodes."""
        used: dict[str, dict[str, list[Card]]] = {}
        for node in self._index.cards:
            if (
                node.resource_type != "source"
                and node.schema_path is not None
                and self._index.is_editable(node)
                and self._layout.is_editable_path(self._root / node.schema_path)
            ):
                used.setdefault(posixpath.dirname(node.path), {}).setdefault(node.schema_path, []).append(node)
        return used


def _has_entry(document: Document | None, key: EntryKey) -> bool:
    return document is not None and document.entry(key) is not None


def _is_named_after(path: str, nodes: Sequence[Card]) -> bool:
    return posixpath.splitext(posixpath.basename(path))[0].lstrip("_") == nodes[0].name
