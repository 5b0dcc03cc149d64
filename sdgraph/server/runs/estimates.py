"""How long nodes will take, by how long they took: in the same workflow, or else on average over their type."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, delete, insert, select, tuple_

from sdgraph.server.runs.database import reading
from sdgraph.server.runs.tables import NODE_TIMES, storable

_WEIGHT = 0.3
"""Of the newest time in an average."""
_MAX_WORKFLOW, _MAX_NODE = 200, 400
_ANY = ""


class Estimates:
    """Seconds of nodes, learnt from reports and kept over restarts. Threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        with reading(engine) as connection:
            rows = connection.execute(select(NODE_TIMES))
            self._elapsed_s = {(row.workflow, row.node): row.elapsed_s for row in rows}

    def of(self, workflow: str, node: str, node_type: str) -> float | None:
        """The seconds that a node of a workflow will take; None when no node of its type has run."""
        found = self._elapsed_s.get((_short(workflow), node))
        return self._elapsed_s.get((_ANY, node_type)) if found is None else found

    def learn(self, workflow: str, document: Mapping[str, Any], report: Mapping[str, Any]) -> None:
        """Take the times of the nodes that ran from the report of a run."""
        types = {name: entry["type"] for name, entry in document.get("nodes", {}).items()}
        with self._lock:
            learnt: dict[tuple[str, str], float] = {}
            for node, found in report.get("nodes", {}).items():
                if found["status"] == "ran" and len(node) <= _MAX_NODE:
                    learnt[_short(workflow), storable(node)] = found["elapsed_s"]
                    if node in types:
                        place = (_ANY, storable(types[node]))
                        known = learnt.get(place, self._elapsed_s.get(place, found["elapsed_s"]))
                        learnt[place] = known + _WEIGHT * (found["elapsed_s"] - known)
            if learnt:
                self._keep(learnt)
                self._elapsed_s |= learnt

    def _keep(self, learnt: Mapping[tuple[str, str], float]) -> None:
        rows = [{"workflow": place[0], "node": place[1], "elapsed_s": elapsed_s} for place, elapsed_s in learnt.items()]
        places = list(learnt)
        with self._engine.begin() as connection:
            for start in range(0, len(places), 500):
                chosen = tuple_(NODE_TIMES.c.workflow, NODE_TIMES.c.node).in_(places[start : start + 500])
                connection.execute(delete(NODE_TIMES).where(chosen))
            connection.execute(insert(NODE_TIMES), rows)


def _short(workflow: str) -> str:
    # A workflow without a name must not be taken for the averages.
    return storable(workflow)[:_MAX_WORKFLOW] or "-"
