"""Tiers: what is not in a fast store is looked for in the next, and copied up when found.

The slow store is written by one background thread, so a run does not wait for the disk.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore, Lock

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Result, ResultStore
from sdgraph.errors import Problem

_log = logging.getLogger("sdgraph.store")
_MAX_PENDING = 64


class TieredStore:
    """A `ResultStore` made of a fast one and a slow one. It closes both when it is closed."""

    def __init__(self, fast: ResultStore, slow: ResultStore) -> None:
        self.fast = fast
        self.slow = slow
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sdgraph-store")
        self._room = BoundedSemaphore(_MAX_PENDING)  # a fast run waits for a slow disk rather than filling memory
        self._pending: set[Future[None]] = set()
        self._problems: list[Problem] = []
        self._lock = Lock()

    def find(self, key: CacheKey) -> str | None:
        return self.fast.find(key) or self.slow.find(key)

    def load(self, key: CacheKey) -> Result | None:
        found = self.fast.load(key)
        if found is None:
            found = self.slow.load(key)
            if found is not None:
                self.fast.save(key, found)
        return found

    def wants(self, result: Result, *, keep: bool = False) -> bool:
        return True

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        self.fast.save(key, result, keep=keep)
        if not self.slow.wants(result, keep=keep):
            return
        self._room.acquire()
        job = self._writer.submit(self._write, key, result, keep)
        with self._lock:
            self._pending.add(job)
        job.add_done_callback(self._written)

    def _write(self, key: CacheKey, result: Result, keep: bool) -> None:
        try:
            self.slow.save(key, result, keep=keep)
        except Exception as error:  # nobody looks at this thread's exceptions
            _log.error("a result of %s could not be stored", result.node_type, exc_info=error)
            message = f"A result of {result.node_type} was not stored: {type(error).__name__}: {error}."
            hint = "It is kept in memory until the program ends."
            with self._lock:
                self._problems.append(Problem("result-not-stored", message, hint, severity="warning"))

    def _written(self, job: Future[None]) -> None:
        self._room.release()
        with self._lock:
            self._pending.discard(job)

    def flush(self) -> None:
        with self._lock:
            jobs = list(self._pending)
        wait(jobs)
        self.slow.flush()

    def take_problems(self) -> list[Problem]:
        with self._lock:
            taken, self._problems = self._problems, []
        return [*taken, *self.fast.take_problems(), *self.slow.take_problems()]

    def close(self) -> None:
        """Write what is pending and end the background thread."""
        self._writer.shutdown()
        self.fast.close()
        self.slow.close()
