"""A hub with a database of its own, and a way to read what a client gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from sdgraph.server.hub import EventHub
from sdgraph.server.runs.database import open_database, sqlite_url
from sdgraph.server.subscription import Subscription


def database(folder: Path) -> Engine:
    return open_database(sqlite_url(folder / "server.sqlite"))


@asynccontextmanager
async def running_hub(engine: Engine, **options: Any) -> AsyncGenerator[EventHub]:
    hub = EventHub(engine, **options)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


def event(number: int, run_id: str = "r", type: str = "node_started", **more: Any) -> dict[str, Any]:
    return {"type": type, "run_id": run_id, "node": f"n{number}", **more}


async def until_told(hub: EventHub, seq: int) -> None:
    while hub.told < seq:
        await asyncio.sleep(0)


async def read(subscription: Subscription, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """What a client gets, JSON parsed, until it has enough of it."""
    found: list[Any] = []
    try:
        async with aclosing(subscription.items()) as items, asyncio.timeout(30):
            if enough(found):
                return found
            async for item in items:
                found.append(json.loads(item) if isinstance(item, str) else item)
                if enough(found):
                    return found
    finally:
        subscription.close()
    return found
