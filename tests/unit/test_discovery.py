from __future__ import annotations

import os
from pathlib import Path

import pytest

from osmosis_synthesize.discovery import Project, find_project, is_below, load_project, projects_of, schema_files
from osmosis_synthesize.errors import ProjectError, ProjectNotFound


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def project(root: Path, text: str = "name: shop\n") -> Project:
    write(root / "dbt_project.yml", text)
    return load_project(root, environ={})


def relative(paths: list[Path], root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path in paths]


# Finding projects


def test_the_nearest_project_upward_is_found(tmp_path: Path) -> None:
    project(tmp_path)
    project(tmp_path / "inner")
    model = write(tmp_path / "inner" / "models" / "a" / "_models.yml")
    assert find_project(model) == tmp_path / "inner"
    assert find_project(tmp_path / "inner" / "dbt_project.yml") == tmp_path / "inner"
    assert find_project(tmp_path / "inner") == tmp_path / "inner"
    assert find_project(tmp_path / "models" / "not there yet.yml") == tmp_path


def test_a_project_is_found_from_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path)
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path / "models")
    assert find_project(Path()) == tmp_path
    assert find_project(Path("../models/a.yml")) == tmp_path


def test_no_project_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound, match="somewhere or any folder above it"):
        find_project(tmp_path / "somewhere")


@pytest.mark.parametrize(
    ("text", "folder"),
    [("name: shop", "dbt_packages"), ("packages-install-path: lib", "lib"), ("[broken", "dbt_packages")],
)
def test_an_installed_package_belongs_to_the_project_that_installed_it(
    tmp_path: Path, text: str, folder: str
) -> None:
    write(tmp_path / "dbt_project.yml", text)
    package = tmp_path / folder / "dbt_utils"
    write(package / "dbt_project.yml", "name: dbt_utils")
    write(package / "integration_tests" / "dbt_project.yml", "name: tests")
    assert find_project(package / "models" / "a.yml") == tmp_path
    assert find_project(package / "integration_tests" / "models" / "a.yml") == tmp_path


def test_a_symbolic_link_into_a_project_is_followed_if_nothing_else_is_there(tmp_path: Path) -> None:
    project(tmp_path / "shop")
    model = write(tmp_path / "shop" / "models" / "a.yml")
    link = tmp_path / "elsewhere" / "a.yml"
    link.parent.mkdir()
    link.symlink_to(model)
    assert find_project(link) == tmp_path / "shop"


def test_files_are_grouped_by_project(tmp_path: Path) -> None:
    project(tmp_path / "one")
    project(tmp_path / "two")
    files = [tmp_path / name for name in ("two/models/a.yml", "one/models/a.yml", "README.md", "two/models/b.yml")]
    grouped = projects_of(files)
    assert grouped.projects == {tmp_path / "two": (files[0], files[3]), tmp_path / "one": (files[1],)}
    assert grouped.outside == (files[2],)


# The layout


def test_what_a_project_does_not_say_is_as_in_dbt(tmp_path: Path) -> None:
    shop = project(tmp_path, "name: shop\nversion: 1.0\n")
    assert shop.name == "shop"
    assert relative(list(shop.source_paths), tmp_path) == [
        "models",
        "seeds",
        "snapshots",
        "analyses",
        "macros",
        "tests",
    ]
    assert shop.docs_paths == shop.source_paths
    assert shop.manifest_path == tmp_path / "target" / "manifest.json"
    assert shop.catalog_path == tmp_path / "target" / "catalog.json"
    assert shop.packages_install_path == tmp_path / "dbt_packages"
    assert shop.problems == ()


def test_what_a_project_says_is_used(tmp_path: Path) -> None:
    text = """
name: "{{ env_var('NAME', 'shop') }}"
model-paths: [models, ../shared/models, "{{ env_var('EXTRA', 'extra') }}"]
seed-paths: data
docs-paths: [docs]
target-path: build/target
packages-install-path: lib
"""
    shop = project(tmp_path / "shop", text)
    assert shop.name == "shop"
    assert shop.model_paths == tuple(tmp_path / path for path in ("shop/models", "shared/models", "shop/extra"))
    assert shop.seed_paths == (tmp_path / "shop" / "data",)
    assert shop.docs_paths == (tmp_path / "shop" / "docs",)
    assert shop.target_path == tmp_path / "shop" / "build" / "target"
    assert shop.packages_install_path == tmp_path / "shop" / "lib"


def test_old_names_of_paths_are_read(tmp_path: Path) -> None:
    shop = project(tmp_path, "source-paths: [sql]\ndata-paths: [csv]\n")
    assert shop.model_paths == (tmp_path / "sql",)
    assert shop.seed_paths == (tmp_path / "csv",)


@pytest.mark.parametrize("target", ["build", "/elsewhere/build"])
def test_the_environment_wins_for_the_target_folder(tmp_path: Path, target: str) -> None:
    write(tmp_path / "dbt_project.yml", "target-path: ignored")
    assert load_project(tmp_path, environ={"DBT_TARGET_PATH": target}).target_path == tmp_path / target


