"""A plan as the command line prints it and the server sends it."""

from __future__ import annotations

from typing import Any

from sdgraph.core.graph import GraphNode
from sdgraph.engine.plan import Action, Plan, Step
from sdgraph.engine.reason import Reason

_WORDS = {Action.RUN: "run", Action.HIT: "hit", Action.COVERED: "hit", Action.MAYBE: "maybe", Action.UNUSED: "unused"}


def plan_rows(plan: Plan) -> dict[str, dict[str, Any]]:
    """By node id: what is to be done, why, where the result is, and its key."""
    return {node.id: _row(node, step) for node, step in plan.by_node()}


def plan_counts(rows: dict[str, dict[str, Any]]) -> dict[str, int]:
    """How many nodes run, are hits, may run, or are not used."""
    actions = [row["action"] for row in rows.values()]
    return {word: actions.count(word) for word in ("run", "hit", "maybe", "unused")}


def _row(node: GraphNode, step: Step) -> dict[str, Any]:
    action, reason = _WORDS[step.action], step.reason
    if step.action is Action.RUN and step.node is not node:
        action, reason = "hit", Reason("same-as", f"the same as {step.node.id}")
    return {"action": action, **reason.to_json(), "store": step.tier, "key": step.key.hex()}
