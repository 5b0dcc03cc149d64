"""Masks: where something applies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdgraph.core.porttype import PortType, Shown
from sdgraph.payloads.arrays import ArrayCodec, frozen_array, require_shape
from sdgraph.payloads.picture_files import write_pictures
from sdgraph.payloads.shown import first_pictures, many


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Weights per pixel: 1 where something applies, 0 where not.

    The array is taken over and made read-only. Raises MediaError [mask-shape] for another shape or dtype.
    """

    values: NDArray[np.float32]
    """[B, 1, H, W] float32 in 0..1."""

    def __post_init__(self) -> None:
        require_shape("mask", self.values, channels=1)
        object.__setattr__(self, "values", frozen_array(self.values))

    def to_uint8(self) -> NDArray[np.uint8]:
        """[B, H, W] in 0..255, rounded to nearest; values outside 0..1 are clipped."""
        return (np.clip(self.values[:, 0], 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)

    @property
    def batch(self) -> int:
        """How many masks."""
        return self.values.shape[0]

    @property
    def height_px(self) -> int:
        return self.values.shape[2]

    @property
    def width_px(self) -> int:
        return self.values.shape[3]


def _show(mask: Mask, count: int) -> Shown:
    text = f"{many(mask.batch, 'mask')}, {mask.width_px} x {mask.height_px} px"
    return Shown(text, first_pictures(mask.values, count))


MASK = PortType(
    "Mask",
    Mask,
    "Weights per pixel, [B, 1, H, W] float32 in 0..1.",
    "#8d99ae",
    ArrayCodec(Mask, "values"),
    size_bytes=lambda mask: mask.values.nbytes,
    write=lambda mask, stem, texts: write_pictures(mask.to_uint8(), stem, texts),
    show=_show,
)
