"""The names that users of dbt-osmosis know, against servers on loopback and with the real SDKs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import warnings
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from osmosis_synthesize.cost.ledger import Ledger
from osmosis_synthesize.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderSetupError,
    SettingsError,
    UsageError,
)
from osmosis_synthesize.llm import (
    CostTracker,
    LLMCache,
    LLMConfig,
    LLMProvider,
    SkippedWarning,
    generate_column_doc,
    generate_model_docs,
    generate_model_spec_as_json,
    generate_table_doc,
    get_provider,
    install,
    synthesize_columns_async,
)
from osmosis_synthesize.llm.familiar import familiar_environment
from osmosis_synthesize.llm.messages import read_object
from osmosis_synthesize.providers.base import Reply
from osmosis_synthesize.store import Store
from servers import BASE_PATHS, FakeLLMServer, failing, says, wrong_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is an order?"}]
SQL = "select id as order_id, amount_cents / 100 as amount from raw_orders"
MADE_UP = "Made up for tests: "


@pytest.fixture
def server() -> Iterator[FakeLLMServer]:
    with FakeLLMServer() as server:
        yield server


def config(server: FakeLLMServer, name: str = "openai", **changes: Any) -> LLMConfig:
    values: dict[str, Any] = {
        "provider": name,
        "model": "gpt-4o",
        "api_key": "sk-tests-0123456789",
        "base_url": server.url + BASE_PATHS[name],
        "max_retries": 0,
        "timeout": 300.0,
    }
    return LLMConfig(**values | changes)


@pytest.fixture
def provider(server: FakeLLMServer) -> Iterator[LLMProvider]:
    with get_provider(config(server)) as provider:
        yield provider


# --- LLMConfig ---


def test_the_defaults_are_the_promised_ones() -> None:
    config = LLMConfig()
    assert (config.provider, config.model, config.temperature, config.max_tokens) == ("openai", "gpt-4o", 0.5, 2000)
    assert (config.timeout, config.max_retries, config.api_key, config.base_url) == (60.0, 3, None, None)
    assert LLMConfig("openai", "gpt-4o", 0.5, 2000, 60.0, 3, None, None) == config


def test_a_key_is_not_shown() -> None:
    assert "sk-secret" not in repr(LLMConfig(api_key="sk-secret"))


def test_the_variables_of_a_project_are_read() -> None:
    llm = {"provider": "anthropic", "temperature": 0.1, "max_tokens": 900, "max_cost_per_run": 1.5, "dry_run": True}
    config = LLMConfig.from_dbt_vars({"dbt-osmosis": {"llm": llm}, "other": [1, None]})
    assert (config.provider, config.model) == ("anthropic", "claude-haiku-4-5")
    assert (config.temperature, config.max_tokens) == (0.1, 900)
    assert (config.max_cost_per_run, config.dry_run) == (Decimal("1.5"), True)


@pytest.mark.parametrize("variables", [{}, {"dbt-osmosis": None}, {"dbt-osmosis": {"llm": {"provider": "openai"}}}])
def test_what_variables_do_not_say_has_its_default(variables: dict[str, Any]) -> None:
    config, default = LLMConfig.from_dbt_vars(variables), LLMConfig()
    for name in ("provider", "model", "temperature", "max_tokens", "timeout", "max_retries", "api_key", "base_url"):
        assert getattr(config, name) == getattr(default, name), name


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match=r"dbt_project\.yml: temperature is 'hot'"):
        LLMConfig.from_dbt_vars({"dbt-osmosis": {"llm": {"temperature": "hot"}}})
    with pytest.raises(SettingsError, match="api_key is refused"):
        LLMConfig.from_dbt_vars({"dbt-osmosis": {"llm": {"api_key": "x"}}})


def test_a_repository_cannot_send_the_user_s_key_to_its_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-users-own-key-123")
    config = LLMConfig.from_dbt_vars({"dbt-osmosis": {"llm": {"base_url": "https://llm.evil.example/v1"}}})
    assert config.resolve()[1].api_key is None
    with get_provider(config) as provider, pytest.raises(ProviderSetupError, match=r"llm\.evil\.example"):
        provider.generate(ASK)


def test_an_address_given_in_code_is_the_user_s_own_choice() -> None:
    resolved = LLMConfig(base_url="https://gateway.example/v1", api_key="k").resolve()[1]
    assert resolved.base_url_trusted
    assert resolved.api_key is not None
    assert resolved.api_key.reveal() == "k"


# --- LLMProvider ---


@pytest.mark.parametrize("name", ["openai", "anthropic", "ollama", "azure", "openai-compatible"])
def test_every_provider_generates(server: FakeLLMServer, name: str) -> None:
    server.always(says("An order."))
    with get_provider(config(server, name)) as provider:
        assert provider.generate(ASK) == "An order."
    assert "What is an order?" in server.requests[0].prompt
    assert "Be brief." in server.requests[0].prompt


def test_the_third_way_to_call_is_in_an_event_loop_that_runs(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.always(says("An order."))

    async def inside() -> tuple[str, str]:
        return provider.generate(ASK), await provider.generate_async([*ASK, {"role": "user", "content": "Again"}])

    assert asyncio.run(inside()) == ("An order.", "An order.")
    assert asyncio.run(inside()) == ("An order.", "An order.")  # another loop, the same connections
    assert len(server.requests) == 2


def test_threads_share_a_provider(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.always(says("x"))
    said: list[str] = []

    def ask(number: int) -> None:
        said.append(provider.generate([{"role": "user", "content": str(number)}]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["x"] * 8
    assert len(server.requests) == 8


@pytest.mark.parametrize(
    "text", ['{"a": 1}', 'Sure:\n```json\n{"a": 1}\n```', 'So {this} is it: {"a": 1}. Bye', '{"a": 1} {"b": 2}']
)
def test_json_is_found_in_a_reply(provider: LLMProvider, server: FakeLLMServer, text: str) -> None:
    server.always(says(text))
    assert provider.generate_json(ASK) == {"a": 1}
    assert "JSON" in server.requests[0].prompt


def test_a_reply_without_json_is_an_error_that_does_not_quote_it(
    provider: LLMProvider, server: FakeLLMServer
) -> None:
    server.always(says("I'd rather not say 4711."))
    with pytest.raises(ProviderError, match="gave no JSON object") as caught:
        provider.generate_json(ASK)
    assert "4711" not in str(caught.value)


def test_a_schema_is_sent_as_one(provider: LLMProvider, server: FakeLLMServer) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert provider.generate_json(ASK, schema=schema) == {"n": 1}
    assert server.requests[0].body["response_format"]["json_schema"]["schema"] == schema


def test_hostile_nesting_is_no_object() -> None:
    assert read_object('{"a":' * 100_000) is None


async def test_a_batch_keeps_its_order_and_its_bounds(server: FakeLLMServer) -> None:
    server.delay = 0.02
    server.describe = lambda _name: "x"
    batches = [[{"role": "user", "content": f"number {number}"}] for number in range(24)]
    cached = get_provider(config(server))
    server.script(*(says(f"first {number}") for number in range(3)))
    for batch in batches[:3]:
        await cached.generate_async(batch)
    said = await cached.batch_generate(batches)
    cached.close()
    assert said == ["first 0", "first 1", "first 2", *["x"] * 21]
    assert len(server.requests) == 24
    assert 1 < server.most_at_once() <= 8


async def test_what_a_batch_was_answered_survives_a_failure(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.script(failing(400))
    batches = [[{"role": "user", "content": str(number)}] for number in range(6)]
    with pytest.raises(ProviderError):
        await provider.batch_generate(batches)
    assert len(await provider.batch_generate(batches)) == 6
    assert len(server.requests) == 7


def test_a_failure_keeps_its_kind(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.always(wrong_key())
    for _ in range(2):
        with pytest.raises(ProviderAuthError):
            provider.generate(ASK)
    assert len(server.requests) == 1, "a wrong key stays wrong"


@pytest.mark.parametrize("messages", [[], [{"role": "user"}], [{"role": "wizard", "content": "x"}]])
def test_messages_that_are_none_are_refused(provider: LLMProvider, messages: list[dict[str, str]]) -> None:
    with pytest.raises(UsageError):
        provider.generate(messages)


def test_the_second_time_is_free_and_every_call_is_in_the_ledger(
    provider: LLMProvider, server: FakeLLMServer
) -> None:
    server.always(says("An order."))
    assert provider.generate(ASK) == provider.generate(ASK)
    assert len(server.requests) == 1
    tracker = provider.cost_tracker
    assert (tracker.input_tokens, tracker.output_tokens) == (server.input_tokens, server.output_tokens)
    with Store.open() as store:
        (spend,) = Ledger(store).spend()
    assert (spend.calls, spend.cached_calls) == (1, 1)
    assert spend.cost == tracker.total_cost
    assert spend.cost > 0


def test_over_budget_is_skipped_with_a_warning(server: FakeLLMServer) -> None:
    with get_provider(config(server, max_cost_per_run=0.0)) as provider:
        with pytest.warns(SkippedWarning, match="Raise max_cost_per_run"):
            assert provider.generate(ASK) == ""
        with pytest.warns(SkippedWarning):
            assert provider.generate_json(ASK) == {}
        with pytest.warns(SkippedWarning, match="order_id: The call may cost"):
            assert generate_column_doc(provider, "order_id") == ""
        with pytest.warns(SkippedWarning):
            assert generate_model_docs(provider, SQL) == {"description": "", "columns": []}
    assert server.requests == []


def test_a_dry_run_calls_nobody(server: FakeLLMServer) -> None:
    with get_provider(config(server, dry_run=True)) as provider, pytest.warns(SkippedWarning, match="dry run"):
        assert provider.generate(ASK) == ""
    assert server.requests == []


class Echo(LLMProvider):
    """A provider of one's own."""

    async def ask(self, request: Any, *, use_cache: bool = True, purpose: Any = None) -> Reply:
        asked = f"{len(request.messages)} messages, {use_cache}, {purpose}"
        return Reply(json.dumps({"description": f"Echo of {asked}.", "columns": []}))


