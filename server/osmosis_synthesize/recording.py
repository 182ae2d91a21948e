"""From texts to their records and back: what a run has written, and which descriptions of a project were written so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec

from osmosis_synthesize.document import is_gap
from osmosis_synthesize.drafts import Drafts
from osmosis_synthesize.engine.gaps import Naming, relative
from osmosis_synthesize.engine.model import Author, Proposal
from osmosis_synthesize.engine.provenance import (
    META_KEY,
    Made,
    Place,
    Record,
    Records,
    as_word,
    entry_id,
    from_meta,
    place_of,
    text_hash,
    to_meta,
)
from osmosis_synthesize.names import EntryKey, fold, short_name
from osmosis_synthesize.records import RecordFile
from osmosis_synthesize.surveying import Ground, Request, scope_of

if TYPE_CHECKING:
    from osmosis_synthesize.document import Document, Entry
    from osmosis_synthesize.engine.drift import Change
    from osmosis_synthesize.engine.made_from import MadeFrom
    from osmosis_synthesize.manifest.lineage import Lineages


@dataclass(frozen=True, slots=True)
class Recorded:
    """A description that stands in a schema file, and the record of how it came about."""

    unique_id: str
    """The manifest's, where that was asked; else the one that dbt would give."""
    key: EntryKey
    column: str | None
    file: Path
    """Absolute."""
    line: int
    """From 1."""
    character: int
    """From 1, in code points."""
    text: str
    record: Record
    in_meta: bool = False
    """Whether the record stands beside the text, and not in the file of records."""

    @property
    def label(self) -> str:
        """As people name it: ``orders`` or ``orders.amount``."""
        name = short_name(self.unique_id)
        return name if self.column is None else f"{name}.{self.column}"

    @property
    def is_edited(self) -> bool:
        """Whether a human has changed the text since it was recorded. Then it is theirs."""
        return not self.record.is_of(self.text)

    @property
    def wants_review(self) -> bool:
        """Whether it stands as it was generated, and nobody has accepted it."""
        return not self.record.reviewed and not self.is_edited


@dataclass(frozen=True, slots=True)
class Drifted:
    """A description, and what has changed of what it was made from."""

    text: Recorded
    changes: tuple[Change, ...]
    """Empty for one that only a human has edited."""


def recorded(request: Request, ground: Ground, records: Records) -> Iterator[Recorded]:
    """The descriptions of a request that have a record, in the order of files and lines."""
    for path in scope_of(request, ground).files:
        document = ground.drafts.get(path)
        if document is not None and (len(records) or META_KEY in document.text):
            yield from _recorded_in(document, path, ground, records)


def _recorded_in(document: Document, path: Path, ground: Ground, records: Records) -> Iterator[Recorded]:
    index = ground.known.index if ground.known is not None else None
    project = ground.layout.name
    naming = Naming(project, ground.root, index)
    has_meta = META_KEY in document.text
    for entry in document.entries:
        for slot in (*((entry.slot,) if entry.slot is not None else ()), *entry.columns):
            if slot.text is None or is_gap(slot, ground.placeholders):
                continue
            found = records.of(place_of(entry.key, slot.column, project), slot.text)
            record = better(found, slot.text, entry if has_meta else None, slot.column, project)
            if record is None:
                continue
            nodes = naming.nodes(entry.key, relative(path, ground.root))
            unique_id = naming.unique_id(entry.key, nodes, slot.column)
            if not ground.selection.has(entry.key, unique_id):
                continue
            place = document.lines.position(slot.span.start, "utf-32")
            yield Recorded(
                unique_id,
                entry.key,
                slot.column,
                path,
                place.line + 1,
                place.character + 1,
                slot.text,
                record,
                in_meta=record is not found,
            )


def better(found: Record | None, text: str, entry: Entry | None, column: str | None, project: str) -> Record | None:
    """The record of the file, or the one beside the text if only that can be about it.

    Args:
        found: in the file.
        text: the description as it is now.
        entry: of the schema file; ``None`` if nothing stands beside texts there.
        column: one of its columns, or ``None`` for its own description.
        project: the dbt project's name.
    """
    if entry is None or (found is not None and found.is_of(text)):
        return found
    beside: Any = entry.data
    if column is not None:
        columns: Any = beside.get("columns")
        items: list[Any] = [item for item in columns or () if isinstance(item, Mapping)]
        beside = next((item for item in items if fold(str(item.get("name"))) == fold(column)), None)
    for name in ("config", "meta", META_KEY):
        beside = cast("Mapping[str, Any]", beside).get(name) if isinstance(beside, Mapping) else None
    return from_meta(beside, entry_id(entry.key, project), column) or found


def gone(ground: Ground, records: Records) -> list[Place]:
    """What records are about and no schema file lists any more; nothing while one of the files cannot be read."""
    there: set[Place] = set()
    for path in ground.mentions.files:
        document = ground.drafts.get(path)
        if document is None or document.problems:
            return []
        there.update(place_of(slot.key, slot.column, ground.layout.name) for slot in document.slots())
    return [place for place in records if place not in there]


