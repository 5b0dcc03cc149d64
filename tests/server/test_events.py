"""The event socket as clients meet it: what they hear, who is refused, and what attackers send."""

from __future__ import annotations

import asyncio
import json
import random
import socket as sockets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from sdgraph.engine.worker.frames import Preview
from sdgraph.server import events
from sdgraph.server.events import NOT_UNDERSTOOD, TOO_SLOW, add_hub
from sdgraph.server.guard import guarding, make_guard
from sdgraph.server.hub import EventHub
from sdgraph.server.problems import errors_as_problems
from tests.server.hub import database, event, until_told

TOKEN = "correct horse battery staple"


class Place:
    """A server with the event socket alone, and a client."""

    def __init__(self, hub: EventHub, port: int, client: ClientSession, runner: web.AppRunner) -> None:
        self.hub = hub
        self.port = port
        self.client = client
        self.runner = runner

    async def connect(self, said: Any = None, query: str = "", **headers: str) -> ClientWebSocketResponse:
        socket = await self.client.ws_connect(f"http://127.0.0.1:{self.port}/api/events{query}", headers=headers)
        if said is not None:
            await socket.send_str(json.dumps(said))
        return socket


@asynccontextmanager
async def listening(folder: Path, host: str = "127.0.0.1", token: str | None = None) -> AsyncGenerator[Place]:
    hub = EventHub(database(folder))
    app = web.Application(middlewares=[errors_as_problems, guarding(make_guard(host, token))])
    app.router.add_get("/api/events", events.get_events)
    add_hub(app, hub)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession() as client:
            yield Place(hub, runner.addresses[0][1], client, runner)
    finally:
        await runner.cleanup()


def with_place(use: Callable[[Place], Awaitable[None]], folder: Path, **options: Any) -> None:
    async def run() -> None:
        async with listening(folder, **options) as place:
            await use(place)

    asyncio.run(run())


async def hear(socket: ClientWebSocketResponse, count: int) -> list[Any]:
    return [json.loads(await socket.receive_str(timeout=30)) for _ in range(count)]


async def closed_with(socket: ClientWebSocketResponse) -> int | None:
    """The code with which the server ends the connection."""
    while (await socket.receive(timeout=30)).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
        pass
    return socket.close_code


def test_clients_that_lose_their_connection_again_and_again_hear_everything_once(tmp_path: Path) -> None:
    total = 300

    async def listen(place: Place, seed: int) -> list[int]:
        chance, heard = random.Random(seed), list[int]()
        while len(heard) < total:
            socket = await place.connect({"after": heard[-1] if heard else 0})
            for _ in range(chance.randint(0, 40)):
                if len(heard) < total:
                    heard += [item["seq"] for item in await hear(socket, 1)]
            if chance.random() < 0.5:
                await socket.close()
            else:
                socket._writer.transport.abort()  # the network is gone, and nobody says so
        return heard

    async def use(place: Place) -> None:
        listening = [asyncio.create_task(listen(place, seed)) for seed in range(4)]
        for number in range(total):
            await place.hub.publish(event(number))
            if number % 10 == 0:
                await asyncio.sleep(0)
        for heard in await asyncio.gather(*listening):
            assert heard == list(range(1, total + 1))

    with_place(use, tmp_path)


def test_who_says_nothing_of_numbers_hears_what_happens_from_then_on(tmp_path: Path) -> None:
    async def use(place: Place) -> None:
        for number in range(5):
            await place.hub.publish(event(number))
        await until_told(place.hub, 5)
        socket = await place.connect({})
        while not place.hub.listeners:
            await asyncio.sleep(0)
        await place.hub.publish(event(6))
        assert (await hear(socket, 1))[0]["seq"] == 6

    with_place(use, tmp_path)


def test_a_client_can_ask_again_for_another_run(tmp_path: Path) -> None:
    async def use(place: Place) -> None:
        for number in range(6):
            await place.hub.publish(event(number, run_id="ab"[number % 2]))
        socket = await place.connect({"after": 0, "run_id": "a"})
        assert [item["seq"] for item in await hear(socket, 3)] == [1, 3, 5]
        await socket.send_str('{"after": 0, "run_id": "b"}')
        assert [item["seq"] for item in await hear(socket, 3)] == [2, 4, 6]

    with_place(use, tmp_path)


def test_previews_are_binary_with_a_header_that_says_whose(tmp_path: Path) -> None:
    async def use(place: Place) -> None:
        socket = await place.connect({"after": 0})
        await place.hub.publish(event(1))
        place.hub.show(Preview("r", "n1", b"\xff\xd8picture", "image/jpeg"))
        found: Any = None
        while not isinstance(found, bytes):
            found = (await socket.receive(timeout=30)).data
        length = int.from_bytes(found[:4], "big")
        header = {"type": "preview", "run_id": "r", "node": "n1", "media_type": "image/jpeg"}
        assert json.loads(found[4 : 4 + length]) == header
        assert found[4 + length :] == b"\xff\xd8picture"

    with_place(use, tmp_path)


