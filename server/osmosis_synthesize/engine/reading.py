"""Reads a reply, however a model dressed it up.

What is asked for is ``{"description": "…", "columns": [{"name": "…", "description": "…"}, …]}``. What comes back may stand in
a fence or amid prose, be a Python dict, lack quotes, commas or its end, or be wrapped or shaped otherwise. All that is
complete and was asked for is kept, and nothing is guessed: a text that was cut off counts as missing.

Pure and linear: each character is looked at a bounded number of times, whatever the reply is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from osmosis_synthesize.names import fold

LONGEST_REPLY: Final = 1_000_000
"""Characters; what comes after counts as cut off."""

_DEEPEST: Final = 40
"""Levels of nesting. A sound reply has three, a wrapped one a few more."""

_NAME_KEYS: Final = frozenset({"name", "column", "column_name"})
_TEXT_KEYS: Final = frozenset({"description", "desc", "text"})
_TABLE_KEYS: Final = frozenset({"description", "table_description", "model_description"})

_AROUND: Final = "\ufeff \t\r\n"

_REFUSAL: Final = re.compile(
    r"\W{0,3}(?:(?:i['’]m|i am|we['’]re) (?:very |really )?(?:sorry|unable|not able)|sorry\b|i (?:can['’]?t|cannot|can not|won['’]t)\b"
    r"|as an ai\b|unfortunately,? i\b|i apologi[sz]e\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply holds of that which was asked for."""

    table: str | None
    """The table's description; ``None`` where it is not there or was not asked for."""
    columns: dict[str, str]
    """Texts by the columns' names as they were asked for."""
    missing: tuple[str, ...]
    """Columns that were asked for and have no (complete) text."""
    unexpected: tuple[str, ...]
    """Columns that were described although nobody asked; their texts are dropped."""
    cut_off: bool
    """Whether the reply stops before its end."""
    problem: str | None
    """Why nothing could be read, for people; ``None`` where something was."""


def read_reply(text: str, *, columns: Sequence[str], table: bool, unfinished: bool = False) -> Reading:
    """Read ``text`` as the answer to a question about ``columns`` and, if ``table``, the table itself.

    Column names match without regard to case and quotes, unless two that were asked for differ in nothing else. Of
    two texts for the same column the first counts. Of a reply that is ``unfinished``, and still comes, the text in the middle
    of which it ends counts as far as it goes.
    """
    answer, thinking = _after_thoughts(text[:LONGEST_REPLY])
    harvest = _Harvest(columns, table=table, unfinished=unfinished)
    complete = harvest.gather(answer)
    if harvest.is_empty and '\\"' in answer:
        # JSON that was escaped as if it stood inside a string, but does not
        complete = harvest.gather(answer.replace('\\"', '"').replace("\\n", "\n"))
    cut_off = thinking or not complete or len(text) > LONGEST_REPLY
    return Reading(
        table=harvest.table,
        columns=harvest.found,
        missing=tuple(name for name in columns if name not in harvest.found),
        unexpected=tuple(harvest.unexpected),
        cut_off=cut_off,
        problem=_problem(answer, cut_off=cut_off) if harvest.is_empty else None,
    )


def _after_thoughts(text: str) -> tuple[str, bool]:
    """What follows the thoughts that some models put before their answer, and whether the thoughts never end."""
    whole = text.strip(_AROUND)
    if whole.startswith(("{", "[", "`")):
        return whole, False  # nothing was thought aloud: a mark in here belongs to a description
    _, mark, after = whole.rpartition("</think>")
    return (after.strip(_AROUND), False) if mark else (whole, whole.startswith("<think>"))


def _problem(answer: str, *, cut_off: bool) -> str:
    if not answer:
        return "the reply is empty"
    if _REFUSAL.match(answer):
        return "the reply is a refusal"
    if "{" not in answer and "[" not in answer:
        return "the reply holds no JSON"
    return "the reply was cut off before its first text" if cut_off else "the reply holds nothing that was asked for"


# ---------------------------------------------------------------------------------------------- what is in the values


class _Pair(NamedTuple):
    key: str
    value: _Value


@dataclass(frozen=True, slots=True)
class _Object:
    """An object's pairs in order, duplicates included."""

    pairs: list[_Pair] = field(default_factory=list[_Pair])


# Numbers, booleans, nulls and whatever cannot be read are None: no description is one of them.
_Value: TypeAlias = "str | list[_Value] | _Object | None"


