"""What control hears of a step, and what it tells the denoiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.view import EVERYTHING, View
from sdgraph.payloads.facts import Sized

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
    _require_sides(list(sides), [side * downscale for side in call.view.whole(call.x)], what)


def require_pictures(pictures: Sized, drawn: Sized, what: str = "control picture") -> None:
    """Raises SamplingError [control-size], [control-batch] unless pictures have the size and number of the result's."""
    _require_sides([pictures.height_px, pictures.width_px], [drawn.height_px, drawn.width_px], what)
    _require_number(pictures.batch, drawn.batch, what)


def _require_sides(found: list[int], expected: list[int], what: str) -> None:
    if found != expected:
        raise SamplingError(
            "control-size",
            f"The {what} is {_size(found)} pixels, expected {_size(expected)}.",
            "Resize it to the size of the result.",
        )


def _require_number(found: int, items: int, what: str) -> None:
    if found not in (1, items):
        raise SamplingError(
            "control-batch",
            f"There are {found} {what}s for {items} items, expected 1 or {items}.",
            "Give one for all items or one per item.",
        )


def for_items(pictures: Tensor, call: Seen, downscale: int, what: str = "control picture") -> Tensor:
    """Pictures [1 or B, ...,  H, W] as one per item, [k*B, ..., H, W].

    Raises SamplingError [control-size] unless they have `downscale` times the latents' size, [control-batch].
    """
    require_size(list(pictures.shape[-2:]), call, downscale, what)
    pictures = call.view.of(pictures, downscale)
    _require_number(pictures.shape[0], call.batch, what)
    return pictures.repeat(call.x.shape[0] // pictures.shape[0], *[1] * (pictures.dim() - 1))


def mismatch(net: str, found: str, expected: str) -> ModelError:
    """The error for control of another kind of model."""
    return ModelError(
        "control-mismatch",
        f"{net} is for {found}, the denoiser {expected}.",
        "Use one that was trained for this model.",
    )


def _size(sides: list[int]) -> str:
    return f"{sides[-1]}x{sides[-2]}"
