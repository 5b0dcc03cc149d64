"""How quickly a server starts, what it takes idle, and how long a request waits while a worker draws and many listen.

    python -m benchmarks.server_latency [--seconds 10] [--listeners 50] [--json]

A real `sdgraph serve` with a worker that draws with `builtin:shapes` all the time. Listeners are WebSockets of another
process that get every event and preview; a third process asks for `/api/health` on one connection, again and again.
Times are of the clock, so other programs on the machine disturb them; the CPU time until ready is given beside.
"""

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil

LIMITS = {"ready_s": 2.0, "idle_mb": 150.0, "p99_ms": 50.0}
_STEPS = 100
_RUNS = 40
_PAUSE_S = 0.005


@dataclass(frozen=True)
class Server:
    """A server that is ready."""

    address: str
    process: psutil.Process
    ready_s: float
    ready_cpu_s: float

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def serving() -> Generator[Server]:
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "SDGRAPH_HOME": home, "OMP_NUM_THREADS": "1", "SDGRAPH_LOG_LEVEL": "error"}
        command = [sys.executable, "-c", "from sdgraph.cli.main import main; main()", "serve", "--port", "0"]
        began = time.perf_counter()
        running = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
        try:
            assert running.stdout is not None
            address = running.stdout.readline().decode().strip()
            ready_s = time.perf_counter() - began
            process = psutil.Process(running.pid)
            spent = process.cpu_times()
            yield Server(address, process, ready_s, spent.user + spent.system)
        finally:
            running.terminate()
            running.wait(60)


async def listen(address: str, count: int) -> None:
    """Listen until standard input ends; then print how many events and previews each listener got."""
    heard = [[0, 0] for _ in range(count)]

    async def one(session: aiohttp.ClientSession, place: int) -> None:
        async with session.ws_connect(f"{address}api/events") as socket:
            await socket.send_str('{"after": 0}')
            async for message in socket:
                heard[place][message.type is aiohttp.WSMsgType.BINARY] += 1

    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(one(session, place)) for place in range(count)]
        print("listening", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    print(json.dumps(heard))


@contextmanager
def listeners(server: Server, count: int, heard: list[list[int]]) -> Generator[None]:
    command = [sys.executable, "-m", "benchmarks.server_latency", "--listen", server.address, "--listeners", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        try:
            yield
        finally:
            said, _ = running.communicate()
            heard += json.loads(said.splitlines()[-1])


def waits_ms(server: Server, seconds: float) -> list[float]:
    """How long each request for the health took."""
    parts = urlsplit(server.address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    found: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        connection.request("GET", "/api/health")
        connection.getresponse().read()
        found.append((time.perf_counter() - began) * 1000)
        time.sleep(_PAUSE_S)
    connection.close()
    return found


def draw(server: Server) -> None:
    """Keep the worker busy, and wait until it draws."""
    for seed in range(_RUNS):
        server.ask("POST", "/api/runs", {"workflow": {"name": "txt2img"}, "inputs": {"steps": _STEPS, "seed": seed}})
    while server.ask("GET", "/api/runs")["counts"].get("done", 0) == 0:
        time.sleep(0.2)


def measure(seconds: float, count: int) -> dict[str, Any]:
    heard: list[list[int]] = []
    with serving() as server:
        time.sleep(1)
        idle_mb = server.process.memory_full_info().uss / 1e6
        idle = waits_ms(server, min(seconds, 2.0))
        with listeners(server, count, heard):
            draw(server)
            busy = sorted(waits_ms(server, seconds))
            done = server.ask("GET", "/api/runs")["counts"]["done"]
        busy_mb = server.process.memory_full_info().uss / 1e6
    return {
        "ready_s": server.ready_s,
        "ready_cpu_s": server.ready_cpu_s,
        "idle_mb": idle_mb,
        "busy_mb": busy_mb,
        "idle_p50_ms": statistics.median(idle),
        "p50_ms": statistics.median(busy),
        "p99_ms": busy[int(len(busy) * 0.99)],
        "max_ms": busy[-1],
        "requests": len(busy),
        "runs_done": done,
        "events": sorted({events for events, _ in heard}),
        "previews": sorted({previews for _, previews in heard}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--listeners", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--listen", metavar="ADDRESS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.listen:
        asyncio.run(listen(options.listen, options.listeners))
        return
    found = measure(options.seconds, options.listeners)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"ready after {found['ready_s']:.2f} s ({found['ready_cpu_s']:.2f} s of CPU; limit {LIMITS['ready_s']} s)")
    print(f"memory {found['idle_mb']:.0f} MB idle (limit {LIMITS['idle_mb']:.0f} MB), {found['busy_mb']:.0f} MB busy")
    print(f"health, idle: p50 {found['idle_p50_ms']:.1f} ms")
    print(
        f"health, a worker drawing and {options.listeners} listening: p50 {found['p50_ms']:.1f}, "
        f"p99 {found['p99_ms']:.1f} (limit {LIMITS['p99_ms']:.0f}), max {found['max_ms']:.1f} ms of {found['requests']}"
    )
    print(f"meanwhile {found['runs_done']} runs; events per listener {found['events']}, previews {found['previews']}")


if __name__ == "__main__":
    main()
