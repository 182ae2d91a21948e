"""dbt-osmosis with this engine: ``python -m osmosis_synthesize.llm yaml document --synthesize …``.

Everything but ``--llm-…`` is passed on to dbt-osmosis.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from osmosis_synthesize.errors import OsmosisError
from osmosis_synthesize.llm.install import install


def main(argv: Sequence[str] | None = None) -> int:
    """Run dbt-osmosis and give its exit code; 2 where it could not be run, or the settings are wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if arguments[:1] in ([], ["-h"], ["--help"]):
        parser.print_help()
        return 0
    options, rest = parser.parse_known_args(arguments)
    try:
        install({name: value for name, value in vars(options).items() if value is not None})
        return _dbt_osmosis(rest)
    except OsmosisError as error:
        print(f"osmosis-synthesize: {error}", file=sys.stderr)  # noqa: T201 - a command line prints
        return error.exit_code


def _dbt_osmosis(arguments: list[str]) -> int:
    command_line: Any = import_module("dbt_osmosis.cli.main")
    try:
        command_line.cli(arguments, prog_name="dbt-osmosis")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m osmosis_synthesize.llm",
        usage="%(prog)s [--llm-… …] yaml document|refactor --synthesize [dbt-osmosis's options]",
        description="Run dbt-osmosis with this engine behind --synthesize. Everything but --llm-… is passed on to it.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("--llm-provider", dest="provider", metavar="NAME", help="openai, azure, anthropic, ollama, …")
    parser.add_argument("--llm-model", dest="model", metavar="NAME")
    parser.add_argument("--llm-base-url", dest="base_url", metavar="URL")
    parser.add_argument(
        "--llm-max-cost", dest="max_cost_per_run", metavar="USD", help="the most that this run may cost"
    )
    parser.add_argument("--llm-dry-run", dest="dry_run", action="store_true", default=None, help="call no provider")
    parser.add_argument(
        "--llm-cache",
        dest="cache",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="use and keep replies",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
