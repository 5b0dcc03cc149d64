"""Tiles and their blend."""

from __future__ import annotations

import math

import pytest
import torch

from sdgraph.diffusion.tiles import Tile, TileGrid, blend
from sdgraph.errors import SamplingError


def test_tiles_have_one_size_and_spread_evenly():
    grid = TileGrid(height=64, width=150, tile=64, overlap=16)
    assert grid.tiles == (Tile(0, 0, 64, 64), Tile(0, 43, 64, 64), Tile(0, 86, 64, 64))


def test_aligned_tiles_start_at_multiples():
    grid = TileGrid(height=64, width=200, tile=64, overlap=16, align=8)
    assert [tile.left for tile in grid.tiles] == [0, 40, 88, 136]


def test_a_small_picture_is_one_tile_of_its_own_size():
    assert TileGrid(height=40, width=30, tile=64, overlap=16).tiles == (Tile(0, 0, 40, 30),)


def test_a_single_tile_comes_back_bit_for_bit():
    field = torch.randn(2, 3, 40, 30)
    grid = TileGrid(40, 30, tile=64, overlap=16)
    assert torch.equal(blend(grid, grid.crop(field)), field)


def test_weights_rise_over_the_overlap():
    grid = TileGrid(height=4, width=12, tile=8, overlap=4)
    left, right = (weight[0] for weight in grid.weights())
    assert left[:4].tolist() == [1.0] * 4
    assert left[4:].tolist() == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert right[:4].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_without_overlap_tiles_are_laid_side_by_side():
    field = torch.randn(3, 16, 24)
    grid = TileGrid(16, 24, tile=8, overlap=0)
    assert torch.equal(blend(grid, grid.crop(field)), field)


@pytest.mark.parametrize(
    "grid",
    [
        (64, 64, 0, 0, 1),
        (64, 64, 32, 32, 1),
        (64, 64, 32, -1, 1),
        (0, 64, 32, 8, 1),
        (60, 64, 32, 8, 8),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(grid: tuple[int, int, int, int, int]):
    with pytest.raises(SamplingError, match="tile-grid"):
        TileGrid(*grid)


def test_a_missing_tile_is_noticed():
    grid = TileGrid(64, 64, tile=32, overlap=8)
    with pytest.raises(SamplingError, match="9 tiles, found 8"):
        blend(grid, grid.crop(torch.zeros(64, 64))[:-1])


def test_uniform_weights_are_the_mean_of_the_tiles_at_a_place():
    grid = TileGrid(height=4, width=12, tile=8, overlap=4, blending="uniform")
    left, right = (weight[0] for weight in grid.weights())
    assert left.tolist() == [1.0] * 4 + [0.5] * 4
    assert right.tolist() == [0.5] * 4 + [1.0] * 4


def test_gaussian_weights_favour_the_centre_of_a_tile_as_in_mixture_of_diffusers():
    grid = TileGrid(height=8, width=12, tile=8, overlap=4, blending="gaussian")
    left = grid.weights()[0][4]
    ratio = [math.exp(-(((x - 3.5) ** 2 - (x - 7.5) ** 2) / 64) / 0.02) for x in range(4, 8)]
    assert left[4:].tolist() == pytest.approx([share / (1 + share) for share in ratio])
    assert left[:4].tolist() == [1.0] * 4
