"""Makes the way to a provider from settings: cache, budget, ledger, prices and the provider itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from osmosis_synthesize.cost.prices import Price
    from osmosis_synthesize.engine.call import Caller, Mode
    from osmosis_synthesize.engine.model import Gap
    from osmosis_synthesize.providers.base import Batching, Provider, ProviderConfig
    from osmosis_synthesize.settings import Settings
    from osmosis_synthesize.store import Store


def make_caller(
    settings: Settings,
    store: Store,
    *,
    project: str = "",
    mode: Mode = "call",
    prompts: Path | None = None,
    config: ProviderConfig | None = None,
    create: Callable[[ProviderConfig], Provider] | None = None,
    anew: bool = False,
    refuse: Callable[[], str | None] = lambda: None,
    show: Callable[[Gap, str], None] | None = None,
) -> Caller:
    """The way to the provider that the settings name. It is made, and its SDK imported, at the first call.

    Args:
        settings: which provider, its model, and the limits.
        store: where money is counted, and replies are kept unless the settings name another folder for them.
        project: the dbt project's name, for the ledger.
        mode: whether a provider may be called at all.
        prompts: a folder to which each prompt and reply is written, for whoever wants to read them.
        config: what the provider is made from, where that is not just what the settings and the environment say.
        create: makes the provider, where the registry does not know it.
        anew: whether to ask what the cache could answer.
        refuse: says, right before each call, why it may not be made now, if so.
        show: is told what a reply about a single gap says of it while it comes, as far as that is fit to be written.
    """
    from osmosis_synthesize.cache import Cache
    from osmosis_synthesize.cost.budget import Budget
    from osmosis_synthesize.cost.ledger import Ledger
    from osmosis_synthesize.cost.prices import Price, Prices
    from osmosis_synthesize.cost.tokens import TokenEstimator
    from osmosis_synthesize.engine.call import Books, Caller
    from osmosis_synthesize.engine.model import Author
    from osmosis_synthesize.providers import registry
    from osmosis_synthesize.settings import is_local, provider_config

    provider, model = settings.provider, settings.model or ""
    ledger = Ledger(store)
    # A repository may bring replies; what was spent, and what may be, is counted where it cannot reach.
    replies = store.beside(settings.cache_dir) if settings.cache_dir is not None else store
    own = {name: Price.flat(*price) for name, price in settings.pricing.items()}
    # A repository may price what nobody else knows; it may not make a dear model look cheap.
    trusted = not settings.origin("pricing").from_repository
    prices = Prices(store, own if trusted else {})

    made_from = config or provider_config(settings)

    def find_price() -> Price | None:
        local = is_local(provider, settings.base_url) or _is_local_third_party(made_from)
        return prices.price_of(provider, model, base_url=made_from.base_url, local=local) or own.get(model)

    books = Books(
        ledger,
        Budget(store, max_run=settings.max_cost_per_run, max_day=settings.max_cost_per_day),
        TokenEstimator(ledger, provider, model),
        find_price,
        project=project,
    )
    return Caller(
        Author(provider, model),
        lambda: (create or registry.create)(made_from),
        books,
        cache=Cache(replies, books=store) if settings.cache else None,
        mode="dry-run" if mode == "call" and settings.dry_run else mode,
        deterministic=provider == "facts",
        base_url=settings.base_url,
        concurrency=settings.concurrency,
        prompts=prompts,
        anew=anew,
        refuse=refuse,
        show=show,
    )


def make_batching(settings: Settings) -> Batching:
    """The batch API of the provider that the settings name.

    Raises:
        UsageError: it has none that we know.
        ProviderSetupError: the provider cannot be made.
    """
    from osmosis_synthesize.errors import UsageError
    from osmosis_synthesize.providers import registry
    from osmosis_synthesize.providers.base import Batching
    from osmosis_synthesize.settings import provider_config

    provider = registry.create(provider_config(settings), retried=False)
    if not isinstance(provider, Batching):
        raise UsageError(
            f"The provider {settings.provider} has no batch API that is known here.",
            hint="openai and anthropic have one: choose with --llm-provider.",
        )
    return provider


def _is_local_third_party(config: ProviderConfig) -> bool:
    """Whether a provider that we do not know says of itself that it runs on this machine."""
    from osmosis_synthesize.errors import ProviderError
    from osmosis_synthesize.providers.known import KNOWN_PROVIDERS
    from osmosis_synthesize.providers.registry import create

    if config.name in KNOWN_PROVIDERS:
        return False
    try:
        return create(config).local
    except ProviderError:
        return False  # the first call will say why
