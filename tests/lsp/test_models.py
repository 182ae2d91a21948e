"""The choice of a provider and its model, and the editor's own language model as one of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_editor import PATIENCE, Editor, as_dict, server_environment
from osmosis_synthesize.lsp.configuration import read_configuration
from osmosis_synthesize.lsp.messages import Choice
from servers import FakeLLMServer, fill, made_up

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("lsp")]

RIDERS = "models/marts/dim_riders.yml"
MODEL = "model.quayside.dim_riders"
KEY = "tests0123456789abcdefghijkl"


class EditorsModel:
    """What a client with a language model of its own does."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], Any] = self.describe
        self.choose: Callable[[types.ShowMessageRequestParams], Awaitable[types.MessageActionItem | None]]
        """What its user says to a question."""
        self.hanging = 0
        self.given_up = 0

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(fill(params["schema"], made_up))
        return {"text": f"Sure!\n```json\n{text}\n```", "model": "editor-1", "inputTokens": 700, "outputTokens": 70}

    async def __call__(self, params: Any) -> Any:
        self.asked.append(as_dict(params))
        answer = self.answer(self.asked[-1])
        if answer is not None:
            return answer
        self.hanging += 1
        try:
            await asyncio.sleep(3000)
        except asyncio.CancelledError:
            self.given_up += 1
            raise


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chooser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Editor, EditorsModel]]:
    """An editor with a language model of its own, whose user has a key for Anthropic."""
    editor, model = Editor(), EditorsModel()

    @editor.client.feature("osmosis/languageModel")
    async def ask(params: Any) -> Any:
        return await model(params)

    @editor.client.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)
    async def choose(params: types.ShowMessageRequestParams) -> types.MessageActionItem | None:
        return await model.choose(params)

    environment = server_environment(tmp_path_factory.mktemp("models-cache")) | {"ANTHROPIC_API_KEY": KEY}
    await editor.start(environment, options={"languageModel": True})
    yield editor, model
    assert await editor.stop() == 0


@pytest_asyncio.fixture(loop_scope="session")
async def chosen(chooser: tuple[Editor, EditorsModel], demo: Path) -> AsyncIterator[tuple[Editor, EditorsModel, str]]:
    """The same with an open file, and its own model as the provider; all as it was before afterwards."""
    editor, model = chooser
    with (demo / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write("      concurrency: 1\n")
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    await editor.command("osmosis.chooseProvider", {"provider": "editor"})
    await provider_is(editor, demo, "editor", "")
    yield editor, model, name
    model.answer = model.describe
    model.asked.clear()
    await editor.command("osmosis.chooseProvider", {})
    editor.close(name)


async def provider_is(editor: Editor, project: Path, provider: str, model: str) -> None:
    async def look() -> bool:
        found = [item for item in (await editor.status())["projects"] if item["root"] == str(project)]
        return bool(found) and (found[0]["provider"], found[0]["model"]) == (provider, model)

    await editor.until(look)


async def generate(editor: Editor, name: str) -> dict[str, Any]:
    return as_dict(await editor.command("osmosis.generateModel", {"uri": name, "node": MODEL}))


async def test_the_editors_own_model_describes_and_costs_nothing(
    chosen: tuple[Editor, EditorsModel, str], llm: FakeLLMServer
):
    editor, model, name = chosen

    outcome = await generate(editor, name)

    assert (outcome["generated"], outcome["calls"], Decimal(outcome["cost"])) == (3, 1, 0)
    assert "description: 'Made up for tests: lifetime value.'" in editor.texts[name]
    (asked,) = model.asked
    assert set(asked) == {"messages", "schema", "maxTokens", "temperature", "model"}
    assert asked["messages"][0]["role"] == "system"
    assert "lifetime_value" in asked["messages"][-1]["content"]
    assert "JSON schema" in asked["messages"][-1]["content"]
    assert asked["model"] is None
    assert llm.requests == []
    (line,) = [as_dict(line) for line in await editor.command("osmosis.spend") if "editor" in line["label"]]
    assert (line["calls"], line["inputTokens"], line["outputTokens"], line["cost"]) == (1, 700, 70, "0")
    assert line["unpricedCalls"] == 0


async def test_no_budget_stands_in_the_way_of_what_costs_nothing(chosen: tuple[Editor, EditorsModel, str]):
    editor, model, name = chosen
    try:
        editor.client.set_configuration({"maxCostPerRun": 0, "maxCostPerDay": 0}, section="osmosis")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))

        async def limited() -> bool:
            return any(project["budgetRun"] == "0" for project in (await editor.status())["projects"])

        await editor.until(limited)
        assert (await editor.status())["chosen"] == {"provider": "editor", "model": None}
        model.answer = lambda params: {"text": json.dumps(fill(params["schema"], lambda name: f"Anew: {name}."))}

        found = as_dict(
            await editor.command(
                "osmosis.propose", {"uri": name, "node": MODEL, "column": "lifetime_value", "again": True}
            )
        )

        assert [(item["new"], item["source"], item["cost"]) for item in found["items"]] == [
            ("Anew: lifetime_value.", "editor", "0")
        ]
    finally:
        editor.client.set_configuration({}, section="osmosis")
        editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))


