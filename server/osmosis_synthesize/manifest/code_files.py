"""What stands in a project's files of code and of prose: snapshots, macros, doc blocks, the columns of a seed.

All of it is found by its marks in the text, as dbt finds it; nothing is executed.
"""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from osmosis_synthesize.manifest.model import Calls, DocBlock, Macro, Ref


class Block(NamedTuple):
    """A block between two marks of Jinja."""

    name: str
    whole: str
    """With its marks."""
    inside: str


def _marks(word: str, after_name: str = "") -> re.Pattern[str]:
    """Where a block begins, and where one ends."""
    return re.compile(rf"\{{%[-+]?\s*(?:{word}\s+(?P<name>\w+)\s*{after_name}|(?P<end>end{word})\s*)[-+]?%\}}")


_SNAPSHOT: Final = _marks("snapshot")
_DOCS: Final = _marks("docs")
_MACRO: Final = _marks("macro", r"\((?:[^%]|%(?!\})){0,3000}?\)\s*")


def snapshots_in(text: str) -> list[Block]:
    """The ``{% snapshot … %}`` blocks of a file."""
    return _blocks(_SNAPSHOT, text)


def docs_in(text: str, *, package: str, path: str) -> list[DocBlock]:
    """The ``{% docs … %}`` blocks of a file; ``path`` as the manifest writes it."""
    return [DocBlock(block.name, package, path, block.inside.strip()) for block in _blocks(_DOCS, text)]


def macros_in(text: str, *, package: str) -> list[Macro]:
    """The macros of a file."""
    return [
        Macro(f"macro.{package}.{block.name}", block.name, package, block.whole) for block in _blocks(_MACRO, text)
    ]


def _blocks(marks: re.Pattern[str], text: str) -> list[Block]:
    """From each beginning to the next end; what is never closed is none. Linear, whatever stands in the text."""
    found: list[Block] = []
    begun: re.Match[str] | None = None
    for mark in marks.finditer(_without_comments(text)):
        if mark["end"] is None:
            begun = begun or mark
        elif begun is not None:
            whole = mark.string[begun.start() : mark.end()]
            found.append(Block(begun["name"], whole, mark.string[begun.end() : mark.start()]))
            begun = None
    return found


def _without_comments(text: str) -> str:
    """A text without Jinja's comments; one that is never closed stays."""
    pieces: list[str] = []
    done = 0
    while (start := text.find("{#", done)) >= 0 and (end := text.find("#}", start + 2)) >= 0:
        pieces.append(text[done:start])
        done = end + 2
    return "".join((*pieces, text[done:])) if pieces else text


def header_of(text: str, *, delimiter: str = ",") -> tuple[str, ...]:
    """The columns of a seed, by its first line; none where that is no line of CSV."""
    try:
        first = next(csv.reader(text.lstrip("\ufeff").splitlines()[:1], delimiter=delimiter))
    except (csv.Error, TypeError, StopIteration):
        return ()
    return tuple(name.strip() for name in first if name.strip())


_TEXT: Final = r"""\s*(?:'([^'"]*)'|"([^'"]*)")\s*"""
_REF: Final = re.compile(rf"\bref\({_TEXT}(?:,{_TEXT})?(?:,\s*v(?:ersion)?\s*=\s*['\"]?([\w.]+)['\"]?\s*)?,?\s*\)")
_SOURCE: Final = re.compile(rf"\bsource\({_TEXT},{_TEXT}\)")


def named_in(text: str) -> Calls:
    """The calls of ``ref`` and ``source`` that stand in a text with plain names: in Python, and in Jinja that fails."""
    refs: dict[Ref, None] = {}
    for single, double, single_2, double_2, version in _REF.findall(text):
        first, second = single or double, single_2 or double_2
        refs[Ref(second or first, first if second else None, version or None)] = None
    sources = {(a or b, c or d): None for a, b, c, d in _SOURCE.findall(text)}
    return Calls(tuple(refs), tuple(sources))


_LONGEST_CALL: Final = 5_000
"""Characters of a call that is still plain."""

_CONSTANTS: Final[Mapping[str, object]] = {"true": True, "false": False, "none": None}


def plain_calls(text: str) -> Calls | None:
    """What a model asks dbt for, if all its Jinja is calls of ``ref``, ``source`` and ``config`` with plain values.

    ``None`` if there is more to it, which takes a hundred times as long. Most models are that plain, and dbt has such a
    short cut too.
    """
    text = _without_comments(text)
    if "{%" in text or "{#" in text:
        return None
    refs: dict[Ref, None] = {}
    sources: dict[tuple[str, str], None] = {}
    config: dict[str, Any] = {}
    end = 0
    while (start := text.find("{{", end)) >= 0:
        end = text.find("}}", start + 2)
        call = _plain_call(text[start + 2 : end]) if 0 <= end - start < _LONGEST_CALL else None
        if call is None:
            return None
        name, names, options = call
        are_texts = all(isinstance(one, str) for one in names)
        if name == "config" and not names:
            config |= options
        elif name == "source" and len(names) == 2 and are_texts and not options:
            sources[str(names[0]), str(names[1])] = None
        elif name == "ref" and len(names) in {1, 2} and are_texts and options.keys() <= {"v", "version"}:
            version = options.get("v", options.get("version"))
            package = str(names[0]) if len(names) > 1 else None
            refs[Ref(str(names[-1]), package, None if version is None else str(version))] = None
        else:
            return None
    return Calls(tuple(refs), tuple(sources), config)


def _plain_call(expression: str) -> tuple[str, list[object], dict[str, object]] | None:
    """Name and arguments of a call, if that is all, and they are plain values."""
    try:
        # a minus or plus at the border of an expression is about the white space around it
        tree = ast.parse(expression.lstrip("-+").removesuffix("-").removesuffix("+").strip(), mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            return None
        options = {keyword.arg: _value(keyword.value) for keyword in tree.keywords if keyword.arg is not None}
        if len(options) < len(tree.keywords):
            return None
        return tree.func.id, [_value(argument) for argument in tree.args], options
    except (
        SyntaxError,
        ValueError,
        TypeError,
        RecursionError,
        MemoryError,
    ):  # what ast raises on what is no plain value
        return None


def _value(tree: ast.expr) -> object:
    if isinstance(tree, ast.Name):
        if tree.id not in _CONSTANTS:
            raise ValueError(tree.id)
        return _CONSTANTS[tree.id]
    if isinstance(tree, ast.List | ast.Tuple):
        return [_value(item) for item in tree.elts]
    if isinstance(tree, ast.Dict):
        return {str(_value(key)): _value(value) for key, value in zip(tree.keys, tree.values, strict=True) if key}
    value = ast.literal_eval(tree)
    if not isinstance(value, str | int | float | None):
        raise ValueError(value)  # noqa: TRY004 - as ast itself does for what is no plain value
    return value
