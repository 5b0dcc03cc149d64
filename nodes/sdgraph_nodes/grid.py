"""Pictures side by side: joining batches, and contact sheets."""

import math

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.errors import MediaError
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ImageOut


class Join(Node[ImageOut], type="image.join", version=1):
    """Put pictures of one size into one batch, the first ones first."""

    first: In[Image]
    """The pictures that come first."""
    second: In[Image]
    """The pictures that follow."""

    def run(self, ctx: RunContext) -> ImageOut:
        import numpy as np

        sizes = [(image.width_px, image.height_px) for image in (self.first, self.second)]
        if sizes[0] != sizes[1]:
            found = " and ".join(f"{width} x {height} px" for width, height in sizes)
            raise MediaError(
                "image-sizes-differ",
                f"Pictures of one batch have one size, found {found}.",
                "Resize one of them first.",
                port="second",
            )
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

    def run(self, ctx: RunContext) -> ImageOut:
        import numpy as np

        image, gap = self.image, self.gap_px
        columns = min(self.columns or math.ceil(math.sqrt(image.batch)), image.batch)
        rows = math.ceil(image.batch / columns)
        down, across = image.height_px + gap, image.width_px + gap
        sheet = np.full((1, 3, rows * down - gap, columns * across - gap), self.background, dtype=np.float32)
        for index, picture in enumerate(image.pixels):
            top, left = index // columns * down, index % columns * across
            sheet[0, :, top : top + image.height_px, left : left + image.width_px] = picture
        return ImageOut(image=Image(sheet))
