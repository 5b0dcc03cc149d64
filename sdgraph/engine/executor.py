"""Runs a plan: ready steps go to their lane, results to the store, and a failure stops only what depends on it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from sdgraph.core.metering import Metering
from sdgraph.core.node import Lane
from sdgraph.core.recovery import Recovery
from sdgraph.core.registry import Registry
from sdgraph.engine.context import CancelToken, Services
from sdgraph.engine.costs import NodeCosts
from sdgraph.engine.events import EventStream, Listener
from sdgraph.engine.lanes import default_threads
from sdgraph.engine.plan import Plan
from sdgraph.engine.report import RunReport
from sdgraph.engine.run import Run
from sdgraph.engine.stores.base import Maker, Payloads, ResultStore
from sdgraph.engine.stores.owner import machine_id
from sdgraph.errors import RunCancelled, SettingsError
from sdgraph.version import VERSION

_TURN_CHECK_S = 0.1
"""How often a node that waits for the device looks whether its run was cancelled."""


class Executor:
    """Runs plans against one store, on one device. It may be used for many runs, one after the other or at once."""

    def __init__(
        self,
        registry: Registry,
        store: ResultStore,
        *,
        device: str = "cpu",
        threads: Mapping[Lane, int] | None = None,
        services: Services | None = None,
        clock: Callable[[], float] = time.perf_counter,
        checkpoint_every_steps: int = 0,
    ) -> None:
        """Nodes of many steps write down how far they are after every `checkpoint_every_steps` steps; 0: never.

        Raises SettingsError when a lane is given no thread.
        """
        self.store = store
        self.device = device
        self.services = services or Services(registry.services)
        self.payloads = Payloads(registry.port_types)
        self.threads: dict[Lane, int] = {**default_threads(), **(threads or {})}
        if min(self.threads.values()) < 1:
            raise SettingsError("threads-invalid", f"Every lane needs a thread; asked for {dict(self.threads)}.")
        self.clock = clock
        self.checkpoint_every_steps = checkpoint_every_steps
        self.recovery = self.services.find(Recovery)
        self.metering = self.services.find(Metering)
        self.maker = Maker(f"sdgraph {VERSION}", machine_id(), device)
        self.costs = NodeCosts()
        self._device_lock = threading.Lock()

    @contextmanager
    def device_turn(self, cancel: CancelToken) -> Generator[None]:
        """The device for this thread alone, whatever the number of runs. Raises RunCancelled while waiting for it."""
        while not self._device_lock.acquire(timeout=_TURN_CHECK_S):
            if cancel.cancelled:
                raise RunCancelled
        try:
            yield
        finally:
            self._device_lock.release()

    def run(
        self,
        plan: Plan,
        *,
        listeners: tuple[Listener, ...] = (),
        cancel: CancelToken | None = None,
        run_id: str | None = None,
    ) -> RunReport:
        """Run a plan to its end and report. Errors of nodes are in the report, not raised.

        A KeyboardInterrupt cancels the run: nodes stop at their next check, and what had finished is kept.
        """
        events = EventStream(run_id or uuid.uuid4().hex[:12], listeners)
        run = Run(self, plan, events, cancel or CancelToken())
        return run.execute()
