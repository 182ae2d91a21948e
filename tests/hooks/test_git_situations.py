"""Every git situation that a hook meets, with each hook: the exit code of the commit, and what the hook changed."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from git_repositories import Done, Repository, Tools
from osmosis_hooks.cli import main
from servers import FakeLLMServer
from small_projects import ORDERS, RAW, SCHEMA, build

pytestmark = pytest.mark.xdist_group("pre-commit")

INHERITED = '        description: "Number of the order."'
PROVEN = '        description: "Computed as `id + 1`."'
GENERATED = '        description: "Made up for tests: total."'
HOOKS = {
    "osmosis-check": ("has no description", []),
    "osmosis-drift": ("its expression has changed since", []),
    "osmosis-inherit": ("2 of 2 gaps filled", [INHERITED, PROVEN]),
    "osmosis-synthesize": ("2 of 2 gaps filled", [INHERITED, GENERATED]),
}
"""What each says of a file that it minds, and the lines that it adds."""
WRITING = {"osmosis-inherit", "osmosis-synthesize"}


@dataclass(frozen=True)
class Shop:
    """A repository with one hook, and a dbt project that has two gaps; for drift, two texts of which one is outgrown."""

    repository: Repository
    hook: str
    root: Path

    @property
    def git(self) -> Callable[..., Done]:
        return self.repository.git

    def commit(self, code: int, *arguments: str) -> str:
        """Commit, as a user does; gives what was said."""
        return self.git("commit", "--message", "A change", *arguments, code=code).out

    def added(self) -> list[str]:
        """The lines that stand in the working tree and not in the index."""
        diff = self.git("diff", "--unified=0", "--no-color").out.splitlines(keepends=False)
        assert not [line for line in diff if line.startswith("-") and not line.startswith("---")]
        return [line[1:] for line in diff if line.startswith("+") and not line.startswith("+++")]

    def expect(self, *, times: int = 1) -> None:
        """A commit fails, and the hook has added what it adds."""
        words, lines = HOOKS[self.hook]
        assert self.commit(1).count(words) >= times
        assert sorted(self.added()) == sorted(lines * times)

    def expect_nothing(self) -> None:
        """A commit succeeds, and the hook has changed nothing."""
        self.commit(0)
        assert self.git("status", "--short").out == ""


@pytest.fixture(scope="module")
def server() -> Iterator[FakeLLMServer]:
    with FakeLLMServer() as server:
        yield server


def build_for(hook: str, root: Path) -> None:
    """Write the project. For drift its texts are generated, and then the SQL is another one."""
    build(root, RAW, ORDERS)
    if hook == "osmosis-drift":
        sql = (root / "models/orders.sql").read_text("utf-8")
        (root / "models/orders.sql").write_text(sql.replace("id + 1", "id + 2"), "utf-8")
        assert main(["run", "--all", "--offline", "--facts", "--project-dir", str(root)]) == 1
        (root / "models/orders.sql").write_text(sql, "utf-8")


Make = Callable[..., Shop]


@pytest.fixture(params=HOOKS)
def make(request: pytest.FixtureRequest, tools: Tools, tmp_path: Path, server: FakeLLMServer) -> Make:
    """Makes a repository in a folder, with the project in a folder of it."""

    def make(folder: str = "repository", project: str = "", *, commit: bool = False) -> Shop:
        environ = {
            **tools.environ,
            "OSMOSIS_CACHE_DIR": str(tmp_path / "cache"),
            "OSMOSIS_LLM_PROVIDER": "ollama",
            "OSMOSIS_LLM_BASE_URL": server.url,
            "OSMOSIS_LLM_MODEL": "made-up",
        }
        repository = Repository(tmp_path / folder, environ)
        build_for(request.param, repository.path / project)
        (repository.path / ".gitignore").write_text("target/\n", "utf-8")
        (repository.path / ".pre-commit-config.yaml").write_text(tools.config([request.param]), "utf-8")
        repository.git("init", "--quiet")
        if commit:
            repository.git("add", "--all")
            repository.git("commit", "--quiet", "--no-verify", "--message", "First")
        return Shop(repository, request.param, repository.path / project)

    return make


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_bytes().decode("utf-8")
    assert old in text
    path.write_bytes(text.replace(old, new).encode("utf-8"))


def test_a_new_file(make: Make) -> None:
    shop = make()
    shop.git("add", "--all")
    shop.expect()


def test_a_changed_schema_file(make: Make) -> None:
    shop = make(commit=True)
    edit(shop.root / SCHEMA, "Orders.", "All orders.")
    shop.git("add", "--all")
    shop.expect()


def test_a_changed_model(make: Make) -> None:
    shop = make(commit=True)
    (shop.root / "models/orders.sql").write_text("select id as order_id, id + 1 as total from purchases\n", "utf-8")
    shop.git("add", "--all")
    shop.expect()


def test_a_file_without_a_gap_of_its_own(make: Make) -> None:
    shop = make(commit=True)
    edit(shop.root / "models/raw.yml", "Orders of", "All orders of")
    shop.git("add", "--all")
    shop.expect_nothing()


def test_what_the_hook_did_can_be_committed(make: Make) -> None:
    shop = make()
    shop.git("add", "--all")
    shop.expect()
    shop.git("add", "--all")
    shop.commit(0 if shop.hook in WRITING else 1)


def test_a_rename(make: Make) -> None:
    shop = make(commit=True)
    shop.git("mv", SCHEMA, "models/renamed.yaml")
    shop.expect()


def test_a_renamed_folder(make: Make) -> None:
    shop = make(commit=True)
    model = shop.root / "models/orders.sql"  # to the manifest it is a new one now: what it reads is said in the file
    model.write_text(model.read_text("utf-8").replace("purchases", "{{ source('raw', 'purchases') }}"), "utf-8")
    shop.git("add", "models/orders.sql")
    (shop.root / "models/marts").mkdir()
    shop.git("mv", SCHEMA, "models/orders.sql", "models/marts")
    shop.expect()


def test_a_deletion(make: Make) -> None:
    shop = make(commit=True)
    shop.git("rm", "--quiet", SCHEMA)
    shop.expect_nothing()


def test_a_deleted_model_whose_entry_stays(make: Make) -> None:
    shop = make(commit=True)
    shop.git("rm", "--quiet", "models/orders.sql")
    shop.expect_nothing()


def test_a_partly_staged_file_comes_back_whole(make: Make) -> None:
    shop = make(commit=True)
    edit(shop.root / SCHEMA, "Orders.", "All orders.")
    shop.git("add", "--all")
    edit(shop.root / SCHEMA, "version: 2", "# not staged\nversion: 2")
    (shop.root / "models/raw.yml").write_text("not: staged\n", "utf-8")
    said = shop.commit(1)
    assert "Unstaged files detected" in said
    assert "not: staged" in shop.repository.text("models/raw.yml")
    shop.git("checkout", "--quiet", "models/raw.yml")
    assert sorted(shop.added()) == sorted(["# not staged", *HOOKS[shop.hook][1]])


def test_unstaged_changes_at_the_same_place_win(make: Make) -> None:
    """Programs that run hooks then take the hook's changes back: a second commit of the whole file has them."""
    shop = make(commit=True)
    edit(shop.root / SCHEMA, "Orders.", "All orders.")
    shop.git("add", "--all")
    edit(shop.root / SCHEMA, "- name: order_id\n", "- name: order_id\n        description: Mine.\n")
    shop.commit(1)
    assert shop.added() == ["        description: Mine."]


