"""Problems of the queue, and the reports of runs that ended without a worker's."""

from __future__ import annotations

from sdgraph.errors import Problem, SdgraphError, WorkflowError
from sdgraph.server.runs.records import RunState

WORKER_DIED = Problem(
    "worker-died",
    "The process that performed the run ended, and ended again when it was tried a second time.",
    "The server's log says how. Most often the machine ran out of memory: use smaller pictures or batches.",
)
SERVER_DIED = Problem(
    "server-died",
    "The server ended again and again while it performed the run.",
    "Look in the server's log before you retry it.",
)


def unknown(run_id: str) -> SdgraphError:
    """There is no such run."""
    message = f"There is no run {run_id[:40]!r}."
    return _problem("run-unknown", message, "GET /api/runs lists them; old ones are removed.")


def not_queued(run_id: str, status: RunState) -> SdgraphError:
    """Something that only a run that waits can do."""
    message = f"The run {run_id} is {status}, and only runs that wait in the queue can be moved."
    return _problem("run-not-queued", message, "Nothing is left to do.")


def not_ended(run_id: str, status: RunState) -> SdgraphError:
    """Something that only a run that ended can do."""
    return _problem("run-not-ended", f"The run {run_id} is {status}.", "Wait until it ends, or cancel it.")


def already_ended(run_id: str, status: RunState) -> SdgraphError:
    """Nothing is left to cancel."""
    message = f"The run {run_id} ended before it could be cancelled: it is {status}."
    return _problem("run-ended", message, "Its results are kept. Add `?forget=true` to remove it from the history.")


def queue_full(limit: int) -> SdgraphError:
    """No more runs may wait."""
    message = f"{limit:,} runs wait already, and no more may."
    return _problem("queue-full", message, "Try again later, or cancel some of them.")


def _problem(code: str, message: str, hint: str) -> SdgraphError:
    return WorkflowError([Problem(code, message, hint)])
