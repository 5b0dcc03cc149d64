from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from sdgraph_nodes.composite import composite
from sdgraph_nodes.inpaint import RemoveMask, SetMask

from sdgraph.errors import MediaError, SamplingError
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.payloads.mask import Mask
from tests.nodes.inpainting import PICTURE, box, by_diffusers, constant, encode, painted, sample
from tests.nodes.pictures import noise
from tests.nodes.tiny_model import SOURCE, context, empty

INPAINTING = "synthetic:sd15_inpaint-tiny"
# diffusers 0.42 calls NumPy in a way that NumPy 2 is leaving behind.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SCHEDULERS: list[Any] = [("dpmpp_2m", DPMSolverMultistepScheduler), ("euler", EulerDiscreteScheduler)]
RAMP = Mask(np.ascontiguousarray(np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (1, 1, 64, 64))))


@pytest.mark.parametrize(("solver", "scheduler"), SCHEDULERS)
@pytest.mark.parametrize(("strength", "fill"), [(0.75, "picture"), (1.0, "noise")])
def test_a_plain_model_inpaints_as_in_diffusers(solver: str, scheduler: Any, strength: float, fill: str) -> None:
    latents = encode(box(), fill=fill, mask_sampling="nearest")
    drawn = sample(latents, strength, solver).samples
    expected = by_diffusers(SOURCE, latents, box(), strength, scheduler, soft=False)
    assert float((drawn - expected).abs().max()) <= 1e-4
    picture = painted(replace(latents, samples=drawn))
    theirs = painted(replace(latents, samples=expected))
    pasted = [composite(PICTURE, image, box()).pixels for image in (picture, theirs)]
    assert np.abs(pasted[0] - pasted[1]).max() <= 1e-4


def test_a_soft_mask_mixes_as_in_diffusers() -> None:
    latents = encode(RAMP, mask_sampling="nearest")
    expected = by_diffusers(SOURCE, latents, RAMP, 0.75, DPMSolverMultistepScheduler, soft=True)
    assert float((sample(latents).samples - expected).abs().max()) <= 1e-4


@pytest.mark.parametrize(("solver", "scheduler"), SCHEDULERS)
@pytest.mark.parametrize(("strength", "fill"), [(0.75, "picture"), (1.0, "noise")])
def test_a_model_for_inpainting_sees_the_picture_as_in_diffusers(
    solver: str, scheduler: Any, strength: float, fill: str
) -> None:
    checkpoint = read_checkpoint(INPAINTING)
    assert checkpoint.denoiser.inpainting
    latents = encode(box(), checkpoint, fill=fill, mask_sampling="nearest")
    drawn = sample(latents, strength, solver, checkpoint).samples
    expected = by_diffusers(INPAINTING, latents, box(), strength, scheduler, soft=False)
    assert float((drawn - expected).abs().max()) <= 1e-4


def test_a_model_for_inpainting_sees_a_soft_mask_as_in_diffusers() -> None:
    """It was trained on masks of 0 and 1 alone."""
    checkpoint = read_checkpoint(INPAINTING)
    latents = encode(RAMP, checkpoint, fill="noise", mask_sampling="nearest")
    drawn = sample(latents, 1.0, "euler", checkpoint).samples
    expected = by_diffusers(INPAINTING, latents, RAMP, 1.0, EulerDiscreteScheduler, soft=False)
    assert float((drawn - expected).abs().max()) <= 1e-4


def test_a_model_for_inpainting_needs_a_picture() -> None:
    checkpoint = read_checkpoint(INPAINTING)
    with pytest.raises(SamplingError) as caught:
        sample(empty(), 1.0, checkpoint=checkpoint)
    assert caught.value.code == "inpaint-picture-missing"


@pytest.mark.parametrize("kind", ["mix", "differential"])
@pytest.mark.parametrize(("solver", "strength"), [("euler", 1.0), ("dpmpp_2m", 0.75), ("euler_ancestral", 0.5)])
def test_a_full_mask_is_image_to_image_bit_for_bit(kind: str, solver: str, strength: float) -> None:
    masked = encode(constant(1), kind=kind)
    plain = replace(masked, mask=None)
    assert torch.equal(sample(masked, strength, solver).samples, sample(plain, strength, solver).samples)


