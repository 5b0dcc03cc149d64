from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sdgraph.errors import MediaError, ModelError, SamplingError
from sdgraph.models.checkpoint import Checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.models.vae import _blended, decode_latents, decode_preview, encode_image
from sdgraph.payloads.handles import VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import LATENTS, Latents
from tests.models.reference import reference_pipeline


def picture(height_px: int = 64, width_px: int = 64) -> Image:
    across = np.linspace(0, 1, width_px, dtype=np.float32)
    return Image(np.broadcast_to(across, (1, 3, height_px, width_px)))


def encode(pool: ModelPool, handle: VaeHandle, image: Image, tile_px: int = 0) -> Latents:
    with pool.lease(handle) as model:
        return encode_image(model, handle, image, tile_px)


def decode(pool: ModelPool, handle: VaeHandle, latents: Latents, tile_px: int = 0) -> Image:
    with pool.lease(handle) as model:
        return decode_latents(model, handle, latents, tile_px)


def test_coding_equals_that_of_diffusers(tiny: Checkpoint, pool: ModelPool, tiny_folder: Path) -> None:
    pipeline = reference_pipeline(tiny_folder)
    vae: Any = pipeline.vae
    image = picture(64, 96)
    latents = encode(pool, tiny.vae, image)
    with torch.no_grad():
        expected = vae.encode(torch.tensor(image.pixels) * 2 - 1).latent_dist.mode() * 0.18215
        decoded = pipeline.image_processor.postprocess(vae.decode(latents.samples / 0.18215).sample, output_type="pt")
    assert torch.equal(latents.samples, expected)
    assert (latents.space, latents.seeds, latents.empty) == (tiny.vae.space, None, False)
    assert torch.equal(torch.tensor(decode(pool, tiny.vae, latents).pixels), torch.as_tensor(decoded))


def test_the_shift_of_a_space_is_undone_on_the_way_back(tiny: Checkpoint, pool: ModelPool) -> None:
    shifted = replace(tiny.vae, space=replace(tiny.vae.space, scaling_factor=1.5, shift_factor=0.25))
    plain, moved = encode(pool, tiny.vae, picture()), encode(pool, shifted, picture())
    assert torch.allclose(moved.samples, (plain.samples / 0.18215 - 0.25) * 1.5, atol=1e-6)
    assert np.allclose(decode(pool, shifted, moved).pixels, decode(pool, tiny.vae, plain).pixels, atol=1e-4)


def test_the_preview_autoencoder_takes_latents_as_the_denoiser_sees_them(tiny: Checkpoint, pool: ModelPool) -> None:
    handle = tiny.denoiser.preview
    assert handle is not None
    samples = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with pool.lease(handle) as model, torch.no_grad():
        vae: Any = model
        expected = (vae.decode(samples).sample / 2 + 0.5).clamp(0, 1)
        assert torch.equal(torch.tensor(decode_preview(model, handle, samples).pixels), expected)
    assert encode(pool, handle, picture()).samples.shape == (1, 4, 8, 8)


def test_a_tile_as_large_as_the_picture_changes_nothing(tiny: Checkpoint, pool: ModelPool) -> None:
    whole = encode(pool, tiny.vae, picture())
    assert torch.equal(encode(pool, tiny.vae, picture(), 64).samples, whole.samples)
    assert np.array_equal(decode(pool, tiny.vae, whole, 64).pixels, decode(pool, tiny.vae, whole).pixels)


def test_tiles_cover_the_picture_in_every_shape(tiny: Checkpoint, pool: ModelPool) -> None:
    for height_px, width_px in ((64, 64), (40, 96), (32, 32), (24, 72)):
        latents = encode(pool, tiny.vae, picture(height_px, width_px), 32)
        assert (latents.height_px, latents.width_px) == (height_px, width_px)
        image = decode(pool, tiny.vae, latents, 32)
        assert (image.height_px, image.width_px) == (height_px, width_px)


def test_what_an_autoencoder_sees_point_by_point_is_the_same_in_tiles() -> None:
    """Without a view beyond a point, tiling has nothing to lose: it must agree up to rounding."""

    def shrink(tile: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(tile, 8)

    def grow(tile: Tensor) -> Tensor:
        return nn.functional.interpolate(tile, scale_factor=8.0)

    field = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(_blended(shrink, field, cells=4, step=8, shrink=True), shrink(field), atol=1e-6)
    assert torch.allclose(_blended(grow, field, cells=16, step=8, shrink=False), grow(field), atol=1e-6)


@pytest.mark.parametrize("tile_px", [-8, 8, 24, 33])
def test_a_tile_that_cannot_be_is_refused(tiny: Checkpoint, pool: ModelPool, tile_px: int) -> None:
    with pytest.raises(SamplingError) as caught:
        encode(pool, tiny.vae, picture(), tile_px)
    assert caught.value.code == "tile-size"


def test_a_picture_of_odd_size_is_refused_with_a_size_that_works(tiny: Checkpoint, pool: ModelPool) -> None:
    with pytest.raises(MediaError, match="72x64") as caught:
        encode(pool, tiny.vae, picture(60, 65))
    assert caught.value.code == "image-size"


def test_latents_of_another_space_are_refused(tiny: Checkpoint, pool: ModelPool) -> None:
    other = replace(tiny.vae.space, name="sdxl", scaling_factor=0.13025)
    with pytest.raises(ModelError) as caught:
        decode(pool, tiny.vae, Latents(torch.zeros(1, 4, 8, 8), other))
    assert caught.value.code == "latent-space-mismatch"


def test_latents_can_be_shared(tiny: Checkpoint, pool: ModelPool) -> None:
    latents = encode(pool, tiny.vae, picture())
    assert LATENTS.share is not None
    LATENTS.share(latents).samples.zero_()
    assert latents.samples.any()
