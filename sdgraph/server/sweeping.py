"""When the server looks whether its folders are within their budgets: at its start, and after runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

from sdgraph.server.state import STATE, ServerState

_log = logging.getLogger("sdgraph.server")
_PAUSE_S = 30.0
"""Between two looks at least: large folders take a while."""


async def sweeping(app: web.Application) -> AsyncGenerator[None]:
    """Sweep while the application runs: a context of its clean-up."""
    state, due = app[STATE], asyncio.Event()
    due.set()

    def see(event: Mapping[str, Any]) -> None:
        if event["type"] == "run_finished":
            due.set()

    state.hub.observers.append(see)
    task = asyncio.create_task(_sweep(state, due), name="sweeping")
    yield
    state.hub.observers.remove(see)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _sweep(state: ServerState, due: asyncio.Event) -> None:
    while True:
        await due.wait()
        due.clear()
        try:
            await state.kept.aside(state.janitor.sweep)
        except Exception:  # the server works without
            _log.exception("the folders could not be swept")
        await asyncio.sleep(_PAUSE_S)
