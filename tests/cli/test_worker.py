"""Workers as real processes: what they run, how they are cancelled, and what is left when one dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from sdgraph.cli.launching import launch
from sdgraph.engine.pictures import PictureFolder
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.worker.frames import Preview
from sdgraph.engine.worker.job import Job, Report
from sdgraph.engine.worker.process import Launch, Limits, WorkerProcess
from sdgraph.engine.worker.supervisor import Backoff, Supervisor
from sdgraph.errors import WorkerDied
from sdgraph.settings import Settings, read_settings
from tests.cli.conftest import node

_ROOT = Path(__file__).parents[2]
TXT2IMG: dict[str, Any] = json.loads((_ROOT / "workflows" / "txt2img.json").read_text())


OnItem = Callable[[Any], Awaitable[None]]


@dataclass
class Told:
    """What a run said."""

    events: list[Any] = field(default_factory=list[Any])
    previews: list[Preview] = field(default_factory=list[Preview])
    report: Any = None

    def types(self, node: str | None = None) -> list[str]:
        return [event["type"] for event in self.events if node is None or event.get("node") == node]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, site: Path, tmp_path: Path) -> Settings:
    """Settings of workers that have the toys beside the built-in nodes."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(_ROOT), str(_ROOT / "nodes")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TOY_STARTED", str(tmp_path / "started"))
    return read_settings(device="cpu")


@pytest.fixture
def started(settings: Settings) -> Launch:
    return launch(settings, "cpu")


def document(nodes: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"schema": "sdgraph/workflow@1", "name": "w", "nodes": nodes, **parts}


NODES = {"noise": node("toy.noise"), "wait": node("toy.wait")}
WAITING = document(NODES, inputs={"steps": "wait.steps"}, outputs={"noise": "noise.image", "value": "wait.value"})


async def told(worker: WorkerProcess | Supervisor, job: Job, on: OnItem | None = None) -> Told:
    """Everything that a run says; `on` is called with each item before the next."""
    found = Told()
    async with aclosing(worker.run(job)) as items:
        async for item in items:
            match item:
                case Preview():
                    found.previews.append(item)
                case Report():
                    found.report = item.data
                case event:
                    found.events.append(event)
            if on is not None:
                await on(item)
    return found


async def with_worker(started: Launch, use: Callable[[WorkerProcess], Awaitable[None]]) -> None:
    worker = await WorkerProcess.start(started)
    try:
        await use(worker)
    finally:
        await worker.stop()
        with suppress(psutil.NoSuchProcess):
            psutil.Process(worker.pid).wait(10)


def is_step(item: Any) -> bool:
    return isinstance(item, dict) and item["type"] == "node_progress"


def after_noise(settings: Settings, act: Callable[[Any], Awaitable[None]]) -> OnItem:
    """Act at each step that comes after the picture of `WAITING` is stored."""
    folder = settings.results_folder
    assert folder is not None
    disk = DiskStore(folder, Payloads({}))

    async def on(item: Any) -> None:
        if is_step(item) and disk.info().entries:
            await act(item)

    return on


def test_a_second_run_is_all_hits_and_a_third_finds_the_models_loaded(started: Launch, settings: Settings) -> None:
    inputs = {"steps": 4, "seed": 7}

    async def use(worker: WorkerProcess) -> None:
        first = await told(worker, Job("one", TXT2IMG, inputs))
        second = await told(worker, Job("two", TXT2IMG, inputs))
        assert [first.report["problems"], second.report["problems"]] == [[], []]
        assert [first.report["status"], second.report["status"]] == ["done", "done"]
        assert {found["status"] for found in first.report["nodes"].values()} == {"ran"}
        assert {found["status"] for found in second.report["nodes"].values()} == {"hit"}
        picture = first.report["outputs"]["image"][0]
        assert second.report["outputs"]["image"] == [picture]
        assert (picture["width_px"], picture["height_px"], picture["media_type"]) == (64, 64, "image/png")
        kept = PictureFolder(settings.pictures_folder).find(picture["digest"])
        assert kept is not None
        assert b"sdgraph.workflow" in kept.read_bytes()
        assert first.events[0]["type"] == "run_started"
        assert first.events[-1]["type"] == "run_finished"
        assert [event["done"] for event in first.events if event["type"] == "node_progress"] == [1, 2, 3, 4]
        assert first.previews
        assert {(shown.node, shown.content[:2]) for shown in first.previews} == {("sample/stage1", b"\xff\xd8")}

        await told(worker, Job("three", TXT2IMG, inputs | {"seed": 8}))
        said = worker.vitals
        while worker.vitals is said:
            await asyncio.sleep(0.05)
        assert worker.vitals["models_loaded"] == 4  # text encoder, denoiser, and two decoders: none of them twice

    asyncio.run(with_worker(started, use))


