"""A leg of sampling, what can run and be cached: a slice of one schedule of noise levels. Data, no torch.

A leg knows nothing about the stages after its own, their steps included, so editing a later stage never makes an
earlier leg run again.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from sdgraph.diffusion.early_stop import EarlyStop
from sdgraph.diffusion.guidance_schedule import GuidanceSchedule
from sdgraph.diffusion.guider_specs import CfgSpec, GuiderSpec
from sdgraph.diffusion.names import FinalSigma, SigmaName, SolverName
from sdgraph.errors import SamplingError


class Position(BaseModel):
    """A place on the way through a schedule from the model's largest sigma: after `step` of its `steps` steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    steps: int


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
    enters: Position | None = None
    """Where the schedule begins, in place of `sigma_start`: on its way through the reference schedule."""
    leaves: Position | None = None
    """Where it ends, in place of `sigma_end`."""
    clears: bool = False
    """Whether its last step removes all noise that is left, wherever the schedule would be."""
    model: Literal["base", "refiner"] = "base"
    """Which of the sampler's two models draws."""
    total_steps: int
    first_step: int
    steps: int
    guidance: GuidanceSchedule
    guider: GuiderSpec = CfgSpec()
    early_stop: EarlyStop | None = None
    guidance_first: int
    """How many steps of the stage came before this leg; not 0 only after a split or a shortened start."""
    guidance_steps: int
    final: bool
    """Whether the trajectory ends with this leg: multistep solvers lower their order in its last step."""
    final_sigma: FinalSigma
    custom_sigmas: tuple[float, ...] | None = None
    """The schedule itself, where it is written out."""
    custom_timesteps: tuple[float, ...] | None = None
    shift: float | None = None
    """The shift of flow matching; None: the model's own."""

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
        head = self.model_copy(update={"steps": steps, "final": False, "clears": False})
        return head, self.without_first(steps)

    def without_first(self, steps: int) -> "Leg":
        """This leg without its first `steps` steps."""
        moved = {
            "first_step": self.first_step + steps,
            "steps": self.steps - steps,
            "guidance_first": self.guidance_first + steps,
        }
        return self.model_copy(update=moved)
