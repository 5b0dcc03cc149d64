"""The state of a run's steps: which wait for which, which are ready, and how long outputs are held.

Jobs are demanded from the targets upstream. A hit needs nothing before it; one that turns out to be unreadable is
demanded like any other step and computed. The same mechanism runs the branch that a lazy node asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum, auto
from typing import Any

from sdgraph.engine.cutoff import deciders, settle
from sdgraph.engine.plan import Action, Plan, Step, undecided_ports
from sdgraph.engine.reason import SHARED, Reason
from sdgraph.engine.stores.base import ResultStore

_CHOSEN = Reason("undecided", "a choice made during the run needed it")
UNREADABLE = Reason("not-stored", "its stored result was gone or damaged")
_AFTER_UNREADABLE = Reason("not-stored", "a stored result after it was gone or damaged")


class JobState(Enum):
    """`READY` covers queued and running; the last three are ends."""

    IDLE = auto()
    WAITING = auto()
    READY = auto()
    DONE = auto()
    FAILED = auto()
    SKIPPED = auto()


class Job:
    """A step in this run."""

    __slots__ = (
        "dependents", "elapsed_s", "needed", "outputs", "ran", "readers", "sources", "state", "step", "storable",
        "waits",
    )  # fmt: skip

    def __init__(self, step: Step) -> None:
        self.step = step
        self.state = JobState.IDLE
        self.ran = False
        self.elapsed_s = 0.0
        self.outputs: Mapping[str, Any] | None = None
        self.readers = 0
        """Jobs that may still read the outputs, and one for a target; at 0 the outputs are let go."""
        self.sources: tuple[Job, ...] = ()
        """Jobs whose outputs this one counts as a reader of."""
        self.storable = True
        """Whether its result is what its key stands for; after some remedies it is not, nor what is made of it."""
        self.waits = 0
        """Sources that have to end before this job is ready."""
        self.dependents: list[Job] | None = None
        self.needed: frozenset[str] | None = None
        """The lazy ports that the node asked for; None before it was asked."""

    def has_exact_sources(self) -> bool:
        """Whether what it reads is what the keys of that stand for."""
        for source in self.sources:  # noqa: SIM110  (`all` would cost as much as a trivial node)
            if not source.storable:
                return False
        return True


class Schedule:
    """Decides what follows what. Every method needs the run's lock to be held.

    `ready` is called for each job that can start, `fetch` to read a hit that is at hand; it gives None for one that
    has to be read in a lane.
    """

    def __init__(
        self,
        plan: Plan,
        store: ResultStore,
        ready: Callable[[Job], None],
        fetch: Callable[[Job], Mapping[str, Any] | None],
    ) -> None:
        self.open = 0
        """Jobs that were demanded and have not ended."""
        self._plan = plan
        self._store = store
        self._ready = ready
        self._fetch = fetch

    def start(self) -> None:
        """Demand the targets."""
        self.open += 1  # hits end at once; the run is not over before every target was demanded
        targets: list[Job] = []
        for step in self._plan.steps.values():
            if step.target:
                targets.append(self._job(step))
                targets[-1].readers += 1
            elif step.action is Action.MAYBE:  # what it might read is kept until it is known
                self._hold(self._job(step))
        for job in targets:
            self.demand((job,))
        self.open -= 1

    def demand(self, wanted: Iterable[Job]) -> None:
        """Get jobs going, and whatever they need that is not there."""
        pending = list(wanted)
        while pending:
            job = pending.pop()
            if job.state is not JobState.IDLE:
                continue
            self.open += 1
            job.state = JobState.WAITING
            step = job.step
            if step.is_open:
                self._hold(job)
                self._wait_for(job, [self._job(one) for one in deciders(self._plan, step)], pending)
                continue
            if step.action is Action.HIT:
                outputs = self._fetch(job)
                if outputs is None:
                    self._make_ready(job)
                else:
                    self.finish(job, outputs)
                continue
            if step.action is Action.MAYBE:
                step.reason = self._plan.if_needed.get(step.key, _CHOSEN)
            elif step.action is not Action.RUN:
                step.reason = _AFTER_UNREADABLE
            step.action = Action.RUN
            open_ports = undecided_ports(step.node)
            self._wait(job, [port for port in step.node.links if port not in open_ports], pending)

    def choose(self, job: Job, ports: frozenset[str]) -> None:
        """A running lazy job needs these of its undecided ports as well; it becomes ready again when they are there."""
        job.needed = ports
        job.state = JobState.WAITING
        pending: list[Job] = []
        self._wait(job, [port for port in job.step.node.links if port in ports], pending)
        self.demand(pending)

    def settle(self, job: Job, tier: str | None) -> None:
        """The key of an open step was made, and the tier that has its result looked for."""
        settle(job.step, tier)
        job.state = JobState.IDLE
        self.demand((job,))
        self.open -= 1

    def compute_instead(self, job: Job) -> None:
        """A hit could not be read."""
        job.step.action, job.step.reason, job.step.tier = Action.RUN, UNREADABLE, None
        job.state = JobState.IDLE
        self.demand((job,))
        self.open -= 1

    def read_instead(self, job: Job, tier: str) -> None:
        """Somebody else has computed what a job was about to."""
        job.step.action, job.step.reason, job.step.tier = Action.HIT, SHARED, tier
        self._ready(job)

    def finish(self, job: Job, outputs: Mapping[str, Any]) -> None:
        """A job has its outputs: what waits for it may go on."""
        if job.readers:
            job.outputs = outputs
        self._close(job, JobState.DONE)

    def abandon(self, job: Job, state: JobState) -> None:
        """A job failed or is skipped, and so is everything that waits for it."""
        self._close(job, state)

    def source(self, job: Job, port: str) -> Job:
        """The job that feeds a linked port."""
        return self._job(self._plan.step_of[job.step.node.links[port].node])

    def _job(self, step: Step) -> Job:
        if step.job is None:
            step.job = Job(step)
        return step.job

    def _hold(self, job: Job) -> None:
        """Count as a reader of everything that the job is linked to, branches not chosen yet included."""
        if job.sources:
            return
        sources = [self.source(job, port) for port in job.step.node.links]
        job.sources = tuple(sources if len(sources) < 2 else dict.fromkeys(sources))
        for source in job.sources:
            source.readers += 1

    def _wait(self, job: Job, ports: list[str], pending: list[Job]) -> None:
        """Let a job wait for what feeds these ports; sources that have to be started are added to `pending`."""
        self._hold(job)
        self._wait_for(job, dict.fromkeys(self.source(job, port) for port in ports), pending)

    def _wait_for(self, job: Job, sources: Collection[Job], pending: list[Job]) -> None:
        if any(source.state in (JobState.FAILED, JobState.SKIPPED) for source in sources):
            self._close(job, JobState.SKIPPED)
            return
        for source in sources:
            if source.outputs is not None:
                continue
            job.waits += 1
            if source.dependents is None:
                source.dependents = []
            source.dependents.append(job)
            if source.state is JobState.DONE:
                self._reopen(source)
            if source.state is JobState.IDLE:
                pending.append(source)
        if job.waits == 0:
            self._make_ready(job)

    def _reopen(self, job: Job) -> None:
        """Its outputs were let go before somebody unforeseen asked for them (a job after an unreadable hit)."""
        step = job.step
        step.tier = self._store.find(step.key) if step.node.spec.cls.node_cache else None
        step.action = Action.RUN if step.tier is None else Action.HIT
        job.state = JobState.IDLE

    def _make_ready(self, job: Job) -> None:
        job.state = JobState.READY
        self._ready(job)

    def _close(self, job: Job, state: JobState) -> None:
        """End a job; unless it is done, everything that waits for it is skipped."""
        closing = [job]
        job.state = state
        while closing:
            ended = closing.pop()
            self.open -= 1
            for source in ended.sources:
                source.readers -= 1
                if source.readers == 0:
                    source.outputs = None
            ended.sources = ()
            dependents, ended.dependents = ended.dependents, None
            for dependent in dependents or ():
                if dependent.state is not JobState.WAITING:
                    continue
                if ended.state is JobState.DONE:
                    dependent.waits -= 1
                    if dependent.waits == 0:
                        self._make_ready(dependent)
                else:
                    dependent.state = JobState.SKIPPED
                    closing.append(dependent)
