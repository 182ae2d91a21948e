"""Brings an index up to date with a project's files: with those that a request is about, or with all.

What the manifest knows in an older form, or not at all, is read from the SQL, the YAML and their refs; what is as the
manifest saw it is left alone. Without a manifest, everything comes from the files. The result is an index like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from osmosis_synthesize.code_texts import CodeTexts
from osmosis_synthesize.discovery import Project as Layout
from osmosis_synthesize.discovery import files_below
from osmosis_synthesize.document.model import Document
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.docs import DocBlocks
from osmosis_synthesize.files import shown, stamp_of
from osmosis_synthesize.homes import Mentions
from osmosis_synthesize.manifest import code_files, properties
from osmosis_synthesize.manifest.index import Index, Made
from osmosis_synthesize.manifest.model import Column, DocBlock, Macro, Node, Ref, Test
from osmosis_synthesize.manifest.overlay import overlaid
from osmosis_synthesize.manifest.staleness import is_same
from osmosis_synthesize.names import EntryKey, ResourceType, short_name
from osmosis_synthesize.packages import Described, Package, SourceTable, installed, source_tables
from osmosis_synthesize.sketching import Disabled, Sketch, Sketcher, columns_of

_YAML: Final = frozenset({".yml", ".yaml"})
_PROSE: Final = frozenset({".md"})
_MOST_NAMED: Final = 3
"""How many nodes a note names."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be brought up to date."""

    files: tuple[Path, ...] = ()
    """Without symbolic links."""
    everything: bool = False
    upstream: bool = True
    """Whether also what these nodes are built from matters."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The index as the files have it now."""

    index: Index
    """The very one that was there before, if nothing has changed."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


def catch_up(
    index: Index, wanted: Wanted, *, layout: Layout, drafts: Drafts, mentions: Mentions, has_manifest: bool
) -> CaughtUp:
    """Read what has changed since the manifest was written.

    Args:
        index: the manifest's, or an empty one.
        wanted: which files matter. Others are looked at only where these lead to them.
        layout: the project's.
        drafts: its schema files, and texts that stand for files.
        mentions: which schema files there are.
        has_manifest: whether the index has one behind it. Without one, all doc blocks and macros are read, and with the
            files of nodes their neighbours, whose entries show where new ones belong.
    """
    reading = _Reading(index, Package(layout, drafts, mentions), drafts, wanted, has_manifest=has_manifest)
    if wanted.everything:
        reading.visit_everything()
    for path in wanted.files:  # before the models that call them
        reading.read_macros_and_docs(path)
    for path in wanted.files:
        reading.visit_file(path)
    reading.follow()
    return reading.result()


class _Reading:
    """One reading of some files: what was found, and what is still to be looked at."""

    def __init__(self, index: Index, own: Package, drafts: Drafts, wanted: Wanted, *, has_manifest: bool) -> None:
        self._index: Final = index
        self._own: Final = own
        self._drafts: Final = drafts
        self._wanted: Final = wanted
        self._has_manifest: Final = has_manifest
        self._texts: Final = CodeTexts(drafts)
        stamp = stamp_of(index.path) if has_manifest else None
        self._written: Final = stamp.mtime_ns if stamp is not None else 0
        self._sketches: Final = dict[str, Sketch]()
        self._by_name: Final = dict[str, dict[str, Sketch]]()
        self._gone: Final = set[str]()
        self._disabled: Final = set[str]()
        self._checked: Final = set[str]()
        """Nodes that were looked at, and of which entries."""
        self._entries_checked: Final = set[str]()
        self._read: Final = set[Path]()
        self._ids = list[str]()
        """What is still to be looked at: nodes that the manifest knows, refs, sources."""
        self._refs = list[tuple[Package, Ref]]()
        self._sources = list[tuple[Package, tuple[str, str]]]()
        self._docs: Final = dict[tuple[str, str], DocBlock]()
        self._doc_files: Final = set[tuple[str, str]]()
        self._macros: Final = dict[str, Macro]()
        self._notes: Final = dict[str, None]()
        self._own_folders: Final = dict[Path, bool]()
        if not has_manifest:
            for package in (own, *self._packages):
                self._read_docs(package, files_below(package.layout, package.layout.docs_paths, _PROSE))
                self._read_macros(package, files_below(package.layout, package.layout.macro_paths, {".sql"}))

    @cached_property
    def _packages(self) -> Sequence[Package]:
        return installed(self._own.layout, self._drafts)

    @cached_property
    def _sketcher(self) -> Sketcher:
        packages = () if self._has_manifest else self._packages
        return Sketcher(self._index, self._own, packages, self._texts, self._macros.values())

    # --- what is looked at ---

    def visit_everything(self) -> None:
        """All files of the project, and all that the manifest knows of it."""
        if self._has_manifest:
            layout = self._own.layout
            docs, macros = (
                files_below(layout, layout.docs_paths, _PROSE),
                files_below(layout, layout.macro_paths, {".sql"}),
            )
            self._read_docs(self._own, filter(self._is_newer, docs))
            self._read_macros(self._own, filter(self._is_newer, macros))
        for path in self._own.files:
            self._visit_code(path)
        for path in self._own.mentions.files:
            self._visit_schema(path)
        self._ids += [card.unique_id for card in self._index.cards if self._index.is_editable(card)]

    def read_macros_and_docs(self, path: Path) -> None:
        """Those of a file that was asked for."""
        if self._own.is_prose(path):
            self._read_docs(self._own, [path])
        elif self._own.is_macro(path):
            self._read_macros(self._own, [path])

    def visit_file(self, path: Path) -> None:
        """The nodes that a file defines or describes which was asked for."""
        if path.suffix.lower() in _YAML:
            self._visit_schema(path)
        elif self._own.kind_of(path) is not None or self._nodes_of(path, self._own):
            self._visit_code(path)
            if not self._has_manifest:
                for neighbour in self._own.files_in(path.parent):
                    self._visit_code(neighbour)

    def follow(self) -> None:
        """Look at all that was found to matter, until nothing new does."""
        while self._ids or self._refs or self._sources:
            self._follow_ids()
            if self._refs:
                self._visit_ref(*self._refs.pop())
            elif self._sources:
                self._visit_source(*self._sources.pop())

    def _follow_ids(self) -> None:
        while self._ids:
            self._visit_node(self._ids.pop())

    def _visit_code(self, path: Path) -> None:
        """A file that defines nodes, or did so."""
        known = self._nodes_of(path, self._own)
        self._ids += known
        kind = self._own.kind_of(path)
        if kind is None or (known and kind != "snapshot") or not self._texts.exists(path):
            return
        if not known or len(code_files.snapshots_in(self._texts.text(path) or "")) != len(known):
            self._read_code(path, kind, self._own)

    def _visit_schema(self, path: Path) -> None:
        """A schema file: the nodes that it describes, and those that it did."""
        if not self._is_own(path):
            return
        document = self._drafts.get(path)
        if document is not None and document.broken:
            return
        here = self._own.relative(path)
        if document is not None:
            self._visit_entries(path, here, document)
            self._visit_source_tables(path, here, document)
        for node in self._index.nodes_in_file(here, self._own.name):
            if node.schema_path == here:
                self._ids.append(node.unique_id)
                self._check_entry(node)

    def _visit_entries(self, path: Path, here: str, document: Document) -> None:
        versioned = {entry.key.name for entry in document.entries if entry.slot is None}
        for entry in document.entries:
            key = entry.key
            if entry.slot is None or key.resource_type == "source":
                continue
            known = self._index.find(key, package=self._own.name, path=here)
            if not known or key.name in versioned:
                self._visit_files_called(key.name, Described(path, entry), self._own)
            for node in known:
                self._ids.append(node.unique_id)
                self._check_entry(node)
            if not known and key.resource_type == "snapshot" and "relation" in entry.data:
                self._keep(self._sketcher.yaml_snapshot(Described(path, entry), self._own))

    def _visit_source_tables(self, path: Path, here: str, document: Document) -> None:
        tables = [entry for entry in document.entries if entry.key.resource_type == "source"]
        ids = [f"source.{self._own.name}.{entry.key.source_name}.{entry.key.name}" for entry in tables]
        self._checked.update(ids)
        known = [self._index.nodes.get(unique_id) for unique_id in ids]
        if not (path in self._wanted.files or self._is_newer(path)) and all(
            node is not None
            and node.schema_path == here
            and [column.name for column in node.columns] == [slot.column for slot in entry.columns]
            for node, entry in zip(known, tables, strict=True)
        ):
            return
        for found in source_tables(path, document) if tables else ():
            self._visit_source_table(found, self._own)

    def _visit_source_table(self, found: SourceTable, package: Package) -> None:
        node = self._index.nodes.get(f"source.{package.name}.{found.source['name']}.{found.table['name']}")
        columns = properties.columns_of(found.table)
        if (
            node is None
            or package.relative(found.file) != node.schema_path
            or not _is_alike(columns, node.columns, "source")
        ):
            self._keep(self._sketcher.source(found, package))

    def _visit_node(self, unique_id: str) -> None:
        """A node that the manifest knows: whether it is as it was."""
        if unique_id in self._checked:
            return
        self._checked.add(unique_id)
        node = self._index.nodes[unique_id]
        if node.package_name != self._own.name:
            return  # packages are installed as a whole; `dbt deps` and `dbt parse` go together
        path = self._own.absolute(node.path)
        if not self._is_own(path):
            return  # whatever a manifest says, nothing else is read
        if node.resource_type == "source" or path.suffix.lower() in _YAML:
            if not self._has_manifest or self._is_newer(path):
                self._visit_yaml_node(node, path)
        elif not self._texts.exists(path):
            self._gone.add(unique_id)
            self._find_by_name(node.name, self._own)
        else:
            text = self._texts.text(path)
            if text is not None and is_same(node, text) is False:
                self._read_code(path, node.resource_type, self._own)
            else:
                self._check_entry(node)
        if self._wanted.upstream and unique_id not in self._sketches and unique_id not in self._gone:
            self._ids += node.depends_on

    def _visit_yaml_node(self, node: Node, path: Path) -> None:
        """A source table, or a snapshot that is all YAML, whose file is newer than the manifest."""
        if node.resource_type == "source":
            found = self._own.source(node.source_name or "", node.name)
            if found is None:
                self._gone.add(node.unique_id)
            else:
                self._visit_source_table(found, self._own)
            return
        self._gone.add(node.unique_id)
        self._find_by_name(node.name, self._own, folder=path.parent)

    def _visit_ref(self, package: Package, ref: Ref) -> None:
        """What a ref means, if the manifest does not know."""
        self._ids += [node.unique_id for node in self._index.called(ref.name)]
        self._follow_ids()
        for place in (self._own, *self._packages) if self._resolve(ref, package) is None else ():
            if ref.package in {None, place.name}:
                self._find_by_name(ref.name, place)
                if self._resolve(ref, package) is not None:
                    return

    def _find_by_name(self, name: str, package: Package, *, folder: Path | None = None) -> None:
        """Read the files of a package that may define what ``ref`` calls by this name."""
        folder = folder or package.root
        self._visit_files_called(name, package.described(EntryKey("model", name), folder=folder), package)
        for path in package.snapshot_files:
            if path not in self._read and name in (self._texts.text(path) or ""):
                self._read_code(path, "snapshot", package)
        snapshot = package.described(EntryKey("snapshot", name), folder=folder)
        if snapshot is not None and "relation" in snapshot.entry.data:
            self._keep(self._sketcher.yaml_snapshot(snapshot, package))

    def _visit_files_called(self, name: str, described: Described | None, package: Package) -> None:
        """The files of a model, of all its versions, or of a seed."""
        versions = properties.versions_of(described.entry.data) if described is not None else ()
        for stem in dict.fromkeys((name, *(version.stem for version in versions))):
            for path in package.files_called(stem):
                kind = package.kind_of(path)
                if package is self._own:
                    self._visit_code(path)
                elif kind is not None:
                    self._read_code(path, kind, package)

    def _visit_source(self, package: Package, source: tuple[str, str]) -> None:
        """A source table that something reads."""
        known = self._resolve_source(source, package)
        if known is not None:
            self._ids += [known] if known in self._index.nodes else []
            return
        for place in dict.fromkeys((package, self._own)):
            found = place.source(*source)
            if found is not None:
                self._keep(self._sketcher.source(found, place))
                return

    # --- reading ---

    def _read_code(self, path: Path, kind: ResourceType, package: Package) -> None:
        """The nodes of a file, as the file has them."""
        if path in self._read:
            return
        self._read.add(path)
        before = self._nodes_of(path, package)
        self._gone.update(before)
        self._checked.update(before)
        text = self._texts.text(path) or ""
        if kind == "seed":
            self._keep(self._sketcher.seed(path, package))
        elif kind == "snapshot":
            for block in code_files.snapshots_in(text):
                self._keep(self._sketcher.code(path, kind, block.name, block.inside, package))
        else:
            self._keep(self._sketcher.code(path, kind, path.stem, text.strip(), package))

    def _check_entry(self, node: Node) -> None:
        """Whether a node is described as the manifest has it, where the file may say otherwise by now."""
        unique_id = node.unique_id
        if node.resource_type == "source" or unique_id in self._entries_checked or unique_id in self._sketches:
            return
        self._entries_checked.add(unique_id)
        file = self._own.absolute(node.schema_path) if node.schema_path is not None else None
        if file is not None and file not in self._wanted.files and not self._is_newer(file):
            if not self._wanted.everything and self._texts.exists(file):
                return
            if node.version is None and self._lists(file, node):
                return
        described = self._described(node)
        columns = columns_of(described)
        where = self._own.relative(described.file) if described is not None else None
        if where != node.schema_path or not _is_alike(columns, node.columns, node.resource_type):
            self._keep(self._sketcher.entry(node, described))

    def _lists(self, file: Path, node: Node) -> bool:
        """Whether a schema file that is older than the manifest has the columns that this says."""
        document = self._drafts.get(file)
        entry = document.entry(EntryKey(node.resource_type, node.name)) if document is not None else None
        return entry is not None and {slot.column for slot in entry.columns} == {c.name for c in node.columns}

    def _described(self, node: Node) -> Described | None:
        folder = self._own.absolute(node.path).parent
        described = self._own.described(
            EntryKey(node.resource_type, node.name), first=node.schema_path, folder=folder
        )
        if described is None or node.version is None:
            return described
        for version in properties.versions_of(described.entry.data):
            if version.name == node.version:
                return Described(described.file, described.entry, version)
        return None

    def _keep(self, sketch: Sketch | Disabled) -> None:
        """Take a node as it was read; it may lead to others."""
        if isinstance(sketch, Disabled):
            self._gone.add(sketch.unique_id)
            self._disabled.add(sketch.unique_id)
            self._checked.add(sketch.unique_id)
            return
        unique_id = sketch.node.unique_id
        self._sketches[unique_id] = sketch
        if sketch.node.resource_type != "source":
            self._by_name.setdefault(sketch.node.name, {})[unique_id] = sketch
        self._gone.discard(unique_id)
        self._disabled.discard(unique_id)
        self._checked.add(unique_id)
        if self._wanted.upstream:
            self._ids += sketch.node.depends_on
            reads = [test.reads for test in sketch.tests]
            refs = (*sketch.refs, *(ref for one in reads for ref in one.refs))
            sources = (*sketch.sources, *(source for one in reads for source in one.sources))
            self._refs += [(sketch.package, ref) for ref in refs]
            self._sources += [(sketch.package, source) for source in sources]

    def _read_docs(self, package: Package, paths: Iterable[Path]) -> None:
        for path in paths:
            where = package.relative(path)
            self._doc_files.add((package.name, where))
            text = self._texts.text(path)
            blocks = code_files.docs_in(text, package=package.name, path=where) if text and "docs" in text else []
            self._docs.update({(package.name, block.name): block for block in blocks})

    def _read_macros(self, package: Package, paths: Iterable[Path]) -> None:
        for path in paths:
            text = self._texts.text(path)
            if text and "macro" in text:
                macros = code_files.macros_in(text, package=package.name)
                self._macros.update({macro.unique_id: macro for macro in macros})

    # --- what is known ---

    def _is_own(self, path: Path) -> bool:
        """Whether a file (without symbolic links) is one of the project's own."""
        known = self._own_folders.get(path.parent)
        if known is None:
            known = self._own_folders[path.parent] = self._own.layout.is_editable_path(path)
        return known

    def _is_newer(self, path: Path) -> bool:
        """Whether a file may have changed since the manifest was written."""
        if self._drafts.buffer(path) is not None:
            return True
        stamp = stamp_of(path)
        return stamp is not None and stamp.mtime_ns > self._written

    def _nodes_of(self, path: Path, package: Package) -> list[str]:
        """The nodes that the manifest says this file of code defines."""
        where = package.relative(path)
        return [node.unique_id for node in self._index.nodes_in_file(where, package.name) if node.path == where]

    def _resolve(self, ref: Ref, package: Package) -> str | None:
        """The node that a ref means; as for dbt, the project's own come first, then those of the package that asks."""
        made = [sketch.node for sketch in self._by_name.get(ref.name, {}).values()]
        known = [
            node
            for node in self._index.called(ref.name)
            if node.unique_id not in self._gone and node.unique_id not in self._sketches
        ]
        found = [
            node
            for node in (*made, *known)
            if ref.package in {None, node.package_name}
            and node.version == (node.latest_version if ref.version is None else ref.version)
        ]
        order = (self._own.name, package.name)
        found.sort(key=lambda node: order.index(node.package_name) if node.package_name in order else len(order))
        return found[0].unique_id if found else None

    def _resolve_source(self, source: tuple[str, str], package: Package) -> str | None:
        for place in (package.name, self._own.name):
            unique_id = f"source.{place}.{source[0]}.{source[1]}"
            if unique_id in self._sketches or (unique_id in self._index.nodes and unique_id not in self._gone):
                return unique_id
        return None

    # --- the result ---

    def result(self) -> CaughtUp:
        """The index with all that was read."""
        index = self._index
        gone = [unique_id for unique_id in self._gone if unique_id in index.nodes]
        if self._sketches or gone or self._disabled or self._doc_files or self._macros:
            made = Made(
                docs=self._docs,
                doc_files=frozenset(self._doc_files),
                macros=self._macros,
                disabled=frozenset(self._disabled),
            )
            docs = DocBlocks(overlaid(index, made))
            nodes = {
                unique_id: _with_docs(self._finished(sketch), docs) for unique_id, sketch in self._sketches.items()
            }
            tests = {unique_id: self._tests(sketch) for unique_id, sketch in self._sketches.items()}
            index = overlaid(index, replace(made, nodes=nodes, tests=tests), gone=gone)
        sketched = self._sketcher.notes if self._sketches else ()
        older = self._older(gone) if self._has_manifest else ()
        return CaughtUp(index, (*self._texts.notes, *sketched, *older))

    def _finished(self, sketch: Sketch) -> Node:
        if sketch.keeps_parents:
            return sketch.node
        parents = [self._resolve(ref, sketch.package) for ref in sketch.refs]
        parents += [self._resolve_source(source, sketch.package) for source in sketch.sources]
        found = {parent for parent in parents if parent is not None} - {sketch.node.unique_id}
        return msgspec.structs.replace(sketch.node, depends_on=tuple(sorted(found)))

    def _tests(self, sketch: Sketch) -> tuple[Test, ...]:
        node = sketch.node
        found: list[Test] = []
        for number, test in enumerate(sketch.tests):
            reads = [self._resolve(ref, sketch.package) for ref in test.reads.refs]
            reads += [self._resolve_source(source, sketch.package) for source in test.reads.sources]
            found.append(
                Test(
                    unique_id=f"test.{node.package_name}.{test.name}_{short_name(node.unique_id)}.{number:04}",
                    node=node.unique_id,
                    column=test.column,
                    name=test.name,
                    namespace=test.namespace,
                    arguments=test.arguments,
                    refers_to=tuple(one for one in reads if one is not None),
                    where=test.where,
                    warns=test.warns,
                )
            )
        return tuple(found)

    def _older(self, gone: Sequence[str]) -> tuple[str, ...]:
        """Which nodes the manifest knows in an older form, in words."""
        changed = [unique_id for unique_id, sketch in self._sketches.items() if not sketch.keeps_parents]
        names = sorted(short_name(unique_id) for unique_id in dict.fromkeys((*changed, *gone)))
        if not names:
            return ()
        some = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
        older = f"{shown(self._index.path)} is older than {len(names)} of the nodes ({some}): these are read from their files."
        return (f"{older} Run `dbt parse`, or `dbt compile` where compiled SQL matters.",)


def _with_docs(node: Node, docs: DocBlocks) -> Node:
    """The node with its descriptions rendered, as a manifest has them."""
    texts = (node.description, *(column.description for column in node.columns))
    if not any("{{" in text for text in texts):
        return node
    package = node.package_name
    columns = tuple(
        msgspec.structs.replace(column, description=docs.rendered(column.description, of=package))
        for column in node.columns
    )
    description = docs.rendered(node.description, of=package)
    return msgspec.structs.replace(node, description=description, columns=columns)


def _is_alike(now: Sequence[Column], before: Sequence[Column], kind: ResourceType) -> bool:
    """Whether two lists of columns say the same, but for descriptions, which are read from the files anyway."""

    def facts(column: Column) -> tuple[object, ...]:
        return column.name, column.data_type, column.quote, sorted(column.tags), dict(column.meta)

    if kind == "seed":  # of a seed that was read here, the header's columns follow
        before = before[: len(now)]
    return [facts(column) for column in now] == [facts(column) for column in before]
