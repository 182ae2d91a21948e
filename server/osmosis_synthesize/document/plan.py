"""From changes to insertions, and what the tree of nodes is expected to become."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from osmosis_synthesize.document.data import fields_of
from osmosis_synthesize.document.model import (
    Change,
    Clear,
    Document,
    Fill,
    NewColumn,
    NewEntry,
    Rejected,
    SetMeta,
    Slot,
)
from osmosis_synthesize.document.nodes import Alias, Map, Node, Scalar, Seq, content_end, is_null, resolved
from osmosis_synthesize.document.parts import SECTIONS, TOP_LEVEL
from osmosis_synthesize.document.prove import Expected
from osmosis_synthesize.document.reader import shared_nodes
from osmosis_synthesize.document.render import (
    KEY,
    Data,
    block_item,
    block_items,
    column_data,
    description,
    entry_data,
    flow,
)
from osmosis_synthesize.document.scalar import has_surrogates, on_one_line
from osmosis_synthesize.document.style import FileStyle, blank_before_last, column_of, dash_of
from osmosis_synthesize.names import EntryKey, ResourceType, fold
from osmosis_synthesize.text import Span, TextEdit

META: Final = ("config", "meta")
"""Where dbt keeps what others want to know of a node or column, since 1.10 also of columns."""


class CannotEdit(Exception):
    """A change cannot be made, for the reason given."""


@dataclass(slots=True)
class Plan:
    """What to insert, what that must lead to, and which changes cannot be made."""

    edits: list[TextEdit] = field(default_factory=list[TextEdit])
    expected: Expected = field(default_factory=Expected)
    made: list[Change] = field(default_factory=list[Change])
    rejected: list[Rejected] = field(default_factory=list[Rejected])


@dataclass(frozen=True, slots=True)
class _Item:
    """A new item of a list, behind the old item of index ``after`` (``None``: behind the last, −1: before the first)."""

    data: dict[str, Data]
    after: int | None = None


def plan_changes(document: Document, changes: Sequence[Change], style: FileStyle) -> Plan:
    """Plan all changes that can be made; each of the others is rejected with its reason.

    Edits at one offset come in the order in which their texts must stand: descriptions, then columns, then entries.
    """
    if document.root is None:
        reason = document.problems[0].message if document.problems else "there is nothing in it"
        rejected = [Rejected(change, f"the file cannot be edited: {reason}") for change in changes]
        return Plan(rejected=rejected)
    planner = _Planner(document, document.root, style)
    columns: dict[EntryKey, list[NewColumn]] = {}
    entries: dict[tuple[ResourceType, str | None], list[NewEntry]] = {}
    marks: list[SetMeta] = []
    for change in changes:
        if isinstance(change, SetMeta):
            marks.append(change)
        elif isinstance(change, Fill):
            with planner.making([change]):
                planner.fill(change)
        elif isinstance(change, Clear):
            with planner.making([change]):
                planner.clear(change)
        elif isinstance(change, NewColumn):
            columns.setdefault(change.key, []).append(change)
        else:
            entries.setdefault((change.key.resource_type, change.key.source_name), []).append(change)
    # An entry may end on the line of its last column.
    for mark in sorted(marks, key=lambda mark: mark.slot.column is None):
        with planner.making([mark]):
            planner.set_meta(mark)
    # Of two lists that end on the same line the inner one comes first, and new keys come behind both.
    for key, group in sorted(columns.items(), key=lambda item: item[0].version is None):
        planner.add_columns(key, group)
    top = fields_of(document.root).pairs
    for (resource_type, source), new in sorted(
        entries.items(), key=lambda item: item[0][0] in SECTIONS and SECTIONS[item[0][0]] not in top
    ):
        planner.add_entries(resource_type, source, new)
    return planner.plan


class _Making:
    """See :meth:`_Planner.making`. A generator would take as long as what is done inside."""

    __slots__ = ("_changes", "_plan")

    def __init__(self, plan: Plan, changes: Sequence[Change]) -> None:
        self._plan = plan
        self._changes = changes

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, reason: BaseException | None, _trace: object) -> bool:
        if reason is None:
            self._plan.made.extend(self._changes)
            return False
        if isinstance(reason, CannotEdit):
            self._plan.rejected.extend(Rejected(change, str(reason)) for change in self._changes)
            return True
        return False


class _Planner:
    def __init__(self, document: Document, root: Map, style: FileStyle) -> None:
        self.document = document
        self.root = root
        self.text = document.text
        self.lines = document.lines
        self.style = style
        self.plan = Plan()
        self.shared = shared_nodes(root) if "*" in document.text else {}

    def making(self, changes: Sequence[Change]) -> _Making:
        """What is done inside is done for ``changes``: they are made, or all rejected if it cannot be done."""
        return _Making(self.plan, changes)

    def replace(self, start: int, end: int, new_text: str) -> None:
        self.plan.edits.append(TextEdit(Span(start, end), new_text))

    # Descriptions

    def mapping_of(self, slot: Slot) -> Map:
        """The mapping whose description a slot is."""
        if slot.blocked_by is not None:
            raise CannotEdit(slot.blocked_by)
        place = self.document.places.get(slot.name_span.start)
        if place is None or (place.slot is not slot and place.slot != slot):
            raise CannotEdit("the slot is none of this document's: the text has changed since it was read")
        mapping = place.node
        if id(mapping) in self.plan.expected.texts or id(mapping) in self.plan.expected.cleared:
            raise CannotEdit("the slot is filled by another change already")
        return mapping

    def clear(self, change: Clear) -> None:
        mapping = self.mapping_of(change.slot)
        own = fields_of(mapping).pairs.get("description")
        if own is None:
            raise CannotEdit("there is no description")
        key, value = own
        end = content_end(value, self.text)
        line = self.lines.line_span(self.lines.line_of(key.start))
        rest = self.lines.line_span(self.lines.line_of(end)).end
        before = self.text[line.start : key.start]
        at = mapping.pairs.index(own)
        if mapping.flow and at > 0:
            self.replace(content_end(mapping.pairs[at - 1][1], self.text), end, "")
        elif mapping.flow and len(mapping.pairs) > 1:
            self.replace(key.start, mapping.pairs[1][0].start, "")
        elif before.strip() or self.text[end:rest].strip() or len(mapping.pairs) == 1:
            # A dash stands before it, or a comment behind it; an entry of nothing else would become a null.
            self.replace(self.text.index(":", key.end) + 1, end, "")
        else:
            self.remove_lines(line.start, rest)
        self.plan.expected.cleared.add(id(mapping))

    def fill(self, change: Fill) -> None:
        _check_text(change.text)
        mapping = self.mapping_of(change.slot)
        fields = fields_of(mapping)
        own = fields.pairs.get("description")
        if own is None:
            anchor = fields.pairs.get("name") or fields.pairs.get("<<") or mapping.pairs[0]
            self.insert_description(mapping, anchor, change.text)
        else:
            self.replace_description(mapping, own, change.text)
        self.plan.expected.texts[id(mapping)] = change.text

    def insert_description(self, mapping: Map, anchor: tuple[Node, Node], text: str) -> None:
        key, value = anchor
        end = content_end(value, self.text)
        if mapping.flow:
            self.replace(end, end, f", {self.flow_key(key, 'description')}: {self.flow_value(key, text)}")
        else:
            column = column_of(self.document, key.start)
            self.insert_lines(end, " " * column + KEY + description(text, column, self.style))

    def replace_description(self, mapping: Map, own: tuple[Node, Node], text: str) -> None:
        key, value = own
        start, end = value.start, content_end(value, self.text)
        rest = self.lines.line_span(self.lines.line_of(end)).end
        behind = self.text[end:rest]
        if mapping.flow:
            new = self.flow_value(key, text)
        elif behind.strip():  # a comment: a block's header could carry it, but then it would belong to the block
            new = on_one_line(text, self.style.quote, other=self.style.other_quote)
        else:
            new = description(text, column_of(self.document, key.start), self.style)
        if start < end:
            if (
                isinstance(value, Scalar)
                and value.style in ("|", ">")
                and "#" in self.text[start:end].split("\n", 1)[0]
            ):
                raise CannotEdit("the value to be replaced has a comment in its first line")
            # Blanks behind the old value would become a part of a block.
            self.replace(start, rest if self.style.newline in new and not mapping.flow else end, new)
        elif start == key.end:
            self.replace(start, start, ": " + new)  # {name: x, description}
        elif behind == " ":
            self.replace(end + 1, end + 1, new)
        elif behind.strip() or not behind:
            self.replace(end, end, " " + new)
        else:
            self.replace(start, rest, " " + new)

    def flow_key(self, like: Node, key: str) -> str:
        """A key in braces, in double quotes where ``like``, its neighbour, is."""
        return f'"{key}"' if isinstance(like, Scalar) and like.style == '"' else key

    def flow_value(self, like: Node, text: str) -> str:
        quote = '"' if isinstance(like, Scalar) and like.style == '"' else self.style.quote
        return on_one_line(text, quote, other=self.style.other_quote, flow=True)

    # Meta

    def set_meta(self, change: SetMeta) -> None:
        """Follow ``config: meta:`` as far as it is there, and write the rest behind what the mapping there holds."""
        mapping = self.mapping_of(change.slot)
        data: Data = change.value
        for key in (change.key, *reversed(META)):
            data = {key: data}
        for key in (*META, change.key):
            data = data[key] if isinstance(data, Mapping) else data
            pair = fields_of(mapping).pairs.get(key)
            if pair is None:
                if fields_of(mapping).value(key) is not None:
                    raise CannotEdit(f"`{key}:` is merged from elsewhere: one of its own would hide the merged one")
                self.append_pair(mapping, key, data)
                return
            value = pair[1]
            if isinstance(value, Alias) or value.anchor is not None:
                raise CannotEdit(f"`{key}:` is shared by an anchor")
            if isinstance(value, Map) and value.pairs and key != change.key:
                mapping = value
                continue
            self.replace_value(pair[0], value, data)
            return

    def append_pair(self, owner: Map, key: str, data: Data) -> None:
        """Put a key behind the last one of a mapping, with texts on one line each."""
        lines: list[str] = []
        name, value, depth = key, data, column_of(self.document, owner.pairs[0][0].start)
        while isinstance(value, Mapping):
            lines.append(f"{' ' * depth}{name}:")
            name, value = next(iter(value.items()))
            depth += self.style.body_indent
        lines.append(f"{' ' * depth}{name}: {flow(value, self.style)}")
        self.append_lines(owner, key, data, self.style.newline.join(lines))

    def append_lines(self, owner: Map, key: str, data: Data, lines: str, *, blank: bool = False) -> None:
        """Put a key behind the last one of a mapping: as ``lines``, or between its braces if it has some."""
        end = content_end(owner.pairs[-1][1], self.text)
        first = owner.pairs[0][0]
        if owner.flow:
            self.replace(end, end, f", {self.flow_key(first, key)}: {flow(data, self.style)}")
        else:
            column = column_of(self.document, first.start)
            self.insert_lines(self.behind_comments(end, column - 1), lines, blank=blank)
        self.plan.expected.pairs.setdefault(id(owner), []).append((key, data))

    def replace_value(self, key: Node, value: Node, data: Data) -> None:
        """Put another value in place of a null, an empty mapping or a text of one line."""
        start, end = value.start, content_end(value, self.text)
        empty = is_null(value) or (isinstance(value, Map) and not value.pairs)
        text = isinstance(value, Scalar) and value.style in {"'", '"'} and "\n" not in self.text[start:end]
        if not empty and not text:
            raise CannotEdit("what stands in `config:` there is neither a mapping nor a text on one line")
        colon = self.text.index(":", key.end) + 1
        self.replace(colon, max(end, colon), " " + flow(data, self.style))
        self.plan.expected.values[id(value)] = data

    # Columns and entries

    def add_columns(self, key: EntryKey, columns: Sequence[NewColumn]) -> None:
        entry = self.document.entry(key)
        known = {fold(slot.column or "") for slot in entry.columns} if entry is not None else set[str]()
        accepted: list[NewColumn] = []
        for column in columns:
            try:
                _check_column(column, known if entry is not None else None)
            except CannotEdit as reason:
                self.plan.rejected.append(Rejected(column, str(reason)))
            else:
                known.add(fold(column.name))
                accepted.append(column)
        if entry is not None and accepted:
            with self.making(accepted):
                self.add_items(entry.node, "columns", self.ordered(entry.node, accepted))

    def ordered(self, entry: Map, columns: Sequence[NewColumn]) -> list[_Item]:
        """The new columns with the index of the old one that each comes behind."""
        after: dict[str, int | None] = {**_places(entry, "columns")}
        items: list[_Item] = []
        for column in columns:
            index = -1 if column.first else after.get(fold(column.after)) if column.after is not None else None
            after[fold(column.name)] = index  # another new one may come behind this one
            items.append(_Item(column_data(column), index))
        return items

    def add_entries(self, resource_type: ResourceType, source: str | None, entries: Sequence[NewEntry]) -> None:
        accepted: list[NewEntry] = []
        for entry in entries:
            try:
                self.check_entry(entry, accepted)
            except CannotEdit as reason:
                self.plan.rejected.append(Rejected(entry, str(reason)))
            else:
                accepted.append(entry)
        if not accepted:
            return
        with self.making(accepted):
            owner = self.root if resource_type != "source" else self.source(source)
            name = SECTIONS[resource_type] if resource_type != "source" else "tables"
            places = _places(owner, name) if any(entry.before is not None for entry in accepted) else {}
            befores = [
                places.get(fold(entry.before.name)) if entry.before is not None else None for entry in accepted
            ]
            items = [
                _Item(entry_data(entry), before - 1 if before is not None else None)
                for entry, before in zip(accepted, befores, strict=True)
            ]
            self.add_items(owner, name, items)

    def check_entry(self, entry: NewEntry, accepted: Sequence[NewEntry]) -> None:
        key = entry.key
        _check_name(key.name)
        if key.version is not None:
            raise CannotEdit(f"`{key}` is a version: it belongs into the `versions:` of `{key.name}`")
        if self.document.entry(key) is not None or any(other.key == key for other in accepted):
            raise CannotEdit(f"there is an entry `{key}` already")
        for text in (entry.description, *(column.description for column in entry.columns)):
            if text is not None:
                _check_text(text)
        names = [fold(column.name) for column in entry.columns]
        for name in names:
            _check_name(name)
        if len(set(names)) < len(names):
            raise CannotEdit(f"`{key}` would list a column twice")

    def source(self, name: str | None) -> Map:
        """The mapping of the source of that name."""
        value = fields_of(self.root).value("sources")
        sources = resolved(value) if value is not None else None
        for item in sources.items if isinstance(sources, Seq) else ():
            mapping = resolved(item)
            if isinstance(mapping, Map):
                found = fields_of(mapping).value("name")
                named = resolved(found) if found is not None else None
                if isinstance(named, Scalar) and named.value == name:
                    if isinstance(item, Alias) or id(mapping) in self.shared:
                        raise CannotEdit(f"the source `{name}` is shared by an anchor")
                    return mapping
        raise CannotEdit(f"the source `{name}` is not declared in this file")

    def add_items(self, owner: Map, key: str, items: Sequence[_Item]) -> None:
        """Add items to the list under ``key``, which may be absent, null, empty, in brackets or in lines."""
        if id(owner) in self.shared:
            raise CannotEdit("the entry is shared by an anchor: an addition would change all that use it")
        fields = fields_of(owner)
        pair = fields.pairs.get(key)
        if pair is None:
            if fields.value(key) is not None:
                raise CannotEdit(f"`{key}:` is merged from elsewhere: a list of its own would hide the merged one")
            self.add_list(owner, key, items)
            return
        value = pair[1]
        if isinstance(value, Alias):
            raise CannotEdit(f"`{key}:` is an alias: nothing can be appended to it")
        if value.anchor is not None and (id(value) in self.shared or is_null(value)):
            raise CannotEdit(f"`{key}:` is shared by an anchor: an addition would change all that use it")
        if is_null(value) or (isinstance(value, Seq) and not value.items):
            self.begin_list(owner, pair[0], value, items)
        elif not isinstance(value, Seq):
            raise CannotEdit(f"`{key}:` is no list")
        elif value.flow:
            self.add_in_brackets(value, items)
        else:
            self.add_in_lines(key, value, items)

    def add_list(self, owner: Map, key: str, items: Sequence[_Item]) -> None:
        """Append ``key`` with its list to a mapping that lacks it."""
        column = column_of(self.document, owner.pairs[0][0].start)
        written = self.new_items(items, column + self.style.sequence_indent, key)
        lines = f"{' ' * column}{key}:{self.style.newline}{written}"
        separated = owner is self.root and self.top_level_is_separated()
        self.append_lines(owner, key, [item.data for item in items], lines, blank=separated)

    def begin_list(self, owner: Map, key: Node, value: Node, items: Sequence[_Item]) -> None:
        """Write the first items of a list that is null or ``[]``."""
        data: list[Data] = [item.data for item in items]
        colon = self.text.index(":", key.end) + 1
        end = max(value.end, colon)
        if owner.flow:
            self.replace(colon, end, " " + flow(data, self.style))
        else:
            if value.end > value.start:
                self.replace(colon, end, "")
            column = column_of(self.document, owner.pairs[0][0].start)
            name = key.value if isinstance(key, Scalar) else ""
            self.insert_lines(end, self.new_items(items, column + self.style.sequence_indent, name))
        self.plan.expected.values[id(value)] = data

    def new_items(self, items: Sequence[_Item], dash: int, key: str) -> str:
        written = block_items([item.data for item in items], dash, self.style)
        if key in TOP_LEVEL.values() or key in SECTIONS.values():
            separator = self.style.newline * 2
            return separator.join(block_item(item.data, dash, self.style.dash_gap, self.style) for item in items)
        return written

    def add_in_brackets(self, sequence: Seq, items: Sequence[_Item]) -> None:
        for item in items:
            index = len(sequence.items) - 1 if item.after is None else item.after
            if index < 0:
                self.replace(sequence.items[0].start, sequence.items[0].start, flow(item.data, self.style) + ", ")
            else:
                at = content_end(sequence.items[index], self.text)
                self.replace(at, at, ", " + flow(item.data, self.style))
            self.expect_item(sequence, index + 1, item)

    def add_in_lines(self, key: str, sequence: Seq, items: Sequence[_Item]) -> None:
        layout = dash_of(self.document, sequence)
        if layout is None:
            raise CannotEdit(f"the first item of `{key}:` does not begin on the line of its dash")
        dash, gap = layout
        blank = blank_before_last(self.document, sequence)
        if blank is None:
            blank = self.style.blank_between_columns if key == "columns" else key in SECTIONS.values()
        for item in items:
            index = len(sequence.items) - 1 if item.after is None else item.after
            written = block_item(item.data, dash, gap, self.style)
            if index < 0:
                at = self.before_comments(sequence.items[0].start)
                self.replace(at, at, written + self.style.newline * (2 if blank else 1))
            else:
                self.insert_lines(
                    self.behind_comments(content_end(sequence.items[index], self.text), dash), written, blank=blank
                )
            self.expect_item(sequence, index + 1, item)

    def expect_item(self, sequence: Seq, index: int, item: _Item) -> None:
        self.plan.expected.items.setdefault(id(sequence), {}).setdefault(index, []).append(item.data)

    # Lines

    def insert_lines(self, offset: int, lines: str, *, blank: bool = False) -> None:
        """Put whole lines behind the line in which ``offset`` lies, with a blank line before them if asked for."""
        newline = self.style.newline
        gap = newline if blank else ""
        line = self.lines.line_of(offset) + 1
        if line < self.lines.line_count:
            at = self.lines.line_start(line)
            self.replace(at, at, gap + lines + newline)
        else:  # the file's last line has no line break: it gets one, the new last line stays without
            at = len(self.text)
            self.replace(at, at, newline + gap + lines)

    def remove_lines(self, start: int, end: int) -> None:
        """Take out whole lines: of the text's last one the line break before it, of any other the one behind it."""
        line = self.lines.line_of(end) + 1
        if line < self.lines.line_count:
            self.replace(start, self.lines.line_start(line), "")
        elif start > 0:
            self.replace(self.lines.line_span(self.lines.line_of(start) - 1).end, end, "")

    def before_comments(self, offset: int) -> int:
        """The start of the line of ``offset``, or of the comment and blank lines right above it."""
        line = self.lines.line_of(offset)
        while line > 0 and self.lines.line_text(line - 1).lstrip(" ")[:1] in {"", "#"}:
            line -= 1
        return self.lines.line_start(line)

    def behind_comments(self, offset: int, column: int) -> int:
        """``offset``, or the end of the comment lines below that are indented by more than ``column``."""
        line = self.lines.line_of(offset) + 1
        while line < self.lines.line_count:
            text = self.lines.line_text(line)
            bare = text.lstrip(" ")
            if bare.startswith("#") and len(text) - len(bare) > column:
                offset = self.lines.line_span(line).end
            elif bare.strip():
                break
            line += 1
        return offset

    def top_level_is_separated(self) -> bool:
        """Whether blank lines stand between the top-level keys (or there is only one)."""
        pairs = self.root.pairs
        if len(pairs) < 2:
            return True
        end = content_end(pairs[-2][1], self.text)
        first, last = self.lines.line_of(end), self.lines.line_of(pairs[-1][0].start)
        return any(not self.lines.line_text(line).strip() for line in range(first + 1, last))


