"""Prompts travel to the denoiser's device once, whatever the number of steps, stages and samplers."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.sampler import Sampler, StagedSampler
from torch import Tensor

from sdgraph import Executor, MemoryStore, Payloads, Registry, Workflow, build_graph, make_plan
from sdgraph.core.context import running
from sdgraph.diffusion.stage import Stage
from sdgraph.engine.context import Services
from sdgraph.engine.report import RunReport
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.models.memory.recovery import MemoryRecovery
from sdgraph.models.network import Network, open_network
from sdgraph.models.pool import ModelPool
from sdgraph.models.text import encode_prompt
from sdgraph.models.transfers import Arrivals, Courier, Prompt
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.latents import Latents
from tests.toys import RecordingContext

THERE = "cpu:0"
"""A second device: another name than "cpu" and another place in pools; torch copies what goes there, and computes the
same bits."""


def prompts(pool: ModelPool, checkpoint: Checkpoint) -> tuple[Conditioning, Conditioning]:
    with pool.lease(checkpoint.text_encoder) as model:
        return encode_prompt("a red star", model), encode_prompt("", model)


def predict(network: Network, conditionings: tuple[Conditioning, ...], steps: int) -> Tensor:
    space = network._handle.space
    x = torch.ones(len(conditionings), space.channels, 8, 8)
    found = x
    for step in range(steps):
        found = network(x, torch.full((len(x),), 900.0 - step), conditionings)
    return found


@pytest.mark.parametrize("family", ["sd15", "sdxl", "sd3", "flux"])
def test_each_prompt_is_sent_once_for_all_steps_and_changes_no_bit(family: str) -> None:
    checkpoint, pool, context = read_checkpoint(f"synthetic:{family}-tiny"), ModelPool(), RecordingContext()
    conditionings = prompts(pool, checkpoint)
    with open_network(pool, checkpoint.denoiser) as network:
        here = predict(network, conditionings, steps=5)
        assert network.transfers == 0
    with running(context), open_network(pool, checkpoint.denoiser, device=THERE) as network:
        assert torch.equal(predict(network, conditionings, steps=5), here)
        assert network.transfers == 2
    told = [entry for entry in context.told if entry["type"] == "transfer"]
    sizes = [Prompt(c.entries[0].embedding, c.entries[0].pooled).size_bytes for c in conditionings]
    assert [(entry["device"], entry["bytes"]) for entry in told] == [(THERE, size) for size in sizes]


def drawing(seeds: tuple[int, ...] = (1, 2)) -> Workflow:
    """A sampler in three stages and a plain one for each further seed, under one pair of prompts."""
    workflow = Workflow("transfers")
    sd = workflow.add("sd", LoadCheckpoint(source="synthetic:sd15-tiny")).out
    good, bad = (
        workflow.add(text, EncodeText(text_encoder=sd.text_encoder, prompt=text)).out.conditioning
        for text in ("star", "blurred")
    )
    start = workflow.add("start", EmptyLatents(width_px=32, height_px=32)).out.latents
    stages = (Stage(steps=1), Stage(steps=1), Stage(steps=1, solver="heun"))
    common: dict[str, Any] = {"denoiser": sd.denoiser, "latents": start, "positive": good, "negative": bad}
    staged = StagedSampler(**common, stages=stages, schedule_steps=3, seed=seeds[0])
    workflow.output("staged", workflow.add("staged", staged).out.latents)
    for seed in seeds[1:]:
        sampler = Sampler(**common, steps=2, seed=seed)
        workflow.output(f"plain{seed}", workflow.add(f"plain{seed}", sampler).out.latents)
    return workflow


def run(pool: ModelPool, device: str, workflow: Workflow) -> tuple[RunReport, dict[str, Tensor]]:
    registry = Registry.installed()
    store = MemoryStore(Payloads(registry.port_types))
    executor = Executor(registry, store, device=device, services=Services({ModelPool: lambda: pool}))
    plan = make_plan(build_graph(workflow.to_document(), registry), store)
    report = executor.run(plan)
    assert report.status == "done", report.problems
    latents: dict[str, Latents] = {name: report.outputs[name] for name in workflow.to_document().outputs}
    return report, {name: found.samples for name, found in latents.items()}


def transfers(report: RunReport) -> list[str]:
    """Where prompts were sent during a run."""
    return [entry["device"] for entry in report.resources if entry["type"] == "transfer"]


def test_stages_and_samplers_that_share_prompts_send_each_of_them_once_a_run() -> None:
    here, plain = run(ModelPool(), "cpu", drawing())
    pool = ModelPool(text_device="cpu")
    there, sent = run(pool, THERE, drawing())
    assert transfers(here) == []
    assert transfers(there) == [THERE, THERE]
    places = {resident.model.rpartition("/")[2]: resident.device for resident in pool.residents()}
    assert (places["text_encoder"], places["unet"]) == ("cpu", THERE)
    for name, samples in plain.items():
        assert torch.equal(sent[name], samples)


def test_a_prompt_that_is_encoded_again_is_still_there() -> None:
    pool = ModelPool(text_device="cpu")
    run(pool, THERE, drawing())
    again, _ = run(pool, THERE, drawing((3, 4)))
    assert again.count("ran") > 0
    assert transfers(again) == []
    pool.release()
    assert pool.arrivals.held_bytes == 0
    after, _ = run(pool, THERE, drawing())
    assert transfers(after) == [THERE, THERE]


def test_a_pool_that_keeps_nothing_sends_prompts_for_every_network() -> None:
    pool = ModelPool(text_device="cpu", free_immediately=True)
    report, _ = run(pool, THERE, drawing((1,)))
    assert transfers(report) == [THERE] * 6
    assert pool.arrivals.held_bytes == 0


def prompt(seed: int, length: int = 4) -> Prompt:
    generator = torch.Generator().manual_seed(seed)
    return Prompt(torch.randn(1, length, 8, generator=generator), None)


def test_prompts_are_known_by_what_they_say_not_by_where_they_lie() -> None:
    arrivals = Arrivals()
    first, was_sent = arrivals.fetch(prompt(1), THERE)
    assert was_sent
    assert arrivals.fetch(prompt(1), THERE) == (first, False)
    pooled = Prompt(prompt(1).embedding, torch.ones(1, 8))
    reshaped = Prompt(prompt(1).embedding.reshape(1, 8, 4), None)
    reread = Prompt(prompt(1).embedding.view(torch.int32), None)
    for other in (prompt(2), pooled, reshaped, reread):
        found, was_sent = arrivals.fetch(other, THERE)
        assert was_sent
        assert torch.equal(found.embedding, other.embedding)
    assert arrivals.fetch(prompt(1), "cpu:0") == (first, False)


def test_prompts_take_no_more_than_their_budget_and_the_oldest_go_first() -> None:
    arrivals = Arrivals(3 * prompt(0).size_bytes)
    for seed in (1, 2, 3):
        arrivals.fetch(prompt(seed), THERE)
    arrivals.fetch(prompt(1), THERE)
    arrivals.fetch(prompt(4), THERE)
    assert arrivals.held_bytes == 3 * prompt(0).size_bytes
    assert [arrivals.fetch(prompt(seed), THERE)[1] for seed in (1, 3, 4, 2)] == [False, False, False, True]
    _, was_sent = arrivals.fetch(prompt(5, length=400), THERE)
    assert was_sent
    assert arrivals.held_bytes == 3 * prompt(0).size_bytes  # what is larger than the budget drives nothing out


def test_memory_that_runs_out_takes_the_prompts_along() -> None:
    pool = ModelPool()
    pool.arrivals.fetch(prompt(1), THERE)
    pool.arrivals.fetch(prompt(2), "meta")
    context = RecordingContext(pool)
    context.device = THERE
    with next(MemoryRecovery().remedies({}, context)).take():
        assert pool.arrivals.held_bytes == prompt(2).size_bytes


def test_neither_prompts_nor_what_was_sent_of_them_outlive_their_use() -> None:
    pool, given = ModelPool(), prompt(1)
    courier = Courier(THERE, pool.arrivals)
    conditioning = Conditioning(prompts(pool, read_checkpoint("synthetic:sd15-tiny"))[0].entries)
    sent = courier.bring((conditioning,))[0].entries[0].embedding
    kept, _ = pool.arrivals.fetch(given, THERE)
    sources = [weakref.ref(given.embedding), weakref.ref(conditioning.entries[0].embedding)]
    copies = [weakref.ref(sent), weakref.ref(kept.embedding)]
    del given, conditioning, courier, sent, kept
    gc.collect()
    assert [source() for source in sources] == [None, None]
    assert None not in [copy() for copy in copies]
    pool.release()
    gc.collect()
    assert [copy() for copy in copies] == [None, None]


def test_prompts_that_are_there_already_are_not_sent(pool: ModelPool, tiny: Checkpoint) -> None:
    conditionings = prompts(pool, tiny)
    courier = Courier("cpu")
    assert courier.bring(conditionings)[0].entries[0] is conditionings[0].entries[0]
    assert courier.transfers == 0
