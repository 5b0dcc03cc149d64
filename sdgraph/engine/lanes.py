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


class Lanes(Generic[W]):
    """Runs work items on the threads of their lane, until closed. All methods need the shared lock to be held.

    Quick items (`is_quick`) are left to one thread: handing them back and forth costs more than they do.
    """

    def __init__(
        self,
        lock: threading.Lock,
        threads: Mapping[Lane, int],
        work: Callable[[W], None],
        is_quick: Callable[[W], bool],
    ) -> None:
        self._lock = lock
        self._limits = threads
        self._work = work
        self._is_quick = is_quick
        self._quick: dict[Lane, int] = dict.fromkeys(threads, 0)
        self._queues: dict[Lane, deque[W]] = {lane: deque() for lane in threads}
        self._wakers = {lane: threading.Condition(lock) for lane in threads}
        self._idle: dict[Lane, int] = dict.fromkeys(threads, 0)
        self._threads: list[threading.Thread] = []
        self._count: dict[Lane, int] = dict.fromkeys(threads, 0)
        self._closed = False
        self._here = threading.local()

    def put(self, lane: Lane, item: W) -> None:
        """Queue an item. A thread of the same lane takes it next itself, so nobody is woken for it."""
        self._queues[lane].append(item)
        if getattr(self._here, "lane", None) != lane:
            self.wake(lane)

    def wake(self, lane: Lane) -> None:
        """Get one more thread to work on the lane's items, if there are any."""
        if not self._queues[lane]:
            return
        if self._idle[lane]:
            self._wakers[lane].notify()
        elif self._count[lane] < self._limits[lane]:
            self._start(lane)

    def close(self) -> list[threading.Thread]:
        """End the threads after the items that they are at; returns them for joining without the lock."""
        self._closed = True
        for queue in self._queues.values():
            queue.clear()
        for waker in self._wakers.values():
            waker.notify_all()
        return self._threads

    def _start(self, lane: Lane) -> None:
        self._count[lane] += 1
        name = f"sdgraph-{lane}-{self._count[lane]}"
        thread = threading.Thread(target=self._serve, args=(lane,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, lane: Lane) -> None:
        queue, waker = self._queues[lane], self._wakers[lane]
        self._here.lane = lane
        quick = False
        while True:
            with self._lock:
                self._quick[lane] -= quick
                while not queue or (self._quick[lane] and self._is_quick(queue[0])):
                    if self._closed:
                        return
                    self._idle[lane] += 1
                    waker.wait()
                    self._idle[lane] -= 1
                item = queue.popleft()
                quick = self._is_quick(item)
                self._quick[lane] += quick
                if not quick:
                    self.wake(lane)
            self._work(item)
