"""The names that dbt gives to Jinja, as far as a manifest can answer for them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any, Final, cast

from osmosis_synthesize.manifest.jinja.sandbox import Sandbox, Unresolved
from osmosis_synthesize.manifest.model import Node, Ref

MISSING: Final = object()


class Returned(Exception):
    """A macro returned ``value``."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class RelationName:
    """What ``ref``, ``source`` and ``this`` give: text, and its parts."""

    __slots__ = ("_text", "alias", "database", "identifier", "name", "schema", "table")

    def __init__(self, node: Node) -> None:
        self.database = node.database
        self.schema = node.schema
        self.identifier = self.alias = self.name = self.table = node.alias or node.name
        self._text = relation_text(node)

    def __str__(self) -> str:
        return self._text

    def render(self) -> str:
        """The same text."""
        return self._text

    def include(self, **_parts: Any) -> RelationName:
        """The same relation: its parts do not matter here."""
        return self

    def quote(self, **_parts: Any) -> RelationName:
        """The same relation, as quoted as it was."""
        return self


def relation_text(node: Node) -> str:
    """A node as SQL names it; an ephemeral model by the CTE that dbt would write."""
    if node.relation_name:
        return node.relation_name
    if node.config.get("materialized") == "ephemeral":
        return f"__dbt__cte__{node.name}"
    return ".".join(part for part in (node.database, node.schema, node.alias or node.name) if part)


class References:
    """``ref`` and ``source`` of one node, found among what the manifest says it depends on."""

    def __init__(self, parents: Mapping[str, Node], sandbox: Sandbox) -> None:
        self._parents = parents
        self._sandbox = sandbox

    def ref(self, *names: Any, **options: Any) -> RelationName | Unresolved:
        """``ref('name')``, ``ref('package', 'name')``, each with ``v`` or ``version``."""
        name = str(names[-1]) if names else ""
        package = str(names[0]) if len(names) > 1 else None
        node = referred(self._parents, name, package, options.get("v", options.get("version")))
        return RelationName(node) if node is not None else self._sandbox.unknown(f"ref({name})")

    def source(self, *names: Any, **_options: Any) -> RelationName | Unresolved:
        """``source('name', 'table')``."""
        node = source_table(self._parents, *map(str, names)) if len(names) == 2 else None
        return RelationName(node) if node is not None else self._sandbox.unknown("source")


def referred(parents: Mapping[str, Node], name: str, package: str | None, version: Any = None) -> Node | None:
    """What ``ref`` means among a node's ``parents``; ``None`` if that is not one node."""
    found = [
        node
        for node in parents.values()
        if node.name == name
        and node.resource_type != "source"
        and package in (None, node.package_name)
        and (version is None or node.version == str(version))
    ]
    if len(found) > 1:
        found = [node for node in found if node.version == node.latest_version] or found
    return found[0] if len(found) == 1 else None


def source_table(parents: Mapping[str, Node], source: str, name: str) -> Node | None:
    """What ``source`` means among a node's ``parents``; ``None`` if that is not one table."""
    found = [
        node
        for node in parents.values()
        if node.resource_type == "source" and (node.source_name, node.name) == (source, name)
    ]
    return found[0] if len(found) == 1 else None


class Recorder:
    """``ref``, ``source`` and ``config`` of one node while dbt parses it: they note what they are asked."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.refs: Final = dict[Ref, None]()
        self.sources: Final = dict[tuple[str, str], None]()
        self.values: Final = dict[str, Any]()

    def ref(self, *names: Any, **options: Any) -> Unresolved:
        """``ref('name')``, ``ref('package', 'name')``, each with ``v`` or ``version``."""
        version = options.get("v", options.get("version"))
        if 0 < len(names) <= 2 and all(isinstance(name, str) for name in names):
            *package, name = names
            self.refs[Ref(name, package[0] if package else None, None if version is None else str(version))] = None
        return self._sandbox.unknown("ref")

    def source(self, *names: Any, **_options: Any) -> Unresolved:
        """``source('name', 'table')``."""
        if len(names) == 2 and all(isinstance(name, str) for name in names):
            self.sources[names] = None
        return self._sandbox.unknown("source")

    def __call__(self, *given: Any, **values: Any) -> str:
        """``config(…)``, or ``config({…})``: the last value of a name counts."""
        for one in (*given, values):
            if isinstance(one, Mapping):
                pairs = cast("Mapping[Any, Any]", one).items()
                self.values.update({str(name): value for name, value in pairs if not isinstance(value, Unresolved)})
        return ""

    def get(self, name: str, default: Any = None, **_options: Any) -> Any:
        """A value of the node's config, as far as it has been set above."""
        return copy.deepcopy(self.values.get(str(name), default))

    require = get


class Variables:
    """``var``: the project's variables where they are given, else the default."""

    def __init__(self, values: Mapping[str, Any], package: str, sandbox: Sandbox) -> None:
        own = values.get(package)
        self._values: Mapping[str, Any] = {**values, **own} if isinstance(own, Mapping) else values
        self._sandbox = sandbox

    def __call__(self, name: str, default: Any = MISSING) -> Any:
        """A variable's value, or ``default``."""
        value = self._values.get(str(name), default)
        if value is MISSING:
            return self._sandbox.unknown(f"var({name})")
        return copy.deepcopy(value)  # a template may change what it gets

    def has_var(self, name: str) -> bool:
        """Whether the variable has a value."""
        return str(name) in self._values


class Config:
    """``config``: nothing to write, and the resolved values to read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __call__(self, *_args: Any, **_kwargs: Any) -> str:
        """Setting the config writes nothing."""
        return ""

    def get(self, name: str, default: Any = None, **_options: Any) -> Any:
        """A value of the node's config."""
        return copy.deepcopy(self._values.get(str(name), default))

    require = get


class ColumnTypes:
    """``api.Column``: names of types."""

    def translate_type(self, name: Any) -> str:
        """A type as it is."""
        return str(name)

    def string_type(self, size: Any) -> str:
        """A text of limited length."""
        return f"varchar({size})"

    def numeric_type(self, name: Any, precision: Any, scale: Any) -> str:
        """A number of limited precision."""
        return f"{name}({precision},{scale})"


def nothing(*_args: Any, **_kwargs: Any) -> str:
    """What is done for its effect writes nothing."""
    return ""


def no(*_args: Any, **_kwargs: Any) -> bool:
    """Whether this is an incremental run, or a full refresh: lineage reads the first build."""
    return False


def give_back(value: Any = None) -> None:
    """A macro's ``return``."""
    raise Returned(value)


def from_json(text: Any, default: Any = None) -> Any:
    """JSON as values."""
    try:
        return json.loads(str(text))
    except ValueError:
        return default
