"""Where this room keeps what it can make again: digests of model files, synthetic models."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def models_home() -> Path:
    """`$SDGRAPH_HOME/models`, or `models` in the user's cache folder. It may not exist yet."""
    home = os.environ.get("SDGRAPH_HOME")
    return (Path(home) if home else user_cache_path("sdgraph")) / "models"
