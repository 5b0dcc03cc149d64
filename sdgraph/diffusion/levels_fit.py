"""Whether a model has the noise levels and the steps that a leg asks for, told by its scheduler configuration alone.

No torch: graphs are checked with this. What `leg_sigmas` refuses by its finer arithmetic only, at the hair's breadth of
a training timestep, is left to the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdgraph.diffusion.fits import is_edm, is_flow
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.names import DISTILLED_TIMESTEPS
from sdgraph.errors import SamplingError

DISTILLED_STEPS = 50
"""Timesteps that latent consistency models are distilled at (Luo et al. 2023, arXiv:2310.04378, section 4.3)."""
_ROUNDING = 1e-4
"""Published noise levels are rounded."""
_SMALLEST_ALPHA = 2.0**-24


@dataclass(frozen=True, slots=True)
class LevelRange:
    """What a model was trained at."""

    smallest: float
    """Sigma above 0; 0: it depends on the size of the picture."""
    largest: float
    noisiest: float
    """The timestep of the largest sigma."""
    cleanest: float
    """The timestep of the smallest sigma; minus infinity: it depends on the size of the picture."""
    counted: bool
    """Whether its timesteps are whole numbers from 0 on, as those of variance preserving models are."""

    @property
    def steps(self) -> int | None:
        """The most steps that a schedule of counted timesteps has; None: as many as are asked for."""
        return round(self.noisiest) + 1 if self.counted else None


def level_range(config: Mapping[str, Any], shift: float | None = None) -> LevelRange | None:
    """The range of a diffusers scheduler configuration; None where it can't be read, which the plan or the run tells.

    `shift` is one in place of the model's own.
    """
    try:
        if is_flow(config):
            return _flow_range(config, shift)
        return _edm_range(config) if is_edm(config) else _variance_preserving_range(config)
    except (TypeError, ValueError, ArithmeticError):
        return None


def require_levels(leg: Leg, config: Mapping[str, Any]) -> None:
    """Raise SamplingError `custom-sigmas`, `sigma-range`, `steps-out-of-range` for what the model does not have.

    The error's port is the field of the leg that says it: `custom_sigmas`, `custom_timesteps`, `sigma_start`,
    `sigma_end` or `steps`.
    """
    found = level_range(config, leg.shift)
    if found is None:
        return
    if leg.custom_sigmas is not None:
        if leg.custom_sigmas[0] > found.largest * (1 + _ROUNDING):
            raise _beyond("sigma", leg.custom_sigmas[0], found.smallest, found.largest)
    elif leg.custom_timesteps is not None:
        for outer in (leg.custom_timesteps[0], leg.custom_timesteps[-1]):
            if not found.cleanest - _ROUNDING <= outer <= found.noisiest + _ROUNDING:
                raise _beyond("timestep", outer, found.cleanest, found.noisiest)
    else:
        _require_bounds(leg, found)
        _require_steps(leg, found)


def _require_bounds(leg: Leg, found: LevelRange) -> None:
    for port, bound in (("sigma_start", leg.sigma_start), ("sigma_end", leg.sigma_end)):
        lowest = found.smallest * (1 - _ROUNDING)
        if bound is not None and not lowest <= bound <= found.largest * (1 + _ROUNDING):
            raise SamplingError(
                "sigma-range",
                f"A stage begins or ends at sigma {bound:g}, and the model's sigmas are {_span(found)}.",
                hint="Choose a noise level of the model.",
                port=port,
            )


def _require_steps(leg: Leg, found: LevelRange) -> None:
    whole = leg.sigma_start is None and leg.sigma_end is None
    if found.steps is None or not whole:
        return
    distilled = leg.spaced_for in DISTILLED_TIMESTEPS and leg.sigmas == "checkpoint"
    most = min(DISTILLED_STEPS, found.steps) if distilled else found.steps
    asked = max([leg.total_steps, *(place.steps for place in (leg.enters, leg.leaves) if place is not None)])
    if asked > most:
        raise SamplingError(
            "steps-out-of-range",
            f"This schedule takes 1 to {most} steps, found {asked}.",
            hint=f"Use at most {most} steps" + (", or other `sigmas` than `checkpoint`." if distilled else "."),
            port="steps",
        )


def _beyond(what: str, found: float, smallest: float, largest: float) -> SamplingError:
    span = f"at most {largest:g}" if smallest in (0, -math.inf) else f"{smallest:g} to {largest:g}"
    return SamplingError(
        "custom-sigmas",
        f"Custom {what}s must lie within the model's, {span}, and there is {found:g}.",
        hint=f"Give {what}s of this model, from the noisiest to the cleanest.",
        port=f"custom_{what}s",
    )


def _span(found: LevelRange) -> str:
    return f"at most {found.largest:g}" if found.smallest == 0 else f"{found.smallest:g} to {found.largest:g}"


def _flow_range(config: Mapping[str, Any], shift: float | None) -> LevelRange:
    count = int(config.get("num_train_timesteps", 1000))
    if shift is None and config.get("use_dynamic_shifting"):
        return LevelRange(0.0, 1.0, float(count), -math.inf, counted=False)
    factor = float(shift or config.get("flow_shift") or config.get("shift", 1.0))
    smallest = factor / count / (1 + (factor - 1) / count)
    return LevelRange(smallest, 1.0, float(count), smallest * count, counted=False)


def _edm_range(config: Mapping[str, Any]) -> LevelRange:
    smallest, largest = float(config.get("sigma_min", 0.002)), float(config.get("sigma_max", 80.0))
    return LevelRange(smallest, largest, math.log(largest) / 4, math.log(smallest) / 4, counted=False)


def _variance_preserving_range(config: Mapping[str, Any]) -> LevelRange | None:
    """From the product of the signal's shares, as `variance_preserving.alphas_from_betas` has it."""
    import numpy as np

    kind, count = config.get("beta_schedule", "linear"), int(config.get("num_train_timesteps", 1000))
    start, end = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    if kind == "linear":
        betas = np.linspace(start, end, count)
    elif kind == "scaled_linear":
        betas = np.linspace(start**0.5, end**0.5, count) ** 2
    elif kind == "squaredcos_cap_v2":
        places = np.arange(count + 1) / count
        shares = np.cos((places + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = np.minimum(1 - shares[1:] / shares[:-1], 0.999)
    else:
        return None
    alphas = np.cumprod(1 - betas.astype(np.float32), dtype=np.float32).astype(np.float64)
    if config.get("rescale_betas_zero_snr"):
        root = np.sqrt(alphas)
        alphas = np.maximum(((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2, _SMALLEST_ALPHA)
    smallest, largest = (float(np.sqrt((1 - alpha) / alpha)) for alpha in (alphas[0], alphas[-1]))
    return LevelRange(smallest, largest, float(count - 1), 0.0, counted=True)