def test_a_path_that_is_not_understood_is_reported_and_the_rest_is_used(tmp_path: Path) -> None:
    shop = project(tmp_path, "name: shop\ntarget-path: \"{{ var('x') }}\"\nmodel-paths: [{a: b}, sql]\n")
    assert shop.target_path == tmp_path / "target"
    assert shop.model_paths == (tmp_path / "sql",)
    assert len(shop.problems) == 2
    assert any(problem.startswith(f"{tmp_path / 'dbt_project.yml'}:2: ") for problem in shop.problems)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", r"is no valid YAML: line \d"), ("- a", "no mapping"), ("", "no mapping")]
)
def test_a_broken_project_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "dbt_project.yml", text)
    with pytest.raises(ProjectError, match=rf"dbt_project\.yml.*{message}"):
        load_project(tmp_path)


def test_no_project_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound, match="does not exist"):
        load_project(tmp_path)


# What may be edited


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("models/a.yml", None),
        ("docs/readme.md", None),
        ("../sources/shop.yml", None),
        ("dbt_packages/dbt_utils/models/a.yml", "installed package"),
        ("models/packages/x/a.yml", "installed package"),
        ("target/compiled/a.yml", "target folder"),
        ("build/a.yml", "target folder"),
        (".git/config.yml", "git's own folder"),
        ("../other/models/a.yml", "outside the project"),
        ("../sources_not/a.yml", "outside the project"),
        ("models/../../other/a.yml", "outside the project"),
    ],
)
def test_what_may_be_edited(tmp_path: Path, path: str, reason: str | None) -> None:
    text = "model-paths: [models, ../sources]\ntarget-path: build\npackages-install-path: models/packages\n"
    shop = project(tmp_path / "shop", text)
    why = shop.why_not_editable(tmp_path / "shop" / path)
    assert (why is None) if reason is None else (why is not None and reason in why)
    assert shop.is_editable_path(tmp_path / "shop" / path) == (reason is None)


def test_a_symbolic_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    shop = project(tmp_path / "shop")
    inside = write(tmp_path / "shop" / "shared" / "a.yml")
    outside = write(tmp_path / "secrets.yml")
    models = tmp_path / "shop" / "models"
    models.mkdir()
    (models / "inside.yml").symlink_to(inside)
    (models / "outside.yml").symlink_to(outside)
    (tmp_path / "shop" / "dbt_packages").mkdir()
    (tmp_path / "shop" / "dbt_packages" / "own").symlink_to(models)
    assert shop.is_editable_path(models / "inside.yml")
    assert not shop.is_editable_path(models / "outside.yml")
    assert shop.is_editable_path(tmp_path / "shop" / "dbt_packages" / "own" / "inside.yml")


def test_a_model_path_that_is_a_link_leads_out_of_the_project(tmp_path: Path) -> None:
    shop = project(tmp_path / "shop")
    model = write(tmp_path / "elsewhere" / "a.yml")
    (tmp_path / "shop" / "models").symlink_to(tmp_path / "elsewhere")
    assert shop.is_editable_path(model)
    assert schema_files(shop) == [tmp_path / "shop" / "models" / "a.yml"]


def test_a_project_reached_by_a_link_is_the_same_project(tmp_path: Path) -> None:
    project(tmp_path / "shop")
    model = write(tmp_path / "shop" / "models" / "a.yml")
    (tmp_path / "link").symlink_to(tmp_path / "shop")
    shop = load_project(tmp_path / "link")
    assert shop.is_editable_path(model)
    assert schema_files(shop) == [tmp_path / "link" / "models" / "a.yml"]


def test_names_are_compared_as_the_file_system_does(tmp_path: Path) -> None:
    folder = tmp_path / "Models"
    folder.mkdir()
    write(folder / "a.yml")
    ignores_case = (tmp_path / "models").exists()
    assert is_below(tmp_path / "models" / "a.yml", folder) == ignores_case
    assert is_below(folder / "a.yml", folder)
    assert not is_below(tmp_path / "a.yml", folder)


# Schema files


def test_schema_files_are_found_where_dbt_looks_for_them(tmp_path: Path) -> None:
    text = "model-paths: ['.', models]\n"
    shop = project(tmp_path, text)
    wanted = ["models/a.yml", "models/b/c.YAML", "models/b/_d.yaml", "seeds/s.yml", "top.yml", "ünï côdé/ä.yml"]
    for name in wanted:
        write(tmp_path / name)
    for name in (
        "models/a.sql",
        "models/ayml",
        "dbt_packages/p/models/a.yml",
        "target/a.yml",
        ".git/a.yml",
        ".venv/a.yml",
        "integration_tests/dbt_project.yml",
        "integration_tests/models/a.yml",
    ):
        write(tmp_path / name)
    (tmp_path / "models" / "link.yml").symlink_to("a.yml")
    (tmp_path / "models" / "broken.yml").symlink_to("nowhere.yml")
    (tmp_path / "models" / "outside.yml").symlink_to("/etc/hostname")
    (tmp_path / "models" / "loop").symlink_to("..")
    (tmp_path / "models" / "folder.yml").mkdir()
    found = relative(schema_files(shop), tmp_path)
    assert sorted(found) == sorted(wanted)
    assert found == relative(schema_files(shop), tmp_path)


def test_folders_that_are_not_there_have_no_files(tmp_path: Path) -> None:
    assert schema_files(project(tmp_path)) == []