def test_a_provider_of_one_s_own_needs_one_method() -> None:
    provider = Echo(LLMConfig())
    assert provider.generate_json(ASK)["description"] == "Echo of 3 messages, True, None."
    assert generate_table_doc(provider, SQL, "orders", use_cache=False).startswith(
        "Echo of 3 messages, False, Purpose"
    )
    with pytest.raises(TypeError):
        LLMProvider(LLMConfig())  # type: ignore[abstract]


# --- the new functions ---


def test_a_model_is_described_by_the_columns_of_its_sql(provider: LLMProvider, server: FakeLLMServer) -> None:
    said = {
        "description": "One row per order.",
        "columns": [
            {"name": "order_id", "description": "Key of the order."},
            {"name": "amount", "description": "TODO"},
        ],
    }
    server.always(says(f"```json\n{json.dumps(said)}\n```"))
    with pytest.warns(SkippedWarning, match="amount: the reply's text is a placeholder"):
        docs = generate_model_docs(
            provider, SQL, ["raw_orders: # all orders", "- id: the shop's number"], use_cache=True
        )
    assert docs == {
        "description": "One row per order.",
        "columns": [{"name": "order_id", "description": "Key of the order."}],
    }
    assert SQL in server.requests[0].prompt
    assert "- id: the shop's number" in server.requests[0].prompt


