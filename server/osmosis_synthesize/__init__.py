"""Fills missing dbt descriptions: inherited along lineage, cached, or generated, as byte-exact edits."""

__version__ = "0.1.0"
