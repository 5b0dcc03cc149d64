"""The sigmas that a leg passes through."""

from __future__ import annotations

from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.sigmas import Sigmas, build_range, build_sigmas
from sdgraph.diffusion.solvers.table import SOLVERS
from sdgraph.diffusion.stages import Leg


def leg_sigmas(leg: Leg, schedule: NoiseSchedule) -> Sigmas:
    """The sigmas [steps + 1] of `leg` as planned; see `build_sigmas` and `build_range` for errors."""
    if leg.sigma_start is None and leg.sigma_end is None:
        grid = SOLVERS[leg.spaced_for].grid
        sigmas = build_sigmas(schedule, leg.sigmas, leg.total_steps, grid, leg.final_sigma)
    else:
        sigmas = build_range(schedule, leg.sigmas, leg.total_steps, leg.sigma_start, leg.sigma_end, leg.final_sigma)
    return sigmas[leg.first_step : leg.first_step + leg.steps + 1]
