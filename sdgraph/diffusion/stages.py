"""Stages of sampling as data: what a user writes (`Stage`) and what can run and be cached (`Leg`). No torch.

A leg is a slice of one sigma schedule. It knows nothing about the stages after it, so editing a later stage never makes
an earlier leg run again. Two ways to divide a trajectory:

* Without `sigma_end`, all stages are slices of one schedule of as many steps as they have together, spaced as suits the
  first one's solver. Where two stages name different schedules, the later one takes up its own where the latents are.
* With `sigma_end` on every stage but the last, each stage has its own steps between its own bounds.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sdgraph.diffusion.guidance_schedule import ConstantGuidance, GuidanceSchedule
from sdgraph.errors import SamplingError

SolverName = Literal["ddim", "euler", "euler_ancestral", "heun", "dpmpp_2m", "unipc", "pndm", "lcm"]
SigmaName = Literal["checkpoint", "trailing", "leading", "linspace", "karras", "exponential", "beta", "uniform"]
FinalSigma = Literal["zero", "sigma_min"]

MAX_STEPS = 1000


class Stage(BaseModel):
    """One stage of sampling, as a user writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=20, ge=1, le=MAX_STEPS)
    """Solver steps of this stage."""
    solver: SolverName = "euler"
    eta: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Noise that `ddim` adds per step: 0 none, 1 as much as DDPM. Other solvers ignore it."""
    sigmas: SigmaName = "checkpoint"
    """Spacing of the noise levels; `checkpoint` is the spacing that the model was made for."""
    guidance: GuidanceSchedule = ConstantGuidance()
    sigma_end: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Noise level at which this stage hands over; None: the end of the schedule, or the share of its steps."""


class Leg(BaseModel):
    """Steps `first_step` to `first_step + steps` of a schedule of `total_steps` between two noise levels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    solver: SolverName
    eta: float
    sigmas: SigmaName
    spaced_for: SolverName
    """The solver whose usual timesteps the schedule has."""
    sigma_start: float | None
    """Where the schedule begins; None: the model's largest sigma."""
    sigma_end: float | None
    """Where the schedule ends; None: `final_sigma`."""
    total_steps: int
    first_step: int
    steps: int
    guidance: GuidanceSchedule
    guidance_first: int
    """How many steps of the stage came before this leg; not 0 only after a split or a shortened start."""
    guidance_steps: int
    final: bool
    """Whether the trajectory ends with this leg: multistep solvers lower their order in its last step."""
    final_sigma: FinalSigma

    def progress_at(self, step: int) -> float:
        """Progress 0..1 of the stage at step `step` (0-based) of this leg."""
        return (self.guidance_first + step) / max(self.guidance_steps - 1, 1)

    def split(self, steps: int) -> tuple["Leg", "Leg"]:
        """The first `steps` steps and the rest; running both equals running this leg, bit for bit.

        Raises SamplingError `split-out-of-range` unless both parts keep at least one step.
        """
        if not 0 < steps < self.steps:
            raise SamplingError(
                "split-out-of-range",
                f"A leg of {self.steps} steps can't be split after {steps}.",
                hint=f"Split after 1 to {self.steps - 1} steps.",
            )
        head = self.model_copy(update={"steps": steps, "final": False})
        return head, self.without_first(steps)

    def without_first(self, steps: int) -> "Leg":
        """This leg without its first `steps` steps."""
        moved = {
            "first_step": self.first_step + steps,
            "steps": self.steps - steps,
            "guidance_first": self.guidance_first + steps,
        }
        return self.model_copy(update=moved)


def plan_legs(stages: Sequence[Stage], strength: float = 1.0, final_sigma: FinalSigma = "zero") -> tuple[Leg, ...]:
    """The legs that run `stages` one after the other.

    `strength` 0..1 is how much of the trajectory runs, for image to image: of N steps the last int(N * strength), as in
    diffusers. Strength 0 gives no legs. `final_sigma` "sigma_min" ends at the model's smallest training sigma, which is
    where schedulers with `set_alpha_to_one=False` end.

    Raises SamplingError: `no-stages`, `strength-out-of-range`, `sigma-ranges-mixed`, `sigma-ranges-not-descending`.
    """
    if not stages:
        raise SamplingError("no-stages", "Sampling needs at least one stage, found none.", hint="Add a stage.")
    if not 0 <= strength <= 1:
        raise SamplingError(
            "strength-out-of-range",
            f"The strength must be between 0 and 1, found {strength}.",
            hint="Use 0 to keep the latents, 1 to start from noise.",
        )
    ranged = _check_ranges(stages)
    total = sum(stage.steps for stage in stages)
    skipped = total - min(int(total * strength), total)
    legs: list[Leg] = []
    before = 0
    for index, stage in enumerate(stages):
        leg = Leg(
            solver=stage.solver,
            eta=stage.eta if stage.solver == "ddim" else 0.0,
            sigmas=stage.sigmas,
            spaced_for=stage.solver if ranged else stages[0].solver,
            sigma_start=stages[index - 1].sigma_end if index else None,
            sigma_end=stage.sigma_end,
            total_steps=stage.steps if ranged else total,
            first_step=0 if ranged else before,
            steps=stage.steps,
            guidance=stage.guidance,
            guidance_first=0,
            guidance_steps=stage.steps,
            final=index == len(stages) - 1 and stage.sigma_end is None,
            final_sigma=final_sigma,
        )
        drop = min(max(skipped - before, 0), stage.steps)
        if drop < stage.steps:
            legs.append(leg.without_first(drop) if drop else leg)
        before += stage.steps
    return tuple(legs)


def _check_ranges(stages: Sequence[Stage]) -> bool:
    """Whether the stages have sigma ranges of their own."""
    ends = [stage.sigma_end for stage in stages]
    given = [end for end in ends if end is not None]
    if not given:
        return False
    if None in ends[:-1]:
        missing = [str(index + 1) for index, end in enumerate(ends[:-1]) if end is None]
        raise SamplingError(
            "sigma-ranges-mixed",
            f"Some stages say where they end and stage {', '.join(missing)} does not.",
            hint="Give every stage but the last a sigma_end, or none of them.",
        )
    if any(left <= right for left, right in pairwise(given)):
        raise SamplingError(
            "sigma-ranges-not-descending",
            f"The stages must end at descending sigmas, found {', '.join(str(end) for end in given)}.",
            hint="Noise only decreases: give each stage a smaller sigma_end than the one before.",
        )
    return True
