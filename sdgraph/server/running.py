"""`/api/runs`: ask for runs, look at them, move, cancel and repeat them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sdgraph.errors import Problem, WorkflowError
from sdgraph.server.asked import run_request
from sdgraph.server.needed import uploads_in
from sdgraph.server.routing import Route, answer, read_body, read_query
from sdgraph.server.run_schemas import (
    ForgetQuery,
    RunAccepted,
    RunChange,
    RunList,
    RunOut,
    RunQuery,
    RunRow,
)
from sdgraph.server.runs.history import Wanted
from sdgraph.server.runs.records import RunDetails, RunSummary
from sdgraph.server.schemas import PlanRequest
from sdgraph.server.state import STATE

_USER_HEADER = "Sdgraph-User"
_MAX_USER = 100


async def post_run(request: web.Request) -> web.Response:
    """Let a workflow run as soon as it is its turn. `Sdgraph-User` says whose turn that is."""
    state, body = request.app[STATE], await read_body(request, PlanRequest)
    asked = await state.aside(run_request, state, body, _user(request))
    await state.aside(state.kept.use_uploads, uploads_in(asked.document, asked.inputs))
    return answer(RunAccepted(run_id=await state.dispatcher.enqueue(asked)), status=202)


async def get_runs(request: web.Request) -> web.Response:
    """List runs, the newest first: those that wait, are performed, and have ended."""
    state, query = request.app[STATE], read_query(request, RunQuery)
    page = await state.aside(state.history.page, _wanted(query))
    rows = [RunRow.model_validate(_row(run)) for run in page.runs]
    return answer(RunList.model_validate({"runs": rows, "next": page.next, "counts": page.counts}))


async def get_run(request: web.Request) -> web.Response:
    """Give everything about a run: its workflow, what it came to, and what each node did."""
    state = request.app[STATE]
    details = await state.aside(state.history.details, request.match_info["id"])
    return answer(RunOut.model_validate(_out(details)))


async def delete_run(request: web.Request) -> web.Response:
    """Cancel a run: at once if it waits, within a step if it is performed. With `forget`, remove one that ended."""
    state, run_id = request.app[STATE], request.match_info["id"]
    if read_query(request, ForgetQuery).forget:
        await state.dispatcher.forget(run_id)
        return web.Response(status=204)
    await state.dispatcher.cancel(run_id)
    return await get_run(request)


async def patch_run(request: web.Request) -> web.Response:
    """Move a run that waits: change its priority, or put it right before another of the same user. Or pin any run."""
    state, run_id, body = request.app[STATE], request.match_info["id"], await read_body(request, RunChange)
    if len(body.model_dump(exclude_none=True)) != 1:
        message = "Expected either `priority`, `before` or `pinned`."
        raise WorkflowError([Problem("request-invalid", message, "A run takes the priority of the one it is before.")])
    if body.pinned is not None:
        await state.dispatcher.pin(run_id, body.pinned)
    else:
        await state.dispatcher.change(run_id, body.priority, body.before)
    return await get_run(request)


async def retry_run(request: web.Request) -> web.Response:
    """Ask again for a run that ended. What it stored is not computed again."""
    run_id = await request.app[STATE].dispatcher.retry(request.match_info["id"], _user(request))
    return answer(RunAccepted(run_id=run_id), status=202)


_ONE = "/api/runs/{id}"
ROUTES = (
    Route("POST", "/api/runs", post_run, RunAccepted, PlanRequest, status=202),
    Route("GET", "/api/runs", get_runs, RunList, query=RunQuery),
    Route("GET", _ONE, get_run, RunOut),
    Route("DELETE", _ONE, delete_run, RunOut, query=ForgetQuery),
    Route("PATCH", _ONE, patch_run, RunOut, RunChange),
    Route("POST", f"{_ONE}/retry", retry_run, RunAccepted, status=202),
)


def _user(request: web.Request) -> str:
    """Whose share of the workers a run takes. Nothing is allowed to one user and not to another."""
    return request.headers.get(_USER_HEADER, "").strip()[:_MAX_USER] or request.remote or "unknown"


def _wanted(query: RunQuery) -> Wanted:
    inputs = tuple(text.split(":", 1) for text in query.input)
    return Wanted(
        search=query.search,
        inputs=tuple((name, value) for name, value in inputs),
        states=tuple(query.status.split(",")) if query.status else (),  # pyright: ignore[reportArgumentType]
        user=query.user,
        before=query.before,
        limit=query.limit,
    )


def _row(run: RunSummary) -> dict[str, Any]:
    ran_s = None if run.started_s is None or run.finished_s is None else run.finished_s - run.started_s
    return {
        "run_id": run.run_id,
        "status": run.status,
        "name": run.workflow,
        "user": run.user,
        "inputs": run.inputs,
        "outputs": run.pictures,
        "priority": run.priority,
        "position": run.position,
        "attempts": run.attempts,
        "cancelling": run.cancelling,
        "pinned": run.pinned,
        "retry_of": run.retry_of,
        "created_at": _time(run.created_s),
        "started_at": _time(run.started_s),
        "finished_at": _time(run.finished_s),
        "elapsed_s": ran_s,
    }


def _out(run: RunDetails) -> dict[str, Any]:
    report: Mapping[str, Any] = run.report or {}
    ended = {"elapsed_s": report["elapsed_s"]} if report else {}
    return {
        **_row(run.summary),
        **ended,
        "workflow": run.document,
        "wanted": run.outputs,
        "outputs": report.get("outputs", {}),
        "nodes": report.get("nodes", {}),
        "files": report.get("files", []),
        "problems": report.get("problems", []),
        "peak_memory_bytes": report.get("peak_memory_bytes"),
        "resources": report.get("resources", []),
    }


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
