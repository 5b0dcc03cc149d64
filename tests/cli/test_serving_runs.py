"""A real server with a real worker: a run from the request to its picture, its events, its numbers and its log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.conftest import node

PICTURE = {
    "schema": "sdgraph/workflow@1",
    "name": "picture",
    "nodes": {"fill": node("toy.fill", edge_px=64, red=1.0), "save": node("image.save", {"image": "fill.image"})},
    "outputs": {"picture": "fill.image"},
}
SLOW = {
    "schema": "sdgraph/workflow@1",
    "name": "slow",
    "nodes": {"noise": node("toy.noise"), "wait": node("toy.wait")},
    "inputs": {"steps": "wait.steps"},
    "outputs": {"noise": "noise.image", "value": "wait.value"},
}


class Place:
    """A server, and what one can ask it."""

    def __init__(self, client: ClientSession, server: subprocess.Popen[bytes]) -> None:
        self.client = client
        self.server = server

    async def run(self, workflow: Any, **inputs: Any) -> str:
        async with self.client.post("/api/runs", json={"workflow": workflow, "inputs": inputs}) as reply:
            assert reply.status == 202, await reply.text()
            return (await reply.json())["run_id"]

    async def get(self, path: str) -> bytes:
        async with self.client.get(path) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.read()

    async def report(self, run_id: str) -> Any:
        return json.loads(await self.get(f"/api/runs/{run_id}"))

    def worker(self) -> psutil.Process:
        [child] = psutil.Process(self.server.pid).children()
        return child


def with_server(process: Any, use: Callable[[Place, ClientWebSocketResponse], Awaitable[None]]) -> str:
    """Use a server and a client of its events; what it logged."""
    server = process("serve", "--port", "0", "--device", "cpu")

    async def run() -> None:
        address = server.stdout.readline().decode().strip()
        async with ClientSession(address) as client, client.ws_connect("/api/events") as socket, asyncio.timeout(200):
            await socket.send_json({"after": 0})
            await use(Place(client, server), socket)

    try:
        asyncio.run(run())
    finally:
        server.terminate()
        said = server.communicate(timeout=60)[1]
    return said.decode()


async def hear(socket: ClientWebSocketResponse, last: Callable[[Any], bool]) -> list[Any]:
    """Events up to one."""
    found: list[Any] = []
    while not found or not last(found[-1]):
        found.append(await socket.receive_json())
    return found


def is_end(event: Any) -> bool:
    return event["type"] == "run_finished"


@pytest.fixture(autouse=True)
def with_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SDGRAPH_LOG_FORMAT", "json")
    monkeypatch.setenv("TOY_STARTED", str(tmp_path / "started"))


def test_a_run_is_told_as_it_happens_and_its_picture_can_be_had(process: Any) -> None:
    run_ids: list[str] = []

    async def use(place: Place, socket: ClientWebSocketResponse) -> None:
        run_ids.append(await place.run(PICTURE))
        events = await hear(socket, is_end)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert {event["run_id"] for event in events} == set(run_ids)
        assert [event["type"] for event in events[:2]] == ["run_queued", "run_started"]
        assert ("fill", "toy.fill") in [(event.get("node"), event.get("node_type")) for event in events]
        report = await place.report(run_ids[0])
        assert report["status"] == "done"
        [picture] = report["outputs"]["picture"]
        assert [kept["digest"] for kept in report["files"]] == [picture["digest"]]
        content = await place.get(picture["url"])
        with Image.open(BytesIO(content)) as found:
            assert found.getpixel((5, 5)) == (255, 0, 0)
            assert json.loads(found.info["sdgraph.workflow"])["name"] == "picture"
        with Image.open(BytesIO(await place.get(picture["url"] + "?thumbnail_px=64"))) as small:
            assert small.format == "JPEG"
        metrics = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families((await place.get("/metrics")).decode())
            for sample in family.samples
        }
        assert metrics["sdgraph_node_seconds_count", "toy.fill"] == 1
        assert metrics["sdgraph_runs_total", "done"] == 1
        assert metrics["sdgraph_worker_up", "cpu"] == 1

    said = with_server(process, use)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [line["message"].split()[0] for line in lines if line.get("run_id") == run_ids[0]] == [
        "queued",
        "started:",
        "done",
    ]


def test_a_worker_that_is_killed_costs_its_run_one_more_try_from_what_is_stored(process: Any) -> None:
    async def use(place: Place, socket: ClientWebSocketResponse) -> None:
        run_id = await place.run(SLOW, steps=2000)
        await hear(socket, lambda event: event["type"] == "node_progress")
        killed = place.worker()
        os.kill(killed.pid, signal.SIGKILL)
        events = await hear(socket, is_end)
        assert [event["type"] for event in events if event["type"].startswith("run_")] == [
            "run_queued",
            "run_started",
            "run_finished",
        ]
        report = await place.report(run_id)
        assert (report["status"], report["attempts"]) == ("done", 2)
        assert place.worker().pid != killed.pid

    with_server(process, use)
