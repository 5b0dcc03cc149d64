"""Tiers: what is not in a fast store is looked for in the next, and copied up when found.

The slow store is written by one background thread, so a run does not wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Condition

from sdgraph.engine.cachekey import CacheKey
from sdgraph.engine.stores.base import Payloads, Release, Result, ResultStore, nothing_to_release
from sdgraph.errors import Problem

_log = logging.getLogger("sdgraph.store")
DEFAULT_PENDING_BYTES = 512 * 2**20
"""A run that is faster than the slow store waits for it at this many bytes, rather than filling memory."""


class TieredStore:
    """A `ResultStore` made of a fast one and a slow one. It closes both when it is closed."""

    def __init__(
        self,
        payloads: Payloads,
        fast: ResultStore,
        slow: ResultStore,
        *,
        pending_budget_bytes: int = DEFAULT_PENDING_BYTES,
    ) -> None:
        self.fast = fast
        self.slow = slow
        self.checkpoints = slow.checkpoints
        self.pending_budget_bytes = pending_budget_bytes
        self._payloads = payloads
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sdgraph-store")
        self._jobs = 0
        self._pending_bytes = 0
        self._changed = Condition()
        self._problems: list[Problem] = []

    def find(self, key: CacheKey) -> str | None:
        return self.fast.find(key) or self.slow.find(key)

    def load(self, key: CacheKey) -> Result | None:
        found = self.fast.load(key)
        if found is None:
            found = self.slow.load(key)
            if found is not None:
                self.fast.save(key, found)
        return found

    def digests(self, key: CacheKey) -> Mapping[str, str] | None:
        found = self.fast.digests(key)
        return self.slow.digests(key) if found is None else found

    def wants(self, result: Result, *, keep: bool = False) -> bool:
        return True

    def save(self, key: CacheKey, result: Result, *, keep: bool = False) -> None:
        self.fast.save(key, result, keep=keep)
        if self.slow.wants(result, keep=keep):
            self._later(lambda: self._write(key, result, keep), self._payloads.size_bytes(result))

    def claim(self, key: CacheKey, expected_s: float | None = None) -> Release | None:
        """A claim on both tiers; that on the slow one is given back when what is pending has been written."""
        fast = self.fast.claim(key, expected_s)
        if fast is None:
            return None
        slow = self.slow.claim(key, expected_s)
        if slow is None:
            fast()
            return None
        if slow is nothing_to_release:
            return fast

        def release() -> None:
            fast()
            self._later(slow, 0)

        return release

    def guard(self, keys: Iterable[CacheKey]) -> Release:
        kept = tuple(keys)
        fast = self.fast.guard(kept)
        slow = self.slow.guard([key for key in kept if self.fast.find(key) is None])

        def release() -> None:
            fast()
            slow()

        return release

    def is_claimed(self, key: CacheKey) -> bool:
        return self.fast.is_claimed(key) or self.slow.is_claimed(key)

    def _later(self, work: Callable[[], None], nbytes: int) -> None:
        """Let the background thread do something, after everything before it."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(nbytes))
            self._pending_bytes += nbytes
            self._jobs += 1
        job = self._writer.submit(work)
        job.add_done_callback(lambda _: self._done(nbytes))

    def _has_room(self, nbytes: int) -> bool:
        # One that is larger than the budget must not wait for ever.
        return nbytes == 0 or self._pending_bytes == 0 or self._pending_bytes + nbytes <= self.pending_budget_bytes

    def _done(self, nbytes: int) -> None:
        with self._changed:
            self._pending_bytes -= nbytes
            self._jobs -= 1
            self._changed.notify_all()

    def _write(self, key: CacheKey, result: Result, keep: bool) -> None:
        try:
            self.slow.save(key, result, keep=keep)
        except Exception as error:  # nobody looks at this thread's exceptions
            _log.error("a result of %s could not be stored", result.node_type, exc_info=error)
            message = f"A result of {result.node_type} was not stored: {type(error).__name__}: {error}."
            hint = "It is kept in memory until the program ends."
            with self._changed:
                self._problems.append(Problem("result-not-stored", message, hint, severity="warning"))

    def flush(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs == 0)
        self.slow.flush()

    def when_saved(self, work: Callable[[], None]) -> None:
        self._later(work, 0)

    def take_problems(self) -> list[Problem]:
        with self._changed:
            taken, self._problems = self._problems, []
        return [*taken, *self.fast.take_problems(), *self.slow.take_problems()]

    def close(self) -> None:
        """Write what is pending and end the background thread."""
        self._writer.shutdown()
        self.fast.close()
        self.slow.close()
