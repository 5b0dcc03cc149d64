"""Every solver by its name."""

from __future__ import annotations

from sdgraph.diffusion.solvers.contract import Solver
from sdgraph.diffusion.solvers.ddim import Ddim
from sdgraph.diffusion.solvers.dpmpp_2m import DpmPp2M
from sdgraph.diffusion.solvers.euler import Euler
from sdgraph.diffusion.solvers.euler_ancestral import EulerAncestral
from sdgraph.diffusion.solvers.heun import Heun
from sdgraph.diffusion.solvers.lcm import Lcm
from sdgraph.diffusion.solvers.pndm import Pndm
from sdgraph.diffusion.solvers.unipc import UniPc
from sdgraph.diffusion.stages import SolverName

SOLVERS: dict[SolverName, type[Solver]] = {
    "ddim": Ddim,
    "euler": Euler,
    "euler_ancestral": EulerAncestral,
    "heun": Heun,
    "dpmpp_2m": DpmPp2M,
    "unipc": UniPc,
    "pndm": Pndm,
    "lcm": Lcm,
}


def make_solver(name: SolverName, eta: float = 0.0) -> Solver:
    """The solver called `name`; `eta` 0..1 is the noise that `ddim` adds."""
    return Ddim(eta) if name == "ddim" else SOLVERS[name]()
