"""Tiers: what is not in a fast store is looked for in the next, and copied up when found.

Slow stores are written by one background thread, so a run does not wait for the disk.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore, Lock

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Result, ResultStore
from sdgraph.errors import Problem

_MAX_PENDING = 64


class TieredStore:
    """A `ResultStore` made of a fast one and a slow one."""

    def __init__(self, fast: ResultStore, slow: ResultStore) -> None:
        self.fast = fast
        self.slow = slow
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sdgraph-store")
        self._room = BoundedSemaphore(_MAX_PENDING)  # a fast run waits for a slow disk rather than filling memory
        self._pending: set[Future[None]] = set()
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

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        self.fast.save(key, result, keep=keep)
        self._room.acquire()
        job = self._writer.submit(self.slow.save, key, result, keep=keep)
        with self._lock:
            self._pending.add(job)
        job.add_done_callback(self._written)

    def _written(self, job: Future[None]) -> None:
        self._room.release()
        with self._lock:
            self._pending.discard(job)

    def flush(self) -> None:
        with self._lock:
            jobs = list(self._pending)
        wait(jobs)
        for job in jobs:
            job.result()
        self.slow.flush()

    def take_problems(self) -> list[Problem]:
        return [*self.fast.take_problems(), *self.slow.take_problems()]

    def close(self) -> None:
        """Write what is pending and end the background thread."""
        self._writer.shutdown()
