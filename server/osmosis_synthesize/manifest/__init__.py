"""dbt's side: manifest, catalog and lineage as typed, read-only data."""
