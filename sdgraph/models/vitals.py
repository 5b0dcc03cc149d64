"""What a process that runs models takes: read often, so nothing is imported or started for it."""

from __future__ import annotations

import sys
from typing import Any

from sdgraph.models.pool import ModelPool

_MAX_MODELS = 100


def vitals(pool: ModelPool | None) -> dict[str, Any]:
    """The models in the pool and their bytes, models loaded so far, and memory by device where a device says so."""
    found: dict[str, Any] = {"device_bytes": _device_bytes()}
    if pool is not None:
        models = [
            {"name": held.model, "device": held.device, "bytes": held.bytes, "in_use": held.users > 0}
            for held in pool.residents()[:_MAX_MODELS]
        ]
        found |= {"models_bytes": pool.held_bytes, "models_loaded": pool.load_count, "models": models}
    return found


def _device_bytes() -> dict[str, int]:
    """Memory that this process holds on each CUDA device; empty as long as it uses none."""
    torch: Any = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # torch may be half imported on another thread
    if cuda is None or not getattr(cuda, "is_initialized", bool)():
        return {}
    return {f"cuda:{index}": cuda.memory_reserved(index) for index in range(cuda.device_count())}
