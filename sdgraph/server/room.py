"""Room on the disk: each folder that the server fills has a budget, and what was used the longest ago goes first.

A file's access time says when it was used: the server sets it, since file systems are told not to. What a run that
waits or is performed, a saved workflow or a pinned run needs stays, and so does what was used a moment ago, because
the run that it belongs to may not be written down yet.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger("sdgraph.server")
RECENT_S = 600.0
"""What was used so lately stays."""
_LEAVE = 0.9
"""What a sweep leaves of a budget, so that not every file that comes makes another one go."""
_INCOMING = "incoming"


@dataclass(frozen=True, slots=True)
class Budget:
    """A folder and what it may hold."""

    folder: Path
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep came to."""

    held_bytes: int
    """What the folder holds after it."""
    removed: int


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size_bytes: int
    used_s: float


class Janitor:
    """Sees to the budgets of a server's folders. Threads may share it; one at a time sweeps."""

    def __init__(
        self,
        uploads: Budget,
        others: Sequence[Budget],
        needed: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`needed` gives the digests of the files that must stay. `clock` gives seconds since 1970."""
        self._uploads = uploads
        self._others = tuple(others)
        self._needed = needed
        self._clock = clock
        self._lock = threading.Lock()
        self._uploads_bytes: int | None = None

    def sweep(self) -> None:
        """Bring every folder to its budget, as far as what must stay allows."""
        with self._lock:
            self._uploads_bytes = self._swept(self._uploads, 0).held_bytes
            for budget in self._others:
                held = self._swept(budget, 0).held_bytes
                if held > budget.limit_bytes:
                    _log.warning("%s holds %d bytes, %d are meant", budget.folder, held, budget.limit_bytes)

    def room_for_upload(self, more_bytes: int) -> bool:
        """Make room for an upload, and count it; False when what must stay leaves none."""
        with self._lock:
            limit = self._uploads.limit_bytes
            if self._uploads_bytes is None or self._uploads_bytes + more_bytes > limit:
                self._uploads_bytes = self._swept(self._uploads, more_bytes).held_bytes
            if self._uploads_bytes + more_bytes > limit:
                return False
            self._uploads_bytes += more_bytes
            return True

    def _swept(self, budget: Budget, more_bytes: int) -> Swept:
        files = sorted(_files(budget.folder), key=lambda file: file.used_s)
        held_bytes, removed = sum(file.size_bytes for file in files), 0
        if held_bytes + more_bytes <= budget.limit_bytes:
            return Swept(held_bytes, removed)
        needed = self._needed()
        for file in files:
            if held_bytes + more_bytes <= budget.limit_bytes * _LEAVE:
                break
            if file.path.stem not in needed and self._remove(file.path):
                held_bytes, removed = held_bytes - file.size_bytes, removed + 1
        if removed:
            _log.info("removed %d files from %s", removed, budget.folder)
        return Swept(held_bytes, removed)

    def _remove(self, path: Path) -> bool:
        """Remove a file unless somebody has just used it."""
        with suppress(OSError):
            if _used_s(path.stat()) < self._clock() - RECENT_S:
                path.unlink()
                return True
        return False


def touch(path: Path) -> bool:
    """Note that a file is used; False when it is gone. Its content's time stays, which caches go by."""
    try:
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    except OSError:
        return path.exists()  # on a disk that can't be written to nothing is removed either
    return True


def _files(folder: Path) -> Iterator[_File]:
    """The files below a folder; links and what is still coming are left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != _INCOMING]
        for name in names:
            path = Path(place, name)
            with suppress(OSError):
                status = path.lstat()
                if path.is_file() and not path.is_symlink():
                    yield _File(path, status.st_size, _used_s(status))


def _used_s(status: os.stat_result) -> float:
    return max(status.st_atime, status.st_mtime)
