"""A server that gives and takes files, alone, and pictures to send to it."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, web
from PIL import Image

from sdgraph.server.guard import add_security_headers, guarding, make_guard
from sdgraph.server.kept import Kept, add_kept
from sdgraph.server.problems import errors_as_problems
from sdgraph.server.results import ROUTES as RESULTS
from sdgraph.server.uploads import ROUTES as UPLOADS

LIMIT = 400_000


@dataclass(frozen=True)
class Files:
    """The server, its home folder, and a client."""

    home: Path
    port: int
    client: ClientSession

    async def ask(self, method: str, path: str, data: Any = None, **headers: str) -> tuple[ClientResponse, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.client.request(method, url, data=data, headers=sent) as reply:
            return reply, await reply.read()

    async def upload(self, content: Any, kind: str = "image/png", **headers: str) -> Any:
        """The answer's status and its JSON."""
        reply, _ = await self.ask("POST", "/api/uploads", content, Content_Type=kind, **headers)
        return reply.status, await reply.json(content_type=None)

    @property
    def left(self) -> list[Path]:
        """Files in the home folder that are neither kept pictures nor thumbnails of them."""
        return [path for path in self.home.rglob("*") if path.is_file() and "incoming" in path.parts]


@asynccontextmanager
async def giving(home: Path) -> AsyncGenerator[Files]:
    guard = make_guard("127.0.0.1", None)
    app = web.Application(client_max_size=1000, middlewares=[errors_as_problems, guarding(guard)])
    for route in (*RESULTS, *UPLOADS):
        app.router.add_route(route.method, route.path, route.handle)
    app.on_response_prepare.append(add_security_headers)
    add_kept(app, Kept.in_home(home, LIMIT))
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession() as client:
            yield Files(home, runner.addresses[0][1], client)
    finally:
        await runner.cleanup()


def with_files(use: Callable[[Files], Awaitable[None]], home: Path) -> None:
    async def run() -> None:
        async with giving(home) as files:
            await use(files)

    asyncio.run(run())


def picture(kind: str = "PNG", width_px: int = 30, height_px: int = 20, **options: Any) -> bytes:
    target = BytesIO()
    pixels = bytes((x * 7 + y * 3) % 256 for y in range(height_px) for x in range(width_px) for _ in range(3))
    Image.frombytes("RGB", (width_px, height_px), pixels).save(target, kind, **options)
    return target.getvalue()


def png_of(width_px: int, height_px: int, rows: bytes) -> bytes:
    """A PNG whose header says what its data need not be."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
