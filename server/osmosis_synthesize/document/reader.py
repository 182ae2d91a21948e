"""From a schema file's text to its slots."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from sys import intern
from typing import Final

from osmosis_synthesize.document.compose import (
    Composed,
    NotAlone,
    Unreadable,
    compose_lines,
    compose_whole,
)
from osmosis_synthesize.document.data import Fields, fields_of, is_true
from osmosis_synthesize.document.model import Document, Edited, Entry, Layout, Place, Problem, Slot, SlotState
from osmosis_synthesize.document.nodes import (
    Alias,
    Map,
    Node,
    Scalar,
    Seq,
    Target,
    content_end,
    is_aliased,
    is_null,
    resolved,
)
from osmosis_synthesize.document.parts import SECTIONS, TOP_LEVEL, Stretch, items_of, layout_of, list_in, stretches
from osmosis_synthesize.document.placeholders import DEFAULT_PLACEHOLDERS, is_placeholder
from osmosis_synthesize.garbage import unsearched
from osmosis_synthesize.names import EntryKey, ResourceType
from osmosis_synthesize.text import LineIndex, Span

# Every top-level key of a property file that dbt reads: what stands under another one is there to be referred to.
# https://docs.getdbt.com/reference/configs-and-properties
_READ_BY_DBT: Final = frozenset(
    {
        *TOP_LEVEL,
        *("sources", "exposures", "macros", "metrics", "semantic_models", "saved_queries", "groups", "unit_tests"),
        *("analyses", "data_tests", "tests", "functions", "operations"),
    }
)


def is_gap(slot: Slot, placeholders: Collection[str] = DEFAULT_PLACEHOLDERS) -> bool:
    """Whether a slot has no real description: absent, empty, blocked, or one of ``placeholders``.

    A blocked slot is a gap that cannot be filled: a report gives :attr:`Slot.blocked_by` as the reason.
    ``{{ doc(…) }}`` is a description, in whatever way it is written.
    """
    return slot.text is None or is_placeholder(slot.text, placeholders)


def parse(text: str) -> Document:
    """Find the entries and slots of a schema file. Never raises: what cannot be read is among the problems."""
    try:
        with unsearched():
            return _found(text, compose_whole(text))
    except Unreadable as error:
        return Document(text, Layout(others=(unreadable(text, error),)), broken=True)


def parse_edited(edited: Edited) -> Document:
    """The document that an edit has led to."""
    return _found(edited.text, edited.composed) if edited.composed is not None else parse(edited.text)


def _found(text: str, composed: Composed) -> Document:
    root, slowly = composed
    if root is None or is_null(root):
        return Document(text, Layout())
    if not isinstance(root, Map):
        problem = Problem(_span(root, text), "a schema file is a mapping (`version: 2`, `models:`, …); this is not")
        return Document(text, Layout(others=(problem,)))
    aliased = "*" in text and is_aliased(root)
    reader = _Reader(text, shared_nodes(root) if aliased else {})
    reader.read(root)
    alone = None if slowly or aliased else stretches(text, root)
    if alone is None:
        alone = [Stretch(Span(0, len(text)), None)]
    return Document(text, layout_of(alone, reader.entries, reader.problems), root, reader.places)


def read_stretch(text: str, stretch: Stretch) -> Layout:
    """Read whole items of one list again, in a text of which nothing else is looked at.

    Raises:
        Unreadable: they are no YAML.
        NotAlone: they are more or less than items of that list.
    """
    span, frame = stretch
    if frame is None:
        raise NotAlone
    root = compose_lines(text, span, frame.before)
    items = list_in(root, frame, text, span)
    reader = _Reader(text, {})
    if frame.resource_type is not None:
        reader.read_list(frame.resource_type, items, frame.source, None)
    parts = items_of(text, items, frame, span.end)
    if parts is None:
        raise NotAlone
    return layout_of(parts, reader.entries, reader.problems)


def unreadable(text: str, error: Unreadable) -> Problem:
    """The problem of a text that is no YAML."""
    message = error.message
    if "{%" in text or "{{" in text:
        message += " (a Jinja template is no schema file until it is rendered)"
    at = min(error.offset, len(text))
    return Problem(Span(at, at), message)


class _Reader:
    """Walks over one text's nodes, collecting entries, problems and places."""

    def __init__(self, text: str, shared: Mapping[int, list[int]]) -> None:
        self.text = text
        self.shared = shared
        self.entries: list[Entry] = []
        self.problems: list[Problem] = []
        self.places: dict[int, Place] = {}

    def read(self, root: Map) -> None:
        """Read a whole file."""
        top = fields_of(root)
        for key, value in top.repeated:
            name = self.text[key.start : key.end]
            if not is_null(value):
                self.problem(key, f"`{name}:` stands here twice, and dbt reads only the last one")
        for name, (_, value) in top.pairs.items():
            resource_type = TOP_LEVEL.get(name)
            if resource_type is not None:
                self.read_list(resource_type, value, None, None)
            elif name == "sources":
                for _, mapping, why in self.items(value, "`sources:`", None):
                    self.read_source(mapping, why)

    def read_list(self, resource_type: ResourceType, value: Node, source: str | None, why: str | None) -> None:
        """Read a list of entries, all of one type, and of one source if they are tables."""
        what = f"`{SECTIONS[resource_type]}:`" if source is None else f"`tables:` of `{source}`"
        for item, mapping, item_why in self.items(value, what, why):
            self.read_entry(resource_type, item, mapping, source, item_why)

    @cached_property
    def lines(self) -> LineIndex:
        return LineIndex(self.text)

    def problem(self, node: Node, message: str) -> None:
        self.problems.append(Problem(_span(node, self.text), message))

    def items(self, value: Node, what: str, why: str | None) -> Iterator[tuple[Node, Map, str | None]]:
        """The mappings of a list, each with why nothing may be written into it (``None`` where it may)."""
        target = resolved(value)
        if is_null(target):
            return
        if not isinstance(target, Seq):
            self.problem(value, f"{what} is no list, so dbt cannot read it")
            return
        why = why or self.why_shared(target)
        for item in target.items:
            mapping = resolved(item)
            if isinstance(mapping, Map):
                yield item, mapping, why or self.why_shared(mapping)
            else:
                self.problem(item, f"an item of {what} is no mapping (`- name: …`)")

    def why_shared(self, target: Target) -> str | None:
        uses = self.shared.get(id(target))
        if uses is None:
            return None
        lines = sorted({self.lines.line_of(use) + 1 for use in uses})
        shown = ", ".join(str(line) for line in lines[:5]) + (", …" if len(lines) > 5 else "")
        return f"`&{target.anchor}` stands for {len(uses)} entries (lines {shown}): a text here would describe all of them"

    def read_source(self, mapping: Map, why: str | None) -> None:
        fields = fields_of(mapping)
        name = self.name_of(mapping, fields)
        tables = fields.value("tables")
        if name is not None and tables is not None:
            self.read_list("source", tables, name, why)

    def read_entry(
        self, resource_type: ResourceType, item: Node, mapping: Map, source: str | None, why: str | None
    ) -> None:
        fields = fields_of(mapping)
        name = self.name_of(item, fields)
        if name is None:
            return
        key = EntryKey(resource_type, name, source)
        slot = self.slot(key, None, item, mapping, fields, why)
        columns, spans = self.read_columns(key, fields, why)
        self.entries.append(Entry(key, slot, columns, _span(mapping, self.text), slot.name_span, mapping, spans))
        versions = fields.value("versions") if resource_type == "model" else None
        if versions is not None:
            for _, version, version_why in self.items(versions, f"`versions:` of `{key}`", why):
                self.read_version(key, version, version_why)

    def read_version(self, model: EntryKey, mapping: Map, why: str | None) -> None:
        fields = fields_of(mapping)
        number = fields.value("v")
        target = resolved(number) if number is not None else None
        if number is None or not isinstance(target, Scalar):
            self.problem(mapping, f"this version of `{model}` has no `v:`")
            return
        key = EntryKey("model", model.name, None, target.value)
        columns, spans = self.read_columns(key, fields, why)
        name_span = _span(number, self.text)
        self.entries.append(Entry(key, None, columns, _span(mapping, self.text), name_span, mapping, spans))

    def read_columns(
        self, key: EntryKey, fields: Fields, why: str | None
    ) -> tuple[tuple[Slot, ...], tuple[Span, ...]]:
        """The columns' slots, and where each column stands."""
        value = fields.value("columns")
        if value is None:
            return (), ()
        slots: list[Slot] = []
        spans: list[Span] = []
        for item, mapping, column_why in self.items(value, f"`columns:` of `{key}`", why):
            column = fields_of(mapping)
            if "include" in column.pairs or "exclude" in column.pairs:
                continue  # of a version: which of the model's columns it has
            name = self.name_of(item, column)
            if name is not None:
                slots.append(self.slot(key, name, item, mapping, column, column_why))
                spans.append(_span(item, self.text))
        return self.mark_repeated(slots), tuple(spans)

    def mark_repeated(self, slots: list[Slot]) -> tuple[Slot, ...]:
        """Block all but the last of the columns of one name: dbt takes the last one's description."""
        last = {slot.column: slot for slot in slots}
        if len(last) == len(slots):
            return tuple(slots)
        marked: list[Slot] = []
        for slot in slots:
            if last[slot.column] is not slot:
                self.places.pop(slot.name_span.start, None)
                why = f"column `{slot.column}` is listed again further down, and dbt reads that"
                self.problems.append(Problem(slot.name_span, why))
                state: SlotState = "text" if slot.state == "text" else "blocked"
                marked.append(replace(slot, state=state, blocked_by=slot.blocked_by or why))
            else:
                marked.append(slot)
        return tuple(marked)

    def name_of(self, item: Node, fields: Fields) -> str | None:
        """The text under ``name``; ``None``, and a problem, where there is none."""
        name = fields.value("name")
        target = resolved(name) if name is not None else None
        if not isinstance(target, Scalar) or is_null(target):
            self.problem(item, "an entry without a name, which dbt refuses")
            return None
        return intern(target.value)  # a project has the same columns many times

    def slot(
        self, key: EntryKey, column: str | None, item: Node, mapping: Map, fields: Fields, why: str | None
    ) -> Slot:
        if isinstance(item, Alias) and why:
            name_span = _span(item, self.text)
        else:
            name_span = _span((fields.pairs.get("name") or fields.pairs["<<"])[1], self.text)
        state, text, span, why_here = self.description(mapping, fields)
        why = why or why_here
        if state != "text" and why:
            state = "blocked"
        quoted = column is not None and is_true(fields.value("quote"))
        slot = Slot(key, column, state, text, span, name_span, quoted, why)
        if why is None:
            self.places[name_span.start] = Place(slot, mapping)
        return slot

    def description(self, mapping: Map, fields: Fields) -> tuple[SlotState, str | None, Span, str | None]:
        """State, text and span of a mapping's description, and why it may not be written (``None`` where it may)."""
        own = fields.pairs.get("description")
        if own is None:
            return self.no_own_description(mapping, fields)
        _, value = own
        target = resolved(value)
        span = Span(value.start, content_end(value, self.text))
        if not isinstance(target, Scalar):
            written = span.of(self.text)
            if isinstance(value, Map) and written.startswith("{{"):
                return "text", written, span, None
            self.problem(value, "a description is a text; this is a list or a mapping")
            return "blocked", None, span, "what stands here is no text"
        why = None
        if isinstance(value, Alias) or target.anchor is not None or target.tag is not None:
            why = "the value has an anchor, an alias or a tag"
        if not is_null(target) and target.value.strip():
            return "text", target.value, span, why
        for other_key, other in fields.repeated:
            if _is_key(other_key, "description") and _has_text(other):
                why = "another `description` above it holds a text, and dbt reads this one"
                self.problem(other_key, "`description` stands again further down, and dbt reads that one")
        return "empty", None, span, why or self.misspelt(fields)

    def no_own_description(self, mapping: Map, fields: Fields) -> tuple[SlotState, str | None, Span, str | None]:
        own_name = fields.pairs.get("name") or fields.pairs.get("<<") or mapping.pairs[0]
        end = content_end(own_name[1], self.text)
        merged = fields.value("description") if "<<" in fields.pairs else None
        if merged is not None and _has_text(merged):
            target = resolved(merged)
            assert isinstance(target, Scalar)
            return "text", target.value, Span(end, end), None
        return "absent", None, Span(end, end), self.misspelt(fields)

    def misspelt(self, fields: Fields) -> str | None:
        """Why nothing is to be written beside a text whose key is a misspelt ``description``."""
        for name, (key, value) in fields.pairs.items():
            if name == "description:":  # `{description:}`, where libyaml and dbt's reader disagree
                return "write a blank behind `description:`"
            if name[:1] in "dD" and _looks_like_description(name) and _has_text(value):
                why = f"`{name}` holds a text: write its key as `description`"
                self.problem(key, f"dbt ignores `{name}`: write it as `description`")
                return why
        return None


