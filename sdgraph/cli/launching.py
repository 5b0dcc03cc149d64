"""How a worker process is started. It is apart from the worker, whose parts a server need not import."""

from __future__ import annotations

import sys

from sdgraph.engine.worker.process import Launch, Limits
from sdgraph.settings import Settings


def launch(settings: Settings, device: str) -> Launch:
    """How to start a worker with these settings on a device."""
    limits = Limits(
        silence_s=settings.worker_silence_s,
        cancel_s=settings.worker_cancel_s,
        run_silence_s=settings.run_silence_s,
    )
    environment = {**settings.environment(), "SDGRAPH_DEVICE": device}
    return Launch((sys.executable, "-P", "-m", "sdgraph.cli.worker"), environment, limits)