class _Harvest:
    """Collects texts from values of any shape."""

    def __init__(self, columns: Sequence[str], *, table: bool, unfinished: bool) -> None:
        self.found: dict[str, str] = {}
        self.table: str | None = None
        self.unexpected: dict[str, None] = {}
        self._table_asked = table
        self._unfinished = unfinished
        self._exact = {_bare(name): name for name in columns}
        self._folded: dict[str, str | None] = {}
        for bare, name in self._exact.items():
            # Two that differ in case only can be told apart by their case only.
            self._folded[fold(bare)] = None if fold(bare) in self._folded else name

    @property
    def is_empty(self) -> bool:
        return not self.found and self.table is None

    def gather(self, text: str, *, restarts: int = 4) -> bool:
        """Take what ``text`` holds; gives whether all of its values are complete."""
        reader = _Reader(text, unfinished=self._unfinished)
        for value in reader.values():
            self._value(value, depth=0)
        if self.is_empty and (likely := _LIKELY.search(text, 1)) is not None and restarts:
            # Braces or quotes in the prose before the answer swallowed it.
            return self.gather(text[likely.start() :], restarts=restarts - 1)
        return not reader.cut_off

    def _value(self, value: _Value, *, depth: int) -> None:
        """A whole reply, or what a wrapper holds."""
        if isinstance(value, _Object):
            self._object(value, depth=depth)
        elif isinstance(value, list):
            self._list(value, depth=depth)
        elif isinstance(value, str) and depth < 2 and value.lstrip().startswith(("{", "[")):
            for inner in _Reader(value).values():  # JSON inside a JSON string
                self._value(inner, depth=depth + 2)

    def _object(self, value: _Object, *, depth: int) -> None:
        if self._is_item(value):
            self._item(value)
            return
        of_table = self._table_asked or _has(value, "columns")  # else a column may be called "description"
        for key, inner in value.pairs:
            word = _bare(key).lower()
            if word == "columns" and self._columns(inner):
                continue
            if isinstance(inner, str) and word in _TABLE_KEYS and (of_table or self._asked(key) is None):
                self._describe_table(inner)
            elif self._asked(key) is not None and self._mapped(key, inner):
                continue
            else:
                self._value(inner, depth=depth + 1)

    def _list(self, items: list[_Value], *, depth: int) -> None:
        for item in items:
            if isinstance(item, _Object) and self._text_of(item, _NAME_KEYS) and not _has(item, "columns"):
                self._item(item)
            elif isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], str):
                self._column(item[0], item[1])
            else:
                self._value(item, depth=depth + 1)

    def _columns(self, value: _Value) -> bool:
        """What stands under ``columns``: a list of items, or names mapped to texts. False where it is neither."""
        if isinstance(value, list):
            self._list(value, depth=1)
            return True
        if not isinstance(value, _Object):
            return False
        if self._is_item(value):
            self._item(value)
            return True
        for key, inner in value.pairs:
            self._mapped(key, inner)
        return True

    def _mapped(self, key: str, value: _Value) -> bool:
        """A column's name mapped to its text, or to an object with it."""
        text = self._text_of(value, _TEXT_KEYS) if isinstance(value, _Object) else value
        if not isinstance(text, str):
            return False
        self._column(key, text)
        return True

    def _is_item(self, value: _Object) -> bool:
        """Whether an object is one column's: it has a name that was asked for, and is no table's."""
        name = self._text_of(value, _NAME_KEYS)
        return name is not None and self._asked(name) is not None and not _has(value, "columns")

    def _item(self, item: _Object) -> None:
        name, text = self._text_of(item, _NAME_KEYS), self._text_of(item, _TEXT_KEYS)
        if name is not None and text is not None:
            self._column(name, text)

    def _text_of(self, value: _Object, keys: frozenset[str]) -> str | None:
        texts = (inner for key, inner in value.pairs if key.strip().lower() in keys and isinstance(inner, str))
        return next(texts, None)

    def _asked(self, name: str) -> str | None:
        bare = _bare(name)
        return self._exact.get(bare) or self._folded.get(fold(bare))

    def _column(self, name: str, text: str) -> None:
        asked = self._asked(name)
        if asked is None:
            self.unexpected[_bare(name)] = None
        elif text.strip():
            self.found.setdefault(asked, text.strip())

    def _describe_table(self, text: str) -> None:
        if self._table_asked and self.table is None and text.strip():
            self.table = text.strip()


