"""When Python searches for garbage."""

from __future__ import annotations

import gc
import weakref

from osmosis_synthesize.garbage import seldom_searched


class Cyclic:
    def __init__(self) -> None:
        self.me = self


def test_what_is_there_is_passed_over_and_what_comes_is_searched_seldom() -> None:
    before = gc.get_threshold()
    there = Cyclic()
    assert any(one is there for one in gc.get_objects())
    try:
        with seldom_searched():
            assert gc.get_threshold()[0] > before[0]
            assert not any(one is there for one in gc.get_objects())
            lost = weakref.ref(Cyclic())
            for _ in range(2 * gc.get_threshold()[0]):
                _ = Cyclic()
            assert lost() is None, "it is searched still"
        assert gc.get_threshold() == before
    finally:
        gc.unfreeze()
