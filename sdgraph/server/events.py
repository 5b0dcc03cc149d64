"""`/api/events`: the WebSocket on which clients hear of runs.

A client says from where: `{"after": seq, "run_id": id}`, both optional, and may say so again. It gets every stored
event after that number, once and in order; progress, which is not stored; and previews as binary messages. A client
that does not read is disconnected with code 4008, and goes on from the last number it has when it comes back.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress

from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sdgraph.core.spec import explain_validation
from sdgraph.errors import Problem
from sdgraph.server.hub import EventHub
from sdgraph.server.problems import problem_response
from sdgraph.server.routing import Route
from sdgraph.server.subscription import Subscription

_log = logging.getLogger("sdgraph.server")
HUB = web.AppKey("hub", EventHub)
_SOCKETS: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("sockets", set)

MAX_SOCKETS = 500
_MAX_MESSAGE_BYTES = 4096
_HEARTBEAT_S = 20.0
_SLOW_S = 20.0
"""How long a client may take to read a message."""
NOT_UNDERSTOOD = 4400
TOO_SLOW = 4008


class Subscribe(BaseModel):
    """What a client wants to hear."""

    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(None, ge=0, lt=2**63)
    """Number of the last event that it has; without it, only what happens from now on."""
    run_id: str | None = Field(None, max_length=100)
    """Only of this run."""


async def get_events(request: web.Request) -> web.StreamResponse:
    """Tell of runs over a WebSocket, from where the client left off."""
    sockets = request.app[_SOCKETS]
    if len(sockets) >= MAX_SOCKETS:
        message = f"{len(sockets)} clients listen already, and that is all the server takes."
        return problem_response([Problem("too-many-listeners", message, "Close other windows of the editor.")])
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=_MAX_MESSAGE_BYTES, compress=False)
    await socket.prepare(request)
    sockets.add(socket)
    try:
        await _serve(request.app[HUB], socket)
    finally:
        sockets.discard(socket)
    return socket


ROUTES = (Route("GET", "/api/events", get_events, None, status=101),)


def add_hub(app: web.Application, hub: EventHub) -> None:
    """Let an application tell of the hub's events. It starts the hub before and stops it after everything else."""
    app[HUB] = hub
    app[_SOCKETS] = set()
    app.on_startup.insert(0, _start)
    app.on_shutdown.append(_close_sockets)
    app.on_cleanup.append(_stop)


async def _serve(hub: EventHub, socket: web.WebSocketResponse) -> None:
    """Hear what the client wants until it goes, and send it that."""
    sending: asyncio.Task[None] | None = None
    try:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                await socket.close(code=NOT_UNDERSTOOD, message=b"send JSON text")
                return
            try:
                wanted = Subscribe.model_validate_json(message.data)
            except ValidationError as error:
                await socket.close(code=NOT_UNDERSTOOD, message=explain_validation(error).encode()[:120])
                return
            await _end(sending)
            sending = asyncio.create_task(_send_all(Subscription(hub, wanted.after, wanted.run_id), socket))
    finally:
        await _end(sending)


async def _send_all(subscription: Subscription, socket: web.WebSocketResponse) -> None:
    try:
        async with aclosing(subscription.items()) as items:
            async for item in items:
                async with asyncio.timeout(_SLOW_S):
                    await (socket.send_str(item) if isinstance(item, str) else socket.send_bytes(item))
    except TimeoutError:
        await socket.close(code=TOO_SLOW, message=b"too slow; come back with the last number", drain=False)
    except (ConnectionError, RuntimeError):  # it went away meanwhile
        pass
    except Exception:
        _log.exception("a client can't be told of events")
        await socket.close(code=1011)
    finally:
        subscription.close()


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _start(app: web.Application) -> None:
    await app[HUB].start()


async def _stop(app: web.Application) -> None:
    await app[HUB].stop()


async def _close_sockets(app: web.Application) -> None:
    await asyncio.gather(*(socket.close(code=1001, message=b"the server stops") for socket in tuple(app[_SOCKETS])))
