"""The diffusers scheduler of every solver."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import diffusers
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_dpmsolver_sde import DPMSolverSDEScheduler
from torch import Tensor

from sdgraph.diffusion.names import SolverName
from sdgraph.diffusion.noise import NoiseStream


class CountedBrownian:
    """Brownian motion in sigma for `DPMSolverSDEScheduler`, in place of torchsde's: each step's two halves are drawn in
    turn from one generator per item, and the whole step's is their sum.
    """

    def __init__(self, seeds: Sequence[int], shape: Sequence[int]) -> None:
        self._noises = NoiseStream(seeds, shape, draws=1)
        self._first: tuple[float, Tensor] | None = None

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """Standard normal: the increment from `sigma` to `sigma_next` over the root of its variance."""
        if self._first is None:
            self._first = (float(sigma_next), self._noises.draw())
            return self._first[1]
        (middle, first), self._first = self._first, None
        share = (float(sigma) - middle) / (float(sigma) - float(sigma_next))
        return share**0.5 * first + (1 - share) ** 0.5 * self._noises.draw()


class CountedSde(DPMSolverSDEScheduler):
    """With counted noise, for items of the given seeds and shape."""

    noises_of: tuple[Sequence[int], Sequence[int]] = ((0,), (4, 8, 8))

    def set_timesteps(self, *arguments: Any, **options: Any) -> None:
        super().set_timesteps(*arguments, **options)
        noise: Any = CountedBrownian(*self.noises_of)
        self.noise_sampler = noise


class ThirdOrderSde(DPMSolverMultistepScheduler):
    """With the sign of diffusers 0.42's third-order SDE term put right: it has -1/2 where the expansion has +1/2."""

    def multistep_dpm_solver_third_order_update(self, model_output_list: Any, *_: Any, **options: Any) -> Tensor:
        after = super().multistep_dpm_solver_third_order_update(model_output_list, **options)
        step: Any = self.step_index
        levels = [self._sigma_to_alpha_sigma_t(self.sigmas[step + 1 - back]) for back in range(4)]
        t, s0, s1, s2 = (torch.log(alpha) - torch.log(sigma) for alpha, sigma in levels)
        r0, r1 = (s0 - s1) / (t - s0), (s1 - s2) / (t - s0)
        m2, m1, m0 = model_output_list
        second = ((m0 - m1) / r0 - (m1 - m2) / r1) / (r0 + r1)
        return after + levels[0][0] * second


@dataclass(frozen=True)
class Reference:
    """The diffusers scheduler of a solver."""

    scheduler: Any
    config: dict[str, object] = field(default_factory=dict[str, object])
    remark: str = ""
    """What had to be put right in diffusers for the comparison."""

    @property
    def name(self) -> str:
        """Its class and what is set, for a table."""
        shown = ", ".join(f"{key}={value}" for key, value in self.config.items() if key != "clip_sample")
        base: Any = self.scheduler if self.scheduler.__module__.startswith("diffusers.") else self.scheduler.__base__
        return f"{base.__name__}{f' ({shown})' if shown else ''}"

    def made(self, config: dict[str, object]) -> Any:
        """The scheduler with a configuration, of which its class takes what it knows."""
        known = inspect.signature(self.scheduler.__init__).parameters
        return self.scheduler(**{name: value for name, value in {**config, **self.config}.items() if name in known})


@cache
def references() -> dict[SolverName, Reference]:
    """By solver; those that diffusers lacks are left out."""
    d: Any = diffusers
    sde: dict[str, object] = {"algorithm_type": "sde-dpmsolver++"}
    return {
        "ddim": Reference(d.DDIMScheduler, {"clip_sample": False}),
        "ddpm": Reference(d.DDPMScheduler, {"clip_sample": False}),
        "deis": Reference(d.DEISMultistepScheduler),
        "deis_3": Reference(d.DEISMultistepScheduler, {"solver_order": 3}),
        "dpm2": Reference(d.KDPM2DiscreteScheduler),
        "dpm2_ancestral": Reference(d.KDPM2AncestralDiscreteScheduler),
        "dpmpp_2m": Reference(d.DPMSolverMultistepScheduler),
        "dpmpp_2m_heun": Reference(d.DPMSolverMultistepScheduler, {"solver_type": "heun"}),
        "dpmpp_2m_sde": Reference(d.DPMSolverMultistepScheduler, sde),
        "dpmpp_2m_sde_heun": Reference(d.DPMSolverMultistepScheduler, {**sde, "solver_type": "heun"}),
        "dpmpp_2s": Reference(d.DPMSolverSinglestepScheduler),
        "dpmpp_3m": Reference(d.DPMSolverMultistepScheduler, {"solver_order": 3}),
        "dpmpp_3m_sde": Reference(ThirdOrderSde, {**sde, "solver_order": 3}, "sign of its third-order term"),
        "dpmpp_3s": Reference(d.DPMSolverSinglestepScheduler, {"solver_order": 3}),
        "dpmpp_sde": Reference(CountedSde, {}, "noise counted per item in place of torchsde's"),
        "euler": Reference(d.EulerDiscreteScheduler),
        "euler_ancestral": Reference(d.EulerAncestralDiscreteScheduler),
        "heun": Reference(d.HeunDiscreteScheduler),
        "lcm": Reference(d.LCMScheduler),
        "lms": Reference(d.LMSDiscreteScheduler),
        "pndm": Reference(d.PNDMScheduler, {"skip_prk_steps": True}),
        "pndm_rk": Reference(d.PNDMScheduler, {"skip_prk_steps": False}),
        "sa_solver": Reference(d.SASolverScheduler),
        "tcd": Reference(d.TCDScheduler),
        "unipc": Reference(d.UniPCMultistepScheduler),
        "unipc_bh1": Reference(d.UniPCMultistepScheduler, {"solver_type": "bh1"}),
        "unipc_3": Reference(d.UniPCMultistepScheduler, {"solver_order": 3}),
    }
