"""Routes that tell about the server itself: its catalogue, its health, its own description."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web
from pydantic import RootModel

from sdgraph import __version__
from sdgraph.core.catalog import catalog
from sdgraph.server.routing import Route, answer
from sdgraph.server.schemas import Health
from sdgraph.server.state import STATE


class Catalog(RootModel[dict[str, Any]]):
    """Every node type and port type, as `sdgraph nodes --json` prints them."""


async def get_catalog(request: web.Request) -> web.Response:
    """Describe every node type and port type that is installed."""
    state = request.app[STATE]
    return answer(Catalog(await state.aside(catalog, state.registry)))


async def get_health(request: web.Request) -> web.Response:
    """Say that the server works."""
    uptime_s = time.monotonic() - request.app[STATE].started_s
    return answer(Health(status="ok", version=__version__, uptime_s=round(uptime_s, 3)))


ROUTES = (
    Route("GET", "/api/catalog", get_catalog, Catalog),
    Route("GET", "/api/health", get_health, Health),
)
