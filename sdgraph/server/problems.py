"""Errors as RFC 9457 problem documents: one `application/problem+json` object that carries every Problem."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler
from sqlalchemy.exc import DBAPIError

from sdgraph.errors import Problem, SdgraphError, WorkflowError

_log = logging.getLogger("sdgraph.server")
MEDIA_TYPE = "application/problem+json"
_STATUS = {
    "body-too-large": 413,
    "host-refused": 403,
    "internal-error": 500,
    "media-type-refused": 415,
    "method-unknown": 405,
    "origin-refused": 403,
    "picture-unknown": 404,
    "preview-unknown": 404,
    "queue-full": 429,
    "route-unknown": 404,
    "run-ended": 409,
    "run-not-ended": 409,
    "run-not-queued": 409,
    "run-unknown": 404,
    "safety-check-failed": 503,
    "token-missing": 401,
    "worker-away": 503,
    "workflow-changed": 412,
    "workflow-too-large": 413,
    "workflow-unknown": 404,
    "too-many-listeners": 503,
    "disk-full": 507,
    "uploads-full": 507,
}
"""HTTP status of problems; those that are not listed are 422: the request was understood and can't be done."""


_DISK_FULL = Problem(
    "disk-full",
    "The server's disk is full, and what was asked for can't be written down.",
    "Make room: lower the budgets of the settings, or remove pictures. Nothing that is stored is lost.",
)


def problem_response(problems: Sequence[Problem], status: int | None = None) -> web.Response:
    """The answer for problems, of which there is at least one. The first one is told in the document's own fields."""
    first = problems[0]
    code = status or _STATUS.get(first.code, 422)
    document = {
        "type": f"urn:sdgraph:problem:{first.code}",
        "title": first.message,
        "status": code,
        "detail": str(first),
        "problems": [problem.to_json() for problem in problems],
    }
    headers = {"WWW-Authenticate": "Bearer"} if code == 401 else None
    return web.json_response(document, status=code, content_type=MEDIA_TYPE, headers=headers)


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with a problem document, aiohttp's own and defects included."""
    try:
        return await handler(request)
    except WorkflowError as error:
        return problem_response(error.problems)
    except SdgraphError as error:
        return problem_response([error.problem])
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem_response([_from_http(request, error)], error.status)
    except Exception as error:
        if _says_full(error):
            _log.error("%s %s: the disk is full", request.method, request.path)
            return problem_response([_DISK_FULL])
        _log.exception("%s %s failed", request.method, request.path)
        hint = "Please report it; the server's log has the details."
        return problem_response([Problem("internal-error", "This is a defect of sdgraph.", hint)])


def _says_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, DBAPIError) and "is full" in str(error.orig)  # SQLite: "database or disk is full"


def _from_http(request: web.Request, error: web.HTTPException) -> Problem:
    match error:
        case web.HTTPNotFound():
            hint = "GET /api/openapi.json lists the routes."
            return Problem("route-unknown", f"There is no {request.path[:200]!r} here.", hint)
        case web.HTTPMethodNotAllowed():
            hint = f"Use {', '.join(sorted(error.allowed_methods))}."
            return Problem("method-unknown", f"{request.path[:200]!r} does not take {request.method[:20]}.", hint)
        case web.HTTPRequestEntityTooLarge():
            return Problem("body-too-large", "The request is larger than the server takes.", "Send less at once.")
        case _:
            return Problem("request-refused", f"The request can't be answered: {error.reason}.", None)
