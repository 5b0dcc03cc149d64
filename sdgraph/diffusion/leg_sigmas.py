"""The sigmas that a leg passes through."""

from __future__ import annotations

import torch

from sdgraph.diffusion.edm import Edm
from sdgraph.diffusion.fits import require_edm_fit, require_shift_fit, require_sigmas_fit, require_solver_fit
from sdgraph.diffusion.flow_matching import FlowMatching
from sdgraph.diffusion.leg import Leg, Position
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.sigmas import Final, Sigmas, build_range, build_sigmas, custom_sigmas, custom_timesteps
from sdgraph.diffusion.solvers.table import SOLVERS


def leg_sigmas(leg: Leg, schedule: NoiseSchedule) -> Sigmas:
    """The sigmas [steps + 1] of `leg` as planned; a leg that clears the noise has 0 in place of the last one.

    Raises SamplingError `solver-family` when the leg's solver can't follow such a schedule, `shift-family` when it has
    no shift, `custom-sigmas`, and those of `build_sigmas` and `build_range`.
    """
    flow = schedule.path == "flow"
    require_solver_fit(leg.solver, flow)
    require_sigmas_fit(leg.sigmas, flow)
    if isinstance(schedule, Edm):
        require_edm_fit(leg.solver)
    require_shift_fit(leg.shift, flow)
    sigmas = _whole(leg, _shifted(leg, schedule))[leg.first_step : leg.first_step + leg.steps + 1]
    return torch.cat([sigmas[:-1], sigmas.new_zeros(1)]) if leg.clears else sigmas


def _whole(leg: Leg, schedule: NoiseSchedule) -> Sigmas:
    """The schedule that the leg is a part of."""
    final = final_sigma(leg, schedule)
    if leg.custom_sigmas is not None:
        return custom_sigmas(schedule, leg.custom_sigmas)
    if leg.custom_timesteps is not None:
        return custom_timesteps(schedule, leg.custom_timesteps, final)
    start, end = (
        bound if position is None else _sigma_at(leg, position, schedule)
        for bound, position in ((leg.sigma_start, leg.enters), (leg.sigma_end, leg.leaves))
    )
    if start is None and end is None:
        return build_sigmas(schedule, leg.sigmas, leg.total_steps, SOLVERS[leg.spaced_for].grid, final)
    return build_range(schedule, leg.sigmas, leg.total_steps, start, end, final)


def final_sigma(leg: Leg, schedule: NoiseSchedule) -> Final:
    """Where the trajectory of the leg ends: as the leg says, or as the algorithm and the model have it.

    Flow matching always ends without noise.
    """
    if leg.final_sigma != "checkpoint":
        return leg.final_sigma
    if schedule.path == "flow":
        return "zero"
    match SOLVERS[leg.spaced_for].ending:
        case "sigma_min":
            return "sigma_min"
        case "alpha_to_one":
            return "zero" if schedule.alpha_to_one else "sigma_min"
        case "zero":
            return "zero" if schedule.ends_at_zero else "sigma_min"


def _shifted(leg: Leg, schedule: NoiseSchedule) -> NoiseSchedule:
    return schedule.with_shift(leg.shift) if leg.shift is not None and isinstance(schedule, FlowMatching) else schedule


def _sigma_at(leg: Leg, position: Position, schedule: NoiseSchedule) -> float:
    grid = SOLVERS[leg.spaced_for].grid
    final = final_sigma(leg, schedule)
    return float(build_sigmas(schedule, leg.sigmas, position.steps, grid, final)[position.step])
