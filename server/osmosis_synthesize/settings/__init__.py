"""Settings: what can be set, where each value came from, and which keys and hosts may be used with it."""

from __future__ import annotations

from osmosis_synthesize.providers.endpoint import is_local, is_trusted
from osmosis_synthesize.settings.keys import api_key
from osmosis_synthesize.settings.load import load_settings, provider_config, user_config_file
from osmosis_synthesize.settings.model import Origin, OriginKind, Price, Settings

__all__ = [
    "Origin",
    "OriginKind",
    "Price",
    "Settings",
    "api_key",
    "is_local",
    "is_trusted",
    "load_settings",
    "provider_config",
    "user_config_file",
]
