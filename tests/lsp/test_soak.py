"""Thousands of random edits, requests, cancels and file events against a model of the documents.

``FULL_SIZE_TESTS=1`` makes it 10,000; ``OSMOSIS_TEST_SEED`` repeats a run as far as time lets it be repeated.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from ruamel.yaml import YAML

import servers
from lsp_editor import PATIENCE, Editor, as_dict, path_of, server_environment, uri
from osmosis_synthesize.document import DEFAULT_PLACEHOLDERS, is_gap, parse
from servers import FakeLLMServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp-soak")]

FULL_SIZE = os.environ.get("FULL_SIZE_TESTS") == "1"
STEPS = 10_000 if FULL_SIZE else 300
SEED = int(os.environ.get("OSMOSIS_TEST_SEED", "20261122"))
WARM = STEPS // 5
"""Steps after which everything that is loaded once is loaded."""
MOST_PENDING = 30
CANCELLED, REQUEST_FAILED = -32800, -32803

SCHEMA_FILES = (
    "models/marts/dim_riders.yml",
    "models/marts/_marts.yml",
    "models/staging/_staging.yml",
    "models/intermediate/int_models.yaml",
)
SQL_FILES = ("models/marts/dim_riders.sql", "models/marts/dim_stations.sql")
GARBAGE = (
    *(
        "a",
        ":",
        "\n",
        "  ",
        "- ",
        "'",
        '"',
        "{",
        "[",
        "#",
        "\t",
        "é",
        "🚲",
        "\u2028",
        "\r\n",
        "&x ",
        "*x",
        "|\n",
        "%",
    ),
    *("- name: added\n", "description:", "columns: [", "      - name: more\n        description: ", "{{ doc('x') }}"),
)
FAULTS = (
    None,
    None,
    servers.failing(),
    servers.rate_limited(0.01),
    servers.says("no JSON at all"),
    servers.says('{"columns": [', finish="length"),
    servers.says("I cannot help with that.", finish="refusal"),
    servers.cut_off_body(),
    servers.hang(0.2),
)
DESCRIPTION = re.compile(r"^ +description: (?:'[^'\n]*'|[A-Z][^\n:#'\"{\[]*)\n", re.MULTILINE)
NAME = re.compile(r"^( +)- name: (\w+)\n", re.MULTILINE)


class Model:
    """What an edit of the server's may change: descriptions where there were gaps, and only those that were asked for."""

    def __init__(self, text: str) -> None:
        self.document = parse(text)
        self.data = YAML(typ="safe")
        self.data.allow_duplicate_keys = True
        self.rest = without_descriptions(self.data.load(text))
        self.texts = {
            (entry.key.name, slot.column): slot
            for entry in self.document.entries
            for slot in (entry.slot, *entry.columns)
            if slot is not None
        }

    def changed_since(self, before: Model) -> dict[tuple[str, str | None], str | None]:
        """The descriptions that are others now; all else must be as it was."""
        assert not before.document.broken, "an edit of a text that is no YAML"
        assert not self.document.broken
        assert self.rest == before.rest
        assert self.texts.keys() == before.texts.keys()
        changed = {key: slot.text for key, slot in self.texts.items() if slot.text != before.texts[key].text}
        for key in changed:
            assert is_gap(before.texts[key], DEFAULT_PLACEHOLDERS), key
        return changed


def without_descriptions(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: without_descriptions(value) for key, value in data.items() if key != "description"}
    return [without_descriptions(item) for item in data] if isinstance(data, list) else data


