"""Replies on disk, shared between processes: no question is paid for twice."""

from __future__ import annotations

from osmosis_synthesize.cache.model import CachedReply, request_key
from osmosis_synthesize.cache.shared import Cache, CacheStats, Claim, Imported

__all__ = ["Cache", "CacheStats", "CachedReply", "Claim", "Imported", "request_key"]
