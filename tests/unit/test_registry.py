from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from osmosis_synthesize import errors
from osmosis_synthesize.providers import registry
from osmosis_synthesize.providers.base import ColumnFacts, Message, Provider, ProviderConfig, Request, Subject
from osmosis_synthesize.secret import Secret

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "data" / "example_provider"
KEY = Secret("sk-secret", origin="A_TEST")
EVIL = "https://evil.example/v1"


@pytest.mark.parametrize("name", [name for name in registry.KNOWN_PROVIDERS if name != "editor"])
def test_every_built_in_provider_can_be_made(name: str) -> None:
    base_url = "https://llm.openai.azure.com" if name in {"azure", "openai-compatible"} else None
    provider = registry.create(ProviderConfig(name, "m", KEY, base_url=base_url))

    assert isinstance(provider, Provider)
    assert provider.name == name


def test_where_there_is_no_editor_its_model_is_not_asked() -> None:
    with pytest.raises(
        errors.ProviderSetupError, match=r"only inside one that offers it.*Choose another provider here"
    ):
        registry.create(ProviderConfig("editor", ""))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        errors.ProviderSetupError, match=r"'opnai'.*openai, azure, anthropic, ollama, openai-compatible"
    ):
        registry.create(ProviderConfig("opnai", "m"))


@pytest.mark.parametrize(("name", "sdk", "extra"), [("openai", "openai", "openai"), ("azure", "openai", "openai"),
    ("anthropic", "anthropic", "anthropic"), ("ollama", "httpx2", "ollama")])  # fmt: skip
def test_a_missing_package_is_answered_with_the_extra_that_brings_it(name: str, sdk: str, extra: str) -> None:
    # A fresh interpreter in which the package cannot be found, as on a machine without it.
    code = f"""
import sys
from importlib.machinery import PathFinder
class Absent(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == {sdk!r} else PathFinder.find_spec(name, path, target)
sys.meta_path = [Absent if finder is PathFinder else finder for finder in sys.meta_path]
from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers.base import ProviderConfig
from osmosis_synthesize.providers.registry import create
try:
    create(ProviderConfig({name!r}, "m"))
except ProviderSetupError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert f"pip install 'osmosis-synthesize[{extra}]'" in done.stdout


def test_a_package_that_cannot_be_loaded_is_a_setup_error() -> None:
    code = """
import asyncio, sys
sys.modules["openai._client"] = None  # what an incomplete installation looks like
from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers.base import Message, ProviderConfig, Request
from osmosis_synthesize.providers.registry import create
provider = create(ProviderConfig("vllm", "m"))
try:
    asyncio.run(provider.complete(Request((Message("user", "?"),))))
except ProviderSetupError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert "openai._client" in done.stdout
    assert "pip install --upgrade" in done.stdout


async def test_the_documented_third_party_provider_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)
    subject = Subject("orders", "model", asked=False, columns=(ColumnFacts("id"), ColumnFacts("b", asked=False)))

    provider = registry.create(ProviderConfig("shouting", "very"))
    reply = await provider.complete(Request((Message("user", "?"),), subject=subject))

    assert "shouting" in registry.names()
    assert isinstance(provider, Provider)
    assert json.loads(reply.text)["columns"] == [{"name": "id", "description": "ID!"}]
    with pytest.raises(errors.ProviderSetupError, match="how loud"):
        registry.create(ProviderConfig("shouting", ""))


def test_the_documentation_shows_the_provider_that_is_tested() -> None:
    page = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")

    assert (EXAMPLE / "shouting_provider.py").read_text(encoding="utf-8").strip() in page
    entry = (EXAMPLE / "shouting_provider-1.0.dist-info" / "entry_points.txt").read_text(encoding="utf-8")
    assert entry.split(" = ")[1].strip() in page
    for name, row in registry.KNOWN_PROVIDERS.items():
        assert f"`{name}`" in page
        assert all(f"`{variable}`" in page for variable in row.key_variables)


def test_a_third_party_provider_that_is_broken_is_said_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        f"[{registry.ENTRY_POINT_GROUP}]\nbad = no_such_module:X\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(errors.ProviderSetupError, match=r"bad.*broken.*no_such_module"):
        registry.create(ProviderConfig("bad", "m"))


