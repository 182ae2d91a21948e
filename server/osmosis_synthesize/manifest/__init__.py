"""dbt's side: manifest, catalog and lineage as typed, read-only data.

Importing this package imports nothing else; each name is imported from its module:

- ``load``: :func:`~osmosis_synthesize.manifest.load.load`, from the path of a manifest to an index
- ``index``: :class:`~osmosis_synthesize.manifest.index.Index`, which answers all questions about it
- ``model``: what the answers are made of
- ``catalog``: :func:`~osmosis_synthesize.manifest.catalog.load_catalog`
- ``decode``: how dbt writes all that
"""
