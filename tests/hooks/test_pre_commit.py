"""The hooks under the real pre-commit program, in real git repositories."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from git_repositories import PROGRAMS, ROOT, Repository, Tools
from servers import FakeLLMServer
from small_projects import ORDERS, RAW, SCHEMA, build

pytestmark = pytest.mark.xdist_group("pre-commit")  # the environments of the hooks are made once

PRE_COMMIT = PROGRAMS / "pre-commit"


@pytest.fixture
def shop(tools: Tools, tmp_path: Path) -> Repository:
    """A repository that is a dbt project with two gaps, one of which can be inherited. Nothing is committed yet."""
    repository = Repository(build(tmp_path / "shop", RAW, ORDERS), tools.environ)
    repository.git("init", "--quiet")
    (repository.path / ".gitignore").write_text("target/\n", "utf-8")
    return repository


def test_try_repo(shop: Repository, tools: Tools) -> None:
    shop.git("add", "--all")
    done = shop.run(PRE_COMMIT, "try-repo", tools.hooks, "osmosis-inherit", "--all-files", code=1)
    assert f"{SCHEMA}:8: orders.order_id inherited from raw.purchases.id (renamed)" in done.out
    assert 'description: "Number of the order."' in shop.text(SCHEMA)


def test_the_manifest_of_the_hooks(tools: Tools, tmp_path: Path) -> None:
    Repository(tmp_path, tools.environ).run(PRE_COMMIT, "validate-manifest", ROOT / ".pre-commit-hooks.yaml", code=0)
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")):
        assert (hook["types_or"], hook["require_serial"]) == (["yaml", "sql", "markdown"], True)


def test_an_installation(shop: Repository, tools: Tools) -> None:
    (shop.path / ".pre-commit-config.yaml").write_text(tools.config(["osmosis-inherit"]), "utf-8")
    (shop.path / ".git/hooks/pre-commit").unlink()
    shop.run(PRE_COMMIT, "install", code=0)
    shop.git("add", "--all")
    done = shop.git("commit", "--message", "Add orders", code=1)
    assert f"{SCHEMA}:8: orders.order_id inherited from raw.purchases.id (renamed)" in done.out
    shop.git("add", "--all")
    shop.git("commit", "--message", "Add orders")
    assert "Number of the order" in shop.git("show", f"HEAD:{SCHEMA}").out


@pytest.mark.parametrize("name", ["osmosis-inherit", "osmosis-synthesize"])
def test_prek(shop: Repository, tools: Tools, name: str) -> None:
    (shop.path / ".pre-commit-config.yaml").write_text(tools.config([name]), "utf-8")
    shop.git("add", "--all")
    done = shop.run(PROGRAMS / "prek", "run", code=1)
    assert f"{SCHEMA}:8: orders.order_id inherited from raw.purchases.id (renamed)" in done.out
    assert 'description: "Number of the order."' in shop.text(SCHEMA)


def install(repository: Repository, config: str) -> None:
    """Have pre-commit make the environments of a configuration, and write that."""
    (repository.path / ".pre-commit-config.yaml").write_text(config, "utf-8")
    repository.git("add", "--all")
    repository.run(PRE_COMMIT, "install-hooks", code=0)


def installed(tools: Tools, *, extras: bool) -> list[set[str]]:
    """The distributions in each environment of our hooks, with or without further ones beside the package itself."""
    found: list[set[str]] = []
    code = (
        "import importlib.metadata as m, json; print(json.dumps(sorted(d.name.lower() for d in m.distributions())))"
    )
    for python in Path(tools.environ["PRE_COMMIT_HOME"]).glob("repo*/py_env-*/bin/python"):
        names = set(json.loads(Repository(python.parent, tools.environ).run(python, "-c", code, code=0).out))
        if ("stamina" in names) == extras:
            found.append(names)
    return found


SDKS = {"openai", "anthropic", "httpx2", "stamina", "genai-prices", "pydantic"}


def test_the_environments_are_small(shop: Repository, tools: Tools) -> None:
    install(shop, tools.config(["osmosis-check", "osmosis-inherit", "osmosis-drift"]))
    for names in installed(tools, extras=False):
        needed = {"jinja2", "markupsafe", "msgspec", "platformdirs", "ruamel.yaml", "ruamel.yaml.clib", "sqlglot"}
        assert names - {"pip", "setuptools", "wheel"} == {"osmosis-synthesize", *needed}
    install(shop, tools.config(["osmosis-synthesize"]))
    assert any(names >= SDKS for names in installed(tools, extras=True))


def test_one_sdk_can_be_chosen(shop: Repository, tools: Tools) -> None:
    config = tools.config(["osmosis-synthesize"], additional_dependencies='["osmosis-synthesize[ollama]"]')
    install(shop, config)
    assert any("httpx2" in names and "openai" not in names for names in installed(tools, extras=True))


GUARD = """
import os, socket, sys
allowed = {"127.0.0.1", "::1", "localhost"}
def note(address):
    host = address[0] if isinstance(address, tuple) else "localhost"
    if host not in allowed or os.environ.get("NO_SOCKETS_AT_ALL"):
        open(os.environ["GUARD_FILE"], "a").write(f"{host}\\n")
        os._exit(99)