def test_a_model_is_described_by_the_columns_that_are_named(provider: LLMProvider, server: FakeLLMServer) -> None:
    docs = generate_model_docs(provider, SQL, columns=["order_id", "amount"])
    assert docs["description"].startswith(MADE_UP)
    assert [column["name"] for column in docs["columns"]] == ["order_id", "amount"]
    assert len(server.requests) == 1


def test_use_cache_false_asks_anew(provider: LLMProvider, server: FakeLLMServer) -> None:
    first = generate_column_doc(provider, "amount", {"sql_content": SQL}, True)
    assert generate_column_doc(provider, "amount", {"sql_content": SQL}) == first
    assert len(server.requests) == 1
    server.describe = lambda name: f"Another text on {name or 'it'}."
    anew = generate_column_doc(provider, "amount", {"sql_content": SQL}, use_cache=False)
    assert anew == "Another text on amount."
    assert generate_column_doc(provider, "amount", {"sql_content": SQL}) == anew
    assert len(server.requests) == 2


def test_context_is_words_or_names(provider: LLMProvider, server: FakeLLMServer) -> None:
    generate_column_doc(provider, "amount", "In US dollars.")
    generate_column_doc(provider, "amount", {"table_name": "orders", "upstream_docs": ["u1"], "owner": "sales"})
    first, second = (request.prompt for request in server.requests)
    assert "In US dollars." in first
    assert "# model orders" in second
    assert "u1" in second
    assert "owner: sales" in second


