"""``dbt_project.yml`` and ``vars.yml`` as plain values that know their line.

Scalars stay text, as written: ``1``, ``true`` and ``"1"`` arrive as ``str``, because every setting is read from text
anyway (the environment has nothing else), and the readers of YAML 1.1 (dbt's) and 1.2 disagree on what ``yes`` is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pathlib import Path

_NULL_TAG = "tag:yaml.org,2002:null"
_MERGE_TAG = "tag:yaml.org,2002:merge"


class YamlError(ValueError):
    """The text is no YAML; the message says where."""


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One value of a YAML file. ``line`` counts from 1 and is where its key stands, if it has one."""

    data: str | tuple[Value, ...] | Mapping[str, Value] | None
    line: int
    quoted: bool = False
    """Whether it is text in quotes, or in a block: never a number."""

    def get(self, *keys: str) -> Value | None:
        """What stands under ``keys``, one below the other; ``None`` where a key or a mapping is missing, or it is null."""
        value = self
        for key in keys:
            found = value.data.get(key) if isinstance(value.data, Mapping) else None
            if found is None or found.data is None:
                return None
            value = found
        return value


def from_plain(data: object) -> Value:
    """What some reader of YAML made of a file, as if it had been read here. Which lines it stood in is unknown: 0."""
    if isinstance(data, Mapping):
        pairs = cast("Mapping[object, object]", data).items()
        return Value({str(key): from_plain(item) for key, item in pairs}, 0)
    if isinstance(data, list | tuple):
        return Value(tuple(map(from_plain, cast("Sequence[object]", data))), 0)
    return Value(None if data is None else str(data), 0)


def to_plain(value: Value) -> Any:
    """The same without lines, and scalars as dbt's reader of YAML (1.1) takes them: ``yes`` is true, ``"1"`` is text.

    Dates, and numbers that are not decimal, stay text.

    Raises:
        YamlError: it holds more than 100,000 values, each alias counted as what it stands for.
    """
    return _plain(value, iter(range(_MOST_VALUES)))


def _plain(value: Value, left: Iterator[int]) -> Any:
    if next(left, None) is None:
        raise YamlError(f"holds more than {_MOST_VALUES:,} values")
    if isinstance(value.data, Mapping):
        return {key: _plain(item, left) for key, item in value.data.items()}
    if isinstance(value.data, tuple):
        return [_plain(item, left) for item in value.data]
    if value.data is None or value.quoted:
        return value.data
    if value.data in _BOOLEANS:
        return _BOOLEANS[value.data]
    if _INTEGER.fullmatch(value.data):
        return int(value.data)
    return float(value.data) if _FLOAT.fullmatch(value.data) else value.data


_MOST_VALUES = 100_000
_BOOLEANS = {
    spelling: meaning
    for meaning, words in ((True, ("yes", "true", "on")), (False, ("no", "false", "off")))
    for word in words
    for spelling in (word, word.title(), word.upper())
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,18}")


def read_text(path: Path) -> str | None:
    """The file's text, or ``None`` where there is no such file.

    Raises:
        YamlError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise YamlError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise YamlError(f"is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from error


@lru_cache(maxsize=8)
def parse_yaml(text: str) -> Value:
    """The first document of ``text``; a repeated key means its last value, as in dbt.

    Cached, because settings and the project's layout are read from the same file.

    Raises:
        YamlError: no YAML, more than one document, or an anchor that contains itself.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    reader: Any = YAML(typ="safe")
    try:
        root = reader.compose(text)
    except MarkedYAMLError as error:
        # The parser's own message quotes the lines around the fault, and with them whatever stands there.
        fault: Any = error
        mark = fault.problem_mark or fault.context_mark
        raise YamlError(f"is no valid YAML: line {mark.line + 1}: {fault.problem}") from error
    except YAMLError as error:
        raise YamlError("is no valid YAML: it holds a character that YAML does not allow") from error
    return Value(None, 1) if root is None else _Reader().read(root, root.start_mark.line + 1)


@dataclass(slots=True)
class _Reader:
    """Turns the composer's nodes into values. An alias is read once, so that nested ones cannot multiply."""

    done: dict[int, Value] = field(default_factory=dict[int, Value])
    under_way: set[int] = field(default_factory=set[int])

    def read(self, node: Any, line: int) -> Value:
        known = self.done.get(id(node))
        if known is not None:
            return Value(known.data, line, known.quoted)
        if id(node) in self.under_way:
            raise YamlError(f"is no valid YAML: line {node.start_mark.line + 1}: an anchor contains itself")
        self.under_way.add(id(node))
        value = Value(self._data(node), line, quoted=node.id == "scalar" and node.style not in {None, ""})
        self.under_way.discard(id(node))
        self.done[id(node)] = value
        return value

    def _data(self, node: Any) -> str | tuple[Value, ...] | dict[str, Value] | None:
        if node.id == "scalar":
            return None if node.tag == _NULL_TAG else str(node.value)
        if node.id == "sequence":
            return tuple(self.read(item, item.start_mark.line + 1) for item in node.value)
        merged: dict[str, Value] = {}
        own: dict[str, Value] = {}
        for key, item in node.value:
            if key.tag == _MERGE_TAG:
                self._merge(item, merged)
            else:
                # A key that is itself a mapping is an unquoted ``{{ … }}``; its name only has to be unlike any other.
                name = str(key.value) if key.id == "scalar" else "{…}"
                own[name] = self.read(item, key.start_mark.line + 1)
        return merged | own

    def _merge(self, node: Any, into: dict[str, Value]) -> None:
        """``<<: *one`` or ``<<: [*one, *two]``: the earlier one wins."""
        for item in node.value if node.id == "sequence" else [node]:
            data = self.read(item, item.start_mark.line + 1).data
            if isinstance(data, Mapping):
                for name, value in data.items():
                    into.setdefault(name, value)
