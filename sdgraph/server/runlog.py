"""What runs come to, for the log: one line when a run waits, begins, ends, and for each node that fails or warns."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

_log = logging.getLogger("sdgraph.runs")


def log_event(event: Mapping[str, Any]) -> None:
    """Log an event if it is one of these. An observer of the hub."""
    extra = {"run_id": event["run_id"], **({"node": event["node"]} if "node" in event else {})}
    match event["type"]:
        case "run_queued":
            why = f": {event['reason']}" if "reason" in event else ""
            _log.info("queued%s", why, extra=extra)
        case "run_started":
            extra |= {"nodes": event.get("nodes"), "to_run": event.get("to_run")}
            _log.info("started: %s of %s nodes to run", event.get("to_run"), event.get("nodes"), extra=extra)
        case "run_finished":
            extra |= {"status": event["status"], "elapsed_s": event["elapsed_s"]}
            level = logging.WARNING if event["status"] == "failed" else logging.INFO
            _log.log(level, "%s after %.2f s", event["status"], event["elapsed_s"], extra=extra)
        case "node_failed" | "warning":
            problem = event["problem"]
            extra |= {"code": problem["code"]}
            _log.warning("%s [%s]", problem["message"], problem["code"], extra=extra)
        case _:
            pass
