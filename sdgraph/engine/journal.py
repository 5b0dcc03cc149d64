"""Remembers how each workflow last ran, so that the next plan can say what changed since."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from sdgraph.engine.record import NodeRecord


class Journal:
    """One JSON file for each workflow name. Losing one costs an explanation, nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, workflow: str) -> dict[str, NodeRecord] | None:
        """The records of the last run by node id, or None if there was none (or they were damaged)."""
        try:
            data = json.loads(self._path(workflow).read_bytes())
            return {name: NodeRecord.from_json(record) for name, record in data.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return None

    def write(self, workflow: str, nodes: Iterable[tuple[str, NodeRecord]]) -> None:
        """Replace the records of a workflow; a folder that can't be written to is no error."""
        records = {name: record.to_json() for name, record in nodes}
        path = self._path(workflow)
        temporary = path.with_suffix(f".{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(records), "utf-8")
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _path(self, workflow: str) -> Path:
        return self._folder / f"{blake2b(workflow.encode(), digest_size=12).hexdigest()}.json"
