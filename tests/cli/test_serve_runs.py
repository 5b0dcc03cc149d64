"""Runs on a real server with real workers: many clients at once, and what a kill -9 leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from sdgraph.client import AsyncClient, Client, connect
from sdgraph.errors import WorkflowError
from sdgraph.server.run_schemas import RunOut
from tests.cli.conftest import node
from tests.cli.test_serve import Process, serving

CLIENTS, RUNS_EACH = 8, 5


def workflow(nodes: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"schema": "sdgraph/workflow@1", "name": "w", "nodes": nodes, **parts}


SUM = workflow({"n": node("toy.add")}, inputs={"a": "n.a"}, outputs={"sum": "n.value"})
SLOW = workflow(
    {"noise": node("toy.noise"), "slow": node("toy.wait")}, outputs={"image": "noise.image", "value": "slow.value"}
)
RESUMED = {"noise": "hit", "slow": "ran"}


@pytest.fixture
def enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that lets `toy.wait` end."""
    monkeypatch.setenv("TOY_STARTED", str(tmp_path / "started"))
    monkeypatch.setenv("TOY_ENOUGH", str(tmp_path / "enough"))
    return tmp_path / "enough"


def until_slow_began(client: Client, run_id: str) -> None:
    """Wait until the slow node is at work and what can be stored is."""
    for event in client.events(run_id, after=0):
        if event["type"] == "node_progress" and client.plan(SLOW).nodes["noise"].action == "hit":
            return


def workers_of(server: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(server.pid).children(recursive=True)
        if "sdgraph.cli.worker" in " ".join(child.cmdline())
    ]


def statuses(run: RunOut) -> dict[str, str]:
    return {name: found.status for name, found in run.nodes.items()}


async def _client(address: str, number: int) -> list[RunOut]:
    async with AsyncClient(address, user=f"user {number}") as client:
        runs = [await client.run(SUM, {"a": number * RUNS_EACH + index}) for index in range(RUNS_EACH)]
        return list(await asyncio.gather(*(run.result() for run in runs)))


async def _all_clients(address: str) -> tuple[list[RunOut], list[dict[str, Any]]]:
    found = await asyncio.gather(*(_client(address, number) for number in range(CLIENTS)))
    events: list[dict[str, Any]] = []
    async with AsyncClient(address) as client:
        ended = 0
        async for event in client.events(after=0):
            events.append(dict(event))
            ended += event["type"] == "run_finished"
            if ended == CLIENTS * RUNS_EACH:
                return [run for runs in found for run in runs], events
    raise AssertionError("the events ended early")


def test_of_many_runs_of_many_clients_none_is_lost_and_none_done_twice(process: Process) -> None:
    with serving(process, "--device", "cpu", "--device", "cpu") as (_, address):
        runs, events = asyncio.run(_all_clients(address))
    assert sorted(run.outputs["sum"][0] for run in runs) == [index + 2 for index in range(CLIENTS * RUNS_EACH)]
    assert {run.status for run in runs} == {"done"}
    for kind in ("run_queued", "run_started", "run_finished"):
        told = Counter(event["run_id"] for event in events if event["type"] == kind)
        assert told == Counter(run.run_id for run in runs), kind
    numbers = [event["seq"] for event in events]
    assert numbers == list(range(1, len(numbers) + 1))


def test_after_a_kill_of_the_server_its_runs_go_on_from_what_they_had_stored(process: Process, enough: Path) -> None:
    with serving(process, "--device", "cpu") as (server, address):
        with connect(address) as client:
            running, waiting = client.run(SLOW), client.run(SUM, {"a": 7})
            until_slow_began(client, running.run_id)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        enough.touch()
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        found = [client.wait_for(run.run_id) for run in (running, waiting)]
    assert [run.status for run in found] == ["done", "done"]
    assert (statuses(found[0]), found[1].outputs) == (RESUMED, {"sum": [9]})


def test_a_killed_worker_costs_its_run_one_more_try(process: Process, enough: Path) -> None:
    with serving(process, "--device", "cpu") as (server, address), connect(address) as client:
        run = client.run(SLOW)
        until_slow_began(client, run.run_id)
        workers_of(server)[0].kill()
        enough.touch()
        done = run.result()
    assert (done.status, done.attempts, statuses(done)) == ("done", 2, RESUMED)


def test_a_running_run_is_cancelled_within_a_step(process: Process, enough: Path) -> None:
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        run = client.run(SLOW)
        until_slow_began(client, run.run_id)
        run.cancel()
        assert run.result().status == "cancelled"
        assert client.run(SUM, {"a": 1}).result().outputs == {"sum": [3]}


@pytest.fixture
def secret(tmp_path: Path, make_png: Callable[[Path], Path]) -> Path:
    """A picture of the server's disk that is nobody's business."""
    return make_png(tmp_path / "secret.png")


@pytest.fixture
def make_png() -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        from PIL import Image

        Image.new("RGB", (8, 8)).save(path)
        return path

    return make


def test_no_workflow_reads_a_file_of_the_server(process: Process, secret: Path, tmp_path: Path) -> None:
    reads: list[dict[str, Any]] = [
        {"image": node("image.load", file=str(secret))},
        {"image": node("image.load", file="../secret.png")},
        {"image": node("image.load", file=f"upload:../../{secret}")},
        {"sd": node("sd.load_checkpoint", source=str(tmp_path))},
        {"sd": node("sd.load_checkpoint", source=f"builtin:shapes/{secret}")},
        {"sd": node("sd.load_checkpoint", source="builtin:shapes", allow_pickle=True)},
    ]
    with serving(process) as (_, address), connect(address) as client:
        for nodes in reads:
            nodes["image" if "image" in nodes else "sd"]["version"] = 1
            checked = client.check(workflow(nodes))
            assert not checked.ok, nodes
            with pytest.raises(WorkflowError) as refused:
                client.run(workflow(nodes))
            codes = {problem.code for problem in refused.value.problems}
            assert codes <= {"image-outside", "image-missing", "model-outside", "model-source", "pickle-refused"}, codes
        client.run(workflow({"image": node("image.load", file="builtin:star.png")}))


def test_what_a_workflow_saves_stays_in_the_home_folder(process: Process, tmp_path: Path, here: Path) -> None:
    nodes = {
        "picture": node("toy.fill"),
        "save": node("image.save", {"image": "picture.image"}, filename="../../../escaped"),
        "absolute": node("image.save", {"image": "picture.image"}, filename=str(tmp_path / "escaped")),
    }
    with serving(process, "--device", "cpu") as (_, address), connect(address) as client:
        done = client.run(workflow(nodes)).result()
        assert done.status == "done"
        assert len(done.files) == 2
        assert client.content(done.files[0].url).startswith(b"\x89PNG")
    home = tmp_path / "home"
    outside = [path for path in tmp_path.rglob("*escaped*") if not path.is_relative_to(home)]
    assert outside == []
    assert list(here.rglob("*")) == []