async def test_a_cancel_is_passed_on_to_the_client(chosen: tuple[Editor, EditorsModel, str]):
    editor, model, name = chosen
    model.answer = lambda _: None
    before = model.given_up
    command = asyncio.create_task(generate_anew(editor, name))
    await editor.until(lambda: model.hanging > before)

    assert await editor.command("osmosis.cancelAll") == 1

    found = await asyncio.wait_for(command, PATIENCE)
    assert found["cancelled"]
    await editor.until(lambda: model.given_up == before + 1)
    assert (await editor.status())["running"] == 0


async def generate_anew(editor: Editor, name: str) -> dict[str, Any]:
    return as_dict(await editor.command("osmosis.propose", {"uri": name, "again": True}))


async def test_without_consent_nothing_more_is_asked_and_the_user_sees_why(chosen: tuple[Editor, EditorsModel, str]):
    editor, model, name = chosen

    def refuse(_: dict[str, Any]) -> Any:
        raise JsonRpcException("You have not let osmosis use the language model.", code=-32001)

    model.answer = refuse
    found = await generate_anew(editor, name)

    assert len(model.asked) == 1, "both models of the file would have been asked about"
    reasons = {item["reason"] for item in found["left"]}
    assert reasons == {"The editor's language model did not answer: You have not let osmosis use the language model."}


async def test_one_call_that_fails_keeps_no_other_from_being_made(chosen: tuple[Editor, EditorsModel, str]):
    editor, model, name = chosen

    def fail_once(params: dict[str, Any]) -> Any:
        if len(model.asked) == 1:
            raise JsonRpcException("The prompt was filtered.", code=types.LSPErrorCodes.RequestFailed.value)
        return model.describe(params)

    model.answer = fail_once
    found = await generate_anew(editor, name)

    assert len(model.asked) == 2
    assert {item["reason"] for item in found["left"]} == {
        "The editor's language model did not answer: The prompt was filtered."
    }
    assert "generated" in {item["origin"] for item in found["items"]}


async def test_an_answer_that_is_none_is_said_to_be_none(chosen: tuple[Editor, EditorsModel, str]):
    editor, model, name = chosen
    model.answer = lambda _: {"txt": "no"}

    found = await generate_anew(editor, name)

    assert all("is not understood" in item["reason"] for item in found["left"])
    assert found["left"]


async def test_what_can_be_chosen_says_what_it_costs_and_what_it_lacks(
    chooser: tuple[Editor, EditorsModel], demo: Path, llm: FakeLLMServer
):
    editor, _ = chooser
    name = editor.open(demo / RIDERS)
    await editor.planned(name)

    answer = await editor.command("osmosis.models")

    found = [as_dict(model) for model in answer]
    first: dict[str, dict[str, Any]] = {}
    for model in found:
        first.setdefault(model["provider"], model)
    assert list(first)[:6] == ["openai", "azure", "anthropic", "ollama", "openai-compatible", "facts"]
    assert not first["openai"]["ready"]
    assert "OPENAI_API_KEY" in first["openai"]["problem"]
    assert [model["model"] for model in found if model["provider"] == "openai"] == ["gpt-5-mini"]
    assert first["anthropic"] == {
        "provider": "anthropic",
        "model": "claude-haiku-4-5",
        "inputPrice": "1",
        "outputPrice": "5",
        "contextTokens": 200_000,
        "ready": True,
        "problem": None,
    }
    others = [model for model in found if model["provider"] == "anthropic"]
    assert len(others) > 5
    assert all(model["ready"] and Decimal(model["inputPrice"]) > 0 for model in others)
    assert (first["editor"]["ready"], first["editor"]["inputPrice"], first["editor"]["outputPrice"]) == (
        True,
        "0",
        "0",
    )
    assert first["facts"]["ready"]
    assert first["openai-compatible"]["ready"], "the project has it, with an address on this machine"
    assert first["openai-compatible"]["model"] == "gpt-4o-mini"
    assert "No model is named" in first["lm-studio"]["problem"]
    assert KEY not in json.dumps(found)
    assert llm.requests == []
    editor.close(name)


