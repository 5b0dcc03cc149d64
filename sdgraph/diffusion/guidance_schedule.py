"""How strong the guidance is at each step of a stage: plain data, no torch.

Progress runs over one stage: 0 at its first step, 1 at its last. So editing a later stage never changes an earlier one;
`Leg.split` keeps the span of the whole stage, so splitting a stage changes nothing either.
"""

import math
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from sdgraph.diffusion.tagged import Tagged

Progress = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
SigmaBound = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ConstantGuidance(Tagged):
    """The same scale at every step."""

    kind: Literal["constant"] = "constant"
    scale: FiniteFloat = 7.5

    def scale_at(self, progress: float, sigma: float) -> float:
        """The guidance scale at `progress` 0..1 of the stage and noise level `sigma`."""
        return self.scale


class LinearGuidance(Tagged):
    """From `start` at the stage's first step to `end` at its last, in a straight line."""

    kind: Literal["linear"] = "linear"
    start: FiniteFloat
    end: FiniteFloat

    def scale_at(self, progress: float, sigma: float) -> float:
        """The guidance scale at `progress` 0..1 of the stage and noise level `sigma`."""
        return self.start + (self.end - self.start) * progress


class CosineGuidance(Tagged):
    """From `start` to `end` along half a cosine: slow at both ends, quick in the middle."""

    kind: Literal["cosine"] = "cosine"
    start: FiniteFloat
    end: FiniteFloat

    def scale_at(self, progress: float, sigma: float) -> float:
        """The guidance scale at `progress` 0..1 of the stage and noise level `sigma`."""
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2


class PiecewiseGuidance(Tagged):
    """Straight lines between `(progress, scale)` points; constant before the first and after the last.

    Two points at the same progress make a jump; at the jump itself the later point counts.
    """

    kind: Literal["piecewise"] = "piecewise"
    points: tuple[tuple[Progress, FiniteFloat], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _points_ascend(self) -> Self:
        if any(left[0] > right[0] for left, right in pairwise(self.points)):
            raise ValueError("the points of a piecewise guidance must ascend in progress; sort them")
        return self

    def scale_at(self, progress: float, sigma: float) -> float:
        """The guidance scale at `progress` 0..1 of the stage and noise level `sigma`."""
        if progress < self.points[0][0]:
            return self.points[0][1]
        for (x0, y0), (x1, y1) in reversed(list(pairwise(self.points))):
            if x0 <= progress < x1:
                return y0 + (y1 - y0) * (progress - x0) / (x1 - x0)
        return max((x, i, y) for i, (x, y) in enumerate(self.points) if x <= progress)[2]


class IntervalGuidance(Tagged):
    """`scale` inside an interval of progress and of noise level, 1 (no guidance, half the cost) outside.

    Limiting guidance to middle noise levels: Kynkäänniemi et al. 2024, arXiv:2404.07724, section 3.
    """

    kind: Literal["interval"] = "interval"
    scale: FiniteFloat
    start: Progress = 0.0
    end: Progress = 1.0
    sigma_low: SigmaBound | None = None
    sigma_high: SigmaBound | None = None

    @model_validator(mode="after")
    def _bounds_ascend(self) -> Self:
        low, high = self.sigma_low, self.sigma_high
        if self.start > self.end or (low is not None and high is not None and low > high):
            raise ValueError("an interval guidance must start before it ends, and sigma_low must be below sigma_high")
        return self

    def scale_at(self, progress: float, sigma: float) -> float:
        """The guidance scale at `progress` 0..1 of the stage and noise level `sigma`."""
        inside = self.start <= progress <= self.end
        inside &= self.sigma_low is None or sigma >= self.sigma_low
        inside &= self.sigma_high is None or sigma <= self.sigma_high
        return self.scale if inside else 1.0


GuidanceSchedule = Annotated[
    ConstantGuidance | LinearGuidance | CosineGuidance | PiecewiseGuidance | IntervalGuidance,
    Field(discriminator="kind"),
]
