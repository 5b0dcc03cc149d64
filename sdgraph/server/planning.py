"""`/api/check` and `/api/plan`: what is wrong with a workflow, and what a run of it would do."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sdgraph.engine.plan import Plan, make_plan
from sdgraph.engine.planview import plan_counts, plan_rows
from sdgraph.engine.stores.base import NullStore
from sdgraph.errors import WorkflowError
from sdgraph.server.asked import checked, document_of, shown
from sdgraph.server.routing import Route, answer, read_body
from sdgraph.server.schemas import CheckAnswer, PlanAnswer, PlanRequest
from sdgraph.server.state import STATE, ServerState


async def check(request: web.Request) -> web.Response:
    """List everything that is wrong with a workflow, models and pictures that it names included."""
    state, body = request.app[STATE], await read_body(request, PlanRequest)
    return answer(await state.aside(_check, state, body))


async def plan(request: web.Request) -> web.Response:
    """Say for each node whether it would run, and why, without running anything."""
    state, body = request.app[STATE], await read_body(request, PlanRequest)
    return answer(await state.aside(_plan, state, body))


ROUTES = (
    Route("POST", "/api/check", check, CheckAnswer, PlanRequest),
    Route("POST", "/api/plan", plan, PlanAnswer, PlanRequest),
)


def _check(state: ServerState, body: PlanRequest) -> CheckAnswer:
    try:
        found = checked(state, body, document_of(state, body.workflow))
        problems = found.problems
        if found.graph is not None:
            make_plan(found.graph, NullStore(), outputs=body.outputs)  # finds models and pictures that are missing
    except WorkflowError as error:
        problems = error.problems
    return CheckAnswer(ok=not any(problem.severity == "error" for problem in problems), problems=shown(problems))


def _plan(state: ServerState, body: PlanRequest) -> PlanAnswer:
    document = document_of(state, body.workflow)
    found = checked(state, body, document)
    if found.graph is None:
        raise WorkflowError(found.errors)
    before = state.journal.read(document.name) if state.journal else None
    made = make_plan(found.graph, state.store, outputs=body.outputs, before=before)
    rows = plan_rows(made)
    answered = {"workflow": document.name, "nodes": rows, **plan_counts(rows), "problems": shown(found.problems)}
    return PlanAnswer.model_validate(answered | _estimated(state, document.name, made, rows))


def _estimated(state: ServerState, workflow: str, made: Plan, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Put the seconds that nodes will take into the rows of those that run; the sum of them."""
    known: list[float] = []
    for node, _ in made.by_node():
        row = rows[node.id]
        if row["action"] in ("run", "maybe"):
            row["estimated_s"] = state.estimates.of(workflow, node.id, node.spec.type)
            if row["estimated_s"] is not None and row["action"] == "run":
                known.append(row["estimated_s"])
    return {"estimated_s": sum(known)} if known else {}
