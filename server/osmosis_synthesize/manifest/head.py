"""What the beginning of a manifest tells, without reading the rest: large ones have 100 MB."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_BEGINNING: Final = 65_536
"""Bytes. dbt writes the metadata first; what it takes from ``DBT_ENV_CUSTOM_ENV_…`` variables stands before the adapter."""

_ADAPTER: Final = re.compile(rb'"adapter_type"\s*:\s*"(\w+)"')


def adapter_type(manifest: Path) -> str | None:
    """The adapter that a manifest was written for (``bigquery``, ``snowflake``, …); ``None`` where that cannot be seen."""
    try:
        with manifest.open("rb") as file:
            found = _ADAPTER.search(file.read(_BEGINNING))
    except OSError:
        return None
    return found[1].decode() if found is not None else None
