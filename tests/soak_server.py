"""The language server with a window in its side: ``test/census`` tells what it holds. For the soak test alone."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

from osmosis_synthesize.lsp import server as module
from osmosis_synthesize.lsp.main import main
from osmosis_synthesize.lsp.session import Session

make_server = module.make_server


def _name(thread: threading.Thread) -> str:
    return thread.name


def make_server_with_window() -> tuple[Any, Session]:
    server, session = make_server()
    protocol: Any = server.protocol

    async def census(*_: object) -> dict[str, Any]:
        gc.collect()
        return {
            "tasks": sorted(task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()),
            "futures": sorted(map(str, protocol._request_futures)),
            "results": sorted(map(str, protocol._result_types)),
            # asyncio's own, for looking up names, are a few and stay.
            "threads": sorted(name for name in map(_name, threading.enumerate()) if not name.startswith("asyncio_")),
            "jobs": len(session.jobs),
            "runs": len(session.runs),
            "texts": [[text.uri, text.text] for text in session.texts],
        }

    server.feature("test/census")(census)
    return server, session


if __name__ == "__main__":
    module.make_server = make_server_with_window
    raise SystemExit(main())
