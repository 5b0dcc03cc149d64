"""Where the whole of sampling stands while a leg of it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdgraph.payloads.step_window import StepPlace

if TYPE_CHECKING:
    from sdgraph.diffusion.leg import Leg
    from sdgraph.diffusion.schedule import NoiseSchedule


class StepClock:
    """Counts steps over all legs of a sampling.

    Legs that are parts of one schedule count its steps, and those that a strength below 1 leaves out count as taken: a
    share of the steps is the same noise level in image to image as in text to image. A leg with a number of steps of
    its own between two places of the schedule counts the steps of the schedule that it has come to. Legs with noise
    levels of their own (`sigma_end`) know no total; there the steps taken count, and the share is the progress by
    timestep.
    """

    def __init__(self, leg: Leg | None = None, taken: int = 0) -> None:
        """`taken` are the steps that the legs before have taken."""
        self._leg = leg
        self._taken = taken
        self.place: StepPlace | None = None
        """None before the first step begins."""

    def begin(self, index: int, sigma: float, schedule: NoiseSchedule) -> None:
        """The step `index` (0-based) of the leg begins, at the noise level `sigma`."""
        import torch

        self._taken += 1
        progress = schedule.progress_of(float(schedule.timestep_of(torch.tensor([sigma]))[0]))
        step, total = self._in_schedule(index)
        self.place = StepPlace(step, total, progress)

    def _in_schedule(self, index: int) -> tuple[int, int | None]:
        leg = self._leg
        if leg is None or leg.sigma_start is not None or leg.sigma_end is not None:
            return self._taken, None
        own = leg.first_step + index
        if leg.enters is None:
            return own + 1, leg.total_steps
        begin, total = leg.enters.step, leg.enters.steps
        end = leg.leaves.step if leg.leaves else total
        return begin + own * (end - begin) // leg.total_steps + 1, total
