"""Doc blocks: which one a reference means, and which reference a rendered text came from."""

from __future__ import annotations

import re
from typing import Final

from osmosis_synthesize.manifest.index import Index
from osmosis_synthesize.manifest.model import DocBlock
from osmosis_synthesize.names import fold

_REFERENCE: Final = re.compile(
    r"""\{\{-?\s*doc\(\s*(?:['"](?P<package>[^'"]+)['"]\s*,\s*)?['"](?P<name>[^'"]+)['"]\s*\)\s*-?\}\}"""
)


class DocBlocks:
    """The doc blocks of a project and its packages."""

    def __init__(self, index: Index) -> None:
        self._index: Final = index
        self._by_text: Final = dict[str, dict[str, DocBlock | None]]()

    def find(self, name: str, *, of: str, package: str | None = None) -> DocBlock | None:
        """The block that ``doc('name')``, or ``doc('package', 'name')``, means in a schema file of the package ``of``.

        dbt looks in the package that is named; else in the project, in the package itself, and then in all others
        (``dbt.contracts.graph.manifest``, ``resolve_doc``).
        """
        docs = self._index.docs
        if package is not None:
            return docs.get((package, name))
        found = docs.get((self._index.metadata.project_name, name)) or docs.get((of, name))
        return found or next((docs[key] for key in sorted(docs) if key[1] == name), None)

    def called(self, column: str) -> DocBlock | None:
        """The project's own block that has the very name of a column; case matters only if there are several."""
        docs, project = self._index.docs, self._index.metadata.project_name
        exact = docs.get((project, column))
        if exact is not None:
            return exact
        alike = [
            block for (package, name), block in docs.items() if package == project and fold(name) == fold(column)
        ]
        return alike[0] if len(alike) == 1 else None

    def rendered(self, text: str, *, of: str) -> str:
        """A text with its blocks' texts in place of their names; what refers to no known block stays."""
        if "{{" not in text:
            return text

        def block(call: re.Match[str]) -> str:
            found = self.find(call["name"], of=of, package=call["package"])
            return found.text.strip() if found is not None else call[0]

        return _REFERENCE.sub(block, text)

    def reference(self, text: str, *, of: str) -> str | None:
        """What to write in the project's own schema files for a rendered text that is just one block of a package.

        ``None`` if it is no block of the package ``of``, or several have this text.
        """
        blocks = self._by_text.get(of)
        if blocks is None:
            blocks = self._by_text[of] = {}
            for (package, _), block in self._index.docs.items():
                if package == of:
                    key = block.text.strip()
                    blocks[key] = None if key in blocks else block
        found = blocks.get(text.strip())
        if found is None or not found.text.strip():
            return None
        if self.find(found.name, of=self._index.metadata.project_name) is found:
            return f"{{{{ doc('{found.name}') }}}}"
        return f"{{{{ doc('{found.package_name}', '{found.name}') }}}}"
