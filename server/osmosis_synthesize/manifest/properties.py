"""From an entry of a schema file, as plain data, to what a manifest says of its node.

Names and rules are dbt's (``dbt.parser.schemas``, 1.5 to 1.12): where two places say the same, the later version's wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from osmosis_synthesize.manifest.code_files import named_in
from osmosis_synthesize.manifest.model import Calls, Column

Data = Mapping[str, Any]

_TEST_CONFIG: Final = frozenset({
    "alias",
    "arguments",
    "config",
    "database",
    "description",
    "enabled",
    "error_if",
    "fail_calc",
    "limit",
    "meta",
    "name",
    "schema",
    "severity",
    "store_failures",
    "store_failures_as",
    "tags",
    "test_name",
    "warn_if",
    "where",
})  # fmt: skip
"""What may stand beside the arguments of a data test."""


class Version(NamedTuple):
    """One item of ``versions:``."""

    name: str
    """As text: ``2``."""
    stem: str
    """What its file is called, without the ending."""
    data: Data


class DataTest(NamedTuple):
    """A data test as an entry has it."""

    column: str | None
    name: str
    namespace: str | None
    arguments: Data
    reads: Calls
    """What it refers to, beside its own node."""
    where: str | None
    warns: bool


def columns_of(entry: Data, version: Data | None = None) -> tuple[Column, ...]:
    """The columns of an entry, or of one version of a model: which of the model's it has, and its own."""
    return tuple(_column(data) for data in _column_data(entry, version).values())


def _column_data(entry: Data, version: Data | None) -> dict[str, Data]:
    own = {str(data["name"]): data for data in mappings(entry.get("columns")) if data.get("name") is not None}
    if version is None or not isinstance(version.get("columns"), Sequence):
        return own
    found = dict(own)
    given = mappings(version["columns"])
    for item in given:
        if "include" in item or "exclude" in item:
            included, excluded = item.get("include", "*"), strings(item.get("exclude"))
            everything = included in {"*", "all"} if isinstance(included, str) else False
            names = own if everything else strings(included)
            found = {name: own[name] for name in own if name in names and name not in excluded}
    return found | {str(data["name"]): data for data in given if data.get("name") is not None}


def _column(data: Data) -> Column:
    config = mapping(data.get("config"))
    return Column(
        str(data["name"]),
        text(data.get("description")),
        str(data["data_type"]) if data.get("data_type") else None,
        bool(data.get("quote")),
        tags_of(data),
        {**mapping(data.get("meta")), **mapping(config.get("meta"))},
    )


def tags_of(data: Data) -> tuple[str, ...]:
    """``tags`` and ``config.tags``."""
    own, configured = strings(data.get("tags")), strings(mapping(data.get("config")).get("tags"))
    return tuple(dict.fromkeys((*own, *configured)))


def meta_of(data: Data) -> Data:
    """``meta`` and ``config.meta``, the latter winning."""
    return {**mapping(data.get("meta")), **mapping(mapping(data.get("config")).get("meta"))}


def constraints_of(entry: Data, version: Data | None = None) -> tuple[Data, ...]:
    """The constraints of the model, then those of its columns; the latter get the ``columns`` that the former have."""
    found = list(mappings(entry.get("constraints")))
    for name, data in _column_data(entry, version).items():
        found += [{**constraint, "columns": [name]} for constraint in mappings(data.get("constraints"))]
    return tuple(found)


def versions_of(entry: Data) -> tuple[Version, ...]:
    """The versions of a model, in the order of the entry."""
    name = str(entry.get("name"))
    return tuple(
        Version(str(data["v"]), str(data.get("defined_in") or f"{name}_v{data['v']}"), data)
        for data in mappings(entry.get("versions"))
        if data.get("v") is not None
    )


def latest_version_of(entry: Data) -> str | None:
    """The version that an unversioned ``ref`` means: the one that is named, else the greatest."""
    if entry.get("latest_version") is not None:
        return str(entry["latest_version"])
    numbers = [data["v"] for data in mappings(entry.get("versions")) if data.get("v") is not None]
    if not numbers:
        return None
    try:
        return str(max(numbers, key=float))
    except (TypeError, ValueError):
        return max(map(str, numbers))


def data_tests_of(entry: Data, version: Data | None = None) -> tuple[DataTest, ...]:
    """The data tests of an entry and of its columns. What dbt does not run, because it is not enabled, is left out."""
    places: list[tuple[str | None, Data]] = [(None, entry)]
    if version is not None and ("tests" in version or "data_tests" in version):
        places = [(None, version)]
    if version is None:  # of a column that is listed twice, dbt takes the tests of both
        places += [(str(data.get("name")), data) for data in mappings(entry.get("columns"))]
    else:
        places += _column_data(entry, version).items()
    return tuple(
        test
        for column, data in places
        for key in ("tests", "data_tests")
        for item in _items(data.get(key))
        if (test := _test(column, item)) is not None
    )


def _test(column: str | None, item: Any) -> DataTest | None:
    name, data = item, mapping(None)
    if isinstance(item, Mapping):
        given = cast("Data", item)
        name = given.get("test_name")
        data = given
        if name is None and given:
            name, value = next(iter(given.items()))
            data = {**mapping(value), **{key: one for key, one in given.items() if key != name}}
    if not isinstance(name, str):
        return None
    arguments = {key: value for key, value in data.items() if key not in _TEST_CONFIG}
    arguments |= mapping(data.get("arguments"))
    config = {**data, **mapping(data.get("config")), **mapping(arguments.pop("config", None))}
    if str(config.get("enabled", True)).lower() == "false":
        return None
    column = str(arguments.pop("column_name", column) or "") or None
    namespace, _, bare = name.rpartition(".")
    read = named_in("\n".join(value for value in arguments.values() if isinstance(value, str)))
    where = config.get("where")
    return DataTest(
        column,
        bare,
        namespace or None,
        arguments,
        read,
        None if where is None else str(where),
        str(config.get("severity", "")).lower() == "warn",
    )


def text(value: Any) -> str:
    """A description as text; empty where there is none."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Data:
    """A mapping as it is, and nothing of anything else."""
    return cast("Data", value) if isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[Data]:
    """The mappings of a list."""
    return [cast("Data", item) for item in _items(value) if isinstance(item, Mapping)]


def strings(value: Any) -> list[str]:
    """A list of texts; a text alone is a list of one."""
    return [value] if isinstance(value, str) else [str(item) for item in _items(value)]


def _items(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
