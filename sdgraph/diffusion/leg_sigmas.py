"""The sigmas that a leg passes through."""

from __future__ import annotations

from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.sigmas import Sigmas, build_range, build_sigmas
from sdgraph.diffusion.solvers.table import SOLVERS
from sdgraph.diffusion.stages import Leg, Position


def leg_sigmas(leg: Leg, schedule: NoiseSchedule) -> Sigmas:
    """The sigmas [steps + 1] of `leg` as planned; see `build_sigmas` and `build_range` for errors."""
    start, end = (
        bound if position is None else _sigma_at(leg, position, schedule)
        for bound, position in ((leg.sigma_start, leg.enters), (leg.sigma_end, leg.leaves))
    )
    if start is None and end is None:
        grid = SOLVERS[leg.spaced_for].grid
        sigmas = build_sigmas(schedule, leg.sigmas, leg.total_steps, grid, leg.final_sigma)
    else:
        sigmas = build_range(schedule, leg.sigmas, leg.total_steps, start, end, leg.final_sigma)
    return sigmas[leg.first_step : leg.first_step + leg.steps + 1]


def _sigma_at(leg: Leg, position: Position, schedule: NoiseSchedule) -> float:
    grid = SOLVERS[leg.spaced_for].grid
    return float(build_sigmas(schedule, leg.sigmas, position.steps, grid, leg.final_sigma)[position.step])
