"""What runs share in one process: node types, stores, models, and how a finished run is remembered and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sdgraph import __version__
from sdgraph.cli.loading import Loaded
from sdgraph.cli.memory import peak_memory_bytes
from sdgraph.cli.models import make_pool, open_peaks
from sdgraph.cli.stores import Shelf
from sdgraph.core.inline import self_contained
from sdgraph.core.metering import Metering
from sdgraph.core.recovery import Recovery
from sdgraph.core.registry import Registry
from sdgraph.core.screening import Screen
from sdgraph.engine.context import CancelToken, Services
from sdgraph.engine.deliver import Delivered, deliver, picture_texts
from sdgraph.engine.events import Listener
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import Action, Plan, make_plan
from sdgraph.engine.record import records_of
from sdgraph.engine.report import RunReport, RunStatus
from sdgraph.models.device import resolve_device
from sdgraph.models.memory.meter import MemoryMeter
from sdgraph.models.memory.recovery import MemoryRecovery
from sdgraph.models.pool import ModelPool
from sdgraph.models.screening import SafetyScreen
from sdgraph.settings import Settings


class Workshop:
    """Plans and runs workflows. Models that a run loaded are there for the next one."""

    def __init__(self, settings: Settings, registry: Registry, shelf: Shelf) -> None:
        self.settings = settings
        self.registry = registry
        self.shelf = shelf
        factories: dict[type, Callable[[], object]] = dict(registry.services)
        factories[ModelPool] = self._make_pool
        factories[Recovery] = lambda: MemoryRecovery(settings.memory_remedies)
        factories[Metering] = lambda: MemoryMeter(open_peaks(settings))
        self.services = Services(factories)
        self.screen = self._make_screen()
        self._executors: dict[str, Executor] = {}

    def plan(self, loaded: Loaded, outputs: Sequence[str] | None = None) -> Plan:
        """What a run would do. Raises WorkflowError."""
        before = self.shelf.journal.read(loaded.name) if self.shelf.journal else None
        return make_plan(loaded.graph, self.shelf.store, outputs=outputs, before=before)

    def run(
        self,
        loaded: Loaded,
        plan: Plan,
        *,
        listeners: tuple[Listener, ...] = (),
        cancel: CancelToken | None = None,
        run_id: str | None = None,
    ) -> RunReport:
        """Run a plan and remember how it went."""
        report = self._executor(plan).run(plan, listeners=listeners, cancel=cancel, run_id=run_id)
        if self.shelf.journal:
            self.shelf.journal.write(loaded.name, records_of(plan, report, self.shelf.lasting))
        return report

    def deliver(self, loaded: Loaded, plan: Plan, report: RunReport, folder: Path) -> Delivered:
        """Write a run's files into `folder`."""
        whole = self_contained(loaded.document, loaded.folder)
        texts = picture_texts(whole, loaded.inputs, loaded.graph, self.registry, __version__)
        return deliver(plan, report, self._executor(plan).payloads, folder, texts, self.screen)

    def _executor(self, plan: Plan) -> Executor:
        # Finding the best device needs torch, which a run that computes nothing must not load.
        device = resolve_device(self.settings.device) if _will_compute(plan) else "cpu"
        if device not in self._executors:
            threads = self.settings.cpu_threads
            self._executors[device] = Executor(
                self.registry,
                self.shelf.store,
                device=device,
                threads={"cpu": threads} if threads else None,
                services=self.services,
                checkpoint_every_steps=self.settings.checkpoint_every_steps,
            )
        return self._executors[device]

    def _make_screen(self) -> Screen | None:
        source = self.settings.safety_checker
        return SafetyScreen(source, lambda: self.services.get(ModelPool)) if source else None

    def _make_pool(self) -> ModelPool:
        return make_pool(self.settings)


def status_of(report: RunReport, delivered: Delivered) -> RunStatus:
    """What the run came to when files that could not be written count as failures."""
    failed = any(problem.severity == "error" for problem in delivered.problems)
    if not failed or report.status in ("failed", "cancelled"):
        return report.status
    return "partial" if delivered.files or any(delivered.outputs.values()) else "failed"


def report_json(
    loaded: Loaded, report: RunReport, delivered: Delivered, outputs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The object of `sdgraph run --json`; `outputs` stands in for the paths that were delivered."""
    problems = (*loaded.warnings, *report.problems, *delivered.problems)
    return {
        "run_id": report.run_id,
        "status": status_of(report, delivered),
        "outputs": dict(delivered.outputs if outputs is None else outputs),
        "nodes": {name: node.to_json() for name, node in report.nodes.items()},
        "elapsed_s": round(report.elapsed_s, 6),
        "peak_memory_bytes": peak_memory_bytes(),
        "resources": [dict(entry) for entry in (*report.resources, *(row.to_json() for row in delivered.hidden))],
        "problems": [problem.to_json() for problem in problems],
    }


def _will_compute(plan: Plan) -> bool:
    return any(
        step.action in (Action.RUN, Action.MAYBE) and step.node.spec.cls.node_lane == "device"
        for step in plan.steps.values()
    )
