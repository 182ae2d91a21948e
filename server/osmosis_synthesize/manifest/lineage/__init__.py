"""Which upstream columns each column of a model is made of.

:class:`Lineages` answers for the nodes of an index as they are asked for, :func:`trace` for one node whose parents
and their columns are given. sqlglot is imported by the first question, not before.
"""

from __future__ import annotations

from osmosis_synthesize.manifest.lineage.project import Lineages
from osmosis_synthesize.manifest.lineage.task import trace

__all__ = ["Lineages", "trace"]
