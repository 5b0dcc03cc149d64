"""How far the loading of large weights is, told to the run that waits for them; a cancelled run waits no longer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sdgraph.core.context import current_context

LARGE_BYTES = 256 * 2**20
"""Weights below this are there in a moment: nothing is told of them before they are."""
_REPORTS = 50
_PIECE_BYTES = 16 * 2**20


class LoadProgress:
    """Counts bytes of one model's weights. Tells the run of the node that called, at most fifty times."""

    def __init__(self, model: str, total_bytes: int) -> None:
        self._model = model
        self._total = total_bytes
        self._done = 0
        self._told = 0
        self._context = current_context() if total_bytes >= LARGE_BYTES else None

    @property
    def is_heard(self) -> bool:
        """Whether there is a run to tell, and enough to tell of."""
        return self._context is not None

    def advance(self, more_bytes: int) -> None:
        """So many bytes more were read. Raises RunCancelled when the run was cancelled."""
        self._done += more_bytes
        if self._context is None:
            return
        self._context.check_cancelled()
        if self._done >= self._total or self._done - self._told >= self._total / _REPORTS:
            self._told = self._done
            said = {"model": self._model, "done_bytes": self._done, "total_bytes": self._total}
            self._context.tell("model", keep=False, what="loading", **said)


def read_ahead(files: Sequence[Path], model: str) -> None:
    """Read large files once from front to back, so that a reader that maps them finds them in memory.

    The libraries that read whole models tell nothing meanwhile and can't be stopped; what takes its time is the disk,
    and this is where it is waited for. Raises RunCancelled.
    """
    progress = LoadProgress(model, sum(file.stat().st_size for file in files))
    if not progress.is_heard:
        return
    piece = memoryview(bytearray(_PIECE_BYTES))
    for path in files:
        with path.open("rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while count := file.readinto(piece):
                progress.advance(count)