def test_a_merge_with_a_conflict(make: Make) -> None:
    shop = make(commit=True)
    shop.git("checkout", "--quiet", "-b", "other")
    edit(shop.root / SCHEMA, "Orders.", "Orders of others.")
    shop.git("commit", "--quiet", "--all", "--no-verify", "--message", "Theirs")
    shop.git("checkout", "--quiet", "main")
    edit(shop.root / SCHEMA, "Orders.", "Our orders.")
    shop.git("commit", "--quiet", "--all", "--no-verify", "--message", "Ours")
    shop.git("merge", "other", code=1)
    text = shop.repository.text(SCHEMA)
    assert "<<<<<<<" in text
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith(("<", "=", ">"))]
    (shop.root / SCHEMA).write_text("".join(line for line in lines if "of others" not in line), "utf-8")
    shop.git("add", "--all")
    shop.expect()


def test_a_merge_without_a_conflict(make: Make) -> None:
    shop = make(commit=True)
    shop.git("checkout", "--quiet", "-b", "other")
    edit(shop.root / SCHEMA, "Orders.", "Orders of others.")
    shop.git("commit", "--quiet", "--all", "--no-verify", "--message", "Theirs")
    shop.git("checkout", "--quiet", "main")
    (shop.root / "README.md").write_text("# Ours\n", "utf-8")
    shop.git("add", "--all")
    shop.git("commit", "--quiet", "--no-verify", "--message", "Ours")
    shop.git("merge", "--no-edit", "other", code=1)
    assert sorted(shop.added()) == sorted(HOOKS[shop.hook][1])


