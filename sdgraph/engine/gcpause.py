"""Holds Python's cycle collector back where it would make the cost of a node grow with the number of nodes.

A full collection walks every live object. While a large plan is made, all objects stay alive, so it would find nothing
(`gc_paused`). While it runs, nodes may make garbage that has to be found, but the plan need not be walked each time
(`gc_frozen`).
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

_lock = threading.Lock()
_frozen_runs = 0


@contextmanager
def gc_paused() -> Generator[None]:
    """No automatic collection inside; nothing changes if it was off already."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def gc_frozen() -> Generator[None]:
    """Collections inside leave out what was alive before; until all runs have ended when several overlap.

    Does nothing in a process that froze objects itself, because thawing would thaw those too.
    """
    global _frozen_runs
    with _lock:
        mine = _frozen_runs > 0 or gc.get_freeze_count() == 0
        if mine:
            _frozen_runs += 1
            if _frozen_runs == 1:
                gc.freeze()
    try:
        yield
    finally:
        if mine:
            with _lock:
                _frozen_runs -= 1
                if _frozen_runs == 0:
                    gc.unfreeze()
