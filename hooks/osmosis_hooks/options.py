"""The options of each command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from osmosis_synthesize import __version__

if TYPE_CHECKING:
    import datetime as dt

_SOURCE_SUFFIXES = frozenset({".yml", ".yaml", ".sql", ".py", ".csv"})

_EXIT_CODES = """\
exit codes:
  0  nothing to do, or nothing changed
  1  files were changed (as formatters do under pre-commit), `check` found gaps, or `drift` found something
  2  the command line, the settings or the project are wrong
  3  a provider failed, under --strict
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What a command line asks for; leaves by ``SystemExit`` where it asks for help, or cannot be understood."""
    options = _parser().parse_args(arguments)
    _mend_json(options)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="osmosis-synthesize",
        description="Fill the missing descriptions of a dbt project: inherited where they can be, cached where they "
        "were paid for, generated inside a budget where they must be.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="fill the gaps of schema files")
    _add_scope(run)
    _add_filling(run)
    run.add_argument(
        "--facts", action="store_true", help="state of what is left then what the project itself proves; free"
    )
    run.add_argument("--parse", action="store_true", help="have dbt write the manifest first: `dbt parse`")
    run.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="end after so long, with what is done by then"
    )
    run.add_argument(
        "--limit", type=_number, metavar="N", help="at most so many nodes, parents first; run again for the next ones"
    )
    run.add_argument(
        "--batch",
        choices=["submit", "status", "collect"],
        help="through the batch API of OpenAI or Anthropic, at half the price: hand calls in, ask how far they are, or write "
        "what came back; then hand in those that waited for it",
    )
    run.add_argument("--quiet", action="store_true", help="say only what went wrong")
    run.add_argument("--diff", action="store_true", help="print a unified diff, write nothing")
    _add_json(run)
    _add_format(run)
    _add_markdown(run)
    run.add_argument("--strict", action="store_true", help="a provider's failure is an error, not a warning")

    check = commands.add_parser(
        "check", help="list gaps and texts that are too long, write nothing; exit 1 if there is one"
    )
    _add_scope(check)
    wanted = check.add_mutually_exclusive_group()
    wanted.add_argument(
        "--min-coverage", type=_percent, metavar="PERCENT", help="gaps fail only below this share of descriptions"
    )
    wanted.add_argument(
        "--consistency",
        action="store_true",
        help="list, instead of gaps, columns whose descriptions differ from those of the columns they are copies of",
    )
    wanted.add_argument(
        "--reviewed",
        action="store_true",
        help="list, instead of gaps, generated texts that no human has accepted yet",
    )
    _add_json(check)
    _add_format(check)
    _add_markdown(check)

    review = commands.add_parser("review", help="list generated texts that no human has accepted yet")
    _add_scope(review)
    review.add_argument(
        "--accept", action="store_true", help="accept them as they stand, and those that have drifted"
    )
    _add_json(review)
    _add_format(review)

    drift = commands.add_parser(
        "drift",
        help="list generated texts whose SQL, or whose texts upstream, have changed since; exit 1 if there is one",
    )
    _add_scope(drift)
    _add_json(drift)
    _add_format(drift)

    estimate = commands.add_parser("estimate", help="what `run` would do, call by call, and cost; calls nobody")
    _add_scope(estimate)
    _add_filling(estimate)

    demo = commands.add_parser("demo", help="copy the demo project to a folder, fill its gaps, show what was done")
    demo.add_argument(
        "directory", nargs="?", type=Path, default=Path("osmosis-demo"), metavar="DIR", help="default: %(default)s"
    )

    cache = commands.add_parser(
        "cache", help="the replies that were paid for: where they are, how many, carry them elsewhere"
    )
    cache.add_argument("action", choices=["path", "stats", "clear", "export", "import"])
    cache.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="JSON lines to write or read; default: standard output or input",
    )

    cache.add_argument(
        "--project-dir",
        type=Path,
        metavar="DIR",
        help="default: found upward from here; matters if it has a cache_dir",
    )

    spend = commands.add_parser("spend", help="what calls cost")
    spend.add_argument(
        "--since", type=_moment, metavar="DATE", help="2026-01-31, or 7d for the last seven days; default: ever"
    )
    spend.add_argument(
        "--by", choices=["model", "project", "node", "day"], default="model", help="default: %(default)s"
    )
    _add_json(spend)
    return parser


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=Path("-"),
        metavar="PATH",
        help="write a machine-readable report to PATH, or to standard output",
    )


def _add_format(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        choices=["text", "github", "gitlab", "sarif", "json"],
        default="text",
        help="how to print what was found: lines, annotations for GitHub, GitLab's Code Quality, SARIF, JSON; default: %(default)s",
    )


def _add_markdown(command: argparse.ArgumentParser) -> None:
    command.add_argument("--markdown", type=Path, metavar="PATH", help="write a report for a pull request to PATH")


def _add_scope(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="schema files; a model's .sql file stands for its schema file",
    )
    command.add_argument("--project-dir", type=Path, metavar="DIR", help="default: found upward from the files")
    command.add_argument("--manifest", type=Path, metavar="PATH", help="default: target/manifest.json")
    command.add_argument("--catalog", type=Path, metavar="PATH", help="default: target/catalog.json")
    command.add_argument("--all", action="store_true", help="every schema file of the project")
    command.add_argument(
        "--hook",
        action="store_true",
        help="pass over files that are none of a dbt project's own, instead of complaining; so pre-commit calls it",
    )
    command.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="SELECTOR",
        help="only what a name or one of dbt's selectors means: orders, +orders, tag:daily, path:models/marts, …; "
        "may be repeated",
    )


def _add_filling(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--add-columns",
        action="store_true",
        help="add the columns that the catalog or the SQL has and a schema file lacks",
    )
    command.add_argument(
        "--upstream",
        action="store_true",
        help="describe columns upstream first, where several gaps would inherit from them",
    )
    command.add_argument("--inherit-only", action="store_true", help="spend nothing at all")
    command.add_argument("--offline", action="store_true", help="no network: inheritance, the cache, and `facts`")
    command.add_argument(
        "--llm-provider",
        metavar="NAME",
        help="openai, azure, anthropic, ollama, openai-compatible, facts, or an installed one",
    )
    command.add_argument("--llm-model", metavar="NAME")
    command.add_argument("--llm-base-url", metavar="URL")
    command.add_argument("--llm-max-cost", metavar="USD", help="the most that this run may cost")
    command.add_argument("--llm-dry-run", action="store_true", default=None, help="call no provider")
    command.add_argument(
        "--llm-cache", action=argparse.BooleanOptionalAction, default=None, help="use cached replies"
    )
    command.add_argument(
        "--debug-prompts", type=Path, metavar="DIR", help="write each prompt and reply to a file in DIR"
    )
    command.add_argument("--llm-concurrency", metavar="N", help="calls under way at once")


def _mend_json(options: argparse.Namespace) -> None:
    """In ``--json FILE.yml`` the file is what is meant to be read: a report is never written over a source file."""
    given: Path | None = vars(options).get("json")
    if given is not None and given.suffix.lower() in _SOURCE_SUFFIXES:
        options.files = [given, *options.files]
        options.json = Path("-")


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no percentage from 0 to 100")
    return value


def _number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value


def _moment(text: str) -> dt.datetime:
    import datetime as dt

    try:
        if text.endswith("d"):
            return dt.datetime.now().astimezone() - dt.timedelta(days=int(text[:-1]))
        return dt.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"{text} is no date like 2026-01-31 and no number of days like 7d"
        ) from error
