"""What lasts as long as the connection: open texts, projects, tasks, the client and what it can do."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from lsprotocol import types

from osmosis_synthesize.document import Document
from osmosis_synthesize.document.model import Entry, Problem
from osmosis_synthesize.engine.call import Caller
from osmosis_synthesize.engine.gaps import Survey
from osmosis_synthesize.engine.model import Gap
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.client import Abilities
from osmosis_synthesize.lsp.configuration import Configuration
from osmosis_synthesize.lsp.documents import Documents
from osmosis_synthesize.lsp.jobs import Jobs, Run, Worker
from osmosis_synthesize.lsp.language_model import ask_editor
from osmosis_synthesize.lsp.messages import Choice
from osmosis_synthesize.lsp.protocol import Protocol
from osmosis_synthesize.lsp.texts import OpenText, Texts
from osmosis_synthesize.lsp.workspace import GapId, Member, Ready, Way, Workspace, is_schema_file, view
from osmosis_synthesize.names import EntryKey
from osmosis_synthesize.project import Project, Request
from osmosis_synthesize.providers import registry
from osmosis_synthesize.providers.base import Provider, ProviderConfig
from osmosis_synthesize.providers.editor import EditorProvider
from osmosis_synthesize.store import Store

_PARSED_AT_ONCE: Final = 100_000
"""Characters up to which a text is parsed where it is needed: some 20 ms. Longer ones go to the worker."""


@dataclass(frozen=True)
class Reading:
    """An open schema file at one version, and what was found in it."""

    text: OpenText
    member: Member
    ready: Ready
    project: Project
    """With the open texts as they were then."""
    document: Document
    problems: tuple[Problem, ...]
    """Of the text itself; one that is no YAML shows what is left of its last slots."""
    survey: Survey

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The gaps, in the order of the file."""
        return self.survey.gaps

    @property
    def ways(self) -> Mapping[GapId, Way]:
        """How they would be filled, as far as that has been worked out."""
        return self.member.ways.get(self.text.path, {})

    @cached_property
    def _gaps_by_key(self) -> Mapping[EntryKey, list[Gap]]:
        gaps: dict[EntryKey, list[Gap]] = {}
        for gap in self.gaps:
            gaps.setdefault(gap.key, []).append(gap)
        return gaps

    def gaps_of(self, key: EntryKey) -> Sequence[Gap]:
        """The gaps of one entry; a model's own are not those of its versions."""
        return self._gaps_by_key.get(key, ())

    def entry_at(self, offset: int) -> Entry | None:
        """The innermost entry on whose lines ``offset`` lies."""
        line = self.document.lines.line_of(offset)
        found = None
        for entry in self.document.entries:
            lines = self.document.lines
            if lines.line_of(entry.span.start) <= line <= lines.line_of(entry.span.end):
                found = entry
        return found

    def gap(self, key: EntryKey, column: str | None) -> Gap | None:
        """The gap of an entry or of one of its columns, by name."""
        return next((gap for gap in self.gaps_of(key) if gap.column == column), None)


class Session:
    """The server's memory. All of it belongs to the event loop; only what is said so is shared with the worker."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol: Final = protocol
        self.abilities = Abilities()
        self.configuration = Configuration()
        self.initial_options: object = None
        self.texts: Final = Texts()
        self.documents: Final = Documents()
        self.workspace: Final = Workspace()
        self.worker: Final = Worker()
        self.jobs: Final = Jobs(self._failed)
        self.started: Final = time.time()
        self.runs: Final = dict[str | int, Run]()
        """What the user may stop, by the token of its progress."""
        self.choice: Choice | None = None
        """The provider and model that the user has chosen for as long as this lasts."""
        self.paused = False
        """Nothing calls a provider until the user says so."""
        self.status_is_due = False
        """The client will be told in a moment how things are."""
        self.status_told: object = None
        """What it was told last."""
        self._readings: Final = dict[str, Reading]()
        self._told: Final = set[str]()

    @cached_property
    def store(self) -> Store:
        """Cache and ledger, opened when first needed; any thread may use it."""
        return Store.open()

    async def read(self, uri: str) -> Reading | None:
        """An open schema file as it is now; ``None`` if it is none, or its project is not loaded (yet)."""
        while (text := self.texts.get(uri)) is not None:
            if len(text.text) > _PARSED_AT_ONCE and not self.documents.is_known(text.path, text.text):
                await self.worker.do(partial(self.documents.read, text.path, text.text))
                continue
            return self._read(text)
        return None

    def _read(self, text: OpenText) -> Reading | None:
        member = self.workspace.member_of(text.path)
        if member is None or not isinstance(member.state, Ready):
            return None
        ready = member.state
        known = self._readings.get(text.uri)
        if known is not None and known.text is text and known.ready is ready:
            return known
        if not is_schema_file(ready.project, text.path):
            return None
        project = self.refreshed(ready.project)
        document = self.documents.read(text.path, text.text)
        survey = project.survey(Request((text.path,)), with_manifest=ready.has_manifest)
        reading = self._readings[text.uri] = Reading(
            text, member, ready, project, document, self.documents.problems(text.path), survey
        )
        return reading

    def refreshed(self, project: Project) -> Project:
        """The project with the open texts as they are now, and nothing edited."""
        return view(project, self.texts.buffers(), self.documents)

    @property
    def in_force(self) -> Configuration:
        """The editor's settings, and over them what the user has chosen."""
        choice = self.choice
        if choice is None or choice.provider is None:
            return self.configuration
        return self.configuration.choosing(choice.provider, choice.model)

    def uri_of(self, path: Path) -> str:
        """The URI by which the client knows a file, if it has it open, else the usual one."""
        text = self.texts.at(path)
        return text.uri if text is not None else convert.uri_of(path)

    def caller(self, project: Project, *, anew: bool = False) -> Caller:
        """The way to the project's provider, for plans and for calls. ``anew`` asks what the cache could answer."""
        from osmosis_synthesize.calling import make_caller

        return make_caller(
            project.settings,
            self.store,
            project=project.layout.name,
            create=self.provider,
            anew=anew,
            refuse=self._why_not_now,
        )

    def provider(self, config: ProviderConfig) -> Provider:
        """The provider that ``config`` asks for; the editor's own model among them, if the client has one.

        Raises:
            ProviderSetupError: no call can work.
        """
        if config.name == "editor" and self.configuration.language_model:
            return EditorProvider(config, partial(ask_editor, self.protocol))
        return registry.create(config)

    def _why_not_now(self) -> str | None:
        return "generation is paused" if self.paused else None

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self._readings.pop(uri, None)

    def tell(self, message: str, kind: types.MessageType = types.MessageType.Warning) -> None:
        """Show the user a message; the same one only once."""
        if message not in self._told:
            self._told.add(message)
            self.protocol.notify(types.WINDOW_SHOW_MESSAGE, types.ShowMessageParams(kind, message))

    def log(self, message: str, kind: types.MessageType = types.MessageType.Info) -> None:
        """Write to the client's log. Never a prompt, a reply, a text of the user's or a key."""
        self.protocol.notify(types.WINDOW_LOG_MESSAGE, types.LogMessageParams(kind, message))

    def _failed(self, name: str, error: BaseException) -> None:
        """Something of ours went wrong. The error's own words may hold a user's text, so only its place is told."""
        place = "".join(traceback.format_tb(error.__traceback__)[-3:])
        self.log(f"{name}: {type(error).__name__}\n{place}", types.MessageType.Error)
        self.tell(
            f"osmosis: {name} failed ({type(error).__name__}). The log says where; everything else goes on.",
            types.MessageType.Error,
        )
