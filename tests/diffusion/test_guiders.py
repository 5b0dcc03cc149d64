"""Each guider differs from plain guidance where it should, equals it where it must, and costs what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from sdgraph.diffusion.denoiser import ModelDenoiser
from sdgraph.diffusion.guidance import ClassifierFreeGuidance, Guided, StepContext
from sdgraph.diffusion.guidance_schedule import ConstantGuidance
from sdgraph.diffusion.guider_specs import (
    ApgSpec,
    AutoGuidanceSpec,
    CfgPlusPlusSpec,
    CfgSpec,
    CfgZeroStarSpec,
    DynamicThresholdSpec,
    FrequencySpec,
    GuiderSpec,
    PagSpec,
    SegSpec,
    SlgSpec,
    TcfgSpec,
    needs_negative,
)
from sdgraph.diffusion.guiders.build import build_guider
from sdgraph.diffusion.guiders.fdg import coarsest
from sdgraph.diffusion.perturbation import Perturbation
from sdgraph.diffusion.stage import Stage
from sdgraph.diffusion.stages import plan_legs
from sdgraph.errors import SamplingError
from tests.diffusion.toys import SD, MixtureNetwork, PerturbableDenoiser

X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1)) * 3
SIGMA = torch.tensor([3.0, 3.0])
COND, UNCOND, SCALE = 0.5, -0.25, 7.5
MIDDLE = StepContext(step=5, steps=11)

DIFFERENT: list[GuiderSpec] = [
    CfgSpec(rescale=0.7),
    CfgZeroStarSpec(),
    ApgSpec(),
    ApgSpec(eta=1, momentum=0, norm_threshold=1),
    PagSpec(),
    SlgSpec(start=0, stop=1),
    SegSpec(),
    SegSpec(blur_sigma=1.5),
    TcfgSpec(),
    AutoGuidanceSpec(),
    DynamicThresholdSpec(mimic_scale=3),
    CfgPlusPlusSpec(),
    FrequencySpec(),
]
NEUTRAL: list[GuiderSpec] = [
    ApgSpec(eta=1, momentum=0, norm_threshold=0),
    DynamicThresholdSpec(mimic_scale=SCALE),
    DynamicThresholdSpec(mimic_scale=SCALE, percentile=0.5),
    FrequencySpec(low=1),
]
OFF: list[GuiderSpec] = [
    CfgSpec(rescale=0),
    PagSpec(scale=0),
    SlgSpec(scale=0),
    SegSpec(scale=0),
    SegSpec(blur_sigma=0),
    PagSpec(start=0.6),
    SlgSpec(stop=0.4),
    SegSpec(start=0.2, stop=0.3),
]


class Asked:
    """A guider on the exact network of a mixture, and what the network was asked."""

    def __init__(self, spec: GuiderSpec, weak: bool = False) -> None:
        self.network, self.weak_network = MixtureNetwork(), MixtureNetwork()
        self.model = PerturbableDenoiser(self.network, SD)
        second = PerturbableDenoiser(self.weak_network, SD) if weak else None
        self.guider = build_guider(spec, self.model, COND, UNCOND, second)

    def guide(self, scale: float = SCALE, at: StepContext = MIDDLE) -> Guided:
        return self.guider.guide(X, SIGMA, scale, at)

    @property
    def evaluations(self) -> int:
        """Network evaluations per picture."""
        return (sum(self.network.batches) + sum(self.weak_network.batches)) // len(X)


def kind(spec: GuiderSpec) -> str:
    return spec.kind


def alone(conditioning: float) -> Tensor:
    return ModelDenoiser(MixtureNetwork(), SD).denoise(X, SIGMA, (conditioning,))[0]


def plain(scale: float = SCALE) -> Tensor:
    return ClassifierFreeGuidance(ModelDenoiser(MixtureNetwork(), SD), COND, UNCOND).guide(X, SIGMA, scale).denoised


@pytest.mark.parametrize("spec", DIFFERENT, ids=kind)
def test_a_guider_differs_from_plain_guidance_and_is_finite(spec: GuiderSpec):
    guided = Asked(spec).guide()
    target = guided.denoised if guided.renoise is None else guided.denoised - guided.renoise
    assert bool(guided.denoised.isfinite().all())
    assert float((target - plain()).abs().max()) > 1e-3


@pytest.mark.parametrize("spec", NEUTRAL, ids=kind)
def test_a_neutral_guider_equals_plain_guidance(spec: GuiderSpec):
    assert float((Asked(spec).guide().denoised - plain()).abs().max()) <= 2e-6


@pytest.mark.parametrize("spec", OFF, ids=kind)
def test_what_is_off_is_plain_guidance_bit_for_bit_and_costs_nothing(spec: GuiderSpec):
    asked = Asked(spec)
    assert torch.equal(asked.guide().denoised, plain())
    assert asked.network.orders == [(UNCOND, COND)]
    assert asked.evaluations == asked.guider.evaluations(SCALE, MIDDLE) == 2


@pytest.mark.parametrize("spec", [*DIFFERENT, *NEUTRAL, *OFF], ids=kind)
@pytest.mark.parametrize("scale", [0.0, 0.4, 1.0, 7.5])
@pytest.mark.parametrize("step", [0, 2, 10])
def test_the_evaluations_that_are_counted_are_those_that_happen(spec: GuiderSpec, scale: float, step: int):
    asked, at = Asked(spec), StepContext(step, 11)
    guided = asked.guide(scale, at)
    assert guided.nfe == asked.guider.evaluations(scale, at) == asked.evaluations


@pytest.mark.parametrize(
    "spec", [spec for spec in (*DIFFERENT, *NEUTRAL) if spec.kind not in ("pag", "slg", "seg", "cfg_pp")], ids=kind
)
def test_a_scale_of_one_is_the_conditional_answer_alone(spec: GuiderSpec):
    asked = Asked(spec)
    assert torch.equal(asked.guide(scale=1).denoised, alone(COND))
    assert asked.network.orders == [(COND,)]


def test_only_guiders_that_look_at_it_need_a_negative_conditioning():
    needed = {spec.kind: (needs_negative(spec, False), needs_negative(spec, True)) for spec in (*DIFFERENT, *OFF)}
    usual = dict.fromkeys(needed, (True, False))
    assert needed == usual | {"autoguidance": (False, False), "cfg_pp": (True, True)}


# CFG-Zero*


def test_zero_star_gives_parallel_predictions_back_whatever_the_scale():
    """When cond is a multiple of uncond, the fitted uncond is cond, and there is nothing to guide."""
    model = PerturbableDenoiser(lambda x, t, c: x * torch.tensor(c).repeat_interleave(2).reshape(-1, 1, 1, 1), SD)
    guided = build_guider(CfgZeroStarSpec(), model, 0.9, 0.3).guide(X, SIGMA, 12.0, MIDDLE).denoised
    torch.testing.assert_close(guided, model.denoise(X, SIGMA, (0.9,))[0], rtol=0, atol=5e-5)


def test_zero_star_keeps_still_at_first_without_asking_the_network():
    asked = Asked(CfgZeroStarSpec(zero_init_steps=2))
    for step, evaluations in ((0, 0), (1, 0), (2, 2)):
        guided = asked.guide(at=StepContext(step, 11))
        assert guided.nfe == evaluations
        assert torch.equal(guided.denoised, X) == (evaluations == 0)  # zero noise: x0 is x


# APG


def test_apg_without_the_part_along_the_conditional_answer_moves_at_right_angles_to_it():
    update = Asked(ApgSpec(eta=0, norm_threshold=0, momentum=0)).guide(2.0).denoised - alone(COND)
    cosines = torch.cosine_similarity(update.flatten(1), alone(COND).flatten(1))
    assert float(cosines.abs().max()) < 1e-6


def test_apg_bounds_the_length_of_the_direction():
    update = Asked(ApgSpec(eta=1, norm_threshold=0.5, momentum=0)).guide(2.0).denoised - alone(COND)
    torch.testing.assert_close(update.flatten(1).norm(dim=1), torch.tensor([0.5, 0.5]))


def test_apg_remembers_a_running_sum_of_directions():
    direction, asked = alone(COND) - alone(UNCOND), Asked(ApgSpec(eta=1, norm_threshold=0, momentum=-0.5))
    first = asked.guide(2.0)
    assert first.memory is not None
    second = asked.guide(2.0, StepContext(6, 11, first.memory))
    torch.testing.assert_close(first.memory, direction)
    torch.testing.assert_close(second.denoised, alone(COND) + direction * 0.5)


def test_apg_keeps_its_memory_over_a_step_without_guidance():
    memory = torch.ones_like(X)
    assert Asked(ApgSpec()).guide(1.0, StepContext(3, 11, memory)).memory is memory


# Perturbed attention, skipped layers, blurred queries


@pytest.mark.parametrize("spec", [PagSpec(scale=2), SlgSpec(scale=2, start=0, stop=1), SegSpec(scale=2)], ids=kind)
@pytest.mark.parametrize("scale", [0.0, 1.0, 7.5])
def test_a_perturbed_answer_is_pushed_away_from(spec: PagSpec | SlgSpec | SegSpec, scale: float):
    asked = Asked(spec)
    worse = alone(COND / 2)  # how the toy is perturbed
    expected = plain(scale) + 2 * (alone(COND) - worse)
    torch.testing.assert_close(asked.guide(scale).denoised, expected)
    assert asked.model.perturbations == [spec.perturbation()]


def test_each_spec_says_what_is_done_to_the_network():
    assert PagSpec(layers=("up.0",)).perturbation() == Perturbation("identity", ("up.0",))
    assert SlgSpec().perturbation() == Perturbation("skip")
    assert SegSpec(blur_sigma=2.5).perturbation() == Perturbation("blur", (), 2.5)


# Autoguidance


def test_autoguidance_leads_from_the_weak_model_past_the_strong_one_under_one_prompt():
    asked = Asked(AutoGuidanceSpec())
    worse = alone(COND / 2)
    torch.testing.assert_close(asked.guide(2.5).denoised, worse + 2.5 * (alone(COND) - worse))
    assert asked.network.orders == [(COND / 2,), (COND,)]


def test_autoguidance_with_a_second_model_perturbs_none():
    asked = Asked(AutoGuidanceSpec(), weak=True)
    torch.testing.assert_close(asked.guide(2.5).denoised, alone(COND))  # both models are the same here
    assert (asked.network.orders, asked.weak_network.orders) == ([(COND,)], [(COND,)])
    assert not hasattr(asked.model, "perturbations")


def test_autoguidance_at_scale_zero_is_the_weak_model_alone():
    asked = Asked(AutoGuidanceSpec(), weak=True)
    assert torch.equal(asked.guide(0.0).denoised, alone(COND))
    assert (asked.network.orders, asked.weak_network.orders) == ([], [(COND,)])


# Dynamic thresholding


def spread(latents: Tensor) -> Tensor:
    flat = latents.flatten(2)
    return (flat - flat.mean(-1, keepdim=True)).abs().amax(-1)


def test_thresholding_gives_the_range_of_the_mimic_scale_and_the_mean_of_the_large_one():
    guided = Asked(DynamicThresholdSpec(mimic_scale=3)).guide(20.0).denoised
    torch.testing.assert_close(spread(guided), torch.minimum(spread(plain(3)), spread(plain(20))))
    torch.testing.assert_close(guided.mean((2, 3)), plain(20).mean((2, 3)))


def test_a_lower_percentile_cuts_off_and_leaves_more_contrast_to_the_rest():
    whole = Asked(DynamicThresholdSpec(mimic_scale=3)).guide(20.0).denoised
    cut = Asked(DynamicThresholdSpec(mimic_scale=3, percentile=0.8)).guide(20.0).denoised
    mean = plain(20).mean((2, 3), keepdim=True)
    torch.testing.assert_close((cut - mean).abs().amax((2, 3)), spread(plain(3)))
    assert float((cut - mean).std()) > float((whole - mean).std())


def test_thresholding_does_nothing_to_a_scale_below_the_mimic_one():
    assert torch.equal(Asked(DynamicThresholdSpec(mimic_scale=30)).guide(2.0).denoised, plain(2))


# Frequency-decoupled guidance


def test_coarse_structure_gets_less_guidance_than_detail():
    flat = torch.ones(1, 1, 16, 16)
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)[None, None]
    torch.testing.assert_close(coarsest(flat, 2), flat)
    torch.testing.assert_close(coarsest(checks, 2)[..., 4:-4, 4:-4], torch.zeros(1, 1, 8, 8))  # borders repeat


# CFG++


def test_cfg_pp_runs_the_papers_algorithm():
    """Algorithm 2 of Chung et al. 2024 in its own, variance preserving, variables, against Euler steps here."""
    stage = Stage(steps=12, guidance=ConstantGuidance(scale=0.6), guider=CfgPlusPlusSpec())
    found, sigmas, start = sampled(stage)
    model = ModelDenoiser(MixtureNetwork(), SD)
    signals = 1 / (sigmas**2 + 1).sqrt()
    z = start * signals[0]
    for sigma, signal, signal_next in zip(sigmas, signals, signals[1:], strict=False):
        at = torch.full((len(z),), float(sigma))
        uncond, cond = (
            model.to_prediction(model.denoise(z / signal, at, (value,))[0], z / signal, at) for value in (UNCOND, COND)
        )
        guided = uncond + 0.6 * (cond - uncond)
        clean = (z - (1 - signal**2).sqrt() * guided) / signal
        z = signal_next * clean + (1 - signal_next**2).sqrt() * uncond
    torch.testing.assert_close(found, z, rtol=0, atol=1e-4)


@pytest.mark.parametrize("solver", ["euler", "ddim"])
def test_cfg_pp_without_guidance_samples_the_unconditional_model(solver: Any):
    with_it = Stage(steps=8, solver=solver, guidance=ConstantGuidance(scale=0), guider=CfgPlusPlusSpec())
    without = with_it.model_copy(update={"guider": CfgSpec()})
    assert torch.equal(sampled(with_it)[0], sampled(without)[0])


def test_cfg_pp_needs_both_answers_at_scale_one():
    guided = Asked(CfgPlusPlusSpec()).guide(1.0)
    torch.testing.assert_close(guided.denoised, alone(COND))
    assert guided.renoise is not None
    assert torch.equal(guided.renoise, alone(UNCOND))


@pytest.mark.parametrize("solver", ["heun", "dpmpp_2m", "unipc", "pndm", "lcm"])
def test_cfg_pp_refuses_solvers_that_it_has_no_formula_for(solver: Any):
    with pytest.raises(SamplingError, match=f"the solver {solver}") as caught:
        plan_legs([Stage(solver=solver, guider=CfgPlusPlusSpec())])
    assert caught.value.code == "guider-solver"


def sampled(stage: Stage) -> tuple[Tensor, Tensor, Tensor]:
    """The latents that a stage comes to, its sigmas, and the noise that it started from."""
    from sdgraph.diffusion.leg_sigmas import leg_sigmas
    from sdgraph.diffusion.sampling import run_stage
    from sdgraph.diffusion.start import start_from_noise

    (leg,) = plan_legs([stage])
    state = start_from_noise((leg,), SD, (5, 6), (4, 6, 6))
    guider = build_guider(stage.guider, PerturbableDenoiser(MixtureNetwork(), SD), COND, UNCOND)
    return run_stage(leg, state, guider, SD).x, leg_sigmas(leg, SD), state.x


# Specs


@pytest.mark.parametrize("spec", [*DIFFERENT, *NEUTRAL, *OFF], ids=kind)
def test_a_spec_survives_json_and_keeps_its_kind_without_defaults(spec: GuiderSpec):
    adapter: TypeAdapter[GuiderSpec] = TypeAdapter(GuiderSpec)
    assert adapter.validate_json(adapter.dump_json(spec, exclude_defaults=True)) == spec


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "magic"},
        {"kind": "cfg", "rescale": 1.5},
        {"kind": "pag", "start": 0.8, "stop": 0.2},
        {"kind": "pag", "layers": ["mid block"]},
        {"kind": "apg", "momentum": 1},
        {"kind": "apg", "eta": "nan"},
        {"kind": "seg", "blur_sigma": -1},
        {"kind": "dynamic_threshold", "percentile": 0},
        {"kind": "cfg_pp", "scale": 3},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        TypeAdapter[GuiderSpec](GuiderSpec).validate_python(wrong)