@pytest.mark.parametrize("kind", ["mix", "differential"])
@pytest.mark.parametrize("solver", ["dpmpp_2m", "euler_ancestral"])
def test_an_empty_mask_leaves_the_picture_as_it_is_bit_for_bit(kind: str, solver: str) -> None:
    masked = encode(constant(0), kind=kind)
    drawn = sample(masked, 0.75, solver)
    assert torch.equal(drawn.samples, masked.samples)
    assert np.array_equal(composite(PICTURE, painted(drawn), constant(0)).pixels, PICTURE.pixels)


def test_what_is_outside_of_the_mask_keeps_its_latents_and_the_rest_is_drawn() -> None:
    masked = encode(box())
    drawn = sample(masked).samples
    inside = torch.zeros(1, 4, 8, 8, dtype=torch.bool)
    inside[..., 3:7, 2:6] = True
    assert torch.equal(drawn[~inside], masked.samples[~inside])
    assert not torch.isclose(drawn[inside], masked.samples[inside]).any()


def test_a_higher_value_of_a_differential_mask_changes_a_picture_more() -> None:
    flat = encode(RAMP, kind="differential")
    change = (sample(flat, 1.0).samples - flat.samples).abs().mean(dim=(0, 1, 2))
    quarters = change.reshape(4, 2).mean(dim=1)
    assert float(quarters[0]) < float(quarters[-1]) / 2


def test_a_differential_mask_of_two_levels_is_a_plain_one() -> None:
    plain, differential = encode(box()), encode(box(), kind="differential")
    assert torch.equal(sample(plain).samples, sample(differential).samples)


def test_a_picture_of_a_batch_is_inpainted_as_if_alone() -> None:
    images = noise(64, 64, batch=3, seed=8)
    batch = sample(encode(box(), image=images), solver="euler_ancestral").samples
    latents = encode(box(), image=images)
    for item in range(3):
        alone = replace(latents, samples=latents.samples[item : item + 1], numbers=(item,), mask=None)
        assert latents.mask is not None
        alone = replace(alone, mask=replace(latents.mask, visible=None))
        assert (batch[item] - sample(alone, solver="euler_ancestral").samples[0]).abs().max() <= 2e-4


def test_one_picture_takes_a_mask_each_of_a_batch() -> None:
    masks = Mask(np.concatenate([box().values, constant(1).values]))
    drawn = sample(encode(masks)).samples
    assert drawn.shape[0] == 2
    assert (drawn[1] - sample(replace(encode(constant(1)), numbers=(1,))).samples[0]).abs().max() <= 2e-4


def test_without_strength_the_latents_stay_as_they_are() -> None:
    for fill in ("picture", "noise"):
        masked = encode(box(), fill=fill)
        assert torch.equal(sample(masked, 0.0).samples, masked.samples)


def test_the_mask_goes_on_to_the_next_sampler_until_it_is_removed() -> None:
    drawn = sample(encode(box()))
    assert drawn.mask is not None
    free: Any = RemoveMask(latents=drawn)
    assert free.run(context()).latents.mask is None


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(MediaError, match="64 x 64 px, the mask 32 x 32 px") as caught:
        encode(box(edge_px=32))
    assert (caught.value.code, caught.value.problem.port) == ("mask-size", "mask")


def test_a_mask_on_latents_is_that_of_the_picture_they_decode_to() -> None:
    plain = replace(encode(box()), mask=None)
    node: Any = SetMask(latents=plain, mask=box())
    masked = node.run(context()).latents
    assert masked.mask.visible is None
    assert torch.equal(sample(masked).samples, sample(encode(box())).samples)


def test_empty_latents_take_no_mask() -> None:
    with pytest.raises(MediaError) as caught:
        SetMask(latents=empty(), mask=box()).run(context())
    assert caught.value.code == "mask-without-picture"


def test_masks_and_pictures_must_agree_in_number() -> None:
    masks = Mask(np.concatenate([box().values] * 2))
    with pytest.raises(MediaError) as caught:
        encode(masks, image=noise(64, 64, batch=3))
    assert caught.value.code == "mask-batch"
