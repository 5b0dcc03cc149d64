"""The application: all routes behind the guard, and the server that runs them until it is told to stop."""

from __future__ import annotations

from aiohttp import web

from sdgraph.core.document import MAX_FILE_BYTES
from sdgraph.models.inventory import Inventory
from sdgraph.server import (
    about,
    editing,
    events,
    installed,
    metrics,
    planning,
    previews,
    results,
    running,
    saved,
    shipped,
    uploads,
)
from sdgraph.server.editor import add_editor
from sdgraph.server.events import add_hub
from sdgraph.server.guard import Guard, add_security_headers, guarding
from sdgraph.server.kept import add_kept
from sdgraph.server.openapi import openapi
from sdgraph.server.problems import errors_as_problems
from sdgraph.server.routing import Route
from sdgraph.server.state import STATE, ServerState
from sdgraph.server.sweeping import sweeping

ROUTES: tuple[Route, ...] = (
    *about.ROUTES,
    *planning.ROUTES,
    *editing.ROUTES,
    *installed.ROUTES,
    *running.ROUTES,
    *events.ROUTES,
    *previews.ROUTES,
    *results.ROUTES,
    *shipped.ROUTES,
    *uploads.ROUTES,
    *saved.ROUTES,
    *metrics.ROUTES,
)
_MAX_BODY_BYTES = MAX_FILE_BYTES + 2**20
"""A workflow of the largest size, and the values of its inputs."""


def make_app(state: ServerState, guard: Guard) -> web.Application:
    """The application with its routes, for a server that `guard` keeps."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[errors_as_problems, guarding(guard)])
    app[STATE] = state
    description = openapi(ROUTES)

    async def get_openapi(request: web.Request) -> web.Response:
        """Describe the routes (this document)."""
        return web.json_response(description)

    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.handle)
    app.router.add_get("/api/openapi.json", get_openapi)
    app.on_response_prepare.append(add_security_headers)
    app.on_startup.append(_begin)
    app.on_cleanup.append(_end)
    app.cleanup_ctx.append(sweeping)
    add_hub(app, state.hub)
    add_kept(app, state.kept)
    app[metrics.METRICS] = state.metrics
    app[installed.INVENTORY] = Inventory()
    add_editor(app)
    return app


async def _begin(app: web.Application) -> None:
    await app[STATE].dispatcher.start()


async def _end(app: web.Application) -> None:
    await app[STATE].dispatcher.stop()
    app[STATE].threads.shutdown(wait=True, cancel_futures=True)
