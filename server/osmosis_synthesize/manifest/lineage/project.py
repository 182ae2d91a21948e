"""Lineage of a project, node by node: which columns the parents have, what is known already, and who does the rest."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from osmosis_synthesize.manifest.lineage.task import (
    TIME_LIMIT,
    Setting,
    Solved,
    Solver,
    Task,
    has_jinja,
    has_sql,
)
from osmosis_synthesize.manifest.model import NodeLineage
from osmosis_synthesize.names import fold
from osmosis_synthesize.recent import Recent

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from osmosis_synthesize.manifest.index import Index
    from osmosis_synthesize.manifest.lineage.cache import Keys, LineageCache
    from osmosis_synthesize.manifest.lineage.workers import Workers

MANY: Final = 100
"""Nodes to trace from which on more processes pay for their start (as ``tests/bench/lineage.py`` measures)."""

_BATCH: Final = 8
"""Nodes that a worker is given at once at most."""

FEW: Final = 40
"""Nodes to trace from which on another process that does so ahead pays for its start, which takes as long as some thirty."""

_AHEAD: Final = 4
"""Nodes that are traced ahead at once at most: the sooner they are back, the fewer are asked for before that."""

_UNSAVED: Final = 500
"""How many lineages wait at most to be written to the cache."""

_WAITING: Final = 4 * MANY
"""Nodes that wait at most to be traced: each holds its SQL and that of its parents."""

_UNPACKED: Final = 250
"""Lineages that need not be unpacked when they are asked for, at least."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(NodeLineage).decode


class _Question(NamedTuple):
    """A node's task, and its key in the cache; without one where there is nothing to keep."""

    unique_id: str
    task: Task
    key: bytes | None


class _Tools(NamedTuple):
    """What answers questions."""

    setting: Setting
    solver: Solver
    keys: Keys | None


