"""Masks from numbers: rectangles, ellipses and gradients."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, Link, port
from sdgraph.errors import MediaError
from sdgraph.payloads.facts import PictureFact, is_settled, picture_at
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.outputs import MaskOut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape = Literal["rectangle", "ellipse"]
Direction = Literal["right", "left", "down", "up"]
_SAMPLES = 8
"""Points per pixel side at which an ellipse is looked at, so that its edge is smooth."""


class _MaskSize(Node[MaskOut]):
    """How large a mask is."""

    image: In[Image | None] = port(None)
    """A picture whose size the mask takes; without one, width and height count."""
    width_px: In[int] = port(512, ge=1, le=16384, unit="px")
    """Width of the mask."""
    height_px: In[int] = port(512, ge=1, le=16384, unit="px")
    """Height of the mask."""

    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if self.image is not None:
            return self.image.height_px, self.image.width_px
        return self.height_px, self.width_px

    def infer(self, known: Known) -> Mapping[str, Any]:
        if isinstance(self.image, Link):
            found = picture_at(known, "image")
            return {} if found is None else {"mask": PictureFact(found.width_px, found.height_px)}
        return {"mask": PictureFact(self.width_px, self.height_px)} if is_settled(self.width_px, self.height_px) else {}


class DrawMask(_MaskSize, type="mask.draw", version=1, cutoff=True):
    """Draw a mask: 1 inside a rectangle or an ellipse, 0 outside. Sides are shares of the picture."""

    shape: In[Shape] = port("rectangle")
    """`ellipse` fills the rectangle that the sides describe."""
    left: In[float] = port(0.25, ge=0, le=1)
    """Left side: 0 is the picture's left edge, 1 its right one."""
    top: In[float] = port(0.25, ge=0, le=1)
    """Upper side: 0 is the picture's upper edge, 1 its lower one."""
    right: In[float] = port(0.75, ge=0, le=1)
    """Right side."""
    bottom: In[float] = port(0.75, ge=0, le=1)
    """Lower side."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        if is_settled(self.left, self.right, self.top, self.bottom):
            self._require_sides()
        return super().infer(known)

    def run(self, ctx: RunContext) -> MaskOut:
        self._require_sides()
        height, width = self.size()
        sides = self.left * width, self.top * height, self.right * width, self.bottom * height
        draw = _rectangle if self.shape == "rectangle" else _ellipse
        return MaskOut(mask=Mask(draw(height, width, *sides)[None, None]))

    def _require_sides(self) -> None:
        if self.left >= self.right or self.top >= self.bottom:
            raise MediaError(
                "mask-sides",
                f"The mask goes from {self.left:g} to {self.right:g} across and {self.top:g} to {self.bottom:g} down.",
                "Let it begin left of and above where it ends.",
                port="right" if self.left >= self.right else "bottom",
            )


class GradientMask(_MaskSize, type="mask.gradient", version=1, cutoff=True):
    """A mask that rises evenly from one value to another along one direction."""

    direction: In[Direction] = port("right")
    """Where it goes from `start` to `end`."""
    start: In[float] = port(0.0, ge=0, le=1)
    """Value where it begins."""
    end: In[float] = port(1.0, ge=0, le=1)
    """Value where it ends."""
    rise_from: In[float] = port(0.0, ge=0, le=1)
    """Share of the way at which the value leaves `start`."""
    rise_to: In[float] = port(1.0, ge=0, le=1)
    """Share of the way at which it has come to `end`."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        if is_settled(self.rise_from, self.rise_to):
            self._require_rise()
        return super().infer(known)

    def _require_rise(self) -> None:
        if self.rise_from >= self.rise_to:
            raise MediaError(
                "mask-sides",
                f"The gradient rises from {self.rise_from:g} to {self.rise_to:g} of the way.",
                "Let it begin before it ends.",
                port="rise_to",
            )

    def run(self, ctx: RunContext) -> MaskOut:
        import numpy as np

        self._require_rise()
        height, width = self.size()
        across = self.direction in ("right", "left")
        way = np.linspace(0, 1, width if across else height)
        ramp = np.interp(way, (self.rise_from, self.rise_to), (self.start, self.end)).astype(np.float32)
        ramp = ramp[::-1] if self.direction in ("left", "up") else ramp
        values = np.empty((1, 1, height, width), dtype=np.float32)
        values[:] = ramp[None, :] if across else ramp[:, None]
        return MaskOut(mask=Mask(values))


def _rectangle(height: int, width: int, left: float, top: float, right: float, bottom: float) -> "NDArray[np.float32]":
    """[height, width]: the share of each pixel that lies inside."""
    import numpy as np

    down = np.clip(np.minimum(np.arange(1, height + 1), bottom) - np.maximum(np.arange(height), top), 0, 1)
    across = np.clip(np.minimum(np.arange(1, width + 1), right) - np.maximum(np.arange(width), left), 0, 1)
    return (down[:, None] * across[None, :]).astype(np.float32)


def _ellipse(height: int, width: int, left: float, top: float, right: float, bottom: float) -> "NDArray[np.float32]":
    """[height, width]: the share of each pixel that lies inside, from a grid of points in it."""
    import numpy as np

    points = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    down = (np.arange(height)[:, None] + points - (top + bottom) / 2) / ((bottom - top) / 2)
    across = (np.arange(width)[:, None] + points - (left + right) / 2) / ((right - left) / 2)
    values = np.zeros((height, width), dtype=np.float32)
    for row in (down**2).T:  # one line of points per pixel row at a time bounds the memory
        values += (row[:, None, None] + (across**2)[None] <= 1).sum(axis=2, dtype=np.float32)
    return values / np.float32(_SAMPLES**2)