class Soak:
    def __init__(self, editor: Editor, demo: Path, llm: FakeLLMServer) -> None:
        self.editor, self.demo, self.llm = editor, demo, llm
        self.random = random.Random(SEED)
        self.pending: deque[tuple[str, Future[Any]]] = deque()
        self.asked: dict[str, tuple[str, str | None]] = {}
        """What the commands that are under way were asked for: entry and column, by the request's id."""
        self.done: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.log: deque[str] = deque(maxlen=40)
        self.number = 0
        self.originals = {uri(demo / file): (demo / file).read_text("utf-8") for file in (*SCHEMA_FILES, *SQL_FILES)}
        self.disk = {path: path.read_bytes() for path in demo.rglob("*") if path.is_file()}
        self.wanted: dict[tuple[str, str | None], str] | None = None
        self.damaged: Path | None = None
        self.problems: list[str] = []
        self.last: dict[str, Any] = {}
        self._apply = editor.apply
        editor.apply = self.apply  # type: ignore[method-assign]

    # What the server does with texts

    def apply(self, edit: types.WorkspaceEdit) -> bool:
        try:
            return self.applied(edit)
        except Exception as error:
            # It is raised in a handler of the client's, which would send it to the server.
            self.problems.append(f"{error!r} at {self.log[-1]}: {as_dict(edit)}")
            raise

    def applied(self, edit: types.WorkspaceEdit) -> bool:
        changes = [change for change in edit.document_changes or [] if isinstance(change, types.TextDocumentEdit)]
        names = [change.text_document.uri for change in changes]
        before = {name: self.text(name) for name in names}
        if any(change.text_document.version is None for change in changes):
            # It was closed while the server was at work. What is on disk changes here without a word, so as an editor
            # that is careful does, it is left alone.
            self.done["edit of a closed file refused"] += 1
            return False
        if not self._apply(edit):
            self.done["edit refused"] += 1
            assert {name: self.text(name) for name in names} == before
            return False
        changed: dict[tuple[str, str | None], str | None] = {}
        for name in names:
            changed |= Model(self.text(name)).changed_since(Model(before[name]))
        assert changed
        if self.wanted is not None:
            assert changed.items() <= self.wanted.items()
        else:
            for entry, column in changed:
                assert any(entry == asked and only in (None, column) for asked, only in self.asked.values()), (
                    f"nobody has asked for {entry}.{column}"
                )
        self.done["edit applied"] += 1
        return True

    def text(self, name: str) -> str:
        return self.editor.texts.get(name) or path_of(name).read_bytes().decode("utf-8")

    # Steps

    async def run(self, steps: int) -> None:
        choices: dict[Callable[[], Any], int] = {
            self.type_something: 30,
            self.type_garbage: 6,
            self.change_entries: 12,
            self.ask: 30,
            self.generate: 6,
            self.take_action: 6,
            self.ghost: 4,
            self.stop_something: 5,
            self.change_a_file: 5,
            self.open_or_close: 3,
            self.configure: 1,
            self.put_back: 1,
        }
        kinds, weights = list(choices), list(choices.values())
        for _ in range(steps):
            (kind,) = self.random.choices(kinds, weights)
            self.done[kind.__name__] += 1
            self.log.append(kind.__name__)
            found = kind()
            if isinstance(found, Awaitable):
                await found
            while len(self.pending) > MOST_PENDING:
                await self.settle(*self.pending.popleft())
            await asyncio.sleep(0)
            assert self.problems == []

    def document(self) -> str | None:
        names = [name for name in self.editor.texts if name.endswith(("yml", "yaml"))]
        return self.random.choice(names) if names else None

    def type_something(self) -> None:
        """A comment somewhere, letter by letter or at once."""
        if (name := self.document()) is None:
            return
        text = self.editor.texts[name]
        starts = [0, *(found.end() for found in re.finditer("\n", text))]
        comment = self.random.choice(["# x\n", "# é🚲 \u2028# a line break to YAML 1.1\n", "#\n"])
        self.editor.replace(name, at := self.random.choice(starts), at, comment)

    def type_garbage(self) -> None:
        """What breaks the text, and then is taken back, with requests in between."""
        if (name := self.document()) is None:
            return
        undo: list[tuple[int, int, str]] = []
        for _ in range(self.random.randint(1, 8)):
            text = self.editor.texts[name]
            start = self.random.randint(0, len(text))
            end = min(len(text), start + self.random.choice([0, 0, 0, 1, 5, 40]))
            while any(text[at - 1 : at + 1] == "\r\n" for at in (start, end)):
                start, end = max(0, start - 1), max(0, end - 1)
            new = self.random.choice(GARBAGE)
            if "\r" in (text[start - 1 : start], new[-1:]) or (text[end : end + 1] == "\n" and "\r" in new):
                continue  # would make one line break of two
            undo.append((start, start + len(new), text[start:end]))
            self.editor.replace(name, start, end, new)
            if self.random.random() < 0.5:
                self.ask(name)
        for start, end, old in reversed(undo):
            self.editor.replace(name, start, end, old)

    def change_entries(self) -> None:
        """Take a description away, or write one."""
        if (name := self.document()) is None:
            return
        text = self.editor.texts[name]
        described = list(DESCRIPTION.finditer(text))
        if described and self.random.random() < 0.7:
            found = self.random.choice(described)
            self.editor.replace(name, found.start(), found.end(), "")
            return
        found = self.random.choice(self.gaps(name) or [None])
        if found is not None:
            line = f"{found[1]}  description: 'Written by hand, {self.number}.'\n"
            self.editor.replace(name, found.end(), found.end(), line)

    def gaps(self, name: str) -> list[re.Match[str]]:
        """The lines that name something without a description, as far as one can see that at a glance."""
        text = self.editor.texts[name]
        names = NAME.finditer(text)
        return [found for found in names if "description" not in text[found.end() :].split("- name")[0]]

    def place(self, name: str) -> types.Position:
        text = self.editor.texts[name]
        names = self.gaps(name)
        at = self.random.choice(names).start(2) if names and self.random.random() < 0.7 else None
        return self.editor.position(text, self.random.randint(0, len(text)) if at is None else at)

    def ask(self, name: str | None = None) -> None:
        name = name or self.random.choice(list(self.editor.texts) or [uri(self.demo / SCHEMA_FILES[0])])
        if name not in self.editor.texts:
            return
        document, place = types.TextDocumentIdentifier(name), self.place(name)
        span = types.Range(place, place)
        context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
        requests: list[tuple[str, object]] = [
            (types.TEXT_DOCUMENT_HOVER, types.HoverParams(document, place)),
            (types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionParams(document, span, types.CodeActionContext([]))),
            (types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensParams(document)),
            (types.TEXT_DOCUMENT_COMPLETION, types.CompletionParams(document, place)),
            (types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionParams(context, document, place)),
            (types.TEXT_DOCUMENT_DEFINITION, types.DefinitionParams(document, place)),
            (types.TEXT_DOCUMENT_DIAGNOSTIC, types.DocumentDiagnosticParams(document)),
            ("osmosis/status", None),
        ]
        self.send(*self.random.choice(requests))
        if self.random.random() < 0.1:
            self.cancel(self.pending[-1][0])

    def generate(self) -> None:
        if (name := self.document()) is None:
            return
        entries = [entry for entry in parse(self.editor.texts[name]).entries if entry.key.resource_type == "model"]
        if not entries:
            return
        entry = self.random.choice(entries)
        column = self.random.choice(entry.columns).column if entry.columns and self.random.random() < 0.5 else None
        command = "osmosis.generateColumn" if column else "osmosis.generateModel"
        target = {"uri": name, "node": f"model.quayside.{entry.key.name}", "column": column}
        self.llm.script(self.random.choice(FAULTS))
        msg_id = self.send(types.WORKSPACE_EXECUTE_COMMAND, types.ExecuteCommandParams(command, [target]))
        self.asked[msg_id] = (entry.key.name, column)
        if self.random.random() < 0.2:
            self.send(types.WORKSPACE_EXECUTE_COMMAND, types.ExecuteCommandParams("osmosis.cacheClear"))

    async def take_action(self) -> None:
        """Choose one of the free actions, and check that it does what it says."""
        if (name := self.document()) is None:
            return
        place = self.place(name)
        actions = await self.editor.actions(name, place)
        free = [action for action in actions if action.data and "texts" in as_dict(action.data)]
        if not free:
            self.done["no free action" if actions else "no action"] += 1
            return
        action = self.random.choice(free)
        texts = as_dict(action.data)["texts"]
        action = await asyncio.wait_for(self.editor.client.code_action_resolve_async(action), PATIENCE)
        if action.edit is not None:
            self.done["action resolved"] += 1
            self.wanted = {(item["node"].split(".")[-1], item["column"]): item["text"] for item in texts}
            try:
                self.editor.apply(action.edit)
            finally:
                self.wanted = None

    async def ghost(self) -> None:
        """Ghost text in a gap, invoked or not, which is then taken back."""
        if (name := self.document()) is None:
            return
        text = self.editor.texts[name]
        found = self.random.choice(self.gaps(name) or [None])
        if found is None:
            return
        line = f"{found[1]}  description: "
        self.editor.replace(name, found.end(), found.end(), line + "\n")
        kind = self.random.choice(list(types.InlineCompletionTriggerKind))
        place = self.editor.position(self.editor.texts[name], found.end() + len(line))
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(kind), types.TextDocumentIdentifier(name), place
        )
        msg_id = self.send(types.TEXT_DOCUMENT_INLINE_COMPLETION, params)
        if self.random.random() < 0.3:
            self.cancel(msg_id)
        elif self.random.random() < 0.7:
            await self.settle(*self.pending.pop())
        text = self.editor.texts[name]
        start = text.find(line + "\n")
        if start >= 0:
            self.editor.replace(name, start, start + len(line) + 1, "")

    def stop_something(self) -> None:
        if self.random.random() < 0.3:
            self.send(types.WORKSPACE_EXECUTE_COMMAND, types.ExecuteCommandParams("osmosis.cancelAll"))
        elif self.pending:
            self.cancel(self.random.choice(self.pending)[0])

    def change_a_file(self) -> None:
        """Damage a file of the project's, or mend the one that was damaged last."""
        path = self.damaged
        if path is None:
            files = ("target/manifest.json", "dbt_project.yml", *SCHEMA_FILES)
            path = self.damaged = self.demo / self.random.choice(files)
            content = self.disk[path]
            damages = (content[: len(content) // 2], content + b"\n", b"", None)
            damaged = self.random.choice(damages)
            path.unlink() if damaged is None else path.write_bytes(damaged)
        else:
            path.write_bytes(self.disk[path])
            self.damaged = None
        event = types.FileEvent(uri(path), types.FileChangeType.Changed)
        self.editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))

    def open_or_close(self) -> None:
        name = self.random.choice(list(self.originals))
        if name in self.editor.texts:
            self.editor.close(name)
        else:
            self.editor.open(path_of(name), self.originals[name], language="sql" if name.endswith("sql") else "yaml")

    def configure(self) -> None:
        settings = self.random.choice(
            [{}, {"diagnostics": {"severity": "warning"}}, {"concurrency": 2}, {"model": 7}]
        )
        self.editor.client.set_configuration(settings, section="osmosis")
        self.editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))

    def put_back(self, name: str | None = None) -> None:
        """The whole text at once, as it was in the beginning."""
        name = name or self.document()
        if name is None:
            return
        self.editor.texts[name] = self.originals[name]
        self.editor.versions[name] += 1
        self.editor.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(version=self.editor.versions[name], uri=name),
                [types.TextDocumentContentChangeWholeDocument(self.originals[name])],
            )
        )

    # Requests

    def send(self, method: str, params: object) -> str:
        self.number += 1
        msg_id = f"soak-{self.number}"
        self.pending.append((msg_id, self.editor.client.protocol.send_request(method, params, msg_id=msg_id)))
        return msg_id

    def cancel(self, msg_id: str) -> None:
        self.editor.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams(msg_id))

    async def settle(self, msg_id: str, request: Future[Any]) -> None:
        """Each request is answered, by whatever."""
        try:
            result = await asyncio.wait_for(asyncio.wrap_future(request), PATIENCE)
            self.answers["answered"] += 1
            if msg_id in self.asked:
                outcome = as_dict(result)
                self.answers["filled"] += outcome["filled"]
                self.answers["generated"] += outcome["generated"]
                self.answers["left"] += len(outcome["left"])
                del self.asked[msg_id]  # a run that was cancelled may still put in place what it had
        except TimeoutError:
            raise AssertionError(f"{msg_id} was never answered") from None
        except JsonRpcException as error:
            if error.code not in {CANCELLED, REQUEST_FAILED}:
                raise AssertionError(f"{msg_id}: {error!r}") from error
            self.answers["cancelled" if error.code == CANCELLED else "failed"] += 1

    # What is left

    async def census(self) -> dict[str, Any]:
        return as_dict(
            await asyncio.wait_for(self.editor.client.protocol.send_request_async("test/census", None), 60)
        )

    async def quiet(self) -> dict[str, Any]:
        """What the server holds once it has nothing to do."""
        while self.pending:
            await self.settle(*self.pending.popleft())
        idle = {"looking for changes"}

        async def at_rest() -> dict[str, Any] | None:
            found = self.last = await self.census()
            busy = [name for name in found["tasks"] if name not in idle and not name.startswith("Task-")]
            return (
                found if not busy and found["runs"] == 0 and len(found["futures"]) == 1 else None
            )  # the census's own

        return await self.editor.until(at_rest)

    def restore(self) -> None:
        for path, content in self.disk.items():
            path.write_bytes(content)
        events = [types.FileEvent(uri(path), types.FileChangeType.Changed) for path in self.disk]
        self.editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams(events))
        self.editor.client.set_configuration({}, section="osmosis")
        self.editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))

    async def compare(self) -> None:
        """The server has the client's texts, and speaks of their very places."""
        for name in self.originals:
            if name not in self.editor.texts:
                self.editor.open(path_of(name), self.originals[name])
        assert dict((await self.census())["texts"]) == self.editor.texts
        for name in list(self.editor.texts):
            if not name.endswith(("yml", "yaml")):
                continue
            if parse(self.editor.texts[name]).problems:
                self.put_back(name)
            text = self.editor.texts[name]
            assert not parse(text).problems
            wanted = {
                slot.name_span.start for slot in Model(text).texts.values() if is_gap(slot, DEFAULT_PLACEHOLDERS)
            }

            def all_marked(found: list[types.Diagnostic], text: str = text, wanted: set[int] = wanted) -> bool:
                assert [item.message for item in found if item.code == "unreadable"] == []
                marked = [item for item in found if item.code == "missing-description" and item.data]
                return {self.editor.offset(text, item.range.start) for item in marked} == wanted

            await self.editor.diagnosed(name, all_marked)


