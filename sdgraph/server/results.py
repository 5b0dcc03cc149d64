"""`/api/results`: pictures by digest. What a digest names never changes, so browsers keep it for ever."""

from __future__ import annotations

from pathlib import Path

from aiohttp import ETag, web
from pydantic import BaseModel, Field

from sdgraph.engine.pictures import MEDIA_TYPES
from sdgraph.errors import Problem, WorkflowError
from sdgraph.payloads.picture_files import write_atomically
from sdgraph.payloads.small_pictures import small_jpeg
from sdgraph.server.kept import KEPT
from sdgraph.server.picture_check import ENDINGS
from sdgraph.server.room import touch
from sdgraph.server.routing import Route, read_query
from sdgraph.server.shipped import find_shipped

_SIZES_PX = (64, 128, 256, 512, 1024)
_FOR_EVER = "private, max-age=31536000, immutable"


class ResultQuery(BaseModel):
    """In which size."""

    thumbnail_px: int | None = Field(None, ge=1, le=_SIZES_PX[-1])
    """Longest side of a small JPEG copy: 64, 128, 256, 512 or 1024, others are rounded up. The file itself without."""


async def get_result(request: web.Request) -> web.StreamResponse:
    """Give a picture by its digest: one that a run gave, an upload, or one that ships."""
    digest, wanted = request.match_info["digest"], read_query(request, ResultQuery)
    kept = request.app[KEPT]
    path = await kept.aside(lambda: kept.find(digest) or find_shipped(digest))
    if path is None:
        raise WorkflowError([Problem("picture-unknown", f"There is no picture {digest[:80]!r}.", "It may be gone.")])
    etag = digest
    if wanted.thumbnail_px is not None:
        edge_px = next(size_px for size_px in _SIZES_PX if size_px >= wanted.thumbnail_px)
        etag = f"{digest}-{edge_px}"
        path = await _thumbnail(request, path, digest, edge_px)
    return _answer(request, path, etag)


ROUTES = (Route("GET", "/api/results/{digest}", get_result, None),)


def _answer(request: web.Request, path: Path, etag: str) -> web.StreamResponse:
    headers = {"Cache-Control": _FOR_EVER, "Content-Type": MEDIA_TYPES[path.suffix]}
    known = request.if_none_match or ()
    if any(found.value in (etag, "*") for found in known):
        return web.Response(status=304, headers=headers | {"ETag": f'"{etag}"'})
    return _Kept(path, etag, headers)


class _Kept(web.FileResponse):
    """A file whose version is its digest, where aiohttp would take the time at which it was written."""

    def __init__(self, path: Path, etag: str, headers: dict[str, str]) -> None:
        super().__init__(path, headers=headers)
        self._digest = etag

    @property
    def etag(self) -> ETag | None:
        return ETag(value=self._digest)

    @etag.setter
    def etag(self, value: ETag | str | None) -> None:
        self.headers["ETag"] = f'"{self._digest}"'


async def _thumbnail(request: web.Request, path: Path, digest: str, edge_px: int) -> Path:
    """The file of a small copy, made when it is asked for first."""
    kept = request.app[KEPT]
    small = kept.thumbnails / str(edge_px) / digest[:2] / f"{digest}.jpg"
    if not await kept.aside(lambda: small.is_file() and touch(small)):
        async with kept.reducing:
            await kept.aside(_reduce, path, small, edge_px)
    return small


def _reduce(path: Path, small: Path, edge_px: int) -> None:
    from PIL import Image, ImageOps

    with Image.open(path, formats=tuple(ENDINGS)) as picture:
        picture.draft("RGB", (edge_px, edge_px))  # JPEG decodes to a fraction of its size at once
        write_atomically(small, small_jpeg(ImageOps.exif_transpose(picture), edge_px))
