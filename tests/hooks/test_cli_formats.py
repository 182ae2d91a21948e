"""What the commands print for GitHub, GitLab, SARIF readers and pull requests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from osmosis_hooks.cli import main
from small_projects import build, table

ODD = "100%, a: b\nand *more* | <b>@team</b>"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = build(
        tmp_path / "shop",
        table("raw.orders", {"id": ODD, "paid": None}, description="Orders."),
        table(
            "stg_orders",
            {"order_id": None, "paid": None},
            sql="select id as order_id, paid from orders",
            of=["raw.orders"],
        ),
    )
    monkeypatch.chdir(root)
    return root


SCHEMA = "models/_models.yml"


def printed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 1) -> str:
    assert main([*words]) == code
    return capsys.readouterr().out


def decoded(value: str) -> str:
    for escape, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        value = value.replace(escape, character)
    return value


@pytest.mark.usefixtures("shop")
def test_github_reads_each_finding_at_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    plain = printed(capsys, "check", "--all").splitlines()
    lines = printed(capsys, "check", "--all", "--format", "github").splitlines()
    assert len(lines) == len(plain) == 4
    found: list[str] = []
    for line in lines:
        match = re.fullmatch(r"::error ([^:]*)::(.*)", line)
        assert match is not None
        properties = dict(pair.split("=", 1) for pair in match[1].split(","))
        assert properties["title"] == "A description is missing"
        found.append(f"{decoded(properties['file'])}:{properties['line']}:{properties['col']}: {decoded(match[2])}")
    assert found == plain


@pytest.mark.usefixtures("shop")
def test_github_is_told_what_a_run_filled_and_what_it_left(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n", "utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    out = printed(capsys, "run", "--all", "--inherit-only", "--format", "github")
    notices = [line for line in out.splitlines() if line.startswith("::notice")]
    warnings = [line for line in out.splitlines() if line.startswith("::warning")]
    assert len(notices) == 1
    assert "stg_orders.order_id inherited from" in decoded(notices[0])
    assert decoded(notices[0]).endswith("'100%, a: b and *more* | <b>@team</b>'")
    assert len(warnings) == 3
    assert page.read_text("utf-8").startswith(
        "before\n## dbt descriptions\n\n1 of 4 gaps filled (1 inherited), 3 left"
    )


@pytest.mark.usefixtures("shop")
def test_gitlab_knows_a_finding_again_when_its_line_has_moved(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads(printed(capsys, "check", "--all", "--format", "gitlab"))
    for issue in before:
        assert issue.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["location"]["path"] == SCHEMA
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
    assert len({issue["fingerprint"] for issue in before}) == len(before) == 4
    schema = shop / SCHEMA
    schema.write_text("# a comment\n" + schema.read_text("utf-8"), "utf-8")
    after = json.loads(printed(capsys, "check", "--all", "--format", "gitlab"))
    assert [issue["fingerprint"] for issue in after] == [issue["fingerprint"] for issue in before]
    assert [issue["location"]["lines"]["begin"] - 1 for issue in after] == [
        issue["location"]["lines"]["begin"] for issue in before
    ]


@pytest.mark.usefixtures("shop")
def test_sarif_points_from_results_to_rules_and_places(capsys: pytest.CaptureFixture[str]) -> None:
    sarif: dict[str, Any] = json.loads(printed(capsys, "check", "--all", "--format", "sarif"))
    assert sarif["version"] == "2.1.0"
    (run,) = sarif["runs"]
    for result in run["results"]:
        rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert result["level"] == rule["defaultConfiguration"]["level"] == "error"
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == SCHEMA
        assert place["region"]["startLine"] >= 1
    assert len(run["results"]) == 4


@pytest.mark.usefixtures("shop")
def test_json_is_the_report_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "check", "--all", "--format", "json")) == json.loads(
        printed(capsys, "check", "--all", "--json", "-")
    )
    assert json.loads(printed(capsys, "run", "--all", "--inherit-only", "--format", "json"))["filled"]


@pytest.mark.usefixtures("shop")
def test_nothing_found_is_an_empty_report_and_no_annotation(capsys: pytest.CaptureFixture[str]) -> None:
    described = ["check", "--select", "raw.orders", "--min-coverage", "1"]
    assert main(["run", "--all", "--facts", "--offline"]) == 1
    capsys.readouterr()
    assert printed(capsys, "drift", "--all", "--format", "github", code=0) == ""
    assert json.loads(printed(capsys, "drift", "--all", "--format", "gitlab", code=0)) == []
    assert json.loads(printed(capsys, *described, "--format", "json", code=0))["coverage"] > 1


@pytest.mark.usefixtures("shop")
def test_the_report_for_a_pull_request_is_a_table_whatever_a_description_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.md"
    printed(capsys, "run", "--all", "--inherit-only", "--markdown", str(report))
    text = report.read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `stg_orders.order_id`")]
    assert len(rows) == 1
    cells = re.split(r"(?<!\\) \| ", rows[0].strip("| "))
    assert len(cells) == 3
    assert cells[1] == "100%, a: b and \\*more\\* \\| \\<b\\>@\u200bteam\\</b\\>"
    assert "### 3 gaps left" in text
    printed(capsys, "check", "--all", "--markdown", str(report))
    assert re.search(r"\d+\.\d % of 6 places are described", report.read_text("utf-8"))


@pytest.mark.usefixtures("shop")
def test_a_report_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--all", "--markdown", str(tmp_path / "no" / "report.md")]) == 2
    assert "was not written" in capsys.readouterr().err
