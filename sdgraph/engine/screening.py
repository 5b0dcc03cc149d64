"""What of a run may leave: every picture is looked at first, and what was hidden is written down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sdgraph.core.screening import Screen, Screened
from sdgraph.engine.plan import Plan
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.base import Payloads
from sdgraph.errors import Problem, SdgraphError

_log = logging.getLogger("sdgraph.screening")


@dataclass(frozen=True, slots=True)
class Hidden:
    """A picture that did not leave its run: one row of the audit."""

    run_id: str
    node: str
    """The node that gave it."""
    output: str
    """The workflow's output, or that of a node which saves."""
    index: int
    """Its place in the batch, from 0."""
    time_s: float
    """When it was hidden, in seconds since 1970."""

    def to_json(self) -> dict[str, Any]:
        """The row as `resources` of a run lists it."""
        return {
            "type": "safety",
            "node": self.node,
            "run_id": self.run_id,
            "output": self.output,
            "index": self.index,
            "time": datetime.fromtimestamp(self.time_s, UTC).isoformat(timespec="milliseconds"),
        }


@dataclass(frozen=True, slots=True)
class Leaving:
    """What may leave of a run."""

    report: RunReport
    """The run's, with `outputs` and `results` as they may leave. What is missing there may not."""
    hidden: tuple[Hidden, ...]
    problems: tuple[Problem, ...]


def leaving(
    plan: Plan, report: RunReport, payloads: Payloads, screen: Screen, clock: Callable[[], float] = time.time
) -> Leaving:
    """Look at everything of a run that would become a file, before the first file is written.

    When something can't be judged, nothing leaves but plain values, and one problem says so. `clock` gives seconds
    since 1970.
    """
    work = _Looking(plan, report, payloads, screen, clock)
    try:
        results = {name: work.result(name) for name in report.results if plan.graph.nodes[name].spec.has_deliver}
        outputs = {name: work.output(name) for name in report.outputs}
    except SdgraphError as error:
        plain = {name: value for name, value in report.outputs.items() if payloads.type_of(value) is None}
        return Leaving(replace(report, outputs=plain, results={}), (), (error.problem,))
    for row in work.hidden:
        _log.warning(
            "hidden by the safety checker: output %s of %s, index %d",
            row.output,
            row.node,
            row.index,
            extra={"run_id": row.run_id, "node": row.node, "output": row.output, "index": row.index},
        )
    return Leaving(replace(report, outputs=outputs, results=results), work.hidden, _warnings(work.hidden))


class _Looking:
    """The values of one run, each looked at once."""

    def __init__(
        self, plan: Plan, report: RunReport, payloads: Payloads, screen: Screen, clock: Callable[[], float]
    ) -> None:
        self._rows: dict[tuple[str, str, int], Hidden] = {}
        self._plan = plan
        self._report = report
        self._payloads = payloads
        self._screen = screen
        self._clock = clock
        self._seen: dict[int, Screened] = {}

    @property
    def hidden(self) -> tuple[Hidden, ...]:
        """The rows of the audit so far."""
        return tuple(self._rows.values())

    def result(self, node: str) -> Mapping[str, Any]:
        """The outputs of a node that saves. It is not known which of them it writes, so none may be unseen."""
        outputs = self._report.results[node].items()
        return {
            port: value if self._payloads.type_of(value) is None else self._look(value, node, port)
            for port, value in outputs
        }

    def output(self, name: str) -> Any:
        """A named output. Of a type without files, only the name leaves."""
        value = self._report.outputs[name]
        kind = self._payloads.type_of(value)
        return value if kind is None or kind.write is None else self._look(value, self._plan.targets[name].node, name)

    def _look(self, value: Any, node: str, output: str) -> Any:
        seen = self._seen.get(id(value))
        if seen is None:
            seen = self._seen[id(value)] = self._screen.look(value)
        time_s = self._clock()
        for index in seen.hidden:
            place = node, output, index  # a node that saves may be the output of the same name
            self._rows.setdefault(place, Hidden(self._report.run_id, *place, time_s))
        return seen.value


def _warnings(hidden: tuple[Hidden, ...]) -> tuple[Problem, ...]:
    """One for each place."""
    places: dict[tuple[str, str], list[str]] = {}
    for row in hidden:
        places.setdefault((row.node, row.output), []).append(str(row.index + 1))
    return tuple(
        Problem(
            "picture-hidden",
            f"The safety checker found something in `{output}`, picture {', '.join(numbers)}: black in what is given.",
            "Use another prompt or seed.",
            node,
            severity="warning",
        )
        for (node, output), numbers in places.items()
    )
