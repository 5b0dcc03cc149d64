"""A pool of small models on devices that need not exist: moves are recorded, not made."""

from __future__ import annotations

import weakref
from typing import Any

from torch import nn

from sdgraph.models.pool import ModelPool
from sdgraph.models.pool_events import PoolEvent
from sdgraph.payloads.handles import ControlNetHandle, ModelHandle

MODEL_BYTES = 400
GPU = "cuda:0"


def handle_of(name: str) -> ControlNetHandle:
    return ControlNetHandle(
        source=name, component="", fingerprint=name, family="sd1", conditioning_width=32, downscale=8
    )


class Yard:
    """A pool whose models are 400 bytes each, with what it loaded, moved and told."""

    def __init__(self, budgets: dict[str, int] | int | None = None, **options: Any) -> None:
        self.loaded: list[str] = []
        self.moves: list[str] = []
        self.told: list[PoolEvent] = []
        self.made: dict[str, weakref.ref[nn.Module]] = {}
        self.pool = ModelPool(budgets, self._load, move=self._move, listeners=(self.told.append,), **options)

    def _load(self, handle: ModelHandle, device: str) -> object:
        self.loaded.append(handle.source)
        model = nn.Linear(99, 1, bias=True)
        self.made[handle.source] = weakref.ref(model)
        return model

    def _move(self, model: Any, device: str) -> None:
        self.moves.append(device)

    def use(self, *names: str, device: str = GPU) -> None:
        for name in names:
            with self.pool.lease(handle_of(name), device):
                pass

    def places(self) -> dict[str, str]:
        """Where each model is."""
        return {resident.model: resident.device for resident in self.pool.residents()}

    def history(self) -> list[str]:
        return [f"{event.what} {event.model}" for event in self.told]
