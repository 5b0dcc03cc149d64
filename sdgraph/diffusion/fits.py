"""Which solvers, sigma schedules and shifts fit which kind of model. No torch: graphs are checked with this."""

from collections.abc import Mapping

from sdgraph.diffusion.names import (
    ALIGNED_STEPS,
    TRAINING_TIMESTEPS_ONLY,
    VARIANCE_PRESERVING_ONLY,
    SigmaName,
    SolverName,
)
from sdgraph.errors import SamplingError


def is_flow(config: Mapping[str, object]) -> bool:
    """Whether a diffusers scheduler configuration is that of a flow matching model (Stable Diffusion 3, FLUX)."""
    return str(config.get("_class_name", "")).startswith("FlowMatch") or config.get("use_flow_sigmas") is True


def is_edm(config: Mapping[str, object]) -> bool:
    """Whether a diffusers scheduler configuration is that of a model in EDM's formulation (Playground v2.5, CosXL)."""
    return str(config.get("_class_name", "")).startswith("EDM")


def require_edm_fit(solver: SolverName) -> None:
    """Raise SamplingError `solver-family` when a solver counts training timesteps, of which EDM's models have none."""
    if solver in TRAINING_TIMESTEPS_ONLY:
        raise SamplingError(
            "solver-family",
            f"The solver `{solver}` counts the timesteps of a model's training, and this model in EDM's formulation "
            "(Playground v2.5, CosXL) has none.",
            hint="Use another one, for example dpmpp_2m, euler, heun or unipc.",
        )


def require_solver_fit(name: SolverName, flow: bool) -> None:
    """Raise SamplingError `solver-family` when the solver called `name` has no formula for such a model."""
    if flow and name in VARIANCE_PRESERVING_ONLY:
        raise SamplingError(
            "solver-family",
            f"The solver `{name}` is for variance preserving models (Stable Diffusion 1, 2, XL), and this is a flow "
            "matching model (Stable Diffusion 3, FLUX).",
            hint="Use one that is for both, for example euler, heun, dpmpp_2m, unipc or deis.",
        )


def require_sigmas_fit(name: SigmaName, flow: bool) -> None:
    """Raise SamplingError `sigmas-family` for a table of sigmas of another kind of model."""
    if flow and name in ALIGNED_STEPS:
        raise SamplingError(
            "sigmas-family",
            f"The sigmas `{name}` were found for Stable Diffusion 1.5 or XL, and this is a flow matching model.",
            hint="Use another sigma schedule, for example `checkpoint`.",
        )


def require_shift_fit(shift: float | None, flow: bool) -> None:
    """Raise SamplingError `shift-family` for a shift of a model that has none."""
    if shift is not None and not flow:
        raise SamplingError(
            "shift-family",
            f"A shift of {shift:g} is asked for, which only flow matching models (Stable Diffusion 3, FLUX) have.",
            hint="Leave the shift empty.",
        )