def test_a_cancelled_run_stops_at_its_next_step_and_the_worker_goes_on(started: Launch, settings: Settings) -> None:
    async def use(worker: WorkerProcess) -> None:
        cancelled_at: list[int] = []

        async def cancel(item: Any) -> None:
            cancelled_at.append(item["done"])
            await worker.cancel("one")

        found = await told(worker, Job("one", WAITING), after_noise(settings, cancel))
        assert (found.report["status"], found.report["problems"]) == ("cancelled", [])
        assert {name: found["status"] for name, found in found.report["nodes"].items()} == {
            "noise": "ran",
            "wait": "skipped",
        }
        again = await told(worker, Job("two", document({"a": node("toy.add")}, outputs={"sum": "a.value"})))
        assert (again.report["status"], again.report["outputs"]) == ("done", {"sum": [3]})

    asyncio.run(with_worker(started, use))


def test_a_killed_worker_costs_the_node_in_flight_and_nothing_that_had_finished(
    started: Launch, settings: Settings
) -> None:
    async def use() -> None:
        worker = Supervisor("cpu", started, Backoff(first_s=0.0))

        async def kill(item: Any) -> None:
            if worker.process is not None:
                os.kill(worker.process.pid, signal.SIGKILL)

        with pytest.raises(WorkerDied, match="signal 9"):
            await told(worker, Job("one", WAITING), after_noise(settings, kill))
        again = await told(worker, Job("one", WAITING, {"steps": 3}))
        await worker.stop()
        assert again.report["status"] == "done"
        assert {name: (found["status"], found["store"]) for name, found in again.report["nodes"].items()} == {
            "noise": ("hit", "disk"),
            "wait": ("ran", None),
        }
        assert worker.starts == 2

    asyncio.run(use())


def test_a_workflow_that_is_wrong_is_a_failed_run_with_its_problems(started: Launch) -> None:
    async def use(worker: WorkerProcess) -> None:
        found = await told(worker, Job("one", document({"a": node("toy.add", a=-1), "b": node("toy.missing")})))
        assert found.report["status"] == "failed"
        assert {problem["code"] for problem in found.report["problems"]} == {"value-out-of-range", "node-type-unknown"}

    asyncio.run(with_worker(started, use))


def test_what_nodes_print_does_not_reach_the_channel(started: Launch, capfd: pytest.CaptureFixture[str]) -> None:
    loud = document({"loud": node("toy.print")}, outputs={"value": "loud.value"})

    async def use(worker: WorkerProcess) -> None:
        assert (await told(worker, Job("one", loud))).report["outputs"] == {"value": [1]}

    asyncio.run(with_worker(started, use))
    said = capfd.readouterr()
    assert said.out == ""
    assert "printed" in said.err
    assert "from a child" in said.err


def test_a_worker_lets_whoever_drives_it_go_first(started: Launch) -> None:
    async def use(worker: WorkerProcess) -> None:
        assert psutil.Process(worker.pid).nice() == min(psutil.Process().nice() + 5, 19)

    asyncio.run(with_worker(started, use))


def test_whoever_leaves_a_run_cancels_it(started: Launch) -> None:
    async def use(worker: WorkerProcess) -> None:
        async with aclosing(worker.run(Job("one", WAITING))) as items:
            async for item in items:
                if is_step(item):
                    break
        after = await told(worker, Job("two", document({"a": node("toy.add")}, outputs={"sum": "a.value"})))
        assert after.report["outputs"] == {"sum": [3]}

    asyncio.run(with_worker(started, use))


