from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osmosis_synthesize.cost import prices as prices_module
from osmosis_synthesize.cost.prices import FREE, Price, Prices, Rates, listed_models
from osmosis_synthesize.providers.base import Usage
from osmosis_synthesize.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as store:
        yield store


def rates(*dollars: str) -> Rates:
    return Rates(*map(Decimal, dollars))


TIERED = Price(
    rates("2", "10", "0.5", "2.5"), ((1000, rates("4", "15", "1", "5")), (5000, rates("1", "2", "3", "4")))
)


class TestCost:
    def test_counts_each_kind_of_token_once(self) -> None:
        usage = Usage(input_tokens=1000, output_tokens=100, cached_input_tokens=600, cache_write_tokens=300)
        # 100 × 2 + 600 × 0.5 + 300 × 2.5 + 100 × 10 per million
        assert TIERED.cost(usage) == Decimal("0.00225")

    def test_one_token_past_a_threshold_changes_the_rates_of_all(self) -> None:
        assert TIERED.cost(Usage(1000)) == Decimal("0.002")
        assert TIERED.cost(Usage(1001)) == Decimal("0.004004")
        assert TIERED.cost(Usage(5001, 1)) == Decimal("0.005003")

    def test_impossible_usage_never_costs_less_than_nothing(self) -> None:
        assert TIERED.cost(Usage(10, 0, 500, 500)) == Decimal("0.000005")

    def test_is_exact(self) -> None:
        price = Price.flat(Decimal("0.0375"), Decimal("0.15"))
        assert price.cost(Usage(1, 1)) == Decimal("0.0000001875")

    @given(
        st.integers(0, 8000).flatmap(
            lambda most: st.tuples(st.just(most), *[st.integers(0, max(most, 1)) for _ in range(3)])
        ),
        st.integers(0, 5000).flatmap(lambda most: st.tuples(st.just(most), st.integers(0, most))),
    )
    def test_at_most_is_never_less(self, input_: tuple[int, int, int, int], output: tuple[int, int]) -> None:
        most, actual, cached, written = input_
        usage = Usage(min(actual, most), output[1], cached, written)
        assert TIERED.cost(usage) <= TIERED.at_most(most, output[0])


