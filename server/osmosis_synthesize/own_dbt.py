"""The user's own dbt, as the command line and the language server start and end it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Final

from osmosis_synthesize.settings.keys import without_keys

KILL: Final = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL

_QUIET: Final = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "DBT_USE_COLORS": "false"}
"""No telemetry, in the words of dbt 1.x and of 2.x, and no colours in what is passed on."""


def program(name: str, *, folder: Path | None = None) -> str | None:
    """The file that the shell would start, or the one in ``folder``; ``None`` where there is none."""
    found = shutil.which(name, path=str(folder) if folder is not None else None)
    # Windows looks into the working folder first, which may be the repository: that names no executables.
    return found if found is not None and Path(found).is_absolute() else None


def in_project(project_dir: Path) -> dict[str, Any]:
    """How a process is started that runs dbt in a project: without keys, for Jinja can read and print them, and ours to end."""
    return {
        "cwd": project_dir,
        "env": without_keys(os.environ) | _QUIET,
        "start_new_session": True,  # so that all that it starts can be ended with it
    }


def end(pid: int, number: signal.Signals = KILL) -> None:
    """Send a signal to a process that :func:`in_project` has started, and to all that it has started itself."""
    try:
        if sys.platform == "win32":
            os.kill(pid, number)
        else:
            os.killpg(pid, number)
    except ProcessLookupError:
        pass  # all of it has ended
