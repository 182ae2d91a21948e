"""Which models there are to choose from, and the choice of one for as long as the server runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from lsprotocol import types

from osmosis_synthesize.calling import make_caller
from osmosis_synthesize.cost.prices import listed_models
from osmosis_synthesize.errors import ProviderError, UsageError
from osmosis_synthesize.lsp import updates
from osmosis_synthesize.lsp.features import status
from osmosis_synthesize.lsp.messages import Choice, Model, argument, plain
from osmosis_synthesize.lsp.session import Session
from osmosis_synthesize.lsp.workspace import Ready
from osmosis_synthesize.providers.known import known
from osmosis_synthesize.providers.registry import names
from osmosis_synthesize.settings import Settings, provider_config
from osmosis_synthesize.settings.fields import FIELDS


async def models(session: Session, _: list[Any]) -> Any:
    """The models that could be chosen, those of providers that are ready as far as their prices are known."""
    return [plain(model) for model in await _all(session)]


async def choose(session: Session, arguments: list[Any]) -> Any:
    """Choose a provider and its model over all settings; without an argument, have the user asked."""
    choice = _checked(argument(arguments, Choice)) if arguments else await _asked(session)
    if choice != session.choice:
        session.choice = choice
        for member in session.workspace:
            updates.reload(session, member)
        status.changed(session)
    return plain(session.choice or Choice())


def _checked(choice: Choice) -> Choice | None:
    """The choice, or ``None`` for that of the settings.

    Raises:
        UsageError: there is no such provider, or no model can be called that.
    """
    if choice.provider is None:
        return None
    for name, value in (("provider", choice.provider), ("model", choice.model)):
        if value is not None:
            try:
                FIELDS[name].read(value)
            except ValueError as error:
                raise UsageError(f"The {name} cannot be {value!r}; it must be {FIELDS[name].allowed}.") from error
    return choice


async def _asked(session: Session) -> Choice | None:
    """What the user chooses among the default models of the providers that are ready; what is in force, if nothing."""
    offered: dict[str, Choice | None] = {}
    for model in await _all(session):
        if model.ready and all(choice is None or choice.provider != model.provider for choice in offered.values()):
            offered[f"{model.provider} {model.model}".strip()] = Choice(model.provider, model.model or None)
    offered["What the settings say"] = None
    params = types.ShowMessageRequestParams(
        types.MessageType.Info,
        "Which model shall describe your columns, until the editor is closed?",
        [types.MessageActionItem(title) for title in offered],
    )
    answer = await session.protocol.ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params, cancellable=True)
    return offered.get(answer.title, session.choice) if answer is not None else session.choice


async def _all(session: Session) -> list[Model]:
    root = next((member.root for member in session.workspace if isinstance(member.state, Ready)), None)
    return await session.worker.do(lambda: [model for name in names() for model in _of(session, name, root)])


def _of(session: Session, provider: str, root: Path | None) -> Iterator[Model]:
    """The models of one provider: the one that would be used, then those that the price list knows. For the worker."""
    settings = _settings(session, provider, root)
    problem = _problem(session, settings)
    price = make_caller(settings, session.store).price
    listed = {each.model: each for each in listed_models(provider, settings.base_url or known(provider).base_url)}
    model = settings.model or ""
    here = listed.get(model)
    yield Model(
        provider,
        model,
        _dollars(price.base.input if price is not None else None),
        _dollars(price.base.output if price is not None else None),
        here.context_tokens if here is not None else None,
        problem is None,
        problem,
    )
    if problem is None and known(provider).hosts:  # elsewhere a model is called as its owner likes
        for each in listed.values():
            if each.model != model:
                input_price, output_price = _dollars(each.price.base.input), _dollars(each.price.base.output)
                yield Model(
                    provider, each.model, input_price, output_price, each.context_tokens, ready=True, problem=None
                )


def _settings(session: Session, provider: str, root: Path | None) -> Settings:
    """The settings as they are, or would be if that provider were chosen."""
    now = session.in_force.settings(root)
    return now if now.provider == provider else replace(session.configuration, choice=Choice(provider)).settings(root)


def _problem(session: Session, settings: Settings) -> str | None:
    """Why no call can work; found without asking anybody."""
    try:
        session.provider(provider_config(settings))
    except ProviderError as error:
        return str(error)
    if not settings.model and not known(settings.provider).free:
        return "No model is named. Set model, or choose one."
    return None


def _dollars(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
