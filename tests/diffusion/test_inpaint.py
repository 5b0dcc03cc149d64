"""What is kept while the rest is drawn: put back at every step, with solvers, stages and early stops."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance import ClassifierFreeGuidance
from sdgraph.diffusion.inpaint import Kept
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.solvers.table import SOLVERS
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import keep, start_from_latents
from sdgraph.diffusion.state import SamplerState
from tests.diffusion.toys import SD, MixtureNetwork

GUIDER = ClassifierFreeGuidance(ModelDenoiser(MixtureNetwork(), SD), 0.5, -0.5)
SHAPE = (4, 4, 6)
PICTURE = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))
HALF = torch.zeros(1, 1, 4, 6)
HALF[..., 3:] = 1


def start(legs: tuple[Leg, ...], mask: Tensor = HALF, *, differential: bool = False) -> SamplerState:
    return keep(start_from_latents(legs, SD, PICTURE, (5, 6)), SD, PICTURE, mask, differential=differential)


def run(*stages: Stage, mask: Tensor = HALF, differential: bool = False) -> SamplerState:
    legs = plan_legs(stages, 0.8)
    state = start(legs, mask, differential=differential)
    for leg in legs:
        state = run_stage(leg, state, GUIDER, SD)
    return state


@pytest.mark.parametrize("solver", sorted(set(SOLVERS) & {"ddim", "euler", "heun", "dpmpp_2m", "unipc", "pndm", "lcm"}))
def test_the_kept_part_is_the_picture_after_every_solver(solver: Any) -> None:
    end = run(Stage(steps=5, solver=solver))
    assert torch.equal(end.x[..., :3], PICTURE[..., :3])
    assert not torch.isclose(end.x[..., 3:], PICTURE[..., 3:]).any()


@given(st.integers(1, 4), st.booleans())
@settings(max_examples=8, deadline=None)
def test_stages_keep_what_one_stage_keeps_bit_for_bit(first: int, differential: bool) -> None:
    ramp = torch.linspace(0, 1, 6).expand(1, 1, 4, 6)
    whole = run(Stage(steps=5, solver="dpmpp_2m"), mask=ramp, differential=differential)
    parts = [Stage(steps=first, solver="dpmpp_2m"), Stage(steps=5 - first, solver="dpmpp_2m")]
    assert torch.equal(run(*parts, mask=ramp, differential=differential).x, whole.x)


def test_what_is_kept_goes_through_a_file_unchanged() -> None:
    legs = plan_legs([Stage(steps=3), Stage(steps=3)], 0.8)
    middle = run_stage(legs[0], start(legs), GUIDER, SD)
    meta, tensors = middle.to_tensors()
    stored = SamplerState.from_tensors(json.loads(json.dumps(meta)), tensors)
    assert torch.equal(run_stage(legs[1], stored, GUIDER, SD).x, run_stage(legs[1], middle, GUIDER, SD).x)


def test_a_picture_that_is_finished_early_keeps_its_kept_part_too() -> None:
    end = run(Stage(steps=12, early_stop=EarlyStop(threshold=1.0, min_steps=1, patience=1)))
    assert end.stopped
    assert torch.equal(end.x[..., :3], PICTURE[..., :3])


def test_a_model_that_sees_what_is_kept_draws_everything() -> None:
    (leg,) = plan_legs([Stage(steps=4)], 0.8)
    drawn = run_stage(leg, start((leg,)), GUIDER, SD, put_back=False)
    plain = run_stage(leg, start_from_latents((leg,), SD, PICTURE, (5, 6)), GUIDER, SD)
    assert torch.equal(drawn.x, plain.x)


@given(st.floats(0, 1), st.floats(0.03, 14))
@settings(max_examples=60, deadline=None)
def test_a_point_of_a_differential_mask_is_drawn_during_its_share_of_sampling(value: float, sigma: float) -> None:
    kept = Kept(PICTURE, torch.zeros_like(PICTURE), torch.full((1, 1, 4, 6), value), 999.0, differential=True)
    drawn = torch.equal(kept.over(torch.full_like(PICTURE, 9.0), sigma, SD), torch.full_like(PICTURE, 9.0))
    progress = (999 - float(SD.timestep_of(torch.tensor([sigma]))[0])) / 1000
    assert drawn == (1 - torch.tensor(value).item() <= progress)


def test_networks_for_inpainting_see_the_mask_and_the_visible_part() -> None:
    visible = torch.randn(1, *SHAPE)
    seen = Kept(PICTURE, PICTURE, HALF.expand(2, -1, -1, -1), 999.0, visible=visible).channels()
    assert seen is not None
    assert seen.shape == (2, 5, 4, 6)
    assert torch.equal(seen[1, 1:], visible[0])
    assert Kept(PICTURE, PICTURE, HALF, 999.0).channels() is None
