"""Keeping a disk store small: removing what is least worth keeping, and files that nothing names."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from sdgraph.engine.stores.index import Index, IndexRow
from sdgraph.engine.stores.objects import ObjectFiles, remove_unless_newer

_STRAY_AGE_S = 3600.0
"""Younger files may belong to a run that is writing now."""


def collect(
    index: Index, objects: ObjectFiles, budget_bytes: int, may_go: Callable[[IndexRow], bool] = lambda row: True
) -> tuple[int, int]:
    """Remove entries that may go until the objects fit the budget; returns entries removed and bytes freed.

    Those least worth keeping go first: least recompute cost per byte, then longest unused. Whoever saves a result marks
    its objects as wanted and adds its row while nobody else writes, and so is each file removed: so either its row is
    among those read here, or its objects are younger, or whoever saves finds them gone and writes them again.
    """
    with index.alone():
        began = time.time()
        rows = list(index.rows())
    readers = _readers(rows)
    freed = _remove_strays(index, objects, readers)
    sizes = {digest: size_bytes(path) for digest, path in objects.all() if digest}
    total, removed = sum(sizes.values()), 0
    for row in rows:
        if total <= budget_bytes:
            break
        if not may_go(row) or not index.remove_unused(row):
            continue
        removed += 1
        for digest in objects_of(row.manifest):
            readers[digest] -= 1
            if readers[digest] == 0 and _remove(index, objects.path(digest), began):
                nbytes = sizes.pop(digest, 0)
                total -= nbytes
                freed += nbytes
    index.set_totals(len(sizes), total)
    return removed, freed


def count_objects(objects: ObjectFiles) -> tuple[int, int]:
    """How many objects there are, and their bytes, by looking at every file."""
    sizes = [size_bytes(path) for digest, path in objects.all() if digest]
    return len(sizes), sum(sizes)


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


def _readers(rows: list[IndexRow]) -> dict[str, int]:
    """How many entries name each object."""
    readers: dict[str, int] = {}
    for digest in _named(rows):
        readers[digest] = readers.get(digest, 0) + 1
    return readers


def _named(rows: list[IndexRow]) -> Iterator[str]:
    for row in rows:
        yield from objects_of(row.manifest)


def _remove_strays(index: Index, objects: ObjectFiles, readers: dict[str, int]) -> int:
    freed = 0
    before = time.time() - _STRAY_AGE_S
    for digest, path in objects.all():
        with suppress(FileNotFoundError):
            status = path.stat()
            if digest not in readers and status.st_mtime < before and _remove(index, path, before):
                freed += status.st_size
    return freed


def _remove(index: Index, path: Path, unless_newer_than: float) -> bool:
    with index.alone():
        return remove_unless_newer(path, unless_newer_than)
