"""Which providers there are, and how to make one.

Built-in providers stand in the table of :mod:`~osmosis_synthesize.providers.known`; third parties add theirs by an entry
point of the group ``osmosis_synthesize.providers`` whose object is called with a :class:`ProviderConfig` and returns a
:class:`~osmosis_synthesize.providers.base.Provider` (``docs/providers.md`` has an example). Nothing heavy is imported
here: a provider's module is when one is made, an SDK when it is first used.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers.known import ENTRY_POINT_GROUP, KNOWN_PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoints

    from osmosis_synthesize.providers.base import Provider, ProviderConfig


def names() -> tuple[str, ...]:
    """The names of all providers, built-in ones first."""
    return (*KNOWN_PROVIDERS, *sorted(point.name for point in _entry_points() if point.name not in KNOWN_PROVIDERS))


def create(config: ProviderConfig, *, retried: bool = True) -> Provider:
    """The provider that ``config`` asks for. No connection is made and no SDK imported yet.

    Those that speak to a server retry and slow down as :mod:`~osmosis_synthesize.providers.resilient` says, unless not
    ``retried``; a third party's is used as its entry point made it.

    Raises:
        ProviderSetupError: the name is unknown, an extra is not installed, there is no key, or the host is not one that
            the user trusts. The message says what to do.
    """
    row = KNOWN_PROVIDERS.get(config.name)
    if row is None:
        return _create_third_party(config)
    if any(importlib.util.find_spec(module) is None for module in row.needs):
        raise ProviderSetupError(
            f"The provider {config.name} needs packages that are not installed.",
            hint=f"Install them: pip install 'osmosis-synthesize[{row.extra}]'",
        )
    module, _, maker = row.target.partition(":")
    provider: Provider = getattr(importlib.import_module(f"{__package__}.{module}"), maker)(config)
    if row.extra is None or not retried:
        return provider
    from osmosis_synthesize.providers.resilient import Resilient

    return Resilient(provider, config)


def _create_third_party(config: ProviderConfig) -> Provider:
    point = next((point for point in _entry_points() if point.name == config.name), None)
    if point is None:
        raise ProviderSetupError(
            f"There is no provider called {config.name!r}.", hint=f"The known ones are: {', '.join(names())}."
        )
    try:
        make: Callable[[ProviderConfig], Provider] = point.load()
    except (ImportError, AttributeError) as error:
        dist = point.dist.name if point.dist is not None else "an unknown package"
        raise ProviderSetupError(
            f"The provider {config.name}, which {dist} adds, could not be loaded: {error}.",
            hint=f"Reinstall or remove {dist}.",
        ) from error
    return make(config)


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINT_GROUP)
