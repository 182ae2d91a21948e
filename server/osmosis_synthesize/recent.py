"""Keeps what was used of late, where all of it would take too much memory and what was let go can be made again."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """The values that were used last, by name: at least ``count`` of them, and at most twice as many.

    Threads may share it: of two that make the same value at once, either may be kept.
    """

    def __init__(self, count: int) -> None:
        self._count: Final = count
        self._young = dict[str, V]()
        self._old = dict[str, V]()

    def get(self, name: str) -> V | None:
        """The value, if it is still here."""
        value = self._young.get(name)
        if value is None:
            value = self._old.get(name)
            if value is not None:
                self.keep(name, value)
        return value

    def keep(self, name: str, value: V) -> None:
        """Keep a value for as long as there is room for it."""
        if len(self._young) >= self._count:
            self._old, self._young = self._young, {}
        self._young[name] = value
