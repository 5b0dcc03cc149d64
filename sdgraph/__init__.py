"""sdgraph: workflow node graphs for Stable Diffusion, with a cache that reruns only what changed."""

from __future__ import annotations

__version__ = "0.1.0"
