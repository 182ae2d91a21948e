"""What the commands write for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osmosis_hooks.output import write_json

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\n", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports") / "report.json"


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), VALUES, min_size=1, max_size=3))
def test_a_report_written_piece_by_piece_is_what_json_makes_of_it(file: Path, report: dict[str, Any]) -> None:
    pieces: dict[str, Any] = {
        name: iter(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType]  # JSON
        for name, value in report.items()
    }
    write_json(file, pieces)
    assert file.read_text("utf-8") == json.dumps(report, indent=2, ensure_ascii=False) + "\n"
