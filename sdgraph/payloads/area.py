"""Areas: rectangles of a picture whose size is not known yet, and masks brought to the size of latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from sdgraph.errors import SamplingError
from sdgraph.payloads.mask import Mask

if TYPE_CHECKING:
    from torch import Tensor

AreaUnit = Literal["fraction", "px"]

GRID = 2
"""Latent pixels that the sides of an area are rounded to: transformers look at patches of this size."""


class Box(NamedTuple):
    """A rectangle of latents, in latent pixels."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, field: Tensor) -> Tensor:
        """This rectangle of a field [..., H, W]."""
        return field[..., self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of a picture. Raises SamplingError [conditioning-area] where it has no size or begins outside."""

    left: float
    top: float
    width: float
    height: float
    unit: AreaUnit = "fraction"
    """Fractions of the picture, or pixels of it."""

    def __post_init__(self) -> None:
        if min(self.left, self.top) < 0 or min(self.width, self.height) <= 0:
            raise SamplingError(
                "conditioning-area",
                f"An area begins inside the picture and has a width and a height, found left {self.left:g}, top "
                f"{self.top:g}, width {self.width:g}, height {self.height:g}.",
                "Use 0 for left and top, and positive numbers for width and height.",
            )

    def box(self, height: int, width: int, downscale: int) -> Box:
        """The area in latents [.., height, width] of 1/`downscale`, cut to them.

        Its sides are rounded to multiples of `GRID`, of which it has one at least. Raises SamplingError
        [conditioning-area] for an area that lies outside.
        """
        across, down = (width, height) if self.unit == "fraction" else (1 / downscale, 1 / downscale)
        left, top = _rounded(self.left * across), _rounded(self.top * down)
        if left >= width or top >= height:
            raise SamplingError(
                "conditioning-area",
                f"The area begins at {self.left:g}, {self.top:g} ({self.unit}), outside of a picture of "
                f"{width * downscale} x {height * downscale} px.",
                "Move it into the picture, or give it in fractions.",
            )
        return Box(
            top,
            left,
            min(max(_rounded(self.height * down), GRID), height - top),
            min(max(_rounded(self.width * across), GRID), width - left),
        )


def _rounded(length: float) -> int:
    return round(length / GRID) * GRID


def fitted_mask(mask: Mask, height: int, width: int) -> Tensor:
    """The mask [B, 1, height, width] float32: means over the pixels that fall into one, or bilinear where it grows.

    The aspect ratio need not be that of the latents: the mask is stretched. A mask of ones stays exactly that.
    """
    import torch
    from torch.nn.functional import interpolate

    values = torch.tensor(mask.values)
    if values.shape[-2] >= height and values.shape[-1] >= width:
        return interpolate(values, size=(height, width), mode="area")
    return interpolate(values, size=(height, width), mode="bilinear", align_corners=False)
