"""Pictures side by side: joining batches, and contact sheets."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.errors import MediaError
from sdgraph.payloads.facts import PictureFact, Sized, is_settled, picture_at
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ImageOut


class Join(Node[ImageOut], type="image.join", version=1):
    """Put pictures of one size into one batch, the first ones first."""

    first: In[Image]
    """The pictures that come first."""
    second: In[Image]
    """The pictures that follow."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        first, second = picture_at(known, "first"), picture_at(known, "second")
        if first is None or second is None:
            return {}
        _require_one_size(first, second)
        return {"image": replace(first, batch=first.batch + second.batch)}

    def run(self, ctx: RunContext) -> ImageOut:
        import numpy as np

        _require_one_size(self.first, self.second)
        return ImageOut(image=Image(np.concatenate([self.first.pixels, self.second.pixels])))


class Grid(Node[ImageOut], type="image.grid", version=1):
    """Lay the pictures of a batch out on one sheet, row by row."""

    image: In[Image]
    """The pictures to lay out."""
    columns: In[int] = port(0, ge=0, le=256)
    """Pictures per row; 0 makes the sheet about square."""
    gap_px: In[int] = port(4, ge=0, le=256, unit="px")
    """Space between the pictures."""
    background: In[float] = port(1.0, ge=0, le=1)
    """Grey level of the space between the pictures: 0 is black, 1 is white."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        image = picture_at(known, "image")
        if image is None or not is_settled(self.columns, self.gap_px):
            return {}
        columns, rows = self._layout(image.batch)
        gap = self.gap_px
        width, height = columns * (image.width_px + gap) - gap, rows * (image.height_px + gap) - gap
        return {"image": PictureFact(width, height)}

    def _layout(self, batch: int) -> tuple[int, int]:
        """How many columns and rows the sheet has."""
        columns = min(self.columns or math.ceil(math.sqrt(batch)), batch)
        return columns, math.ceil(batch / columns)

    def run(self, ctx: RunContext) -> ImageOut:
        import numpy as np

        image, gap = self.image, self.gap_px
        columns, rows = self._layout(image.batch)
        down, across = image.height_px + gap, image.width_px + gap
        sheet = np.full((1, 3, rows * down - gap, columns * across - gap), self.background, dtype=np.float32)
        for index, picture in enumerate(image.pixels):
            top, left = index // columns * down, index % columns * across
            sheet[0, :, top : top + image.height_px, left : left + image.width_px] = picture
        return ImageOut(image=Image(sheet))


def _require_one_size(first: Sized, second: Sized) -> None:
    """Raises MediaError [image-sizes-differ]."""
    sizes = [(image.width_px, image.height_px) for image in (first, second)]
    if sizes[0] != sizes[1]:
        found = " and ".join(f"{width} x {height} px" for width, height in sizes)
        raise MediaError(
            "image-sizes-differ",
            f"Pictures of one batch have one size, found {found}.",
            "Resize one of them first.",
            port="second",
        )
