"""What descriptions are made from, as hashes: of SQL as people write it, and of the texts upstream.

A hash must change when the meaning may have, and never for another reason: not because dbt has compiled the project or
not, ran for another target, or is another version; not by comments, layout, the case of keywords or a new alias of a
table. So everything is taken from :class:`~osmosis_synthesize.manifest.as_written.AsWritten`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from osmosis_synthesize.engine.compare import plain
from osmosis_synthesize.engine.descriptions import Descriptions
from osmosis_synthesize.engine.provenance import Made, hash_of
from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import Macro, Node, NodeLineage
from osmosis_synthesize.names import fold

_TOKEN: Final = re.compile(
    r"""
      (?P<ignored>\{\#.*?\#\}|--[^\n]*|/\*.*?\*/|\s+)
    | (?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`)
    | (?P<jinja>\{\{-?|\{%-?|-?\}\}|-?%\})
    | (?P<word>\w+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_WORD: Final = re.compile(r"\w+")


class MadeFrom:
    """What the descriptions of a project would be made from now. Made anew for each task: files change."""

    def __init__(self, index: Index, lineage: Mapping[str, NodeLineage], descriptions: Descriptions) -> None:
        """Nothing is read yet.

        Args:
            index: the manifest, as people wrote its SQL.
            lineage: of that index, with whole expressions.
            descriptions: the project's as they stand.
        """
        self._index: Final = index
        self._lineage: Final = lineage
        self._descriptions: Final = descriptions
        self._sql: Final = dict[str, str | None]()

    def knows(self, unique_id: str) -> bool:
        """Whether the manifest has this node."""
        return unique_id in self._index.nodes

    def of(self, unique_id: str, column: str | None, *, prompt: str = "") -> Made:
        """All parts of what a column's (or the node's own) description would be made from."""
        if not self.knows(unique_id):
            return Made(prompt=prompt)
        upstream = {name: digest for name in self._upstream(unique_id, column) if (digest := self.text(name))}
        return Made(self.sql(unique_id), self.expression(unique_id, column), upstream, prompt)

    def sql(self, unique_id: str) -> str | None:
        """The node's code, and that of the project's own macros that it names; ``None`` where it has none."""
        if unique_id not in self._sql:
            self._sql[unique_id] = self._hash_of_code(self._index.nodes[unique_id])
        return self._sql[unique_id]

    def expression(self, unique_id: str, column: str | None) -> str | None:
        """What a column is computed with, or which rows the node has; ``None`` where the SQL does not tell."""
        lineage = self._lineage.get(unique_id)
        if lineage is None:
            return None
        if column is None:
            return hash_of(lineage.rows) if lineage.rows is not None else None
        traced = lineage.column(column)
        return hash_of(traced.expression) if traced is not None and traced.expression is not None else None

    def text(self, name: str) -> str | None:
        """The hash of the description of a node, or of a column named ``unique_id.column``; ``None`` where it has none.

        Case and what ends a sentence make no difference.
        """
        unique_id, column = self._named(name)
        text = self._descriptions.text(unique_id, column)
        if text is None:
            return None
        return hash_of(plain(self._descriptions.rendered(text, self._index.nodes[unique_id].package_name)))

    def _named(self, name: str) -> tuple[str, str | None]:
        """A name's node, and its column. Names of columns may have dots, as fields of structs have."""
        end = len(name)
        while end > 0 and name[:end] not in self._index.nodes:
            end = name.rfind(".", 0, end)
        return (name[:end], name[end + 1 :] or None) if end > 0 else (name, None)

    def _upstream(self, unique_id: str, column: str | None) -> tuple[str, ...]:
        """The columns that a column is made of, or the nodes that a node is built from."""
        if column is None:
            return self._index.parents(unique_id)
        lineage = self._lineage.get(unique_id)
        traced = lineage.column(column) if lineage is not None else None
        return tuple(f"{parent}.{fold(name)}" for parent, name in traced.sources) if traced is not None else ()

    def _hash_of_code(self, node: Node) -> str | None:
        if not node.raw_code.strip() or node.resource_type in {"seed", "source"}:
            return None
        parts = {"": normal(node.raw_code, node.language)}
        found = [parts[""]]
        while found:
            for name in self._own_macros.keys() & _WORD.findall(found.pop()):
                if name not in parts:
                    parts[name] = normal(self._own_macros[name].code, "sql")
                    found.append(parts[name])
        return hash_of("\n".join(parts[name] for name in sorted(parts)))

    @cached_property
    def _own_macros(self) -> Mapping[str, Macro]:
        """The project's own macros by name, in small letters."""
        project = self._index.metadata.project_name
        return {macro.name.lower(): macro for macro in self._index.macros.values() if macro.package_name == project}


def normal(code: str, language: str) -> str:
    """Code without comments and layout, in small letters but for what stands in quotes.

    Jinja stays; whether it strips blanks, and which quotes it uses, makes no difference.
    """
    if language != "sql":  # where the indentation means something
        lines = (line.rstrip() for line in code.splitlines())
        return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    tokens: list[str] = []
    in_jinja = False
    for token in _TOKEN.finditer(code):
        text = token[0]
        if token.lastgroup == "jinja":
            text = text.strip("-")
            in_jinja = text.startswith("{")
        elif token.lastgroup == "quoted":
            text = f"'{text[1:-1]}'" if in_jinja else text
        elif token.lastgroup != "ignored":
            text = text.lower()
        if token.lastgroup != "ignored":
            tokens.append(text)
    return " ".join(tokens)