def _bare(name: str) -> str:
    """A column's name without the quotes of SQL, Markdown or JSON around it."""
    return name.strip().strip("\"'`[]“”‘’*").strip()


def _has(value: _Object, key: str) -> bool:
    return any(_bare(each).lower() == key for each, _ in value.pairs)


# ------------------------------------------------------------------------------------------------- from text to values

_BLANK: Final = re.compile(r"[\s,;\ufeff\u200b]*")
_SPACES: Final = re.compile(r"\s*")
_START: Final = re.compile(r"[{\[]")
_LIKELY: Final = re.compile(r"[{\[]\s{0,20}[\"'“]?(?:description|columns|name)\b", re.IGNORECASE)
"""Where an answer probably begins."""
_BARE_KEY: Final = re.compile(r"[\w.$-]{1,200}[ \t]{0,20}[:=]")
_NO_KEY: Final = re.compile(r"[\w.$-]+|.", re.DOTALL)
_AS_KEY: Final = re.compile(
    r"""(?:"(?:[^"\\\n]|\\.){0,200}(?:"\s{0,20}(?:[:=]|\Z)|\\?\Z)"""
    r"""|'(?:[^'\\\n]|\\.){0,200}(?:'\s{0,20}(?:[:=]|\Z)|\\?\Z)"""
    r"""|[“”‘’`][^“”‘’`"\n]{0,200}(?:[“”‘’`"]\s{0,20}(?:[:=]|\Z)|\Z)"""
    r"""|[\w.$-]{1,200}(?:[ \t]{0,20}[:=]|\Z))"""
)
"""A key, quoted or not, with its colon; or as much of one as the end of the text leaves."""
_BARE: Final = re.compile(r"[^,}\]\n]*")
_LITERAL: Final = re.compile(
    r"(?:true|false|null|none|nan|undefined|\.\.\.|…|-?infinity|[-+]?\.?\d[\d.eE+_-]*)?\Z", re.IGNORECASE
)
_HEX: Final = re.compile(r"[0-9a-fA-F]{4}")
_HALF_CODE: Final = re.compile(r"[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?")
"""What may stand behind a ``\\u`` whose code, or the code that makes a pair with it, is still to come."""
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}

# What closes a string that was opened so. A quote only closes if what follows it could follow a string.
_CLOSERS: Final = {'"': '"', "'": "'", "`": "`", "“": '”“"', "”": '”"', "‘": "’‘'", "’": "’'"}
_SPECIAL: Final = {opener: re.compile(rf"[\\{closers}]") for opener, closers in _CLOSERS.items()}


class _CutOff(Exception):
    """The text ended inside a string."""


