"""A picture into a file."""

import errno
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from sdgraph.core.context import RunContext
from sdgraph.core.node import Delivery, Node
from sdgraph.core.pngmeta import with_png_text
from sdgraph.core.port import In, port
from sdgraph.errors import MediaError
from sdgraph.payloads.image import Image
from sdgraph_nodes.file_names import safe_stem
from sdgraph_nodes.outputs import ImageOut

Format = Literal["png", "jpeg", "webp"]
_ENDINGS: dict[Format, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


class SaveImage(Node[ImageOut], type="image.save", version=1, lane="io"):
    """Write a picture to the run's folder.

    A batch gets names ending in _0001, _0002, ... A file of the same name is overwritten. PNG files carry the workflow
    and open as one. Changing the name or the format runs nothing again.
    """

    image: In[Image]
    filename: In[str] = port("image", max_length=500, keyed=False, linkable=False)
    """Name of the file, without its ending."""
    format: In[Format] = port("png", keyed=False, linkable=False)
    """`png` is exact; `jpeg` and `webp` are smaller."""
    quality: In[int] = port(95, ge=1, le=100, keyed=False, linkable=False)
    """Of `jpeg` and `webp`; `webp` is exact at 100."""

    def run(self, ctx: RunContext) -> ImageOut:
        return ImageOut(image=self.image)

    def deliver(self, outputs: Mapping[str, Any], delivery: Delivery) -> list[Path]:
        image: Image = outputs["image"]
        kind: Format = delivery.values["format"]
        stem = safe_stem(delivery.values["filename"], (".png", ".jpg", ".jpeg", ".webp"))
        paths: list[Path] = []
        for index, picture in enumerate(image.to_uint8(), start=1):
            number = f"_{index:04d}" if image.batch > 1 else ""
            path = delivery.folder / f"{stem}{number}{_ENDINGS[kind]}"
            content = encode_picture(picture, kind, delivery.values["quality"])
            write_atomically(path, with_png_text(content, delivery.metadata) if kind == "png" else content)
            paths.append(path)
        return paths


def encode_picture(picture: Any, kind: Format, quality: int) -> bytes:
    """A uint8 RGB picture [H, W, 3] as the bytes of a file. Equal pictures give equal bytes."""
    from PIL import Image as Pillow

    target = BytesIO()
    options: dict[str, Any] = {}
    if kind == "jpeg":
        options = {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    elif kind == "webp":
        options = {"quality": quality, "lossless": quality == 100}
    Pillow.fromarray(picture).save(target, kind, **options)
    return target.getvalue()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all. Raises MediaError `disk-full`, `output-unwritable`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        _remove(partial)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MediaError(
                "disk-full",
                f"{path} can't be written: the disk is full.",
                "Make room and run again; nothing that was computed is lost.",
            ) from None
        raise MediaError(
            "output-unwritable",
            f"{path} can't be written: {error.strerror or error}.",
            "Choose another folder with -o, or change its permissions.",
        ) from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # what could not be written may not be removable either