def memory(process: int) -> int:
    """Bytes that a process holds in memory; 0 where the system does not tell."""
    status = Path(f"/proc/{process}/status")
    found = re.search(r"^VmRSS:\s+(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
    return int(found[1]) * 1024 if found else 0


@pytest.mark.parametrize("steps", [STEPS])
async def test_a_long_day(steps: int, tmp_path: Path, demo: Path, llm: FakeLLMServer):
    print(f"OSMOSIS_TEST_SEED={SEED}")
    settings = demo / "dbt_project.yml"
    settings.write_text(
        settings.read_text("utf-8").replace("openai-compatible", "openai")
        + "      max_retries: 1\n      timeout: 5\n      max_cost_per_run: 1000\n",
        "utf-8",
    )
    llm.delay = 0.01
    editor = Editor()
    program = Path(__file__).parents[1] / "soak_server.py"
    await editor.start(server_environment(tmp_path / "cache"), folders=[demo], command=(sys.executable, str(program)))
    process = editor.client._server
    assert process is not None
    soak = Soak(editor, demo, llm)
    used = grown = 0
    for name in soak.originals:
        editor.open(path_of(name), language="sql" if name.endswith("sql") else "yaml")
    try:
        await editor.planned(uri(demo / SCHEMA_FILES[0]))
        soak.asked["first"] = ("dim_riders", "lifetime_value")
        target = {"uri": uri(demo / SCHEMA_FILES[0]), "node": "model.quayside.dim_riders", "column": "lifetime_value"}
        assert (await editor.command("osmosis.generateColumn", target))["generated"] == 1
        await soak.run(WARM)
        before, used = await soak.quiet(), memory(process.pid)
        await soak.run(steps - WARM)
        soak.restore()
        after, grown = await soak.quiet(), memory(process.pid)

        for kind in ("tasks", "threads", "jobs", "results"):
            assert after[kind] == before[kind], kind
        await soak.compare()
        if steps > 5000:
            assert grown <= 1.2 * used, (used, grown)
        errors = [item.message for item in editor.client.log_messages if item.type == types.MessageType.Error]
        assert errors == []
        assert soak.problems == []
    finally:
        print({key: value for key, value in soak.last.items() if key != "texts"})
        print(f"{dict(soak.done)}\n{dict(soak.answers)}\n{list(soak.log)}")
        print(f"{len(llm.requests)} calls, memory {used / 1e6:.0f} MB, then {grown / 1e6:.0f} MB; {soak.problems}")
    assert await editor.stop() == 0
