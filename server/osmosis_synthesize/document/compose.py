"""From text to nodes, by the parser of ruamel.yaml. The only module that imports it.

The parser's events are used rather than its composer's tree: they are the same scan, tell where each alias stands,
need no recursion (the C composer crashes the interpreter on a text of 100,000 opening brackets), and leave out the
resolving of tags, which takes longer than the scan. Marks are the same with and without the C extension.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, cast

from osmosis_synthesize.document.nodes import Alias, Map, Node, Scalar, Seq, Target, is_aliased
from osmosis_synthesize.text import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOO_STRICT: Final = frozenset({"found unexpected ':'"})
"""What the extension's libyaml says of `{url: http://x}`, which dbt's reader takes; the parser in Python does, too."""

_COLON: Final = re.compile(r"\s*:")

_MAX_DEPTH: Final = 100
"""Deeper texts are refused: trees are walked recursively, and no schema file is a tenth as deep."""

# What YAML 1.1 calls no printable character (YAML 1.2 agrees): https://yaml.org/spec/1.1/#c-printable
NOT_PRINTABLE: Final = re.compile(r"[\x00-\x08\v\f\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""A character that no YAML may hold as it is."""


class Unreadable(Exception):
    """The text is no YAML that dbt could read, for the reason given, seen at ``offset``."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class _NoAnchor(Unreadable):
    """An alias stands for nothing that was seen before it."""


class NotAlone(Exception):
    """What some lines mean cannot be told without the rest of the text."""


class _Mark(Protocol):
    index: int


class _Event(Protocol):
    """What the events of ruamel.yaml have in common, as far as they are used here."""

    start_mark: _Mark
    end_mark: _Mark
    anchor: str | None
    ctag: object
    """``None`` where there is no tag; :attr:`tag` is made anew each time, which takes longer."""
    tag: str | None
    value: str
    style: str | None
    flow_style: bool


class Composed(NamedTuple):
    """The root node of a text, and whether its lines can be read one part at a time."""

    root: Target | None
    """``None`` for a text that holds nothing but blanks and comments."""
    slowly: bool
    """The parser in C refused something that dbt's reader takes: the one in Python, which differs in details, read it all."""


def compose(text: str) -> Target | None:
    """The root node of ``text``; ``None`` for a text that holds nothing but blanks and comments.

    Raises:
        Unreadable: it is no YAML, or holds more than one document, or an alias without its anchor, or is nested absurdly
            deep.
    """
    return compose_whole(text).root


def compose_whole(text: str) -> Composed:
    """The same, and how the text was read.

    Raises:
        Unreadable: as :func:`compose` does.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    # The parser drops a byte-order mark without counting it.
    base = 1 if text.startswith("\ufeff") else 0
    body = text[base:] if base else text
    try:
        try:
            return Composed(_build(text, _events(body), base), slowly=False)
        except MarkedYAMLError as error:
            if not _is_too_strict(error):
                raise
            return Composed(_build(text, _slow_events(body), base), slowly=True)
    except (YAMLError, UnicodeEncodeError) as error:
        raise _unreadable(error, text, base) from None


def compose_lines(text: str, lines: Span, before: str) -> Target | None:
    """The root node of some whole ``lines`` of ``text``, read as if ``before`` stood before them. Offsets are the text's.

    Raises:
        Unreadable: they are no YAML.
        NotAlone: they have an alias, or the parser in C is too strict for them.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    base = lines.start - len(before)
    try:
        root = _build(text, _events(before + lines.of(text)), base)
    except _NoAnchor as error:
        raise NotAlone from error
    except (YAMLError, UnicodeEncodeError) as error:
        if isinstance(error, MarkedYAMLError) and _is_too_strict(error):
            raise NotAlone from error
        raise _unreadable(error, text, base) from None
    if root is not None and "*" in lines.of(text) and is_aliased(root):
        raise NotAlone
    return root


def _is_too_strict(error: Exception) -> bool:
    return cast("Any", error).problem in _TOO_STRICT


def _unreadable(error: Exception, text: str, base: int) -> Unreadable:
    from ruamel.yaml.error import MarkedYAMLError

    if isinstance(error, MarkedYAMLError):
        fault: Any = error
        mark = fault.problem_mark or fault.context_mark
        reason = " ".join(str(part) for part in (fault.context, fault.problem) if part)
        return Unreadable(f"no valid YAML: {reason}", base + mark.index if mark is not None else 0)
    found = NOT_PRINTABLE.search(text)
    if found is None:
        return Unreadable(f"no valid YAML: {error}", 0)
    return Unreadable(f"no valid YAML: U+{ord(found[0]):04X} is not allowed in it", found.start())


def _settle_empty_values(mapping: Map, text: str) -> None:
    """Put empty values right behind their colon: the parsers have them anywhere up to the next token."""
    for key, value in mapping.pairs:
        if value.start == value.end and isinstance(value, Scalar):
            colon = _COLON.match(text, key.end)
            value.start = value.end = colon.end() if colon is not None else key.end


_Events: TypeAlias = "Callable[[], _Event | None]"
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
    events: Iterator[_Event] = slow.YAML(typ="safe", pure=True).parse(text)
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
    while (event := next_event()) is not None:
        kind = event.__class__
        if kind is scalar_event:
            anchor = event.anchor
            node = Scalar(
                event.start_mark.index + base,
                event.end_mark.index + base,
                event.value,
                event.style or "",
                None if event.ctag is None else event.tag,
                anchor,
            )
            if anchor is not None:
                anchors[anchor] = node
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
                raise _NoAnchor(f"no valid YAML: `*{event.anchor}` has no anchor before it", start)
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
