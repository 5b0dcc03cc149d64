"""From the spec of a guider to the guider."""

from __future__ import annotations

from typing import TypeVar

from sdgraph.diffusion.guidance import ClassifierFreeGuidance, Guider, PerturbableModel
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
)
from sdgraph.diffusion.guiders.apg import AdaptiveProjectedGuidance
from sdgraph.diffusion.guiders.autoguidance import AutoGuidance
from sdgraph.diffusion.guiders.cfg_pp import CfgPlusPlus
from sdgraph.diffusion.guiders.cfg_zero_star import CfgZeroStar
from sdgraph.diffusion.guiders.dynamic_threshold import DynamicThreshold
from sdgraph.diffusion.guiders.fdg import FrequencyDecoupled
from sdgraph.diffusion.guiders.perturbed import PerturbedGuidance
from sdgraph.diffusion.guiders.tcfg import TangentialDamping

C = TypeVar("C")


def build_guider(
    spec: GuiderSpec, model: PerturbableModel[C], cond: C, uncond: C, weak: PerturbableModel[C] | None = None
) -> Guider:
    """The guider that `spec` describes. `weak` is the second model of autoguidance; others ignore it."""
    match spec:
        case CfgSpec():
            return ClassifierFreeGuidance(model, cond, uncond, spec.rescale)
        case CfgZeroStarSpec():
            return CfgZeroStar(model, cond, uncond, spec.zero_init_steps)
        case ApgSpec():
            return AdaptiveProjectedGuidance(model, cond, uncond, spec.eta, spec.norm_threshold, spec.momentum)
        case PagSpec() | SegSpec() | SlgSpec():
            return PerturbedGuidance(model, cond, uncond, spec)
        case TcfgSpec():
            return TangentialDamping(model, cond, uncond)
        case AutoGuidanceSpec():
            perturbation = spec.perturbation() if weak is None else None
            return AutoGuidance(model, cond, model if weak is None else weak, perturbation)
        case DynamicThresholdSpec():
            return DynamicThreshold(model, cond, uncond, spec.mimic_scale, spec.percentile)
        case CfgPlusPlusSpec():
            return CfgPlusPlus(model, cond, uncond)
        case FrequencySpec():
            return FrequencyDecoupled(model, cond, uncond, spec.low, spec.levels)
