"""A stage of sampling as a user writes it: data, no torch. `sdgraph.diffusion.stages` makes legs of stages."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import ConstantGuidance, GuidanceSchedule
from sdgraph.diffusion.guider_specs import CfgSpec, GuiderSpec
from sdgraph.diffusion.names import SigmaName, SolverName

MAX_STEPS = 1000


Levels = Annotated[
    tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...], Field(min_length=1, max_length=MAX_STEPS + 1)
]


class Stage(BaseModel):
    """One stage of sampling, as a user writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=20, ge=1, le=MAX_STEPS)
    """Solver steps of this stage."""
    solver: SolverName = "euler"
    eta: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """Noise that `ddim` and `tcd` add per step: 0 none, 1 as much as `ddpm`; None: 0 for `ddim`, 0.3 for `tcd`. Others
    ignore it."""
    sigmas: SigmaName = "checkpoint"
    """Spacing of the noise levels; `checkpoint` is the spacing that the model was made for."""
    guidance: GuidanceSchedule = ConstantGuidance()
    guider: GuiderSpec = CfgSpec()
    """How the answers under the two conditionings become one; `guidance` is its strength."""
    early_stop: EarlyStop | None = None
    """When a picture counts as finished before the last step; None: never."""
    sigma_end: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Noise level at which this stage hands over; None: as `until` says."""
    until: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = None
    """Share 0..1 of the whole schedule at which this stage hands over; None: after its steps, and the last stage at the
    end."""
    model: Literal["base", "refiner"] = "base"
    """Which of the sampler's two models draws."""
    custom_sigmas: Levels | None = None
    """Noise levels to pass through in place of `sigmas`, from the noisiest to the cleanest; one more than there are
    steps, so the last one is where the stage ends: 0 without noise."""
    custom_timesteps: Levels | None = None
    """Training timesteps to evaluate at in place of `sigmas`, from the noisiest to the cleanest; one for each step."""
    shift: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    """Flow matching models: how far the noise levels are moved to the noisy end; 1 is not at all, None as the model has
    it."""

    @model_validator(mode="before")
    @classmethod
    def _count_custom_steps(cls, values: Any) -> Any:
        """Fill in the steps that custom levels amount to."""
        if not isinstance(values, dict) or "steps" in values:
            return cast(Any, values)
        given = cast(dict[str, Any], values)
        sigmas, timesteps = given.get("custom_sigmas"), given.get("custom_timesteps")
        if isinstance(sigmas, Sequence) and len(cast(Sequence[Any], sigmas)) > 1:
            return {**given, "steps": len(cast(Sequence[Any], sigmas)) - 1}
        if isinstance(timesteps, Sequence) and timesteps:
            return {**given, "steps": len(cast(Sequence[Any], timesteps))}
        return given

    @property
    def custom(self) -> bool:
        """Whether its noise levels are written out."""
        return self.custom_sigmas is not None or self.custom_timesteps is not None
