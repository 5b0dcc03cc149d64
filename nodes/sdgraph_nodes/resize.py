"""Other sizes of a picture."""

from collections.abc import Mapping
from typing import Any, Literal

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.payloads.facts import Sized, is_settled, picture_at
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ImageOut

Method = Literal["lanczos", "bicubic", "bilinear", "area", "nearest"]
Fit = Literal["stretch", "crop", "pad"]


class Resize(Node[ImageOut], type="image.resize", version=1):
    """Make a picture larger or smaller.

    With width and height given, `fit` says what happens to the proportions; with one of them, they are kept; with
    neither, `factor` counts.
    """

    image: In[Image]
    """The picture, or a batch of them."""
    width_px: In[int] = port(0, ge=0, le=16384, unit="px")
    """Width of the result; 0: whatever keeps the proportions."""
    height_px: In[int] = port(0, ge=0, le=16384, unit="px")
    """Height of the result; 0: whatever keeps the proportions."""
    factor: In[float] = port(1.0, gt=0, le=16)
    """Size of the result relative to the picture, when neither width nor height is given."""
    method: In[Method] = port("lanczos")
    """`lanczos` is sharpest; `area` averages what falls into a pixel; `nearest` keeps hard pixels."""
    fit: In[Fit] = port("stretch")
    """`stretch` distorts, `crop` cuts off what is too much, `pad` adds white."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        image = picture_at(known, "image")
        if image is None or not is_settled(self.width_px, self.height_px, self.factor):
            return {}
        return {"image": image.sized(*target_size(image, self.width_px, self.height_px, self.factor))}

    def run(self, ctx: RunContext) -> ImageOut:
        width, height = target_size(self.image, self.width_px, self.height_px, self.factor)
        if self.fit == "stretch" or not (self.width_px and self.height_px):
            return ImageOut(image=resample(self.image, width, height, self.method))
        return ImageOut(image=_fitted(self.image, width, height, self.method, cover=self.fit == "crop"))


def target_size(image: Sized, width_px: int, height_px: int, factor: float) -> tuple[int, int]:
    """Width and height that `Resize` aims at, both at least 1."""
    if width_px and height_px:
        return width_px, height_px
    if width_px:
        return width_px, max(round(image.height_px * width_px / image.width_px), 1)
    if height_px:
        return max(round(image.width_px * height_px / image.height_px), 1), height_px
    return max(round(image.width_px * factor), 1), max(round(image.height_px * factor), 1)


def resample(image: Image, width_px: int, height_px: int, method: Method = "lanczos") -> Image:
    """The pictures stretched to a size, computed in float32 and clipped to 0..1."""
    import numpy as np
    from PIL import Image as Pillow

    if (width_px, height_px) == (image.width_px, image.height_px):
        return image
    filters = {
        "lanczos": Pillow.Resampling.LANCZOS,
        "bicubic": Pillow.Resampling.BICUBIC,
        "bilinear": Pillow.Resampling.BILINEAR,
        "area": Pillow.Resampling.BOX,
        "nearest": Pillow.Resampling.NEAREST,
    }
    planes = image.pixels.reshape(-1, image.height_px, image.width_px)
    resized = [np.asarray(Pillow.fromarray(plane).resize((width_px, height_px), filters[method])) for plane in planes]
    return Image(np.clip(np.stack(resized), 0, 1).reshape(image.batch, 3, height_px, width_px))


def _fitted(image: Image, width_px: int, height_px: int, method: Method, *, cover: bool) -> Image:
    """The pictures at their own proportions, centred in a frame that they fill (`cover`) or fit into."""
    import numpy as np

    scales = width_px / image.width_px, height_px / image.height_px
    scale = max(scales) if cover else min(scales)
    scaled = resample(image, max(round(image.width_px * scale), 1), max(round(image.height_px * scale), 1), method)
    frame = np.ones((image.batch, 3, height_px, width_px), dtype=np.float32)
    across, source_across = _centred(width_px, scaled.width_px)
    down, source_down = _centred(height_px, scaled.height_px)
    frame[..., down, across] = scaled.pixels[..., source_down, source_across]
    return Image(frame)


def _centred(frame: int, content: int) -> tuple[slice, slice]:
    """Where content of one length lies in a frame of another, and which part of it is seen."""
    length = min(frame, content)
    place, seen = (frame - length) // 2, (content - length) // 2
    return slice(place, place + length), slice(seen, seen + length)
