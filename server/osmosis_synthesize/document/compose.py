"""From text to nodes, by the parser of ruamel.yaml. The only module that imports it.

The parser's events are used rather than its composer's tree: they are the same scan, tell where each alias stands,
need no recursion (the C composer crashes the interpreter on a text of 100,000 opening brackets), and leave out the
resolving of tags, which takes longer than the scan. Marks are the same with and without the C extension.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from osmosis_synthesize.document.nodes import Alias, Map, Node, Scalar, Seq, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOO_STRICT: Final = frozenset({"found unexpected ':'"})
"""What the extension's libyaml says of `{url: http://x}`, which dbt's reader takes; the parser in Python does, too."""

_COLON: Final = re.compile(r"\s*:")

_MAX_DEPTH: Final = 100
"""Deeper texts are refused: trees are walked recursively, and no schema file is a tenth as deep."""

# What YAML 1.1 calls no printable character (YAML 1.2 agrees): https://yaml.org/spec/1.1/#c-printable
_NOT_PRINTABLE: Final = r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


class Unreadable(Exception):
    """The text is no YAML that dbt could read, for the reason given, seen at ``offset``."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class _Mark(Protocol):
    index: int


class _Event(Protocol):
    """What the events of ruamel.yaml have in common, as far as they are used here."""

    start_mark: _Mark
    end_mark: _Mark
    anchor: str | None
    tag: str | None
    value: str
    style: str | None
    flow_style: bool


def compose(text: str) -> Target | None:
    """The root node of ``text``; ``None`` for a text that holds nothing but blanks and comments.

    Raises:
        Unreadable: it is no YAML, or holds more than one document, or an alias without its anchor, or is nested absurdly
            deep.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    # The parser drops a byte-order mark without counting it.
    base = 1 if text.startswith("\ufeff") else 0
    body = text[base:] if base else text
    try:
        try:
            return _build(text, _events(body), base)
        except MarkedYAMLError as error:
            if cast("Any", error).problem not in _TOO_STRICT:
                raise
            return _build(text, _slow_events(body), base)
    except MarkedYAMLError as error:
        fault: Any = error
        mark = fault.problem_mark or fault.context_mark
        reason = " ".join(str(part) for part in (fault.context, fault.problem) if part)
        raise Unreadable(f"no valid YAML: {reason}", base + mark.index if mark is not None else 0) from None
    except (YAMLError, UnicodeEncodeError) as error:
        found = re.search(_NOT_PRINTABLE, text)
        if found is None:
            raise Unreadable(f"no valid YAML: {error}", 0) from None
        raise Unreadable(f"no valid YAML: U+{ord(found[0]):04X} is not allowed in it", found.start()) from None


def _settle_empty_values(mapping: Map, text: str) -> None:
    """Put empty values right behind their colon: the parsers have them anywhere up to the next token."""
    for key, value in mapping.pairs:
        if value.start == value.end and isinstance(value, Scalar):
            colon = _COLON.match(text, key.end)
            value.start = value.end = colon.end() if colon is not None else key.end


_Events: TypeAlias = "Callable[[], object]"
"""A function that gives the next event of a text, and ``None`` behind the last."""


def _events(text: str) -> _Events:
    try:
        import _ruamel_yaml as extension
    except ImportError:  # none for this Python
        return _slow_events(text)
    fast: Any = extension
    return cast("_Events", fast.CParser(text).get_event)


def _slow_events(text: str) -> _Events:
    """The same events from the parser in Python, which takes twenty times as long."""
    import ruamel.yaml

    slow: Any = ruamel.yaml
    events: Iterator[object] = slow.YAML(typ="safe", pure=True).parse(text)
    return lambda: next(events, None)


def _build(text: str, next_event: _Events, base: int) -> Target | None:
    from ruamel.yaml import events

    scalar_event: Any = events.ScalarEvent
    map_start: Any = events.MappingStartEvent
    seq_start: Any = events.SequenceStartEvent
    ends: tuple[Any, ...] = (events.MappingEndEvent, events.SequenceEndEvent)
    alias_event: Any = events.AliasEvent
    document_start: Any = events.DocumentStartEvent

    roots: list[Node] = []
    anchors: dict[str, Target] = {}
    opened: list[tuple[Map | Seq, list[Node]]] = []
    children = roots
    documents = 0
    while (event := cast("_Event | None", next_event())) is not None:
        kind = event.__class__
        if kind is scalar_event:
            node = Scalar(
                event.start_mark.index + base,
                event.end_mark.index + base,
                event.value,
                event.style or "",
                event.tag,
                event.anchor,
            )
            if event.anchor is not None:
                anchors[event.anchor] = node
            children.append(node)
        elif kind is map_start or kind is seq_start:
            make = Map if kind is map_start else Seq
            start = event.start_mark.index + base
            collection = make(start, event.tag, event.anchor, flow=bool(event.flow_style))
            if event.anchor is not None:
                anchors[event.anchor] = collection
            children.append(collection)
            children = list[Node]()
            opened.append((collection, children))
            if len(opened) > _MAX_DEPTH:
                raise Unreadable(f"nested more than {_MAX_DEPTH} levels deep", collection.start)
        elif kind in ends:
            collection, _ = opened.pop()
            collection.end = event.end_mark.index + base
            if isinstance(collection, Map):
                collection.pairs = list(zip(children[::2], children[1::2], strict=True))
                _settle_empty_values(collection, text)
            else:
                collection.items = children
            children = opened[-1][1] if opened else roots
        elif kind is alias_event:
            start = event.start_mark.index + base
            target = anchors.get(event.anchor or "")
            if target is None:
                raise Unreadable(f"no valid YAML: `*{event.anchor}` has no anchor before it", start)
            if any(collection is target for collection, _ in opened):
                raise Unreadable(f"`*{event.anchor}` stands inside of what it stands for", start)
            children.append(Alias(start, event.end_mark.index + base, target))
        elif kind is document_start:
            documents += 1
            if documents > 1:
                raise Unreadable(
                    "several documents in one file: dbt reads none of them", event.start_mark.index + base
                )
    root = roots[0] if roots else None
    return None if isinstance(root, Alias) else root
