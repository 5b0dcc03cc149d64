"""Where diffusers' guiders are sound, ours give the same numbers from the same predictions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from diffusers.guiders.auto_guidance import AutoGuidance
from diffusers.guiders.classifier_free_guidance import ClassifierFreeGuidance
from diffusers.guiders.classifier_free_zero_star_guidance import ClassifierFreeZeroStarGuidance
from diffusers.guiders.magnitude_aware_guidance import MagnitudeAwareGuidance
from diffusers.guiders.perturbed_attention_guidance import PerturbedAttentionGuidance
from diffusers.guiders.skip_layer_guidance import SkipLayerGuidance
from diffusers.guiders.tangential_classifier_free_guidance import (
    TangentialClassifierFreeGuidance,
)
from diffusers.guiders.tangential_classifier_free_guidance import normalized_guidance as tangential_guidance
from torch import Tensor

from sdgraph.diffusion.guidance import StepContext
from sdgraph.diffusion.guider_specs import (
    ApgSpec,
    AutoGuidanceSpec,
    CfgSpec,
    CfgZeroStarSpec,
    GuiderSpec,
    PagSpec,
    SlgSpec,
    TcfgSpec,
)
from sdgraph.diffusion.guiders.build import build_guider
from sdgraph.diffusion.schedule import NoiseSchedule, PredictionType
from tests.diffusion.toys import SD, MixtureNetwork, PerturbableDenoiser

X = torch.randn(3, 4, 6, 7, generator=torch.Generator().manual_seed(1)) * 3
SIGMA = torch.full((3,), 3.0)
COND, UNCOND, SCALE = 0.5, -0.25, 6.0
MIDDLE = StepContext(step=3, steps=7)
V_PREDICTION = NoiseSchedule.from_betas(prediction="v_prediction")
KINDS: tuple[PredictionType, ...] = ("epsilon", "v_prediction")


def model(kind: PredictionType = "epsilon") -> PerturbableDenoiser:
    schedule = SD if kind == "epsilon" else V_PREDICTION
    return PerturbableDenoiser(MixtureNetwork(kind, schedule), schedule)


def predictions(kind: PredictionType) -> tuple[Tensor, Tensor, Tensor]:
    """What the network predicts under cond, under uncond, and under cond when it is perturbed."""
    asked = model(kind)
    found = asked.denoise(X, SIGMA, (COND, UNCOND, COND / 2))
    cond, uncond, worse = (asked.to_prediction(part, X, SIGMA) for part in found)
    return cond, uncond, worse


def ours(spec: GuiderSpec, kind: PredictionType = "epsilon", at: StepContext = MIDDLE) -> Tensor:
    """The guided prediction."""
    asked = model(kind)
    return asked.to_prediction(build_guider(spec, asked, COND, UNCOND).guide(X, SIGMA, SCALE, at).denoised, X, SIGMA)


def theirs(guider: Any, *parts: Tensor) -> Tensor:
    guider.set_state(step=3, num_inference_steps=7, timestep=torch.tensor(500))
    return guider.forward(*parts).pred


def assert_same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rescale", [0.0, 0.7, 1.0])
def test_classifier_free_guidance_with_rescale(kind: PredictionType, rescale: float):
    cond, uncond, _ = predictions(kind)
    reference = ClassifierFreeGuidance(guidance_scale=SCALE, guidance_rescale=rescale)
    assert_same(ours(CfgSpec(rescale=rescale), kind), theirs(reference, cond, uncond))


@pytest.mark.parametrize("kind", KINDS)
def test_cfg_zero_star(kind: PredictionType):
    cond, uncond, _ = predictions(kind)
    assert_same(ours(CfgZeroStarSpec(), kind), theirs(ClassifierFreeZeroStarGuidance(SCALE), cond, uncond))


@pytest.mark.parametrize("kind", KINDS)
def test_tangential_damping_by_the_formula_that_its_broken_class_calls(kind: PredictionType):
    cond, uncond, _ = predictions(kind)
    assert_same(ours(TcfgSpec(), kind), tangential_guidance(cond, uncond, SCALE))
    with pytest.raises(AttributeError):
        _ = TangentialClassifierFreeGuidance().is_conditional


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 2.0, 15.0])
def test_adaptive_projected_guidance_on_denoised_latents_as_its_paper_has_it(eta: float, threshold: float):
    cond, uncond = model().denoise(X, SIGMA, (COND, UNCOND))
    spec = ApgSpec(eta=eta, norm_threshold=threshold, momentum=0)
    found = build_guider(spec, model(), COND, UNCOND).guide(X, SIGMA, SCALE, MIDDLE).denoised
    expected = normalized_guidance(cond, uncond, SCALE - 1, None, eta, threshold, use_original_formulation=True)
    assert_same(found, expected)


def test_the_momentum_of_adaptive_projected_guidance():
    cond, uncond = model().denoise(X, SIGMA, (COND, UNCOND))
    buffer, memory = MomentumBuffer(-0.5), None
    guider = build_guider(ApgSpec(), model(), COND, UNCOND)
    for step in range(3):
        answer = guider.guide(X, SIGMA, SCALE, StepContext(step, 7, memory))
        expected = normalized_guidance(cond, uncond, SCALE - 1, buffer, 0.0, 15.0, use_original_formulation=True)
        assert_same(answer.denoised, expected)
        memory = answer.memory


@pytest.mark.parametrize("kind", KINDS)
def test_perturbed_attention_and_skipped_layers(kind: PredictionType):
    cond, uncond, worse = predictions(kind)
    pag = PerturbedAttentionGuidance(
        SCALE, perturbed_guidance_scale=2.0, perturbed_guidance_start=0, perturbed_guidance_stop=1,
        perturbed_guidance_layers=[0],
    )  # fmt: skip
    assert_same(ours(PagSpec(scale=2), kind), theirs(pag, cond, uncond, worse))
    slg = SkipLayerGuidance(
        SCALE, skip_layer_guidance_scale=2.0, skip_layer_guidance_start=0, skip_layer_guidance_stop=1,
        skip_layer_guidance_layers=[0],
    )  # fmt: skip
    assert_same(ours(SlgSpec(scale=2, start=0, stop=1), kind), theirs(slg, cond, uncond, worse))


def test_perturbation_reaches_the_first_step_which_diffusers_leaves_out():
    """diffusers asks for `start_step < step`, so a start of 0 leaves step 0 as it is."""
    reference = PerturbedAttentionGuidance(
        SCALE, perturbed_guidance_start=0, perturbed_guidance_stop=1, perturbed_guidance_layers=[0]
    )
    timestep: Any = torch.tensor(999)
    reference.set_state(step=0, num_inference_steps=7, timestep=timestep)
    assert reference.num_conditions == 2
    assert build_guider(PagSpec(), model(), COND, UNCOND).evaluations(SCALE, StepContext(0, 7)) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_autoguidance(kind: PredictionType):
    cond, _, worse = predictions(kind)
    reference = AutoGuidance(SCALE, auto_guidance_layers=[0], dropout=1.0)
    assert_same(ours(AutoGuidanceSpec(), kind), theirs(reference, cond, worse))


def test_magnitude_aware_guidance_of_diffusers_does_not_run():
    """Why there is no such guider to compare with: it takes the norm over three axes, which torch refuses."""
    cond, uncond, _ = predictions("epsilon")
    with pytest.raises(RuntimeError, match="2-tuple"):
        theirs(MagnitudeAwareGuidance(SCALE), cond, uncond)


def test_evaluations_per_sampling_are_those_of_diffusers():
    """Six steps: 12 with plain guidance and with autoguidance, 6 without, 18 with a perturbation in every step."""
    for spec, scale, expected in (
        (CfgSpec(), SCALE, 12),
        (CfgSpec(), 1.0, 6),
        (AutoGuidanceSpec(), SCALE, 12),
        (PagSpec(), SCALE, 18),
        (SlgSpec(start=0.01, stop=1), SCALE, 17),
    ):
        guider = build_guider(spec, model(), COND, UNCOND)
        assert sum(guider.evaluations(scale, StepContext(step, 6)) for step in range(6)) == expected
