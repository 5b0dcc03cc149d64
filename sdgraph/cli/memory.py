"""How much memory this process has used."""

from __future__ import annotations

import sys

from sdgraph.models.memory.process import highest_bytes


def peak_memory_bytes() -> int | None:
    """The largest resident size of this process so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else max(peak * 1024, highest_bytes())
