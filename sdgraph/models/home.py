"""Where this room keeps what it can make again: digests of model files, synthetic models."""

from __future__ import annotations

from pathlib import Path

from sdgraph.payloads.places import home_folder


def models_home() -> Path:
    """`$SDGRAPH_HOME/models`, or `models` in the user's cache folder. It may not exist yet."""
    return home_folder() / "models"
