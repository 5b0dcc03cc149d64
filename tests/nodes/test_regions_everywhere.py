"""Regions, areas and AND with every model family, every guider, tiles and pictures that finish early."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from sdgraph_nodes.conditioning import CombineConditioning
from sdgraph_nodes.conditioning_limits import LimitToArea, LimitToMask
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.sampling import SampleFinish, SampleStage, SampleStart
from torch import Tensor

from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.guider_specs import GuiderSpec
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.models.checkpoint import Checkpoint, read_checkpoint
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.mask import Mask
from tests.nodes.tiny_model import context, empty, model

FAMILIES = ("synthetic:sdxl-tiny", "synthetic:sd3-tiny", "synthetic:flux-tiny")
GUIDERS: tuple[Any, ...] = get_args(get_args(GuiderSpec)[0])
LEFT = [1.0] * 32 + [0.0] * 32


def run(node: Any) -> Any:
    return node.run(context())


def encode(text: str, source: Checkpoint, **more: Any) -> Conditioning:
    return run(EncodeText(text_encoder=source.text_encoder, prompt=text, **more)).conditioning


def masked(conditioning: Conditioning, values: Any) -> Conditioning:
    array = np.asarray(values, np.float32)
    shape = array.shape if array.ndim == 4 else (1, 1, 64, 64)
    return run(LimitToMask(conditioning=conditioning, mask=Mask(np.broadcast_to(array, shape).copy()))).conditioning


def combine(*parts: Conditioning) -> Conditioning:
    first, second = parts
    return run(CombineConditioning(first=first, second=second)).conditioning


def sampled(
    positive: Conditioning,
    source: Checkpoint,
    stage: Stage | None = None,
    batch: int = 1,
    **more: Any,
) -> tuple[Tensor, dict[str, Any]]:
    """The latents, and what the last state says beside them."""
    (leg,) = plan_legs([stage or Stage(steps=2, guidance=ConstantGuidance(scale=3))])
    unguided = leg.guidance == ConstantGuidance(scale=1)
    start = run(SampleStart(denoiser=source.denoiser, latents=empty(batch), seed=3, leg=leg)).state
    negative = None if unguided else encode("blue", source)
    state = run(
        SampleStage(denoiser=source.denoiser, positive=positive, negative=negative, state=start, leg=leg, **more)
    ).state
    return run(SampleFinish(state=state)).latents.samples, dict(state.meta)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_full_mask_changes_no_bit_in_any_family(name: str) -> None:
    source = read_checkpoint(name)
    star = encode("a star", source)
    assert torch.equal(sampled(masked(star, 1.0), source)[0], sampled(star, source)[0])


@pytest.mark.parametrize("name", FAMILIES)
def test_regions_areas_and_compositions_work_in_any_family(name: str) -> None:
    source = read_checkpoint(name)
    star, ring = encode("a star", source), encode("a ring", source)
    unguided = Stage(steps=1, guidance=ConstantGuidance(scale=1))
    regions = sampled(combine(masked(star, LEFT), masked(ring, 1 - np.asarray(LEFT))), source, unguided)[0]
    alone = [sampled(part, source, unguided)[0] for part in (star, ring)]
    assert torch.allclose(regions[..., :4], alone[0][..., :4], atol=1e-4)
    assert torch.allclose(regions[..., 4:], alone[1][..., 4:], atol=1e-4)
    plain = sampled(star, source)[0]
    area = run(LimitToArea(conditioning=ring, left=0.5)).conditioning
    for positive in (combine(star, area), encode("a star AND a ring :0.6", source)):
        found, meta = sampled(positive, source)
        assert found.isfinite().all()
        assert not torch.allclose(found, plain, atol=1e-4)
        assert meta["nfe"] == 6


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("syntax", "text"), [("a1111", "(red:1.4)"), ("comfy", "(red:1.4)"), ("compel", "(red)0.6")])
def test_weights_change_vectors_and_never_the_pooled_one(name: str, syntax: Any, text: str) -> None:
    source = read_checkpoint(name)
    (plain,), (weighted,) = (
        encode("a red star", source).entries,
        encode(f"a {text} star", source, syntax=syntax).entries,
    )
    assert plain.pooled is not None
    assert weighted.pooled is not None
    assert torch.equal(plain.pooled, weighted.pooled)
    assert not torch.equal(plain.embedding, weighted.embedding)


@pytest.mark.parametrize("kind", GUIDERS, ids=lambda kind: kind.__name__)
def test_every_guider_takes_regions_and_counts_what_they_cost(kind: Any) -> None:
    source = model()
    solver = "euler"
    stage = Stage(steps=2, solver=solver, guidance=ConstantGuidance(scale=3), guider=kind())
    star, ring = encode("a star", source), encode("a ring", source)
    plain, meta = sampled(star, source, stage)
    assert torch.equal(sampled(masked(star, 1.0), source, stage)[0], plain)
    found, more = sampled(combine(masked(star, LEFT), ring), source, stage)
    assert found.isfinite().all()
    assert not torch.allclose(found, plain, atol=1e-4)
    assert more["nfe"] > meta["nfe"]


def test_one_tile_is_no_tile_and_tiles_see_their_own_part_of_regions() -> None:
    source = model()
    star, ring = encode("a star", source), encode("a ring", source)
    regions = combine(masked(star, LEFT), run(LimitToArea(conditioning=ring, left=0.5)).conditioning)
    whole, meta = sampled(regions, source)
    assert torch.equal(sampled(regions, source, tile_px=64)[0], whole)
    unguided = Stage(steps=1, guidance=ConstantGuidance(scale=1))
    halves, _ = sampled(regions, source, unguided, tile_px=32, tile_weights="uniform")
    for part, columns in ((star, slice(0, 4)), (ring, slice(4, 8))):
        alone, _ = sampled(part, source, unguided, tile_px=32, tile_weights="uniform")
        assert torch.allclose(halves[..., columns], alone[..., columns], atol=1e-4)
    assert meta["nfe"] == 6


def test_pictures_that_finish_early_leave_their_masks_behind() -> None:
    source = model()
    star = encode("a star", source)
    masks = np.stack([np.full((1, 64, 64), value, np.float32) for value in (0.0, 1.0)])
    masks[0, :, :, :32] = 1.0
    regions = masked(star, masks)
    stage = Stage(
        steps=8, guidance=ConstantGuidance(scale=3), early_stop=EarlyStop(threshold=1.0, patience=1, min_steps=2)
    )
    found, _ = sampled(regions, source, stage, batch=2)
    second, _ = sampled(star, source, stage, batch=2)
    assert (found[1] - second[1]).abs().max() <= 2e-4
    assert not torch.allclose(found[0], second[0], atol=1e-3)
