"""``catalog.json``: the columns and types of the warehouse itself, as ``dbt docs generate`` found them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.manifest import decode
from osmosis_synthesize.manifest.decode import Bodies
from osmosis_synthesize.manifest.model import Column


@dataclass(frozen=True, slots=True)
class Catalog:
    """The tables that the warehouse has. Their columns are decoded when asked for."""

    path: Path
    at: Mapping[str, int]
    """Where each table's body is, by the ``unique_id`` of its node."""
    bodies: Bodies

    def columns(self, unique_id: str) -> tuple[Column, ...]:
        """Names and types of a table's columns, in the warehouse's order; none where it is not known.

        A table that cannot be read counts as not known: the catalog is optional, in whole and in part.
        """
        at = self.at.get(unique_id)
        if at is None:
            return ()
        try:
            return decode.read_catalog_columns(self.bodies[at])
        except decode.DECODE_ERRORS:
            return ()


class _Catalog(msgspec.Struct):
    nodes: dict[str, msgspec.Raw]
    sources: dict[str, msgspec.Raw] = {}


def load_catalog(path: Path) -> Catalog:
    """Read a catalog.

    Raises:
        ManifestError: it is absent, half-written or no catalog.
    """
    hint = "Run `dbt docs generate` to have it written anew, or do without it: it is optional."
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"The catalog {path} cannot be read: {error.strerror}.", path=path, hint=hint) from error
    try:
        raw = decode.read_file(data, _Catalog)
    except decode.DECODE_ERRORS as error:
        raise ManifestError(f"{path} is no whole catalog: {error}.", path=path, hint=hint) from error
    tables = raw.nodes | raw.sources
    return Catalog(path, {unique_id: at for at, unique_id in enumerate(tables)}, list(tables.values()))
