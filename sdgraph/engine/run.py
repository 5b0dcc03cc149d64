"""One run of a plan: the state of its steps, and how they follow each other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sdgraph.core.graph import GraphNode
from sdgraph.core.spec import explain_validation
from sdgraph.engine.context import CancelToken, NodeContext
from sdgraph.engine.events import EventStream
from sdgraph.engine.gcpause import gc_paused
from sdgraph.engine.lanes import Lanes
from sdgraph.engine.plan import Action, Plan, Step, undecided_ports
from sdgraph.engine.reason import Reason
from sdgraph.engine.report import NodeReport, RunReport, RunStatus
from sdgraph.engine.stores.base import Result
from sdgraph.errors import NodeError, Problem, RunCancelled, SdgraphError

if TYPE_CHECKING:
    from sdgraph.engine.executor import Executor

_log = logging.getLogger("sdgraph.run")
_QUICK_S = 1e-4
"""Nodes that take less than this are not worth another thread."""

_DAMAGED = Reason("not-stored", "its stored result was damaged")
_CHOSEN = Reason("undecided", "a choice made during the run needed it")


class _State(Enum):
    IDLE = auto()
    WAITING = auto()
    READY = auto()
    DONE = auto()
    FAILED = auto()
    SKIPPED = auto()


class _Job:
    """A step in this run."""

    __slots__ = ("dependents", "elapsed_s", "needed", "outputs", "readers", "sources", "state", "step", "waits")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.state = _State.IDLE
        self.waits = 0
        self.sources: list[_Job] = []
        self.dependents: list[_Job] = []
        self.outputs: Mapping[str, Any] | None = None
        self.readers = 0
        """Jobs that will still read the outputs; at 0 they are let go."""
        self.needed: frozenset[str] | None = None
        """The lazy ports that the node asked for; None before it was asked."""
        self.elapsed_s = 0.0


class Run:
    """Executes one plan, once."""

    def __init__(self, executor: Executor, plan: Plan, events: EventStream, cancel: CancelToken) -> None:
        self._executor = executor
        self._plan = plan
        self._events = events
        self._cancel = cancel
        with gc_paused():
            self._jobs = {key: _Job(step) for key, step in plan.steps.items()}
        self._lock = threading.Lock()
        self._lanes: Lanes[_Job] = Lanes(self._lock, executor.threads, self._perform, self._is_quick)
        self._open = 0
        self._finished = threading.Event()
        self._problems: list[Problem] = []
        self._defect: BaseException | None = None

    def execute(self) -> RunReport:
        """Run to the end. Raises only what is a defect of the engine itself."""
        clock = self._executor.clock
        started = clock()
        self._events.emit("run_started", nodes=len(self._plan.step_of), to_run=self._plan.count(Action.RUN))
        try:
            with self._lock, gc_paused():
                for job in self._jobs.values():
                    if job.step.target:
                        job.readers += 1
                        self._demand(job)
                if self._open == 0:
                    self._finished.set()
            self._wait()
        finally:
            with self._lock:
                threads = self._lanes.close()
            for thread in threads:
                thread.join()
        if self._defect is not None:
            raise self._defect
        self._executor.store.flush()
        self._take_store_problems()
        with gc_paused():
            report = self._report(clock() - started)
        self._events.emit("run_finished", status=report.status, elapsed_s=report.elapsed_s)
        return report

    def _wait(self) -> None:
        interrupted = False
        while not self._finished.is_set():
            try:
                self._finished.wait()
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                self._cancel.cancel()

    # Called with the lock held.

    def _demand(self, wanted: _Job) -> None:
        """Get a job going, and whatever it needs that is not there."""
        pending = [wanted]
        while pending:
            job = pending.pop()
            if job.state is not _State.IDLE:
                continue
            self._open += 1
            job.state = _State.WAITING
            step = job.step
            if step.action is Action.HIT:
                if step.tier == "memory" and (result := self._executor.store.load(step.key)) is not None:
                    self._take(job, result)
                    continue
            else:
                if step.action is Action.MAYBE:
                    step.reason = _CHOSEN
                step.action = Action.RUN
                open_ports = undecided_ports(step.node)
                self._await(job, [port for port in step.node.links if port not in open_ports], pending)
            if job.waits == 0:
                self._ready(job)

    def _await(self, job: _Job, ports: list[str], pending: list[_Job]) -> None:
        """Let a job wait for what feeds these ports; sources that have to be started are added to `pending`."""
        links, step_of = job.step.node.links, self._plan.step_of
        known = {id(source) for source in job.sources}
        for port in ports:
            source = self._jobs[step_of[links[port].node].key]
            if id(source) in known:
                continue
            known.add(id(source))
            job.sources.append(source)
            source.readers += 1
            if source.state in (_State.FAILED, _State.SKIPPED):
                self._close(job, _State.SKIPPED)
                return
            if source.outputs is None:
                job.waits += 1
                source.dependents.append(job)
                if source.state is _State.DONE:  # its outputs were let go before this job asked for them
                    source.state = _State.IDLE
                    source.step.action = Action.HIT if self._executor.store.find(source.step.key) else Action.RUN
                if source.state is _State.IDLE:
                    pending.append(source)

    def _take(self, job: _Job, result: Result) -> None:
        self._events.emit("node_cached", job.step.node.id, store=job.step.tier)
        job.outputs = result.outputs
        self._close(job, _State.DONE)

    def _ready(self, job: _Job) -> None:
        if job.state is _State.WAITING:
            job.state = _State.READY
            self._lanes.put("io" if job.step.action is Action.HIT else job.step.node.spec.cls.node_lane, job)

    def _close(self, job: _Job, state: _State) -> None:
        """End a job; unless it is done, everything that waits for it ends too."""
        closing = [(job, state)]
        while closing:
            ended, how = closing.pop()
            ended.state = how
            self._open -= 1
            for source in ended.sources:
                source.readers -= 1
                if source.readers == 0:
                    source.outputs = None
            ended.sources = []
            dependents, ended.dependents = ended.dependents, []
            for dependent in dependents:
                if dependent.state is not _State.WAITING:
                    continue
                if how is not _State.DONE:
                    closing.append((dependent, _State.SKIPPED))
                    dependent.state = _State.SKIPPED
                    continue
                dependent.waits -= 1
                if dependent.waits == 0:
                    self._ready(dependent)
        if self._open == 0:
            self._finished.set()

    def _is_quick(self, job: _Job) -> bool:
        known = self._executor.costs.estimate_s(job.step.node.spec.type)
        return known is not None and known < _QUICK_S

    # Called by the lanes' threads, without the lock.

    def _perform(self, job: _Job) -> None:
        try:
            if self._cancel.cancelled:
                self._end(job, _State.SKIPPED)
            elif job.step.action is Action.HIT:
                self._read(job)
            else:
                self._compute(job)
        except BaseException as error:  # a defect of the engine must end the run, not hang it
            self._defect = error
            self._finished.set()

    def _end(self, job: _Job, state: _State, outputs: Mapping[str, Any] | None = None) -> None:
        with self._lock:
            job.outputs = outputs
            self._close(job, state)

    def _read(self, job: _Job) -> None:
        """Take a hit's result from the store; what can't be read is computed."""
        result = self._executor.store.load(job.step.key)
        with self._lock:
            if result is not None:
                self._take(job, result)
                return
            self._take_store_problems()
            job.step.action, job.step.reason = Action.RUN, _DAMAGED
            job.state = _State.IDLE
            self._open -= 1
            self._demand(job)

    def _compute(self, job: _Job) -> None:
        node, spec, executor = job.step.node, job.step.node.spec, self._executor
        self._events.emit("node_started", node.id)
        started = executor.clock()
        try:
            inputs = self._gather(job)
            if inputs is None:
                return
            context = NodeContext(node.id, executor.device, executor.services, self._cancel, self._events)
            outputs = _checked_outputs(node, spec.construct(inputs).run(context))
        except RunCancelled:
            self._end(job, _State.SKIPPED)
            return
        except Exception as error:
            self._fail(job, error)
            return
        job.elapsed_s = executor.clock() - started
        executor.costs.learn(spec.type, job.elapsed_s)
        if spec.cls.node_cache:
            result = Result(outputs, job.elapsed_s, spec.type, spec.version)
            executor.store.save(job.step.key, result, keep=job.step.target)
        self._events.emit("node_finished", node.id, elapsed_s=job.elapsed_s)
        self._end(job, _State.DONE, outputs)

    def _gather(self, job: _Job) -> dict[str, Any] | None:
        """The node's inputs; None when a branch that it asks for has to run first."""
        node = job.step.node
        open_ports = undecided_ports(node)
        values = dict(node.values)
        for port, ref in node.links.items():
            if port not in open_ports:
                values[port] = self._input(node, port, ref.node, ref.port)
        if not open_ports:
            return values
        if job.needed is None:
            job.needed = frozenset(node.spec.construct(values).needed())
            if not self._branch_is_there(job, [port for port in open_ports if port in job.needed]):
                return None
        for port in open_ports:
            ref = node.links[port]
            taken = port in job.needed
            values[port] = self._input(node, port, ref.node, ref.port) if taken else node.spec.inputs[port].default
        return values

    def _branch_is_there(self, job: _Job, ports: list[str]) -> bool:
        with self._lock:
            job.state = _State.WAITING
            pending: list[_Job] = []
            self._await(job, ports, pending)
            for source in pending:
                self._demand(source)
            if job.state is _State.WAITING and job.waits == 0:
                job.state = _State.READY
                return True
            return False

    def _input(self, node: GraphNode, port: str, source: str, output: str) -> Any:
        outputs = self._jobs[self._plan.step_of[source].key].outputs
        assert outputs is not None  # held since this job began to wait for it
        value, found = outputs[output], node.spec.inputs[port]
        if port in node.spec.shared_inputs:
            kind = self._executor.payloads.type_of(value)
            return kind.share(value) if kind is not None and kind.share is not None else value
        if found.payload is not None:
            return value
        try:
            return found.coerce(value)
        except ValidationError as error:
            raise NodeError(
                "value-invalid", f"`{source}.{output}` gave a value that does not fit: {explain_validation(error)}.",
                "Change what computes it.", port=port,
            ) from None  # fmt: skip

    def _fail(self, job: _Job, error: Exception) -> None:
        node = job.step.node
        if isinstance(error, SdgraphError):
            problem = error.at(node.id)
        else:
            said = f"{type(error).__name__}: {error}".rstrip(": ")
            problem = Problem("node-failed", f"{node.spec.type} failed: {said}.", node=node.id)
        _log.debug("node %s failed", node.id, exc_info=error)
        self._problems.append(problem)
        self._events.emit("node_failed", node.id, problem=problem.to_json())
        self._end(job, _State.FAILED)

    # After the run.

    def _take_store_problems(self) -> None:
        for problem in self._executor.store.take_problems():
            self._problems.append(problem)
            self._events.emit("warning", problem=problem.to_json())

    def _report(self, elapsed_s: float) -> RunReport:
        jobs = self._jobs
        nodes = {node.id: self._node_report(node, jobs[step.key]) for node, step in self._plan.by_node()}
        results = {
            node.id: outputs
            for node, step in self._plan.by_node()
            if step.target and (outputs := jobs[step.key].outputs) is not None
        }
        values = dict(self._plan.graph.constants)
        for name, ref in self._plan.targets.items():
            if ref.node in results:
                values[name] = results[ref.node][ref.port]
        return RunReport(self._events.run_id, self._status(), values, nodes, elapsed_s, tuple(self._problems), results)

    def _status(self) -> RunStatus:
        targets = [job for job in self._jobs.values() if job.step.target]
        done = sum(job.state is _State.DONE for job in targets)
        if done == len(targets):
            return "done"
        if self._cancel.cancelled:
            return "cancelled"
        return "partial" if done or self._plan.graph.constants else "failed"

    def _node_report(self, node: GraphNode, job: _Job) -> NodeReport:
        step = job.step
        key = step.key.hex()
        if job.state is _State.FAILED:
            return NodeReport("failed", step.reason.text, key)
        if job.state is _State.SKIPPED:
            why = "the run was cancelled" if self._cancel.cancelled else "something that it needs failed"
            return NodeReport("skipped", why, key)
        if job.state is _State.DONE and step.action is Action.RUN:
            if step.node is node:
                return NodeReport("ran", step.reason.text, key, None, job.elapsed_s)
            return NodeReport("hit", f"the same as {step.node.id}", key)
        if step.action in (Action.HIT, Action.COVERED):
            return NodeReport("hit", step.reason.text, key, step.tier)
        return NodeReport("skipped", "not needed", key)


def _checked_outputs(node: GraphNode, outputs: Any) -> Mapping[str, Any]:
    spec = node.spec
    if not isinstance(outputs, spec.cls.outputs_class):
        raise NodeError(
            "outputs-invalid",
            f"{spec.type} returned {type(outputs).__name__}, expected {spec.cls.outputs_class.__name__}.",
            "This is a defect of the node; tell its pack's author.",
        )
    values = outputs.__dict__
    for name, found in spec.outputs.items():
        kind = found.payload
        if kind is not None and not isinstance(values[name], kind.python_type):
            raise NodeError(
                "outputs-invalid",
                f"{spec.type} gave {type(values[name]).__name__} as `{name}`, expected {kind.name}.",
                "This is a defect of the node; tell its pack's author.",
            )
    return values