def test_a_worker_that_gives_no_sign_of_life_is_ended(started: Launch) -> None:
    frozen = Launch(started.command, started.environment, Limits(silence_s=1.5))

    async def freeze(item: Any) -> None:
        if is_step(item):
            os.kill(pids[0], signal.SIGSTOP)

    pids: list[int] = []

    async def use(worker: WorkerProcess) -> None:
        pids.append(worker.pid)
        with pytest.raises(WorkerDied, match="no sign of life"):
            await told(worker, Job("one", WAITING), freeze)
        assert not worker.alive
        assert not psutil.pid_exists(worker.pid)

    asyncio.run(with_worker(frozen, use))


def test_a_cancelled_run_that_does_not_stop_ends_its_worker_and_is_cancelled(started: Launch) -> None:
    deaf = document({"deaf": node("toy.deaf")})
    impatient = Launch(started.command, started.environment, Limits(cancel_s=0.2))

    async def use(worker: WorkerProcess) -> None:
        async def cancel(item: Any) -> None:
            if isinstance(item, dict) and item["type"] == "node_started":
                await worker.cancel("one")

        found = await told(worker, Job("one", deaf), cancel)
        assert found.report["status"] == "cancelled"
        assert not worker.alive

    asyncio.run(with_worker(impatient, use))


def test_a_run_without_any_event_for_too_long_ends_its_worker(started: Launch) -> None:
    deaf = document({"deaf": node("toy.deaf")})
    impatient = Launch(started.command, started.environment, Limits(run_silence_s=1.0))

    async def use(worker: WorkerProcess) -> None:
        with pytest.raises(WorkerDied, match="said nothing for 1 s"):
            await told(worker, Job("one", deaf))

    asyncio.run(with_worker(impatient, use))


PARENT = """
import asyncio, sys
from sdgraph.cli.launching import launch
from sdgraph.engine.worker.process import WorkerProcess
from sdgraph.settings import read_settings

async def main():
    worker = await WorkerProcess.start(launch(read_settings(), "cpu"))
    print(worker.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_worker_ends_with_whoever_drives_it(settings: Settings) -> None:
    with psutil.Popen([sys.executable, "-c", PARENT], stdout=-1) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        assert worker.wait(30) is None  # it is gone, and not ours to know how


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("print('hello, I am no worker')", "said what no worker says"),
        ("import time; time.sleep(60)", "not ready after"),
    ],
)
def test_a_program_that_is_no_worker_is_an_error_that_says_so(program: str, why: str) -> None:
    async def use() -> None:
        with pytest.raises(WorkerDied, match=why):
            await WorkerProcess.start(Launch((sys.executable, "-c", program), limits=Limits(start_s=1.0)))

    asyncio.run(use())


def test_a_program_that_is_missing_is_told() -> None:
    async def use() -> None:
        with pytest.raises(WorkerDied, match="No worker process can be started"):
            await WorkerProcess.start(Launch(("/nowhere/python",)))

    asyncio.run(use())


def test_a_worker_that_keeps_dying_is_started_later_each_time(started: Launch, tmp_path: Path) -> None:
    """It comes up at the fourth try."""
    count = tmp_path / "count"
    script = (
        f"import os, pathlib, sys; path = pathlib.Path({str(count)!r}); tries = len(path.read_text()) if path.exists() "
        "else 0; path.write_text('x' * (tries + 1)); sys.exit(1) if tries < 3 else "
        "os.execv(sys.executable, [sys.executable, '-m', 'sdgraph.cli.worker'])"
    )
    waited: list[float] = []

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    async def use() -> None:
        fails = Launch((sys.executable, "-c", script), started.environment)
        worker = Supervisor("cpu", fails, Backoff(first_s=0.5, most_s=1.5), sleep)
        job = Job("one", document({"a": node("toy.add")}, outputs={"sum": "a.value"}))
        assert (await told(worker, job)).report["status"] == "done"
        await worker.stop()

    asyncio.run(use())
    assert waited == [0.0, 0.5, 1.0, 1.5]