for name in ("connect", "connect_ex"):
    def guarded(self, address, real=getattr(socket.socket, name)):
        note(address)
        return real(self, address)
    setattr(socket.socket, name, guarded)
def look_up(host, *rest, real=socket.getaddrinfo, **more):
    note((host or "localhost",))
    return real(host, *rest, **more)
socket.getaddrinfo = look_up
"""


@pytest.mark.parametrize("name", ["osmosis-inherit", "osmosis-synthesize", "osmosis-check", "osmosis-drift"])
def test_no_hook_asks_a_question_or_calls_anybody_unasked(
    tools: Tools, tmp_path: Path, shop: Repository, name: str
) -> None:
    """Standard input is closed. Even a project that names a provider gets no call from the free hooks, key or no key."""
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD, "utf-8")
    said = guard / "said"
    environ = {"PYTHONPATH": str(guard), "GUARD_FILE": str(said), "OPENAI_API_KEY": "sk-made-up"}
    shop.run(sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 1))", code=99, **environ)
    assert said.read_text("utf-8") == "192.0.2.1\n"
    said.unlink()

    build(shop.path, RAW, ORDERS, settings={"provider": "openai", "model": "made-up"})
    install(shop, tools.config([name]))
    with FakeLLMServer() as server:
        if name == "osmosis-synthesize":
            environ["OSMOSIS_LLM_BASE_URL"] = server.url + "/v1"
        else:
            environ["NO_SOCKETS_AT_ALL"] = "1"
        done = shop.run(PRE_COMMIT, "run", **environ)
        assert (done.code, said.exists()) == (0 if name == "osmosis-drift" else 1, False), done.out
        assert len(server.requests) == int(name == "osmosis-synthesize")
        if name == "osmosis-synthesize":  # the guard sees what hooks do
            shop.git("checkout", "--quiet", ".")
            environ |= {"NO_SOCKETS_AT_ALL": "1", "OSMOSIS_CACHE_DIR": str(tmp_path / "another cache")}
            assert "exit code: 99" in shop.run(PRE_COMMIT, "run", **environ).out


def test_a_text_is_written_reviewed_and_outgrown(shop: Repository, tools: Tools) -> None:
    install(shop, tools.config(["osmosis-inherit", "osmosis-drift"]))
    shop.git("commit", "--message", "Add orders", code=1)
    shop.git("add", "--all")
    shop.git("commit", "--message", "Add orders")
    (shop.path / "models/orders.sql").write_text("select id as order_id, id + 2 as total from purchases", "utf-8")
    shop.git("add", "--all")
    said = shop.git("commit", "--message", "Change orders", code=1).out
    assert "orders.total: its expression has changed since the description was written" in said
    shop.run(sys.executable, "-m", "osmosis_hooks.cli", "review", "--accept", SCHEMA, code=0)
    shop.git("add", "--all")
    shop.git("commit", "--message", "Change orders")


def test_the_readme_s_configuration(shop: Repository, tools: Tools, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    config = readme.split("## In pre-commit\n\n```yaml\n", 1)[1].split("```", 1)[0]
    config = re.sub(r"repo: \S+", f"repo: {tools.hooks.as_posix()}", config)
    install(shop, re.sub(r"rev: \S+", f"rev: {tools.rev}", config))
    with FakeLLMServer() as server:
        environ = {
            "OPENAI_API_KEY": "sk-made-up",
            "OSMOSIS_LLM_BASE_URL": server.url + "/v1",
            "OSMOSIS_CACHE_DIR": str(tmp_path / "cache"),
        }
        said = shop.git("commit", "--message", "Add orders", code=1, **environ).out
        assert "2 of 2 gaps filled (1 inherited, 1 generated), 0 left; 1 call" in said
        shop.git("add", "--all")
        shop.git("commit", "--message", "Add orders", **environ)
    hooks = re.findall(r"^- id: (\S+)", (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"), re.MULTILINE)
    assert re.findall(r"^\| `(osmosis-\w+)` \|", readme, re.MULTILINE) == hooks
