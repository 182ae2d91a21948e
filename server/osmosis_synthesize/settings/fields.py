"""How each setting is read from what a file, a variable, an option or an editor gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

from osmosis_synthesize.providers.endpoint import is_host, parse_url
from osmosis_synthesize.providers.known import KNOWN_PROVIDERS, provider_exists
from osmosis_synthesize.settings.model import Price


class Field(NamedTuple):
    """One setting."""

    read: Callable[[Any], Any]
    """Gives the typed value; ``ValueError`` or ``TypeError`` means that the value is not allowed."""
    allowed: str
    """What is allowed, to follow "it must be"."""


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    raise ValueError


def _matching(pattern: str) -> Callable[[Any], str]:
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        text = _text(value)
        if compiled.fullmatch(text) is None:
            raise ValueError
        return text

    return read


def _number(low: float, high: float) -> Callable[[Any], float]:
    def read(value: object) -> float:
        number = float(_text(value))
        if not low <= number <= high:  # also false for nan
            raise ValueError
        return number

    return read


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: object) -> int:
        number = int(_text(value))
        if not low <= number <= high:
            raise ValueError
        return number

    return read


def _money(value: object) -> Decimal:
    try:
        amount = Decimal(_text(value).removeprefix("$"))
    except InvalidOperation as error:
        raise ValueError from error
    if not amount.is_finite() or amount < 0:
        raise ValueError
    return amount


_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError
    return word in _TRUE


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _json(value) if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(value, Sequence):
        raise TypeError
    texts = (_text(item) for item in cast("Sequence[object]", value))
    return tuple(dict.fromkeys(text for text in texts if text))


def _hosts(value: object) -> tuple[str, ...]:
    hosts = _texts(value)
    if not all(map(is_host, hosts)):
        raise ValueError
    return hosts


def _prices(value: object) -> Mapping[str, Price]:
    if isinstance(value, str):
        value = _json(value)
    if not isinstance(value, Mapping):
        raise TypeError
    return MappingProxyType(
        {_text(model): _price(price) for model, price in cast("Mapping[str, object]", value).items()}
    )


def _price(value: object) -> Price:
    if not isinstance(value, Mapping):
        raise TypeError
    parts = {name.replace("-", "_"): part for name, part in cast("Mapping[str, object]", value).items()}
    if not {"input", "output"} <= parts.keys() <= {"input", "output", "cached_input"}:
        raise ValueError
    return Price(**{name: _money(part) for name, part in parts.items()})


def _json(text: str) -> object:
    import json

    return json.loads(text)  # its error is a ValueError


def _provider(value: object) -> str:
    name = _text(value).lower()
    if not provider_exists(name):
        raise ValueError
    return name


def _url(value: object) -> str:
    url = _text(value).rstrip("/")
    if parse_url(url) is None:
        raise ValueError
    return url


def _folder(value: object) -> str:
    text = _text(value).rstrip("/")
    # Also what means something else on Windows: C:, \\server\share
    if not re.fullmatch(r"[^~/\\:][^\\:]*", text) or ".." in text.split("/"):
        raise ValueError
    return text


_AMOUNT = "an amount of US dollars, 0 or more"
_YES_NO = "true or false"

FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "provider": Field(_provider, f"one of {', '.join(KNOWN_PROVIDERS)}, or the name of an installed provider"),
        "model": Field(_matching(r"[\w][\w./:@+-]{0,199}"), "the name of a model: letters, digits and . / : @ + - _"),
        "temperature": Field(_number(0, 2), "a number from 0 to 2"),
        "max_tokens": Field(_whole(1, 1_000_000), "a whole number from 1 to 1000000"),
        "timeout": Field(_number(0.1, 3600), "a number of seconds from 0.1 to 3600"),
        "max_retries": Field(_whole(0, 20), "a whole number from 0 to 20"),
        "base_url": Field(_url, "a plain http or https URL, without user name, query or fragment"),
        "api_version": Field(_matching(r"[\w.-]{1,50}"), "an API version such as 2024-10-21"),
        "deployment": Field(_matching(r"[\w.-]{1,100}"), "a deployment's name: letters, digits and . - _"),
        "max_cost_per_run": Field(_money, _AMOUNT),
        "max_cost_per_day": Field(_money, _AMOUNT),
        "pricing": Field(
            _prices,
            "a mapping of models, each with input, output and perhaps cached_input: US dollars per million tokens",
        ),
        "dry_run": Field(_flag, _YES_NO),
        "cache": Field(_flag, _YES_NO),
        "cache_dir": Field(_folder, "a folder inside the project, as a path relative to it"),
        "concurrency": Field(_whole(1, 256), "a whole number from 1 to 256"),
        "bulk_threshold": Field(_whole(1, 10_000), "a whole number from 1 to 10000"),
        "max_sql_chars": Field(_whole(100, 10_000_000), "a whole number from 100 to 10000000"),
        "placeholders": Field(_texts, "a list of texts"),
        "private": Field(_texts, "a list of tags and meta keys"),
        "style_guide": Field(_text, "text"),
        "language": Field(_matching(r"[^\n\r{}]{1,60}"), "the name of a language"),
        "schema_file": Field(
            _matching(r"[\w][\w. -]{0,100}\.ya?ml"), "a file name without folders that ends with .yml or .yaml"
        ),
        "provenance": Field(_matching("none|file|meta"), "none, file or meta"),
        "trusted_hosts": Field(_hosts, "a list of hosts, each as host or host:port"),
    }
)
"""Every setting, by name."""

PROVIDER_BOUND: Final = frozenset({"model", "base_url", "api_version", "deployment"})
"""Settings that mean nothing to another provider than the one they were written for."""

IN_DOUBT: Final[Mapping[str, Any]] = MappingProxyType(
    {"max_cost_per_run": Decimal(0), "max_cost_per_day": Decimal(0), "dry_run": True}
)
"""What a value that cannot be read means where its default would spend more than the user wanted."""
