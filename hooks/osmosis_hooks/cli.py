"""The command line: ``osmosis-synthesize run|check|estimate|review|drift|demo|cache|spend``.

Each command is a module that is imported when it is asked for, so that ``check`` never pays for what ``run`` needs; and
the options are one, too, since a ``check`` of files that are complete needs none.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code. ``argv`` is without the program's name; ``None`` means the process's."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments and arguments[0] == "check":
        from osmosis_hooks.glance import all_described

        if all_described(arguments[1:]):
            return 0
    from importlib import import_module

    from osmosis_hooks.options import parse
    from osmosis_synthesize.errors import OsmosisError

    options = parse(arguments)
    run: Callable[[argparse.Namespace], int] = import_module(f"osmosis_hooks.{options.command}").main
    try:
        return run(options)
    except OsmosisError as error:
        print(f"osmosis-synthesize: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("osmosis-synthesize: stopped; what was finished is written.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain again when it flushes standard output at exit.
        sys.stdout = None
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
