"""Changing masks: inverting, growing, feathering, joining, and taking one from a picture."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.errors import MediaError
from sdgraph.payloads.facts import Sized, picture_at
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.outputs import MaskOut, SameMask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Channel = Literal["luminance", "red", "green", "blue"]
Operation = Literal["union", "intersect", "subtract"]
_FEATHER_SIGMAS = 3
"""A feather of n pixels is a Gaussian blur whose standard deviation is n / 3: almost nothing lies beyond n."""


class InvertMask(SameMask, type="mask.invert", version=1, cutoff=True):
    """Swap what is masked and what is not: 1 - mask."""

    mask: In[Mask]
    """The mask, for example where a loaded picture is opaque."""

    def run(self, ctx: RunContext) -> MaskOut:
        return MaskOut(mask=Mask(1 - self.mask.values))


class GrowMask(SameMask, type="mask.grow", version=1, cutoff=True):
    """Make the masked part larger on all sides, or smaller."""

    mask: In[Mask]
    """The mask."""
    grow_px: In[int] = port(8, ge=-256, le=256, unit="px")
    """How far its edge moves outwards, measured straight in every direction; below 0 inwards."""

    def run(self, ctx: RunContext) -> MaskOut:
        import cv2
        import numpy as np

        if self.grow_px == 0:
            return MaskOut(mask=self.mask)
        reach = abs(self.grow_px)
        across = np.arange(-reach, reach + 1)
        disc = (across[:, None] ** 2 + across[None, :] ** 2 <= reach**2).astype(np.uint8)
        change = cv2.dilate if self.grow_px > 0 else cv2.erode
        planes = [change(plane[0], disc)[None] for plane in self.mask.values]
        return MaskOut(mask=Mask(np.stack(planes).astype(np.float32)))


class FeatherMask(SameMask, type="mask.feather", version=1, cutoff=True):
    """Soften the edge of a mask by a Gaussian blur."""

    mask: In[Mask]
    """The mask."""
    feather_px: In[int] = port(8, ge=0, le=1024, unit="px")
    """How far the edge reaches to each side of where it was; 0 leaves the mask as it is."""

    def run(self, ctx: RunContext) -> MaskOut:
        import cv2
        import numpy as np

        if self.feather_px == 0:
            return MaskOut(mask=self.mask)
        size, deviation = 2 * self.feather_px + 1, self.feather_px / _FEATHER_SIGMAS

        def blurred(plane: "NDArray[np.float32]") -> "NDArray[np.float32]":
            found = cv2.GaussianBlur(plane, (size, size), deviation, borderType=cv2.BORDER_REPLICATE)
            return np.clip(found, 0, 1).astype(np.float32)

        return MaskOut(mask=Mask(np.stack([blurred(plane[0])[None] for plane in self.mask.values])))


class CombineMasks(Node[MaskOut], type="mask.combine", version=1, cutoff=True):
    """Join two masks of one size."""

    first: In[Mask]
    """The one mask."""
    second: In[Mask]
    """The other."""
    operation: In[Operation] = port("union")
    """`union`: the larger value; `intersect`: the smaller one; `subtract`: the first where the second is not."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        first, second = picture_at(known, "first"), picture_at(known, "second")
        if first is None or second is None:
            return {}
        _require_pair(first, second)
        return {"mask": replace(first, batch=max(first.batch, second.batch))}

    def run(self, ctx: RunContext) -> MaskOut:
        import numpy as np

        first, second = self.first, self.second
        _require_pair(first, second)
        match self.operation:
            case "union":
                return MaskOut(mask=Mask(np.maximum(first.values, second.values)))
            case "intersect":
                return MaskOut(mask=Mask(np.minimum(first.values, second.values)))
            case "subtract":
                return MaskOut(mask=Mask(np.minimum(first.values, 1 - second.values)))


class MaskFromImage(Node[MaskOut], type="mask.from_image", version=1, cutoff=True):
    """Take brightness or one colour of a picture as mask: white is 1, black is 0."""

    image: In[Image]
    """The picture."""
    channel: In[Channel] = port("luminance")
    """`luminance` weighs the colours as Rec. 601 does."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"mask": known.get("image")}

    def run(self, ctx: RunContext) -> MaskOut:
        import numpy as np

        weights = {
            "luminance": (0.299, 0.587, 0.114),
            "red": (1, 0, 0),
            "green": (0, 1, 0),
            "blue": (0, 0, 1),
        }[self.channel]
        values = np.tensordot(self.image.pixels, np.array(weights, dtype=np.float32), axes=([1], [0]))[:, None]
        return MaskOut(mask=Mask(np.clip(values, 0, 1).astype(np.float32)))


def _require_pair(first: Sized, second: Sized) -> None:
    """Raises MediaError [mask-size], [mask-batch] unless two masks can be joined."""
    require_mask_size(second, first.width_px, first.height_px, "The first mask", "second")
    if first.batch != second.batch and 1 not in (first.batch, second.batch):
        raise MediaError(
            "mask-batch",
            f"There are {first.batch} masks and {second.batch}.",
            "Use one mask, or as many as the others are.",
            port="second",
        )


def require_mask_size(mask: Sized, width_px: int, height_px: int, who: str, port: str = "mask") -> None:
    """Raises MediaError [mask-size] unless the mask has this size; `who` has it."""
    if (mask.width_px, mask.height_px) != (width_px, height_px):
        raise MediaError(
            "mask-size",
            f"{who} has {width_px} x {height_px} px, the mask {mask.width_px} x {mask.height_px} px.",
            "Draw the mask from the picture, or resize one of the two.",
            port=port,
        )
