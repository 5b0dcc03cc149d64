"""Single flight: jobs whose result another run, thread, process or machine is computing wait for it instead.

A job that waits holds no thread: the run looks at all of them from time to time.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from sdgraph.engine.costs import NodeCosts
from sdgraph.engine.jobs import UNREADABLE, Job
from sdgraph.engine.stores.base import Release, ResultStore, nothing_to_release


class Turn(Enum):
    """What is to become of a job that is ready: `OURS` is computed here."""

    OURS = auto()
    STORED = auto()
    TAKEN = auto()


class Flights:
    """The jobs of one run that wait for others. `look` is called by one thread, the other methods by any."""

    def __init__(self, store: ResultStore, costs: NodeCosts) -> None:
        self.waiting: list[Job] = []
        self._store = store
        self._costs = costs

    def begin(self, job: Job) -> tuple[Turn, Release, str | None]:
        """Whose turn it is to compute a job, what gives this run's claim back, and the tier that has the result now."""
        spec = job.step.node.spec
        if not spec.cls.node_cache or job.step.reason is UNREADABLE:
            return Turn.OURS, nothing_to_release, None
        release = self._store.claim(job.step.key, self._costs.estimate_s(spec.type))
        if release is None:
            return Turn.TAKEN, nothing_to_release, None
        try:
            tier = self._store.find(job.step.key)  # whoever had the claim before may have stored it
        except BaseException:
            release()
            raise
        return Turn.OURS if tier is None else Turn.STORED, release, tier

    def wait(self, job: Job) -> None:
        self.waiting.append(job)

    def look(self, stored: Callable[[Job, str], None], free: Callable[[Job], None]) -> None:
        """Look after the jobs that wait: hands on what is stored now, and what nobody computes any longer."""
        for job in tuple(self.waiting):
            tier = self._store.find(job.step.key)
            if tier is None and self._store.is_claimed(job.step.key):
                continue
            self.waiting.remove(job)
            if tier is None:  # its owner failed, ended, or had no use for storing it
                free(job)
            else:
                stored(job, tier)
