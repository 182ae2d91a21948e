"""Git repositories with real pre-commit hooks of this working tree, without any network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheelhouse import make_wheelhouse

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
_HOOKS_REPOSITORY = (
    ".pre-commit-hooks.yaml",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "server",
    "hooks",
)


@dataclass(frozen=True)
class Done:
    """What a program ended with."""

    code: int
    out: str
    """Standard output and standard error."""


@dataclass(frozen=True)
class Tools:
    """A repository that brings the hooks, and an environment in which hook programs install from this disk only.

    There, each repository that git makes has pre-commit's own scripts in it.
    """

    hooks: Path
    rev: str
    environ: Mapping[str, str]

    def config(self, ids: Sequence[str], **fields: object) -> str:
        """A ``.pre-commit-config.yaml`` with these hooks, each with the same further fields."""
        lines = ["repos:", f"  - repo: {self.hooks.as_posix()}", f"    rev: {self.rev}", "    hooks:"]
        for name in ids:
            lines += [f"      - id: {name}", *(f"        {key}: {value}" for key, value in fields.items())]
        return "\n".join([*lines, ""])


def make_tools(folder: Path) -> Tools:
    """Make both in an empty folder."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    make_wheelhouse(
        wheels,
        [
            *project["build-system"]["requires"],
            *project["project"]["dependencies"],
            *(need for name in ("openai", "anthropic", "ollama") for need in extras[name]),
        ],
    )
    (folder / "gitconfig").write_text(
        "[user]\n  name = Somebody\n  email = somebody@example.com\n"
        f"[init]\n  defaultBranch = main\n  templateDir = {(folder / 'template').as_posix()}\n"
        '[protocol "file"]\n  allow = always\n',
        "utf-8",
    )
    kept = {"PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH"}
    environ = {
        **{name: value for name, value in os.environ.items() if name in kept},
        "PATH": os.pathsep.join([str(PROGRAMS), os.environ["PATH"]]),
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PRE_COMMIT_HOME": str(folder / "pre-commit"),
        "PREK_HOME": str(folder / "prek"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "UV_NO_CONFIG": "1",
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(wheels),
        "UV_CACHE_DIR": str(folder / "uv"),
    }
    hooks = folder / "hooks"
    hooks.mkdir()
    for name in _HOOKS_REPOSITORY:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, hooks / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, hooks / name)
    repository = Repository(hooks, environ)
    repository.git("init", "--quiet")
    repository.git("add", "--all", "--force")
    repository.git("commit", "--quiet", "--message", "Hooks")
    types = ("--hook-type", "pre-commit", "--hook-type", "pre-merge-commit")
    repository.run(PROGRAMS / "pre-commit", "init-templatedir", *types, folder / "template", code=0)
    return Tools(hooks, repository.git("rev-parse", "HEAD").out.strip(), environ)


@dataclass(frozen=True)
class Repository:
    """A folder that git knows, or will know once ``init`` was run."""

    path: Path
    environ: Mapping[str, str]

    def run(self, *command: object, code: int | None = None, **environ: str) -> Done:
        """Run a program here; with ``code`` it has to end with that. Nobody answers its questions."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.path,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert code is None or done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return Done(done.returncode, done.stdout)

    def git(self, *arguments: object, code: int | None = 0, **environ: str) -> Done:
        """Run git, which has to succeed unless another code is expected."""
        return self.run("git", *arguments, code=code, **environ)

    def text(self, path: str) -> str:
        """A file as it is on disk, line endings included."""
        return (self.path / path).read_bytes().decode("utf-8")
