"""Fills missing dbt descriptions: inherited along lineage, cached, or generated, as byte-exact edits."""

from typing import Final

__version__: Final = "0.1.0"
