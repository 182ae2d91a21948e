"""What is free for the gaps of one node, and what has to be asked. The plan and the run both take this step."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from osmosis_synthesize.document.model import Entry
from osmosis_synthesize.engine.compare import plain
from osmosis_synthesize.engine.descriptions import Descriptions, Progress
from osmosis_synthesize.engine.inherit import Doubtful, Inheritable, Inheritance, Known, Nothing, inherit
from osmosis_synthesize.engine.model import Alternative, Gap, Proposal, Unfilled, Upstream, Waiting
from osmosis_synthesize.engine.osmosis_options import Options
from osmosis_synthesize.engine.prompts import Context, Style, UpstreamColumn, select_upstream
from osmosis_synthesize.engine.subject import MADE_OF, subject_of, upstream_relevance
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import Node, NodeLineage
from osmosis_synthesize.names import fold, short_name


@dataclass(frozen=True, slots=True)
class Privacy:
    """Which columns are never named to a provider: those with one of these tags, or one of these ``meta`` keys set."""

    tags: frozenset[str] = frozenset({"pii"})
    meta_keys: frozenset[str] = frozenset()

    def covers(self, tags: Collection[str], meta: Mapping[str, Any]) -> bool:
        """Whether a column is private; ``meta: {osmosis: {send: false}}`` always makes it so."""
        own: Any = meta.get("osmosis")
        if isinstance(own, Mapping) and cast("Mapping[str, Any]", own).get("send") is False:
            return True
        return bool(self.tags.intersection(tags)) or any(meta.get(key) for key in self.meta_keys)


@dataclass(frozen=True, slots=True)
class Work:
    """A request to the engine: the project as it is, the gaps to fill, and how."""

    index: Index
    descriptions: Descriptions
    lineage: Mapping[str, NodeLineage]
    """By ``unique_id``; may compute a node's lineage when it is first asked for."""
    gaps: Mapping[str, tuple[Gap, ...]]
    """By ``unique_id``."""
    style: Style = field(default_factory=Style)
    privacy: Privacy = field(default_factory=Privacy)
    placeholders: Collection[str] = ()
    bulk_threshold: int = 2
    options: Options | None = None
    """What dbt-osmosis's users have set for inheritance."""

    @property
    def order(self) -> tuple[str, ...]:
        """The nodes with gaps, parents before children; what the manifest does not know comes last, by name."""
        if len(self.gaps) == 1:  # as an editor asks, again and again
            return tuple(self.gaps)
        known = [unique_id for unique_id in self.index.order if unique_id in self.gaps]
        return (*known, *sorted(set(self.gaps).difference(known)))