def _span(node: Node, text: str) -> Span:
    return Span(node.start, content_end(node, text))


def _is_key(key: Node, name: str) -> bool:
    target = resolved(key)
    return isinstance(target, Scalar) and target.value == name


def _has_text(value: Node) -> bool:
    target = resolved(value)
    return isinstance(target, Scalar) and not is_null(target) and bool(target.value.strip())


@lru_cache(maxsize=512)  # a file has the same few keys thousands of times
def _looks_like_description(name: str) -> bool:
    from difflib import SequenceMatcher

    lowered = name.lower()
    if name == "description" or not 4 <= len(name) <= 14:
        return False
    return lowered in ("desc", "descr") or SequenceMatcher(None, lowered, "description").ratio() >= 0.8


def shared_nodes(root: Map) -> dict[int, list[int]]:
    """Where each anchored node takes part that takes part more than once: offsets by the node's identity.

    An anchor under a top-level key that dbt does not read (``anchors:``, ``x-columns:``) is no part of anything itself.
    """
    uses: dict[int, list[int]] = {}
    for key, value in root.pairs:
        read = isinstance(key, Scalar) and key.value in _READ_BY_DBT
        waiting: list[Node] = [value]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Alias):
                uses.setdefault(id(node.target), []).append(node.start)
                continue
            if node.anchor is not None and read:
                uses.setdefault(id(node), []).append(node.start)
            if isinstance(node, Map):
                for pair in node.pairs:
                    waiting.extend(pair)
            elif isinstance(node, Seq):
                waiting.extend(node.items)
    return {node: places for node, places in uses.items() if len(places) > 1}
