r"""Where a description came from: one record a text, and the file in which a project keeps them.

The file holds one line of JSON a record, sorted by node and column, and nothing else: no header, no count, nothing that
two branches would both change. So git merges lines that different people added, and a line that nobody touched stays
as it is, byte for byte, fields of newer versions included. ``docs/provenance.md`` describes it.

Only hashes of texts are kept. Two texts that differ in white space have the same hash, so that a formatter which folds
a long description has not written a new one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from osmosis_synthesize.names import EntryKey, fold
from osmosis_synthesize.text import line_ending

FILE: Final = ".osmosis/provenance.jsonl"
"""Where a project keeps its records, relative to the folder with ``dbt_project.yml``."""

META_KEY: Final = "osmosis_provenance"
"""Where under ``config: meta:`` a record stands beside its text, if that is where they are kept."""

_HASH_CHARACTERS: Final = 16
"""64 bits: it has to differ from the hash of what was there before, and from nothing else."""

_CONFLICT: Final = ("<<<<<<< ", "||||||| ", "=======", ">>>>>>> ")
"""How git marks the lines on which two branches disagree."""


_Word = Annotated[str, msgspec.Meta(pattern=r"^[\w ./:@+-]{0,200}\Z")]
"""What may be shown as it is: a repository could bring records that hold anything."""


class Place(NamedTuple):
    """What a record is about, in a form that no manifest, and no case of a name, can change."""

    node: str
    """As :func:`entry_id` gives it."""
    column: str
    """Folded; empty for the node's own description."""


