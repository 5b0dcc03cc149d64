"""`/api/previews`: what nodes gave, in small. Workers look at stored results beside their runs; no node is run for it.

A result is found by its key, which says how it was made. So what is said of a key stays right, and is kept on the disk.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from sdgraph.errors import Problem, WorkerDied, WorkflowError
from sdgraph.payloads.picture_files import write_atomically
from sdgraph.server.kept import KEPT, Kept
from sdgraph.server.preview_schemas import NodePreview
from sdgraph.server.routing import Route, answer
from sdgraph.server.state import STATE, ServerState

_KEY = re.compile(r"[0-9a-f]{64}")
_FORM = "1"
"""Changes with every change of what workers say of a result."""


async def get_preview(request: web.Request) -> web.Response:
    """Say what a node gave, by the key of its result: thumbnails, and a few words. Runs, events and plans tell keys."""
    state, kept, key = request.app[STATE], request.app[KEPT], request.match_info["key"]
    if not _KEY.fullmatch(key):
        raise _unknown(key)
    async with kept.looking.setdefault(key, asyncio.Lock()):
        found = await kept.aside(_read, kept, key)
        if found is None:
            found = NodePreview.model_validate({"key": key, "outputs": await _asked(state, key)})
            await kept.aside(write_atomically, _file(kept, key), found.model_dump_json(exclude_none=True).encode())
    return answer(found)


ROUTES = (Route("GET", "/api/previews/{key}", get_preview, NodePreview),)


async def _asked(state: ServerState, key: str) -> Mapping[str, Any]:
    """What the first worker says that has the result: others may have it in memory only."""
    silent = not state.workers
    for worker in state.workers:
        try:
            found = await worker.show(key)
        except (WorkerDied, TimeoutError):
            silent = True
            continue
        if found is not None:
            return found
    raise _away() if silent else _unknown(key)


def _read(kept: Kept, key: str) -> NodePreview | None:
    """What was said before, as long as all of its pictures are there."""
    try:
        found = NodePreview.model_validate(json.loads(_file(kept, key).read_bytes()))
    except (OSError, ValueError, ValidationError):
        return None
    pictures = [picture for output in found.outputs.values() for picture in output.pictures]
    return found if all(kept.previews.find(picture.digest) for picture in pictures) else None


def _file(kept: Kept, key: str) -> Path:
    return kept.shown / _FORM / key[:2] / f"{key}.json"


def _unknown(key: str) -> WorkflowError:
    message = f"There is no result {key[:80]!r}."
    return WorkflowError([Problem("preview-unknown", message, "It was not stored, or had to make room. Run it again.")])


def _away() -> WorkflowError:
    message = "No worker can look at the result just now."
    return WorkflowError([Problem("worker-away", message, "Ask again in some seconds.")])
