"""Coding in tiles with the autoencoder that ships: how far it is from coding in one piece, and where."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from sdgraph_nodes.picture_reader import read_pixels
from torch import nn

from sdgraph.diffusion.tiles import TileGrid
from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.pool import ModelPool
from sdgraph.models.vae import OVERLAP_SHARE, decode_latents, encode_image
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents

EDGE_PX, TILE_PX, STEP = 256, 128, 8


@cache
def autoencoder() -> Any:
    return read_checkpoint("builtin:shapes").vae


@cache
def circle() -> Image:
    """256 x 256 pixels, four times what the autoencoder was trained on."""
    return Image(read_pixels("builtin:circle.png")[0])


def decoded(pool: ModelPool, tile_px: int, latents: Latents) -> np.ndarray[Any, Any]:
    with pool.lease(autoencoder()) as model:
        return decode_latents(model, autoencoder(), latents, tile_px).pixels


def encoded(pool: ModelPool, tile_px: int = 0) -> Latents:
    with pool.lease(autoencoder()) as model:
        return encode_image(model, autoencoder(), circle(), tile_px)


def columns_at_borders() -> list[int]:
    """The picture's columns on both sides of where a tile begins or ends."""
    cells = TILE_PX // STEP
    grid = TileGrid(EDGE_PX // STEP, EDGE_PX // STEP, cells, int(cells * OVERLAP_SHARE))
    edges = {side * STEP for tile in grid.tiles for side in (tile.left, tile.left + tile.width)} - {0, EDGE_PX}
    return [column for edge in sorted(edges) for column in (edge - 1, edge)]


def test_decoding_in_tiles_stays_near_decoding_in_one_piece_and_no_further_at_their_borders(pool: ModelPool) -> None:
    latents = encoded(pool)
    difference = np.abs(decoded(pool, TILE_PX, latents) - decoded(pool, 0, latents)).mean(axis=(0, 1, 2))
    assert difference.mean() <= 0.05
    assert difference[columns_at_borders()].mean() <= 1.25 * difference.mean()


def test_the_picture_has_no_edges_where_tiles_have(pool: ModelPool) -> None:
    rough = np.abs(np.diff(decoded(pool, TILE_PX, encoded(pool)), axis=-1)).mean(axis=(0, 1, 2))
    at_borders = rough[columns_at_borders()[::2]].mean()
    assert at_borders <= 1.5 * rough.mean()


def test_encoding_in_tiles_stays_near_encoding_in_one_piece(pool: ModelPool) -> None:
    whole, tiled = encoded(pool).samples, encoded(pool, TILE_PX).samples
    assert float((tiled - whole).abs().mean()) <= 0.2 * float(whole.abs().mean())


def test_in_tiles_a_picture_of_a_batch_is_that_picture_alone_bit_for_bit(pool: ModelPool) -> None:
    samples = encoded(pool).samples
    parts = [samples[..., :16, :16], samples[..., 8:24, 8:24], samples[..., 16:, 16:]]
    batch = decoded(pool, 64, Latents(torch.cat(parts), autoencoder().space))
    for number, part in enumerate(parts):
        assert np.array_equal(batch[number], decoded(pool, 64, Latents(part, autoencoder().space))[0])


@pytest.mark.parametrize("batch", [1, 3])
def test_only_one_tile_of_one_picture_goes_through_the_autoencoder_at_a_time(pool: ModelPool, batch: int) -> None:
    shapes: list[tuple[int, ...]] = []

    def note(_: nn.Module, arguments: Any) -> None:
        shapes.append(tuple(arguments[0].shape))

    with pool.lease(autoencoder()) as model:
        part: Any = model
        hook = part.decoder.register_forward_pre_hook(note)
        latents = Latents(torch.zeros(batch, 4, 12, 20), autoencoder().space)
        decode_latents(model, autoencoder(), latents, 64)
        hook.remove()
    assert set(shapes) == {(1, 4, 8, 8)}
    assert len(shapes) == batch * 2 * 3
