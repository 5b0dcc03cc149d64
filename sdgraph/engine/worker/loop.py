"""The worker's side of the channel: one run after the other, cancelled from outside, with a sign of life all the time.

It is told {"type": "run", "job"}, {"type": "warm", "name", "document"}, {"type": "cancel", "run_id"},
{"type": "show", "ask", "key"} and {"type": "stop"}. It says {"type": "ready"} once, {"type": "alive"} every second,
{"type": "event", "event"}, {"type": "report", "report"}, {"type": "warmed", "name", "report"} and
{"type": "shown", "ask", "outputs"}, with a "problem" for what may not be shown, and sends previews. An actor on
another machine can serve the same two streams.
"""

from __future__ import annotations

import errno
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from sdgraph.engine.context import CancelToken
from sdgraph.engine.events import Listener, RunEvent
from sdgraph.engine.worker.frames import BadFrame, Message, Preview, read
from sdgraph.engine.worker.job import Job, Warming, report_without_nodes
from sdgraph.engine.worker.outbox import Outbox
from sdgraph.errors import Problem, SdgraphError, WorkflowError
from sdgraph.payloads.picture_files import unwritable

_log = logging.getLogger("sdgraph.worker")
ALIVE_EVERY_S = 1.0


class Work(Protocol):
    """Performs a job, tells `listener` of its events, and returns the report."""

    def __call__(self, job: Job, listener: Listener, cancel: CancelToken) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Hands:
    """What the loop is given by the process that it serves in."""

    work: Work
    warm: Callable[[Warming, CancelToken], Mapping[str, Any]]
    """Loads what a workflow needs; gives `{"ready": bool, "models": [...]}`. Raises SdgraphError."""
    picture: Callable[[Any], tuple[bytes, str] | None]
    """Packs a node's preview as a picture file; gives it with its media type."""
    show: Callable[[str], Mapping[str, Any] | None]
    """Small pictures and a few words of the stored result of a key, by output; None for one that is not kept. Called
    beside runs, on a thread of its own. Raises SdgraphError for one that may not be shown."""
    vitals: Callable[[], Mapping[str, Any]]
    """What the signs of life carry: memory, models. Must be quick."""
    lost: Callable[[], None]
    """Called on any thread when nobody drives this worker any more."""


class WorkerLoop:
    """Serves one channel until it is told to stop."""

    def __init__(self, receive: BinaryIO, send: BinaryIO, hands: Hands) -> None:
        self._receive = receive
        self._hands = hands
        self._outbox = Outbox(send, hands.lost)
        self._jobs: queue.SimpleQueue[Job | Warming | None] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self._tokens: dict[str, CancelToken] = {}
        self._stopped = threading.Event()

    def serve(self, greeting: Mapping[str, Any]) -> None:
        """Work until told to stop; runs happen on the calling thread."""
        self._outbox.put({"type": "ready", **greeting})
        for target in (self._listen, self._show_life, self._show_results):
            threading.Thread(target=target, name=f"sdgraph-{target.__name__.strip('_')}", daemon=True).start()
        while (job := self._jobs.get()) is not None:
            self._warm(job) if isinstance(job, Warming) else self._perform(job)
        self._stopped.set()
        self._outbox.close()

    def _perform(self, job: Job) -> None:
        token = self._tokens[job.run_id]
        report = self._report(job, token)
        self._tokens.pop(job.run_id, None)
        self._outbox.forget_previews(job.run_id)
        self._outbox.put({"type": "report", "run_id": job.run_id, "report": dict(report)})

    def _warm(self, warming: Warming) -> None:
        token = self._tokens[_token_of(warming)]
        try:
            report: Mapping[str, Any] = self._hands.warm(warming, token)
        except Exception as error:  # a worker that is cold works all the same
            _log.exception("what %s needs could not be loaded", warming.name)
            report = {"ready": False, "models": [], "problems": [problem.to_json() for problem in _problems(error)]}
        del self._tokens[_token_of(warming)]
        self._outbox.put({"type": "warmed", "name": warming.name, "report": dict(report)})

    def _report(self, job: Job, token: CancelToken) -> Mapping[str, Any]:
        try:
            return self._hands.work(job, self._tell, token)
        except Exception as error:  # a defect of one run must not end the worker
            if not isinstance(error, SdgraphError):
                _log.exception("run %s failed", job.run_id)
            return report_without_nodes(job.run_id, "failed", *_problems(error))

    def _tell(self, event: RunEvent) -> None:
        self._outbox.put({"type": "event", "event": event.to_json()})
        preview, node = event.data.get("preview"), event.node
        if preview is None or node is None:
            return
        run_id = event.run_id

        def make() -> Preview | None:
            packed = self._hands.picture(preview)
            return None if packed is None else Preview(run_id, node, *packed)

        self._outbox.show(run_id, node, make)

    def _show_life(self) -> None:
        while not self._stopped.wait(ALIVE_EVERY_S):
            self._outbox.put({"type": "alive", **self._hands.vitals()})

    def _show_results(self) -> None:
        while True:
            number, key = self._asked.get()
            problem: Problem | None = None
            try:
                outputs = self._hands.show(key)
            except SdgraphError as error:
                outputs, problem = None, error.problem
            except Exception:  # what a node gave is a pack's business, and no reason to stop working
                _log.exception("a result can't be shown")
                outputs = None
            answer = {"type": "shown", "ask": number, "outputs": outputs}
            self._outbox.put(answer if problem is None else answer | {"problem": problem.to_json()})

    def _listen(self) -> None:
        try:
            while (message := read(self._receive)) is not None:
                if isinstance(message, Preview):
                    raise BadFrame("previews are sent by workers, not to them")
                if not self._obey(message):
                    return
        except (BadFrame, OSError, ValueError, KeyError, TypeError):
            _log.exception("the worker was told what it does not understand")
        self._hands.lost()

    def _obey(self, message: Message) -> bool:
        match message["type"]:
            case "run":
                job = Job.from_json(message["job"])
                self._tokens[job.run_id] = CancelToken()
                self._jobs.put(job)
            case "warm":
                warming = Warming(message["name"], message["document"])
                self._tokens[_token_of(warming)] = CancelToken()
                self._jobs.put(warming)
            case "cancel":
                if token := self._tokens.get(message["run_id"]):
                    token.cancel()
            case "show":
                self._asked.put((message["ask"], message["key"]))
            case "stop":
                for token in tuple(self._tokens.values()):
                    token.cancel()
                self._jobs.put(None)
                return False
            case unknown:
                raise BadFrame(f"there is no message {unknown!r}")
        return True


def _token_of(warming: Warming) -> str:
    return f"warm {warming.name}"  # no id of a run has a space


def _problems(error: Exception) -> tuple[Problem, ...]:
    match error:
        case WorkflowError():
            return error.problems
        case SdgraphError():
            return (error.problem,)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return (unwritable(Path(error.filename or "The result"), error).problem,)
        case _:
            message = f"This is a defect of sdgraph: {type(error).__name__}: {error}"
            return (Problem("internal-error", message, "Please report it; the worker's log has the details."),)
