"""Step windows: during which steps of sampling a text of a prompt applies."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Where sampling stands."""

    step: int
    """1 for the first step of the whole sampling, over all its stages."""
    total: int | None
    """Steps of the whole sampling; None where the stages have noise levels of their own, so that no stage knows it."""
    progress: float
    """0..1 by timestep; stands for the share of the steps where `total` is None."""


class StepWindow(BaseModel):
    """Steps that are later than one bound and not later than another, every so many of them.

    Shares are of the whole sampling: share 0.5 of 20 steps is step 10, and 0.55 of 10 steps is step 5 (rounded down, as
    in A1111). None leaves a side open.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    after_share: float | None = None
    until_share: float | None = None
    after_step: int | None = None
    until_step: int | None = None
    turn: int = Field(default=0, ge=0)
    """Of every `turns` steps, counted from the first, the one that is meant."""
    turns: int = Field(default=1, ge=1)

    def includes(self, place: StepPlace) -> bool:
        """Whether the step at `place` is one of them."""
        return (
            (self.after_share is None or _passed(self.after_share, place))
            and (self.until_share is None or not _passed(self.until_share, place))
            and (self.after_step is None or place.step > self.after_step)
            and (self.until_step is None or place.step <= self.until_step)
            and (place.step - 1) % self.turns == self.turn
        )


def _passed(share: float, place: StepPlace) -> bool:
    if place.total is None:
        return place.progress >= share
    return place.step > int(share * place.total)
