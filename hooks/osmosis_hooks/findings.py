"""What the commands have found, in the forms that people and their platforms read.

``text`` is one line a finding, as compilers write them. ``github`` is GitHub's workflow commands
(https://docs.github.com/actions/reference/workflow-commands-for-github-actions), ``gitlab`` its Code Quality report
(https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format), ``sarif`` SARIF 2.1.0
(https://docs.oasis-open.org/sarif/sarif/v2.1.0/), ``json`` the command's own report.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

from osmosis_hooks.output import write_json
from osmosis_synthesize import __version__
from osmosis_synthesize.project import shown

Rule = Literal["gap", "too-long", "contradiction", "unreviewed", "drift", "left", "filled"]
Level = Literal["error", "warning", "note"]

RULES: Final[dict[Rule, tuple[Level, str]]] = {
    "gap": ("error", "A description is missing"),
    "too-long": ("error", "A description is longer than the warehouse takes"),
    "contradiction": ("error", "Two descriptions of copies of one column differ"),
    "unreviewed": ("error", "Nobody has accepted a generated description yet"),
    "drift": ("error", "What a description was made from has changed"),
    "left": ("warning", "A description could not be filled"),
    "filled": ("note", "A description was filled"),
}
"""How grave each is, and what it means in general."""


class Finding(NamedTuple):
    """Something to say about one place."""

    rule: Rule
    file: Path
    line: int
    character: int
    """Both from 1."""
    subject: str
    """What it is about, the same from one run to the next: a node's or column's name."""
    message: str

    @property
    def level(self) -> Level:
        """How grave it is."""
        return RULES[self.rule][0]


def is_machine_read(options: argparse.Namespace) -> bool:
    """Whether standard output is for a program, so that nothing else may be written to it."""
    return str(options.json) == "-" or options.format in {"gitlab", "sarif", "json"}


def emit(findings: Sequence[Finding], options: argparse.Namespace, report: Callable[[], Mapping[str, Any]]) -> None:
    """Write findings to standard output in the form that the options ask for, and the report where ``--json`` says.

    Raises:
        WriteError: the report cannot be written.
    """
    if options.json is not None:
        write_json(options.json, report())
    if str(options.json) == "-":
        return
    match options.format:
        case "json":
            write_json(Path("-"), report())
        case "sarif":
            _print_json(_sarif(findings))
        case "gitlab":
            _print_json([_gitlab(finding) for finding in findings])
        case "github":
            for finding in findings:
                print(_github(finding))
        case _:
            for finding in findings:
                print(f"{shown(finding.file)}:{finding.line}:{finding.character}: {finding.message}")


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()


def _github(finding: Finding) -> str:
    command = {"error": "error", "warning": "warning", "note": "notice"}[finding.level]
    properties = {
        "file": shown(finding.file),
        "line": str(finding.line),
        "col": str(finding.character),
        "title": RULES[finding.rule][1],
    }
    said = ",".join(
        f"{name}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}" for name, value in properties.items()
    )
    return f"::{command} {said}::{_escaped(finding.message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _gitlab(finding: Finding) -> dict[str, Any]:
    return {
        "description": finding.message,
        "check_name": f"osmosis-{finding.rule}",
        "fingerprint": _fingerprint(finding),
        "severity": {"error": "major", "warning": "minor", "note": "info"}[finding.level],
        "location": {"path": shown(finding.file), "lines": {"begin": finding.line}},
    }


def _fingerprint(finding: Finding) -> str:
    """The same for the same finding, wherever its line has moved to."""
    return hashlib.sha256(f"{finding.rule}\0{shown(finding.file)}\0{finding.subject}".encode()).hexdigest()


def _sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    rules: list[Rule] = list(dict.fromkeys(finding.rule for finding in findings))
    return {
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "osmosis-synthesize",
                        "version": __version__,
                        "rules": [
                            {
                                "id": rule,
                                "shortDescription": {"text": RULES[rule][1]},
                                "defaultConfiguration": {"level": RULES[rule][0]},
                            }
                            for rule in rules
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, rules.index(finding.rule)) for finding in findings],
            }
        ],
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    name = shown(finding.file)
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "level": finding.level,
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": finding.file.as_uri() if Path(name).is_absolute() else quote(name)},
                    "region": {"startLine": finding.line, "startColumn": finding.character},
                }
            }
        ],
        "partialFingerprints": {"osmosis/v1": _fingerprint(finding)},
    }
