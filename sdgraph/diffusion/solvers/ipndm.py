"""iPNDM: the multistep method of PNDM, started with lower orders."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser
from sdgraph.diffusion.solvers.adams_bashforth import combined
from sdgraph.diffusion.solvers.contract import Noise, Solver, SolverState, Span
from sdgraph.diffusion.solvers.slope import slope


@dataclass(frozen=True)
class Ipndm(Solver):
    """Zhang & Chen 2022, arXiv:2204.13902, section 3.3: Adams-Bashforth on noise estimates, of the order that the
    history allows. One evaluation a step from the first.
    """

    @property
    def order(self) -> int:
        return 2  # Four estimates, but the weights suppose even steps, and sigmas are uneven.

    def step(
        self, denoise: Denoiser, x: Tensor, span: Span, state: SolverState, noise: Noise
    ) -> tuple[Tensor, SolverState]:
        remembered = state.remember(slope(denoise, x, span.sigma), span.sigma, keep=4)
        return x + (span.sigma_next - span.sigma) * combined(remembered.outputs), remembered
