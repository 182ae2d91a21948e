"""``osmosis-synthesize run --batch submit|status|collect``: through the providers' batch APIs, at half the price."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from osmosis_hooks.output import count, tell_notes, usd
from osmosis_hooks.progress import duration
from osmosis_hooks.scope import gaps_of, requests
from osmosis_synthesize.batches import Collected, Kept, Pending, Submission, collect, submit
from osmosis_synthesize.calling import make_batching
from osmosis_synthesize.errors import UsageError
from osmosis_synthesize.names import short_name

if TYPE_CHECKING:
    from osmosis_synthesize.project import Project, Request
    from osmosis_synthesize.store import Store


def hand_in(options: argparse.Namespace, store: Store) -> int:
    """``submit``: exit code 0, whether or not there was anything to ask."""
    for project, request in requests(options):
        done = asyncio.run(_submit(project, request, store, options))
        tell_notes(project.notes)
        for line in _submitted(done, project):
            print(line)
    return 0


async def _submit(project: Project, request: Request, store: Store, options: argparse.Namespace) -> Submission:
    settings = project.settings
    if settings.dry_run:
        raise UsageError(
            "A dry run hands nothing in.", hint="Leave --llm-dry-run away; `estimate` says what it would cost."
        )
    caller = project.caller(store)
    provider = make_batching(settings)
    try:
        gaps = gaps_of(project, request, upstream=options.upstream)
        plan = await project.plan(gaps, caller)
        author = Pending(
            None, settings.provider, settings.model or "", settings.base_url, str(project.root), 0.0, None, {}
        )
        return await submit(plan, caller, provider, _kept(store), author=author)
    finally:
        await provider.aclose()
        await caller.aclose()


def _submitted(done: Submission, project: Project) -> list[str]:
    author = f"{project.settings.provider} {project.settings.model or ''}".strip()
    lines: list[str] = []
    if done.name is None:
        lines.append("Nothing to hand in.")
    else:
        lines.append(
            f"{count(done.requests, 'request')} handed in to {author} as {done.name}, "
            f"about {usd(done.cost)}. `run --batch collect` writes what comes back, within a day."
        )
    if done.under_way:
        lines.append(f"{count(done.under_way, 'request')} under way in a batch handed in before.")
    if done.waiting:
        lines.append(f"{count(done.waiting, 'request')} to hand in once these are collected: they need their texts.")
    if done.left_out is not None:
        lines.append(f"More was left out: {done.left_out}")
    return lines


def status(options: argparse.Namespace, store: Store) -> int:
    """``status``: how far each batch of the projects is."""
    found = False
    for project, _ in requests(options):
        for path, batch in _kept(store).all():
            if batch.project == str(project.root):
                found = True
                print(asyncio.run(_state(path, batch, project)))
    if not found:
        print("No batch is under way.")
    return 0


async def _state(path: Path, batch: Pending, project: Project) -> str:
    ago = f"handed in {duration(time.time() - batch.submitted_at)} ago"
    if batch.name is None:
        return _half_handed_in(path)
    _require_same(batch, project)
    provider = make_batching(project.settings)
    try:
        state = await provider.batch_state(batch.name)
    finally:
        await provider.aclose()
    return f"{batch.name}: {batch.author}, {ago}, {state.status}, {state.answered:,} of {count(len(batch.requests), 'request')} answered"


def fetch(options: argparse.Namespace, store: Store) -> None:
    """``collect``, as far as the cache; a run that calls nobody then writes."""
    found = False
    for project, _ in requests(options):
        for path, batch in _kept(store).all():
            if batch.project != str(project.root):
                continue
            found = True
            if batch.name is None:
                print(_half_handed_in(path), file=sys.stderr)
                continue
            _require_same(batch, project)
            done = asyncio.run(_collect(path, batch, project, store))
            for line in _collected(batch, done):
                print(line, file=sys.stderr)
    if not found:
        print("No batch is under way.", file=sys.stderr)


async def _collect(path: Path, batch: Pending, project: Project, store: Store) -> Collected:
    caller = project.caller(store)
    provider = make_batching(project.settings)
    try:
        return await collect(path, batch, caller, provider, _kept(store))
    finally:
        await provider.aclose()
        await caller.aclose()


def _collected(batch: Pending, done: Collected) -> list[str]:
    if not done.state.ended:
        return [
            f"{batch.name} is not done: {done.state.status}, {done.state.answered:,} of {len(batch.requests):,} answered."
        ]
    lines = [f"{batch.name}: {count(done.kept, 'reply', 'replies')} of {len(batch.requests):,} collected."]
    for what in done.failed[:_SHOWN]:
        node, _, why = what.partition(": ")
        lines.append(f"  {short_name(node)}: {why}")
    if len(done.failed) > _SHOWN:
        lines.append(f"  … and {len(done.failed) - _SHOWN:,} more")
    return lines


_SHOWN = 10


def _half_handed_in(path: Path) -> str:
    return (
        f"{path} is of a batch that was being handed in when its process ended. Look with the provider whether it is under "
        "way, and write its name in there; or remove the file."
    )


def _require_same(batch: Pending, project: Project) -> None:
    settings = project.settings
    if (batch.provider, batch.model, batch.base_url) != (settings.provider, settings.model or "", settings.base_url):
        raise UsageError(
            f"{batch.name} was handed in to {batch.author}, and the settings name another provider or model.",
            hint=f"Give --llm-provider {batch.provider} --llm-model {batch.model}"
            + (f" --llm-base-url {batch.base_url}." if batch.base_url else "."),
        )


def _kept(store: Store) -> Kept:
    return Kept(store.folder / "batches")