class Made(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a text was made from, each part as a hash; ``None`` where that part was not known."""

    sql: str | None = None
    """The node's SQL as it is written, without comments and layout, and the project's own macros that it names."""
    expression: str | None = None
    """What the column is computed with. Of a node's own text: all of its query but what it selects."""
    upstream: Mapping[str, str] = {}
    """The texts of the columns that it is made of: ``unique_id.column`` → hash."""
    prompt: str = ""
    """The version of our instructions; no hash."""


class Record(msgspec.Struct, frozen=True):
    """One text that was written, and all that is known of how it came about."""

    node: str
    column: str | None
    """As the schema file spells it; ``None`` for the node's own description."""
    text: str
    """Hash of the text: see :func:`text_hash`."""
    origin: _Word
    """``generated`` or ``cached``; ``edited`` once a human has accepted a text that they had changed."""
    provider: _Word
    model: _Word
    at: _Word
    """When, in UTC: ``2026-01-31T12:00:00Z``."""
    reviewed: bool = False
    """Whether a human has accepted it."""
    made_from: Made = Made()

    @property
    def place(self) -> Place:
        """What it is about."""
        return Place(self.node, fold(self.column or ""))

    def is_of(self, text: str | None) -> bool:
        """Whether it is about this very text. If not, a human has changed that since."""
        return text is not None and text_hash(text) == self.text

    def is_generated_text(self, text: str | None) -> bool:
        """Whether this text is as it was generated. What a human has changed, or accepted after changing it, is theirs."""
        return self.is_of(text) and self.origin != "edited"


def text_hash(text: str) -> str:
    """The hash by which a text is known again; white space makes no difference."""
    return hash_of(" ".join(text.split()))


def hash_of(value: str) -> str:
    """The hash of a text as it is: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARACTERS]


def as_word(name: str) -> str:
    """The name of a provider or a model as a record holds it."""
    return re.sub(r"[^\w ./:@+-]", "_", name)[:200]


def entry_id(key: EntryKey, project: str) -> str:
    """How an entry of a schema file is called in records: the ``unique_id`` that dbt gives an unversioned node.

    The entry that serves all versions of a model keeps its name when a version is added: ``model.shop.orders``.
    """
    stem = f"{key.source_name}.{key.name}" if key.source_name is not None else key.name
    version = f".v{key.version}" if key.version is not None else ""
    return f"{key.resource_type}.{project}.{stem}{version}"


def place_of(key: EntryKey, column: str | None, project: str) -> Place:
    """What a record about a description would be about."""
    return Place(entry_id(key, project), fold(column or ""))


class _Line(NamedTuple):
    text: str
    record: Record | None
    """``None``: the line could not be read, and is kept as it is."""


class Records:
    """The records of a file, and its lines. Immutable: what changes it gives a new one."""

    def __init__(self, lines: Iterable[_Line], newline: str = "\n") -> None:
        """Use :meth:`parse`."""
        self._lines: Final = tuple(lines)
        self._newline: Final = newline
        self._found: Final = dict[Place, list[Record]]()
        self._texts: Final = dict[tuple[Place, str], str]()
        """The first line about each text."""
        for text, record in self._lines:
            if record is not None:
                place = record.place
                self._found.setdefault(place, []).append(record)
                self._texts.setdefault((place, record.text), text)

    @classmethod
    def parse(cls, text: str) -> Records:
        """Read a file. Lines that are no records, such as those of a merge that is not finished, are kept and named."""
        lines = (line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n"))
        return cls((_Line(line, _read(line)) for line in lines if line.strip()), line_ending(text))

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, place: object) -> bool:
        return place in self._found

    def __iter__(self) -> Iterator[Place]:
        return iter(self._found)

    @property
    def problem(self) -> str | None:
        """What keeps some of the lines from being read, and what to do about it; ``None`` if all are records."""
        bad = [number for number, line in enumerate(self._lines, 1) if line.record is None]
        if not bad:
            return None
        where = f"line {bad[0]}" if len(bad) == 1 else f"{len(bad)} lines, the first of them line {bad[0]}"
        if any(line.text.startswith(_CONFLICT) for line in self._lines if line.record is None):
            return (
                f"it holds the conflict of a merge ({where}). Keep the lines of both sides and delete the marks; of two "
                "lines about one text either will do"
            )
        return f"{where} cannot be read. It is kept as it is; delete it if it is of no use"

    def of(self, place: Place, text: str | None = None) -> Record | None:
        """The record about a place.

        After a merge there may be several: the one about ``text`` is taken, else the latest.
        """
        found = self._found.get(place)
        if not found:
            return None
        own = [record for record in found if record.is_of(text)]
        return max(own or found, key=lambda record: (record.at, record.reviewed))

    def put(self, records: Iterable[Record]) -> Records:
        """With these records in place of those about the same places."""
        new = {record.place: _Line(_write(record, self._others(record)), record) for record in records}
        kept = (line for line in self._lines if line.record is None or line.record.place not in new)
        return Records([*kept, *new.values()], self._newline)

    def without(self, places: Iterable[Place]) -> Records:
        """Without the records about these places."""
        gone = set(places)
        return Records(
            [line for line in self._lines if line.record is None or line.record.place not in gone], self._newline
        )

    def text(self) -> str:
        """The file's text: sorted, unless there are lines that cannot be read, which then keep their place."""
        lines = self._lines
        if all(line.record is not None for line in lines):
            lines = tuple(sorted(lines, key=lambda line: (line.record.place if line.record else (), line.text)))
        return "".join(line.text + self._newline for line in lines)

    def _others(self, record: Record) -> Mapping[str, Any]:
        """What a newer version has noted about the same text, and we do not understand."""
        text = self._texts.get((record.place, record.text))
        return msgspec.json.decode(text) if text is not None else {}


def to_meta(record: Record) -> str:
    """A record as it stands beside its text: JSON like a line, without what the place says already."""
    data = {name: value for name, value in _plain(record).items() if name not in {"node", "column"}}
    return msgspec.json.encode(data).decode()


def from_meta(value: object, node: str, column: str | None) -> Record | None:
    """The record that stands beside a text; ``None`` where that is none."""
    try:
        data: Any = msgspec.json.decode(value) if isinstance(value, str) else None
        return msgspec.convert({**data, "node": node, "column": column}, Record) if isinstance(data, dict) else None
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None


def _read(line: str) -> Record | None:
    try:
        return _decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None


_decode = msgspec.json.Decoder(Record).decode


def _write(record: Record, others: Mapping[str, Any]) -> str:
    """The line of a record. Its fields come in their order, then ``others`` that it does not have."""
    data = _plain(record)
    made: dict[str, Any] = data["made_from"]
    for name, value in others.items():
        data.setdefault(name, value)
    unknown: dict[str, Any] = others.get("made_from", {})
    made |= {name: value for name, value in unknown.items() if name not in Made.__struct_fields__}
    return msgspec.json.encode(data).decode()


def _plain(record: Record) -> dict[str, Any]:
    """A record as JSON has it, the same for the same record."""
    data: dict[str, Any] = msgspec.to_builtins(record)
    made: dict[str, Any] = data["made_from"]
    if "upstream" in made:
        made["upstream"] = dict(sorted(made["upstream"].items()))
    return data
