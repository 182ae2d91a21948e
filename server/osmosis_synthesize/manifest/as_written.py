"""The manifest with the SQL that people wrote: the same whether dbt has compiled it or not, for whatever target."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import Node


class AsWritten(Index):
    """An index whose nodes hang on nothing but the project's own files.

    Nothing in it is compiled, there is no catalog, and relations are named after their nodes, not after the schemas of
    the target that dbt ran for. A model of the project has the SQL that its file has now, be the manifest stale or not.
    """

    def __init__(self, index: Index, project_dir: Path) -> None:
        """``project_dir`` is the project's folder."""
        super().__init__(replace(index.contents, catalog=None))
        self.nodes = _Nodes(index, project_dir)


class _Nodes(Mapping[str, Node]):
    """Reads a model's file when it is first asked for."""

    def __init__(self, index: Index, project_dir: Path) -> None:
        self._index: Final = index
        self._project_dir: Final = project_dir
        self._written: Final = dict[str, Node]()

    def __getitem__(self, unique_id: str) -> Node:
        if unique_id not in self._written:
            node = self._index.nodes[unique_id]
            version = f"_v{node.version}" if node.version is not None else ""
            self._written[unique_id] = msgspec.structs.replace(
                node,
                raw_code=self._code(node),
                compiled_code=None,
                database=None,
                schema="n_" + _identifier(node.source_name or node.package_name),
                alias=_identifier(node.name + version),
                relation_name=None,
            )
        return self._written[unique_id]

    def __contains__(self, unique_id: object) -> bool:
        return unique_id in self._index.nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.nodes)

    def __len__(self) -> int:
        return len(self._index.nodes)

    def _code(self, node: Node) -> str:
        if node.resource_type == "model" and node.package_name == self._index.metadata.project_name:
            file = self._project_dir / node.path
            try:
                if file.is_file():  # a manifest may name anything, a device too
                    return file.read_bytes().decode("utf-8-sig")
            except (OSError, UnicodeDecodeError):
                pass  # it has moved, or is no text any more: what dbt saw is all there is
        return node.raw_code


def _identifier(name: str) -> str:
    """A name that needs no quotes in any SQL."""
    return re.sub(r"\W", "_", name)
