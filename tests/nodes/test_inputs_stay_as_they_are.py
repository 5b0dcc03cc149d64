"""A node may write into what it was given; nobody else sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import ConditioningOut, EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.outputs import ImageOut, LatentsOut
from sdgraph_nodes.pack import PACK
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.vae import VaeDecode

from sdgraph.core.build import build_graph
from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import make_plan
from sdgraph.engine.stores.base import Payloads
from sdgraph.engine.stores.memory import MemoryStore
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import SOURCE, pool


class SpoilLatents(Node[LatentsOut], type="evil.latents"):
    latents: In[Latents]

    def run(self, ctx: RunContext) -> LatentsOut:
        self.latents.samples.fill_(7.0)
        return LatentsOut(latents=self.latents)


class SpoilConditioning(Node[ConditioningOut], type="evil.conditioning"):
    conditioning: In[Conditioning]

    def run(self, ctx: RunContext) -> ConditioningOut:
        self.conditioning.entries[0].embedding.zero_()
        return ConditioningOut(conditioning=self.conditioning)


class SpoilImage(Node[ImageOut], type="evil.image"):
    image: In[Image]

    def run(self, ctx: RunContext) -> ImageOut:
        self.image.pixels[:] = 0
        return ImageOut(image=self.image)


REGISTRY = Registry([PACK, NodePack("evil", "1", (SpoilLatents, SpoilConditioning, SpoilImage))])


def drawing(*, spoiled: bool) -> Workflow:
    """A picture; with `spoiled`, other nodes write into the latents, the prompt and the picture meanwhile."""
    wf = Workflow("drawing")
    sd = wf.add("sd", LoadCheckpoint(source=SOURCE)).out
    positive = wf.add("positive", EncodeText(text_encoder=sd.text_encoder, prompt="a star")).out.conditioning
    if spoiled:
        wf.output("prompt", wf.add("spoil_prompt", SpoilConditioning(conditioning=positive)).out.conditioning)
    start = wf.add("start", EmptyLatents(width_px=64, height_px=64)).out.latents
    sampler = Sampler(denoiser=sd.denoiser, positive=positive, latents=start, steps=2, guidance=1)
    latents = wf.add("sample", sampler).out.latents
    if spoiled:
        wf.output("latents", wf.add("spoil_latents", SpoilLatents(latents=latents)).out.latents)
    image = wf.add("image", VaeDecode(vae=sd.vae, latents=latents)).out.image
    if spoiled:
        wf.output("spoiled", wf.add("spoil_image", SpoilImage(image=image)).out.image)
    wf.output("image", image)
    wf.output("kept", latents)
    return wf


def run(wf: Workflow, store: MemoryStore) -> Any:
    executor = Executor(REGISTRY, store)
    executor.services._made[type(pool())] = pool()
    return executor.run(make_plan(build_graph(wf, REGISTRY), store))


def test_a_node_that_writes_into_its_inputs_changes_nothing_for_the_others() -> None:
    clean = run(drawing(spoiled=False), MemoryStore(Payloads(REGISTRY.port_types)))
    store = MemoryStore(Payloads(REGISTRY.port_types))
    spoiled = run(drawing(spoiled=True), store)
    again = run(drawing(spoiled=False), store)  # from what the spoiled run left in the store
    for report in (spoiled, again):
        assert np.array_equal(report.outputs["image"].pixels, clean.outputs["image"].pixels)
        assert torch.equal(report.outputs["kept"].samples, clean.outputs["kept"].samples)
    assert (spoiled.outputs["latents"].samples == 7).all()
    assert spoiled.nodes["spoil_image"].status == "failed"
    assert spoiled.status == "partial"


def test_a_picture_cannot_be_written_to_at_all() -> None:
    image = noise(4, 4)
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[:] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        image.pixels.setflags(write=True)
