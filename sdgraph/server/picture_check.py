"""Is it a picture? Files from elsewhere are decoded with limits before they are kept."""

from __future__ import annotations

import warnings
from pathlib import Path

from sdgraph.errors import MediaError

ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "GIF": ".gif"}
"""What is taken, and the ending of its files. Pillow knows more, some of which start other programs."""
MAX_PIXELS = 64 * 2**20
"""8192 x 8192: what nodes read."""


def ending_of_picture(path: Path) -> str:
    """The ending for a file whose content is a whole picture, whatever the file is called.

    Raises MediaError [image-not-a-picture], [image-too-large] by its header alone, [image-damaged].
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # this limit is lower
        try:
            picture = Image.open(path, formats=tuple(ENDINGS))
        except Image.DecompressionBombError:
            raise _too_large("The picture") from None
        except Exception:  # Pillow's readers raise anything at damaged headers
            message = "The file is not a picture that can be read."
            raise MediaError("image-not-a-picture", message, f"The formats are: {', '.join(ENDINGS)}.") from None
        with picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise _too_large(f"The picture has {picture.width:,} x {picture.height:,} pixels, and")
            try:
                picture.load()
            except Exception as error:
                message = f"The picture is damaged: {error}."
                raise MediaError("image-damaged", message, "Save or download it again.") from None
            return ENDINGS[picture.format or ""]


def _too_large(what: str) -> MediaError:
    message = f"{what} unpacks to more than the {MAX_PIXELS:,} pixels that are read."
    return MediaError("image-too-large", message, "Scale it down with another program first.")