def _check_text(text: str) -> None:
    if not text.strip():
        raise CannotEdit("an empty text is no description")
    if has_surrogates(text):
        raise CannotEdit("the text holds half a character (a lone surrogate), which YAML cannot hold")


def _places(owner: Map, key: str) -> dict[str, int]:
    """Where in the list under ``key`` the items of each name are, compared without case; the last one of a name wins."""
    found: dict[str, int] = {}
    value = fields_of(owner).value(key)
    items = resolved(value) if value is not None else None
    for index, item in enumerate(items.items if isinstance(items, Seq) else ()):
        mapping = resolved(item)
        name = fields_of(mapping).value("name") if isinstance(mapping, Map) else None
        named = resolved(name) if name is not None else None
        if isinstance(named, Scalar):
            found[fold(named.value)] = index
    return found


def _check_column(column: NewColumn, known: Collection[str] | None) -> None:
    if known is None:
        raise CannotEdit(f"there is no entry `{column.key}` in this file")
    if fold(column.name) in known:
        raise CannotEdit(f"`{column.key}` has a column `{column.name}` already")
    _check_name(column.name)
    if column.description is not None:
        _check_text(column.description)


def _check_name(name: str) -> None:
    if not name.strip() or has_surrogates(name):
        raise CannotEdit(f"{name!r} is no name")
