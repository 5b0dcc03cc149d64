"""The files that the server gives and takes by their digests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from aiohttp import web

from sdgraph.engine.pictures import PictureFolder
from sdgraph.errors import MediaError
from sdgraph.server.room import touch

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 3


@dataclass(frozen=True, slots=True)
class Kept:
    """The folders of pictures, and how much may come into them."""

    pictures: PictureFolder
    """Of finished runs; workers write them."""
    uploads: PictureFolder
    thumbnails: Path
    """Small copies of both, by size."""
    previews: PictureFolder
    """Thumbnails of what nodes gave; workers write them."""
    shown: Path
    """What was said of the results of keys."""
    upload_limit_bytes: int
    room_for_upload: Callable[[int], bool]
    """Makes room for so many bytes; False when there is none."""
    checking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Held while a picture from elsewhere is decoded."""
    looking: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=lambda: WeakValueDictionary())
    """By key of a result, held while workers are asked what it looks like."""
    reducing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Held while a thumbnail is made."""
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="sdgraph-files")
    )

    @classmethod
    def in_home(
        cls,
        home: Path,
        upload_limit_bytes: int,
        room_for_upload: Callable[[int], bool] = lambda more_bytes: True,
        shown: Path | None = None,
    ) -> Kept:
        """The folders below the home folder; what runs gave lies below `shown`, if that is another one."""
        shown = shown or home
        pictures = shown / "pictures"
        uploads = PictureFolder(home / "uploads")
        previews = shown / "previews"
        return cls(
            PictureFolder(pictures),
            uploads,
            pictures / "thumbnails",
            PictureFolder(previews),
            previews / "shown",
            upload_limit_bytes,
            room_for_upload,
        )

    def find(self, digest: str) -> Path | None:
        """The file of a digest, which is used now: of a run, uploaded, or a thumbnail of what a node gave."""
        path = self.pictures.find(digest) or self.uploads.find(digest) or self.previews.find(digest)
        return path if path is not None and touch(path) else None

    def use_uploads(self, digests: Iterable[str]) -> None:
        """Let uploads stay a while. Raises MediaError [image-missing] for one that is gone."""
        for digest in digests:
            path = self.uploads.find(digest)
            if path is None or not touch(path):
                message = f"The upload {digest!r} is gone."
                raise MediaError("image-missing", message, "Upload the picture again.")

    async def aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something with files on a thread of their own, so that pictures never keep plans waiting."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, lambda: work(*args, **kwargs))


KEPT = web.AppKey("kept", Kept)


def add_kept(app: web.Application, kept: Kept) -> None:
    """Let an application give and take these files."""
    app[KEPT] = kept
    app.on_cleanup.append(_end)


async def _end(app: web.Application) -> None:
    app[KEPT].threads.shutdown(wait=True, cancel_futures=True)
