"""`/api/pictures`: what a node that reads a picture can name: those that ship, and the newest uploads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from heapq import nlargest
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from sdgraph.engine.pictures import MEDIA_TYPES, Picture
from sdgraph.payloads.places import UPLOAD
from sdgraph.server.kept import KEPT, Kept
from sdgraph.server.picture_check import ENDINGS
from sdgraph.server.routing import Route, answer
from sdgraph.server.schemas import Described
from sdgraph.server.uploads import UploadOut

_UPLOADS = 100
_BUILTIN = "builtin:"


class PictureSource(UploadOut):
    """A picture that nodes can read."""

    origin: Literal["builtin", "upload"]


class PictureList(Described):
    """Pictures that nodes can read: those that ship by name, then uploads, the newest first."""

    pictures: list[PictureSource]


async def get_pictures(request: web.Request) -> web.Response:
    """List the pictures that nodes can read: those that ship, and the hundred uploads that were used last."""
    kept = request.app[KEPT]
    return answer(PictureList.model_validate({"pictures": await kept.aside(lambda: list(_listed(kept)))}))


ROUTES = (Route("GET", "/api/pictures", get_pictures, PictureList),)


@cache
def shipped_pictures() -> tuple[tuple[str, Picture], ...]:
    """The pictures that ship, each with the name that nodes read it by."""
    folder = Path(str(files("sdgraph_nodes"))) / "pictures"
    found = (path for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES)
    return tuple((f"{_BUILTIN}{path.name}", _picture(path, _digest(path))) for path in found)


def find_shipped(digest: str) -> Path | None:
    """The file of a picture that ships, by the digest of its content."""
    return next((picture.path for _, picture in shipped_pictures() if picture.digest == digest), None)


def _listed(kept: Kept) -> Iterator[dict[str, Any]]:
    for file, picture in shipped_pictures():
        yield {"origin": "builtin", "file": file, **picture.to_json()}
    last_used = nlargest(_UPLOADS, kept.uploads.paths(), key=_used_s)
    for path in sorted(last_used, key=_uploaded_s, reverse=True):  # looking at a thumbnail is a use, and moves nothing
        try:
            yield {"origin": "upload", "file": f"{UPLOAD}{path.name}", **_picture(path, path.stem).to_json()}
        except (OSError, ValueError):  # it had to make room meanwhile, or somebody damaged it
            continue


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _picture(path: Path, digest: str) -> Picture:
    """A file with the size that its header tells. Raises OSError, ValueError."""
    from PIL import Image

    with Image.open(path, formats=tuple(ENDINGS)) as picture:
        return Picture(digest, path, *picture.size)


def _used_s(path: Path) -> float:
    try:
        return path.stat().st_atime
    except OSError:
        return 0.0


def _uploaded_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
