"""The names of solvers and sigma schedules, and what fits what. No torch: graphs are checked with this."""

from typing import Literal

SolverName = Literal[
    "ddim",
    "ddpm",
    "deis",
    "deis_3",
    "dpm2",
    "dpm2_ancestral",
    "dpmpp_2m",
    "dpmpp_2m_heun",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_2s",
    "dpmpp_2s_ancestral",
    "dpmpp_3m",
    "dpmpp_3m_sde",
    "dpmpp_3s",
    "dpmpp_sde",
    "euler",
    "euler_ancestral",
    "heun",
    "ipndm",
    "lcm",
    "lms",
    "pndm",
    "pndm_rk",
    "sa_solver",
    "tcd",
    "unipc",
    "unipc_bh1",
    "unipc_3",
]
SigmaName = Literal[
    "checkpoint",
    "trailing",
    "leading",
    "linspace",
    "karras",
    "exponential",
    "beta",
    "uniform",
    "sgm_uniform",
    "simple",
    "ddim_uniform",
    "kl_optimal",
    "ays_sd1",
    "ays_sdxl",
]
FinalSigma = Literal["checkpoint", "zero", "sigma_min"]
"""Where a schedule ends. `checkpoint`: where the model's configuration says, and the solver's algorithm."""

VARIANCE_PRESERVING_ONLY: frozenset[SolverName] = frozenset(
    ("ddim", "ddpm", "dpm2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "pndm", "pndm_rk", "tcd")
)
"""Solvers with no formula for flow matching models (Stable Diffusion 3, FLUX)."""

TRAINING_TIMESTEPS_ONLY: frozenset[SolverName] = frozenset(("lcm", "pndm", "pndm_rk", "sa_solver", "tcd"))
"""Solvers that count a model's training timesteps; models in EDM's formulation have none."""

DISTILLED_TIMESTEPS: frozenset[SolverName] = frozenset(("lcm", "tcd"))
"""Solvers whose `checkpoint` schedule has the 50 timesteps of consistency distillation."""

ALIGNED_STEPS: frozenset[SigmaName] = frozenset(("ays_sd1", "ays_sdxl"))
"""Tables of sigmas that were found for one model."""

ETA_DEFAULTS: dict[SolverName, float] = {"ddim": 0.0, "tcd": 0.3}
"""The solvers that take `eta`, and what they take by default."""
