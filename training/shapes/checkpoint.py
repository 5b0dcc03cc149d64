"""Checkpoints of a training stage: written atomically, so that an interrupted training resumes where it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` beside `path` and move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state saved at `path`, or None where the stage has not begun."""
    if not path.exists():
        return None
    return torch.load(path, map_location="cpu", weights_only=True)


def require_checkpoint(path: Path) -> dict[str, Any]:
    """The state saved at `path` by an earlier stage."""
    state = load_checkpoint(path)
    if state is None:
        raise FileNotFoundError(f"The stage `{path.stem}` has left no checkpoint at {path}. Run it first.")
    return state
