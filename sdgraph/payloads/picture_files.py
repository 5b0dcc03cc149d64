"""Pictures into files: encoded without torch, and written as a whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sdgraph.core.pngmeta import with_png_text
from sdgraph.errors import MediaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PictureFormat = Literal["png", "jpeg", "webp"]
ENDINGS: dict[PictureFormat, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


def write_pictures(
    pixels: NDArray[np.uint8],
    stem: Path,
    texts: Mapping[str, str],
    kind: PictureFormat = "png",
    quality: int = 95,
) -> list[Path]:
    """Write a batch, uint8 RGB [B, H, W, 3] or grey [B, H, W]; returns the paths.

    The file's name is `stem` and the ending of its kind; several get names ending in _0001, _0002, ... PNG files carry
    `texts`. Raises MediaError `disk-full`, `output-unwritable`.
    """
    paths: list[Path] = []
    for index, picture in enumerate(pixels, start=1):
        number = f"_{index:04d}" if len(pixels) > 1 else ""
        path = stem.with_name(f"{stem.name}{number}{ENDINGS[kind]}")
        content = encode_picture(picture, kind, quality)
        write_atomically(path, with_png_text(content, texts) if kind == "png" else content)
        paths.append(path)
    return paths


def encode_picture(picture: NDArray[np.uint8], kind: PictureFormat, quality: int = 95) -> bytes:
    """One picture, [H, W, 3] or [H, W], as the bytes of a file. Equal pictures give equal bytes."""
    from PIL import Image

    target = BytesIO()
    options: dict[str, Any] = {}
    if kind == "jpeg":
        options = {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    elif kind == "webp":
        options = {"quality": quality, "lossless": quality == 100}
    Image.fromarray(picture).save(target, kind, **options)
    return target.getvalue()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all. Raises MediaError `disk-full`, `output-unwritable`."""
    partial = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)  # gone already when all went well


def unwritable(path: Path, error: OSError) -> MediaError:
    """The error for a file or folder that can't be written to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MediaError(
            "disk-full",
            f"{path} can't be written: the disk is full.",
            "Make room and run again; nothing that was computed is lost.",
        )
    return MediaError(
        "output-unwritable",
        f"{path} can't be written: {error.strerror or error}.",
        "Choose another folder with -o, or change its permissions.",
    )
