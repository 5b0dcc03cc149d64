"""Holds Python's cycle collector back while a great many small objects that all stay alive are made.

Each full collection walks every live object; while a large plan is being built it finds nothing, and makes the cost of
a node grow with the number of nodes.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


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
