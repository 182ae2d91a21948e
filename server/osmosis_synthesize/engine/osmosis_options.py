"""The options by which dbt-osmosis's users steer inheritance, read from where they write them.

Names, places and their order are those of dbt-osmosis 1.5 (``dbt_osmosis.core.introspection.SettingsResolver``): the
column's ``meta``, the node's ``meta``, the node's config (``+dbt-osmosis-options`` in ``dbt_project.yml``,
``dbt_osmosis_options=…`` in a model's ``config()``), then ``vars: dbt-osmosis:``. In each place an option may stand as
``dbt-osmosis-<option>``, below ``dbt-osmosis-options`` or, except in configs, under its own name; with hyphens or
underscores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from osmosis_synthesize.manifest.index import Index

_OPTIONS: Final = (
    *("skip-inherit-descriptions", "force-inherit-descriptions", "prefix", "default-progenitor"),
    *("column-default-progenitor", "use-unrendered-descriptions"),
)
_GROUPS: Final = ("dbt-osmosis-options", "dbt_osmosis_options")


def _spellings(option: str) -> tuple[str, ...]:
    """The keys under which an option may stand."""
    underscores = option.replace("-", "_")
    return f"dbt-osmosis-{option}", f"dbt_osmosis_{underscores}", option, underscores


_SPELLINGS: Final = frozenset((*_GROUPS, *(name for option in _OPTIONS for name in _spellings(option))))
_NO: Final = frozenset({"", "0", "false", "no", "none", "null", "off"})


@dataclass(frozen=True, slots=True)
class ColumnOptions:
    """What is set for one column."""

    skip_inherit: bool = False
    """``skip-inherit-descriptions``: nothing is inherited by this column."""
    force_inherit: bool = False
    """``force-inherit-descriptions``: a single candidate is taken although there is doubt. Never over a person's text."""
    prefix: str = ""
    """``prefix``: what the node puts before its parents' names, as far as columns are matched by name."""
    progenitor: str | None = None
    """``column_default_progenitor`` or ``default_progenitor``: the ``unique_id`` of the ancestor to inherit from."""
    unrendered: bool = True
    """``use-unrendered-descriptions``: whether a reference to a doc block is inherited as such."""


NOTHING_SET: Final = ColumnOptions()


class Options:
    """The options of all columns of a project."""

    def __init__(self, index: Index, variables: Mapping[str, Any] | None = None) -> None:
        """``variables`` are the ``vars`` of ``dbt_project.yml``, which the manifest does not hold."""
        self._index: Final = index
        self._variables: Final = tuple(_project_wide(variables or {}))

    def of(self, unique_id: str, column: str) -> ColumnOptions:
        """What is set for a column, there or further up."""
        node = self._index.nodes.get(unique_id)
        if node is None:
            return NOTHING_SET
        described = node.column(column)
        own: Mapping[str, Any] = described.meta if described is not None else {}
        # Of a config the index keeps what bears dbt-osmosis's name, so that an option's bare name means nothing there.
        places = (own, node.meta, node.config, *self._variables)
        where = tuple(place for place in places if place and not _SPELLINGS.isdisjoint(place))
        if not where:
            return NOTHING_SET
        progenitor = _find("column-default-progenitor", (own,)) or _find("default-progenitor", where)
        return ColumnOptions(
            skip_inherit=_is_true(_find("skip-inherit-descriptions", where), default=False),
            force_inherit=_is_true(_find("force-inherit-descriptions", where), default=False),
            prefix=str(_find("prefix", where) or ""),
            progenitor=progenitor if isinstance(progenitor, str) else None,
            unrendered=_is_true(_find("use-unrendered-descriptions", where), default=True),
        )


def _project_wide(variables: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("dbt-osmosis", "dbt_osmosis"):
        yield from _mapping(variables.get(name))


def _find(option: str, places: tuple[Mapping[str, Any], ...]) -> object:
    """The first value that is set; ``None`` if there is none."""
    names = _spellings(option)
    for place in places:
        for name in names:
            if place.get(name) is not None:
                return place[name]
        for group in _GROUPS:
            for options in _mapping(place.get(group)):
                for name in names[2:]:
                    if options.get(name) is not None:
                        return options[name]
    return None


def _mapping(value: object) -> tuple[Mapping[str, Any], ...]:
    return (cast("Mapping[str, Any]", value),) if isinstance(value, Mapping) else ()


def _is_true(value: object, *, default: bool) -> bool:
    if value is None:
        return default
    return value.strip().lower() not in _NO if isinstance(value, str) else bool(value)
