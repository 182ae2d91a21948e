"""The manifest as one answers questions from it: nodes, their graph, their tests, which entry means which node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NoReturn

from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.manifest import decode
from osmosis_synthesize.manifest.catalog import Catalog
from osmosis_synthesize.manifest.decode import Bodies, Body, Card, TestCard
from osmosis_synthesize.manifest.model import Column, DocBlock, Macro, Metadata, Node, Test
from osmosis_synthesize.names import EntryKey, ResourceType, fold
from osmosis_synthesize.recent import Recent


@dataclass(frozen=True, slots=True)
class Made:
    """What was read in the project's own files: it stands before what the manifest says of the same."""

    nodes: Mapping[str, Node] = field(default_factory=dict[str, Node])
    """By ``unique_id``."""
    tests: Mapping[str, tuple[Test, ...]] = field(default_factory=dict[str, tuple[Test, ...]])
    """All tests of the nodes whose schema file was read, by ``unique_id``."""
    docs: Mapping[tuple[str, str], DocBlock] = field(default_factory=dict[tuple[str, str], DocBlock])
    """By package and name."""
    doc_files: frozenset[tuple[str, str]] = frozenset()
    """Package and path of the files whose doc blocks are these; the manifest's own of such a file do not count."""
    macros: Mapping[str, Macro] = field(default_factory=dict[str, Macro])
    """By ``unique_id``."""
    disabled: frozenset[str] = frozenset()
    """The nodes that dbt leaves out, because their configuration says that they are not enabled."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A manifest, sorted out but for the most part not decoded yet. The bodies are the JSON that dbt wrote."""

    path: Path
    metadata: Metadata
    warnings: tuple[str, ...]
    nodes: tuple[Card, ...]
    node_bodies: Bodies
    """As many as there are nodes, in the same order."""
    tests: tuple[TestCard, ...]
    test_bodies: Bodies
    docs: Body
    macros: Body
    catalog: Catalog | None = None
    made: Made = field(default_factory=Made)
    """Its nodes have a card each like the others, and no body."""


