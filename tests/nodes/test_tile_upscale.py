from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sdgraph_nodes.tile_upscale import TileUpscale
from sdgraph_nodes.tiled_guider import TiledGuider
from torch import Tensor

from sdgraph.diffusion.guidance import FIRST_STEP, Guided, StepContext
from sdgraph.diffusion.tiles import TileGrid
from sdgraph.errors import RunCancelled, SamplingError
from sdgraph.payloads.image import Image
from tests.nodes.tiny_model import context, model, prompt
from tests.toys import RecordingContext


def slope(edge_px: int = 64) -> Image:
    """A picture without any edge: brightness rises evenly."""
    ramp = np.linspace(0.2, 0.8, edge_px, dtype=np.float32)
    pixels = np.empty((1, 3, edge_px, edge_px), dtype=np.float32)
    pixels[:] = (ramp[None, :] + ramp[:, None]) / 2
    return Image(pixels)


def upscale(image: Image, ctx: RecordingContext | None = None, **values: Any) -> Image:
    ports: Any = {
        "tile_px": 64,
        "overlap_px": 32,
        "steps": 8,
        "strength": 0.5,
        "guidance": 3.0,
        "positive": prompt("a star"),
        "negative": prompt("blue"),
        **values,
    }
    node: Any = TileUpscale(image=image, denoiser=model().denoiser, vae=model().vae, **ports)
    return node.run(ctx or context()).image


class AskedOnce:
    """The part of a guider that says its cost."""

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        return 1


class Patchy(AskedOnce):
    """A guider that answers each tile with a level of its own: the worst case for seams."""

    def __init__(self) -> None:
        self.calls = 0

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        self.calls += 1
        return Guided(torch.full_like(x, float(self.calls % 2)), nfe=2)


def tiled(overlap: int) -> Tensor:
    grid = TileGrid(8, 24, tile=8, overlap=overlap)
    return TiledGuider(Patchy(), grid, lambda _: None).guide(torch.zeros(1, 1, 8, 24), torch.ones(1), 3.0).denoised


def largest_jump(field: Tensor) -> float:
    """How much neighbouring columns differ at most: the metric of a seam."""
    return float(field.diff(dim=-1).abs().max())


def test_answers_that_disagree_completely_are_feathered_over_the_overlap() -> None:
    assert largest_jump(tiled(overlap=0)) == 1.0
    assert largest_jump(tiled(overlap=4)) <= 0.3


def test_every_tile_is_asked_once_and_all_evaluations_are_counted() -> None:
    seen: list[int] = []
    grid = TileGrid(8, 20, tile=8, overlap=4)
    answer = TiledGuider(Patchy(), grid, seen.append).guide(torch.zeros(1, 1, 8, 20), torch.ones(1), 3.0)
    assert seen == list(range(len(grid.tiles)))
    assert answer.nfe == 2 * len(grid.tiles)


def test_the_order_of_the_tiles_does_not_matter() -> None:
    class Smooth(AskedOnce):
        def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
            return Guided(x - x.mean(), nfe=1)

    field = torch.randn(1, 4, 20, 20, generator=torch.Generator().manual_seed(0))
    forwards, backwards = TileGrid(20, 20, tile=8, overlap=4), TileGrid(20, 20, tile=8, overlap=4)
    backwards.__dict__["tiles"] = forwards.tiles[::-1]
    first, second = (
        TiledGuider(Smooth(), grid, lambda _: None).guide(field, torch.ones(1), 1.0).denoised
        for grid in (forwards, backwards)
    )
    assert torch.allclose(first, second, atol=1e-6)


def test_tiles_agree_with_one_piece_where_the_model_looks_at_single_points() -> None:
    class Pointwise(AskedOnce):
        def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
            return Guided(x.tanh(), nfe=1)

    field = torch.randn(2, 4, 19, 23, generator=torch.Generator().manual_seed(0))
    grid = TileGrid(19, 23, tile=8, overlap=3)
    answer = TiledGuider(Pointwise(), grid, lambda _: None).guide(field, torch.ones(2), 1.0).denoised
    assert torch.allclose(answer, field.tanh(), atol=1e-6)


def test_each_tile_remembers_for_itself_what_its_guider_wants_to_be_told() -> None:
    class Summing(AskedOnce):
        def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
            total = x if at.memory is None else x + at.memory
            return Guided(total, nfe=1, memory=total, renoise=-x)

    field = torch.randn(1, 4, 19, 23, generator=torch.Generator().manual_seed(0))
    guider = TiledGuider(Summing(), TileGrid(19, 23, tile=8, overlap=3), lambda _: None)
    first = guider.guide(field, torch.ones(1), 1.0)
    second = guider.guide(field, torch.ones(1), 1.0, StepContext(1, 4, first.memory))
    torch.testing.assert_close(second.denoised, 2 * field)
    assert second.renoise is not None
    torch.testing.assert_close(second.renoise, -field)
    assert guider.evaluations(1.0) == second.nfe == len(guider.grid.tiles)


def test_the_result_is_the_enlarged_size() -> None:
    assert upscale(slope(), factor=1.5).pixels.shape == (1, 3, 96, 96)


def test_one_tile_is_enough_for_a_small_picture() -> None:
    ctx = context()
    upscale(slope(), ctx, factor=1)
    assert ctx.reports[-1] == (4, 4)


def test_no_strength_is_the_autoencoder_alone() -> None:
    ctx = context()
    upscale(slope(), ctx, strength=0)
    assert ctx.reports == []


def test_the_same_seed_gives_the_same_picture_and_another_one_another() -> None:
    first = upscale(slope(), seed=1)
    assert np.array_equal(first.pixels, upscale(slope(), seed=1).pixels)
    assert not np.array_equal(first.pixels, upscale(slope(), seed=2).pixels)


def test_progress_is_told_per_tile_and_step_and_cancelling_stops_between_tiles() -> None:
    ctx = context()
    upscale(slope(), ctx)
    steps, tiles = 4, 9
    assert ctx.reports[-1] == (steps * tiles, steps * tiles)
    assert len({done for done, _ in ctx.reports}) == steps * tiles + 1
    stopped = context(cancel_after=5)
    with pytest.raises(RunCancelled):
        upscale(slope(), stopped)
    assert len(stopped.reports) == 5


def test_tile_borders_are_no_rougher_than_the_rest_of_the_picture() -> None:
    pixels = torch.from_numpy(upscale(slope(), solver="euler").pixels.copy())
    grid = TileGrid(128, 128, tile=64, overlap=32, align=8)
    borders = sorted({edge for tile in grid.tiles for edge in (tile.left, tile.left + tile.width)} - {0, 128})
    rough = pixels.diff(dim=-1).abs().mean(dim=(0, 1, 2))
    at_borders = rough[[border - 1 for border in borders]].mean()
    assert at_borders <= 1.25 * rough.mean()


def test_guidance_needs_a_negative_conditioning() -> None:
    with pytest.raises(SamplingError) as caught:
        upscale(slope(), negative=None)
    assert caught.value.code == "negative-missing"
    assert upscale(slope(), negative=None, guidance=1.0, steps=2).pixels.shape == (1, 3, 128, 128)


def test_a_result_beyond_the_limit_is_refused_before_it_is_made() -> None:
    with pytest.raises(SamplingError) as caught:
        upscale(Image(np.zeros((1, 3, 8, 4096), dtype=np.float32)), factor=8)
    assert caught.value.code == "upscale-too-large"
