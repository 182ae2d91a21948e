from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import textwrap
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from genai_prices import data as price_data
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from osmosis_synthesize.errors import SettingsError
from osmosis_synthesize.providers.known import KNOWN_PROVIDERS
from osmosis_synthesize.settings import (
    Origin,
    Price,
    Settings,
    api_key,
    is_trusted,
    load_settings,
    provider_config,
    user_config_file,
)
from osmosis_synthesize.settings.env_var import RenderError, render
from osmosis_synthesize.settings.fields import FIELDS
from osmosis_synthesize.settings.keys import is_secret_name, looks_like_key
from osmosis_synthesize.settings.ollama import ollama_base_url
from osmosis_synthesize.settings.yaml_file import Value, YamlError, parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-proj-" + "Ab3" * 12


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration of whoever runs the tests is none of theirs (Linux, macOS, Windows)."""
    for variable in ("XDG_CONFIG_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))


def write(folder: Path, text: str, name: str = "dbt_project.yml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def with_llm(folder: Path, llm: str, name: str = "dbt_project.yml") -> Path:
    """A project whose ``llm:`` starts in line 5."""
    return write(
        folder, "name: shop\nvars:\n  dbt-osmosis:\n    llm:\n" + textwrap.indent(textwrap.dedent(llm), " " * 6), name
    )


def load(project: Path | None, environ: dict[str, str] | None = None, **options: Any) -> Settings:
    return load_settings(project, environ=environ or {}, **options)


# Defaults and the table of fields


def test_defaults_are_the_same_with_and_without_a_project(tmp_path: Path) -> None:
    assert load(None) == load(tmp_path) == load(write(tmp_path, "name: shop")) == Settings()
    assert Settings().origin("model") == Origin("default")
    assert str(Settings().origin("model")) == "default"


def test_every_setting_can_be_read() -> None:
    derived = {"base_url_trusted", "warnings", "origins"}
    assert {field.name for field in dataclasses.fields(Settings)} - derived == set(FIELDS)


@pytest.mark.parametrize(
    ("provider", "house"),
    [("openai", "openai"), ("anthropic", "anthropic"), ("gemini", "google"), ("openrouter", "openrouter")],
)
def test_default_models_have_a_known_price(provider: str, house: str) -> None:
    model = load(None, {"OSMOSIS_LLM_PROVIDER": provider}).model
    assert model is not None
    [prices] = [prices for prices in price_data.providers if prices.id == house]
    assert prices.find_model(model) is not None


def test_default_addresses_are_trusted() -> None:
    for name, known in KNOWN_PROVIDERS.items():
        assert known.base_url is None or is_trusted(known.base_url, name)


# Where values come from


def test_a_file_is_read_with_lines(tmp_path: Path) -> None:
    project = with_llm(
        tmp_path,
        """
        provider: anthropic
        model: claude-x
        temperature: 0.2
        max-tokens: 900
        max_cost_per_run: 1.50
        max_cost_per_day: $3
        dry_run: yes
        cache: "off"
        placeholders: [N/A, 'to do']
        private: [gdpr]
        pricing:
          claude-x: {input: 0.5, output: 2, cached_input: 0.05}
          claude-y: {input: 1, output: 1}
        style_guide: |
          Short sentences.
          No "this column".
        language: Português (Brasil)
        schema_file: schema.yml
        """,
    )
    found = load(project)
    assert found.provider == "anthropic"
    assert found.model == "claude-x"
    assert found.temperature == 0.2
    assert found.max_tokens == 900
    assert found.max_cost_per_run == Decimal("1.50")
    assert found.max_cost_per_day == Decimal(3)
    assert found.dry_run is True
    assert found.cache is False
    assert found.placeholders == ("N/A", "to do")
    assert found.private == ("gdpr",)
    assert found.pricing == {
        "claude-x": Price(Decimal("0.5"), Decimal(2), Decimal("0.05")),
        "claude-y": Price(Decimal(1), Decimal(1)),
    }
    assert found.style_guide == 'Short sentences.\nNo "this column".'
    assert found.language == "Português (Brasil)"
    assert found.schema_file == "schema.yml"
    assert found.warnings == ()
    assert found.origin("model") == Origin("dbt_project.yml", project / "dbt_project.yml", 7)
    assert str(found.origin("max_tokens")) == f"{project / 'dbt_project.yml'}:9"
    assert found.origin("concurrency").kind == "default"


def test_the_stronger_place_wins(tmp_path: Path) -> None:
    with_llm(tmp_path, "timeout: 1\nmax_retries: 1\nconcurrency: 1\nbulk_threshold: 1")
    with_llm(tmp_path, "max_retries: 2\nconcurrency: 2\nbulk_threshold: 2", "vars.yml")
    environ = {"OSMOSIS_LLM_CONCURRENCY": "3", "OSMOSIS_LLM_BULK_THRESHOLD": "3", "OSMOSIS_LLM_MAX_SQL_CHARS": "500"}
    found = load(tmp_path, environ, overrides={"bulk_threshold": 4, "max_sql_chars": None})
    assert (found.timeout, found.max_retries, found.concurrency, found.bulk_threshold) == (1, 2, 3, 4)
    assert found.max_sql_chars == 500
    assert found.origin("max_retries").kind == "vars.yml"
    assert found.origin("concurrency") == Origin("environment", name="OSMOSIS_LLM_CONCURRENCY")
    assert found.origin("bulk_threshold") == Origin("command line", name="--llm-bulk-threshold")


@pytest.mark.parametrize(("kind", "name"), [("command line", "--llm-max-cost"), ("editor", "max_cost_per_run")])
def test_overrides_know_their_name(kind: Any, name: str) -> None:
    found = load(None, overrides={"max_cost_per_run": Decimal(2)}, overrides_from=kind)
    assert found.max_cost_per_run == Decimal(2)
    assert found.origin("max_cost_per_run") == Origin(kind, name=name)


@pytest.mark.parametrize(
    "text",
    [
        "vars: {dbt_osmosis: {llm: {timeout: 7}}}",
        "name: shop\nvars: {shop: {dbt-osmosis: {llm: {timeout: 7}}}, dbt-osmosis: {llm: {timeout: 8, max_retries: 9}}}",
        "name: shop\nvars: {other: {dbt-osmosis: {llm: {timeout: 8}}}, dbt-osmosis: {llm: {timeout: 7}}}",
        "base: &b {timeout: 7}\nvars:\n  dbt-osmosis:\n    llm:\n      <<: *b",
        "vars: {dbt-osmosis: {llm: {timeout: 8}}}\nvars: {dbt-osmosis: {llm: {timeout: 8, timeout: 7}}}",
        "\ufeffvars: {dbt-osmosis: {llm: {timeout: 7}}}",
        "%YAML 1.1\n---\r\nvars:\r\n  dbt-osmosis:\r\n    llm:\r\n      timeout: 7\r\n",
    ],
)
def test_every_way_to_write_it(tmp_path: Path, text: str) -> None:
    found = load(write(tmp_path, text))
    assert (found.timeout, found.max_retries, found.warnings) == (7, 3, ())


@pytest.mark.parametrize(
    "text", ["vars:", "vars: {dbt-osmosis: }", "vars: {dbt-osmosis: {llm: }}", "# osmosis llm", "- llm osmosis"]
)
def test_nothing_set_is_no_error(tmp_path: Path, text: str) -> None:
    assert load(write(tmp_path, text)) == Settings()


def test_an_empty_variable_is_not_set() -> None:
    assert load(None, {"OSMOSIS_LLM_MODEL": " "}) == Settings()


@pytest.mark.parametrize(
    ("environ", "base_url", "origin"),
    [
        ({"OPENAI_BASE_URL": "https://gate.example/v1/"}, "https://gate.example/v1", "OPENAI_BASE_URL"),
        (
            {"OPENAI_BASE_URL": "https://a.example", "OSMOSIS_LLM_BASE_URL": "https://b.example"},
            "https://b.example",
            "OSMOSIS_LLM_BASE_URL",
        ),
        ({"OSMOSIS_LLM_PROVIDER": "anthropic", "OPENAI_BASE_URL": "https://a.example"}, None, "default"),
        ({"OSMOSIS_LLM_PROVIDER": "ollama", "OLLAMA_HOST": "box"}, "http://box:11434", "OLLAMA_HOST"),
        (
            {"OSMOSIS_LLM_PROVIDER": "azure", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com/"},
            "https://x.openai.azure.com",
            "AZURE_OPENAI_ENDPOINT",
        ),
    ],
)
def test_the_variables_of_the_sdks_are_read(environ: dict[str, str], base_url: str | None, origin: str) -> None:
    found = load(None, environ)
    assert found.base_url == base_url
    assert str(found.origin("base_url")) == origin
    assert found.base_url_trusted


def test_azure_takes_its_options_from_its_variables() -> None:
    environ = {
        "OSMOSIS_LLM_PROVIDER": "azure",
        "AZURE_OPENAI_API_VERSION": "2024-10-21",
        "OPENAI_API_VERSION": "2020-01-01",
        "AZURE_OPENAI_DEPLOYMENT": "docs",
        "AZURE_OPENAI_API_KEY": KEY,
    }
    config = provider_config(load(None, environ), environ)
    assert config.options == {"api_version": "2024-10-21", "deployment": "docs"}
    assert config.model == "docs"
    assert config.api_key is not None
    assert config.api_key.origin == "AZURE_OPENAI_API_KEY"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:99", "http://127.0.0.1:99"),
        (":99", "http://127.0.0.1:99"),
        ("box:99", "http://box:99"),
        ("http://box", "http://box:80"),
        ("https://box", "https://box:443"),
        ("https://box:99/ollama/", "https://box:99/ollama"),
        ("[::]", "http://[::1]:11434"),
        ("[::1]:99", "http://[::1]:99"),
        ("a b", "a b"),
    ],
)
def test_ollamas_host_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    assert ollama_base_url(host) == url


def test_what_was_written_for_one_provider_is_not_used_for_another(tmp_path: Path) -> None:
    with_llm(tmp_path, "provider: openai\nmodel: gpt-x\nbase_url: https://gate.example/v1\ntimeout: 5")
    found = load(tmp_path, overrides={"provider": "anthropic"})
    assert (found.model, found.base_url, found.timeout) == ("claude-haiku-4-5", None, 5)
    assert [warning.split(": ", 1)[1] for warning in found.warnings] == [
        "base_url is not used: it is not meant for the provider anthropic",
        "model is not used: it is not meant for the provider anthropic",
    ]
    assert load(tmp_path, overrides={"provider": "facts"}).warnings == ()
    assert load(tmp_path, {"OSMOSIS_LLM_MODEL": "claude-y"}, overrides={"provider": "anthropic"}).model == "claude-y"


# Values that are not allowed


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("provider", "opnai", "provider is 'opnai'; it must be one of openai, azure"),
        ("model", "gpt 4", "model is 'gpt 4'; it must be the name of a model"),
        ("model", "[a, b]", "model is a list"),
        ("model", "{{ env_var('X') }}", "model is a mapping (a value that starts with {{ needs quotes around it)"),
        ("temperature", "2.1", "temperature is '2.1'; it must be a number from 0 to 2"),
        ("temperature", ".nan", "temperature is '.nan'"),
        ("max_tokens", "0", "max_tokens is '0'; it must be a whole number from 1"),
        ("max_tokens", "1.5", "max_tokens is '1.5'"),
        ("timeout", "0", "timeout is '0'"),
        ("timeout", "inf", "timeout is 'inf'"),
        ("max_retries", "-1", "max_retries is '-1'"),
        ("max_cost_per_run", "-0.1", "max_cost_per_run is '-0.1'; it must be an amount of US dollars"),
        ("max_cost_per_run", "1,5", "max_cost_per_run is '1,5'"),
        ("max_cost_per_day", "NaN", "max_cost_per_day is 'NaN'"),
        ("dry_run", "maybe", "dry_run is 'maybe'; it must be true or false"),
        ("base_url", "ftp://x.example", "base_url is 'ftp://x.example'; it must be a plain http or https URL"),
        ("base_url", "https://x.example/?a=b", "base_url is"),
        ("pricing", "cheap", "pricing is 'cheap'; it must be a mapping of models"),
        ("pricing", "{m: {input: 1}}", "pricing is a mapping"),
        ("pricing", "{m: {input: 1, output: 1, ouput: 2}}", "pricing is a mapping"),
        ("schema_file", "../x.yml", "schema_file is '../x.yml'; it must be a file name without folders"),
        ("schema_file", "x.sql", "schema_file is 'x.sql'"),
        ("placeholders", "[[a]]", "placeholders is a list; it must be a list of texts"),
        ("private", "{a: b}", "private is a mapping"),
        ("language", "x" * 61, "language is '" + "x" * 61),
        ("style_guide", "[a]", "style_guide is a list; it must be text"),
        ("deployment", "a/b", "deployment is 'a/b'"),
    ],
)
def test_a_wrong_value_says_where_what_and_what_is_allowed(
    tmp_path: Path, key: str, value: str, message: str
) -> None:
    project = with_llm(tmp_path, f"{key}: {value}")
    with pytest.raises(SettingsError) as caught:
        load(project)
    place = f"{project / 'dbt_project.yml'}:5"
    assert str(caught.value).startswith(f"{place}: {message}")
    assert (caught.value.key, caught.value.origin) == (key, place)
    tolerant = load(project, tolerant=True)
    assert tolerant.warnings == (str(caught.value),)
    in_doubt = {"max_cost_per_run": Decimal(0), "max_cost_per_day": Decimal(0), "dry_run": True}
    assert getattr(tolerant, key) == in_doubt.get(key, getattr(Settings(), key))


@pytest.mark.parametrize(
    ("key", "value"), [("dry_run", 2), ("concurrency", True), ("model", 1j), ("pricing", {"m": 1})]
)
def test_values_of_wrong_types_are_refused(key: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"--llm-{key.replace('_', '-')}: {key} is "):
        load(None, overrides={key: value})


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    project = with_llm(tmp_path, "timeout: soon\nmodel: a b")
    with pytest.raises(SettingsError, match="2 settings cannot be used") as caught:
        load(project, {"OSMOSIS_LLM_CONCURRENCY": "many"} | {"OSMOSIS_LLM_TIMEOUT": "5"})
    assert set(caught.value.key.split(", ")) == {"model", "concurrency"}


def test_a_wrong_value_that_is_overridden_is_not_looked_at(tmp_path: Path) -> None:
    project = with_llm(tmp_path, "model: \"{{ env_var('NOT_SET') }}\"")
    assert load(project, {"OSMOSIS_LLM_MODEL": "x"}).model == "x"


def test_unknown_names_are_told_with_the_nearest_known_one(tmp_path: Path) -> None:
    project = with_llm(tmp_path, "temprature: 1\nzzz: 2")
    found = load(project, {"OSMOSIS_LLM_MODLE": "x"}, overrides={"time_out": 3})
    file = project / "dbt_project.yml"
    assert found.warnings == (
        f"{file}:5: temprature is no setting; did you mean temperature?",
        f"{file}:6: zzz is no setting",
        "OSMOSIS_LLM_MODLE is no setting; did you mean OSMOSIS_LLM_MODEL?",
        "--llm-time-out is no setting; did you mean timeout?",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("osmosis: [llm", r"is no valid YAML: line \d"),
        ("osmosis: &a [llm, *a]", "an anchor contains itself"),
        ("osmosis: llm\n---\nosmosis: llm", "is no valid YAML"),
        ("osmosis: llm \x07", "a character that YAML does not allow"),
        ("osmosis: !!python/object:os.system llm\nvars: {dbt-osmosis: {llm: 3}}", "llm must be a mapping"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(SettingsError, match=rf"dbt_project\.yml.*{message}"):
        load(tmp_path)
    assert load(tmp_path, tolerant=True).provider == "openai"


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_bytes(b"llm osmosis \xff")
    with pytest.raises(SettingsError, match="is not UTF-8: byte 12 is 0xff"):
        load(tmp_path)


def test_nested_aliases_cost_nothing(tmp_path: Path) -> None:
    bomb = "l0: &l0 [x]\n" + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 40))
    project = write(tmp_path, bomb + "vars: {dbt-osmosis: {llm: {zzz: *l39}}}\n")
    assert "zzz is no setting" in load(project).warnings[0]


# env_var


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ env_var('A') }}", "1"),
        ('{{env_var("A")}}', "1"),
        ("x{{ env_var('A') }}y{{ env_var( 'B' , 'b' ) }}", "x1yb"),
        ("{{ env_var('B', \"it's\") }}", "it's"),
        ("{{ env_var('B', 'it\\'s') }}", "it's"),
        ("{{ env_var('B', 'a\\\\n\\n') }}", "a\\n\n"),
        ("{{ env_var('B', default='d') }}", "d"),
        ("{{ env_var('B', 12) }}", "12"),
        ("{{ env_var('B', -0.5) }}", "-0.5"),
        ("{{ env_var('B', true) }}", "true"),
        ("{{ env_var('EMPTY', 'd') }}", ""),
        ("{{ env_var('B', '}}') }}", "}}"),
        ("{ plain }", "{ plain }"),
        ("no Jinja", "no Jinja"),
    ],
)
def test_env_var_is_rendered_as_dbt_does(text: str, rendered: str) -> None:
    assert render(text, {"A": "1", "EMPTY": ""}) == rendered


def test_what_a_variable_holds_is_not_rendered_again() -> None:
    assert render("{{ env_var('A') }}", {"A": "{{ env_var('B') }}", "B": "b"}) == "{{ env_var('B') }}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ env_var('B') }}",
        "{{ env_var(B) }}",
        "{{ env_var('A', none) }}",
        "{{ env_var('A') | upper }}",
        "{{ env_var('A') ~ 'x' }}",
        "{{ var('A') }}",
        "{{ target.name }}",
        "{% set x = 1 %}",
        "{# note #}",
        "{{ env_var('A') }} {{ x }}",
        "{{ env_var('A'",
    ],
)
def test_nothing_else_of_jinja_is_understood(text: str) -> None:
    with pytest.raises(RenderError):
        render(text, {"A": "1"})


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["{{ env_var('A') }}", "{{ env_var('C', 'c') }}", *"{}%# x", "{{ x }}"]), max_size=8))
def test_rendering_either_fails_or_leaves_no_jinja(parts: list[str]) -> None:
    try:
        rendered = render("".join(parts), {"A": "1"})
    except RenderError:
        return
    assert not any(mark in rendered for mark in ("{{", "{%", "{#"))


def test_a_setting_is_rendered(tmp_path: Path) -> None:
    project = with_llm(
        tmp_path,
        """
        model: "{{ env_var('DBT_MODEL', 'gpt-x') }}"
        max_tokens: "{{ env_var('LLM_MAX_TOKENS') }}"
        pricing: {gpt-x: {input: "{{ env_var('P', 1) }}", output: 2}}
        """,
    )
    found = load(project, {"LLM_MAX_TOKENS": "77"})
    assert (found.model, found.max_tokens, found.pricing["gpt-x"].input) == ("gpt-x", 77, Decimal(1))
    with pytest.raises(SettingsError, match="max_tokens cannot be used: the variable LLM_MAX_TOKENS is not set"):
        load(project)


# A repository that wants a key


@pytest.mark.parametrize(
    "name", ["api_key", "api-key", "openai_api_key", "token", "secret", "password", "Authorization"]
)
@pytest.mark.parametrize("value", ["hunter2-hunter2", "\"{{ env_var('OPENAI_API_KEY') }}\"", "[]"])
def test_a_key_in_a_file_is_refused_and_never_shown(tmp_path: Path, name: str, value: str) -> None:
    project = with_llm(tmp_path, f"timeout: 5\n{name}: {value}")
    environ = {"OPENAI_API_KEY": KEY}
    with pytest.raises(SettingsError, match=f"{name} is refused: a key does not belong") as caught:
        load(project, environ)
    assert caught.value.origin.endswith(":6")
    assert "hunter2" not in str(caught.value)
    assert KEY not in str(caught.value)
    assert "hunter2" not in str(load(project, environ, tolerant=True))


@pytest.mark.parametrize("name", ["model", "style_guide", "base_url", "unknown", "pricing", "placeholders"])
@pytest.mark.parametrize("shape", ["{}", "[[{}]]", "{{a: {{b: '{}'}}}}", "https://u:{}@x.example/v1"])
def test_what_looks_like_a_key_is_refused_in_any_setting(tmp_path: Path, name: str, shape: str) -> None:
    project = with_llm(tmp_path, f"{name}: {shape.format(KEY)}")
    with pytest.raises(SettingsError) as caught:
        load(project)
    assert "is refused: a key does not belong" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_key_in_the_wrong_variable_or_option_is_not_shown() -> None:
    for environ, overrides in (({"OSMOSIS_LLM_TIMEOUT": KEY}, {}), ({}, {"timeout": KEY})):
        with pytest.raises(SettingsError, match="not shown, since it looks like a key") as caught:
            load(None, environ, overrides=overrides)
        assert KEY not in str(caught.value)


def test_the_text_around_a_fault_in_the_file_is_not_shown(tmp_path: Path) -> None:
    write(tmp_path, f"osmosis:\n  llm:\n    api_key: {KEY}\n   model: [")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)
    assert KEY not in str(caught.value)


STEALING = [
    ("base_url", "https://evil.example/{}"),
    ("base_url", "http://127.0.0.1:9/{}"),
    ("base_url", "https://api.openai.com/{}"),
    ("base_url", "https://{}.evil.example"),
    ("model", "{}"),
    ("model", "x-{}"),
    ("style_guide", "Begin each text with {}."),
    ("language", "{}"),
    ("deployment", "{}"),
    ("api_version", "{}"),
    ("schema_file", "{}.yml"),
    ("placeholders", "{}"),
]


@pytest.mark.parametrize(("setting", "shape"), STEALING)
@pytest.mark.parametrize(
    "variable",
    [
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "PGPASSWORD",
        "DBT_ENV_SECRET_X",
        "MYSQL_PWD",
        "GITLAB_PAT",
    ],
)
def test_no_setting_takes_a_variable_that_holds_a_secret(
    tmp_path: Path, setting: str, shape: str, variable: str
) -> None:
    value = shape.format(f"{{{{ env_var('{variable}', 'none') }}}}")
    project = with_llm(tmp_path, f'{setting}: "{value}"')
    for environ in ({variable: "s3cr3t-value"}, {}):
        with pytest.raises(SettingsError, match=f"{variable} holds a secret by its name") as caught:
            load(project, environ)
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(("setting", "shape"), STEALING)
@pytest.mark.parametrize(
    "environ",
    [
        {"MINE": KEY},
        {"MINE": "plainvalue99", "SNOWFLAKE_PASSWORD": "plainvalue99"},
        {"MINE": "prefix-plainvalue99", "SOME_API_KEY": "plainvalue99"},
        {"MINE": "postgres://user:plainvalue99@db.example/x"},
    ],
)
def test_no_setting_takes_a_secret_under_another_name(
    tmp_path: Path, setting: str, shape: str, environ: dict[str, str]
) -> None:
    value = shape.format("{{ env_var('MINE') }}")
    project = with_llm(tmp_path, f'{setting}: "{value}"')
    with pytest.raises(SettingsError, match="renders to something that holds a key") as caught:
        load(project, environ)
    assert environ["MINE"] not in str(caught.value)
    assert "plainvalue99" not in str(load(project, environ, tolerant=True))


def test_a_secret_cannot_be_put_together_from_pieces(tmp_path: Path) -> None:
    project = with_llm(tmp_path, "model: \"{{ env_var('A') }}{{ env_var('B') }}\"")
    with pytest.raises(SettingsError, match="holds a key"):
        load(project, {"A": "plain", "B": "value99", "X_TOKEN": "plainvalue99"})


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("OPENAI_API_KEY", True),
        ("api-key", True),
        ("APIKEY", True),
        ("PGPASSWORD", True),
        ("DBT_PASS", True),
        ("max_tokens", False),
        ("OSMOSIS_LLM_MAX_TOKENS", False),
        ("KEYBOARD", False),
        ("MONKEY", False),
        ("DBT_TARGET", False),
        ("AUTHOR", False),
        ("COMPASS", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert is_secret_name(name) == secret


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (KEY, True),
        ("sk-ant-api03-" + "x1" * 20, True),
        ("AIza" + "Sy" * 18, True),
        ("ghp_" + "a1" * 18, True),
        ("AKIA" + "A1" * 8, True),
        ("0123456789abcdef" * 2, True),
        ("Bearer " + "x" * 20, True),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.x", True),
        ("https://user:secret@host", True),
        ("gpt-5-mini", False),
        ("meta-llama/llama-4-maverick-17b-128e-instruct", False),
        ("ask-anything-you-would-like-to-know", False),
        ("https://api.openai.com:443/v1", False),
        ("Write risk-adjusted-return-on-capital in full.", False),
    ],
)
def test_shapes_of_keys(text: str, key: bool) -> None:
    assert looks_like_key(text) == key


# A repository that wants to be trusted


@pytest.mark.parametrize(
    ("url", "provider", "trusted"),
    [
        ("https://api.openai.com/v1", "openai", True),
        ("https://API.OpenAI.com./v1", "openai", True),
        ("https://eu.api.openai.com/v1", "openai", True),
        ("http://api.openai.com/v1", "openai", False),
        ("https://api.openai.com:8443/v1", "openai", False),
        ("https://api.openai.com/v1", "anthropic", False),
        ("https://api.openai.com.evil.example/v1", "openai", False),
        ("https://evilapi.openai.com", "openai", False),
        ("https://shop.openai.azure.com", "azure", False),  # anybody can rent a name there
        ("https://shop.openai.azure.us", "azure", False),
        ("https://openai.azure.com", "azure", False),  # nobody's resource
        ("https://evil.api.anthropic.com", "anthropic", False),
        ("https://ollama.com", "ollama", True),
        ("https://openai.azure.com.evil.example", "azure", False),
        ("https://api.openai.com@evil.example/v1", "openai", False),
        ("https://evil.example#@api.openai.com/", "openai", False),
        ("https://evil.example?@api.openai.com/", "openai", False),
        ("https://evil.example\\@api.openai.com/", "openai", False),
        ("https://api.openai.com\t.evil.example/", "openai", False),
        ("https://api.openai.com\n", "openai", False),
        ("https://api%2eopenai.com/", "openai", False),
        ("https://аpi.openai.com/", "openai", False),  # a Cyrillic letter
        ("//api.openai.com", "openai", False),
        ("file:///etc/passwd", "openai", False),
        ("http://localhost:1234/v1", "openai", True),
        ("http://127.0.0.1", "openai", True),
        ("http://127.8.9.1:5", "openai", True),
        ("http://[::1]:5/v1", "openai", True),
        ("http://evil.localhost", "openai", False),  # up to whoever resolves names
        ("http://localhost.evil.example", "openai", False),
        ("http://127.0.0.1.evil.example", "openai", False),
        ("http://0x7f.1", "openai", False),
        ("http://2130706433", "openai", False),
        ("http://0.0.0.0", "openai", False),
        ("http://169.254.169.254/", "openai", False),
        ("http://x.example:99999", "openai", False),
        ("", "openai", False),
    ],
)
def test_who_is_trusted_without_a_word(url: str, provider: str, trusted: bool) -> None:
    assert is_trusted(url, provider) == trusted


@pytest.mark.parametrize(
    ("url", "hosts", "trusted"),
    [
        ("https://gate.example/v1", ["gate.example"], True),
        ("https://gate.example:8443/v1", ["gate.example"], True),
        ("https://gate.example/v1", ["GATE.example."], True),
        ("https://gate.example/v1", ["gate.example:443"], True),
        ("https://gate.example:8443/v1", ["gate.example:443"], False),
        ("https://x.gate.example/v1", ["gate.example"], False),
        ("http://10.0.0.1:80", ["10.0.0.1"], True),
        ("https://gate.example", [], False),
    ],
)
def test_whom_the_user_trusts(url: str, hosts: list[str], trusted: bool) -> None:
    assert is_trusted(url, "openai", hosts) == trusted


EVIL = "provider: openai\nbase_url: https://evil.example/v1"


def test_a_repository_cannot_send_a_key_elsewhere(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": KEY, "OSMOSIS_LLM_API_KEY": KEY}
    found = load(with_llm(tmp_path, EVIL), environ)
    assert not found.base_url_trusted
    assert found.origin("base_url").from_repository
    config = provider_config(found, environ)
    assert config.api_key is None
    assert not config.base_url_trusted
    assert config.base_url_origin == f"{tmp_path / 'dbt_project.yml'}:6"


@pytest.mark.parametrize("source", ["environment", "command line", "editor", "user configuration"])
def test_the_user_can_trust_a_host(tmp_path: Path, source: str) -> None:
    environ = {"OPENAI_API_KEY": KEY}
    options: dict[str, Any] = {}
    match source:
        case "environment":
            environ["OSMOSIS_LLM_TRUSTED_HOSTS"] = "gate.example, evil.example:443"
        case "user configuration":
            user_config_file().parent.mkdir(parents=True)
            user_config_file().write_text('trusted_hosts = ["evil.example"]\n')
        case _:
            options = {"overrides": {"trusted_hosts": ["evil.example"]}, "overrides_from": source}
    found = load(with_llm(tmp_path, EVIL), environ, **options)
    assert found.base_url_trusted
    assert provider_config(found, environ).api_key is not None


def test_an_address_that_the_user_chose_is_trusted(tmp_path: Path) -> None:
    found = load(with_llm(tmp_path, EVIL), {"OSMOSIS_LLM_BASE_URL": "https://gate.example/v1"})
    assert found.base_url_trusted


def test_a_repository_cannot_trust_itself(tmp_path: Path) -> None:
    project = with_llm(tmp_path, EVIL + "\ntrusted_hosts: [evil.example]")
    with pytest.raises(SettingsError, match="a repository cannot say which hosts its user trusts"):
        load(project)
    found = load(project, tolerant=True)
    assert (found.base_url_trusted, found.trusted_hosts) == (False, ())


@pytest.mark.parametrize("text", ["trusted_hosts = 3", "trusted_hosts = ['https://x.example']", "trusted_hosts ="])
def test_a_broken_user_configuration_is_named(tmp_path: Path, text: str) -> None:
    user_config_file().parent.mkdir(parents=True)
    user_config_file().write_text(text)
    project = with_llm(tmp_path, EVIL)
    with pytest.raises(SettingsError, match=r"config\.toml: trusted_hosts cannot be read: "):
        load(project)
    assert not load(project, tolerant=True).base_url_trusted


# Keys


@pytest.mark.parametrize(
    ("provider", "environ", "origin"),
    [
        ("openai", {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}, "OPENAI_API_KEY"),
        ("openai", {"OPENAI_API_KEY": "a", "OSMOSIS_LLM_API_KEY": "c"}, "OSMOSIS_LLM_API_KEY"),
        ("azure", {"OPENAI_API_KEY": "a", "AZURE_OPENAI_API_KEY": "b"}, "AZURE_OPENAI_API_KEY"),
        ("anthropic", {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}, "ANTHROPIC_API_KEY"),
        ("gemini", {"GOOGLE_API_KEY": "a", "GEMINI_API_KEY": "b"}, "GEMINI_API_KEY"),
        ("openrouter", {"OPENROUTER_API_KEY": "a"}, "OPENROUTER_API_KEY"),
        ("their-own", {"THEIR_OWN_API_KEY": "a"}, "THEIR_OWN_API_KEY"),
        ("azure", {"AZURE_OPENAI_AD_TOKEN": "a"}, "AZURE_OPENAI_AD_TOKEN"),
        ("ollama", {"OLLAMA_API_KEY": "a"}, "OLLAMA_API_KEY"),
        ("openai-compatible", {"OPENAI_API_KEY": "a"}, None),
        ("vllm", {"OPENAI_API_KEY": "a"}, None),
        ("openai-compatible", {"OSMOSIS_LLM_API_KEY": "a"}, "OSMOSIS_LLM_API_KEY"),
        ("openai", {"OPENAI_API_KEY": "  "}, None),
        ("openai", {}, None),
    ],
)
def test_which_key_is_used(provider: str, environ: dict[str, str], origin: str | None) -> None:
    key = api_key(provider, environ)
    assert (key.origin if key is not None else None) == origin


def test_a_repository_does_not_choose_who_gets_the_users_key(tmp_path: Path) -> None:
    project = with_llm(tmp_path, "provider: openrouter")
    environ = {"OSMOSIS_LLM_API_KEY": KEY}
    found = load(project, environ)
    assert provider_config(found, environ).api_key is None
    assert "set OSMOSIS_LLM_PROVIDER=openrouter too" in found.warnings[0]
    assert KEY not in str(found)
    own = environ | {"OPENROUTER_API_KEY": "own"}
    key = provider_config(load(project, own), own).api_key
    assert key is not None
    assert key.reveal() == "own"
    assert load(project, own).warnings == ()
    chosen = environ | {"OSMOSIS_LLM_PROVIDER": "openrouter"}
    assert provider_config(load(project, chosen), chosen).api_key is not None


@pytest.mark.parametrize("provider", ["facts", "openai-compatible", "vllm", "ollama"])
def test_a_provider_without_a_key_of_its_own_needs_no_warning(tmp_path: Path, provider: str) -> None:
    assert load(with_llm(tmp_path, f"provider: {provider}"), {"OSMOSIS_LLM_API_KEY": KEY}).warnings == ()


def test_a_host_that_the_user_trusts_gets_the_users_key(tmp_path: Path) -> None:
    project = with_llm(tmp_path, "provider: openai-compatible\nmodel: m\nbase_url: https://gate.example/v1")
    environ = {"OSMOSIS_LLM_API_KEY": KEY, "OSMOSIS_LLM_TRUSTED_HOSTS": "gate.example"}
    key = provider_config(load(project, environ), environ).api_key
    assert key is not None
    assert key.reveal() == KEY


def test_all_a_provider_needs() -> None:
    environ = {"ANTHROPIC_API_KEY": KEY, "OSMOSIS_LLM_TIMEOUT": "5", "OSMOSIS_LLM_MAX_RETRIES": "0"}
    config = provider_config(load(None, environ, overrides={"provider": "anthropic"}), environ)
    assert (config.name, config.model, config.base_url) == (
        "anthropic",
        "claude-haiku-4-5",
        "https://api.anthropic.com",
    )
    assert (config.timeout, config.max_retries, config.base_url_trusted, config.options) == (5, 0, True, {})
    assert KEY not in repr(config)


# The folder of the replies


def test_replies_can_be_kept_in_the_project(tmp_path: Path) -> None:
    project = with_llm(tmp_path, "cache_dir: ./.osmosis/")
    assert load(project).cache_dir == tmp_path.resolve() / ".osmosis"
    assert load(project, {"OSMOSIS_CACHE_DIR": "/elsewhere"}).cache_dir is None
    assert load(None, {"OSMOSIS_LLM_CACHE_DIR": "x"}).cache_dir is None


@pytest.mark.parametrize(
    "folder", ["/etc", "~/x", "..", "../x", "a/../../x", "a\\b", "C:x", "//server/share", ".", "''"]
)
def test_no_other_folder_can_be_named(tmp_path: Path, folder: str) -> None:
    with pytest.raises(
        SettingsError, match=r"cache_dir is .* it must be a folder inside the project|leads out"
    ) as caught:
        load(with_llm(tmp_path, f"cache_dir: {folder}"))
    assert str(tmp_path) in str(caught.value)
    assert load(tmp_path, tolerant=True).cache_dir is None


@pytest.mark.parametrize("link", ["shared", "shared/inner", "here/cache.sqlite3", "here/lock.sqlite3"])
def test_a_symbolic_link_leads_out_of_no_project(tmp_path: Path, link: str) -> None:
    project, outside = (
        with_llm(tmp_path / "project", f"cache_dir: {link.partition('/cache')[0]}"),
        tmp_path / "outside",
    )
    outside.mkdir()
    (project / link).parent.mkdir(exist_ok=True)
    (project / link).symlink_to(outside)
    with pytest.raises(SettingsError, match="leads out of the project"):
        load(project, overrides={"cache_dir": "here"} if link.startswith("here") else None)


# The YAML reader


def test_lines_are_those_of_the_keys() -> None:
    value = parse_yaml("a:\n  b:\n    - x\n    - y\n  'c': |\n    text\n")
    inner = value.get("a", "b")
    assert inner is not None
    assert isinstance(inner.data, tuple)
    assert [(item.data, item.line) for item in (inner, *inner.data)][1:] == [("x", 3), ("y", 4)]
    assert inner.line == 2
    text = value.get("a", "c")
    assert text is not None
    assert (text.data, text.line) == ("text\n", 5)
    assert value.get("a", "b", "c") is None


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab:-[]{}&*<! '\"|>#\n\t\u2028é"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(YamlError):  # and no other error
        assert isinstance(parse_yaml(text), Value)


# Cost of looking


def test_no_yaml_reader_is_loaded_where_nothing_is_set(tmp_path: Path) -> None:
    write(tmp_path, "name: shop\nmodels: {shop: {+materialized: view}}\n")
    script = """
import sys
before = set(sys.modules)
from pathlib import Path
from osmosis_synthesize.settings import load_settings
load_settings(Path(sys.argv[1]), environ={})
heavy = {"ruamel", "platformdirs", "tomllib", "difflib", "importlib.metadata", "asyncio", "json"}
print(sorted(heavy & (set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, tmp_path], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == "[]"
