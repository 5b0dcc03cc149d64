"""Reading picture files that may come from anywhere: found, limited in size, and refused with a clear error."""

from __future__ import annotations

from hashlib import blake2b
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from sdgraph.errors import MediaError
from sdgraph.payloads.places import picture_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as PillowImage

BUILTIN = "builtin:"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""What is read. Pillow knows more, some of which start other programs."""
MAX_FILE_BYTES = 256 * 2**20
_ORIENTATION = 0x0112
"""The EXIF tag that says how the picture has to be turned."""
_ON_ITS_SIDE = (5, 6, 7, 8)
"""Its values for which width and height change places."""
MAX_PIXELS = 64 * 2**20
"""8192 x 8192. As float32 RGB that is 768 MB."""


def read_picture_file(file: str) -> bytes:
    """The content of a file, or of a picture that ships with sdgraph (`builtin:NAME.png`).

    Raises MediaError `image-missing`, `image-unreadable`, `image-too-large`.
    """
    path = _place(file)
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise _too_large(f"{file!r} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read.")
        return path.read_bytes()
    except OSError as error:
        raise MediaError(
            "image-unreadable",
            f"{file!r} can't be read: {error.strerror or error}.",
            "Check its permissions.",
            port="file",
        ) from None


def _place(file: str) -> Path:
    path = _builtin(file) if file.startswith(BUILTIN) else picture_path(file)
    if not file or not path.is_file():
        raise MediaError("image-missing", f"There is no file {file!r}.", "Check the path.", port="file")
    return path


def picture_digest(file: str) -> str:
    """Digest of a picture file's content. The header is read too, so that what is no picture is found before the run.

    Raises MediaError.
    """
    content = read_picture_file(file)
    _open(file, content)
    return blake2b(content, digest_size=20).hexdigest()


def picture_size(file: str) -> tuple[int, int]:
    """Width and height of a picture file, turned upright, by its header alone. Raises MediaError."""
    with _open(file, _place(file)) as picture:
        turned = picture.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE
        return (picture.height, picture.width) if turned else (picture.width, picture.height)


def read_pixels(file: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """RGB [1, 3, H, W] and opacity [1, 1, H, W], float32 in 0..1, turned upright; transparent parts show white.

    Raises MediaError, also `image-damaged`.
    """
    import numpy as np
    from PIL import ImageOps

    picture = _open(file, read_picture_file(file))
    try:
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        rgba = _rgba(upright)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
        raise MediaError(
            "image-damaged", f"{file!r} is damaged: {error}.", "Save or download it again.", port="file"
        ) from None
    alpha = rgba[..., 3:]
    rgb = rgba[..., :3] * alpha + (1 - alpha)
    return _planar(np.clip(rgb, 0, 1)), _planar(alpha)


def _open(file: str, content: bytes | Path) -> PillowImage:
    from PIL import Image

    try:
        picture = Image.open(BytesIO(content) if isinstance(content, bytes) else content, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(f"{file!r} unpacks to far more than {MAX_PIXELS:,} pixels.") from None
    except Exception:  # Pillow's readers raise anything at damaged headers
        raise MediaError(
            "image-not-a-picture",
            f"{file!r} is not a picture that can be read.",
            f"The formats are: {', '.join(FORMATS)}.",
            port="file",
        ) from None
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        raise _too_large(
            f"{file!r} has {picture.width:,} x {picture.height:,} pixels; at most {MAX_PIXELS:,} are read."
        )
    return picture


def _rgba(picture: PillowImage) -> NDArray[np.float32]:
    """[H, W, 4] in 0..1."""
    import numpy as np

    if picture.mode.startswith("I") or picture.mode == "F":  # 16-bit grey, which convert() would clip
        values = np.asarray(picture, dtype=np.float32)
        grey = values / (65535 if picture.mode.startswith("I") else max(float(values.max()), 1.0))
        return np.stack([grey, grey, grey, np.ones_like(grey)], axis=-1)
    return np.asarray(picture.convert("RGBA"), dtype=np.float32) / np.float32(255)


def _planar(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """[H, W, C] to [1, C, H, W]."""
    return array.transpose(2, 0, 1)[None].copy()


def _builtin(file: str) -> Path:
    folder = Path(str(files("sdgraph_nodes") / "pictures"))
    name = file.removeprefix(BUILTIN)
    path = folder / name
    if path.parent != folder or not path.is_file():
        known = ", ".join(sorted(BUILTIN + found.name for found in folder.glob("*.png")))
        raise MediaError(
            "image-missing", f"No picture {file!r} ships with sdgraph.", f"There are: {known}.", port="file"
        )
    return path


def _too_large(message: str) -> MediaError:
    return MediaError("image-too-large", message, "Scale it down with another program first.", port="file")
