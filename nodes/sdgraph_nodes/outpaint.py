"""More room around a picture, to be drawn."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.errors import MediaError
from sdgraph.payloads.facts import Sized, is_settled, picture_at
from sdgraph.payloads.image import MAX_EDGE_PX, Image
from sdgraph.payloads.mask import Mask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Fill = Literal["edge", "mirror", "grey"]


class PaddedOut(Outputs):
    """A picture with room around it."""

    image: Out[Image]
    """[B, 3, H, W]: the enlarged picture."""
    mask: Out[Mask]
    """[1, 1, H, W]: 1 where the room is."""


class PadForOutpainting(Node[PaddedOut], type="image.outpaint_pad", version=1):
    """Enlarge the canvas of a picture and give a mask of what is missing there, for inpainting."""

    image: In[Image]
    """The picture."""
    left_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Room on the left."""
    top_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Room above."""
    right_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Room on the right."""
    bottom_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Room below."""
    overlap_px: In[int] = port(0, ge=0, le=1024, unit="px")
    """How far the mask reaches into the picture, rising softly, so that the join can be drawn again."""
    fill: In[Fill] = port("edge")
    """What the room holds at first: the picture's last pixels, its mirror image, or grey."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        image = picture_at(known, "image")
        if image is None or not is_settled(self.left_px, self.top_px, self.right_px, self.bottom_px):
            return {}
        larger = image.sized(*self._size(image))
        return {"image": larger, "mask": replace(larger, batch=1)}

    def _size(self, image: Sized) -> tuple[int, int]:
        """Width and height of the canvas. Raises MediaError [image-too-large]."""
        width, height = image.width_px + self.left_px + self.right_px, image.height_px + self.top_px + self.bottom_px
        if max(width, height) > MAX_EDGE_PX:
            raise MediaError(
                "image-too-large",
                f"An edge of a picture has at most {MAX_EDGE_PX:,} px.",
                "Add less room.",
                port="image",
            )
        return width, height

    def run(self, ctx: RunContext) -> PaddedOut:
        import numpy as np

        image = self.image
        self._size(image)
        down, across = (self.top_px, self.bottom_px), (self.left_px, self.right_px)
        margins = ((0, 0), (0, 0), down, across)
        if self.fill == "grey":
            pixels = np.pad(image.pixels, margins, constant_values=0.5)
        else:
            pixels = np.pad(image.pixels, margins, mode="edge" if self.fill == "edge" else "symmetric")
        rise_down = _rise(image.height_px, *down, self.overlap_px)
        rise_across = _rise(image.width_px, *across, self.overlap_px)
        values = np.maximum(rise_down[:, None], rise_across[None, :])[None, None]
        return PaddedOut(image=Image(pixels), mask=Mask(values))


def _rise(length: int, before: int, after: int, overlap: int) -> "NDArray[np.float32]":
    """[before + length + after]: 1 in the room, falling to 0 over the overlap on sides that have room."""
    import numpy as np

    place = np.arange(before + length + after)
    inside_left = place - before + 1 if before else np.full_like(place, length + overlap + 1)
    inside_right = before + length - place if after else np.full_like(place, length + overlap + 1)
    inside = np.minimum(inside_left, inside_right).astype(np.float32)
    return np.clip(1 - inside / (overlap + 1), 0, 1).astype(np.float32)
