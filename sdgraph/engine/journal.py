"""Remembers how each workflow last ran, so that the next plan can say what changed since."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

from sdgraph.core.graph import GraphNode
from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.reason import NodeRecord


class Journal:
    """One JSON file for each workflow name. Losing one costs an explanation, nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, workflow: str) -> dict[str, NodeRecord] | None:
        """The records of the last run by node id, or None if there was none."""
        try:
            data = json.loads(self._path(workflow).read_bytes())
            return {name: NodeRecord(**record) for name, record in data.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def write(self, workflow: str, nodes: Iterable[tuple[GraphNode, CacheKey]]) -> None:
        """Replace the records of a workflow; a folder that can't be written to is no error."""
        records = {node.id: asdict(NodeRecord.of(node, key)) for node, key in nodes}
        path = self._path(workflow)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(records), "utf-8")
            os.replace(temporary, path)

    def _path(self, workflow: str) -> Path:
        return self._folder / f"{blake2b(workflow.encode(), digest_size=12).hexdigest()}.json"
