"""The true cost of guidance where a conditioning takes more evaluations than one. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from sdgraph.diffusion.guidance import FIRST_STEP, Guided, Guider, StepContext, selected
from sdgraph.models.compose import Sampling


def counted(guider: Guider, sampling: Sampling) -> Guider:
    """The same guider, whose answers count every evaluation of the model that `sampling` belongs to."""
    return _Counted(guider, sampling)


@dataclass(frozen=True, eq=False)
class _Counted:
    guider: Guider
    sampling: Sampling

    def guide(self, x: Tensor, sigma: Tensor, scale: float, at: StepContext = FIRST_STEP) -> Guided:
        before = self.sampling.extra
        answer = self.guider.guide(x, sigma, scale, at)
        return replace(answer, nfe=answer.nfe + self.sampling.extra - before)

    def select(self, items: Sequence[int]) -> _Counted:
        return replace(self, guider=selected(self.guider, items))

    def evaluations(self, scale: float, at: StepContext = FIRST_STEP) -> int:
        """Taken to be as many more as at the last evaluation: which entries will act is not known before."""
        return self.guider.evaluations(scale, at) + self.sampling.last_extra