async def test_a_choice_holds_over_the_settings_until_it_is_taken_back(
    chooser: tuple[Editor, EditorsModel], demo: Path, llm: FakeLLMServer
):
    editor, _ = chooser
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    await provider_is(editor, demo, "openai-compatible", "gpt-4o-mini")

    answer = as_dict(
        await editor.command("osmosis.chooseProvider", {"provider": "openai-compatible", "model": "gpt-4.1"})
    )
    assert answer == {"provider": "openai-compatible", "model": "gpt-4.1"}
    await provider_is(editor, demo, "openai-compatible", "gpt-4.1")
    await editor.until(lambda: editor.statuses and editor.statuses[-1]["chosen"] == answer)
    outcome = await generate(editor, name)
    assert outcome["calls"] == 1
    assert llm.requests[0].body["model"] == "gpt-4.1"

    await editor.command("osmosis.chooseProvider", {"provider": "anthropic"})
    await provider_is(editor, demo, "anthropic", "claude-haiku-4-5")
    editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({}))
    await editor.command("osmosis.refresh")
    await provider_is(editor, demo, "anthropic", "claude-haiku-4-5")

    for wrong in ({"provider": "nobody"}, {"provider": "openai", "model": "two words"}):
        with pytest.raises(Exception, match="it must be"):
            await editor.command("osmosis.chooseProvider", wrong)
    await provider_is(editor, demo, "anthropic", "claude-haiku-4-5")

    answer = as_dict(await editor.command("osmosis.chooseProvider", {"provider": None}))
    assert answer == {"provider": None, "model": None}
    await provider_is(editor, demo, "openai-compatible", "gpt-4o-mini")
    assert (await editor.status())["chosen"] is None
    editor.close(name)


async def test_a_choice_leaves_behind_what_was_meant_for_another_provider(tmp_path: Path):
    (tmp_path / "dbt_project.yml").write_text(
        "name: shop\nvars: {dbt-osmosis: {llm: {provider: openai, concurrency: 3}}}\n", "utf-8"
    )
    gateway = "https://gateway.example.com/v1"
    given = read_configuration({"model": "gpt-4o", "language": "German"}, {"baseUrl": gateway})

    def chosen(provider: str, model: str | None) -> tuple[str, str | None, str | None]:
        settings = replace(given, choice=Choice(provider, model)).settings(tmp_path)
        assert (settings.language, settings.concurrency) == ("German", 3)
        return settings.provider, settings.model, settings.base_url

    assert chosen("openai", "gpt-4.1") == ("openai", "gpt-4.1", gateway)
    assert chosen("openai", None) == ("openai", "gpt-5-mini", gateway)
    assert chosen("anthropic", None) == ("anthropic", "claude-haiku-4-5", None)


async def test_a_client_without_a_picker_has_the_user_asked(chooser: tuple[Editor, EditorsModel], demo: Path):
    editor, user = chooser
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    questions: list[types.ShowMessageRequestParams] = []
    answers = [None, "facts", "What the settings say"]

    async def answer(params: types.ShowMessageRequestParams) -> types.MessageActionItem | None:
        questions.append(params)
        chosen = answers[len(questions) - 1]
        offered = [item for item in params.actions or [] if chosen is not None and item.title.startswith(chosen)]
        return offered[0] if offered else None

    user.choose = answer
    nothing = as_dict(await editor.command("osmosis.chooseProvider"))
    assert nothing == {"provider": None, "model": None}
    titles = [item.title for item in questions[0].actions or []]
    assert titles[0] == "anthropic claude-haiku-4-5"
    assert titles[-1] == "What the settings say"
    assert not any(title.startswith("openai ") for title in titles), "there is no key for it"

    await editor.command("osmosis.chooseProvider")
    await provider_is(editor, demo, "facts", "")

    await editor.command("osmosis.chooseProvider")
    await provider_is(editor, demo, "openai-compatible", "gpt-4o-mini")
    editor.close(name)


async def test_a_question_that_nobody_answers_can_be_taken_back(chooser: tuple[Editor, EditorsModel], demo: Path):
    editor, user = chooser
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    heard: list[str] = []

    async def think(_: types.ShowMessageRequestParams) -> None:
        heard.append("asked")
        try:
            await asyncio.sleep(3000)
        except asyncio.CancelledError:
            heard.append("taken back")
            raise

    user.choose = think
    params = types.ExecuteCommandParams("osmosis.chooseProvider")
    request = editor.client.protocol.send_request(types.WORKSPACE_EXECUTE_COMMAND, params, msg_id="choose-1")
    await editor.until(lambda: heard)
    editor.client.protocol.notify(types.CANCEL_REQUEST, types.CancelParams("choose-1"))

    with pytest.raises(JsonRpcException) as caught:
        await asyncio.wait_for(asyncio.wrap_future(request), PATIENCE)
    assert caught.value.code == -32800
    await editor.until(lambda: heard == ["asked", "taken back"])
    assert (await editor.status())["chosen"] is None
    editor.close(name)


async def test_an_editor_that_offers_no_model_is_not_asked(editor: Editor, demo: Path):
    name = editor.open(demo / RIDERS)
    await editor.planned(name)
    try:
        await editor.command("osmosis.chooseProvider", {"provider": "editor"})
        await provider_is(editor, demo, "editor", "")

        found = as_dict(await editor.command("osmosis.propose", {"uri": name, "node": MODEL}))

        assert {item["origin"] for item in found["items"]} == {"inherited"}
        assert all("can be asked only inside one that offers it" in item["reason"] for item in found["left"])
    finally:
        await editor.command("osmosis.chooseProvider", {})
