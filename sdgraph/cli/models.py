"""The model pool that the settings ask for."""

from __future__ import annotations

from sdgraph.models.device import resolve_device
from sdgraph.models.pool import ModelPool
from sdgraph.models.residents import OTHER_DEVICES
from sdgraph.settings import Settings


def make_pool(settings: Settings) -> ModelPool:
    """A pool without models yet. Raises ModelError [device-missing] for a text device that is not there."""
    return ModelPool(
        model_budgets(settings),
        text_device=settings.text_device and resolve_device(settings.text_device),
        attention=settings.attention,
        offload=settings.models_offload,
        free_immediately=settings.free_immediately,
        pinned=[part.strip() for part in settings.pinned_models.split(",") if part.strip()],
    )


def model_budgets(settings: Settings) -> dict[str, int]:
    """Bytes that models may take, by device; without an entry there is no limit."""
    device, cpu = settings.models_budget_bytes, settings.models_cpu_budget_bytes
    found = {OTHER_DEVICES: device, "cpu": device if cpu is None else cpu}
    return {place: int(budget) for place, budget in found.items() if budget is not None}
