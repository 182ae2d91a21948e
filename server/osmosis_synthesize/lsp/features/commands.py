"""The commands besides those that fill gaps."""

from __future__ import annotations

from typing import Any

from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.lsp import updates
from osmosis_synthesize.lsp.features import status
from osmosis_synthesize.lsp.messages import PauseParams, SpendLine, SpendParams, argument, plain
from osmosis_synthesize.lsp.session import Session


async def spend(session: Session, arguments: list[Any]) -> Any:
    """What was spent."""
    wanted = argument(arguments, SpendParams)
    return [
        plain(
            SpendLine(
                item.label,
                item.calls,
                item.cached_calls,
                item.usage.input_tokens,
                item.usage.output_tokens,
                str(item.cost),
                item.unpriced_calls,
            )
        )
        for item in Ledger(session.store).spend(wanted.since, wanted.by)
    ]


async def cache_clear(session: Session, _: list[Any]) -> Any:
    """Forget every reply; says how many there were. What was spent stays in the ledger."""
    from osmosis_synthesize.cache import Cache

    cleared = Cache(session.store).clear()
    updates.look_again(session)
    return cleared


async def refresh(session: Session, _: list[Any]) -> Any:
    """Read everything on disk anew."""
    session.workspace.forget_folders()
    for member in session.workspace:
        updates.reload(session, member)
    return None


async def pause(session: Session, arguments: list[Any]) -> Any:
    """Let nothing call a provider, or let everything again. A call under way is paid for, and so is let end."""
    session.paused = argument(arguments, PauseParams).paused
    status.changed(session)
    return session.paused