@dataclass(frozen=True, slots=True)
class Asking:
    """The gaps of a node for which a provider is needed, and what the prompt will be made of."""

    gaps: tuple[Gap, ...]
    context: Context
    reasons: Mapping[tuple[str, str | None], str]
    """By gap: why nothing could be inherited."""
    alternatives: Mapping[tuple[str, str | None], tuple[Alternative, ...]]
    exact: bool
    """Whether every text in the context is final."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The gaps of one node, each in one place."""

    proposals: tuple[Proposal, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    unfilled: tuple[Unfilled, ...] = ()
    asking: Asking | None = None


def prepare(work: Work, unique_id: str, progress: Progress, *, refused: str | None = None) -> Prepared:
    """Inherit what can be inherited now, and gather what is needed to ask for the rest.

    Args:
        work: the request.
        unique_id: one of its nodes.
        progress: the descriptions so far; what is inherited here is noted in it.
        refused: why nobody is asked for the rest, if so: nothing is gathered then.
    """
    node = work.index.nodes.get(unique_id)
    if node is None:
        reason = _DISABLED if work.index.is_disabled(unique_id) else _UNKNOWN
        return Prepared(unfilled=tuple(Unfilled(gap, reason) for gap in work.gaps[unique_id]))
    private = _private(node, work)
    proposals: list[Proposal] = []
    waiting: list[Waiting] = []
    unfilled: list[Unfilled] = []
    asking: list[Gap] = []
    reasons: dict[tuple[str, str | None], str] = {}
    alternatives: dict[tuple[str, str | None], tuple[Alternative, ...]] = {}
    for gap in work.gaps[unique_id]:
        if gap.slot is not None and gap.slot.blocked_by is not None:
            unfilled.append(Unfilled(gap, gap.slot.blocked_by))
            continue
        if gap.column is not None and gap.replaces is not None and fold(gap.column) in private:
            unfilled.append(Unfilled(gap, _PRIVATE))
            continue
        if gap.column is not None and gap.replaces is None:
            found = _inherit(gap, gap.column, node, work, progress)
            if isinstance(found, Inheritable):
                if found.text is None:
                    waiting.append(Waiting(gap, found.upstream))
                else:
                    text = _as_set(gap.column, node, found.text, work)
                    proposals.append(Proposal(gap, text, "inherited", found.upstream))
                continue
            reasons[gap.id] = found.reason
            alternatives[gap.id] = _offered(gap.column, found, work.descriptions)
            if fold(gap.column) in private:
                unfilled.append(Unfilled(gap, _PRIVATE, alternatives.get(gap.id, ())))
                continue
        if gap.replaces is not None:
            reasons[gap.id] = "somebody has asked for another text"
        asking.append(gap)
    if refused is not None:
        unfilled += [Unfilled(gap, refused, alternatives.get(gap.id, ())) for gap in asking]
        asking = []
    for proposal in proposals:
        progress.fill(proposal.gap, proposal.text)
    for item in waiting:
        progress.fill(item.gap, None)
    blocks = {
        other.upstream.unique_id for gap in asking for other in alternatives.get(gap.id, ()) if _is_block(other)
    }
    context = _context(work, node, asking, progress, private, blocks) if asking else None
    return Prepared(
        tuple(proposals),
        tuple(waiting),
        tuple(unfilled),
        Asking(tuple(asking), context[0], reasons, alternatives, exact=context[1]) if context else None,
    )


_SAYS_MORE: Final = re.compile(r"tags|meta|[*\\]")
"""What stands in the text of an entry that may say which columns are private: a key, an alias, or a letter in disguise."""

_UNKNOWN: Final = "neither the manifest nor a file of the project defines it: if it is no slip, run `dbt parse`"
_DISABLED: Final = (
    "dbt leaves it out, since its configuration, or a variable that this reads, says that it is not enabled"
)
_PRIVATE: Final = "it is private, and is not named to a provider"


def _as_set(column: str, node: Node, text: str, work: Work) -> str:
    """An inherited text with its references to doc blocks, or rendered where the project's people want that."""
    if work.options is None or work.options.of(node.unique_id, column).unrendered:
        return text
    return work.descriptions.rendered(text, node.package_name)


def _offered(column: str, found: Doubtful | Nothing, descriptions: Descriptions) -> tuple[Alternative, ...]:
    """What a person might choose for a column that inherits nothing: a doc block of its name, if nothing else."""
    if isinstance(found, Doubtful):
        return found.alternatives
    block = descriptions.docs.called(column)
    if block is None:
        return ()
    return (Alternative(f"{{{{ doc('{block.name}') }}}}", Upstream(block.name, None, "doc block")),)


def _is_block(other: Alternative) -> bool:
    return other.upstream.how == "doc block" and other.upstream.column is None


def _context(
    work: Work,
    node: Node,
    gaps: Sequence[Gap],
    progress: Progress,
    private: frozenset[str],
    blocks: Collection[str],
) -> tuple[Context, bool]:
    """What a prompt about a node is made of, and whether all of it is final."""
    asked: list[str | None] = [gap.column for gap in gaps]
    lineage = work.lineage.get(node.unique_id)
    subject = subject_of(node, asked, index=work.index, lineage=lineage)
    upstream, exact = _upstream(work, node, asked, progress, lineage, blocks)
    own: list[tuple[str, str]] = []
    rewritten = {gap.column and fold(gap.column): gap.replaces for gap in gaps if gap.replaces is not None}
    for name in (None, *(column.name for column in subject.columns)):
        known = progress.known(node.unique_id, name) if (name and fold(name)) not in rewritten else None
        if known is not None and known.text is not None:
            text = work.descriptions.rendered(known.text, node.package_name)
            own.append((name if name is not None else subject.name, text))
    present = tuple((gap.column or subject.name, gap.replaces) for gap in gaps if gap.replaces is not None)
    return Context(subject, node.code, upstream, tuple(own), private, present=present), exact


def _upstream(
    work: Work,
    node: Node,
    asked: Collection[str | None],
    progress: Progress,
    lineage: NodeLineage | None,
    blocks: Collection[str],
) -> tuple[tuple[UpstreamColumn, ...], bool]:
    """The descriptions upstream that a prompt shows, doc blocks included, and whether all of them are final."""
    relevance = upstream_relevance(asked, lineage)
    wanted = {fold(column) for column in asked if column is not None}
    candidates = [_block(name, work) for name in sorted(blocks)]
    exact = True
    for parent in work.index.parents(node.unique_id):
        package = work.index.nodes[parent].package_name
        for name in (None, *(column.name for column in work.index.columns(parent))):
            weight = 3 if name is None else relevance.get((parent, fold(name)), 1 if fold(name) in wanted else 0)
            known = progress.known(parent, name)
            if known is None and name is not None and weight == MADE_OF:
                # What a computed column is made of matters most: its text may stand further upstream.
                found = inherit(
                    parent, name, graph=work.index, lineage=work.lineage, texts=progress, options=work.options
                )
                known = Known(found.text) if isinstance(found, Inheritable) else None
            if known is None:
                continue
            if known.text is None:
                exact = False
                continue
            text = work.descriptions.rendered(known.text, package)
            candidates.append(UpstreamColumn(parent, short_name(parent), name, text, weight))
    return select_upstream(candidates), exact


def _inherit(gap: Gap, column: str, node: Node, work: Work, progress: Progress) -> Inheritance:
    """What a gap inherits. A text that serves several versions of a model must be true of them all."""

    def of(one: Node) -> Inheritance:
        return inherit(
            one.unique_id, column, graph=work.index, lineage=work.lineage, texts=progress, options=work.options
        )

    found = of(node)
    if node.version is None or gap.key.version is not None or not isinstance(found, Inheritable):
        return found
    all_found = [found]
    for version in work.index.find(gap.key, package=node.package_name):
        located = work.descriptions.locate(version)
        own = located.item.column(column) if located is not None and located.item is not None else None
        if version.unique_id != node.unique_id and version.column(column) is not None and own is None:
            theirs = of(version)
            if not isinstance(theirs, Inheritable):
                return Doubtful(f"in {short_name(version.unique_id)} {theirs.reason}", _as_alternatives(all_found))
            all_found.append(theirs)
    if len({plain(one.text) if one.text is not None else one.upstream for one in all_found}) > 1:
        return Doubtful("the versions of the model take it from different columns", _as_alternatives(all_found))
    return found


def _as_alternatives(found: Sequence[Inheritable]) -> tuple[Alternative, ...]:
    return tuple(Alternative(one.text, one.upstream) for one in found if one.text is not None)


def _block(name: str, work: Work) -> UpstreamColumn:
    text = work.index.docs[work.index.metadata.project_name, name].text
    return UpstreamColumn("", f"doc block {name}", None, text, MADE_OF)


def _private(node: Node, work: Work) -> frozenset[str]:
    """The private columns that a prompt about ``node`` could name."""
    names: set[str] = set()
    for one in _named(node, work.index):
        names.update(fold(column.name) for column in one.columns if work.privacy.covers(column.tags, column.meta))
        located = work.descriptions.locate(one)
        # The file may say so since the manifest was written.
        for entry in (located.entry, located.item) if located is not None else ():
            if entry is not None and located is not None and _SAYS_MORE.search(entry.span.of(located.document.text)):
                names.update(_private_in(entry, work.privacy))
    return frozenset(names)


def _named(node: Node, index: Index) -> Iterator[Node]:
    """The nodes whose columns a prompt could name: itself, what its tests refer to, and what its SQL reads.

    dbt puts the SQL of an ephemeral model into that of its children, so what it reads is read by them.
    """
    targets = [target for test in index.tests_of(node.unique_id) for target in test.refers_to]
    stack = [node.unique_id, *(target for target in targets if target in index.nodes)]
    seen: set[str] = set()
    while stack:
        unique_id = stack.pop()
        if unique_id not in seen:
            seen.add(unique_id)
            one = index.nodes[unique_id]
            yield one
            if one is node or one.config.get("materialized") == "ephemeral":
                stack += index.parents(unique_id)


def _private_in(entry: Entry, privacy: Privacy) -> Iterator[str]:
    columns: Any = entry.data.get("columns")
    for column in columns if isinstance(columns, Sequence) else ():  # pyright: ignore[reportUnknownVariableType]  # YAML
        if isinstance(column, Mapping):
            data = cast("Mapping[str, Any]", column)
            config = _mapping(data.get("config"))
            tags = [*_strings(data.get("tags")), *_strings(config.get("tags"))]
            if privacy.covers(tags, {**_mapping(data.get("meta")), **_mapping(config.get("meta"))}):
                yield fold(str(data.get("name")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in cast("Sequence[Any]", value)] if isinstance(value, Sequence) else []