class TestPriceOf:
    def test_the_users_own_comes_first(self, store: Store) -> None:
        own = Price.flat(Decimal(1), Decimal(2), Decimal("0.5"))
        prices = Prices(store, {"gpt-4o": own, "llama": own})
        assert prices.price_of("openai", "gpt-4o") is own
        assert prices.price_of("ollama", "llama", local=True) is own

    def test_what_runs_here_is_free(self, store: Store) -> None:
        price = Prices(store).price_of("ollama", "llama", local=True)
        assert price is FREE
        assert price.cost(Usage(10**9, 10**9)) == 0

    def test_known_models(self, store: Store) -> None:
        # These prices are history, so they do not change with genai-prices.
        prices = Prices(store)
        assert prices.price_of("openai", "gpt-4o-mini") == Price(rates("0.15", "0.6", "0.075", "0.15"))
        assert prices.price_of("azure", "gpt-4o") == Price(rates("2.5", "10", "1.25", "2.5"))
        assert prices.price_of("anthropic", "claude-3-5-haiku-20241022") == Price(rates("0.8", "4", "0.08", "1"))

    def test_other_servers_are_known_by_their_address(self, store: Store) -> None:
        prices = Prices(store)
        model, url = "gemini-2.5-pro", "https://generativelanguage.googleapis.com/v1beta/openai/"
        price = prices.price_of("openai-compatible", model, base_url=url)
        assert price == Price(rates("1.25", "10", "0.125", "1.25"), ((200_000, rates("2.5", "15", "0.25", "2.5")),))
        # Neither the model's name alone nor the address of somebody else tells what is charged.
        assert prices.price_of("openai-compatible", model) is None
        assert prices.price_of("openai-compatible", model, base_url="https://llm.example.com/v1") is None
        assert prices.price_of("openai-compatible", "gpt-4o", base_url="https://llm.example.com/v1") is None

    @pytest.mark.parametrize(
        ("provider", "model"), [("openai", "gpt-none"), ("anthropic", ""), ("third-party", "gpt-4o")]
    )
    def test_an_unknown_price_is_none(self, store: Store, provider: str, model: str) -> None:
        for _ in range(2):  # the second time from the store
            assert Prices(store).price_of(provider, model) is None

    def test_without_genai_prices_nothing_is_known(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "genai_prices", None)
        monkeypatch.setattr(prices_module, "_genai_file", prices_module._genai_file.__wrapped__)
        assert Prices(store).price_of("openai", "gpt-4o") is None

    def test_is_remembered_without_loading_genai_prices_again(self, store: Store) -> None:
        first = Prices(store).price_of("openai", "gpt-4o")
        program = (
            "import pathlib, sys; from osmosis_synthesize.cost.prices import Prices\n"
            "from osmosis_synthesize.store import Store\n"
            "with Store.open(pathlib.Path(sys.argv[1])) as store:\n"
            "    print(Prices(store).price_of('openai', 'gpt-4o'))\n"
            "print([name for name in sys.modules if name.startswith(('genai', 'pydantic', 'httpx'))])"
        )
        command = [sys.executable, "-W", "error", "-c", program, str(store.folder)]
        output = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
        assert output == f"{first}\n[]\n"

    def test_is_forgotten_when_the_file_or_the_day_changes(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def rows() -> list[tuple[str, str]]:
            return store.read(lambda connection: connection.execute("SELECT source, model FROM price").fetchall())

        Prices(store).price_of("openai", "gpt-4o")
        (before,) = rows()
        monkeypatch.setattr(prices_module, "_genai_file", lambda: "another release")
        Prices(store).price_of("openai", "gpt-4o-mini")
        (after,) = rows()
        assert before[1] == "gpt-4o"
        assert after == (f"another release {time.strftime('%Y-%m-%d', time.gmtime())}", "gpt-4o-mini")


def test_every_price_charges_what_genai_prices_would(store: Store) -> None:
    """All models of all providers, at usages on both sides of every threshold."""
    from genai_prices import Usage as GenaiUsage
    from genai_prices.data import providers

    usages = [
        Usage(input_, 1000, cached, written)
        for input_ in (0, 1_000, 150_000, 300_000, 900_000)
        for cached, written in ((0, 0), (input_ // 2, input_ // 4))
    ]
    compared = 0
    for model in (model for provider in providers for model in provider.models):
        for raw in [model.prices] if not isinstance(model.prices, list) else [each.prices for each in model.prices]:
            if (price := prices_module._from_genai(raw)) is None:
                continue
            assert prices_module._decode(prices_module._encode(price)) == price
            for usage in usages:
                theirs = GenaiUsage(
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    cache_read_tokens=usage.cached_input_tokens,
                    cache_write_tokens=usage.cache_write_tokens,
                )
                assert price.cost(usage) == raw.calc_price(theirs)["total_price"], (model.id, usage, raw)
                compared += 1
    assert compared > 1000


class TestListedModels:
    def test_are_those_that_write_text_with_the_prices_that_are_charged(self, store: Store) -> None:
        prices = Prices(store)
        for provider, base_url in (("openai", None), ("anthropic", None), ("gemini", GEMINI)):
            listed = listed_models(provider, base_url)
            assert len(listed) > 3
            assert not [each.model for each in listed if "embedding" in each.model or "tts" in each.model]
            assert provider == "anthropic" or not [each.model for each in listed if "claude" in each.model]
            assert [each.model for each in listed] == sorted({each.model for each in listed})
            for each in listed:
                assert each.context_tokens >= 16_000
                assert each.price == prices.price_of(provider, each.model, base_url=base_url), each.model

    def test_are_none_where_nobody_knows_the_place(self) -> None:
        assert listed_models("openai-compatible", "https://llm.example.com/v1") == ()
        assert listed_models("openai-compatible", None) == ()


GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"
