"""Only the masked part of a picture: cut out with its surroundings, drawn at full size, and put back."""

import math
from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.errors import MediaError
from sdgraph.payloads.facts import PictureFact, is_settled, picture_at
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from sdgraph.payloads.region import Region
from sdgraph_nodes.composite import composite
from sdgraph_nodes.mask_edits import require_mask_size
from sdgraph_nodes.outputs import ImageOut
from sdgraph_nodes.resize import resample


class CropOut(Outputs):
    """A part of a picture."""

    image: Out[Image]
    """[B, 3, h, w]: the part."""
    mask: Out[Mask]
    """[B, 1, h, w]: the mask of the part."""
    region: Out[Region]
    """Where the part lies."""


class CropToMask(Node[CropOut], type="image.crop_to_mask", version=1):
    """Cut out what a mask covers, with some of its surroundings, to draw only that part at a size that suits the model.

    Sides of the part are multiples of `multiple_px`, so that it can be encoded; it stays inside the picture. An empty
    mask takes the whole picture.
    """

    image: In[Image]
    """The picture."""
    mask: In[Mask]
    """What shall be drawn again, of the picture's size."""
    padding_px: In[int] = port(32, ge=0, le=4096, unit="px")
    """How much of the surroundings the model sees on each side."""
    multiple_px: In[int] = port(8, ge=1, le=128, unit="px")
    """Width and height of the part are multiples of this, where the picture is large enough."""
    width_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Width to which the part is enlarged, its height in proportion; 0 keeps its size. The part takes its proportions
    from `height_px` too, if that is given."""
    height_px: In[int] = port(0, ge=0, le=8192, multiple_of=8, unit="px")
    """Height to which the part is enlarged, when `width_px` is given too."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        image, mask = picture_at(known, "image"), picture_at(known, "mask")
        if image is None or mask is None:
            return {}
        require_mask_size(mask, image.width_px, image.height_px, "The picture")
        if not is_settled(self.width_px, self.height_px) or not (self.width_px and self.height_px):
            return {}  # the size is that of what the mask covers
        part = PictureFact(self.width_px, self.height_px, image.batch)
        return {"image": part, "mask": PictureFact(part.width_px, part.height_px, mask.batch)}

    def run(self, ctx: RunContext) -> CropOut:
        image, mask = self.image, self.mask
        require_mask_size(mask, image.width_px, image.height_px, "The picture")
        ratio = self.width_px / self.height_px if self.width_px and self.height_px else None
        region = region_of(mask, self.padding_px, self.multiple_px, ratio)
        part = Image(image.pixels[..., region.rows, region.columns].copy())
        part_mask = Mask(mask.values[..., region.rows, region.columns].copy())
        width, height = self._drawn_size(region)
        return CropOut(image=resample(part, width, height), mask=_resized_mask(part_mask, width, height), region=region)

    def _drawn_size(self, region: Region) -> tuple[int, int]:
        """Width and height at which the part is given out."""
        if not self.width_px:
            return region.width_px, region.height_px
        if self.height_px:
            return self.width_px, self.height_px
        height = self.width_px * region.height_px / region.width_px
        return self.width_px, max(round(height / self.multiple_px), 1) * self.multiple_px


class Stitch(Node[ImageOut], type="image.stitch", version=1):
    """Put a part that was drawn again back into the picture from which it was cut.

    Outside of the mask every pixel is that of the original, bit for bit.
    """

    image: In[Image]
    """The whole picture."""
    part: In[Image]
    """The part, at any size."""
    mask: In[Mask]
    """The mask of the whole picture."""
    region: In[Region]
    """Where the part was cut out."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        image, part, mask = (picture_at(known, port) for port in ("image", "part", "mask"))
        if image is not None and mask is not None:
            require_mask_size(mask, image.width_px, image.height_px, "The picture")
        if image is None or part is None:
            return {}
        return {"image": PictureFact(image.width_px, image.height_px, max(image.batch, part.batch))}

    def run(self, ctx: RunContext) -> ImageOut:
        import numpy as np

        image, region = self.image, self.region
        require_mask_size(self.mask, image.width_px, image.height_px, "The picture")
        if region.left_px + region.width_px > image.width_px or region.top_px + region.height_px > image.height_px:
            raise MediaError(
                "region-outside",
                f"The part lies outside of the picture of {image.width_px} x {image.height_px} px.",
                "Connect the picture from which the part was cut.",
                port="image",
            )
        part = resample(self.part, region.width_px, region.height_px)
        batch = max(image.batch, part.batch)
        above = np.repeat(image.pixels, batch // image.batch, axis=0)
        above[..., region.rows, region.columns] = part.pixels
        return ImageOut(image=composite(image, Image(above), _only_inside(self.mask, region)))


def region_of(mask: Mask, padding_px: int, multiple_px: int, ratio: float | None = None) -> Region:
    """The rectangle around all that any of the masks [B, 1, H, W] covers, padded, rounded up and kept inside.

    `ratio` is width by height of what is wanted; the rectangle grows to it as far as the picture allows.
    """
    import numpy as np

    covered = mask.values.max(axis=(0, 1)) > 0
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if not len(rows):
        return Region(0, 0, mask.width_px, mask.height_px)
    top, bottom = int(rows[0]) - padding_px, int(rows[-1]) + 1 + padding_px
    left, right = int(columns[0]) - padding_px, int(columns[-1]) + 1 + padding_px
    top, bottom, left, right = max(top, 0), min(bottom, mask.height_px), max(left, 0), min(right, mask.width_px)
    height, width = bottom - top, right - left
    if ratio is not None:
        height, width = max(height, math.ceil(width / ratio)), max(width, math.ceil(height * ratio))
    left, width = _placed(left, right, width, mask.width_px, multiple_px)
    top, height = _placed(top, bottom, height, mask.height_px, multiple_px)
    return Region(left, top, width, height)


def _placed(low: int, high: int, length: int, limit: int, multiple: int) -> tuple[int, int]:
    """Start and length of a side that is centred on low..high, a multiple of `multiple`, and inside 0..limit."""
    length = math.ceil(length / multiple) * multiple
    length = min(length, max(limit // multiple * multiple, min(limit, high - low)))
    start = (low + high - length) // 2
    return max(min(start, limit - length), 0), length


def _only_inside(mask: Mask, region: Region) -> Mask:
    """The mask, 0 outside of the region."""
    import numpy as np

    values = np.zeros_like(mask.values)
    values[..., region.rows, region.columns] = mask.values[..., region.rows, region.columns]
    return Mask(values)


def _resized_mask(mask: Mask, width_px: int, height_px: int) -> Mask:
    import numpy as np
    from PIL import Image as Pillow

    if (mask.width_px, mask.height_px) == (width_px, height_px):
        return mask
    planes = [
        Pillow.fromarray(plane[0]).resize((width_px, height_px), Pillow.Resampling.BILINEAR) for plane in mask.values
    ]
    return Mask(np.clip(np.stack([np.asarray(plane)[None] for plane in planes]), 0, 1))
