"""Coding in tiles is coding in one piece: the same picture, without seams, by one tile at a time."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from sdgraph_nodes.picture_reader import read_pixels
from torch import nn

from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.models.tiled_coder import TiledCoder
from sdgraph.models.vae import decode_latents, encode_image
from sdgraph.payloads.handles import VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents

ORDER_OF_SUMS = 3e-5
"""How far apart two ways to sum the same float32 numbers are; 1.2e-5 was the most that was seen."""
SOURCES = ["builtin:shapes", "synthetic:sd15-tiny", "synthetic:sdxl-tiny", "synthetic:sd3-tiny", "synthetic:flux-tiny"]


@cache
def autoencoder() -> VaeHandle:
    return read_checkpoint("builtin:shapes").vae


@cache
def circle() -> Image:
    """256 x 256 pixels, four times what the autoencoder was trained on."""
    return Image(read_pixels("builtin:circle.png")[0])


def decoded(pool: ModelPool, tile_px: int, latents: Latents, handle: Any = None) -> np.ndarray[Any, Any]:
    handle = handle or autoencoder()
    with pool.lease(handle) as model:
        return decode_latents(model, handle, latents, tile_px).pixels


def encoded(pool: ModelPool, tile_px: int = 0, handle: Any = None) -> Latents:
    handle = handle or autoencoder()
    with pool.lease(handle) as model:
        return encode_image(model, handle, circle(), tile_px)


@pytest.mark.parametrize("tile_px", [32, 56, 128, 512])
@pytest.mark.parametrize("source", SOURCES)
def test_in_tiles_of_any_size_the_result_is_that_of_one_piece(pool: ModelPool, source: str, tile_px: int) -> None:
    handle = read_checkpoint(source).vae
    width, height = 22, 13  # no multiple of any tile
    samples = torch.randn(1, handle.space.channels, height, width, generator=torch.Generator().manual_seed(3))
    step = handle.space.downscale
    with pool.lease(handle) as leased, torch.no_grad():
        model: Any = leased
        tiles = TiledCoder(model, max(tile_px // step, 4))
        assert (tiles.decode(samples) - model.decode(samples).sample).abs().max() <= ORDER_OF_SUMS
        pixels = torch.rand(1, 3, height * step, width * step, generator=torch.Generator().manual_seed(4)) * 2 - 1
        assert (tiles.encode(pixels) - model.encode(pixels).latent_dist.mode()).abs().max() <= ORDER_OF_SUMS


def test_there_is_no_seam_where_tiles_meet(pool: ModelPool) -> None:
    """How rough the columns are at which tiles of 64 px meet, against the same columns of the picture in one piece."""
    latents = encoded(pool)
    rough = {
        tile_px: np.abs(np.diff(decoded(pool, tile_px, latents), axis=-1)).mean(axis=(0, 1, 2))[63::64]
        for tile_px in (0, 64)
    }
    np.testing.assert_allclose(rough[64], rough[0], rtol=1e-3)


def test_latents_of_a_picture_in_tiles_are_those_of_one_piece(pool: ModelPool) -> None:
    assert (encoded(pool, 64).samples - encoded(pool).samples).abs().max() <= ORDER_OF_SUMS


def test_tiles_of_a_tiny_autoencoder_are_blended(pool: ModelPool) -> None:
    tiny = read_checkpoint("builtin:shapes").denoiser.preview
    assert tiny is not None
    latents = encoded(pool)
    difference = np.abs(decoded(pool, 128, latents, tiny) - decoded(pool, 0, latents, tiny))
    assert 0 < difference.mean() <= 0.01


def test_in_tiles_a_picture_of_a_batch_is_that_picture_alone_bit_for_bit(pool: ModelPool) -> None:
    samples = encoded(pool).samples
    parts = [samples[..., :16, :16], samples[..., 8:24, 8:24], samples[..., 16:, 16:]]
    batch = decoded(pool, 64, Latents(torch.cat(parts), autoencoder().space))
    for number, part in enumerate(parts):
        assert np.array_equal(batch[number], decoded(pool, 64, Latents(part, autoencoder().space))[0])


@pytest.mark.parametrize("batch", [1, 3])
def test_only_one_tile_of_one_picture_goes_through_a_layer_at_a_time(
    pool: ModelPool, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, ...]] = []
    plain = nn.functional.conv2d

    def noted(tile: torch.Tensor, *arguments: Any) -> torch.Tensor:
        sizes.append((tile.shape[0], max(tile.shape[2:])))
        return plain(tile, *arguments)

    monkeypatch.setattr(nn.functional, "conv2d", noted)
    with pool.lease(autoencoder()) as model:
        decode_latents(model, autoencoder(), Latents(torch.zeros(batch, 4, 12, 20), autoencoder().space), 64)
    assert {pictures for pictures, _ in sizes} == {1}
    assert max(side for _, side in sizes) == 64 + 2  # a tile at full size, and the neighbours that a layer sees
