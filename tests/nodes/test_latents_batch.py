from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.latents_batch import JoinLatents, PickLatents, RepeatLatents
from sdgraph_nodes.sampling import SampleStart

from sdgraph.diffusion.noise import NoiseStream, slerp
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import ModelError, SamplingError
from sdgraph.payloads.latents import LatentMask, Latents, item_seeds
from tests.nodes.inpainting import sample
from tests.nodes.tiny_model import context, empty, model


def run(node: Any) -> Latents:
    return node.run(context()).latents


def pick(latents: Latents, first: int, count: int = 1) -> Latents:
    return run(PickLatents(latents=latents, first=first, count=count))


def given_latents(batch: int = 3, **more: Any) -> Latents:
    samples = torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(batch))
    return Latents(samples, model().denoiser.space, **more)


def initial_noise(latents: Latents, seed: int = 5, **ports: Any) -> torch.Tensor:
    (leg,) = plan_legs([Stage(steps=4)])
    node: Any = SampleStart(denoiser=model().denoiser, latents=latents, seed=seed, leg=leg, **ports)
    return node.run(context()).state.tensors["x"]


@given(st.integers(1, 8), st.data())
@settings(max_examples=20, deadline=None)
def test_a_picked_item_keeps_the_noise_that_it_has_in_the_batch_bit_for_bit(batch: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, batch - 1))
    count = data.draw(st.integers(1, batch - first))
    whole = empty(batch)
    assert torch.equal(initial_noise(pick(whole, first, count)), initial_noise(whole)[first : first + count])


def test_a_picture_alone_and_in_a_batch_of_eight_is_the_same() -> None:
    batch = sample(empty(8), 1.0, "euler_ancestral").samples
    for item in (0, 5):
        alone = sample(pick(empty(8), item), 1.0, "euler_ancestral").samples[0]
        assert (batch[item] - alone).abs().max() <= 2e-4


def test_numbers_and_masks_survive_sampling() -> None:
    latents = pick(given_latents(mask=LatentMask(torch.ones(3, 1, 8, 8))), 1, 2)
    drawn = sample(latents)
    assert drawn.numbers == (1, 2)
    assert drawn.mask is not None
    assert len(drawn.mask.values) == 2


def test_items_that_are_not_there_are_refused() -> None:
    with pytest.raises(SamplingError) as caught:
        pick(empty(4), 3, 2)
    assert caught.value.code == "batch-item-missing"


def test_repeated_items_have_noise_of_their_own() -> None:
    repeated = run(RepeatLatents(latents=given_latents(2), times=3))
    assert torch.equal(repeated.samples[2:4], given_latents(2).samples)
    assert item_seeds(repeated, 10) == (10, 11, 12, 13, 14, 15)
    assert len({tuple(noise.flatten().tolist()) for noise in initial_noise(repeated)}) == 6


def test_repeating_a_picked_item_is_as_if_the_batch_went_on_from_there() -> None:
    assert item_seeds(run(RepeatLatents(latents=pick(empty(4), 2), times=3)), 0) == (2, 3, 4)


def test_seeds_of_their_own_are_repeated_and_told_apart_by_variations() -> None:
    seeded = run(RepeatLatents(latents=replace(empty(1), seeds=(7,)), times=3))
    assert item_seeds(seeded, 0) == (7, 7, 7)
    varied = initial_noise(seeded, variation_seed=40, variation_strength=0.5)
    assert not torch.equal(varied[0], varied[1])


def test_joined_items_are_numbered_one_after_the_other() -> None:
    joined = run(JoinLatents(first=given_latents(2), second=given_latents(3)))
    assert torch.equal(joined.samples, torch.cat([given_latents(2).samples, given_latents(3).samples]))
    assert item_seeds(joined, 4) == (4, 5, 6, 7, 8)


@given(st.integers(1, 7))
@settings(max_examples=7, deadline=None)
def test_a_batch_cut_in_two_and_joined_again_is_the_batch(cut: int) -> None:
    whole = given_latents(8)
    joined = run(JoinLatents(first=pick(whole, 0, cut), second=pick(whole, cut, 8 - cut)))
    assert torch.equal(joined.samples, whole.samples)
    assert item_seeds(joined, 3) == item_seeds(whole, 3)


def test_masks_are_joined_with_what_they_belong_to() -> None:
    masked = given_latents(2, mask=LatentMask(torch.zeros(1, 1, 8, 8), visible=torch.zeros(1, 4, 8, 8)))
    joined = run(JoinLatents(first=masked, second=masked)).mask
    assert joined is not None
    assert joined.visible is not None
    assert (len(joined.values), len(joined.visible)) == (4, 4)


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (empty(), "latent-space-mismatch"),
        (Latents(torch.zeros(1, 4, 4, 4), model().denoiser.space), "latents-differ"),
        (given_latents(seeds=(1, 2, 3)), "seeds-differ"),
        (given_latents(mask=LatentMask(torch.ones(1, 1, 8, 8))), "masks-differ"),
    ],
)
def test_latents_that_are_not_alike_are_not_joined(second: Latents, code: str) -> None:
    with pytest.raises((SamplingError, ModelError)) as caught:
        run(JoinLatents(first=given_latents(), second=second))
    assert caught.value.code == code


def test_seeds_make_a_batch_of_their_number() -> None:
    latents = run(EmptyLatents(width_px=64, height_px=64, seeds=(9, 3)))
    assert latents.batch == 2
    noise = initial_noise(latents, seed=100)
    assert torch.equal(noise[1], initial_noise(empty(), seed=3)[0])


def test_seeds_of_another_number_are_refused() -> None:
    with pytest.raises(SamplingError) as caught:
        run(EmptyLatents(width_px=64, height_px=64, seeds=(9, 3), batch=3))
    assert caught.value.code == "seed-count"


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_a_variation_moves_the_noise_along_the_arc_to_another_seed(strength: float) -> None:
    plain, other = initial_noise(empty(2), seed=5), initial_noise(empty(2), seed=60)
    varied = initial_noise(empty(2), seed=5, variation_seed=60, variation_strength=strength)
    if strength in (0.0, 1.0):
        assert torch.equal(varied, other if strength else plain)
        return
    noises = [NoiseStream((seed, seed + 1), (4, 8, 8)).draw() for seed in (5, 60)]
    scale = plain / noises[0]
    torch.testing.assert_close(varied, slerp(noises[0], noises[1], strength) * scale)
    assert varied.norm() == pytest.approx(float(plain.norm()), rel=0.05)
