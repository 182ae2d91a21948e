"""What the server is doing, for a client that wants to know: ``$/logTrace``. Names, places and times; never a text or a key."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, cast

from lsprotocol import types

_SHOWN: Final = frozenset(
    {"uri", "version", "position", "range", "start", "end", "line", "character", "command", "token", "trigger_kind"}
)
"""The fields of parameters that say where and what, and hold no text of anybody's."""


class Trace:
    """Silent unless the client asks for it, by ``initialize`` or ``$/setTrace``."""

    def __init__(self, send: Callable[[str, object], None]) -> None:
        """``send`` sends a notification."""
        self._send: Final = send
        self._level = types.TraceValue.Off
        self._began: Final = dict[str | int, tuple[str, float]]()

    def set(self, level: types.TraceValue | str | None) -> None:
        """How much to tell from now on."""
        self._level = types.TraceValue(level or types.TraceValue.Off)
        if self._level is types.TraceValue.Off:
            self._began.clear()

    def received(self, method: str, params: object, msg_id: str | int | None = None) -> None:
        """A request, or without an id a notification, has come."""
        if self._level is types.TraceValue.Off:
            return
        if msg_id is not None:
            self._began[msg_id] = method, time.monotonic()
        name = f"notification {method}" if msg_id is None else f"request {method} ({msg_id})"
        self._tell(f"Received {name}", _where(params))

    def answered(self, msg_id: str | int, error: types.ResponseError | None) -> None:
        """A request of the client's has its answer."""
        method, began = self._began.pop(msg_id, ("", 0.0))
        if method:
            came = "done" if error is None else f"error {error.code}"
            self._tell(f"Answered {method} ({msg_id}): {came}, {1000 * (time.monotonic() - began):.1f} ms", None)

    def sent(self, method: str) -> None:
        """A request goes to the client."""
        if self._level is not types.TraceValue.Off:
            self._tell(f"Sent request {method}", None)

    def _tell(self, message: str, detail: str | None) -> None:
        verbose = detail if self._level is types.TraceValue.Verbose else None
        self._send(types.LOG_TRACE, types.LogTraceParams(message, verbose))


def _where(params: object) -> str | None:
    """What a message is about: the fields of its parameters that are shown, at whatever depth."""
    return ", ".join(_shown(params)) or None


def _shown(value: object, name: str = "") -> list[str]:
    fields: Any = getattr(type(value), "__attrs_attrs__", None)
    if fields is None:
        return [f"{name} {value}"] if name in _SHOWN and isinstance(value, str | int) else []
    return [
        text for field in cast("tuple[Any, ...]", fields) for text in _shown(getattr(value, field.name), field.name)
    ]
