"""A picture into a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.node import Delivery, Node
from sdgraph.core.port import In, port
from sdgraph.payloads.image import Image
from sdgraph.payloads.picture_files import ENDINGS, PictureFormat, write_pictures
from sdgraph_nodes.file_names import safe_stem
from sdgraph_nodes.outputs import ImageOut


class SaveImage(Node[ImageOut], type="image.save", version=1, lane="io"):
    """Write a picture to the run's folder.

    A batch gets names ending in _0001, _0002, ... A file of the same name is overwritten. PNG files carry the workflow
    and open as one. Changing the name or the format runs nothing again.
    """

    image: In[Image]
    """The picture, or a batch of them."""
    filename: In[str] = port("image", max_length=500, keyed=False, linkable=False)
    """Name of the file, without its ending."""
    format: In[PictureFormat] = port("png", keyed=False, linkable=False)
    """`png` is exact; `jpeg` and `webp` are smaller."""
    quality: In[int] = port(95, ge=1, le=100, keyed=False, linkable=False)
    """Of `jpeg` and `webp`; `webp` is exact at 100."""

    def run(self, ctx: RunContext) -> ImageOut:
        return ImageOut(image=self.image)

    def deliver(self, outputs: Mapping[str, Any], delivery: Delivery) -> list[Path]:
        image: Image = outputs["image"]
        values = delivery.values
        stem = delivery.folder / safe_stem(values["filename"], tuple(ENDINGS.values()))
        return write_pictures(image.to_uint8(), stem, delivery.metadata, values["format"], values["quality"])
