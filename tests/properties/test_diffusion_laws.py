"""Laws of sampling: splitting a stage changes nothing, and tiles cover a field evenly."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, CosineGuidance, GuidanceSchedule, IntervalGuidance
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.names import SigmaName
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.solvers.table import SOLVERS
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import start_from_noise
from sdgraph.diffusion.state import SamplerState
from sdgraph.diffusion.tile_weights import TileWeights
from sdgraph.diffusion.tiles import TileGrid, blend
from tests.diffusion.toys import SD, MixtureNetwork

GUIDER = ClassifierFreeGuidance(ModelDenoiser(MixtureNetwork(), SD), 0.5, -0.5)
SIGMAS: tuple[SigmaName, ...] = get_args(SigmaName)
GUIDANCE: list[GuidanceSchedule] = [
    ConstantGuidance(scale=5.0),
    CosineGuidance(start=9.0, end=1.0),
    IntervalGuidance(scale=6.0, start=0.2, end=0.7),
]

stages = st.builds(
    Stage,
    steps=st.integers(2, 7),
    solver=st.sampled_from(sorted(SOLVERS)),
    eta=st.sampled_from([None, 0.0, 0.6]),
    sigmas=st.sampled_from(SIGMAS),
    guidance=st.sampled_from(GUIDANCE),
)


def run(legs: tuple[Leg, ...]) -> SamplerState:
    state = start_from_noise(legs, SD, (11,), (4, 2, 2))
    for leg in legs:
        state = run_stage(leg, state, GUIDER, SD)
    return state


def same(left: SamplerState, right: SamplerState) -> bool:
    counts = [(state.sigma, state.step, state.nfe, state.draws) for state in (left, right)]
    return torch.equal(left.x, right.x) and counts[0] == counts[1]


@given(stages, st.data())
@settings(max_examples=60, deadline=None)
def test_one_stage_equals_two_that_split_the_same_sigmas_bit_for_bit(stage: Stage, data: st.DataObject):
    (whole,) = plan_legs([stage])
    assert same(run((whole,)), run(whole.split(data.draw(st.integers(1, stage.steps - 1)))))


@given(stages, st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_stages_that_differ_in_nothing_are_one_stage(stage: Stage, first: int):
    stage = stage.model_copy(update={"guidance": ConstantGuidance(scale=5.0)})
    first = min(first, stage.steps - 1)
    parts = [stage.model_copy(update={"steps": steps}) for steps in (first, stage.steps - first)]
    assert same(run(plan_legs([stage])), run(plan_legs(parts)))


@given(stages, stages, st.floats(0.5, 10), st.data())
@settings(max_examples=30, deadline=None)
def test_splitting_a_stage_with_its_own_range_changes_nothing(
    first: Stage, second: Stage, end: float, data: st.DataObject
):
    head, tail = plan_legs([first.model_copy(update={"sigma_end": end}), second])
    cut = data.draw(st.integers(1, head.steps - 1))
    assert same(run((head, tail)), run((*head.split(cut), tail)))


@given(stages, stages, st.data())
@settings(max_examples=30, deadline=None)
def test_splitting_a_stage_after_another_schedule_changes_nothing(first: Stage, second: Stage, data: st.DataObject):
    head, tail = plan_legs([first, second])
    cut = data.draw(st.integers(1, tail.steps - 1))
    assert same(run((head, tail)), run((head, *tail.split(cut))))


@given(stages, st.floats(0.3, 1.0))
@settings(max_examples=30, deadline=None)
def test_a_shortened_start_runs_the_share_of_the_steps(stage: Stage, strength: float):
    legs = plan_legs([stage], strength)
    assert sum(leg.steps for leg in legs) == int(stage.steps * strength)


@st.composite
def grids(draw: st.DrawFn) -> TileGrid:
    align = draw(st.sampled_from([1, 2, 8]))
    tile = draw(st.integers(1, 24))
    overlap = draw(st.integers(0, tile - 1))
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    blending = draw(st.sampled_from(get_args(TileWeights)))
    return TileGrid(height * align, width * align, tile * align, overlap * align, align, blending)


@given(grids())
@settings(max_examples=60, deadline=None)
def test_tiles_are_equal_cover_the_field_and_their_weights_sum_to_one(grid: TileGrid):
    assert len({(tile.height, tile.width) for tile in grid.tiles}) == 1
    assert all(tile.top % grid.align == 0 and tile.left % grid.align == 0 for tile in grid.tiles)
    total = torch.zeros(grid.height, grid.width, dtype=torch.float64)
    for tile, weight in zip(grid.tiles, grid.weights(), strict=True):
        assert tile.crop(total).shape == weight.shape
        assert bool((weight > 0).all())
        tile.crop(total).add_(weight)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)


@given(grids())
@settings(max_examples=40, deadline=None)
def test_neighbouring_tiles_share_at_least_the_overlap(grid: TileGrid):
    for starts in ({tile.left for tile in grid.tiles}, {tile.top for tile in grid.tiles}):
        ordered = sorted(starts)
        assert all(right - left <= grid.tile - grid.overlap for left, right in pairwise(ordered))


@given(grids(), st.floats(-1e6, 1e6, width=32))
@settings(max_examples=60, deadline=None)
def test_a_constant_field_comes_back_exactly(grid: TileGrid, value: float):
    field = torch.full((1, grid.height, grid.width), value)
    assert torch.equal(blend(grid, grid.crop(field)), field)


@given(grids())
@settings(max_examples=20, deadline=None)
def test_a_pointwise_change_tile_by_tile_is_the_change_of_the_whole(grid: TileGrid):
    field = torch.linspace(-2, 2, grid.height * grid.width).reshape(1, grid.height, grid.width)
    tiled = blend(grid, [torch.tanh(tile) for tile in grid.crop(field)])
    torch.testing.assert_close(tiled, torch.tanh(field), rtol=0, atol=1e-6)
