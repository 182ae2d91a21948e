"""A time limit breaks off whatever is being done, also where an exception does not get through at once."""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref
from typing import Any

import pytest

from osmosis_hooks.limit import TimeLimit, TimeUp

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="without a timer the limit is checked before only"
)


LONG = 30
"""Seconds that nobody should have to wait."""


class Thing:
    """Something that one can refer to weakly."""


def test_an_alarm_that_falls_into_a_callback_rings_again() -> None:
    heard: list[bool] = []

    def wait(_: object) -> None:
        try:
            threading.Event().wait(LONG)
        finally:
            heard.append(True)

    def work() -> None:
        thing = Thing()
        reference = weakref.ref(thing, wait)
        del thing
        assert reference() is None
        threading.Event().wait(LONG)

    started = time.monotonic()
    with pytest.raises(TimeUp), TimeLimit(0.05).enforced():
        work()
    assert heard
    assert time.monotonic() - started < LONG


def test_who_goes_on_is_stopped_at_the_end() -> None:
    def deaf() -> None:
        try:
            threading.Event().wait(LONG)
        except BaseException:  # noqa: BLE001 - what is tried here
            return

    with pytest.raises(TimeUp), TimeLimit(0.05).enforced():
        deaf()


def test_all_is_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGALRM), sys.unraisablehook
    with TimeLimit(60).enforced():
        pass
    with pytest.raises(TimeUp), TimeLimit(0.05).enforced():
        threading.Event().wait(LONG)
    assert (signal.getsignal(signal.SIGALRM), sys.unraisablehook) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_others_exceptions_in_callbacks_are_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def tell(unraisable: Any) -> None:
        told.append(unraisable.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", tell)
    fault = ValueError("a fault")

    def fail(_: object) -> None:
        raise fault

    with TimeLimit(60).enforced():
        thing = Thing()
        reference = weakref.ref(thing, fail)
        del thing
        assert reference() is None
    assert told == [fault]
