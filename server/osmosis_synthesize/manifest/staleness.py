"""Whether a node's file still is what the manifest saw."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from osmosis_synthesize.files import stamp_of
from osmosis_synthesize.manifest.model import Node

Staleness = Literal["fresh", "changed", "gone", "unknown"]
"""``fresh``: the very content that dbt saw. ``changed``: other content, or, where the manifest does not hold the
content, newer than the manifest. ``gone``: there is no such file. ``unknown``: nothing proves either."""


def staleness(node: Node, package_dir: Path, *, manifest: Path) -> Staleness:
    """Compare the file of a node (a source's or a YAML snapshot's is its YAML) with what the manifest saw.

    ``package_dir`` is the root of the node's package: for the project's own nodes the project's folder.

    Where the manifest tells the content, times are not looked at: they say nothing of a manifest that was copied from
    elsewhere, and reading a model's file takes some microseconds. It tells the content of models and SQL snapshots by
    ``raw_code``, and of seeds up to 1 MB by ``checksum``, a SHA-256 of the text without white space at its ends. (The
    checksum of models is of little use: dbt 1.12 and 2.x hash them with all white space compacted, and 2.x hashes the
    inside of a snapshot's block; as seen in their manifests.)
    """
    file = package_dir / node.path
    stamp = stamp_of(file)
    if stamp is None:
        return "gone"
    content: bool | None = None
    try:
        if node.resource_type != "source" and file.suffix not in {".yml", ".yaml"}:
            content = is_same(node, file.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError):
        return "unknown"
    if content is not None:
        return "fresh" if content else "changed"
    seen = stamp_of(manifest)
    return "changed" if seen is not None and stamp.mtime_ns > seen.mtime_ns else "unknown"


def is_same(node: Node, text: str) -> bool | None:
    """Whether ``text``, that of its file, is what dbt saw of a model, SQL snapshot or seed; ``None`` if that is not known."""
    return _same_seed(node, text) if node.resource_type == "seed" else _same_code(node, text)


def _same_seed(node: Node, text: str) -> bool | None:
    if node.checksum is None:
        return None
    # dbt up to 1.11 keeps line endings as they are, 1.12 reads all as \\n
    readings = {text.strip(), _lines(text)}
    return any(hashlib.sha256(reading.encode()).hexdigest() == node.checksum for reading in readings)


def _same_code(node: Node, text: str) -> bool | None:
    code = _lines(node.raw_code)
    if not code:
        return None
    text = _lines(text)
    # the file of a snapshot may hold several, each in a block
    return code in text if node.resource_type == "snapshot" else code == text


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
