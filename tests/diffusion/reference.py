"""Sampling with diffusers' schedulers on the toy networks: what sdgraph's solvers are compared with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from benchmarks.parity_schedulers import CountedSde, references
from sdgraph.diffusion.denoiser import Network
from sdgraph.diffusion.names import SolverName
from sdgraph.diffusion.schedule import PredictionType

SEEDS, SHAPE = (3, 2**40), (4, 6, 6)


def make_scheduler(solver: SolverName, prediction: PredictionType = "epsilon", **config: object) -> Any:
    """The scheduler of a solver with the betas of Stable Diffusion 1.x; what its class does not know is left out."""
    options: dict[str, object] = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "steps_offset": 1,
        "prediction_type": prediction,
        "set_alpha_to_one": True,
        **config,
    }
    scheduler = references()[solver].made(options)
    if isinstance(scheduler, CountedSde):
        scheduler.noises_of = (SEEDS, SHAPE)
    return scheduler


def sampled(
    scheduler: Any,
    steps: int,
    network: Network[float],
    eta: float | None = None,
    shown: Callable[[Any], Tensor] | None = None,
    shape: tuple[int, ...] = SHAPE,
) -> Tensor:
    """What a scheduler draws with a network: [2, *shape].

    `shown` says which timesteps the network sees, from the scheduler; None: those that it lists.
    """
    scheduler.set_timesteps(steps)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    x = randn_tensor((2, *shape), generators) * getattr(scheduler, "init_noise_sigma", 1.0)
    takes = inspect.signature(scheduler.step).parameters
    options: dict[str, Any] = {"generator": generators} if "generator" in takes else {}
    options |= {"eta": eta} if eta is not None and "eta" in takes else {}
    seen = scheduler.timesteps if shown is None else shown(scheduler)
    for t, at in zip(scheduler.timesteps, seen, strict=True):
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(network(scaled, at.float().repeat(2), (0.0,)), t, x, **options).prev_sample
    return x
