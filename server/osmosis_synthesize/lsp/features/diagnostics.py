"""Gaps as hints, each with what can fill it; entries that the manifest does not know; a manifest that is out of date."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from lsprotocol import types

from osmosis_synthesize.document.model import Entry
from osmosis_synthesize.engine.gaps import EntrySurvey
from osmosis_synthesize.lsp.protocol import Json
from osmosis_synthesize.lsp.reading import Reading
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.sheet import Item, Told
from osmosis_synthesize.lsp.wording import count, filled_by, lacks, summed
from osmosis_synthesize.lsp.workspace import Way
from osmosis_synthesize.text import LineIndex, PositionEncoding, Span

SOURCE: Final = "osmosis"
MISSING: Final = "missing-description"
UNKNOWN_NODE: Final = "unknown-node"
STALE: Final = "stale-manifest"
UNREADABLE: Final = "unreadable"

_MOST_NAMED: Final = 3


_NOTHING: Final = ""

_NUMBERS: Final = itertools.count(1)


async def pull(session: Session, params: types.DocumentDiagnosticParams) -> object:
    """What is to be said about a document now; in a word, if that is what the client has."""
    told = await diagnose(session, params.text_document.uri)
    if told is None:
        return types.RelatedFullDocumentDiagnosticReport(items=[])
    if told.result_id == params.previous_result_id:
        return types.RelatedUnchangedDocumentDiagnosticReport(told.result_id)
    return Json((f'{{"kind":"full","resultId":"{told.result_id}","items":[', told.items, "]}"))


async def publish(session: Session, uri: str) -> None:
    """Send it, to a client that does not ask; what it has already is not sent again.

    So it is sent without a version: some clients drop what is meant for another one than they have by then.
    """
    before = session.told.get(uri)
    told = await diagnose(session, uri)
    known = before.result_id if before is not None else None
    if (told.result_id if told is not None else None) != known and session.texts.get(uri) is not None:
        _send(session, uri, told.items if told is not None else _NOTHING)


def withdraw(session: Session, uri: str) -> None:
    """Have a client that does not ask show nothing any more for a document."""
    if session.told.pop(uri, None) is not None:
        _send(session, uri, _NOTHING)


def _send(session: Session, uri: str, items: str) -> None:
    params = Json((f'{{"uri":{msgspec.json.encode(uri).decode()},"diagnostics":[', items, "]}"))
    session.protocol.notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, params)


async def diagnose(session: Session, uri: str) -> Told | None:
    """The diagnostics of an open schema file; ``None`` for any other document."""
    drawn = await session.draw(uri, SOURCE, _of_entry)
    if drawn is None:
        session.told.pop(uri, None)
        return None
    reading, of_entries = drawn
    made_of = reading, of_entries, reading.member.stale.get(reading.text.path)
    told = session.told.get(uri)
    if told is not None and all(map(operator.is_, told.made_of, made_of)):
        return told
    of_all = [msgspec.json.encode(item).decode() for item in _of_document(session, reading)]
    items = ",".join([*of_all, of_entries]) if of_entries else ",".join(of_all)
    result_id = told.result_id if told is not None and told.items == items else str(next(_NUMBERS))
    told = session.told[uri] = Told(items, result_id, made_of)
    return told


def _of_document(session: Session, reading: Reading) -> Iterator[object]:
    """What is wrong with the text, and with what is known of it."""
    lines, encoding = reading.document.lines, session.abilities.encoding
    for problem in reading.problems:
        fields = _fields(problem.message, UNREADABLE, types.DiagnosticSeverity.Information)
        yield {"range": _range(problem.span, lines, encoding), **fields}
    stale = reading.member.stale.get(reading.text.path, ())
    if stale:
        names = ", ".join(stale[:_MOST_NAMED]) + (", …" if len(stale) > _MOST_NAMED else "")
        message = (
            f"The manifest is older than {count(len(stale), 'node')} of this file ({names}). Run `dbt parse`, "
            "or `dbt compile` where compiled SQL matters."
        )
        fields = _fields(message, STALE, types.DiagnosticSeverity.Information)
        yield {"range": _range(Span(0, 0), lines, encoding), **fields}


def _range(span: Span, lines: LineIndex, encoding: PositionEncoding) -> object:
    ends = lines.position(span.start, encoding), lines.position(span.end, encoding)
    return {name: {"line": end.line, "character": end.character} for name, end in zip(_ENDS, ends, strict=True)}


_ENDS: Final = ("start", "end")


def _of_entry(session: Session, reading: Reading, survey: EntrySurvey, ways: Sequence[Way | None]) -> Iterator[Item]:
    entry = survey.entry
    severity = session.configuration.severity
    if severity != "off":
        shown = types.DiagnosticSeverity[severity.capitalize()]
        for (unique_id, slot), way in zip(survey.missing, ways, strict=True):
            message = lacks(unique_id, slot) + (f": {filled_by(way)}" if way is not None else "")
            data = {"node": unique_id, "column": slot.column}
            yield Item(slot.name_span, {**_fields(message, MISSING, shown), "data": data})
        columns = [way for missing, way in zip(survey.missing, ways, strict=True) if missing.slot.column is not None]
        if len(columns) > 1:
            known = summed(way for way in columns if way is not None)
            message = f"{len(columns)} columns of `{entry.key}` have no description" + (f": {known}" if known else "")
            yield Item(entry.name_span, _fields(message, MISSING, shown))
    if reading.ready.has_manifest and not _is_known(reading, entry):
        message = f"The manifest does not know `{entry.key}`. If it is no slip, run `dbt parse`."
        yield Item(entry.name_span, _fields(message, UNKNOWN_NODE, types.DiagnosticSeverity.Information))


def _is_known(reading: Reading, entry: Entry) -> bool:
    project = reading.project
    if entry.slot is None:  # one of a model's versions, which the model's own entry answers for
        return True
    return bool(project.index.find(entry.key, package=project.layout.name, path=reading.path))


def _fields(message: str, code: str, severity: types.DiagnosticSeverity) -> dict[str, object]:
    return {"message": message, "severity": severity.value, "code": code, "source": SOURCE}
