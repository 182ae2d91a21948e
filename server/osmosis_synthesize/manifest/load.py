"""From ``manifest.json`` to an :class:`~osmosis_synthesize.manifest.index.Index`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from osmosis_synthesize.errors import ManifestError
from osmosis_synthesize.manifest import decode
from osmosis_synthesize.manifest.catalog import Catalog, load_catalog
from osmosis_synthesize.manifest.decode import Head
from osmosis_synthesize.manifest.index import Contents, Index
from osmosis_synthesize.manifest.model import Metadata

KNOWN_VERSIONS: Final = range(9, 13)
"""Schema versions of dbt 1.5 to 1.12 and 2.x."""

_REWRITE = "Run `dbt parse` in the project to have it written anew."
_SCHEMA = re.compile(r"/dbt/(?P<artifact>[a-z-]+)/v(?P<version>\d+)(\.json)?$")


class _Metadata(msgspec.Struct):
    dbt_schema_version: str
    dbt_version: str = ""
    adapter_type: str | None = None
    project_name: str | None = None
    project_id: str | None = None
    generated_at: str | None = None


class _Manifest(msgspec.Struct):
    metadata: _Metadata
    nodes: dict[str, msgspec.Raw] = {}
    sources: dict[str, msgspec.Raw] = {}
    docs: msgspec.Raw = msgspec.Raw(b"{}")
    macros: msgspec.Raw = msgspec.Raw(b"{}")


def load(path: Path, *, catalog: Path | None = None) -> Index:
    """Read a manifest, and the catalog where there is one.

    An unknown schema version, a node that is not what dbt writes, and a catalog that cannot be read end up in
    ``index.warnings``; all else is read.

    Raises:
        ManifestError: the manifest is absent, half-written or no manifest.
    """
    raw = _read(path)
    warnings: list[str] = []
    version = _schema_version(path, raw.metadata, warnings)
    # sorted, because dbt's versions, and runs, differ in their order
    heads = dict(sorted(_heads(raw, warnings).items()))
    nodes = {unique_id: head for unique_id, head in heads.items() if decode.is_node(head)}
    cards = tuple(decode.card_of(unique_id, head, nodes) for unique_id, head in nodes.items())
    tests = tuple(
        decode.TestCard(unique_id, node)
        for unique_id, head in heads.items()
        if head.resource_type == "test" and (node := decode.attached_to(head, nodes)) in nodes
    )
    bodies = raw.nodes | raw.sources
    metadata = Metadata(
        schema_version=version,
        dbt_version=raw.metadata.dbt_version,
        adapter_type=raw.metadata.adapter_type or "",
        project_name=_project_name(raw.metadata, nodes),
        generated_at=raw.metadata.generated_at or "",
    )
    found = _catalog(catalog, warnings)
    return Index(
        Contents(
            path=path,
            metadata=metadata,
            warnings=tuple(warnings),
            nodes=cards,
            node_bodies=[bodies[card.unique_id] for card in cards],
            tests=tests,
            test_bodies=[bodies[card.unique_id] for card in tests],
            docs=raw.docs,
            macros=raw.macros,
            catalog=found,
        )
    )


def _read(path: Path) -> _Manifest:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ManifestError(
            f"There is no manifest at {path}.", path=path, hint="Run `dbt parse` in the project to have it written."
        ) from error
    except OSError as error:
        raise ManifestError(f"The manifest {path} cannot be read: {error.strerror}.", path=path) from error
    try:
        return decode.read_file(data, _Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{path} is no manifest of dbt: {error}.", path=path, hint=_REWRITE) from error
    except decode.DECODE_ERRORS as error:
        raise ManifestError(
            f"{path} is half-written or damaged: {error}.",
            path=path,
            hint=f"Try again if dbt is running now. {_REWRITE}",
        ) from error


def _schema_version(path: Path, metadata: _Metadata, warnings: list[str]) -> int:
    found = _SCHEMA.search(metadata.dbt_schema_version)
    if found is None or found["artifact"] != "manifest":
        raise ManifestError(
            f"{path} is no manifest of dbt: its schema is {metadata.dbt_schema_version!r}.",
            path=path,
            hint="Name the file manifest.json in the project's target folder.",
        )
    version = int(found["version"])
    if version not in KNOWN_VERSIONS:
        warnings.append(
            f"{path} has schema version {version} (dbt {metadata.dbt_version}); known are "
            f"{KNOWN_VERSIONS[0]} to {KNOWN_VERSIONS[-1]}. It is read all the same; some of it may be missed."
        )
    return version


def _heads(raw: _Manifest, warnings: list[str]) -> dict[str, Head]:
    heads: dict[str, Head] = {}
    for bodies in (raw.nodes, raw.sources):
        for unique_id, body in bodies.items():
            try:
                heads[unique_id] = decode.read_head(body)
            except decode.DECODE_ERRORS as error:
                warnings.append(f"{unique_id} of the manifest is left out: {error}.")
    return heads


def _project_name(metadata: _Metadata, nodes: Mapping[str, Head]) -> str:
    """The root project. Before 1.6 dbt wrote its ``project_id`` alone, which is the MD5 of the name."""
    if metadata.project_name is not None:
        return metadata.project_name
    import hashlib

    for package in {head.package_name for head in nodes.values()}:
        if hashlib.md5(package.encode(), usedforsecurity=False).hexdigest() == metadata.project_id:
            return package
    return ""


def _catalog(path: Path | None, warnings: list[str]) -> Catalog | None:
    if path is None or not path.exists():
        return None
    try:
        return load_catalog(path)
    except ManifestError as error:
        warnings.append(str(error))
        return None
