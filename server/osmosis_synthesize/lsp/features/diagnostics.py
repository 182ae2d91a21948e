"""Gaps as hints, each with what can fill it; entries that the manifest does not know; a manifest that is out of date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lsprotocol import types

from osmosis_synthesize.document.model import Entry
from osmosis_synthesize.engine.gaps import relative
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.session import Reading, Session
from osmosis_synthesize.lsp.wording import count, filled_by, lacks, summed
from osmosis_synthesize.text import PositionEncoding

SOURCE: Final = "osmosis"
MISSING: Final = "missing-description"
UNKNOWN_NODE: Final = "unknown-node"
STALE: Final = "stale-manifest"
UNREADABLE: Final = "unreadable"

_MOST_NAMED: Final = 3


async def pull(session: Session, params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
    """What is to be said about a document now."""
    return types.RelatedFullDocumentDiagnosticReport(items=await diagnose(session, params.text_document.uri))


async def publish(session: Session, uri: str) -> None:
    """Send it, to a client that does not ask."""
    items = await diagnose(session, uri)
    text = session.texts.get(uri)
    if text is not None:
        send(session, uri, items, text.version)


def send(session: Session, uri: str, items: Sequence[types.Diagnostic], version: int | None = None) -> None:
    """Replace what the client shows for a document."""
    session.protocol.notify(
        types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, types.PublishDiagnosticsParams(uri, list(items), version)
    )


async def diagnose(session: Session, uri: str) -> list[types.Diagnostic]:
    """The diagnostics of an open schema file, in its order; none for any other document."""
    reading = await session.read(uri)
    if reading is None:
        return []
    marks = _Marks(session, reading)
    return [*marks.problems(), *marks.manifest(), *marks.gaps(), *marks.unknown()]


class _Marks:
    def __init__(self, session: Session, reading: Reading) -> None:
        self.reading = reading
        self.encoding: PositionEncoding = session.abilities.encoding
        severity = session.configuration.severity
        self.severity = None if severity == "off" else types.DiagnosticSeverity[severity.capitalize()]

    def problems(self) -> Iterator[types.Diagnostic]:
        for problem in self.reading.problems:
            yield self._mark(
                problem.span.start,
                problem.span.end,
                problem.message,
                UNREADABLE,
                types.DiagnosticSeverity.Information,
            )

    def manifest(self) -> Iterator[types.Diagnostic]:
        stale = self.reading.member.stale.get(self.reading.text.path, ())
        if stale:
            names = ", ".join(stale[:_MOST_NAMED]) + (", …" if len(stale) > _MOST_NAMED else "")
            message = (
                f"The manifest is older than {count(len(stale), 'node')} of this file ({names}). Run `dbt parse`, "
                "or `dbt compile` where compiled SQL matters."
            )
            yield self._mark(0, 0, message, STALE, types.DiagnosticSeverity.Information)

    def gaps(self) -> Iterator[types.Diagnostic]:
        if self.severity is None:
            return
        ways = self.reading.ways
        for gap in self.reading.gaps:
            if gap.slot is None:
                continue
            way = ways.get(gap.id)
            message = lacks(gap) + (f": {filled_by(way)}" if way is not None else "")
            data = {"node": gap.unique_id, "column": gap.column}
            span = gap.slot.name_span
            yield self._mark(span.start, span.end, message, MISSING, self.severity, data)
        for entry in self.reading.document.entries:
            gaps = [gap for gap in self.reading.gaps_of(entry.key) if gap.column is not None]
            if len(gaps) > 1:
                known = summed(way for gap in gaps if (way := ways.get(gap.id)) is not None)
                message = f"{len(gaps)} columns of `{entry.key}` have no description" + (
                    f": {known}" if known else ""
                )
                yield self._mark(entry.name_span.start, entry.name_span.end, message, MISSING, self.severity)

    def unknown(self) -> Iterator[types.Diagnostic]:
        reading = self.reading
        if not reading.ready.has_manifest:
            return
        project = reading.project
        path = relative(reading.text.path, project.root)
        for entry in reading.document.entries:
            if not self._is_known(entry, path):
                message = f"The manifest does not know `{entry.key}`. If it is no slip, run `dbt parse`."
                span = entry.name_span
                yield self._mark(span.start, span.end, message, UNKNOWN_NODE, types.DiagnosticSeverity.Information)

    def _is_known(self, entry: Entry, path: str) -> bool:
        project = self.reading.project
        if entry.slot is None:  # one of a model's versions, which the model's own entry answers for
            return True
        return bool(project.index.find(entry.key, package=project.layout.name, path=path))

    def _mark(
        self,
        start: int,
        end: int,
        message: str,
        code: str,
        severity: types.DiagnosticSeverity,
        data: object = None,
    ) -> types.Diagnostic:
        lines = self.reading.document.lines
        return types.Diagnostic(
            range=types.Range(
                convert.position(start, lines, self.encoding), convert.position(end, lines, self.encoding)
            ),
            message=message,
            severity=severity,
            code=code,
            source=SOURCE,
            data=data,
        )
