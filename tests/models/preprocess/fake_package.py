"""A package with the interface of controlnet-aux, for machines without it. Its detectors are simple arithmetic."""

from __future__ import annotations

import sys
import types
import warnings
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest


class FakeDetector:
    """Inverts a picture, at half its size, in grey; prints and warns as the real ones do."""

    calls: list[dict[str, Any]] = []

    @classmethod
    def from_pretrained(cls, folder: str) -> FakeDetector:
        print("Loading")
        warnings.warn("deprecated", FutureWarning, stacklevel=1)
        if any(path.read_bytes() == b"broken" for path in Path(folder).iterdir()):
            raise RuntimeError("Error(s) in loading state_dict")
        return cls()

    def to(self, device: str) -> FakeDetector:
        return self

    def __call__(self, picture: np.ndarray, **options: Any) -> np.ndarray:
        self.calls.append(options)
        return 255 - picture[::2, ::2, 0]


def install(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> type[FakeDetector]:
    """Put the package into `sys.modules` for one test."""
    package = types.ModuleType("controlnet_aux")
    package.__spec__ = ModuleSpec("controlnet_aux", None)
    for name in names:
        setattr(package, name, FakeDetector)
    monkeypatch.setitem(sys.modules, "controlnet_aux", package)
    monkeypatch.setattr(FakeDetector, "calls", [])
    return FakeDetector
