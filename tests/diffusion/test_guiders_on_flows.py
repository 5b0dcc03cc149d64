"""Guiders and early stop on flow matching models, where x = (1 - sigma) x0 + sigma noise."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.guider_specs import ApgSpec, CfgPlusPlusSpec, CfgSpec, CfgZeroStarSpec, GuiderSpec
from sdgraph.diffusion.guiders.build import build_guider
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.sampling import run_stage
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.diffusion.start import start_from_noise
from sdgraph.diffusion.state import SamplerState
from tests.diffusion.toys import FlowMixtureNetwork, PerturbableDenoiser

FLOW = NoiseSchedule.from_config({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0})
SEEDS, SHAPE, COND, UNCOND = (3, 4), (4, 5, 6), 0.5, -0.25
SPECS: tuple[GuiderSpec, ...] = tuple(kind() for kind in get_args(get_args(GuiderSpec)[0]))


def sampled(
    spec: GuiderSpec, scale: float = 3.0, steps: int = 10, taken: int | None = None, rule: EarlyStop | None = None
) -> tuple[SamplerState, SamplerState, torch.Tensor]:
    """Where sampling begins, where it comes to in `taken` steps, and the sigmas."""
    (leg,) = plan_legs([Stage(steps=steps, guidance=ConstantGuidance(scale=scale), guider=spec, early_stop=rule)])
    start = start_from_noise((leg,), FLOW, SEEDS, SHAPE)
    part = leg.split(taken)[0] if taken else leg
    guider = build_guider(spec, PerturbableDenoiser(FlowMixtureNetwork(), FLOW), COND, UNCOND)
    return start, run_stage(part, start, guider, FLOW), leg_sigmas(leg, FLOW)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_every_guider_samples_a_flow(spec: GuiderSpec):
    _, end, _ = sampled(spec, scale=0.7 if spec.kind == "cfg_pp" else 3.0)
    assert bool(end.x.isfinite().all())
    different = float((end.x - sampled(CfgSpec())[1].x).abs().max()) > 1e-3
    assert different == (spec.kind != "cfg")


def test_a_neutral_guider_is_plain_guidance_on_flows_too():
    neutral = ApgSpec(eta=1, norm_threshold=0, momentum=0)
    torch.testing.assert_close(sampled(neutral)[1].x, sampled(CfgSpec())[1].x, rtol=0, atol=2e-5)


def test_zero_star_leaves_the_noise_as_it_is_in_its_first_steps():
    start, after, sigmas = sampled(CfgZeroStarSpec(zero_init_steps=2), taken=2)
    assert torch.equal(after.x, start.x)
    assert (after.sigma, after.nfe) == (float(sigmas[2]), 0)


def test_cfg_pp_puts_the_unconditional_noise_back():
    model = PerturbableDenoiser(FlowMixtureNetwork(), FLOW)
    start, end, sigmas = sampled(CfgPlusPlusSpec(), scale=0.6)
    x = start.x
    for sigma, after in zip(sigmas.tolist(), sigmas.tolist()[1:], strict=False):
        uncond, cond = model.denoise(x, torch.full((len(x),), sigma), (UNCOND, COND))
        noise = (x - (1 - sigma) * uncond) / sigma
        x = (1 - after) * (uncond + 0.6 * (cond - uncond)) + after * noise
    torch.testing.assert_close(end.x, x, rtol=0, atol=1e-5)


def test_an_early_stop_jumps_to_x0_and_knows_what_it_saved():
    full = sampled(CfgSpec(), steps=40)[1]
    early = sampled(CfgSpec(), steps=40, rule=EarlyStop(threshold=0.03, patience=1))[1]
    assert len(early.stopped) == len(SEEDS)
    assert {stop.nfe + stop.saved for stop in early.stopped} == {full.nfe}
    assert float((early.x - full.x).square().mean().sqrt() / full.x.square().mean().sqrt()) < 0.2
