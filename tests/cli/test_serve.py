"""`sdgraph serve` as a process: ready when it says so, light, and gone when it is told to."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from tests.cli.conftest import Command

Process = Callable[..., "subprocess.Popen[bytes]"]
_IDLE_BYTES = 150 * 10**6


@contextmanager
def serving(process: Process, *arguments: str) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    """A server and the address that it printed."""
    server = process("serve", "--port", "0", *arguments)
    assert server.stdout is not None
    try:
        yield server, server.stdout.readline().decode().strip()
    finally:
        server.kill()
        server.communicate()


def get(address: str, path: str, **headers: str) -> tuple[int, str]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    with closing(connection):
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()


def test_the_address_is_printed_when_it_answers_without_torch_and_in_little_memory(process: Process) -> None:
    with serving(process) as (server, address):
        assert get(address, "/api/health")[0] == 200
        assert "toy.add" in json.loads(get(address, "/api/catalog")[1])["nodes"]
        running = psutil.Process(server.pid)
        assert not [found.path for found in running.memory_maps() if "torch" in found.path]
        assert running.memory_full_info().uss < _IDLE_BYTES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_good_order_when_told_to(process: Process, number: signal.Signals) -> None:
    with serving(process) as (server, address):
        assert get(address, "/api/health")[0] == 200
        os.kill(server.pid, number)
        assert server.wait(30) == 0


def test_off_loopback_a_token_is_made_and_printed(sdgraph: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[int] = []

    async def on_loopback(app: web.Application, host: str, port: int, settings: object) -> None:
        assert host == "0.0.0.0"
        async with TestServer(app) as server, ClientSession() as session:
            for token in ("", "another", "made"):
                headers = {"Authorization": f"Bearer {token}"} if token else None
                answers.append((await session.get(server.make_url("/api/health"), headers=headers)).status)

    monkeypatch.setattr("sdgraph.cli.serve._serve", on_loopback)
    monkeypatch.setattr("secrets.token_urlsafe", {24: "made"}.get)
    done = sdgraph("serve", "--host", "0.0.0.0")
    assert "token of this server: made " in done.err
    assert answers == [401, 401, 200]


def test_an_address_that_is_taken_is_told(
    process: Process, sdgraph: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(process) as (_, address):
        monkeypatch.setenv("SDGRAPH_HOME", str(tmp_path / "another home"))
        done = sdgraph("serve", "--port", str(urlsplit(address).port))
    assert done.code == 2
    assert "[address-unusable]" in done.err


def test_a_second_server_on_one_home_is_refused(process: Process, sdgraph: Command) -> None:
    with serving(process):
        done = sdgraph("serve", "--port", "0")
    assert done.code == 2
    assert "[database-in-use]" in done.err


def test_the_shipped_workflows_are_offered(process: Process) -> None:
    shipped = {path.stem for path in (Path(__file__).parents[2] / "workflows").glob("*.json")}
    with serving(process) as (_, address):
        listed = json.loads(get(address, "/api/workflows")[1])["workflows"]
    assert {found["name"] for found in listed if found["shipped"]} == shipped
