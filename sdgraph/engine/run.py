"""One run of a plan: the threads that perform its jobs, and what happens when a node fails or the run is cancelled."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from sdgraph.core.context import NO_CHECKPOINT, Checkpoint, running
from sdgraph.core.graph import GraphNode
from sdgraph.engine.context import CancelToken, KeptCheckpoint, NodeContext
from sdgraph.engine.cutoff import cover, make_key, output_digests
from sdgraph.engine.events import EventStream
from sdgraph.engine.flights import Flights, Turn
from sdgraph.engine.gcpause import gc_frozen, gc_paused
from sdgraph.engine.inputs import checked_outputs, input_from
from sdgraph.engine.jobs import Job, JobState, Schedule
from sdgraph.engine.lanes import Lanes
from sdgraph.engine.outcome import make_report
from sdgraph.engine.plan import Action, Plan, undecided_ports
from sdgraph.engine.remedies import with_remedies
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.base import Provenance, Result, nothing_to_release
from sdgraph.errors import NodeError, Problem, RunCancelled, SdgraphError

if TYPE_CHECKING:
    from sdgraph.engine.executor import Executor

_log = logging.getLogger("sdgraph.run")
_QUICK_S = 1e-4
"""Nodes that take less than this are not worth another thread."""
_TICK_S = 0.05
"""How often the waiting thread looks whether something that should be quick is not."""
_LOOK_S = 0.01
"""The same while jobs wait for what others compute."""
_NO_TURN = nullcontext()
WAITING = "another run or process is computing it"


class Run:
    """Executes one plan, once."""

    def __init__(self, executor: Executor, plan: Plan, events: EventStream, cancel: CancelToken) -> None:
        self._executor = executor
        self._plan = plan
        self._events = events
        self._cancel = cancel
        self._lock = threading.Lock()
        self._lanes: Lanes[Job] = Lanes(self._lock, executor.threads, self._perform, self._is_quick)
        self._schedule = Schedule(plan, executor.store, self._put, self._at_hand)
        self._flights = Flights(executor.store, executor.costs)
        self._finished = threading.Event()
        self._problems: list[Problem] = []
        self._checkpoints: dict[Job, KeptCheckpoint] = {}
        self._defect: BaseException | None = None

    def execute(self) -> RunReport:
        """Run to the end. Raises only what is a defect of the engine itself, and a second KeyboardInterrupt."""
        clock = self._executor.clock
        started = clock()
        if self._events.has_listeners:
            self._events.emit("run_started", nodes=len(self._plan.step_of), to_run=self._plan.count(Action.RUN))
        release = self._executor.store.guard(self._plan.to_read) if self._plan.takes_time else nothing_to_release
        try:
            with ExitStack() as frozen:
                self._work_and_wait(frozen)
        finally:
            release()
        if self._defect is not None:
            raise self._defect
        self._executor.store.flush()
        self._take_store_problems()
        with gc_paused():
            cover(self._plan)
            report = make_report(
                self._plan,
                self._executor.payloads,
                run_id=self._events.run_id,
                cancelled=self._cancel.cancelled,
                elapsed_s=clock() - started,
                problems=(*self._problems, *self._events.problems),
                resources=self._events.resources,
            )
        if self._events.has_listeners:
            self._tell_of_hits(report)
        self._events.emit("run_finished", status=report.status, elapsed_s=report.elapsed_s)
        return report

    def _work_and_wait(self, frozen: ExitStack) -> None:
        threads: list[threading.Thread] = []
        try:
            with self._lock, gc_paused():
                self._schedule.start()
                frozen.enter_context(gc_frozen())  # with the jobs, before threads go on
                self._look_for_end()
            self._wait()
            threads = self._lanes_closed()
        except BaseException:  # a second Ctrl-C: do not wait for nodes that do not listen
            self._cancel.cancel()
            self._lanes_closed()
            raise
        for thread in threads:
            thread.join()

    def _lanes_closed(self) -> list[threading.Thread]:
        with self._lock:
            return self._lanes.close()

    def _wait(self) -> None:
        interrupted = False
        while True:
            try:
                if self._finished.wait(_LOOK_S if self._flights.waiting else _TICK_S):
                    return
                with self._lock:
                    self._lanes.unstick()
                self._look_elsewhere()
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                self._cancel.cancel()

    def _look_elsewhere(self) -> None:
        """Go on with jobs that waited for what others compute; when the run was cancelled, `_perform` ends them."""
        if self._cancel.cancelled:
            for job in tuple(self._flights.waiting):
                self._flights.waiting.remove(job)
                self._compute_here(job)
        else:
            self._flights.look(self._read_instead, self._compute_here)

    def _read_instead(self, job: Job, tier: str) -> None:
        with self._lock:
            self._schedule.read_instead(job, tier)

    def _compute_here(self, job: Job) -> None:
        with self._lock:
            self._put(job)

    # Called with the lock held.

    def _put(self, job: Job) -> None:
        looks = job.step.action is Action.HIT or job.step.is_open
        self._lanes.put("io" if looks else job.step.node.spec.cls.node_lane, job)

    def _at_hand(self, job: Job) -> Mapping[str, Any] | None:
        """The outputs of a hit in memory; other hits are read in the io lane."""
        result = self._executor.store.load(job.step.key) if job.step.tier == "memory" else None
        if result is None:
            return None
        self._events.emit("node_cached", job.step.node.id, store="memory")
        self._know_value(job, result.outputs, result.digests)
        return result.outputs

    def _look_for_end(self) -> None:
        if self._schedule.open == 0:
            self._finished.set()

    def _is_quick(self, job: Job) -> bool:
        known = self._executor.costs.estimate_s(job.step.node.spec.type)
        return known is not None and known < _QUICK_S

    # Called by the lanes' threads, without the lock.

    def _perform(self, job: Job) -> None:
        try:
            if self._cancel.cancelled:
                self._abandon(job, JobState.SKIPPED)
            elif job.step.is_open:
                self._settle(job)
            elif job.step.action is Action.HIT:
                self._read(job)
            else:
                self._compute(job)
        except BaseException as error:  # a defect of the engine must end the run, not hang it
            self._defect = error
            self._cancel.cancel()
            self._finished.set()

    def _abandon(self, job: Job, state: JobState) -> None:
        with self._lock:
            self._schedule.abandon(job, state)
            self._look_for_end()

    def _settle(self, job: Job) -> None:
        """Find out about an open step, whose deciders have ended: its key, and whether that is stored."""
        step = job.step
        with self._lock:
            make_key(self._plan, step)
        tier = self._executor.store.find(step.key) if step.node.spec.cls.node_cache else None
        with self._lock:
            self._schedule.settle(job, tier)
            self._look_for_end()

    def _read(self, job: Job) -> None:
        """Take a hit's result from the store; what can't be read is computed."""
        result = self._executor.store.load(job.step.key)
        if result is None:
            self._take_store_problems()
        else:
            self._events.emit("node_cached", job.step.node.id, store=job.step.tier)
            self._know_value(job, result.outputs, result.digests)
        with self._lock:
            if result is None:
                self._schedule.compute_instead(job)
            else:
                self._schedule.finish(job, result.outputs)
            self._look_for_end()

    def _compute(self, job: Job) -> None:
        release = nothing_to_release
        try:
            try:
                inputs = self._gather(job)
                if inputs is None:
                    return
                with self._device_turn(job):
                    turn, release, tier = self._flights.begin(job)
                    if turn is not Turn.OURS:
                        self._leave(job, tier)
                        return
                    outputs = self._run_node(job, inputs)
            except BaseException as error:  # a node's code may fail in any way, `sys.exit()` included
                self._stop(job, error)
                return
            self._save(job, outputs, self._know_value(job, outputs, None))
        finally:
            release()
        self._events.emit("node_finished", job.step.node.id, elapsed_s=job.elapsed_s)
        with self._lock:
            self._schedule.finish(job, outputs)
            self._look_for_end()

    def _device_turn(self, job: Job) -> AbstractContextManager[None]:
        return self._executor.device_turn(self._cancel) if job.step.node.spec.cls.node_lane == "device" else _NO_TURN

    def _leave(self, job: Job, tier: str | None) -> None:
        """Somebody else computes the job: its result is read, or waited for."""
        if tier is not None:
            self._read_instead(job, tier)
        else:
            self._events.emit("node_waiting", job.step.node.id, reason=WAITING)
            self._flights.wait(job)

    def _stop(self, job: Job, error: BaseException) -> None:
        if isinstance(error, RunCancelled) and self._cancel.cancelled:
            self._abandon(job, JobState.SKIPPED)
        else:
            self._fail(job, error)

    def _run_node(self, job: Job, inputs: dict[str, Any]) -> Mapping[str, Any]:
        node, executor = job.step.node, self._executor
        context = NodeContext(
            node.id, executor.device, executor.services, self._cancel, self._events, self._checkpoint(job)
        )
        self._events.emit("node_started", node.id)
        started = executor.clock()
        with running(context):
            outputs, exact = with_remedies(
                lambda: self._attempt(node, inputs, context), executor.recovery, inputs, context
            )
        self._require_unchanged(node)
        job.storable = exact and job.has_exact_sources()
        job.elapsed_s = executor.clock() - started
        job.ran = True
        executor.costs.learn(node.spec.type, job.elapsed_s)
        return outputs

    def _require_unchanged(self, node: GraphNode) -> None:
        """Raises NodeError [source-changed] if what a node has read is not what its key stands for any longer."""
        planned = self._plan.fingerprints.get(node.id)
        if planned is None:
            return
        source = node.spec.construct(node.values)
        found = source.fingerprint()
        if found == planned or source.fingerprint() != found:  # one that must run every time never says the same
            return
        message = f"What {node.spec.type} reads is not what it was when the run was planned."
        raise NodeError("source-changed", message, "Run the workflow again.")

    def _checkpoint(self, job: Job) -> Checkpoint:
        """Where the node can leave how far it is, if that is how far its key is."""
        folder = self._executor.store.checkpoints
        if folder is None or not job.step.node.spec.cls.node_cache or not job.has_exact_sources():
            return NO_CHECKPOINT
        every = self._executor.checkpoint_every_steps
        self._checkpoints[job] = KeptCheckpoint(folder, job.step.key, every, self._events.warn)
        return self._checkpoints[job]

    def _attempt(self, node: GraphNode, inputs: dict[str, Any], context: NodeContext) -> Mapping[str, Any]:
        metering = self._executor.metering
        if metering is None or node.spec.cls.node_lane != "device":
            return checked_outputs(node, node.spec.construct(inputs).run(context))
        with metering.measuring(node.spec.type, inputs, context):
            return checked_outputs(node, node.spec.construct(inputs).run(context))

    def _gather(self, job: Job) -> dict[str, Any] | None:
        """The node's inputs; None when branches that it asks for have to run first."""
        node = job.step.node
        values = dict(node.values)
        open_ports = undecided_ports(node)
        for port in node.links:
            if port not in open_ports:
                values[port] = self._input(job, port)
        if open_ports and job.needed is None:
            needed = frozenset(node.spec.construct(values).needed())
            with self._lock:
                self._schedule.choose(job, needed.intersection(open_ports))
                self._look_for_end()
            return None
        for port in open_ports:
            taken = port in (job.needed or ())
            values[port] = self._input(job, port) if taken else node.spec.inputs[port].default
        return values

    def _input(self, job: Job, port: str) -> Any:
        node, ref = job.step.node, job.step.node.links[port]
        outputs = self._schedule.source(job, port).outputs
        assert outputs is not None  # held since this job began to wait for it
        return input_from(node, port, ref, outputs[ref.port], self._executor.payloads)

    def _know_value(
        self, job: Job, outputs: Mapping[str, Any], remembered: Mapping[str, str] | None
    ) -> Mapping[str, str] | None:
        """The digests of a cut-off's outputs, for it and for what is keyed by them."""
        step = job.step
        if not step.cuts_off:
            return None
        digests = remembered
        if digests is None:
            try:
                digests = output_digests(outputs, self._executor.payloads)
            except Exception as error:  # a pack's codec; what reads it is keyed by recipe
                self._codec_failed(job, error)
                digests = {}
        if step.digests is None:
            step.digests = digests
        return digests

    def _save(self, job: Job, outputs: Mapping[str, Any], digests: Mapping[str, str] | None) -> None:
        cls, spec = job.step.node.spec.cls, job.step.node.spec
        if not (cls.node_cache and job.storable):
            return
        result = Result(outputs, job.elapsed_s, spec.type, spec.version, self._provenance(job), digests)
        try:
            self._executor.store.save(
                job.step.key, result, keep=job.step.target or cls.node_keep or digests is not None
            )
        except Exception as error:  # a pack's `size_bytes` or codec; the result itself is good
            self._codec_failed(job, error)
        checkpoint = self._checkpoints.pop(job, None)
        if checkpoint is not None and checkpoint.used:
            self._executor.store.when_saved(checkpoint.drop)

    def _codec_failed(self, job: Job, error: Exception) -> None:
        spec = job.step.node.spec
        _log.error("the result of %s could not be stored", spec.type, exc_info=error)
        message = f"The result was not stored: {type(error).__name__}: {error}."
        hint = f"This is a defect of the node's pack {spec.pack!r}; tell its author."
        self._warn(Problem("result-not-stored", message, hint, job.step.node.id, severity="warning"))

    def _provenance(self, job: Job) -> Provenance:
        keys = self._plan.step_of
        sources = [(port, keys[ref.node].key, ref.port) for port, ref in job.step.node.links.items()]
        return Provenance(self._executor.maker, time.time(), tuple(sources))

    def _fail(self, job: Job, error: BaseException) -> None:
        node = job.step.node
        if isinstance(error, SdgraphError):
            problem = error.at(node.id)
        else:
            said = f"{type(error).__name__}: {error}".rstrip(": ")
            problem = Problem("node-failed", f"{node.spec.type} failed: {said}.", node=node.id)
        _log.debug("node %s failed", node.id, exc_info=error)
        self._problems.append(problem)
        self._events.emit("node_failed", node.id, problem=problem.to_json())
        self._abandon(job, JobState.FAILED)

    def _warn(self, problem: Problem) -> None:
        self._problems.append(problem)
        self._events.emit("warning", problem.node, problem=problem.to_json())

    def _take_store_problems(self) -> None:
        for problem in self._executor.store.take_problems():
            self._warn(problem)

    def _tell_of_hits(self, report: RunReport) -> None:
        """Hits that nothing had to read, and nodes that are the same as another, have had no event so far."""
        for node, step in self._plan.by_node():
            told = step.node is node and step.job is not None and step.job.state is JobState.DONE
            if not told and report.nodes[node.id].status == "hit":
                self._events.emit("node_cached", node.id, store=report.nodes[node.id].store)
