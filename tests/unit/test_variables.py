"""A project's variables have the types that dbt gives them, and cost no more than a look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osmosis_synthesize.discovery import load_project


def variables(folder: Path, text: str, vars_file: str | None = None) -> tuple[dict[str, Any], tuple[str, ...]]:
    (folder / "dbt_project.yml").write_text(text, "utf-8")
    if vars_file is not None:
        (folder / "vars.yml").write_text(vars_file, "utf-8")
    project = load_project(folder)
    return dict(project.variables), project.problems


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-12", -12),
        ("'1'", "1"),
        ('"true"', "true"),
        ("true", True),
        ("False", False),
        ("yes", True),
        ("OFF", False),
        ("oN", "oN"),
        ("1.50", 1.5),
        ("1.2.3", "1.2.3"),
        ("010", "010"),
        ("9" * 30, "9" * 30),
        ("", None),
        ("~", None),
        ("2020-01-01", "2020-01-01"),
        ("[1, two, '3']", [1, "two", "3"]),
        ("{a: {b: 2}}", {"a": {"b": 2}}),
        ("|\n    1\n", "1\n"),
        ("\"{{ env_var('X') }}\"", "{{ env_var('X') }}"),
    ],
)
def test_a_value(tmp_path: Path, written: str, value: object) -> None:
    found, problems = variables(tmp_path, f"name: shop\nvars:\n  x: {written}\n")
    assert (found, problems) == ({"x": value}, ())
    assert type(found["x"]) is type(value)


@pytest.mark.parametrize("text", ["name: shop", "name: shop\nvars:", "name: shop\nvars: 7", "name: shop\nvars: [1]"])
def test_none(tmp_path: Path, text: str) -> None:
    assert variables(tmp_path, text) == ({}, ())


def test_either_file_may_hold_them(tmp_path: Path) -> None:
    assert variables(tmp_path, "name: shop", "vars: {x: 1}") == ({"x": 1}, ())


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    found, problems = variables(tmp_path, "name: shop\nvars: {x: 1}", "vars: {y: ")
    assert found == {"x": 1}
    assert len(problems) == 1
    assert "vars.yml: these variables are not used: it is no valid YAML" in problems[0]


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    found, problems = variables(tmp_path, f"name: shop\n{bomb}vars: {{x: *a59}}\n")
    assert found == {}
    assert "holds more than 100,000 values" in problems[0]
