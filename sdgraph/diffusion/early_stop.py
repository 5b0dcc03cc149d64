"""When a picture counts as finished before the last step, as data: no torch."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class EarlyStop(BaseModel):
    """A picture is finished when its predicted x0 hardly changes any more; it then jumps to that x0.

    Each picture of a batch is judged alone. What counts is the change of x0, not of the noisy latents, which change
    with the noise level whatever the picture does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.01
    """The relative change below which a step counts as quiet, if it is no larger than that of the step before: RMS of
    the change of x0 over the RMS of x0."""
    patience: int = Field(default=2, ge=1, le=1000)
    """Quiet steps in a row that finish a picture."""
    min_steps: int = Field(default=5, ge=1, le=1000)
    """Steps of the stage before which nothing finishes."""
    watches: Literal["picture", "edges"] = "picture"
    """Whose change counts: that of the whole x0, or that of its edges alone, whatever colours and brightness do."""
