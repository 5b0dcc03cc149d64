"""Routes that tell about the server itself: its catalogue, its health, its own description."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web
from pydantic import RootModel

from sdgraph import __version__
from sdgraph.core.catalog import catalog
from sdgraph.server.routing import Route, answer
from sdgraph.server.schemas import Health, WorkerHealth
from sdgraph.server.state import STATE, Workplace


class Catalog(RootModel[dict[str, Any]]):
    """Every node type and port type, as `sdgraph nodes --json` prints them."""


async def get_catalog(request: web.Request) -> web.Response:
    """Describe every node type and port type that is installed."""
    state = request.app[STATE]
    return answer(Catalog(await state.aside(catalog, state.registry)))


async def get_health(request: web.Request) -> web.Response:
    """Say that the server works, what its workers do, and whether they are ready."""
    state = request.app[STATE]
    return answer(
        Health(
            status="ok",
            version=__version__,
            uptime_s=round(time.monotonic() - state.started_s, 3),
            ready=all(worker.is_ready for worker in state.workers),
            workers=[_health_of(worker) for worker in state.workers],
        )
    )


def _health_of(worker: Workplace) -> WorkerHealth:
    warm = [{"workflow": name, **report} for name, report in worker.warmed.items()]
    said = {name: worker.vitals[name] for name in ("models_bytes", "models") if name in worker.vitals}
    found = {"name": worker.name, "state": worker.state, "starts": worker.starts, "warming": worker.warming}
    return WorkerHealth.model_validate({**found, **said, "warm": warm})


ROUTES = (
    Route("GET", "/api/catalog", get_catalog, Catalog),
    Route("GET", "/api/health", get_health, Health),
)
