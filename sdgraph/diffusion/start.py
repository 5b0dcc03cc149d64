"""Where sampling starts: pure noise, or given latents under as much noise as the first leg expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdgraph.diffusion.inpaint import Kept
from sdgraph.diffusion.leg import Leg
from sdgraph.diffusion.leg_sigmas import leg_sigmas
from sdgraph.diffusion.noise import NoiseStream, slerp
from sdgraph.diffusion.schedule import NoiseSchedule
from sdgraph.diffusion.solvers.table import SOLVERS
from sdgraph.diffusion.state import SamplerState
from sdgraph.errors import SamplingError


@dataclass(frozen=True)
class Variation:
    """Initial noise part of the way from each item's seed to another seed."""

    seeds: tuple[int, ...]
    """One per item."""
    strength: float
    """0..1: 0 is the noise of the item's own seed, 1 that of the other one."""


def start_from_noise(
    legs: Sequence[Leg],
    schedule: NoiseSchedule,
    seeds: Sequence[int],
    shape: Sequence[int],
    variation: Variation | None = None,
    device: torch.device | str = "cpu",
) -> SamplerState:
    """Noise [B, *shape] of the seeds, as strong as the first leg expects; `shape` is that of one item, [C, h, w].

    Raises SamplingError `no-stages` without legs.
    """
    if not legs:
        raise SamplingError("no-stages", "Starting from noise needs at least one step.", hint="Use a strength above 0.")
    schedule = schedule.for_latents(*shape[-2:])
    sigma = start_sigma(legs[0], schedule)
    noise = _initial_noise(seeds, shape, variation).to(device)
    return SamplerState(noise * _start_scale(legs[0], schedule, sigma), sigma, tuple(seeds), path=schedule.path)


def start_from_latents(
    legs: Sequence[Leg],
    schedule: NoiseSchedule,
    latents: Tensor,
    seeds: Sequence[int],
    variation: Variation | None = None,
    noisy: bool = True,
) -> SamplerState:
    """Clean latents [B, C, h, w] with the noise of the seeds on top, as strong as the first leg expects.

    With `noisy` off nothing is put on top, though sampling starts at the same noise level. Without legs (strength 0)
    the latents stay as they are. Raises SamplingError `seed-count` unless there is one seed per item.
    """
    if len(seeds) != len(latents):
        raise SamplingError(
            "seed-count",
            f"{len(latents)} latents need {len(latents)} seeds, found {len(seeds)}.",
            hint="Give one seed per item.",
        )
    clean = latents.float()
    if not legs:
        return SamplerState(clean, 0.0, tuple(seeds), draws=0, path=schedule.path)
    schedule = schedule.for_latents(*latents.shape[-2:])
    sigma = start_sigma(legs[0], schedule)
    if not noisy:
        return SamplerState(schedule.alpha(sigma) * clean, sigma, tuple(seeds), path=schedule.path)
    noise = _initial_noise(seeds, latents.shape[1:], variation).to(latents.device)
    return SamplerState(schedule.alpha(sigma) * clean + sigma * noise, sigma, tuple(seeds), path=schedule.path)


def keep(
    state: SamplerState,
    schedule: NoiseSchedule,
    latents: Tensor,
    mask: Tensor,
    variation: Variation | None = None,
    differential: bool = False,
    visible: Tensor | None = None,
) -> SamplerState:
    """A start that keeps `latents` [B, C, h, w] where `mask` [1 or B, 1, h, w] is 0; see `Kept` for the rest.

    `variation` is that of the start, whose noise the kept part has too.
    """
    schedule = schedule.for_latents(*latents.shape[-2:])
    noise = _initial_noise(state.seeds, latents.shape[1:], variation).to(latents.device)
    timestep = float(schedule.timestep_of(torch.tensor([state.sigma]))[0])
    return replace(state, kept=Kept(latents.float(), noise, mask, timestep, differential, visible))


def start_sigma(leg: Leg, schedule: NoiseSchedule) -> float:
    """The sigma at which `leg` begins when it is the first."""
    return float(leg_sigmas(leg, schedule)[0])


def _initial_noise(seeds: Sequence[int], shape: Sequence[int], variation: Variation | None) -> Tensor:
    noise = NoiseStream(seeds, shape).draw()
    if variation is None:
        return noise
    return slerp(noise, NoiseStream(variation.seeds, shape).draw(), variation.strength)


def _start_scale(leg: Leg, schedule: NoiseSchedule, sigma: float) -> float:
    """How strong pure noise is at `sigma`; the Euler family has a convention of its own for it."""
    spacing = leg.sigmas if leg.sigmas in ("trailing", "leading", "linspace") else schedule.spacing
    return schedule.noise_scale(sigma, SOLVERS[leg.solver].grid == "continuous" and spacing != "leading")
