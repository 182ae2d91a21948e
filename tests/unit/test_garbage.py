"""When Python searches for garbage."""

from __future__ import annotations

import gc
import subprocess
import sys
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


def test_what_was_read_is_old_at_once_and_what_is_passed_over_stays_so() -> None:
    script = """
import gc
from osmosis_synthesize.garbage import settle, unsearched

with unsearched():
    read = [[number] for number in range(1000)]
print(len(gc.get_objects(generation=0)) < 1000, sum(one is read for one in gc.get_objects(generation=2)))
settle()
passed_over = gc.get_freeze_count()
with unsearched():
    more = [[number] for number in range(1000)]
print(gc.get_freeze_count() == passed_over > 1000, gc.isenabled())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True 1\nTrue True\n"
