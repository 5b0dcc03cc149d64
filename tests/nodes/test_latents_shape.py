from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdgraph_nodes.latents_shape import CompositeLatents, CropLatents, FlipLatents, RotateLatents, UpscaleLatents

from sdgraph.errors import MediaError, SamplingError
from sdgraph.payloads.latents import LatentMask, Latents
from sdgraph.payloads.mask import Mask
from tests.nodes.tiny_model import context, model


def run(node: Any) -> Latents:
    return node.run(context()).latents


def latents(height: int = 6, width: int = 8, batch: int = 1, **more: Any) -> Latents:
    samples = torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(height))
    return Latents(samples, model().denoiser.space, **more)


METHODS: list[Any] = ["nearest", "bilinear", "bicubic", "area"]


@pytest.mark.parametrize("method", METHODS)
@given(height=st.integers(1, 9), width=st.integers(1, 9), value=st.floats(-3, 3, width=32))
@settings(max_examples=10, deadline=None)
def test_a_constant_stays_constant_at_any_size(method: Any, height: int, width: int, value: float) -> None:
    flat = Latents(torch.full((1, 4, 3, 5), value), model().denoiser.space)
    out = run(UpscaleLatents(latents=flat, width_px=8 * width, height_px=8 * height, method=method))
    assert out.samples.shape == (1, 4, height, width)
    torch.testing.assert_close(out.samples, torch.full_like(out.samples, value), rtol=1e-5, atol=1e-5)


def test_the_same_size_is_the_same_latents() -> None:
    given_latents = latents()
    assert run(UpscaleLatents(latents=given_latents, factor=1.0, method="bicubic")) is given_latents


@pytest.mark.parametrize(
    ("ports", "size"),
    [({"factor": 1.5}, (9, 12)), ({"width_px": 128}, (12, 16)), ({"width_px": 128, "height_px": 64}, (8, 16))],
)
def test_a_size_is_reached_by_factor_or_by_pixels(ports: dict[str, Any], size: tuple[int, int]) -> None:
    assert tuple(run(UpscaleLatents(latents=latents(), **ports)).samples.shape[2:]) == size


def test_repeated_values_are_those_of_the_small_latents() -> None:
    small = latents()
    large = run(UpscaleLatents(latents=small, factor=2.0)).samples
    assert torch.equal(large[..., ::2, ::2], small.samples)
    assert torch.equal(large[..., 1::2, 1::2], small.samples)


def test_a_mask_goes_with_its_latents() -> None:
    mask = LatentMask(torch.ones(1, 1, 6, 8), visible=torch.zeros(1, 4, 6, 8))
    masked = latents(mask=mask, seeds=(4,), numbers=(2,))
    nodes: list[Any] = [
        UpscaleLatents(latents=masked),
        CropLatents(latents=masked, left_px=8, top_px=8, width_px=32, height_px=24),
        FlipLatents(latents=masked),
        RotateLatents(latents=masked),
    ]
    for node in nodes:
        out = run(node)
        assert out.mask is not None
        assert out.mask.visible is not None
        assert out.mask.values.shape[2:] == out.mask.visible.shape[2:] == out.samples.shape[2:]
        assert (out.seeds, out.numbers) == ((4,), (2,))


def test_a_crop_is_the_part_of_the_picture_in_its_pixels() -> None:
    whole = latents()
    out = run(CropLatents(latents=whole, left_px=16, top_px=8, width_px=40, height_px=32))
    assert torch.equal(out.samples, whole.samples[..., 1:5, 2:7])
    with pytest.raises(SamplingError, match="64 x 48 px") as caught:
        run(CropLatents(latents=whole, left_px=16, width_px=64, height_px=8))
    assert caught.value.code == "latents-size"


@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_mirroring_twice_changes_nothing(axis: Any) -> None:
    whole = latents()
    once = run(FlipLatents(latents=whole, axis=axis))
    assert not torch.equal(once.samples, whole.samples)
    assert torch.equal(run(FlipLatents(latents=once, axis=axis)).samples, whole.samples)


def test_a_quarter_turn_is_clockwise_and_four_of_them_are_none() -> None:
    whole = latents()
    turned = run(RotateLatents(latents=whole))
    assert torch.equal(turned.samples[0, 0, 0, -1], whole.samples[0, 0, 0, 0])
    assert turned.samples.shape == (1, 4, 8, 6)
    back = run(RotateLatents(latents=turned, degrees="270"))
    assert torch.equal(back.samples, whole.samples)


def test_latents_are_laid_over_others_at_their_place_and_cut_off_at_the_edge() -> None:
    below, above = latents(6, 8, batch=2), latents(4, 4)
    out = run(CompositeLatents(below=below, above=above, left_px=48, top_px=16)).samples
    assert torch.equal(out[..., 2:6, 6:8], above.samples[..., :2].expand(2, -1, -1, -1))
    assert torch.equal(out[..., :2, :], below.samples[..., :2, :])
    assert torch.equal(out[..., :6], below.samples[..., :6])


def test_a_mask_says_where_the_upper_latents_are_seen() -> None:
    below, above = latents(6, 8), latents(6, 8, seeds=(1,))
    values = np.zeros((1, 1, 48, 64), dtype=np.float32)
    values[..., :24, :] = 1
    out = run(CompositeLatents(below=below, above=above, mask=Mask(values))).samples
    assert torch.equal(out[..., :3, :], above.samples[..., :3, :])
    assert torch.equal(out[..., 3:, :], below.samples[..., 3:, :])
    with pytest.raises(MediaError) as caught:
        run(CompositeLatents(below=below, above=above, mask=Mask(values[..., :32])))
    assert caught.value.code == "mask-size"


def test_latents_of_another_number_are_not_laid_over() -> None:
    with pytest.raises(SamplingError) as caught:
        run(CompositeLatents(below=latents(batch=2), above=latents(batch=3)))
    assert caught.value.code == "latents-batch"
