"""An interrupted stage goes on where it was, and gives the very bits that it gives without interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.pack import PACK
from sdgraph_nodes.sampler import StagedSampler
from sdgraph_nodes.sampling import SampleStage, SampleStart

from sdgraph.core.build import build_graph
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.guider_specs import ApgSpec, AutoGuidanceSpec, CfgPlusPlusSpec
from sdgraph.diffusion.stages import SolverName, Stage, plan_legs
from sdgraph.engine.context import KeptCheckpoint
from sdgraph.engine.events import RunEvent
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.base import Payloads, ResultStore
from sdgraph.engine.stores.checkpoints import Checkpoints
from sdgraph.engine.stores.disk import DiskStore
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.engine.stores.tiered import TieredStore
from sdgraph.errors import RunCancelled
from sdgraph.models.pool import ModelPool
from sdgraph.models.shortened import with_shortcuts
from sdgraph.payloads.sampling import SamplingState
from tests.nodes.tiny_model import SOURCE, context, empty, model, pool, prompt
from tests.toys import RecordingContext

KEY = bytes(32)
GUIDED = ConstantGuidance(scale=4)
SOLVERS = [pytest.param(Stage(steps=6, solver=solver, guidance=GUIDED), id=solver) for solver in get_args(SolverName)]
OTHERS = [
    pytest.param(Stage(steps=6, guider=ApgSpec(momentum=-0.5), guidance=GUIDED), id="a guider that remembers"),
    pytest.param(Stage(steps=6, guider=CfgPlusPlusSpec(), guidance=ConstantGuidance(scale=0.6)), id="cfg++"),
    pytest.param(
        Stage(steps=6, early_stop=EarlyStop(threshold=1.0, patience=1, min_steps=2), guidance=GUIDED), id="early stop"
    ),
    pytest.param(Stage(steps=6, guidance=ConstantGuidance(scale=1)), id="unguided"),
]


def stage_of(stage: Stage, **more: Any) -> Any:
    """The node of one stage, for two pictures, at its beginning."""
    (leg,) = plan_legs([stage])
    ports: Any = {"denoiser": model().denoiser, "positive": prompt("a star"), "negative": prompt("blue")}
    start: Any = SampleStart(denoiser=model().denoiser, latents=empty(2), seed=3, leg=leg).run(context())
    return SampleStage(**{**ports, **more}, state=start.state, leg=leg)


def kept_in(folder: Path, ctx: RecordingContext, every_steps: int) -> RecordingContext:
    payloads = Payloads(Registry([PACK]).port_types)
    ctx.checkpoint = KeptCheckpoint(Checkpoints(folder, payloads), KEY, every_steps, ctx.warn)  # type: ignore[assignment]
    return ctx


def forwards_of(node: Any, ctx: RecordingContext) -> tuple[SamplingState, int]:
    """The state that a stage gives, and how often it called the network."""
    calls: list[int] = []
    with pool().lease(model().denoiser, "cpu") as unet:
        hook = unet.register_forward_pre_hook(lambda module, _: calls.append(id(module)))
        try:
            state = node.run(ctx).state
        finally:
            hook.remove()
    return state, len(calls)


def require_same(found: SamplingState, expected: SamplingState) -> None:
    assert found.meta == expected.meta
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(found.tensors[name], tensor), name


@pytest.mark.parametrize("stage", [*SOLVERS, *OTHERS])
def test_a_stage_that_goes_on_is_the_stage_bit_for_bit(stage: Stage, tmp_path: Path) -> None:
    node = stage_of(stage)
    expected, whole = forwards_of(node, context())
    with pytest.raises(RunCancelled):
        node.run(kept_in(tmp_path, context(cancel_after=3), every_steps=2))
    ctx = kept_in(tmp_path, context(), every_steps=2)
    found, left = forwards_of(node, ctx)
    require_same(found, expected)
    assert 0 < left < whole
    assert "goes on after step 2 of 6" in ctx.notes
    assert ctx.warnings == []


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path) -> None:
    node = stage_of(Stage(steps=3))
    state = node.run(kept_in(tmp_path, context(), every_steps=0)).state
    assert list(tmp_path.iterdir()) == []
    require_same(state, node.run(context()).state)


@pytest.mark.parametrize("port", ["denoiser", "weak"])
def test_nothing_is_written_that_reused_features_would_be_missing_of(port: str, tmp_path: Path) -> None:
    reusing = with_shortcuts(model().denoiser, reuse_every=4)
    node = stage_of(Stage(steps=6, guider=AutoGuidanceSpec(), guidance=GUIDED), **{port: reusing})
    with pytest.raises(RunCancelled):
        node.run(kept_in(tmp_path, context(cancel_after=3), every_steps=2))
    require_same(node.run(kept_in(tmp_path, context(), every_steps=2)).state, node.run(context()).state)


def test_a_place_that_can_not_be_written_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    node = stage_of(Stage(steps=3))
    ctx = kept_in(tmp_path / "file", context(), every_steps=1)
    require_same(node.run(ctx).state, node.run(context()).state)
    assert [problem.code for problem in ctx.warnings] == ["checkpoint-not-written"]


# A process that is killed.


def staged() -> Workflow:
    workflow = Workflow("staged")
    sd = workflow.add("sd", LoadCheckpoint(source=SOURCE)).out
    positive, negative = (
        workflow.add(text, EncodeText(text_encoder=sd.text_encoder, prompt=text)).out.conditioning
        for text in ("star", "blue")
    )
    stages = (Stage(steps=3, guidance=GUIDED), Stage(steps=6, solver="dpmpp_2m", guidance=GUIDED))
    latents = workflow.add("start", EmptyLatents(width_px=64, height_px=64)).out.latents
    sampler = StagedSampler(
        denoiser=sd.denoiser, positive=positive, negative=negative, latents=latents, stages=stages, schedule_steps=9
    )
    workflow.output("latents", workflow.add("sample", sampler).out.latents)
    return workflow


def open_store(folder: Path) -> ResultStore:
    payloads = Payloads(Registry([PACK]).port_types)
    return TieredStore(payloads, MemoryStore(payloads), DiskStore(folder, payloads))


def draw(store: ResultStore, *listeners: Any) -> tuple[RunReport, int]:
    """The report of a run, and how often it called the network."""
    registry = Registry([PACK])
    executor = Executor(registry, store, checkpoint_every_steps=2)
    calls: list[int] = []
    with executor.services.get(ModelPool).lease(model().denoiser, "cpu") as unet:
        unet.register_forward_pre_hook(lambda module, _: calls.append(id(module)))
    report = executor.run(make_plan(build_graph(staged(), registry), store), listeners=listeners)
    assert report.status == "done", report.problems
    return report, len(calls)


def draw_until_killed(folder: Path) -> None:
    """What the process below does: it is killed in the fifth step of the second stage."""
    store = open_store(folder)

    def kill(event: RunEvent) -> None:
        if event.type == "node_progress" and event.node == "sample/stage2" and event.data["done"] == 5:
            store.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    draw(store, kill)


def test_a_killed_process_is_taken_up_at_its_last_checkpoint(tmp_path: Path) -> None:
    script = f"from pathlib import Path\nfrom tests.nodes.test_step_checkpoints import draw_until_killed\ndraw_until_killed(Path({str(tmp_path)!r}))"  # noqa: E501
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    killed = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    disk = DiskStore(tmp_path, Payloads(Registry([PACK]).port_types))
    assert disk.info().checkpoints == 1
    entries = disk.info().entries
    disk.close()
    store = open_store(tmp_path)
    report, calls = draw(store)
    store.close()
    whole, all_calls = draw(MemoryStore(Payloads(Registry([PACK]).port_types)))
    assert (calls, all_calls) == (2, 9)  # of the second stage's six steps, four were done
    assert report.nodes["sample/stage1"].status == "hit"
    assert torch.equal(report.outputs["latents"].samples, whole.outputs["latents"].samples)
    disk = DiskStore(tmp_path, Payloads(Registry([PACK]).port_types))
    assert disk.info().checkpoints == 0
    assert disk.info().entries > entries
    disk.close()
