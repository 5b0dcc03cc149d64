"""Guidance schedules and classifier-free guidance."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from sdgraph.diffusion.denoiser import ModelDenoiser, denoised_from_prediction, prediction_from_denoised
from sdgraph.diffusion.guidance import ClassifierFreeGuidance, rescaled
from sdgraph.diffusion.guidance_schedule import (
    ConstantGuidance,
    CosineGuidance,
    GuidanceSchedule,
    IntervalGuidance,
    LinearGuidance,
    PiecewiseGuidance,
)
from sdgraph.diffusion.schedule import PredictionType
from tests.diffusion.toys import SD, MixtureNetwork

X = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(1)) * 3
SIGMA = torch.tensor([3.0, 3.0])
COND, UNCOND = 0.5, -0.25


def cfg(rescale: float = 0.0) -> tuple[MixtureNetwork, ClassifierFreeGuidance[float]]:
    network = MixtureNetwork()
    return network, ClassifierFreeGuidance(ModelDenoiser(network, SD), COND, UNCOND, rescale)


def alone(conditioning: float) -> torch.Tensor:
    return ModelDenoiser(MixtureNetwork(), SD).denoise(X, SIGMA, (conditioning,))[0]


def test_guidance_is_uncond_plus_scale_times_the_difference():
    _, guider = cfg()
    expected = alone(UNCOND) + 7.5 * (alone(COND) - alone(UNCOND))
    torch.testing.assert_close(guider.guide(X, SIGMA, 7.5).denoised, expected)


def test_both_conditionings_go_through_the_network_in_one_batch_uncond_first():
    network, guider = cfg()
    assert guider.guide(X, SIGMA, 7.5).nfe == 2
    assert (network.batches, network.orders) == ([4], [(UNCOND, COND)])


def test_scale_one_runs_only_cond_and_once():
    network, guider = cfg()
    guided = guider.guide(X, SIGMA, 1.0)
    assert (guided.nfe, network.batches, network.orders) == (1, [2], [(COND,)])
    assert torch.equal(guided.denoised, alone(COND))


def test_scale_zero_is_uncond():
    network, guider = cfg()
    guided = guider.guide(X, SIGMA, 0.0)
    assert (guided.nfe, network.orders) == (1, [(UNCOND,)])
    assert torch.equal(guided.denoised, alone(UNCOND))


def test_full_rescale_gives_the_spread_of_the_conditional_prediction():
    _, plain = cfg()
    _, guider = cfg(rescale=1.0)
    guided, cond = guider.guide(X, SIGMA, 7.5).denoised, alone(COND)
    assert not torch.allclose(guided, plain.guide(X, SIGMA, 7.5).denoised, atol=0.1)
    spread = [guider.model.to_prediction(value, X, SIGMA).std(dim=(1, 2, 3)) for value in (guided, cond)]
    torch.testing.assert_close(spread[0], spread[1])


def test_rescaling_by_nothing_changes_nothing():
    assert torch.equal(rescaled(X, X * 2, 0.0), X)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_predictions_and_denoised_latents_convert_both_ways(prediction: PredictionType):
    denoised = denoised_from_prediction(prediction, X / 3, X, SIGMA)
    torch.testing.assert_close(prediction_from_denoised(prediction, denoised, X, SIGMA), X / 3)


def test_a_perfect_velocity_gives_the_clean_latents():
    clean, noise = torch.rand(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    signal, spread = 1 / math.sqrt(10), 3 / math.sqrt(10)
    velocity = signal * noise - spread * clean
    model = ModelDenoiser[float](lambda x, t, c: velocity, replace(SD, prediction="v_prediction"))
    torch.testing.assert_close(model.denoise(clean + 3 * noise, SIGMA, (0.0,))[0], clean)


def test_the_network_sees_unit_variance_and_its_timestep():
    seen: list[torch.Tensor] = []
    model = ModelDenoiser[float](lambda x, t, c: seen.extend((x, t)) or x, SD)
    model.denoise(X, SD.training_sigmas[[500, 500]], (0.0,))
    torch.testing.assert_close(seen[0], X / (float(SD.training_sigmas[500]) ** 2 + 1) ** 0.5)
    assert seen[1].tolist() == [500.0, 500.0]


@pytest.mark.parametrize(
    ("schedule", "golden"),
    [
        (ConstantGuidance(scale=7.0), [7, 7, 7, 7, 7]),
        (LinearGuidance(start=9, end=1), [9, 7, 5, 3, 1]),
        (CosineGuidance(start=9, end=1), [9, 5 + 4 * math.sqrt(0.5), 5, 5 - 4 * math.sqrt(0.5), 1]),
        (PiecewiseGuidance(points=((0.25, 2), (0.75, 6))), [2, 2, 4, 6, 6]),
        (PiecewiseGuidance(points=((0, 3), (0.5, 3), (0.5, 8))), [3, 3, 8, 8, 8]),
        (PiecewiseGuidance(points=((0.5, 4),)), [4, 4, 4, 4, 4]),
        (IntervalGuidance(scale=8, start=0.25, end=0.5), [1, 8, 8, 1, 1]),
        (IntervalGuidance(scale=8, sigma_low=1.5, sigma_high=4), [1, 8, 8, 8, 1]),
    ],
)
def test_schedules_have_their_golden_values(schedule: GuidanceSchedule, golden: list[float]):
    scales = [schedule.scale_at(i / 4, sigma=5.0 - i) for i in range(5)]
    assert scales == pytest.approx(golden)


def test_a_schedule_is_read_from_json_by_its_kind():
    read = TypeAdapter[GuidanceSchedule](GuidanceSchedule).validate_json('{"kind": "linear", "start": 9, "end": 1}')
    assert read == LinearGuidance(start=9, end=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "constant", "scale": "nan"},
        {"kind": "piecewise", "points": []},
        {"kind": "piecewise", "points": [[0.5, 1], [0.2, 1]]},
        {"kind": "piecewise", "points": [[1.5, 1]]},
        {"kind": "interval", "scale": 3, "start": 0.9, "end": 0.1},
        {"kind": "sawtooth", "scale": 3},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        TypeAdapter[GuidanceSchedule](GuidanceSchedule).validate_python(wrong)
