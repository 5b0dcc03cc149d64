"""Whether a server keeps its word under load: many runs of many clients, none lost and none done twice.

    python -m benchmarks.server_load [--runs 200] [--clients 20] [--json]

Clients of a real `sdgraph serve` ask for light runs (a picture is loaded and scaled, without a model), every
run for another size, and wait for their results on the event stream; one more listens to all events. Times are of the
clock, so other programs on the machine disturb them.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from itertools import pairwise
from typing import Any

from benchmarks.server_latency import serving
from sdgraph.client import AsyncClient
from sdgraph.server.run_schemas import RunOut

_SMALLEST_PX = 64
_WORKFLOW: dict[str, Any] = {
    "schema": "sdgraph/workflow@1",
    "name": "load",
    "nodes": {
        "picture": {"type": "image.load", "version": 1, "values": {"file": "builtin:star.png"}},
        "small": {"type": "image.resize", "version": 1, "links": {"image": "picture.image"}},
    },
    "inputs": {"width": "small.width_px", "height": "small.height_px"},
    "outputs": {"image": "small.image"},
}


async def ask(address: str, number: int, count: int, clients: int) -> tuple[list[RunOut], list[float]]:
    """The runs of one client, and how long each request for one took, in milliseconds."""
    waits_ms: list[float] = []
    async with AsyncClient(address, user=f"client {number}") as client:
        runs = []
        for index in range(count):
            edge_px = _SMALLEST_PX + number + index * clients
            began = time.perf_counter()
            runs.append(await client.run(_WORKFLOW, {"width": edge_px, "height": edge_px}))
            waits_ms.append((time.perf_counter() - began) * 1000)
        return list(await asyncio.gather(*(run.result() for run in runs))), waits_ms


async def listen(address: str, runs: int) -> list[dict[str, Any]]:
    """All events, until so many runs have ended."""
    events: list[dict[str, Any]] = []
    async with AsyncClient(address) as client:
        async for event in client.events(after=0):
            if not events or event["seq"] > events[-1]["seq"]:  # progress has the number of the event before
                events.append(dict(event))
            runs -= event["type"] == "run_finished"
            if runs == 0:
                break
    return events


async def load(address: str, runs: int, clients: int) -> dict[str, Any]:
    began = time.perf_counter()
    listening = asyncio.create_task(listen(address, runs))
    each = runs // clients
    found = await asyncio.gather(*(ask(address, number, each, clients) for number in range(clients)))
    elapsed_s = time.perf_counter() - began
    events = await asyncio.wait_for(listening, 60)
    ended = [run for of_client, _ in found for run in of_client]
    waits = sorted(wait for _, of_client in found for wait in of_client)
    started = Counter(event["run_id"] for event in events if event["type"] == "run_started")
    finished = Counter(event["run_id"] for event in events if event["type"] == "run_finished")
    widths = {run.outputs["image"][0]["width_px"] for run in ended if run.status == "done"}
    numbers = [event["seq"] for event in events]
    return {
        "runs": runs,
        "clients": clients,
        "done": sum(run.status == "done" for run in ended),
        "different_results": len(widths),
        "lost": runs - len(finished),
        "started_twice": sum(count > 1 for count in started.values()),
        "finished_twice": sum(count > 1 for count in finished.values()),
        "gaps_in_events": sum(after != before + 1 for before, after in pairwise(numbers)),
        "elapsed_s": round(elapsed_s, 2),
        "runs_per_s": round(runs / elapsed_s, 2),
        "request_ms_median": round(statistics.median(waits), 1),
        "request_ms_p99": round(waits[int(len(waits) * 0.99)], 1),
    }


def is_sound(found: dict[str, Any]) -> bool:
    """Whether every run was done once, and told of once."""
    whole = found["done"] == found["different_results"] == found["runs"]
    return whole and not any(found[name] for name in ("lost", "started_twice", "finished_twice", "gaps_in_events"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with serving() as server:
        found = asyncio.run(load(server.address, given.runs, given.clients))
    if given.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:20} {value}")
    if not is_sound(found):
        raise SystemExit("runs were lost, done twice or told wrongly")


if __name__ == "__main__":
    main()
