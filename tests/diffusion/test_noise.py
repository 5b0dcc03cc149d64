"""Noise per item."""

from __future__ import annotations

import pytest
import torch
from diffusers.utils.torch_utils import randn_tensor

from sdgraph.diffusion.noise import MAX_SEED, NoiseStream, slerp
from sdgraph.errors import SamplingError

SHAPE = (4, 5, 6)


def test_draws_are_those_of_a_pipeline_with_one_generator_per_sample():
    seeds = (0, 7, MAX_SEED)
    stream = NoiseStream(seeds, SHAPE)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for _ in range(3):
        assert torch.equal(stream.draw(), randn_tensor((3, *SHAPE), generators))


def test_a_resumed_stream_goes_on_where_it_stopped():
    whole = NoiseStream((1, 2), SHAPE)
    expected = [whole.draw() for _ in range(4)][-1]
    assert torch.equal(NoiseStream((1, 2), SHAPE, draws=3).draw(), expected)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_out_of_range_is_refused(seed: int):
    with pytest.raises(SamplingError, match="seed-out-of-range"):
        NoiseStream((seed,), SHAPE)


def noises() -> tuple[torch.Tensor, torch.Tensor]:
    return NoiseStream((1, 2), (4, 32, 32)).draw(), NoiseStream((3, 4), (4, 32, 32)).draw()


def test_slerp_reaches_both_ends_exactly():
    start, end = noises()
    assert torch.equal(slerp(start, end, 0.0), start)
    assert torch.equal(slerp(start, end, 1.0), end)


@pytest.mark.parametrize("amount", [0.1, 0.5, 0.9])
def test_slerp_keeps_the_norm_within_one_percent(amount: float):
    start, end = noises()
    between = slerp(start, end, amount).flatten(1).norm(dim=1)
    torch.testing.assert_close(between, start.flatten(1).norm(dim=1), rtol=0.01, atol=0)


def test_slerp_of_a_noise_with_itself_is_itself():
    start, _ = noises()
    torch.testing.assert_close(slerp(start, start, 0.3), start)
