"""From settings to the way to a provider: what its calls cost, and where its answers are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from osmosis_synthesize.calling import make_caller
from osmosis_synthesize.cost.prices import FREE
from osmosis_synthesize.settings import load_settings
from osmosis_synthesize.store import Store


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "openrouter"])
def test_every_default_model_has_a_price(provider: str) -> None:
    with Store.open() as store:
        price = make_caller(load_settings(None, overrides={"provider": provider}), store).price
    assert price is not None
    assert price != FREE


@pytest.mark.parametrize("provider", ["ollama", "vllm", "lm-studio", "llama.cpp", "facts", "editor"])
def test_what_runs_here_is_free(provider: str) -> None:
    settings = load_settings(None, overrides={"provider": provider, "model": "m"})
    with Store.open() as store:
        assert make_caller(settings, store).price == FREE


def test_an_unknown_model_has_no_price() -> None:
    settings = load_settings(None, overrides={"model": "nobody-knows-it"})
    with Store.open() as store:
        assert make_caller(settings, store).price is None


def test_a_store_is_begun_anew_although_its_lock_is_damaged_too(tmp_path: Path) -> None:
    for name in ("cache.sqlite3", "lock.sqlite3"):
        (tmp_path / name).write_bytes(os.urandom(5000))
    with Store.open(tmp_path) as store:
        assert store.shared
        assert "set aside" in " ".join(store.warnings)
    with Store.open(tmp_path) as store:
        assert (store.shared, store.warnings) == (True, [])
