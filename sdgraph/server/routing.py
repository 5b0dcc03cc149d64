"""Routes as data: what each takes and gives, so that the OpenAPI document can't say something else than the server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, ValidationError

from sdgraph.core.spec import explain_validation
from sdgraph.errors import Problem, WorkflowError

M = TypeVar("M", bound=BaseModel)
Handle: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the API."""

    method: str
    path: str
    """With `{name}` for its parameters."""
    handle: Handle
    """Its docstring is the route's description."""
    answer: type[BaseModel] | None
    """What it gives as JSON; None for something else."""
    request: type[BaseModel] | None = None
    """What its JSON body is."""
    status: int = 200
    query: type[BaseModel] | None = None
    """What may stand behind the `?`."""

    @property
    def description(self) -> str:
        return " ".join((self.handle.__doc__ or "").split())


async def read_body(request: web.Request, kind: type[M]) -> M:
    """The JSON body of a request. Raises WorkflowError [media-type-refused], [not-json], [request-invalid].

    The media type is demanded because a form of another site can send any text, but not as `application/json`.
    """
    data = await read_json(request)
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        message = f"The request does not have the form expected: {explain_validation(error)}."
        raise _refused("request-invalid", message, "GET /api/openapi.json describes it.") from None


def read_query(request: web.Request, kind: type[M]) -> M:
    """What stands behind the `?`; a field that is a list may occur several times. Raises WorkflowError."""
    lists = {name for name, field in kind.model_fields.items() if get_origin(field.annotation) is list}
    given = {name: request.query.getall(name) if name in lists else request.query[name] for name in request.query}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        message = f"What stands behind the `?` can't be used: {explain_validation(error)}."
        raise _refused("request-invalid", message, "GET /api/openapi.json describes it.") from None


async def read_json(request: web.Request) -> Any:
    """The parsed body of a request. Raises WorkflowError as `read_body` does."""
    if request.content_type != "application/json":
        message = f"The body is {request.content_type[:100]!r}, expected JSON."
        raise _refused("media-type-refused", message, "Send it with `Content-Type: application/json`.")
    try:
        return json.loads(await request.read(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _refused("not-json", f"The body is no JSON: {error}.", "Send one JSON object.") from None


def answer(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer; parts that are None are left out."""
    text = model.model_dump_json(exclude_none=True, by_alias=True)
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _refused(code: str, message: str, hint: str) -> WorkflowError:
    return WorkflowError([Problem(code, message, hint)])
