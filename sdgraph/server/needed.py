"""Which files must stay: what runs that are not done, pinned runs and saved workflows name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Text, cast, or_, select

from sdgraph.payloads.places import UPLOAD
from sdgraph.server.runs.database import reading
from sdgraph.server.runs.tables import RUN_PINS, RUNS

_UPLOADS = re.compile(rf"{UPLOAD}([0-9a-f]{{64}})\.")
_DIGESTS = re.compile(r'"digest": ?"([0-9a-f]{64})"')


def uploads_in(document: Mapping[str, Any], inputs: Mapping[str, Any] | None = None) -> set[str]:
    """The digests of the uploads that a workflow names."""
    return set(_UPLOADS.findall(json.dumps([document, inputs])))


def needed_digests(engine: Engine, workflows: Path) -> set[str]:
    """The digests of all files that must stay. `workflows` is the folder of the saved ones."""
    return {digest for text in _texts(engine, workflows) for digest in _UPLOADS.findall(text)} | _pinned(engine)


def _texts(engine: Engine, workflows: Path) -> Iterator[str]:
    """Where uploads are named."""
    pinned = RUNS.c.run_id.in_(select(RUN_PINS.c.run_id))
    open_ = RUNS.c.status.in_(("queued", "running"))
    chosen = select(cast(RUNS.c.document, Text), cast(RUNS.c.inputs, Text)).where(or_(open_, pinned))
    with reading(engine) as connection:
        for document, inputs in connection.execute(chosen):
            yield document
            yield inputs
    for file in workflows.glob("*.json"):
        try:
            yield file.read_text(errors="replace")
        except OSError:  # it was removed meanwhile
            continue


def _pinned(engine: Engine) -> set[str]:
    """The pictures that pinned runs gave."""
    chosen = select(cast(RUNS.c.report, Text)).where(RUNS.c.run_id.in_(select(RUN_PINS.c.run_id)))
    with reading(engine) as connection:
        return {digest for (text,) in connection.execute(chosen) if text for digest in _DIGESTS.findall(text)}