def test_a_submodule(make: Make, tools: Tools) -> None:
    """In the submodule the hook works; for the repository around it nothing of it is a file."""
    inner = make("inner", commit=True)
    outer = Repository(inner.repository.path.parent / "outer", inner.repository.environ)
    outer.path.mkdir()
    outer.git("init", "--quiet")
    (outer.path / ".pre-commit-config.yaml").write_text(tools.config([inner.hook]), "utf-8")
    outer.git("submodule", "--quiet", "add", inner.repository.path, "dbt")
    outer.git("add", "--all")
    outer.git("commit", "--message", "Add the submodule")

    inside = Shop(Repository(outer.path / "dbt", outer.environ), inner.hook, outer.path / "dbt")
    shutil.copytree(inner.root / "target", inside.root / "target")  # it is no part of the repository
    edit(inside.root / SCHEMA, "Orders.", "All orders.")
    inside.git("add", "--all")
    inside.expect()
    inside.git("commit", "--quiet", "--no-verify", "--all", "--message", "A change")
    outer.git("add", "dbt")
    outer.git("commit", "--message", "Move the submodule")


def test_a_worktree(make: Make) -> None:
    shop = make(commit=True)
    shop.git("worktree", "add", "--quiet", "../beside", "-b", "beside")
    root = shop.root.parent / "beside"
    shutil.copytree(shop.root / "target", root / "target")
    beside = Shop(Repository(root, shop.repository.environ), shop.hook, root)
    edit(root / SCHEMA, "Orders.", "All orders.")
    beside.git("add", "--all")
    beside.expect()
    assert shop.git("status", "--short").out == ""


def test_three_projects_in_one_repository(make: Make) -> None:
    shop = make(project="one")
    build_for(shop.hook, shop.repository.path / "two")
    build_for(shop.hook, shop.repository.path / "deeper/three")
    (shop.repository.path / "query.sql").write_text("select 1", "utf-8")
    shop.git("add", "--all")
    shop.expect(times=3)


def test_names_with_spaces_and_other_letters(make: Make) -> None:
    shop = make("mes dépôts", "données 数据")
    shop.git("add", "--all")
    shop.git("mv", f"données 数据/{SCHEMA}", "données 数据/models/schéma d'été.yml")
    shop.expect()


def test_windows_line_endings(make: Make) -> None:
    shop = make()
    path = shop.root / SCHEMA
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    shop.git("add", "--all")
    shop.commit(1)
    assert shop.repository.text(SCHEMA).count("\r\n") == shop.repository.text(SCHEMA).count("\n")
    assert sorted(line.rstrip("\r") for line in shop.added()) == sorted(HOOKS[shop.hook][1])


def test_a_read_only_file(make: Make) -> None:
    shop = make()
    (shop.root / SCHEMA).chmod(0o444)
    shop.git("add", "--all")
    said = shop.commit(1)
    assert ("it is read-only" in said) == (shop.hook in WRITING)
    assert shop.added() == []
    assert stat.S_IMODE((shop.root / SCHEMA).stat().st_mode) == 0o444


def test_a_symbolic_link(make: Make) -> None:
    """git keeps a link as a file of its own, which hooks do not get; what it leads to is edited, and the link stays one."""
    shop = make()
    (shop.root / "described").mkdir()
    (shop.root / SCHEMA).rename(shop.root / "described/orders.yml")
    (shop.root / SCHEMA).symlink_to(Path("../described/orders.yml"))
    shop.git("add", "--all")
    shop.expect()
    assert (shop.root / SCHEMA).readlink() == Path("../described/orders.yml")
    assert stat.S_ISLNK((shop.root / SCHEMA).lstat().st_mode)