def test_a_table_is_described(provider: LLMProvider, server: FakeLLMServer) -> None:
    assert generate_table_doc(provider, SQL, "orders", ["upstream"]).startswith(MADE_UP)
    assert server.requests[0].prompt.endswith("Describe the model orders itself.")


async def test_columns_are_described_together(provider: LLMProvider, server: FakeLLMServer) -> None:
    texts = await synthesize_columns_async(provider, ["b", "a"], {"table_name": "t"})
    assert list(texts) == ["b", "a"]
    assert texts["a"] == MADE_UP + "a."
    assert len(server.requests) == 1
    assert await synthesize_columns_async(provider, []) == {}
    with pytest.raises(UsageError):
        await synthesize_columns_async(provider, "ab")


async def test_many_columns_are_asked_in_parts_that_a_reply_can_hold(server: FakeLLMServer) -> None:
    names = [f"column_{number}" for number in range(50)]
    with get_provider(config(server, max_tokens=450)) as provider:
        texts = await synthesize_columns_async(provider, names)
    assert list(texts) == names
    assert len(server.requests) == 6


async def test_what_a_reply_lacks_is_asked_for_once_more_alone(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.script(says('{"columns": [{"name": "a", "description": "Text of a."}]}'))
    texts = await synthesize_columns_async(provider, ["a", "b", "c"])
    assert texts == {"a": "Text of a.", "b": MADE_UP + "b.", "c": MADE_UP + "c."}
    assert server.requests[1].prompt.endswith("Describe these 2 columns: b, c.")


async def test_a_useless_reply_does_not_stand_in_the_way(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.script(says("Hello!"))
    assert await synthesize_columns_async(provider, ["a"]) == {"a": MADE_UP + "a."}
    assert len(server.requests) == 2
    server.script(says("Hello!"), says("Hello!"))
    with pytest.warns(SkippedWarning, match="z: the reply holds no JSON"):
        assert await synthesize_columns_async(provider, ["z"]) == {}


async def test_a_failure_after_the_first_texts_loses_none(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.script(says('{"columns": [{"name": "a", "description": "Text of a."}]}'), failing(400))
    with pytest.warns(SkippedWarning, match="^Not described: b: "):
        assert await synthesize_columns_async(provider, ["a", "b"]) == {"a": "Text of a."}


def test_a_refusal_is_not_repeated(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.always(says("I cannot help with that.", finish="refusal"))
    with pytest.warns(SkippedWarning, match="openai refused to answer"):
        assert generate_column_doc(provider, "a") == ""
    with pytest.warns(SkippedWarning, match="openai refused to answer"):
        assert generate_model_docs(provider, SQL) == {"description": "", "columns": []}
    assert len(server.requests) == 2


def test_a_reply_with_jinja_is_dropped(provider: LLMProvider, server: FakeLLMServer) -> None:
    server.describe = lambda _name: "Run {{ env_var('SECRET') }}."
    with pytest.warns(SkippedWarning, match="Jinja"):
        assert generate_table_doc(provider, SQL, "orders") == ""


def test_the_length_of_sql_can_be_limited(
    provider: LLMProvider, server: FakeLLMServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSMOSIS_LLM_MAX_SQL_CHARS", "200")
    long = "select 1 as a,\n" + "".join(f"  {number} as filler_{number},\n" for number in range(500)) + "2 as z"
    generate_table_doc(provider, long, "orders")
    prompt = server.requests[0].prompt
    assert "characters of SQL are left out here" in prompt
    assert "filler_250" not in prompt
    assert "2 as z" in prompt


# --- the old functions ---


@pytest.fixture
def environment(server: FakeLLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-tests-0123456789")
    monkeypatch.setenv("OSMOSIS_LLM_BASE_URL", f"{server.url}/v1")


@pytest.mark.usefixtures("environment")
def test_the_old_bulk_call(server: FakeLLMServer) -> None:
    server.always(says('{"description": "Orders.", "columns": [{"name": "amount", "description": "In dollars."}]}'))
    with pytest.warns(DeprecationWarning, match="use generate_model_docs") as caught:
        spec = generate_model_spec_as_json(SQL, ["upstream text"], "NodeId=model.shop.orders", temperature=0.4)
    assert caught[0].filename == __file__
    assert spec == {"description": "Orders.", "columns": [{"name": "amount", "description": "In dollars."}]}
    (request,) = server.requests
    assert (request.body["model"], request.body["temperature"]) == ("gpt-4o", 0.4)
    assert all(text in request.prompt for text in (SQL, "upstream text", "NodeId=model.shop.orders"))


@pytest.mark.usefixtures("environment")
def test_the_old_column_call(server: FakeLLMServer) -> None:
    with pytest.warns(DeprecationWarning, match=r"use generate_column_doc\(provider") as caught:
        text = generate_column_doc("amount", "DataType=int", "orders", ["upstream text"], "gpt-4.1")
    assert caught[0].filename == __file__
    assert text == MADE_UP + "amount."
    (request,) = server.requests
    assert (request.body["model"], request.body["temperature"]) == ("gpt-4.1", 0.7)
    assert all(part in request.prompt for part in ("DataType=int", "# model orders", "upstream text"))
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert generate_column_doc(column_name="amount", table_name="t", existing_context=None) == MADE_UP + "amount."


@pytest.mark.usefixtures("environment")
def test_the_old_table_call(server: FakeLLMServer) -> None:
    with pytest.warns(DeprecationWarning, match=r"use generate_table_doc\(provider") as caught:
        text = generate_table_doc(SQL, table_name="orders", upstream_docs=["upstream text"])
    assert caught[0].filename == __file__
    assert text == MADE_UP + "one row per thing."
    assert SQL in server.requests[0].prompt


@pytest.mark.usefixtures("environment")
def test_the_environment_s_model_is_asked_unless_the_call_names_one(
    server: FakeLLMServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSMOSIS_LLM_MODEL", "gpt-5-mini")
    for engine in ({}, {"model_engine": "gpt-4.1"}):
        with pytest.warns(DeprecationWarning, match="deprecated"):
            generate_table_doc(SQL, "orders", **engine)
    assert [request.body["model"] for request in server.requests] == ["gpt-5-mini", "gpt-4.1"]


def test_dbt_osmosis_s_own_variables_are_understood(server: FakeLLMServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PROVIDER", "ollama")
    monkeypatch.setenv("OLLAMA_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("OLLAMA_MODEL", "llama3")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        generate_table_doc(SQL, "orders")
    assert [(request.path, request.body["model"]) for request in server.requests] == [("/api/chat", "llama3")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"OPENAI_MODEL": "m"}, {}),
        ({"LLM_PROVIDER": "nobody", "OPENAI_MODEL": "m"}, {}),
        (
            {"LLM_PROVIDER": "OpenAI", "OPENAI_MODEL": "m"},
            {"OSMOSIS_LLM_PROVIDER": "openai", "OSMOSIS_LLM_MODEL": "m"},
        ),
        (
            {"LLM_PROVIDER": "openai", "OPENAI_MODEL": "m", "OSMOSIS_LLM_MODEL": "n"},
            {"OSMOSIS_LLM_PROVIDER": "openai"},
        ),
        ({"LLM_PROVIDER": "openai", "OPENAI_MODEL": "m", "OSMOSIS_LLM_PROVIDER": "ollama"}, {}),
        (
            {"LLM_PROVIDER": "google-gemini", "GOOGLE_GEMINI_API_KEY": "k"},
            {"OSMOSIS_LLM_PROVIDER": "gemini", "GEMINI_API_KEY": "k"},
        ),
        (
            {
                "LLM_PROVIDER": "azure-openai",
                "AZURE_OPENAI_DEPLOYMENT_NAME": "d",
                "AZURE_OPENAI_BASE_URL": "https://a",
            },
            {"OSMOSIS_LLM_PROVIDER": "azure", "OSMOSIS_LLM_MODEL": "d", "OSMOSIS_LLM_BASE_URL": "https://a"},
        ),
        (
            {"LLM_PROVIDER": "anthropic", "ANTHROPIC_BASE_URL": "https://api.anthropic.com/v1/"},
            {"OSMOSIS_LLM_PROVIDER": "anthropic", "OSMOSIS_LLM_BASE_URL": "https://api.anthropic.com"},
        ),
    ],
)
def test_familiar_variables_in_our_words(given: dict[str, str], expected: dict[str, str]) -> None:
    assert familiar_environment(given) == given | expected


# --- LLMCache ---


def test_a_cache_keeps_texts_by_messages_and_model(tmp_path: Path) -> None:
    with LLMCache(tmp_path / "here") as cache:
        assert cache.get(ASK, "m") is None
        cache.set(ASK, "m", "first")
        cache.set(ASK, "m", "second")
    with LLMCache(str(tmp_path / "here")) as cache:
        assert cache.get([dict(reversed(message.items())) for message in ASK], "m") == "second"
        assert cache.get(ASK, "other") is None
        assert cache.get(ASK[:1], "m") is None
    with LLMCache() as elsewhere:
        assert elsewhere.get(ASK, "m") is None


# --- CostTracker ---


def test_costs_add_up() -> None:
    tracker = CostTracker("gpt-4o")
    assert tracker.total_cost == 0
    tracker.record_usage(1_000_000, 0)
    tracker.record_usage(0, 1_000_000)
    assert tracker.total_cost == Decimal("12.5")
    assert (tracker.input_tokens, tracker.output_tokens) == (1_000_000, 1_000_000)
    assert tracker.check_budget(12.5)
    assert tracker.check_budget(None)
    with pytest.warns(SkippedWarning, match=r"gpt-4o: \$12\.50 were spent, and the budget is \$12\.49") as caught:
        assert not tracker.check_budget(12.49)
    assert caught[0].filename == __file__


def test_a_name_alone_is_enough_for_the_two_houses_and_an_unknown_price_is_not_zero() -> None:
    claude, unknown = CostTracker("claude-haiku-4-5"), CostTracker("in-house-7b")
    claude.record_usage(1_000_000, 0)
    assert claude.total_cost == 1
    assert unknown.check_budget(1)
    unknown.record_usage(10, 10)
    assert unknown.total_cost is None
    with pytest.warns(SkippedWarning, match="the price is unknown"):
        assert not unknown.check_budget(1)


def test_a_model_on_this_machine_is_free() -> None:
    tracker = CostTracker("llama3", provider="ollama")
    tracker.record_usage(10**9, 10**9)
    assert tracker.total_cost == 0


def test_tokens_are_estimated() -> None:
    assert 6 <= CostTracker("gpt-4o").estimate_tokens("select id, amount from raw_orders") <= 8


# --- install ---


def test_install_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="dbt-osmosis is not installed") as caught:
        install()
    assert caught.value.hint == "Known are dbt-osmosis 1.5.x: pip install 'dbt-osmosis~=1.5.0'"


def test_the_command_says_what_is_missing() -> None:
    command = [sys.executable, "-m", "osmosis_synthesize.llm"]
    done = subprocess.run([*command, "yaml", "document"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("osmosis-synthesize: dbt-osmosis is not installed")
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    assert "--llm-max-cost" in shown.stdout


FAKE_LLM = """
def generate_model_spec_as_json(sql_content, upstream_docs=None, existing_context=None, temperature=0.3): ...
def generate_column_doc(column_name, existing_context=None, table_name=None, upstream_docs=None, temperature=0.7): ...
def generate_table_doc(sql_content, table_name, upstream_docs=None, temperature=0.7): ...
"""
FAKE_TRANSFORMS = "def synthesize_missing_documentation_with_openai(context, node=None): ...\n"
FAKE_CLI = """
from dbt_osmosis.core.llm import generate_table_doc
from dbt_osmosis.core.transforms import synthesize_missing_documentation_with_openai
"""


def stand_in(folder: Path, *, version: str = "1.5.3", llm: str = FAKE_LLM) -> None:
    """A package of dbt-osmosis's shape, for what the real one cannot show: other releases."""
    texts = {"core/llm.py": llm, "core/transforms.py": FAKE_TRANSFORMS, "cli/main.py": FAKE_CLI}
    for name in ("__init__.py", "core/__init__.py", "cli/__init__.py"):
        texts[name] = ""
    for name, text in texts.items():
        path = folder / "dbt_osmosis" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = folder / f"dbt_osmosis-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dbt-osmosis\nVersion: {version}\n")


def in_another_process(folder: Path, code: str, **environment: str) -> tuple[str, str]:
    """What it prints, and what it complains about."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.stderr


def test_install_replaces_wherever_a_function_was_imported_and_may_be_repeated(
    tmp_path: Path, server: FakeLLMServer
) -> None:
    stand_in(tmp_path)
    code = """
import dbt_osmosis.cli.main as main, dbt_osmosis.core.llm as llm, dbt_osmosis.core.transforms as transforms
from osmosis_synthesize.llm import install
print(install(), install({"model": "gpt-4.1"}))
assert main.synthesize_missing_documentation_with_openai is transforms.synthesize_missing_documentation_with_openai
assert main.generate_table_doc is llm.generate_table_doc
print(llm.generate_table_doc("select 1 as a", "t"), llm.generate_column_doc("a"))
print(llm.generate_model_spec_as_json("select 1 as a", temperature=0.2)["description"])
"""
    given = {"OSMOSIS_LLM_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "sk-tests-0123456789"}
    said = in_another_process(tmp_path, code, **given)[0]
    assert said.splitlines() == [
        "1.5.3 1.5.3",
        "Made up for tests: one row per thing. Made up for tests: a.",
        "Made up for tests: one row per thing.",
    ]
    assert [(each.body["model"], each.body["temperature"]) for each in server.requests] == [
        ("gpt-4.1", 0.7),
        ("gpt-4.1", 0.7),
        ("gpt-4.1", 0.2),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": "2.0.0"}, "dbt-osmosis 2.0.0 is none that can be made to use this engine"),
        (
            {"llm": FAKE_LLM.replace("table_name, ", "")},
            "dbt_osmosis.core.llm.generate_table_doc of dbt-osmosis 1.5.3",
        ),
        ({"llm": ""}, "dbt-osmosis is not installed, or cannot be imported"),
    ],
)
def test_install_refuses_what_it_does_not_know(tmp_path: Path, changes: dict[str, str], expected: str) -> None:
    stand_in(tmp_path, **changes)
    said = in_another_process(tmp_path, "from osmosis_synthesize.llm import install; install()")[1]
    assert expected in said
    assert "Known are dbt-osmosis 1.5.x" in said


def test_no_warning_where_nothing_was_skipped(provider: LLMProvider) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert generate_column_doc(provider, "a")


# --- docs/dbt-osmosis.md ---


def test_the_guide_names_every_public_name_option_and_familiar_variable() -> None:
    from pathlib import Path

    from osmosis_synthesize import llm
    from osmosis_synthesize.llm import familiar
    from osmosis_synthesize.llm.__main__ import _parser

    guide = (Path(__file__).resolve().parents[2] / "docs" / "dbt-osmosis.md").read_text("utf-8")
    names = {*llm.__all__} - {"LLMProvider"}
    names |= {option for action in _parser()._actions for option in action.option_strings}
    for value, row in familiar._PROVIDERS.items():
        names |= {value, row.model, *filter(None, (row.base_url, row.key))}
    assert not {name for name in names if name not in guide}
