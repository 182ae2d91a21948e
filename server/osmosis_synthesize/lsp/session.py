"""What lasts as long as the connection: open texts, projects, tasks, the client and what it can do."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from lsprotocol import types

from osmosis_synthesize.engine.call import Caller
from osmosis_synthesize.engine.gaps import EntrySurvey
from osmosis_synthesize.engine.model import Gap, Proposal
from osmosis_synthesize.lsp import convert
from osmosis_synthesize.lsp.client import Abilities
from osmosis_synthesize.lsp.configuration import Configuration
from osmosis_synthesize.lsp.documents import Documents
from osmosis_synthesize.lsp.jobs import Jobs, Run, Worker
from osmosis_synthesize.lsp.language_model import ask_editor
from osmosis_synthesize.lsp.messages import Choice
from osmosis_synthesize.lsp.protocol import Protocol
from osmosis_synthesize.lsp.reading import Reading, Surveyor
from osmosis_synthesize.lsp.sheet import Item, Sheet, Told
from osmosis_synthesize.lsp.texts import OpenText, Texts
from osmosis_synthesize.lsp.workspace import GapId, Member, Ready, Way, Workspace, is_schema_file, view
from osmosis_synthesize.project import Project
from osmosis_synthesize.providers import registry
from osmosis_synthesize.providers.base import Provider, ProviderConfig
from osmosis_synthesize.providers.editor import EditorProvider
from osmosis_synthesize.store import Store

_READ_AT_ONCE: Final = 100_000
"""Characters up to which a text is parsed where it is needed: some 20 ms. Longer ones go to the worker."""

_SURVEYED_AT_ONCE: Final = 20
"""Entries up to which gaps are looked for where they are needed."""


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
        self.proposed: Final = dict[tuple[Path, GapId], Proposal]()
        """What the client was given last for each gap of a project, to know it again when it comes back to be applied."""
        self.asked_alone: Final = set[tuple[Path, GapId]]()
        """The gaps that were asked for alone, so that the cache may hold a text for each. The worker may look."""
        self.status_is_due = False
        """The client will be told in a moment how things are."""
        self.status_told: object = None
        """What it was told last."""
        self.told: Final = dict[str, Told]()
        """The diagnostics of each open schema file, as they were last made."""
        self.looked_at: Final = dict[str, Sequence[EntrySurvey]]()
        """The entries of each open schema file as they were when it was worked out how all its gaps would be filled."""
        self._readings: Final = dict[str, Reading]()
        self._sheets: Final = dict[tuple[str, str], Sheet]()
        self._told: Final = set[str]()

    @cached_property
    def store(self) -> Store:
        """Cache and ledger, opened when first needed; any thread may use it."""
        return Store.open()

    async def read(self, uri: str) -> Reading | None:
        """An open schema file as it is now; ``None`` if it is none, or its project is not loaded (yet)."""
        while (text := self.texts.get(uri)) is not None:
            member = self.workspace.member_of(text.path)
            if member is None or not isinstance(member.state, Ready):
                return None
            ready = member.state
            known = self._readings.get(uri)
            if known is not None and known.text is text and known.ready is ready:
                return known
            if known is None or known.ready is not ready:
                known = None
                if not is_schema_file(ready.project, text.path):
                    return None
            read = partial(self._read, text, member, ready, self.refreshed(ready.project), known)
            reading = read(at_once=True) or await self.worker.do(partial(read, at_once=False))
            if reading is not None and self.texts.get(uri) is text and member.state is ready:
                self._readings[uri] = reading
                return reading
        return None

    def _read(
        self, text: OpenText, member: Member, ready: Ready, project: Project, known: Reading | None, *, at_once: bool
    ) -> Reading | None:
        """The reading; ``None`` if that takes long and is wanted at once."""
        read = self.documents.at_hand if at_once and len(text.text) > _READ_AT_ONCE else self.documents.read
        document = read(text.path, text.text)
        if document is None:
            return None
        entries = Surveyor(ready, text, known).survey(document, most=_SURVEYED_AT_ONCE if at_once else None)
        if entries is None:
            return None
        return Reading(text, member, ready, project, document, self.documents.problems(text.path), entries)

    async def draw(
        self,
        uri: str,
        feature: str,
        make: Callable[[Session, Reading, EntrySurvey, Sequence[Way | None]], Iterable[Item]],
    ) -> tuple[Reading, str] | None:
        """What a feature says of the entries of an open schema file as it is now: JSON, separated by commas."""
        while (reading := await self.read(uri)) is not None:
            sheet = self._sheets.get((uri, feature))
            if sheet is None:
                sheet = self._sheets[uri, feature] = Sheet(partial(make, self), self.abilities.encoding)
            if sheet.new(reading) <= _SURVEYED_AT_ONCE:
                return reading, sheet.draw(reading)
            await self.worker.do(partial(sheet.draw, reading))
        return None

    def refreshed(self, project: Project) -> Project:
        """The project with the open texts as they are now, and nothing edited."""
        return view(project, self.texts.buffers(), self.documents)

    @property
    def in_force(self) -> Configuration:
        """The editor's settings, and over them what the user has chosen."""
        return replace(self.configuration, choice=self.choice)

    def uri_of(self, path: Path) -> str:
        """The URI by which the client knows a file, if it has it open, else the usual one."""
        text = self.texts.at(path)
        return text.uri if text is not None else convert.uri_of(path)

    def caller(
        self, project: Project, *, anew: bool = False, show: Callable[[Gap, str], None] | None = None
    ) -> Caller:
        """The way to the project's provider, for plans and for calls. ``anew`` asks what the cache could answer.

        ``show`` is told what a reply says while it comes.
        """
        from osmosis_synthesize.calling import make_caller

        return make_caller(
            project.settings,
            self.store,
            project=project.layout.name,
            create=self.provider,
            anew=anew,
            refuse=self._why_not_now,
            show=show,
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
        self.told.pop(uri, None)
        self.looked_at.pop(uri, None)
        for key in [key for key in self._sheets if key[0] == uri]:
            del self._sheets[key]

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
