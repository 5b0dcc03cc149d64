"""Models as the settings ask for them: the pool, and what is expected of a device's memory."""

from __future__ import annotations

from sdgraph.engine.plan import Action, Plan
from sdgraph.models.device import resolve_device
from sdgraph.models.memory.needs import Need, needs_of
from sdgraph.models.memory.peaks import PeakTable
from sdgraph.models.memory.predict import Prediction, predict
from sdgraph.models.pool import ModelPool
from sdgraph.models.residents import OTHER_DEVICES
from sdgraph.settings import Settings


def make_pool(settings: Settings) -> ModelPool:
    """A pool without models yet. Raises ModelError [device-missing] for a text device that is not there."""
    return ModelPool(
        model_budgets(settings),
        text_device=settings.text_device and resolve_device(settings.text_device),
        attention=settings.attention,
        compile=settings.compile,
        offload=settings.models_offload,
        free_immediately=settings.free_immediately,
        pinned=[part.strip() for part in settings.pinned_models.split(",") if part.strip()],
    )


def model_budgets(settings: Settings) -> dict[str, int]:
    """Bytes that models may take, by device; without an entry there is no limit."""
    device, cpu = settings.models_budget_bytes, settings.models_cpu_budget_bytes
    found = {OTHER_DEVICES: device, "cpu": device if cpu is None else cpu}
    return {place: int(budget) for place, budget in found.items() if budget is not None}


def open_peaks(settings: Settings) -> PeakTable:
    """The table of measured memory, which lies beside the results."""
    folder = settings.results_folder
    return PeakTable(folder / "memory.json" if folder else None)


def needs_of_plan(plan: Plan) -> tuple[Need, ...]:
    """The models of the nodes that a run of this plan will certainly compute."""
    return needs_of(plan.graph, {name for name, step in plan.step_of.items() if step.action is Action.RUN})


def expect(plan: Plan, settings: Settings) -> Prediction:
    """The memory that a run is expected to take, without asking the device for anything."""
    table = open_peaks(settings)
    device = likely_device(settings, table)
    budgets = model_budgets(settings)
    limit = settings.device_memory_bytes
    return predict(
        needs_of_plan(plan),
        table,
        device,
        available_bytes=table.devices.get(device) if limit is None else int(limit),
        budget_bytes=0 if settings.free_immediately else budgets.get(device, budgets.get(OTHER_DEVICES)),
        text_device=settings.text_device,
    )


def likely_device(settings: Settings, table: PeakTable) -> str:
    """The device that a run will use, as far as it can be told without torch: of "auto" the one that ran last."""
    if settings.device == "auto":
        return ["auto", *table.devices][-1]
    return "cuda:0" if settings.device == "cuda" else settings.device
