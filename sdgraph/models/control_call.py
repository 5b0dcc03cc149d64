"""What control hears of a step, and what it tells the denoiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.view import EVERYTHING, View

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class UNetCall:
    """What a UNet is about to be called with, on its device and in its dtype."""

    x: Tensor
    """[k*B, C, h, w]: items j*B to (j+1)*B are under conditioning j of k."""
    timestep: Tensor
    """[k*B]."""
    embedding: Tensor
    """[k*B, L, D]."""
    batch: int
    """B."""
    progress: float
    """Sampling progress, 0..1."""
    added: Mapping[str, Tensor] = field(default_factory=dict[str, "Tensor"])
    """Added conditions of families that have them (SDXL: `text_embeds`, `time_ids`), else empty."""
    negative: tuple[bool, ...] = ()
    """Of each conditioning, whether it is what to stay away from; empty: none is."""
    view: View = EVERYTHING
    """Which pictures of the batch, and which part of them, x is."""

    def is_negative(self, item: int) -> bool:
        """Whether an item, 0 to k*B - 1, is under a negative conditioning."""
        return bool(self.negative) and self.negative[item // self.batch]


class Seen(Protocol):
    """What is told of the latents of a step, whatever network sees them."""

    @property
    def x(self) -> Tensor: ...
    @property
    def batch(self) -> int: ...
    @property
    def view(self) -> View: ...


class Span(Protocol):
    """The part of sampling in which a branch acts."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


def is_active(branch: Span, progress: float, tolerance: float = 0.0) -> bool:
    """Whether a branch acts at a step: from `start` on, before `end`, and to the very end with an end of 1."""
    return branch.start <= progress + tolerance and (branch.end >= 1 or progress + tolerance < branch.end)


def require_size(sides: tuple[int, int] | list[int], call: Seen, downscale: int, what: str = "control picture") -> None:
    """Raises SamplingError [control-size] unless height and width are `downscale` times those of the latents."""
    expected = [side * downscale for side in call.view.whole(call.x)]
    if list(sides) != expected:
        raise SamplingError(
            "control-size",
            f"The {what} is {_size(sides)} pixels, expected {_size(expected)}.",
            "Resize it to the size of the result.",
        )


def for_items(pictures: Tensor, call: Seen, downscale: int, what: str = "control picture") -> Tensor:
    """Pictures [1 or B, ...,  H, W] as one per item, [k*B, ..., H, W].

    Raises SamplingError [control-size] unless they have `downscale` times the latents' size, [control-batch].
    """
    require_size(list(pictures.shape[-2:]), call, downscale, what)
    pictures = call.view.of(pictures, downscale)
    if pictures.shape[0] not in (1, call.batch):
        raise SamplingError(
            "control-batch",
            f"There are {pictures.shape[0]} {what}s for {call.batch} items, expected 1 or {call.batch}.",
            "Give one for all items or one per item.",
        )
    return pictures.repeat(call.x.shape[0] // pictures.shape[0], *[1] * (pictures.dim() - 1))


def mismatch(net: str, found: str, expected: str) -> ModelError:
    """The error for control of another kind of model."""
    return ModelError(
        "control-mismatch",
        f"{net} is for {found}, the denoiser {expected}.",
        "Use one that was trained for this model.",
    )


def _size(sides: tuple[int, ...] | list[int]) -> str:
    return f"{sides[-1]}x{sides[-2]}"