class Lineages(Mapping[str, NodeLineage]):
    """The lineage of an index's nodes by ``unique_id``, each computed when it is first asked for, and kept.

    A parent's columns come from the catalog, else from its own lineage where that is complete, else from that and its
    schema file, which may lack some. So a question about one node reads the SQL of those of its ancestors that the
    catalog lacks, nearest last.
    """

    def __init__(
        self,
        index: Index,
        *,
        variables: Mapping[str, Any] | None = None,
        time_limit: float = TIME_LIMIT,
        cache: Path | None = None,
        whole: bool = False,
    ) -> None:
        """Nothing is read yet.

        Args:
            index: the manifest.
            variables: the project's ``vars``, which the manifest does not hold, as plain values.
            time_limit: seconds for one node.
            cache: the file in which lineages are kept for later, by this and any other project; ``None`` for none.
            whole: as :class:`~osmosis_synthesize.manifest.lineage.task.Setting` has it.
        """
        self._index: Final = index
        self._variables: Final = dict(variables or {})
        self._time_limit: Final = time_limit
        self._cache_file: Final = cache
        self._whole: Final = whole
        self._traced: Final = dict[str, bytes]()
        """Packed, which takes a tenth of the memory."""
        self._recent: Final = Recent[NodeLineage](_UNPACKED)
        self._schema: Final = dict[str, tuple[str, ...]]()
        self._declared: Final = dict[str, tuple[str, ...]]()
        self._unsaved: list[tuple[bytes, NodeLineage]] = []
        self._is_ahead = False

    def __getitem__(self, unique_id: str) -> NodeLineage:
        if unique_id not in self._traced:
            for each in self._untraced([unique_id]):
                question = self._question(each)
                self._keep(question, self._recall(question) or self._solve(question))
            if not self._is_ahead:  # that saves too, and not for each node
                self._save()
        lineage = self._recent.get(unique_id)
        if lineage is None:
            lineage = _decode(zlib.decompress(self._traced[unique_id]))
            self._recent.keep(unique_id, lineage)
        return lineage

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.nodes)

    def __len__(self) -> int:
        return len(self._index.nodes)

    def is_traced(self, unique_id: str) -> bool:
        """Whether to ask for a node takes no time, since somebody has before."""
        return unique_id in self._traced

    def trace(self, unique_ids: Iterable[str]) -> None:
        """Trace these nodes now, on all cores if that is faster. Otherwise they are traced when they are asked for."""
        order = self._untraced(unique_ids)
        if len(order) < MANY:
            return
        from osmosis_synthesize.manifest.lineage.workers import Workers, useful_workers

        count = useful_workers()
        if count < 2:
            return
        with Workers(count, self._tools_of(order).setting) as workers:
            try:
                self._trace_with(workers, order)
            finally:
                self._save()

    def _trace_with(self, workers: Workers, order: Sequence[str]) -> None:
        """Trace nodes, given parents first, each as soon as its parents are: here while they are few, else by workers."""
        from concurrent.futures import FIRST_COMPLETED, wait

        graph = _Graph(order, self._index)
        missing: deque[_Question] = deque()
        running: dict[Future[list[Solved]], list[_Question]] = {}
        here = 0
        while graph.ready or missing or running:
            while graph.ready and len(missing) < _WAITING:
                if (question := self._take(graph)) is not None:
                    missing.append(question)
            if not workers.is_whole or here + len(missing) < MANY:
                here += len(missing)
                while missing:
                    question = missing.popleft()
                    self._keep(question, self._solve(question))
                    graph.finish(question.unique_id)
            else:
                here = MANY  # from now on the workers are there
                while missing and len(running) < 2 * workers.count:
                    size = min(_BATCH, 1 + len(missing) // (2 * workers.count))
                    batch = [missing.popleft() for _ in range(min(size, len(missing)))]
                    running[workers.submit([question.task for question in batch])] = batch
            if running and (not graph.ready or len(missing) >= _WAITING):
                wait(running, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future.done()]:
                batch = running.pop(future)
                for question, solved in zip(batch, self._answers(future, batch), strict=True):
                    self._keep(question, solved)
                    graph.finish(question.unique_id)

    async def trace_ahead(self, unique_ids: Iterable[str]) -> None:
        """Trace these nodes in another process, parents first, while the event loop is at other things.

        What is asked for before its turn comes is traced here, as ever. Where they are few, or no other process can be had,
        all of it is.
        """
        from asyncio import wrap_future

        from osmosis_synthesize.manifest.lineage.workers import WorkerLost, Workers, useful_workers

        if useful_workers() < 2:
            return
        order = self._untraced(unique_ids)
        graph = _Graph(order, self._index)
        waiting = deque(await self._missing(graph, FEW))
        if graph.unfinished < FEW:
            return
        running: deque[tuple[Future[list[Solved]], list[_Question]]] = deque()
        with Workers(1, self._tools_of(order).setting) as workers:
            self._is_ahead = True
            try:
                await wrap_future(workers.submit([]))  # it starts; what is asked for meanwhile need not be told to it
                while True:
                    while len(running) < 2 and (batch := await self._next_ahead(graph, waiting)):
                        running.append((workers.submit([question.task for question in batch]), batch))
                    if not running:
                        return
                    future, batch = running.popleft()
                    for question, solved in zip(batch, await wrap_future(future), strict=True):
                        if question.unique_id not in self._traced:
                            self._keep(question, solved)
                        graph.finish(question.unique_id)
            except WorkerLost:
                return
            finally:
                self._is_ahead = False
                self._save()

    async def _next_ahead(self, graph: _Graph, waiting: deque[_Question]) -> list[_Question]:
        """The nodes to be traced next, of those that wait and then of those that are ready; empty where there are none now."""
        batch: list[_Question] = []
        while not batch and (waiting or graph.ready):
            if not waiting:
                waiting.extend(await self._missing(graph, _AHEAD))
            while waiting and len(batch) < _AHEAD:
                question = waiting.popleft()
                if question.unique_id in self._traced:  # somebody has asked for it
                    graph.finish(question.unique_id)
                else:
                    batch.append(question)
        return batch

    async def _missing(self, graph: _Graph, most: int) -> list[_Question]:
        """Of the nodes that are ready, the next that have to be traced; those that are known are kept."""
        from asyncio import sleep

        missing: list[_Question] = []
        while graph.ready and len(missing) < most:
            await sleep(0)  # there may be thousands that are known
            if (question := self._take(graph)) is not None:
                missing.append(question)
        return missing

    def _take(self, graph: _Graph) -> _Question | None:
        """Take the next node that is ready, and finish it, unless its SQL has to be read: then that is its question."""
        unique_id = graph.ready.popleft()
        if unique_id not in self._traced:
            question = self._question(unique_id)
            known = self._recall(question)
            if known is None and has_sql(question.task.node):
                return question
            self._keep(question, known or self._solve(question))
        graph.finish(unique_id)
        return None

    def _answers(self, future: Future[list[Solved]], batch: Sequence[_Question]) -> Iterable[Solved]:
        from osmosis_synthesize.manifest.lineage.workers import WorkerLost

        try:
            return future.result()
        except WorkerLost:
            return map(self._solve, batch)

    def _untraced(self, unique_ids: Iterable[str]) -> list[str]:
        """These nodes, and before each those of its ancestors that have to be traced first.

        Raises:
            KeyError: there is no such node.
        """
        order: dict[str, None] = {}
        entered = set[str]()  # a cycle, which dbt would not have, is cut where it is met
        stack = [unique_id for unique_id in unique_ids if unique_id not in self._traced]
        stack.reverse()
        while stack:
            last = stack[-1]
            if last not in entered:
                if last not in self._index.nodes:
                    raise KeyError(last)
                entered.add(last)
                stack += [parent for parent in self._index.parents(last) if self._is_missing(parent, entered)]
            else:
                order[stack.pop()] = None
        return list(order)

    def _is_missing(self, unique_id: str, entered: set[str]) -> bool:
        """Whether a node has to be traced before its children, because nothing else knows its columns."""
        return unique_id not in self._traced and unique_id not in entered and not self._is_in_catalog(unique_id)

    def _is_in_catalog(self, unique_id: str) -> bool:
        catalog = self._index.contents.catalog
        if catalog is None:
            return False
        if unique_id not in self._schema and (columns := catalog.columns(unique_id)):
            self._schema[unique_id] = tuple(column.name for column in columns)
        return unique_id in self._schema

    def _question(self, unique_id: str) -> _Question:
        node = self._index.nodes[unique_id]
        self._is_in_catalog(unique_id)
        parents = [self._index.nodes[parent] for parent in self._index.parents(unique_id)]
        task = Task.of(node, parents, self._schema, self._declared)
        keys = self._tools(task).keys if has_sql(node) else None
        return _Question(unique_id, task, keys.of(task) if keys is not None else None)

    def _recall(self, question: _Question) -> Solved | None:
        """What the cache knows."""
        lineage = self._cache.get(question.key) if self._cache is not None and question.key is not None else None
        return Solved(lineage, is_lasting=False) if lineage is not None else None

    def _solve(self, question: _Question) -> Solved:
        return self._tools(question.task).solver.solve(question.task)

    def _keep(self, question: _Question, solved: Solved) -> None:
        unique_id, lineage = question.unique_id, solved.lineage
        self._traced[unique_id] = zlib.compress(_encode(lineage), 1)
        self._recent.keep(unique_id, lineage)
        if unique_id not in self._schema:
            names = tuple(intern(column.name) for column in lineage.columns)
            if lineage.complete:
                self._schema[unique_id] = names
            else:
                known = {fold(name) for name in names}
                columns = self._index.nodes[unique_id].columns
                more = (column.name for column in columns if fold(column.name) not in known)
                self._declared[unique_id] = (*names, *more)
        if question.key is not None and solved.is_lasting:
            self._unsaved.append((question.key, lineage))
            if len(self._unsaved) >= _UNSAVED:
                self._save()

    def _save(self) -> None:
        entries, self._unsaved = self._unsaved, []
        if self._cache is not None and entries:
            self._cache.put(entries)

    @cached_property
    def _cache(self) -> LineageCache | None:
        if self._cache_file is None:
            return None
        from osmosis_synthesize.manifest.lineage.cache import LineageCache

        return LineageCache(self._cache_file)

    def _tools_of(self, unique_ids: Iterable[str]) -> _Tools:
        return self._for_jinja if any(has_jinja(self._index.nodes[each]) for each in unique_ids) else self._for_sql

    def _tools(self, task: Task) -> _Tools:
        return self._for_jinja if has_jinja(task.node) else self._for_sql

    @cached_property
    def _for_sql(self) -> _Tools:
        """Without macros, which take longer to read than most projects' questions to answer."""
        adapter = self._index.metadata.adapter_type
        return self._tools_for(Setting(adapter, time_limit=self._time_limit, whole=self._whole))

    @cached_property
    def _for_jinja(self) -> _Tools:
        metadata = self._index.metadata
        macros = sorted(self._index.macros.values(), key=lambda macro: macro.unique_id)
        return self._tools_for(
            Setting(
                metadata.adapter_type,
                metadata.project_name,
                self._variables,
                tuple(macros),
                self._time_limit,
                self._whole,
            )
        )

    def _tools_for(self, setting: Setting) -> _Tools:
        if self._cache is None:
            return _Tools(setting, Solver(setting), None)
        from osmosis_synthesize.manifest.lineage.cache import Keys

        return _Tools(setting, Solver(setting), Keys(setting))


class _Graph:
    """Which of some nodes are ready to be traced, because those of their parents that are among them are."""

    def __init__(self, order: Sequence[str], index: Index) -> None:
        """``order`` has parents first; where it has not, in a cycle, nobody waits."""
        self._left: Final = dict[str, int]()
        self._children: Final = dict[str, list[str]]()
        for unique_id in order:
            before = [parent for parent in index.parents(unique_id) if parent in self._left]
            self._left[unique_id] = len(before)
            for parent in before:
                self._children.setdefault(parent, []).append(unique_id)
        self.ready: Final = deque(unique_id for unique_id in order if not self._left[unique_id])
        self.unfinished = len(self._left)

    def finish(self, unique_id: str) -> None:
        """Note that a node is traced."""
        self.unfinished -= 1
        for child in self._children.get(unique_id, ()):
            self._left[child] -= 1
            if not self._left[child]:
                self.ready.append(child)
