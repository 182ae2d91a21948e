"""When Python may search for garbage: it looks at everything that there is, and nobody is answered meanwhile.

Manifests and documents are never a part of it. They hold no cycles, so what nobody needs any more is gone at once.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

_settled = gc.get_freeze_count() > 0
"""Whether there are objects that the search passes over. To ask Python each time would be to count them."""


def settle() -> None:
    """Have the search pass over what has come to stay, a project and its files: it takes long otherwise."""
    gc.collect()
    _pass_over()


def _pass_over() -> None:
    global _settled  # noqa: PLW0603 - it is the process's
    _settled = True
    gc.freeze()


_SELDOM: Final = 20_000
"""Objects more than were there before, until it is searched; Python's own number is 700."""


@contextmanager
def seldom_searched() -> Generator[None]:
    """What is there already is passed over from now on, and the rest is searched seldom: for a command that has read its
    project, and whose process ends when it is done. One search of all took 0.15 s in the middle of a run of 4 s.
    """
    _pass_over()
    before = gc.get_threshold()
    gc.set_threshold(_SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def unsearched() -> Generator[None]:
    """No search while much is read, or made that has no cycles: it would walk all of a growing tree again and again, which takes
    a third of the time.

    Inside of another one this changes nothing. Of two threads that are at it at once, the first to have begun has it begin
    again at its end.
    """
    was_searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_searched:
            if not _settled:
                # What was made joins the oldest objects, else the next search would walk all of it.
                gc.freeze()
                gc.unfreeze()
            gc.enable()
