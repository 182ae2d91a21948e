"""From the names of relations in SQL to the nodes they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from osmosis_synthesize.manifest.model import Node

EPHEMERAL_PREFIX: Final = "__dbt__cte__"
"""dbt writes an ephemeral model into its children as a CTE of this name."""

_DIALECTS: Final = {
    "athena": "athena",
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "dremio": "dremio",
    "doris": "doris",
    "duckdb": "duckdb",
    "exasol": "exasol",
    "fabric": "fabric",
    "glue": "spark",
    "greenplum": "postgres",
    "hive": "hive",
    "impala": "hive",
    "materialize": "materialize",
    "mysql": "mysql",
    "oracle": "oracle",
    "postgres": "postgres",
    "redshift": "redshift",
    "risingwave": "risingwave",
    "singlestore": "singlestore",
    "snowflake": "snowflake",
    "spark": "spark",
    "sqlite": "sqlite",
    "sqlserver": "tsql",
    "starrocks": "starrocks",
    "synapse": "tsql",
    "teradata": "teradata",
    "trino": "trino",
    "vertica": "postgres",
}


def dialect_of(adapter_type: str) -> str:
    """What sqlglot calls the SQL that a dbt adapter speaks; empty (its generic dialect) for one we do not know."""
    return _DIALECTS.get(adapter_type.lower(), "")


class Relations:
    """Finds which of a model's parents a relation's name in its SQL means.

    Names are compared without case and quotes, and a leading database or schema may lack. A name that fits several
    parents stands for none.
    """

    __slots__ = ("_nodes",)

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes: dict[tuple[str, ...], str | None] = {}
        for node in nodes:
            alias = (node.alias or node.name).lower()
            parts = tuple(part.lower() for part in (node.database, node.schema, alias) if part)
            names = {parts[start:] for start in range(len(parts))}
            names |= {(EPHEMERAL_PREFIX + alias,), (EPHEMERAL_PREFIX + node.name.lower(),)}
            for name in names:
                self._nodes[name] = None if name in self._nodes else node.unique_id

    def find(self, parts: tuple[str, ...]) -> str | None:
        """The ``unique_id`` of the relation whose folded name is ``parts``: database, schema, name."""
        return self._nodes.get(parts)
