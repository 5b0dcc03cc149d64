"""Looking at a picture in the middle of a workflow."""

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ImageOut
from sdgraph_nodes.resize import resample


class Preview(Node[ImageOut], type="image.preview", version=1):
    """Show a picture here, scaled down to fit a square. Nothing is written."""

    image: In[Image]
    """The picture to look at."""
    edge_px: In[int] = port(512, ge=16, le=4096, unit="px")
    """The longer edge of the preview is at most this."""

    def run(self, ctx: RunContext) -> ImageOut:
        image = self.image
        scale = min(self.edge_px / max(image.width_px, image.height_px), 1)
        width, height = max(round(image.width_px * scale), 1), max(round(image.height_px * scale), 1)
        return ImageOut(image=resample(image, width, height, "area"))
