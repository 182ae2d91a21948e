"""Whether a schema file is complete, told without a YAML parser where the file is written plainly.

Most commits bring files that lack nothing, and loading a parser takes longer than reading them. So the block form that
nearly all schema files have is read line by line, and whatever is not plain (anchors, tags, quotes over several lines,
versions, keys in quotes, tabs, …) or not in order is left to the parser: what is said here, the parser would say too.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, Literal

from osmosis_synthesize.document.placeholders import DEFAULT_PLACEHOLDERS, is_placeholder

_Role = Literal["root", "entries", "entry", "sources", "source", "columns", "column", "other"]

_ROLES: Final[dict[tuple[_Role, str], _Role]] = {
    ("root", "models"): "entries",
    ("root", "seeds"): "entries",
    ("root", "snapshots"): "entries",
    ("root", "sources"): "sources",
    ("source", "tables"): "entries",
    ("entry", "columns"): "columns",
}
"""What stands under which key of what."""

_ITEMS: Final[dict[_Role, _Role]] = {"entries": "entry", "sources": "source", "columns": "column", "other": "other"}
"""What the items of a list are; ``root`` and the items themselves are no lists."""

_LEFT_TO_THE_PARSER: Final = frozenset({"versions", "include", "exclude"})
"""Keys of an entry or a column that change which descriptions there are."""

_LONGEST: Final = 1000
"""Characters of a description that no adapter finds too long."""

_LONGEST_PLACEHOLDER: Final = max(map(len, DEFAULT_PLACEHOLDERS))

_BEHIND_PLACEHOLDERS: Final = " .!?:;,"
"""The ASCII that may follow a placeholder."""

# Tabs, the line breaks that YAML has and others have not, and what YAML refuses. (What is fine, as a set, takes ten times
# as long to compile.)
_ODD: Final = re.compile(r"[\x00-\t\v-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

_LINES: Final = re.compile(
    r"""(?mx) ^(\ *)
    (?:
        -\ name:\ ([A-Za-z_]\w*)\n
        \1\ \ description:\ ([\w(][^:#\n]*|"[^"\\\n]*"|'[^'\n]*')\n
        (?:\1\ \ data_type:\ [\w(][^:#\n]*\n)?
        (?!(?:\ *\n)*\1\ )
    |
        (-\ +)?
        (?:
            ([A-Za-z_+][\w.+-]*): (?:\ +([\w(][^:#\n]*))?
        |
            (.*)
        )$
    )"""
)
"""One of three: an item that is no more than a name and a text (and a type), as most columns are: its blanks, its name and its
text; or a line's blanks, dash, key and the value that is certainly plain text; or its blanks, dash and what else stands there."""

_PAIR: Final = re.compile(r"([A-Za-z_+][\w.+-]*):(?: +(.*))?")

_TEXT: Final = re.compile(r"(?:[^:#]|:(?=\S)|(?<=\S)#)*")
"""A line of plain text, or what is left of it behind its first character."""

_NO_FIRST: Final = frozenset(",[]{}#&*!|>'\"%@`?: ")
"""What plain text does not begin with; a dash is fine where no blank follows."""

_QUOTED: Final = r"\"[^\"\\]*\"|'(?:[^']|'')*'"
_COMMENT: Final = re.compile(r" +#.*")


class _Frame:
    """A mapping or list that is open: where its keys or dashes stand, what it is, and of an entry what it has."""

    __slots__ = ("described", "indent", "is_list", "keys", "name", "names", "role")

    def __init__(self, indent: int, role: _Role, *, is_list: bool) -> None:
        self.indent = indent
        self.role: _Role = role
        self.is_list = is_list
        self.keys: list[str] = []
        self.name = ""
        self.described = False
        self.names: set[str] | None = set() if is_list else None
        """The names of a list's items so far."""


class _Unplain(Exception):
    """This is for the parser."""


def described_slots(text: str) -> int | None:
    """How many descriptions a schema file has, if each of its slots has one; ``None`` where that is not so, or cannot be told."""
    return _slots(text, "root")


def is_plain(text: str) -> bool:
    """Whether a text is YAML for certain, whatever it says: a mapping in block form, or nothing at all."""
    return _slots(text, "other") is not None


def _slots(text: str, role: _Role) -> int | None:
    text = text.replace("\r\n", "\n")
    if _ODD.search(text) is not None:
        return None
    try:
        return _Glance(role).read(text)
    except _Unplain:
        return None


@cache
def _flow() -> re.Pattern[str]:
    """``[unique, 'not null']`` or ``{field: id, values: [a, b]}`` on one line. Compiled when there is one: that takes a while."""
    item = rf"(?:\w[\w./%()$-]*(?: \w[\w./%()$-]*)*|{_QUOTED})"
    items = rf"\[ *(?:{item}(?: *, *{item})*)? *\]"
    pair = rf"\w+: +(?:{item}|{items})"
    return re.compile(rf"(?:{items}|\{{ *(?:{pair}(?: *, *{pair})*)? *\}})")


class _Glance:
    """Reads one text line by line."""

    def __init__(self, role: _Role) -> None:
        self.frames = [_Frame(0, role, is_list=False)]
        self.pending: _Role | None = None
        """What the key of the line before is to hold, if nothing stood behind it."""
        self.key = ""
        """The key of an entry or a column whose text may go on in the next line."""
        self.texts: list[str] = []
        self.goes_on: Literal["", "plain", "block"] = ""
        self.block_indent = 0
        self.slots = 0

    def read(self, text: str) -> int:
        frames = self.frames
        for number, (blanks, name, described, dash, plain_key, plain, remainder) in enumerate(_LINES.findall(text)):
            indent = len(blanks)
            if name:
                self.item(indent, name, described)
                continue
            key, rest = plain_key, remainder
            if self.goes_on:
                if indent > frames[-1].indent or not (dash or key or rest):
                    self.take(indent, f"{dash}{key}:{plain}" if key else f"{dash}{rest}", is_pair=bool(key))
                    continue
                self.end_text()
            if not key:
                if not dash and (not rest or rest[0] == "#"):
                    continue
                if indent == 0 and not dash and rest.startswith(("---", "...", "%")):
                    if number or rest != "---":
                        raise _Unplain
                    continue
                pair = _PAIR.fullmatch(rest)
                if pair is None:
                    self.scalar_item(indent, dash, rest)
                    continue
                key, rest = pair[1], pair[2] or ""
            if dash:
                self.open_item(indent)
                self.frames.append(_Frame(indent + len(dash), _ITEMS[frames[-1].role], is_list=False))
            elif indent != frames[-1].indent or self.pending is not None or frames[-1].is_list:
                self.find_mapping(indent)
            self.pair(frames[-1], key, plain, rest)
        self.end_text()
        self.close(-1)
        return self.slots

    def take(self, indent: int, content: str, *, is_pair: bool) -> None:
        """A line that belongs to the text above it."""
        if not content:
            if self.goes_on == "block" and indent > self.block_indent:
                raise _Unplain  # its blanks are part of the text, or an error
            return
        if self.goes_on == "block":
            self.block_indent = self.block_indent or indent
            if indent < self.block_indent:
                raise _Unplain
        elif is_pair or content[0] == "#" or _TEXT.fullmatch(content) is None:
            raise _Unplain
        self.texts.append(content)

    def item(self, indent: int, name: str, described: str) -> None:
        """A whole item of a list."""
        self.end_text()
        if self.pending is not None or self.frames[-1].indent != indent:
            self.open_item(indent)
        items = self.frames[-1]
        if items.names is None or name.lower() == "null":
            raise _Unplain
        if items.role in {"columns", "entries"}:
            _demand_description(described if described[0] not in "'\"" else described[1:-1])
            if items.role == "columns" and name in items.names:
                raise _Unplain
            items.names.add(name)
            self.slots += 1

    def open_item(self, indent: int) -> None:
        """Come to the list whose next item begins at ``indent``."""
        top = self.frames[-1]
        pending, self.pending = self.pending, None
        if pending is not None and indent >= top.indent:
            if pending not in _ITEMS:
                raise _Unplain
            self.frames.append(_Frame(indent, pending, is_list=True))
            return
        if top.indent > indent:
            self.close(indent)
            top = self.frames[-1]
        if not top.is_list or top.indent != indent:
            raise _Unplain

    def find_mapping(self, indent: int) -> None:
        """Come to the mapping whose next key stands at ``indent``."""
        top = self.frames[-1]
        pending, self.pending = self.pending, None
        if pending is not None and indent > top.indent:
            if pending != "other":
                raise _Unplain
            self.frames.append(_Frame(indent, "other", is_list=False))
            return
        self.close(indent)
        if self.frames[-1].is_list:
            self.frames.pop()
        if self.frames[-1].is_list or self.frames[-1].indent != indent:
            raise _Unplain

    def scalar_item(self, indent: int, dash: str, rest: str) -> None:
        """``- not_null``: only lists that say nothing of descriptions have items without keys."""
        if not dash:
            raise _Unplain
        self.open_item(indent)
        if self.frames[-1].role != "other" or rest[:1] in "|>" or _value(rest) is None:
            raise _Unplain

    def pair(self, frame: _Frame, key: str, plain: str, rest: str) -> None:
        """Take note of a key; its value is ``plain`` text, or what ``rest`` may be."""
        role = frame.role
        self.key = ""
        if role != "other":
            if key in frame.keys or key in _LEFT_TO_THE_PARSER:
                raise _Unplain
            frame.keys.append(key)
            if key in {"name", "description"}:
                self.key = key
        if plain:
            if (role, key) in _ROLES:
                raise _Unplain
            self.goes_on, self.texts = "plain", [plain]
        elif not rest or rest[0] == "#":
            if self.key:
                raise _Unplain
            self.pending = _ROLES.get((role, key), "other")
        elif (role, key) in _ROLES:
            if rest != "[]":
                raise _Unplain
        elif rest.rstrip(" ") in {"|", ">", "|-", ">-", "|+", ">+"}:
            self.goes_on, self.texts, self.block_indent = "block", [], 0
        else:
            value = _value(rest)
            if value is None:
                raise _Unplain
            self.texts = [value]
            if rest[0] in "'\"[{" or _COMMENT.search(rest) is not None:
                self.end_text(quoted=rest[0] in "'\"")
            else:
                self.goes_on = "plain"

    def end_text(self, *, quoted: bool = False) -> None:
        """Take note of a name or a description that is whole now."""
        self.goes_on = ""
        if not self.key:
            return
        frame = self.frames[-1]
        text = " ".join(self.texts).strip(" ")
        if text[:1] in {"[", "{", "~", ""} and not quoted:
            raise _Unplain
        if self.key == "description":
            _demand_description(text)
            frame.described = True
        elif len(self.texts) != 1 or not text or (text.lower() == "null" and not quoted):
            raise _Unplain
        else:
            frame.name = text
        self.key = ""

    def close(self, indent: int) -> None:
        """Close what lies deeper than ``indent``."""
        frames = self.frames
        while frames and frames[-1].indent > indent:
            frame = frames.pop()
            if frame.is_list or frame.role not in {"entry", "column", "source"}:
                continue
            if not frame.name or (frame.role != "source" and not frame.described):
                raise _Unplain
            names = frames[-1].names
            if names is not None:
                if frame.role == "column" and frame.name in names:
                    raise _Unplain
                names.add(frame.name)
            self.slots += frame.role != "source"


def _demand_description(text: str) -> None:
    """Raise unless this is a real description that is short enough."""
    if len(text) > _LONGEST:
        raise _Unplain
    is_long = len(text.rstrip(_BEHIND_PLACEHOLDERS)) > _LONGEST_PLACEHOLDER
    if not (is_long and "  " not in text and text.isascii()) and is_placeholder(text):
        raise _Unplain


def _value(rest: str) -> str | None:
    """What stands on the rest of a line, without quotes and comment, if that is one whole value."""
    comment = _COMMENT.search(rest) if "#" in rest else None
    for candidate in (rest, rest[: comment.start()] if comment is not None else rest):
        value = candidate.rstrip(" ")
        first = value[:1]
        if first in {"'", '"'}:
            if re.fullmatch(_QUOTED, value) is not None:
                return value[1:-1].replace("''", "'") if first == "'" else value[1:-1]
        elif first in {"[", "{"}:
            if _flow().fullmatch(value) is not None:
                return value
        elif first not in _NO_FIRST and value[:2] != "- " and value != "-" and _TEXT.fullmatch(value) is not None:
            return value
    return None