class _Reader:
    """A reader of JSON that takes almost anything and never fails.

    It only moves forward, so that it is linear. ``cut_off`` tells afterwards whether the text ended inside a value.
    """

    def __init__(self, text: str, *, unfinished: bool = False) -> None:
        self._text = text
        self._unfinished = unfinished
        self._at = 0
        self._open = {"}": 0, "]": 0}
        """How many objects and lists are open, by what closes them."""
        self.cut_off = False

    def values(self) -> Iterator[_Value]:
        """All objects and lists of the text, whatever stands between them."""
        if self._text[:2] in {'"{', '"['}:
            yield self._string_or_none(in_object=False)  # a whole reply inside a JSON string
            return
        while (start := _START.search(self._text, self._at)) is not None:
            self._at = start.start()
            yield self._value(in_object=False)

    def _value(self, *, in_object: bool) -> _Value:
        character = self._text[self._at]
        if character in "{[":
            self._at += 1
            if sum(self._open.values()) >= _DEEPEST:
                return None
            return self._object() if character == "{" else self._list()
        if character in _CLOSERS:
            return self._string_or_none(in_object=in_object)
        return self._bare_word()

    def _object(self) -> _Object:
        found = _Object()
        self._open["}"] += 1
        while self._more("}"):
            if self._text[self._at] in "{[":
                found.pairs.append(_Pair("", self._value(in_object=True)))
                continue
            key = self._key()
            if key is None:
                continue
            self._skip(_SPACES)
            if self._at < len(self._text) and self._text[self._at] not in "}]":
                found.pairs.append(_Pair(key, self._value(in_object=True)))
        self._open["}"] -= 1
        return found

    def _list(self) -> list[_Value]:
        found: list[_Value] = []
        self._open["]"] += 1
        while self._more("]"):
            found.append(self._value(in_object=False))
        self._open["]"] -= 1
        return found

    def _more(self, closer: str) -> bool:
        """Whether another item follows before ``closer``, which is passed by; stops at what closes something around it."""
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                self.cut_off = True
                return False
            character = self._text[self._at]
            if character == closer:
                self._at += 1
                return False
            if character in "}]":
                if self._open[character]:
                    return False  # the closer of something around this: its own is missing
                self._at += 1
            elif not self._comment():
                return True

    def _comment(self) -> bool:
        if self._text.startswith(("//", "#"), self._at):
            end = self._text.find("\n", self._at)
        elif self._text.startswith("/*", self._at):
            end = self._text.find("*/", self._at + 2)
            end = end + 2 if end >= 0 else end
        else:
            return False
        self._at = end if end >= 0 else len(self._text)
        return True

    def _key(self) -> str | None:
        """A key with the colon after it; ``None`` for something that is no key and is passed over."""
        if self._text[self._at] in _CLOSERS:
            key = self._string_or_none(in_object=True, is_key=True)
            self._skip(_SPACES)
            if self._at < len(self._text) and self._text[self._at] in ":=":
                self._at += 2 if self._text.startswith("=>", self._at) else 1
                return key
            return None
        if (bare := _BARE_KEY.match(self._text, self._at)) is not None:
            self._at = bare.end()
            return bare[0][:-1].strip()
        self._skip(_NO_KEY)
        return None

    def _bare_word(self) -> str | None:
        start = self._at
        self._skip(_BARE)
        self._at = max(self._at, start + 1)
        if self._at >= len(self._text):
            self.cut_off = True
            return None
        word = self._text[start : self._at].strip()
        return None if _LITERAL.match(word) else word

    def _string_or_none(self, *, in_object: bool, is_key: bool = False) -> str | None:
        try:
            return self._string(in_object=in_object, is_key=is_key)
        except _CutOff:
            self.cut_off = True
            self._at = len(self._text)
            return None

    def _string(self, *, in_object: bool, is_key: bool) -> str:
        special = _SPECIAL[self._text[self._at]]
        self._at += 1
        pieces: list[str] = []
        try:
            return self._closed_string(special, pieces, in_object=in_object, is_key=is_key)
        except _CutOff:
            if not self._unfinished or is_key:
                raise
            self.cut_off, self._at = True, len(self._text)
            return "".join(pieces)

    def _closed_string(self, special: re.Pattern[str], pieces: list[str], *, in_object: bool, is_key: bool) -> str:
        while (stop := special.search(self._text, self._at)) is not None:
            pieces.append(self._text[self._at : stop.start()])
            self._at = stop.end()
            if stop[0] == "\\":
                pieces.append(self._escape())
            elif is_key or self._closes(in_object=in_object):
                return "".join(pieces)
            else:
                pieces.append(stop[0])
        pieces.append(self._text[self._at :])
        raise _CutOff

    def _closes(self, *, in_object: bool) -> bool:
        """Whether the quote just passed ends its string, judged by what follows; the others are part of the text."""
        text = self._text
        spaces = _SPACES.match(text, self._at)
        after = spaces.end() if spaces else self._at
        if after >= len(text):
            return True
        following = text[after]
        if following in "}]" or text.startswith(("//", "/*"), after):
            return True
        if following in _CLOSERS:
            return "\n" in text[self._at : after]  # a comma is missing at the end of the line
        if following != ",":
            return False
        if not in_object:
            return True
        blank = _BLANK.match(text, after)
        after = blank.end() if blank else after
        # After the comma a key must follow; "yes", as in this comment, is part of a text.
        return after >= len(text) or text[after] in "{}]#/" or _AS_KEY.match(text, after) is not None

    def _escape(self) -> str:
        """What the backslash just passed, and what belongs to it, stand for."""
        text = self._text
        if self._at >= len(text):
            raise _CutOff
        character = text[self._at]
        self._at += 1
        if character != "u":
            return _ESCAPES.get(character, character)
        if self._unfinished and _HALF_CODE.fullmatch(text, self._at):
            raise _CutOff
        code = self._hex()
        if code is None:
            return "u"
        if 0xD800 <= code < 0xDC00 and text.startswith("\\u", self._at):
            self._at += 2
            low = self._hex()
            if low is not None and 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00)
            return "\ufffd"
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)

    def _hex(self) -> int | None:
        digits = _HEX.match(self._text, self._at)
        if digits is None:
            return None
        self._at = digits.end()
        return int(digits[0], 16)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
