"""Every solver by its name."""

from __future__ import annotations

from dataclasses import replace

from sdgraph.diffusion.names import SolverName
from sdgraph.diffusion.solvers.contract import Solver
from sdgraph.diffusion.solvers.ddim import Ddim
from sdgraph.diffusion.solvers.ddpm import Ddpm
from sdgraph.diffusion.solvers.deis import Deis
from sdgraph.diffusion.solvers.dpm2 import Dpm2
from sdgraph.diffusion.solvers.dpm2_ancestral import Dpm2Ancestral
from sdgraph.diffusion.solvers.dpmpp_2s_ancestral import DpmPp2SAncestral
from sdgraph.diffusion.solvers.dpmpp_multistep import DpmPpMultistep
from sdgraph.diffusion.solvers.dpmpp_multistep_sde import DpmPpMultistepSde
from sdgraph.diffusion.solvers.dpmpp_sde import DpmPpSde
from sdgraph.diffusion.solvers.dpmpp_singlestep import DpmPpSinglestep
from sdgraph.diffusion.solvers.euler import Euler
from sdgraph.diffusion.solvers.euler_ancestral import EulerAncestral
from sdgraph.diffusion.solvers.heun import Heun
from sdgraph.diffusion.solvers.ipndm import Ipndm
from sdgraph.diffusion.solvers.lcm import Lcm
from sdgraph.diffusion.solvers.lms import Lms
from sdgraph.diffusion.solvers.pndm import Pndm
from sdgraph.diffusion.solvers.pndm_rk import PndmRk
from sdgraph.diffusion.solvers.sa_solver import SaSolver
from sdgraph.diffusion.solvers.tcd import Tcd
from sdgraph.diffusion.solvers.unipc import UniPc

SOLVERS: dict[SolverName, Solver] = {
    "ddim": Ddim(),
    "ddpm": Ddpm(),
    "deis": Deis(),
    "deis_3": Deis(steps_back=3),
    "dpm2": Dpm2(),
    "dpm2_ancestral": Dpm2Ancestral(),
    "dpmpp_2m": DpmPpMultistep(),
    "dpmpp_2m_heun": DpmPpMultistep(second="heun"),
    "dpmpp_2m_sde": DpmPpMultistepSde(),
    "dpmpp_2m_sde_heun": DpmPpMultistepSde(second="heun"),
    "dpmpp_2s": DpmPpSinglestep(),
    "dpmpp_2s_ancestral": DpmPp2SAncestral(),
    "dpmpp_3m": DpmPpMultistep(steps_back=3),
    "dpmpp_3m_sde": DpmPpMultistepSde(steps_back=3),
    "dpmpp_3s": DpmPpSinglestep(group=3),
    "dpmpp_sde": DpmPpSde(),
    "euler": Euler(),
    "euler_ancestral": EulerAncestral(),
    "heun": Heun(),
    "ipndm": Ipndm(),
    "lcm": Lcm(),
    "lms": Lms(),
    "pndm": Pndm(),
    "pndm_rk": PndmRk(),
    "sa_solver": SaSolver(),
    "tcd": Tcd(),
    "unipc": UniPc(),
    "unipc_bh1": UniPc(function="bh1"),
    "unipc_3": UniPc(steps_back=3),
}


def make_solver(name: SolverName, eta: float | None = None) -> Solver:
    """The solver called `name`; `eta` 0..1 is the noise that `ddim` and `tcd` add, None what they usually do."""
    solver = SOLVERS[name]
    return replace(solver, eta=eta) if isinstance(solver, Ddim | Tcd) and eta is not None else solver


def rounds_timesteps(name: SolverName) -> bool:
    """Whether the network is to be shown whole timesteps only with the solver called `name`, as in diffusers.

    It matters where sigmas lie between those of the model's timesteps: Karras' and other shaped schedules.
    """
    return SOLVERS[name].grid != "continuous"
