"""Keeping a disk store small: removing what is least worth keeping, and files that nothing names."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

from sdgraph.engine.stores.index import Index
from sdgraph.engine.stores.objects import ObjectFiles

_STRAY_AGE_S = 3600.0
"""Younger files may belong to a run that is writing now."""


def collect(index: Index, objects: ObjectFiles, budget_bytes: int) -> tuple[int, int]:
    """Remove entries until the objects fit the budget; returns entries removed and bytes freed."""
    rows = list(index.rows())
    readers: dict[str, int] = {}
    for row in rows:
        for digest in objects_of(row.manifest):
            readers[digest] = readers.get(digest, 0) + 1
    freed = _remove_strays(objects, readers)
    sizes = {digest: size_bytes(path) for digest, path in objects.all() if digest}
    total = sum(sizes.values())
    removed = 0
    for row in rows:
        if total <= budget_bytes:
            break
        index.remove(row.key)
        removed += 1
        for digest in objects_of(row.manifest):
            readers[digest] -= 1
            if readers[digest] == 0:
                objects.remove(digest)
                total -= sizes.get(digest, 0)
                freed += sizes.get(digest, 0)
    return removed, freed


def objects_of(manifest: bytes) -> set[str]:
    """Digests of the objects that a manifest names."""
    try:
        return {part["object"] for part in json.loads(manifest)["outputs"].values() if "object" in part}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()  # a damaged row names nothing; reading it will report it


def size_bytes(path: Path) -> int:
    """The size of a file; 0 if another process has removed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove_strays(objects: ObjectFiles, readers: dict[str, int]) -> int:
    freed = 0
    before = time.time() - _STRAY_AGE_S
    for digest, path in objects.all():
        with suppress(FileNotFoundError):
            status = path.stat()
            if digest not in readers and status.st_mtime < before:
                path.unlink()
                freed += status.st_size
    return freed