class Index:
    """A read-only view of a manifest, with the catalog where there is one. Threads may share it.

    Nodes, tests, doc blocks and macros are decoded when they are first asked for, and kept; of the nodes those that were
    asked for last.

    Raises:
        ManifestError: from any member that has to decode something which is not what dbt writes.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.nodes: Mapping[str, Node] = _Nodes(contents)
        """Models, seeds, snapshots and source tables that are enabled, by ``unique_id``, sorted by it."""
        self._tests: dict[str, tuple[Test, ...]] = {}

    @property
    def path(self) -> Path:
        """Where the manifest is."""
        return self.contents.path

    @property
    def metadata(self) -> Metadata:
        """Of the manifest itself."""
        return self.contents.metadata

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know: a version we do not know, a catalog that could not be read."""
        return self.contents.warnings

    def tests_of(self, unique_id: str) -> tuple[Test, ...]:
        """The data tests attached to a node or its columns, sorted by ``unique_id``; none for an unknown node."""
        tests = self._tests.get(unique_id)
        if tests is None:
            tests = self.contents.made.tests.get(unique_id)
            if tests is None:
                tests = tuple(self._test(at) for at in self._tests_at.get(unique_id, ()))
            self._tests[unique_id] = tests
        return tests

    def is_disabled(self, unique_id: str) -> bool:
        """Whether a file of the project defines a node that dbt leaves out, since it is not enabled."""
        return unique_id in self.contents.made.disabled

    def parents(self, unique_id: str) -> tuple[str, ...]:
        """The nodes it is built from directly, sorted; none for an unknown node."""
        card = self._cards.get(unique_id)
        return card.parents if card is not None else ()

    def children(self, unique_id: str) -> tuple[str, ...]:
        """The nodes built from it directly, sorted."""
        return self._children.get(unique_id, ())

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All nodes, parents before children, the same for the same graph. A cycle is cut where it closes."""
        done: dict[str, None] = {}
        entered: set[str] = set()
        for root in sorted(self._cards):
            stack = [root]
            while stack:
                node = stack[-1]
                if node not in entered:
                    entered.add(node)
                    stack.extend(parent for parent in self.parents(node) if parent not in entered)
                else:
                    done.setdefault(stack.pop())
        return tuple(done)

    def ancestors_by_distance(self, unique_id: str) -> tuple[str, ...]:
        """All nodes it is built from, directly or not, nearest first and sorted among those equally near."""
        seen = {unique_id}
        found: list[str] = []
        level = [unique_id]
        while level:
            level = sorted({parent for node in level for parent in self.parents(node)} - seen)
            seen.update(level)
            found += level
        return tuple(found)

    @cached_property
    def docs(self) -> Mapping[tuple[str, str], DocBlock]:
        """Doc blocks by package and name."""
        made = self.contents.made
        try:
            docs = decode.read_docs(self.contents.docs)
        except decode.DECODE_ERRORS as error:
            _fail(self.path, "its doc blocks", error)
        if made.doc_files:
            docs = {
                key: block for key, block in docs.items() if (block.package_name, block.path) not in made.doc_files
            }
        return {**docs, **made.docs} if made.docs else docs

    @cached_property
    def macros(self) -> Mapping[str, Macro]:
        """Macros by ``unique_id``."""
        made = self.contents.made
        try:
            macros = decode.read_macros(self.contents.macros)
        except decode.DECODE_ERRORS as error:
            _fail(self.path, "its macros", error)
        return {**macros, **made.macros} if made.macros else macros

    def find(self, key: EntryKey, *, package: str, path: str | None = None) -> tuple[Node, ...]:
        """The nodes an entry of a schema file stands for: more than one for a versioned model's own entry.

        ``package`` is the package the file belongs to, ``path`` the file, relative to that package's root. Where the
        manifest knows such an entry in that very file, it is that one; otherwise (the entry is new, or was moved)
        whatever of the package bears the name.
        """
        return tuple(self.nodes[unique_id] for unique_id in self.find_ids(key, package=package, path=path))

    def find_ids(self, key: EntryKey, *, package: str, path: str | None = None) -> tuple[str, ...]:
        """The ``unique_id`` of the nodes that :meth:`find` gives. None of them is decoded."""
        cards = [
            card
            for card in self._by_name.get((key.resource_type, key.name), ())
            if card.source_name == key.source_name
            and package in {card.package_name, card.schema_package}
            and (key.version is None or card.version == key.version)
        ]
        in_file = [card for card in cards if (card.schema_package, card.schema_path) == (package, path)]
        return tuple(card.unique_id for card in in_file or cards)

    def called(self, name: str) -> tuple[Node, ...]:
        """The models (each version), seeds and snapshots of a name, in any package: what ``ref`` may mean."""
        kinds: tuple[ResourceType, ...] = ("model", "seed", "snapshot")
        return tuple(self.nodes[card.unique_id] for kind in kinds for card in self._by_name.get((kind, name), ()))

    def nodes_in_file(self, path: str, package: str) -> tuple[Node, ...]:
        """The nodes that a file (schema, .sql, .py or .csv) defines or describes, sorted by ``unique_id``."""
        return tuple(self.nodes[unique_id] for unique_id in self._by_file.get((package, path), ()))

    def columns(self, unique_id: str) -> tuple[Column, ...]:
        """The columns of a node: those of the catalog, in its order and with its names and types, then all others.

        Texts, tags and ``meta`` are the manifest's. Names are compared without case unless quoted.
        """
        node = self.nodes[unique_id]
        known = self.contents.catalog.columns(unique_id) if self.contents.catalog is not None else ()
        if not known:
            return node.columns
        quoted = {column.name: column for column in node.columns if column.quote}
        folded = {fold(column.name): column for column in node.columns if not column.quote}
        merged: list[Column] = []
        used: set[str] = set()
        for column in known:
            own = quoted.get(column.name) or folded.get(fold(column.name))
            if own is None:
                merged.append(column)
                continue
            used.add(own.name)
            data_type = column.data_type or own.data_type
            merged.append(Column(column.name, own.description, data_type, own.quote, own.tags, own.meta))
        return (*merged, *(column for column in node.columns if column.name not in used))

    def primary_key(self, unique_id: str) -> tuple[str, ...]:
        """The columns of a node's primary key, as it spells them; none where nothing in the project says which.

        A ``primary_key`` constraint says so, else the first column with both a ``unique`` and a ``not_null`` test
        (tests with a ``where``, or that only warn, prove nothing about all rows).
        """
        node = self.nodes[unique_id]
        declared = [
            str(column)
            for constraint in node.constraints
            if constraint.get("type") == "primary_key"
            for column in constraint.get("columns") or ()
        ]
        if declared:
            return tuple(declared)
        proven: dict[str, set[str]] = {}
        for test in self.tests_of(unique_id):
            if test.column is not None and test.proves and test.namespace is None:
                proven.setdefault(fold(test.column), set()).add(test.name)
        for column in node.columns:
            if proven.get(fold(column.name), set()) >= {"unique", "not_null"}:
                return (column.name,)
        return ()

    def is_editable(self, node: Node | Card) -> bool:
        """Whether it belongs, with its schema file, to the project itself and not to a package."""
        return node.package_name == node.schema_package == self.metadata.project_name

    @property
    def cards(self) -> tuple[Card, ...]:
        """All nodes as far as the graph is concerned, without decoding any; sorted by ``unique_id``."""
        return self.contents.nodes

    @cached_property
    def _cards(self) -> dict[str, Card]:
        return {card.unique_id: card for card in self.contents.nodes}

    @cached_property
    def _children(self) -> dict[str, tuple[str, ...]]:
        children: dict[str, list[str]] = {}
        for card in self.contents.nodes:
            for parent in card.parents:
                children.setdefault(parent, []).append(card.unique_id)
        return {parent: tuple(sorted(found)) for parent, found in children.items()}

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], list[Card]]:
        by_name: dict[tuple[str, str], list[Card]] = {}
        for card in self.contents.nodes:
            by_name.setdefault((card.resource_type, card.name), []).append(card)
        return by_name

    @cached_property
    def _by_file(self) -> dict[tuple[str, str], dict[str, None]]:
        by_file: dict[tuple[str, str], dict[str, None]] = {}
        for card in self.contents.nodes:
            by_file.setdefault((card.package_name, card.path), {})[card.unique_id] = None
            if card.schema_path is not None:
                by_file.setdefault((card.schema_package, card.schema_path), {})[card.unique_id] = None
        return by_file

    @cached_property
    def _tests_at(self) -> dict[str, list[int]]:
        at: dict[str, list[int]] = {}
        for position, card in enumerate(self.contents.tests):
            at.setdefault(card.node, []).append(position)
        return at

    def _test(self, at: int) -> Test:
        card = self.contents.tests[at]
        try:
            return decode.read_test(card, self.contents.test_bodies[at])
        except decode.DECODE_ERRORS as error:
            _fail(self.path, card.unique_id, error)


_KEPT: Final = 500
"""Decoded nodes at least; one of 20 columns takes about 10 kB, and a twentieth of a millisecond."""


class _Nodes(Mapping[str, Node]):
    """Decodes a node when it is asked for."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._at = {card.unique_id: position for position, card in enumerate(contents.nodes)}
        self._made = contents.made.nodes
        self._decoded = Recent[Node](_KEPT)

    def __getitem__(self, unique_id: str) -> Node:
        node = self._made.get(unique_id) or self._decoded.get(unique_id)
        if node is None:
            at = self._at[unique_id]
            try:
                node = decode.read_node(self._contents.nodes[at], self._contents.node_bodies[at])
            except decode.DECODE_ERRORS as error:
                _fail(self._contents.path, unique_id, error)
            self._decoded.keep(unique_id, node)
        return node

    def __contains__(self, unique_id: object) -> bool:
        return unique_id in self._at

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)


def _fail(path: Path, what: str, error: Exception) -> NoReturn:
    raise ManifestError(
        f"{path} cannot be read at {what}: {error}.",
        path=path,
        hint="Run `dbt parse` to have it written anew.",
    ) from error
