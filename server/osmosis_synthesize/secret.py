"""A value that must never be shown."""

from __future__ import annotations

from typing import Final, final


@final
class Secret:
    """Holds a key. ``str()``, ``repr()``, formatting and pickling never give it away; :meth:`reveal` does."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, *, origin: str) -> None:
        self._value: Final = value
        self.origin: Final = origin
        """Where the key came from, for messages: ``OPENAI_API_KEY``, ``the editor's secret store``."""

    def reveal(self) -> str:
        """The key itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret(origin={self.origin!r})"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not to be pickled")