def drifted(texts: Sequence[Recorded], now: MadeFrom | None, lineage: Lineages | None) -> Iterator[Drifted]:
    """Those of some texts that a human has edited, or of whose origins something has changed.

    Args:
        texts: of one project.
        now: what they would be made from now; ``None`` where no manifest tells.
        lineage: where that reads expressions, so that those of many nodes are traced at once.
    """
    from osmosis_synthesize.engine.drift import changes, has_other_sql

    if now is not None and lineage is not None:
        lineage.trace({one.unique_id for one in texts if has_other_sql(one.record, one.unique_id, now)})
    for one in texts:
        found = changes(one.record, one.unique_id, now) if now is not None else ()
        if found or one.is_edited:
            yield Drifted(one, found)


class Recorder:
    """Writes the records of generated texts. Made anew for each run, since it remembers the SQL that it has read."""

    def __init__(
        self,
        homes: Homes,
        project: str,
        made_from: MadeFrom | None,
        lineage: Lineages | None = None,
        *,
        beside: bool = False,
    ) -> None:
        """Nothing is read or written yet.

        Args:
            homes: where records are kept.
            project: the dbt project's name.
            made_from: what texts are made from now; ``None`` where no manifest tells.
            lineage: where that reads expressions, so that those of many nodes are traced at once.
            beside: whether new records are to stand beside their texts. Those that cannot are kept in the file.
        """
        self._homes: Final = homes
        self._project: Final = project
        self._made_from: Final = made_from
        self._lineage: Final = lineage
        self._beside: Final = beside

    def look_up(self, proposals: Iterable[Proposal]) -> Iterator[None]:
        """Read the SQL that the records of these texts will need, a node at a time. Optional: for whoever has other things to
        do in between.
        """
        if self._lineage is None or self._made_from is None:
            return
        generated = dict.fromkeys(one.gap.unique_id for one in proposals if isinstance(one.source, Author))
        unique_ids = [unique_id for unique_id in generated if self._made_from.knows(unique_id)]
        self._lineage.trace(unique_ids)
        for unique_id in unique_ids:
            self._made_from.expression(unique_id, None)
            yield

    async def look_ahead(self, unique_ids: Iterable[str]) -> None:
        """Read the SQL of nodes that may get texts, in another process, while the event loop is at other things."""
        if self._lineage is not None and self._made_from is not None:
            await self._lineage.trace_ahead(filter(self._made_from.knows, unique_ids))

    def record(self, proposals: Iterable[Proposal]) -> None:
        """Record the generated ones among these texts. They are in the drafts; whether on disk does not matter.

        A record whose text stands nowhere does no harm, while a text without a record would be taken for a human's. So
        this comes before the schema files are written.

        Raises:
            WriteError: the records could not be written.
        """
        from osmosis_synthesize.engine.prompts import PROMPT_VERSION

        texts = [(one, one.source) for one in proposals if isinstance(one.source, Author)]
        if self._lineage is not None and self._made_from is not None:
            unique_ids = {one.gap.unique_id for one, _ in texts}
            self._lineage.trace(filter(self._made_from.knows, unique_ids))
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        records = [
            Kept(
                one.gap.file,
                one.gap.key,
                Record(
                    entry_id(one.gap.key, self._project),
                    one.gap.column,
                    text_hash(one.text),
                    one.origin,
                    as_word(author.provider),
                    as_word(author.model),
                    now,
                    made_from=self._made(one, "" if author.provider == "facts" else PROMPT_VERSION),
                ),
            )
            for one, author in texts
        ]
        if self._beside:
            records = self._homes.put_beside(records)
        self._homes.file.put([one.record for one in records])

    def accept(self, texts: Iterable[Recorded]) -> int:
        """Mark texts as reviewed, as they stand and with what they would be made from now; gives how many that changed.

        A record beside its text is changed in the drafts alone; where an editor has the file open, it gives way to one in
        the file of records.

        Raises:
            WriteError: the records could not be written.
        """
        beside: list[Kept] = []
        in_file: list[Kept] = []
        for one in texts:
            made = one.record.made_from
            if self._made_from is not None and self._made_from.knows(one.unique_id):
                made = self._made_from.of(one.unique_id, one.column, prompt=made.prompt)
            new = msgspec.structs.replace(
                one.record,
                text=text_hash(one.text),
                origin="edited" if one.is_edited else one.record.origin,
                reviewed=True,
                made_from=made,
            )
            if new != one.record:
                is_free = self._homes.drafts.buffer(one.file) is None
                (beside if one.in_meta and is_free else in_file).append(Kept(one.file, one.key, new))
        left = self._homes.put_beside(beside)
        self._homes.file.put([one.record for one in (*in_file, *left)])
        return len(beside) + len(in_file)

    def _made(self, one: Proposal, prompt: str) -> Made:
        if self._made_from is None:
            return Made(prompt=prompt)
        return self._made_from.of(one.gap.unique_id, one.gap.column, prompt=prompt)


class Kept(NamedTuple):
    """A record, and the entry that its text stands in."""

    schema_file: Path
    key: EntryKey
    record: Record


class Homes(NamedTuple):
    """Where records are kept."""

    file: RecordFile
    drafts: Drafts
    """The schema files, for records that stand beside their texts."""

    def put_beside(self, records: Sequence[Kept]) -> list[Kept]:
        """Put records beside their texts, in the drafts; gives those for which that cannot be done."""
        reasons = self.drafts.set_meta(
            META_KEY, [(one.schema_file, one.key, one.record.column, to_meta(one.record)) for one in records]
        )
        return [one for one, reason in zip(records, reasons, strict=True) if reason is not None]
