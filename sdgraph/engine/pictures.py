"""Pictures by the digest of their file, so that one address always means the same bytes: of finished runs, and uploads.

A file lies at `ab/abcd....png`, named by the SHA-256 of its content. Who has one writes into a folder of its own below
`incoming`, from which finished files are moved; what a killed process left there goes when the next one begins.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdgraph.engine.stores.owner import Owner, this_process

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".gif": "image/gif",
}
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file that is kept."""

    digest: str
    """SHA-256 of the file, hexadecimal."""
    path: Path
    width_px: int
    height_px: int

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.path.suffix]

    def to_json(self) -> dict[str, Any]:
        """The picture as reports name it."""
        return {
            "digest": self.digest,
            "url": f"/api/results/{self.digest}",
            "media_type": self.media_type,
            "width_px": self.width_px,
            "height_px": self.height_px,
        }


class PictureFolder:
    """The folder of kept pictures. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def incoming(self) -> Generator[Path]:
        """A folder to write into; what is not taken from it goes. Raises OSError."""
        place = self._folder / "incoming"
        place.mkdir(parents=True, exist_ok=True)
        _remove_left(place)
        # The owner's text has colons, which not every file system takes.
        with tempfile.TemporaryDirectory(prefix=f"{str(this_process()).replace(':', '+')}+", dir=place) as made:
            yield Path(made)

    def take(self, path: Path) -> Picture:
        """Move a picture file in here. Raises OSError, and KeyError for another ending than a picture's.

        The file is on the disk before its digest is known to anybody.
        """
        from PIL import Image

        MEDIA_TYPES[path.suffix]
        with path.open("rb+") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        with Image.open(path) as picture:
            width_px, height_px = picture.size
        target = self._path(digest, path.suffix)
        target.parent.mkdir(exist_ok=True)
        path.replace(target)
        return Picture(digest, target, width_px, height_px)

    def find(self, digest: str) -> Path | None:
        """The file of a digest; None for one that is not here, is no digest, or where there is a link instead."""
        if not _DIGEST.fullmatch(digest):
            return None
        for ending in MEDIA_TYPES:
            path = self._path(digest, ending)
            if path.is_file() and not path.is_symlink():
                return path
        return None

    def paths(self) -> Iterator[Path]:
        """All files that are kept, in no order."""
        for path in self._folder.glob("??/*"):
            if _DIGEST.fullmatch(path.stem) and path.suffix in MEDIA_TYPES and not path.is_symlink():
                yield path

    def _path(self, digest: str, ending: str) -> Path:
        return self._folder / digest[:2] / f"{digest}{ending}"


def _remove_left(place: Path) -> None:
    for left in place.iterdir():
        owner = Owner.parse(left.name.replace("+", ":"))
        if owner.is_known_dead():
            with suppress(OSError):
                shutil.rmtree(left)
