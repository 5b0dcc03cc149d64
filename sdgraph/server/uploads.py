"""`/api/uploads`: pictures for nodes that read files, kept by the digest of their content.

The body is the file itself, or a form with one file. It goes to the disk as it comes, is decoded there with limits, and
only then kept; its name and declared type decide nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import BinaryIO

from aiohttp import BodyPartReader, web

from sdgraph.engine.pictures import Picture
from sdgraph.errors import Problem, WorkflowError
from sdgraph.payloads.picture_files import unwritable
from sdgraph.payloads.places import UPLOAD
from sdgraph.server.kept import KEPT, Kept
from sdgraph.server.picture_check import ending_of_picture
from sdgraph.server.routing import Route, answer
from sdgraph.server.run_schemas import PictureOut

_CHUNK_BYTES = 2**18
_SILENCE_S = 30.0
"""How long a client may take to send the next part."""
_FORM = "multipart/form-data"


class UploadOut(PictureOut):
    """A picture that was uploaded."""

    file: str
    """What a node's `file` port takes."""


async def post_upload(request: web.Request) -> web.Response:
    """Keep a picture that nodes can read. Takes the file itself (`image/...`), or a form with one file."""
    kept = request.app[KEPT]
    limit = kept.upload_limit_bytes
    if (request.content_length or 0) > limit + _CHUNK_BYTES:
        raise _too_large(limit)
    with ExitStack() as stack:
        folder = await kept.aside(stack.enter_context, kept.uploads.incoming())
        file = folder / "upload"
        async with aclosing(_content(request)) as chunks:
            await _write(kept, chunks, file, limit)
        async with kept.checking:  # one at a time, since decoding takes memory
            picture = await kept.aside(_take, kept, file)
    found = {"file": f"{UPLOAD}{picture.path.name}", **picture.to_json()}
    return answer(UploadOut.model_validate(found), status=201)


ROUTES = (Route("POST", "/api/uploads", post_upload, UploadOut, status=201),)


async def _content(request: web.Request) -> AsyncGenerator[bytes]:
    """The bytes of the file, as they come."""
    if request.content_type == _FORM:
        part = await (await request.multipart()).next()
        if not isinstance(part, BodyPartReader):
            raise WorkflowError([Problem("request-invalid", "The form holds no file.", "Send one file in it.")])
        while chunk := await part.read_chunk(_CHUNK_BYTES):
            yield chunk
    elif request.content_type.startswith("image/") or request.content_type == "application/octet-stream":
        async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
            yield chunk
    else:
        message = f"The body is {request.content_type[:100]!r}, expected a picture."
        raise WorkflowError([Problem("media-type-refused", message, "Send it with `Content-Type: image/png`, say.")])


async def _write(kept: Kept, chunks: AsyncIterator[bytes], file: Path, limit: int) -> None:
    """Write what comes to a file, a part at a time. Raises WorkflowError [body-too-large], MediaError [disk-full]."""
    with await kept.aside(_create, file) as stream:
        size_bytes = 0
        while chunk := await _next(chunks):
            size_bytes += len(chunk)
            if size_bytes > limit:
                raise _too_large(limit)
            try:
                await kept.aside(stream.write, chunk)
            except OSError as error:
                raise unwritable(file.parent, error) from None


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    try:
        async with asyncio.timeout(_SILENCE_S):
            return await anext(chunks, b"")
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def _create(file: Path) -> BinaryIO:
    return file.open("xb")


def _take(kept: Kept, file: Path) -> Picture:
    """Raises MediaError, and WorkflowError [uploads-full] when others must stay that leave no room."""
    checked = file.rename(file.with_suffix(ending_of_picture(file)))
    if not kept.room_for_upload(checked.stat().st_size):
        message = "There is no room for another upload: saved workflows and runs need those that are here."
        hint = "Remove workflows that are not needed, or raise SDGRAPH_UPLOADS_BUDGET_BYTES."
        raise WorkflowError([Problem("uploads-full", message, hint)])
    return kept.uploads.take(checked)


def _too_large(limit: int) -> WorkflowError:
    message = f"The picture has more than the {limit:,} bytes that are taken."
    return WorkflowError([Problem("body-too-large", message, "Scale it down, or raise SDGRAPH_UPLOAD_LIMIT_BYTES.")])
