"""`serve --warm`: workers load models before their first run, and health says when they have."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdgraph.client import Client, connect
from sdgraph.engine.worker.job import Job, Report, Warming
from sdgraph.engine.worker.process import Launch, WorkerProcess
from sdgraph.engine.worker.supervisor import Backoff, Supervisor
from sdgraph.server.schemas import Health
from tests.cli.conftest import Command, node
from tests.cli.test_serve import Process, serving
from tests.cli.test_serve_runs import workflow
from tests.cli.test_worker import settings, started, with_worker

__all__ = ["settings", "started"]

_TXT2IMG: dict[str, Any] = json.loads((Path(__file__).parents[2] / "workflows" / "txt2img.json").read_text())
SUM = workflow({"n": node("toy.add")}, outputs={"sum": "n.value"})

DIES = """
import os
from sdgraph.cli.worker import _channel
from sdgraph.engine.worker.loop import Hands, WorkerLoop

def warm(warming, cancel):
    if warming.name == "heavy":
        os._exit(3)
    return {"ready": True, "models": []}

def work(job, listener, cancel):
    return {"run_id": job.run_id, "status": "done", "elapsed_s": 0.0}

receive, send = _channel()
WorkerLoop(receive, send, Hands(work, warm, lambda value: None, lambda key: None, dict, lambda: os._exit(1))).serve({})
"""


def healths(client: Client) -> Iterator[Health]:
    """What the server says of itself, again and again until it is ready."""
    while True:
        found = client.health()
        yield found
        if found.ready:
            return


def test_readiness_flips_when_the_models_are_loaded_and_the_first_run_loads_none(process: Process) -> None:
    with serving(process, "--device", "cpu", "--warm", "txt2img") as (_, address), connect(address) as client:
        said = list(healths(client))
        [[before], [after]] = said[0].workers, said[-1].workers
        assert (said[0].ready, before.warm, before.models) == (False, [], [])
        assert {worker.state for found in said[:-1] for worker in found.workers} <= {"starting", "warming"}
        assert {worker.warming for found in said for worker in found.workers} <= {None, "txt2img"}
        assert (after.state, [(warm.workflow, warm.ready) for warm in after.warm]) == ("idle", [("txt2img", True)])
        run = client.run(_TXT2IMG, {"steps": 2, "seed": 3}).result()
        assert run.status == "done", run.problems
        assert [found for found in run.resources if found.type == "model"] == []
        held = client.health().workers[0]
        assert held.models_bytes == sum(model.bytes for model in held.models) > 0


def test_what_can_not_be_loaded_is_told_and_the_worker_works_all_the_same(started: Launch) -> None:
    missing = {"sd": node("sd.load_checkpoint", source="nothing")}

    async def use(worker: WorkerProcess) -> None:
        found = await worker.warm(Warming("missing", workflow(missing, outputs={"sd": "sd.denoiser"})))
        assert (found["ready"], [problem["code"] for problem in found["problems"]]) == (False, ["model-missing"])
        assert (await worker.warm(Warming("sum", SUM)))["ready"] is True
        reports = [item async for item in worker.run(Job("one", SUM)) if isinstance(item, Report)]
        assert [report.status for report in reports] == ["done"]

    asyncio.run(with_worker(started, use))


def test_a_worker_that_dies_over_it_again_goes_on_without() -> None:
    async def use() -> None:
        async def at_once(delay_s: float) -> None:
            pass

        warm = [Warming("light", {}), Warming("heavy", {})]
        worker = Supervisor("cpu", Launch((sys.executable, "-c", DIES)), Backoff(), at_once, warm)
        assert (worker.state, worker.is_ready) == ("starting", False)
        reports = [item async for item in worker.run(Job("one", {})) if isinstance(item, Report)]
        assert [report.status for report in reports] == ["done"]
        assert (worker.starts, worker.state, worker.is_ready) == (3, "idle", False)
        assert {name: found["ready"] for name, found in worker.warmed.items()} == {"light": True, "heavy": False}
        assert [problem["code"] for problem in worker.warmed["heavy"]["problems"]] == ["worker-died"]
        await worker.stop()
        assert worker.state == "restarting"

    asyncio.run(use())


@pytest.mark.parametrize(
    ("nodes", "code"),
    [(None, "workflow-unknown"), ({"n": node("toy.nothing")}, "node-type-unknown"), ({}, "not-json")],
)
def test_a_workflow_that_can_not_be_warmed_up_is_told_before_anything_starts(
    sdgraph: Command, here: Path, nodes: dict[str, Any] | None, code: str
) -> None:
    if nodes is not None:
        (here / "w.json").write_text(json.dumps(workflow(nodes)) if nodes else "{")
    done = sdgraph("serve", "--port", "0", "--warm", "w.json")
    assert done.code == 2
    assert f"[{code}]" in done.err
