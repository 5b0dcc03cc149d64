"""Lanes: queues of ready steps, each served by its own threads.

The device lane has one thread, because two models on one device only wait for each other; the cpu lane has one for each
core, the io lane some for waiting. Threads start when their lane first has work, and end with the run.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from sdgraph.core.node import Lane

W = TypeVar("W")


def default_threads() -> dict[Lane, int]:
    """Threads for each lane on this machine."""
    return {"device": 1, "cpu": max(os.cpu_count() or 1, 1), "io": 4}


class _Lane(Generic[W]):
    """One queue and those who serve it."""

    def __init__(self, name: Lane, limit: int, lock: threading.Lock) -> None:
        self.name = name
        self.limit = limit
        self.queue: deque[W] = deque()
        self.waker = threading.Condition(lock)
        self.threads = 0
        self.idle = 0
        self.quick: W | None = None
        """The quick item at work; while there is one, its thread is left to take the quick items behind it too."""
        self.suspect: W | None = None
        """The quick item that was at work at the last `unstick`."""


class Lanes(Generic[W]):
    """Runs work items on the threads of their lane, until closed. All methods need the shared lock to be held.

    Items expected to be quick (`is_quick`) are left to one thread: handing them back and forth costs more than they
    do. Whoever uses lanes calls `unstick` from time to time, so that an item that was expected to be quick and is not
    holds nobody up.
    """

    def __init__(
        self,
        lock: threading.Lock,
        threads: Mapping[Lane, int],
        work: Callable[[W], None],
        is_quick: Callable[[W], bool],
    ) -> None:
        self._lock = lock
        self._work = work
        self._is_quick = is_quick
        self._lanes: dict[Lane, _Lane[W]] = {name: _Lane(name, limit, lock) for name, limit in threads.items()}
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._here = threading.local()

    def put(self, name: Lane, item: W) -> None:
        """Queue an item; after `close` it is dropped. A thread of the same lane takes it next itself, so nobody is
        woken for it."""
        if self._closed:
            return
        lane = self._lanes[name]
        lane.queue.append(item)
        if getattr(self._here, "lane", None) is not lane:
            self._wake(lane)

    def unstick(self) -> None:
        """Let others work when an item has been at work since the last call that should have been quick."""
        for lane in self._lanes.values():
            if lane.quick is not None and lane.quick is lane.suspect:
                lane.quick = None
                self._wake(lane)
            lane.suspect = lane.quick

    def close(self) -> list[threading.Thread]:
        """End the threads after the items that they are at; returns them for joining without the lock."""
        self._closed = True
        for lane in self._lanes.values():
            lane.queue.clear()
            lane.waker.notify_all()
        return self._threads

    def _wake(self, lane: _Lane[W]) -> None:
        """Get one more thread to work on the lane's items, if there are any."""
        if not lane.queue:
            return
        if lane.idle:
            lane.waker.notify()
        elif lane.threads < lane.limit:
            lane.threads += 1
            name = f"sdgraph-{lane.name}-{lane.threads}"
            thread = threading.Thread(target=self._serve, args=(lane,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, lane: _Lane[W]) -> None:
        self._here.lane = lane
        item: W | None = None
        while True:
            with self._lock:
                if lane.quick is item:
                    lane.quick = None
                item = None  # whoever waits here holds on to nothing
                while not lane.queue or (lane.quick is not None and self._is_quick(lane.queue[0])):
                    if self._closed:
                        return
                    lane.idle += 1
                    lane.waker.wait()
                    lane.idle -= 1
                item = lane.queue.popleft()
                if self._is_quick(item):
                    lane.quick = item
                else:
                    self._wake(lane)
            self._work(item)
