"""Which guider a stage uses, as data: no torch. `sdgraph.diffusion.guiders.build` makes the guider itself.

How strong the guidance is stands in the stage's `guidance`, a `GuidanceSchedule`, for all of them alike.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sdgraph.diffusion.guidance_schedule import Progress
from sdgraph.diffusion.perturbation import Perturbation
from sdgraph.diffusion.tagged import Tagged
from sdgraph.errors import SamplingError

Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
LayerName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$")]
Layers = Annotated[tuple[LayerName, ...], Field(max_length=64)]


class CfgSpec(Tagged):
    """Classifier-free guidance: `uncond + scale (cond - uncond)`."""

    kind: Literal["cfg"] = "cfg"
    rescale: Share = 0.0
    """How far the guided prediction is scaled back to the spread of the conditional one; counters over-exposure."""


class CfgZeroStarSpec(Tagged):
    """CFG-Zero*: the unconditional prediction is first fitted to the conditional one; made for flow models."""

    kind: Literal["cfg_zero_star"] = "cfg_zero_star"
    zero_init_steps: int = Field(default=1, ge=0, le=1000)
    """Steps at the stage's start in which the latents keep still; they cost nothing."""


class ApgSpec(Tagged):
    """Adaptive projected guidance: what guidance adds loses the part that over-saturates."""

    kind: Literal["apg"] = "apg"
    eta: Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)] = 0.0
    """What is kept of the part along the conditional prediction: 1 all, 0 nothing."""
    norm_threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 15.0
    """The longest that the guidance direction may be; 0: as long as it is."""
    momentum: Annotated[float, Field(gt=-1, lt=1, allow_inf_nan=False)] = -0.5
    """Share of earlier directions in this one; below 0 pushes away from them, 0 is off."""


class _PerturbedSpec(Tagged):
    scale: Scale = 3.0
    """How strongly the picture is pushed away from what the perturbed network draws; 0 turns it off."""
    layers: Layers = ()
    """The blocks that are perturbed, for example `mid` or `up.0`; empty: the middle of the network."""
    start: Progress = 0.0
    """Progress of the stage at which it begins."""
    stop: Progress = 1.0
    """Progress of the stage after which it ends."""

    @model_validator(mode="after")
    def _bounds_ascend(self) -> "_PerturbedSpec":
        if self.start > self.stop:
            raise ValueError("a perturbation must start before it stops")
        return self

    def acts_at(self, progress: float) -> bool:
        """Whether the perturbation has any effect at `progress` 0..1 of the stage."""
        return self.scale != 0 and self.start <= progress <= self.stop


class PagSpec(_PerturbedSpec):
    """Perturbed attention guidance: away from a network whose self-attention looks at nothing but itself."""

    kind: Literal["pag"] = "pag"

    def perturbation(self) -> Perturbation:
        """What is done to the network."""
        return Perturbation("identity", self.layers)


class SlgSpec(_PerturbedSpec):
    """Skip layer guidance: away from a network that leaves blocks out."""

    kind: Literal["slg"] = "slg"
    scale: Scale = 2.8
    start: Progress = 0.01
    stop: Progress = 0.2

    def perturbation(self) -> Perturbation:
        """What is done to the network."""
        return Perturbation("skip", self.layers)


class SegSpec(_PerturbedSpec):
    """Smoothed energy guidance: away from a network whose self-attention has blurred queries."""

    kind: Literal["seg"] = "seg"
    blur_sigma: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Standard deviation of the blur, in positions of the layer; None: infinite; 0: no blur, plain guidance."""

    def acts_at(self, progress: float) -> bool:
        """Whether the perturbation has any effect at `progress` 0..1 of the stage."""
        return self.blur_sigma != 0 and super().acts_at(progress)

    def perturbation(self) -> Perturbation:
        """What is done to the network."""
        return Perturbation("blur", self.layers, self.blur_sigma)


class TcfgSpec(Tagged):
    """Tangential damping: the unconditional prediction loses what it does not share with the conditional one."""

    kind: Literal["tcfg"] = "tcfg"


class AutoGuidanceSpec(Tagged):
    """Autoguidance: away from a weaker model with the same prompt; the negative prompt plays no part.

    The weaker model is the sampler's `weak` input, or without one this model with blocks left out.
    """

    kind: Literal["autoguidance"] = "autoguidance"
    layers: Layers = ()
    """The blocks that are left out when no weaker model is connected; empty: the middle of the network."""

    def perturbation(self) -> Perturbation:
        """What weakens the model itself."""
        return Perturbation("skip", self.layers)


class DynamicThresholdSpec(Tagged):
    """Dynamic thresholding: a large scale for the composition, with the contrast of a smaller one."""

    kind: Literal["dynamic_threshold"] = "dynamic_threshold"
    mimic_scale: Scale = 7.0
    """The scale whose contrast the result has."""
    percentile: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    """Share of the values of a channel that are below the threshold; what is above is cut off."""


class CfgPlusPlusSpec(Tagged):
    """CFG++: guidance moves the picture, and the noise that is put back is the unconditional one.

    The scale means something else here: 0 is the unconditional picture and 1 the conditional one, so use 0.2 to 1.
    """

    kind: Literal["cfg_pp"] = "cfg_pp"


class FrequencySpec(Tagged):
    """Frequency-decoupled guidance: a scale of its own for coarse structure, the stage's scale for detail."""

    kind: Literal["fdg"] = "fdg"
    low: Share = 0.5
    """Share of the guidance that coarse structure gets; 1 is plain guidance."""
    levels: int = Field(default=2, ge=2, le=6)
    """Levels of the pyramid; all but the coarsest count as detail."""


GuiderSpec = Annotated[
    CfgSpec
    | CfgZeroStarSpec
    | ApgSpec
    | PagSpec
    | SlgSpec
    | SegSpec
    | TcfgSpec
    | AutoGuidanceSpec
    | DynamicThresholdSpec
    | CfgPlusPlusSpec
    | FrequencySpec,
    Field(discriminator="kind"),
]

RENOISING_SOLVERS = frozenset({"euler", "euler_ancestral", "ddim"})
"""Solvers whose step is `denoised + share of the noise`, with one evaluation: those that CFG++ is defined for."""


def require_solver(spec: GuiderSpec, solver: str) -> None:
    """Raise SamplingError `guider-solver` when a guider is not defined for a solver."""
    if isinstance(spec, CfgPlusPlusSpec) and solver not in RENOISING_SOLVERS:
        raise SamplingError(
            "guider-solver",
            f"CFG++ puts noise back in each step, for which the solver {solver} has no formula.",
            f"Use {', '.join(sorted(RENOISING_SOLVERS))}, or another guider.",
        )


def needs_negative(spec: GuiderSpec, unguided: bool) -> bool:
    """Whether a guider looks at the negative conditioning; `unguided`: the guidance is 1 throughout."""
    match spec:
        case AutoGuidanceSpec():
            return False
        case CfgPlusPlusSpec():
            return True
        case _:
            return not unguided
