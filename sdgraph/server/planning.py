"""`/api/check` and `/api/plan`: what is wrong with a workflow, and what a run of it would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from sdgraph.core.build import Checked, check_workflow
from sdgraph.core.document import WorkflowDocument, load_document
from sdgraph.engine.plan import make_plan
from sdgraph.engine.planview import plan_counts, plan_rows
from sdgraph.engine.stores.base import NullStore
from sdgraph.errors import Problem, WorkflowError
from sdgraph.server.routing import Route, answer, read_body
from sdgraph.server.schemas import CheckAnswer, PlanAnswer, PlanRequest, ProblemOut
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
        checked = _checked(state, body, _document(state, body.workflow))
        problems = checked.problems
        if checked.graph is not None:
            make_plan(checked.graph, NullStore(), outputs=body.outputs)  # finds models and pictures that are missing
    except WorkflowError as error:
        problems = error.problems
    return CheckAnswer(ok=not any(found.severity == "error" for found in problems), problems=_shown(problems))


def _plan(state: ServerState, body: PlanRequest) -> PlanAnswer:
    document = _document(state, body.workflow)
    checked = _checked(state, body, document)
    if checked.graph is None:
        raise WorkflowError(checked.errors)
    before = state.journal.read(document.name) if state.journal else None
    rows = plan_rows(make_plan(checked.graph, state.store, outputs=body.outputs, before=before))
    data = {"workflow": document.name, "nodes": rows, **plan_counts(rows), "problems": _shown(checked.problems)}
    return PlanAnswer.model_validate(data)


def _document(state: ServerState, given: Mapping[str, Any]) -> WorkflowDocument:
    """The document itself, or the one that the server has under a name. Raises WorkflowError."""
    if list(given) == ["name"] and isinstance(given["name"], str):
        return state.library.get(given["name"]).document
    return load_document(dict(given), max_nodes=state.max_nodes)


def _checked(state: ServerState, body: PlanRequest, document: WorkflowDocument) -> Checked:
    # No folder: a client must not make the server read `graph:FILE.json` from its disk.
    return check_workflow(document, state.registry, body.inputs, folder=None, max_nodes=state.max_nodes)


def _shown(problems: Iterable[Problem]) -> list[ProblemOut]:
    return [ProblemOut.model_validate(problem.to_json()) for problem in problems]