def read_all(socket: sockets.socket) -> bytes:
    """What is left to read; then the connection is closed."""
    with socket:
        socket.settimeout(30)
        return b"".join(iter(lambda: socket.recv(2**20), b""))


def test_a_client_that_does_not_read_is_disconnected_and_goes_on_from_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_SLOW_S", 0.3)
    total = 400

    async def use(place: Place) -> None:
        slow = sockets.create_connection(("127.0.0.1", place.port))
        slow.sendall(
            b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            b"\x81\x8b\0\0\0\0" + b'{"after":0}'
        )
        while not place.hub.listeners:
            await asyncio.sleep(0.01)
        for number in range(total):
            await place.hub.publish(event(number, filler="x" * 50_000))
        async with asyncio.timeout(30):
            while place.hub.listeners:
                await asyncio.sleep(0.01)
        assert TOO_SLOW.to_bytes(2, "big") in (await asyncio.to_thread(read_all, slow))[-200:]
        socket = await place.connect({"after": 7})
        assert [item["seq"] for item in await hear(socket, total - 7)] == list(range(8, total + 1))

    with_place(use, tmp_path)


@pytest.mark.parametrize(
    "said",
    ["", "no JSON", "[]", '{"after": -1}', '{"after": "x"}', '{"after": 1e400}', '{"after": 9223372036854775808}',
     '{"run_id": 7}', '{"what": 1}', '{"run_id": "' + "x" * 101 + '"}', "[" * 4000],
)  # fmt: skip
def test_what_is_no_request_ends_the_connection_with_a_code(tmp_path: Path, said: str) -> None:
    async def use(place: Place) -> None:
        socket = await place.connect()
        await socket.send_str(said)
        assert await closed_with(socket) == NOT_UNDERSTOOD

    with_place(use, tmp_path)


def test_bytes_and_oversize_messages_end_the_connection(tmp_path: Path) -> None:
    async def use(place: Place) -> None:
        binary, large = await place.connect(), await place.connect()
        await binary.send_bytes(b"\0" * 10)
        assert await closed_with(binary) == NOT_UNDERSTOOD
        await large.send_str(" " * 5000)
        assert await closed_with(large) == 1009
        assert place.hub.listeners == 0

    with_place(use, tmp_path)


async def refusal(place: Place, query: str = "", **headers: str) -> int:
    with pytest.raises(WSServerHandshakeError) as refused:
        await place.connect(None, query, **headers)
    return refused.value.status


def test_pages_of_other_sites_and_rebound_names_get_no_socket(tmp_path: Path) -> None:
    async def use(place: Place) -> None:
        for origin in (
            "https://evil.example",
            "null",
            f"http://127.0.0.1:{place.port + 1}",
            f"http://localhost:{place.port}",
        ):
            assert await refusal(place, Origin=origin) == 403
        assert await refusal(place, Host="evil.example") == 403
        assert (
            await refusal(place, Host=f"evil.example:{place.port}", Origin=f"http://evil.example:{place.port}") == 403
        )
        own = await place.connect({}, Origin=f"http://127.0.0.1:{place.port}")
        await own.close()

    with_place(use, tmp_path)


def test_off_loopback_the_socket_demands_the_token(tmp_path: Path) -> None:
    async def use(place: Place) -> None:
        assert await refusal(place) == 401
        assert await refusal(place, "?token=wrong") == 401
        assert await refusal(place, "?token=") == 401
        assert await refusal(place, Authorization="Bearer wrong") == 401
        for query, headers in (("?token=" + TOKEN.replace(" ", "+"), {}), ("", {"Authorization": f"Bearer {TOKEN}"})):
            socket = await place.connect({"after": 0}, query, **headers)
            await place.hub.publish(event(1))
            assert (await hear(socket, 1))[0]["seq"] == 1

    with_place(use, tmp_path, host="0.0.0.0", token=TOKEN)


def test_more_clients_than_the_server_takes_are_refused_and_others_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_SOCKETS", 2)

    async def use(place: Place) -> None:
        first, _ = await place.connect({}), await place.connect({})
        assert await refusal(place) == 503
        await first.close()
        while place.hub.listeners > 1:
            await asyncio.sleep(0)
        socket = await place.connect({"after": 0})
        await place.hub.publish(event(1))
        assert await hear(socket, 1)

    with_place(use, tmp_path)


def test_a_server_that_stops_says_so(tmp_path: Path) -> None:
    async def use(place: Place) -> None:
        socket = await place.connect({})
        stopping = asyncio.create_task(place.runner.cleanup())
        assert await closed_with(socket) == 1001
        await stopping

    with_place(use, tmp_path)