# ------------------------------------------------------------------------------------------ the malicious repository

SPEAKING = [name for name in registry.KNOWN_PROVIDERS if name not in {"facts", "editor"}]


@pytest.mark.parametrize("name", SPEAKING)
@pytest.mark.parametrize("key", [KEY, None], ids=["key", "no key"])
@pytest.mark.parametrize(
    "url",
    [
        EVIL,
        "http://evil.example/v1",
        "https://evil.example:443",
        "https://api.openai.com.evil.example/v1",
        "https://evil-api.openai.com.example/",
        "https://notapi.anthropic.com.evil.example",
        "https://EVIL.example",
        "https://1.2.3.4/v1",
        "https://[2001:db8::1]/v1",
        "https://169.254.169.254/latest",
        "https://localhost.evil.example/",
        "https://127.0.0.1.evil.example/",
        "https://evilopenai.azure.com/",
        "https://evil.openai.azure.com/",  # anybody can rent a name there
        "http://evil.localhost/v1",
        "https://api.openai.com:8443",
    ],
)
def test_a_repository_cannot_choose_who_is_spoken_to(name: str, key: Secret | None, url: str) -> None:
    config = ProviderConfig(
        name, "m", key, base_url=url, base_url_trusted=False, base_url_origin="dbt_project.yml, line 12"
    )
    with pytest.raises(errors.ProviderSetupError) as caught:
        registry.create(config)

    told = str(caught.value)
    host = url.partition("//")[2].lower().partition("/")[0].removesuffix(":443")
    assert f"points to {host}," in told
    assert "dbt_project.yml, line 12" in told
    assert f"OSMOSIS_LLM_TRUSTED_HOSTS={host} " in told
    assert "sk-secret" not in told


@pytest.mark.parametrize("name", SPEAKING)
@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.openai.com",
        "api.openai.com/v1",
        "https://",
        "https:///v1",
        "https://api.openai.com\\@evil.example/",
        "https://evil.example\\.api.openai.com/",
        "https://api.openai.com@evil.example/",
        "https://user:pass@api.openai.com/",
        "https://api.openai.com:port/",
        "https://api.openai.com/?to=evil.example",
        "https://api.openai.com/#evil.example",
        "https://api.öpenai.com/",
        "https://[::1/",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_what_is_no_plain_address_is_refused_whoever_wrote_it(name: str, url: str, *, trusted: bool) -> None:
    with pytest.raises(errors.ProviderSetupError, match="base_url"):
        registry.create(ProviderConfig(name, "m", KEY, base_url=url, base_url_trusted=trusted))


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("openai", "https://api.openai.com/v1"),
        ("openai", "https://eu.api.openai.com/v1"),
        ("anthropic", "https://api.anthropic.com"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("openai", "http://127.0.0.1:4000/v1"),
        ("anthropic", "http://localhost:4000"),
        ("openai-compatible", "http://[::1]:4000/v1"),
        ("ollama", "http://127.0.0.1:11434"),
    ],
)
def test_own_hosts_and_this_machine_need_no_trust(name: str, url: str) -> None:
    assert registry.create(ProviderConfig(name, "m", KEY, base_url=url, base_url_trusted=False)).name == name


@pytest.mark.parametrize(
    ("name", "url"), [("openai", "http://api.openai.com/v1"), ("anthropic", "http://api.anthropic.com")]
)
@pytest.mark.parametrize("trusted", [True, False])
def test_own_hosts_are_reached_by_https_only(name: str, url: str, *, trusted: bool) -> None:
    with pytest.raises(errors.ProviderSetupError, match=r"without encryption.*https://"):
        registry.create(ProviderConfig(name, "m", KEY, base_url=url, base_url_trusted=trusted))


@pytest.mark.parametrize("name", SPEAKING)
def test_a_host_that_the_user_chose_is_spoken_to(name: str) -> None:
    assert registry.create(ProviderConfig(name, "m", KEY, base_url="http://gpu.example:8000/v1")).name == name
